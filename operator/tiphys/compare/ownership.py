"""Who owns which fields of an object: ``managedFields`` and their paths, read.

Our own entry says what the last server-side apply sent. What other managers own decides whether a
field that is no longer wanted would go away, and which fields trusted managers may set (sync.md 5.3).
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeAlias

import orjson

from tiphys.compare.equality import same
from tiphys.resources.identity import Manifest

FIELD_MANAGER = "argocd-controller"

Fields: TypeAlias = dict[str, Any]
"""A ``fieldsV1`` tree: ``f:`` fields, ``k:`` keyed items, ``v:`` set items, ``.`` the node itself."""

_MISSING: Any = object()


def entries_of(live: Manifest) -> list[dict[str, Any]]:
    """``metadata.managedFields`` of an object."""
    entries = (live.get("metadata") or {}).get("managedFields")
    return entries if isinstance(entries, list) else []


def own_fields(live: Manifest, manager: str = FIELD_MANAGER) -> Fields | None:
    """What our last server-side apply owns; ``None`` without an entry of ours for this version."""
    for entry in entries_of(live):
        if (
            entry.get("manager") == manager
            and entry.get("operation") == "Apply"
            and not entry.get("subresource")
        ):
            fields = entry.get("fieldsV1")
            if entry.get("apiVersion") == live.get("apiVersion") and isinstance(fields, dict):
                return fields
            return None
    return None


def foreign_fields(live: Manifest, manager: str = FIELD_MANAGER) -> list[Fields | None]:
    """What each other entry owns; ``None`` for one whose fields were left out of the cache."""
    found: list[Fields | None] = []
    for entry in entries_of(live):
        ours = entry.get("manager") == manager and entry.get("operation") == "Apply"
        if ours and not entry.get("subresource"):
            continue
        fields = entry.get("fieldsV1")
        if isinstance(fields, dict):
            same_version = entry.get("apiVersion") == live.get("apiVersion")
            found.append(fields if same_version else None)
        elif entry.get("subresource") != "status":
            found.append(None)
    return found


def typed(value: Any) -> Any:
    """A hashable form in which ``1`` and ``True`` differ."""
    kind = type(value)
    if kind is str or kind is int:
        return value
    if kind is dict or kind is list:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return (kind.__name__, value)


@lru_cache(maxsize=8192)
def parsed(text: str) -> Any:
    """The item that a ``v:`` path names (its text without ``v:``), hashable."""
    return typed(orjson.loads(text))


@lru_cache(maxsize=8192)
def key_fields(key: str) -> dict[str, Any]:
    """The key fields that a ``k:`` path names; never change the result."""
    fields: dict[str, Any] = orjson.loads(key[2:])
    return fields


def shown_key(key: str) -> str:
    """A ``k:`` path for people: ``[web]``; the name of a field that only looks like one as it is."""
    try:
        fields = key_fields(key)
    except orjson.JSONDecodeError:
        return key
    return f"[{','.join(str(value) for value in fields.values())}]" if type(fields) is dict else key


def find_item(items: list[Any], key: str) -> int | None:
    """The index of the list item that a ``k:`` or ``v:`` path names.

    Key fields that an item leaves out do not tell it from others: the server fills them in.
    """
    if key.startswith("v:"):
        wanted = parsed(key[2:])
        return next((at for at, item in enumerate(items) if typed(item) == wanted), None)
    fields = key_fields(key)
    for at, item in enumerate(items):
        if type(item) is dict and all(
            item.get(name) == value and type(item.get(name)) is type(value) for name, value in fields.items()
        ):
            return at
    found = [
        at
        for at, item in enumerate(items)
        if type(item) is dict
        and all(name not in item or same(item[name], value) for name, value in fields.items())
        and any(name in item for name in fields)
    ]
    return found[0] if len(found) == 1 else None


def subtrees(fields: Fields) -> Iterator[tuple[str, Fields]]:
    """The children of a node of a ``fieldsV1`` tree."""
    for key, inner in fields.items():
        if key != ".":
            yield key, inner


def without_owned(value: Any, fields: Fields) -> Any:
    """A copy of ``value`` without the leaves that ``fields`` names."""
    if type(value) is dict:
        changed: dict[str, Any] | None = None
        for path, inner in fields.items():
            if not path.startswith("f:") or path[2:] not in value:
                continue
            key = path[2:]
            kept = without_owned(value[key], inner) if inner else _MISSING
            if kept is not value[key]:
                changed = dict(value) if changed is None else changed
                if kept is _MISSING:
                    del changed[key]
                else:
                    changed[key] = kept
        return value if changed is None else changed
    if type(value) is list:
        items: list[Any] | None = None
        for path, inner in fields.items():
            at = find_item(value, path) if path.startswith("k:") else None
            if at is None:
                continue
            kept = without_owned(value[at], {k: v for k, v in inner.items() if k[2:] not in key_fields(path)})
            if kept is not value[at]:
                items = list(value) if items is None else items
                items[at] = kept
        return value if items is None else items
    return value
