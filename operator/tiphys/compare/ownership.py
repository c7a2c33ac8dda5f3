"""Proof by ``managedFields`` that a server-side apply would change nothing (findings: algorithm S).

The entry of our field manager says which fields were applied last, which lists are keyed, which
are sets, and which nodes are atomic, so no schema is needed. If the desired fields are exactly the
owned ones and every value lives, applying changes no content. The proof only ever says "proven";
what it cannot prove is looked at by the structural comparison or by a dry run.

Also here: reading what other managers own, which decides whether a field that is no longer wanted
would go away, and which fields trusted managers may set (sync.md 5.3).
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeAlias

import orjson
from msgspec import Struct

from tiphys.compare.equality import same
from tiphys.resources.identity import Manifest

FIELD_MANAGER = "argocd-controller"

Fields: TypeAlias = dict[str, Any]
"""A ``fieldsV1`` tree: ``f:`` fields, ``k:`` keyed items, ``v:`` set items, ``.`` the node itself."""

_MISSING: Any = object()
_NOT_COMPARED = frozenset(("apiVersion", "kind", "metadata"))
_NAMES = frozenset(("name", "namespace"))
_SERVER_OWNED = frozenset(
    (
        *("uid", "resourceVersion", "generation", "managedFields", "selfLink"),
        *("creationTimestamp", "deletionTimestamp"),
    )
)


ZERO_IS_ABSENT = frozenset(
    (
        *("hostNetwork", "hostPID", "hostIPC", "stdin", "stdinOnce", "tty", "paused", "readOnly"),
        *("publishNotReadyAddresses", "value", "subPath", "serviceAccountName", "priorityClassName"),
        *("hostname", "subdomain", "nodeName", "minReadySeconds", "hostPort"),
    )
)
"""Fields of built-in types that the server leaves out when they are false, empty text or 0: their Go
types have no "not set", and no default takes their place."""


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


class Open(Struct, frozen=True):
    """A node that is replaced as a whole and lives with other content: perhaps only with defaults.

    Attributes:
        path: from the root; items of lists are named by their ``k:`` key.
        wanted, present: both sides of the node.
    """

    path: tuple[str, ...]
    wanted: Any
    present: Any


def proves(target: Manifest, live: Manifest, fields: Fields) -> bool:
    """Whether applying ``target`` provably changes no content of ``live``; ``fields`` are ours."""
    return nearly_proves(target, live, fields) == ()


def nearly_proves(target: Manifest, live: Manifest, fields: Fields) -> tuple[Open, ...] | None:
    """:func:`proves` but for these nodes; None: it is not proven, whatever they are."""
    if target.get("apiVersion") != live.get("apiVersion") or target.get("kind") != live.get("kind"):
        return None
    metadata = target.get("metadata")
    live_metadata = live.get("metadata")
    if type(metadata) is not dict or type(live_metadata) is not dict:
        return None
    if not _SERVER_OWNED.isdisjoint(metadata) and any(
        metadata.get(name) is not None for name in _SERVER_OWNED
    ):
        return None
    if "deletionTimestamp" in live_metadata or metadata.get("name") != live_metadata.get("name"):
        return None
    own_metadata = {
        key: value
        for key, value in metadata.items()
        if key not in _NAMES and not (key == "creationTimestamp" and value is None)
    }
    proof = _Proof()
    owned_metadata = fields.get("f:metadata")
    if own_metadata:
        if not owned_metadata or not proof.mapping(own_metadata, owned_metadata, live_metadata, _METADATA):
            return None
    elif owned_metadata and len(owned_metadata) > ("." in owned_metadata):
        return None
    wanted = {key: value for key, value in target.items() if key not in _NOT_COMPARED}
    rest = {key: value for key, value in fields.items() if key != "f:metadata"}
    if not proof.mapping(wanted, rest, live, None):
        return None
    return tuple(Open(_unwound(where), wanted, present) for where, wanted, present in proof.open)


_Where: TypeAlias = tuple[Any, str] | None
"""The way to a node, from its end: where the node above is, and the key below it."""

_METADATA: _Where = (None, "metadata")


def _unwound(where: _Where) -> tuple[str, ...]:
    parts: list[str] = []
    while where is not None:
        where, key = where
        parts.append(key)
    return tuple(reversed(parts))


class _Proof:
    """One walk through target, owned fields and live object. False: not proven."""

    __slots__ = ("open",)

    def __init__(self) -> None:
        self.open: list[tuple[_Where, Any, Any]] = []

    def mapping(self, wanted: dict[str, Any], fields: Fields, live: dict[str, Any], where: _Where) -> bool:
        if len(wanted) != len(fields) - ("." in fields):
            return False
        for key, value in wanted.items():
            owned = fields.get("f:" + key)
            if owned is None:
                return False
            present = live.get(key, _MISSING)
            kind = type(value)
            if kind is not type(present):
                if owned:
                    return False
                if present is _MISSING:
                    if value or kind is dict or key not in ZERO_IS_ABSENT:
                        return False
                elif not same(value, present):  # 1.0 and 1 are
                    return False
                continue
            if kind is str:
                if owned or value != present:
                    return False
            elif not owned:  # a leaf, an atomic node, or a map that was empty when it was applied
                if kind is not dict and kind is not list:
                    if value != present:
                        return False
                elif not same(value, present):
                    if not value:
                        return False
                    self.open.append(((where, key), value, present))
            elif kind is dict:
                if not self.mapping(value, owned, present, (where, key)):
                    return False
            elif kind is not list or not self.listed(value, owned, present, (where, key)):
                return False
        return True

    def listed(self, wanted: list[Any], fields: Fields, live: list[Any], where: _Where) -> bool:
        first = next((key for key in fields if key != "."), "")
        if first.startswith("k:"):
            names = tuple(key_fields(first))
            if len(names) == 1:
                found = self._named(wanted, fields, live, where, names[0])
                if found is not None:
                    return found
            return self._keyed(wanted, fields, live, where, names)
        return first.startswith("v:") and _set(wanted, fields, live)

    def _named(
        self, wanted: list[Any], fields: Fields, live: list[Any], where: _Where, name: str
    ) -> bool | None:
        """A list keyed by one plain text, which nearly all are; None: it is not one of them."""
        try:
            places = {item[name]: at for at, item in enumerate(live)}
        except (KeyError, TypeError):
            return None
        if len(places) != len(live):
            return None
        if len(wanted) != len(fields) - ("." in fields):
            return False
        before = -1
        opened = len(self.open)
        begin = f'k:{{"{name}":"'
        for item in wanted:
            text = item.get(name) if type(item) is dict else None
            if type(text) is not str or '"' in text or "\\" in text:
                del self.open[opened:]
                return None
            key = begin + text + '"}'
            owned = fields.get(key)
            if owned is None:  # written in another way, maybe
                del self.open[opened:]
                return None
            position = places.get(text)
            # What is wanted twice does not rise.
            if position is None or position <= before:
                return False
            before = position
            if not self._item(item, owned, live[position], (where, key)):
                return False
        return True

    def _item(self, wanted: dict[str, Any], fields: Fields, live: dict[str, Any], where: _Where) -> bool:
        if not fields:  # an item that is replaced as a whole
            return same(wanted, live)
        return self.mapping(wanted, fields, live, where)

    def _keyed(
        self, wanted: list[Any], fields: Fields, live: list[Any], where: _Where, names: tuple[str, ...]
    ) -> bool:
        by_key = {_place_of_key(key, names): key for key in fields if key != "."}
        if len(fields) - ("." in fields) != len(wanted):
            return False
        places: dict[tuple[Any, ...], int] = {}
        for at, item in enumerate(live):
            if type(item) is not dict:
                return False
            place = _place(item, names)
            if place in places:
                return False
            places[place] = at
        order: list[int | None] = []
        used: set[str] = set()
        for item in wanted:
            if type(item) is not dict:
                return False
            place = _place(item, names)
            found = by_key.get(place)
            if found is None:
                # a key field that the server filled in: its missing f: proves that it was a default
                candidates = [
                    (key, whole)
                    for whole, key in by_key.items()
                    if all(
                        mine == theirs if name in item else f"f:{name}" not in fields[key]
                        for name, mine, theirs in zip(names, place, whole, strict=True)
                    )
                ]
                if len(candidates) != 1:
                    return False
                found, place = candidates[0]
            at_live = places.get(place)
            if at_live is None or found in used:
                return False
            if not self._item(item, fields[found], live[at_live], (where, found)):
                return False
            used.add(found)
            order.append(at_live)
        return _rises(order)


def _set(wanted: list[Any], fields: Fields, live: list[Any]) -> bool:
    owned = {_parsed(key[2:]) for key in fields if key != "."}
    names = [_typed(item) for item in wanted]
    if len(owned) != len(names) or set(names) != owned:
        return False
    positions = {_typed(item): at for at, item in enumerate(live)}
    if len(positions) != len(live):
        return False
    return _rises([positions.get(name) for name in names])


def _rises(positions: list[int | None]) -> bool:
    before = -1
    for position in positions:
        if position is None or position <= before:
            return False
        before = position
    return True


def _typed(value: Any) -> Any:
    """A hashable form in which ``1`` and ``True`` differ."""
    kind = type(value)
    if kind is str or kind is int:
        return value
    if kind is dict or kind is list:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return (kind.__name__, value)


def _place(item: dict[str, Any], names: tuple[str, ...]) -> tuple[Any, ...]:
    """What the key fields of an item say, hashable."""
    return tuple(
        [
            value if type(value) is str or type(value) is int else _typed(value)
            for value in map(item.get, names)
        ]
    )


@lru_cache(maxsize=8192)
def _place_of_key(key: str, names: tuple[str, ...]) -> tuple[Any, ...]:
    """The same of a ``k:`` path."""
    return _place(key_fields(key), names)


@lru_cache(maxsize=8192)
def _parsed(text: str) -> Any:
    return _typed(orjson.loads(text))


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
        wanted = _parsed(key[2:])
        return next((at for at, item in enumerate(items) if _typed(item) == wanted), None)
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
