"""Changing copies of objects by path, and the JSON merge patch between two of them.

A path is dotted; a name with dots or slashes stands in brackets and quotes:
``metadata.annotations["a.io/b"]``. Only what lies on the path is copied.
"""

import re
from functools import lru_cache
from typing import Any

from tiphys.resources.identity import Manifest

_STEP = re.compile(r'\.?([\w-]+)|\["([^"]+)"\]')


@lru_cache(maxsize=512)
def path_of(text: str) -> tuple[str, ...]:
    """The names of a path.

    Raises:
        ValueError: it is none.
    """
    steps, at = [], 0
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            raise ValueError(f"{text!r} is no path")
        steps.append(found[1] or found[2])
        at = found.end()
    return tuple(steps)


def with_value(obj: Manifest, path: tuple[str, ...], value: Any) -> Manifest:
    """The object with a value at a path; maps on the way are made."""
    name, *rest = path
    if not rest:
        return {**obj, name: value}
    inner = obj.get(name)
    return {**obj, name: with_value(inner if isinstance(inner, dict) else {}, tuple(rest), value)}


def without_value(obj: Manifest, path: tuple[str, ...]) -> Manifest:
    """The object without what a path names."""
    name, *rest = path
    if name not in obj:
        return obj
    if not rest:
        return {key: value for key, value in obj.items() if key != name}
    inner = obj[name]
    return {**obj, name: without_value(inner, tuple(rest))} if isinstance(inner, dict) else obj


def merge_patch(live: Manifest, wanted: Manifest) -> Manifest:
    """The JSON merge patch (RFC 7386) that turns one into the other; ``{}``: nothing to do."""
    patch: Manifest = {}
    for name, value in wanted.items():
        before = live.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            inner = merge_patch(before, value)
            if inner:
                patch[name] = inner
        elif name not in live or not _same(before, value):
            patch[name] = value
    patch.update({name: None for name in live if name not in wanted and live[name] is not None})
    return patch


def _same(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) is isinstance(other, bool)


def with_empty_maps(value: Any, source: Any) -> Any:
    """A script's result, where empty lists that were maps in the source object are maps again
    (health-and-resources.md 5.2): in maps, and in maps inside lists of equal index."""
    if isinstance(value, list) and not value and isinstance(source, dict):
        return {}
    if isinstance(value, dict) and isinstance(source, dict):
        return {name: with_empty_maps(item, source.get(name)) for name, item in value.items()}
    if isinstance(value, list) and isinstance(source, list):
        return [
            with_empty_maps(item, source[index]) if index < len(source) and isinstance(item, dict) else item
            for index, item in enumerate(value)
        ]
    return value


def without_empty(value: Any) -> Any:
    """A copy without empty maps and lists below the top, as created objects are written."""
    if isinstance(value, dict):
        cleaned = {name: without_empty(item) for name, item in value.items()}
        return {name: item for name, item in cleaned.items() if item not in ({}, [], None)}
    if isinstance(value, list):
        return [without_empty(item) for item in value]
    return value
