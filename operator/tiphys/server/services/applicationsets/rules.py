"""Which ApplicationSets the API takes: pure decisions (applicationset.md 4, 26)."""

import json
from typing import Any

from tiphys.resources.applicationset import ApplicationSet
from tiphys.server.api.failures import unknown

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def validate(appset: ApplicationSet) -> None:
    """Refuse a set whose project is a template, or with a generator that nobody knows.

    Raises:
        ApiFailure: Unknown, with the reason.
    """
    problem = ""
    if "{{" in appset.spec.template.spec.project:
        problem = (
            "the Argo CD API does not currently support creating ApplicationSets with templated "
            "`project` fields"
        )
    else:
        problem = unrecognized_generators(appset)
    if problem:
        raise unknown(f"error validating ApplicationSets: {problem}")


def unrecognized_generators(appset: ApplicationSet) -> str:
    """What is wrong where a generator has no key that we know; empty: nothing.

    Their names are gone with decoding; kubectl's annotation may still have them.
    """
    empty = [
        index
        for index, generator in enumerate(appset.spec.generators)
        if all(getattr(generator, field) is None for field in generator.__struct_fields__)
    ]
    if not empty:
        return ""
    text = f"ApplicationSet {appset.metadata.name} contains unrecognized generators"
    names = _names(appset.metadata.annotations.get(LAST_APPLIED, ""), empty)
    return f"{text}: {', '.join(names)}" if names else text


def _names(applied: str, places: list[int]) -> list[str]:
    try:
        generators: Any = json.loads(applied)["spec"]["generators"]
        return sorted({str(key) for place in places for key in generators[place]})
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return []


def is_same(one: ApplicationSet, two: ApplicationSet) -> bool:
    """Whether two sets say the same: spec, labels, annotations, finalizers."""
    return _said(one) == _said(two)


def _said(appset: ApplicationSet) -> tuple[Any, ...]:
    metadata = appset.metadata
    return (
        appset.spec,
        dict(metadata.labels),
        dict(metadata.annotations),
        metadata.finalizers,
    )
