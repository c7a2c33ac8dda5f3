"""From the health of resources to the health of an Application (health-and-resources.md 1.3).

Values in, values out: the caller says of each pair whether it takes part (``skip``: hooks,
``Skip`` hooks, ``argocd.argoproj.io/ignore-healthcheck``, see :class:`HealthItem`) and gets the
code, the sentence that names the causes, and the errors of assessments.
"""

from collections.abc import Iterable

import msgspec

from tiphys.health.model import DEGRADED, HEALTHY, MISSING, UNKNOWN, Health, is_worse, rank
from tiphys.resources.identity import GroupKind, ResourceKey

__all__ = ["AppHealth", "HealthItem", "aggregate", "cause"]

_CHILD_APPLICATION = GroupKind("argoproj.io", "Application")
_CAUSES_NAMED = 3


class HealthItem(msgspec.Struct, frozen=True):
    """One (target, live) pair.

    Args:
        skip: the pair does not even count as a resource: a hook, an ignored object, a target that
            is a ``Skip`` hook.
        health: of the live object; ``None`` when its kind has no check.
        ignored: the live object says ``ignore-healthcheck`` or is the Application itself: it
            counts as an existing resource, its health does not.
    """

    key: ResourceKey
    has_target: bool
    has_live: bool
    skip: bool
    health: Health | None
    ignored: bool = False


class AppHealth(msgspec.Struct, frozen=True):
    """The health of an Application; ``error`` is the text of the ``ComparisonError`` condition
    when an assessment failed (the first one), else empty."""

    status: str
    message: str = ""
    error: str = ""


def cause(key: ResourceKey) -> str:
    """``group/Kind:namespace/name`` without what is empty."""
    kind = f"{key.group}/{key.kind}" if key.group else key.kind
    name = f"{key.namespace}/{key.name}" if key.namespace else key.name
    return f"{kind}:{name}"


def _sentence(causes: list[ResourceKey]) -> str:
    if not causes:
        return ""
    named = ", ".join(cause(key) for key in causes[:_CAUSES_NAMED])
    more = len(causes) - _CAUSES_NAMED
    return f"Caused by {named}" + (f" and {more} more" if more > 0 else "")


def aggregate(items: Iterable[HealthItem]) -> AppHealth:
    """The worst health of the resources that count, and who causes it.

    An absent object is recorded as ``Missing`` elsewhere but does not worsen the app, unless
    there are resources and none of them is live. A child Application that is ``Missing`` or
    ``Unknown`` does not worsen its parent.
    """
    status, error = HEALTHY, ""
    causes: list[ResourceKey] = []
    any_resource = any_live = False
    for item in items:
        if item.skip:
            continue
        any_resource = True
        any_live = any_live or item.has_live
        health = item.health
        if not item.has_live or item.ignored or health is None:
            continue
        if health.error and not error:
            error = _assessment_error(item.key, health.error)
        if item.key.group_kind == _CHILD_APPLICATION and health.status in (MISSING, UNKNOWN):
            continue
        if is_worse(status, health.status):
            status, causes = health.status, [item.key]
        elif rank(health.status) == rank(status) and status != HEALTHY:
            causes.append(item.key)
    if any_resource and not any_live and is_worse(status, MISSING):
        status, causes = MISSING, []
    return AppHealth(status, _sentence(causes), error)


def _assessment_error(key: ResourceKey, text: str) -> str:
    return (
        f'error setting app health: failed to get resource health for "{key.kind}" with name '
        f'"{key.name}" in namespace "{key.namespace}": {text}'
    )


WORST_KNOWN = DEGRADED
"""The worst code that says something about the object rather than about the assessment."""
