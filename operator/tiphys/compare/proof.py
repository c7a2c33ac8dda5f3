"""Proof by ``managedFields`` that a server-side apply would change nothing (findings: algorithm S).

The entry of our field manager says which fields were applied last, which lists are keyed, which
are sets, and which nodes are atomic, so no schema is needed. If the desired fields are exactly the
owned ones and every value lives, applying changes no content. The proof only ever says "proven";
what it cannot prove is looked at by the structural comparison or by a dry run.

This is the most frequent question of all, so it is asked of plain dictionaries in one walk.
"""

from functools import lru_cache
from typing import Any, TypeAlias

from msgspec import Struct

from tiphys.compare.equality import same
from tiphys.compare.ownership import Fields, key_fields, parsed, typed
from tiphys.resources.identity import Manifest

_MISSING: Any = object()
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


class Open(Struct, frozen=True):
    """A node that is replaced as a whole and lives with other content: perhaps only with defaults.

    Attributes:
        path: from the root; items of lists are named by their ``k:`` key.
        wanted, present: both sides of the node.
    """

    path: tuple[str, ...]
    wanted: Any
    present: Any


def nearly_proves(target: Manifest, live: Manifest, fields: Fields) -> tuple[Open, ...] | None:
    """Whether applying ``target`` provably changes no content of ``live`` but, perhaps, these nodes.

    None: it is not proven, whatever they are. ``fields`` are what we own of ``live``.
    """
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
    own_metadata = metadata.copy()
    own_metadata.pop("name", None)
    own_metadata.pop("namespace", None)
    if own_metadata.get("creationTimestamp", _MISSING) is None:
        del own_metadata["creationTimestamp"]
    wanted = target.copy()
    for key in ("apiVersion", "kind", "metadata"):
        wanted.pop(key, None)
    rest = fields.copy()
    owned_metadata = rest.pop("f:metadata", None)
    proof = _Proof()
    if own_metadata:
        if not owned_metadata or not proof.mapping(own_metadata, owned_metadata, live_metadata, _METADATA):
            return None
    elif owned_metadata and len(owned_metadata) > ("." in owned_metadata):
        return None
    if not proof.mapping(wanted, rest, live, None):
        return None
    if not proof.open:
        return ()
    return tuple([Open(_unwound(where), wanted, present) for where, wanted, present in proof.open])


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
        opened = len(self.open)
        try:
            for key, value in wanted.items():
                owned = fields["f:" + key]
                present = live[key]
                kind = type(value)
                if kind is str:
                    if owned or value != present:
                        return False
                elif kind is not type(present):
                    if owned or not same(value, present):  # 1.0 and 1 are
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
        except KeyError:
            del self.open[opened:]
            return self._absent(wanted, fields, live, where)
        return True

    def _absent(self, wanted: dict[str, Any], fields: Fields, live: dict[str, Any], where: _Where) -> bool:
        """:meth:`mapping` where something wanted does not live: the server leaves out what says nothing."""
        there: dict[str, Any] = {}
        owned: Fields = {}
        for key, value in wanted.items():
            path = "f:" + key
            if path not in fields:
                return False
            if key in live:
                there[key], owned[path] = value, fields[path]
            elif fields[path] or value or type(value) is dict or key not in ZERO_IS_ABSENT:
                return False
        return self.mapping(there, owned, live, where)

    def listed(self, wanted: list[Any], fields: Fields, live: list[Any], where: _Where) -> bool:
        first = "."
        for first in fields:
            if first != ".":
                break
        if first.startswith("k:"):
            names = _names_of_key(first)
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
            key = f'{begin}{text}"}}'
            owned = fields.get(key)
            if owned is None:  # written in another way, maybe
                del self.open[opened:]
                return None
            position = places.get(text)
            # What is wanted twice does not rise.
            if position is None or position <= before:
                return False
            before = position
            if owned:
                if not self.mapping(item, owned, live[position], (where, key)):
                    return False
            elif not same(item, live[position]):  # an item that is replaced as a whole
                return False
        return True

    def _keyed(
        self, wanted: list[Any], fields: Fields, live: list[Any], where: _Where, names: tuple[str, ...]
    ) -> bool:
        if len(fields) - ("." in fields) != len(wanted):
            return False
        by_key = {_place_of_key(key, names): key for key in fields if key != "."}
        places: dict[tuple[Any, ...], int] = {}
        for at, item in enumerate(live):
            if type(item) is not dict:
                return False
            places[_place(item, names)] = at
        if len(places) != len(live):
            return False
        before = -1
        used: set[str] = set()
        for item in wanted:
            if type(item) is not dict:
                return False
            place = _place(item, names)
            found = by_key.get(place)
            if found is None:
                filled = _defaulted(item, names, place, by_key, fields)
                if filled is None:
                    return False
                place, found = filled, by_key[filled]
            position = places.get(place)
            if position is None or position <= before or found in used:
                return False
            before = position
            used.add(found)
            owned = fields[found]
            if owned:
                if not self.mapping(item, owned, live[position], (where, found)):
                    return False
            elif not same(item, live[position]):
                return False
        return True


_Place: TypeAlias = tuple[Any, ...]
"""What the key fields of an item of a list say, hashable."""


def _defaulted(
    item: dict[str, Any], names: tuple[str, ...], place: _Place, by_key: dict[_Place, str], fields: Fields
) -> _Place | None:
    """The place of an item whose key fields the server filled in; None: there is none, or more than one.

    That a key field has no ``f:`` of its own proves that it was a default.
    """
    found: _Place | None = None
    for whole, key in by_key.items():
        for name, mine, theirs in zip(names, place, whole, strict=True):
            if mine != theirs if name in item else "f:" + name in fields[key]:
                break
        else:
            if found is not None:
                return None
            found = whole
    return found


def _set(wanted: list[Any], fields: Fields, live: list[Any]) -> bool:
    owned = {parsed(key[2:]) for key in fields if key != "."}
    names = [typed(item) for item in wanted]
    if len(owned) != len(names) or set(names) != owned:
        return False
    positions = {typed(item): at for at, item in enumerate(live)}
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


def _place(item: dict[str, Any], names: tuple[str, ...]) -> _Place:
    place = tuple(map(item.get, names))
    for value in place:
        if type(value) is not str and type(value) is not int:
            return tuple(map(typed, place))
    return place


@lru_cache(maxsize=8192)
def _names_of_key(key: str) -> tuple[str, ...]:
    """The key fields that a ``k:`` path has."""
    return tuple(key_fields(key))


@lru_cache(maxsize=8192)
def _place_of_key(key: str, names: tuple[str, ...]) -> _Place:
    """The place that a ``k:`` path names."""
    return _place(key_fields(key), names)
