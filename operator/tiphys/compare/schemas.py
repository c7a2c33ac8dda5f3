"""What is known of the built-in kinds: a tree of nodes, compiled per kind from a data file.

``kind_schemas.json`` (made by ``tools/generate_kind_schemas.py`` from a real API server) stays
packed until a kind is asked for; then only the types on the paths that are really walked are
unpacked. Custom kinds have no schema here: for them only ``metadata`` is known.
"""

from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from tiphys.resources.identity import GVK

SCALAR_CODES = frozenset("sinb")
"""Text, integer, number, boolean: what is stored is what was sent."""


class TypeInfo:
    """An object type: its fields, and what the API server fills in where one is missing."""

    __slots__ = ("_fields", "_table", "atomic", "defaults", "defaults_by_kind", "name")

    def __init__(self, table: "_Table", name: str, raw: dict[str, Any]):
        self._table = table
        self._fields: dict[str, Any] = raw["f"]
        self.name = name
        self.atomic = "a" in raw
        self.defaults: dict[str, Any] = raw.get("d") or {}
        self.defaults_by_kind: dict[str, dict[str, str]] = raw.get("dk") or {}

    def field(self, name: str) -> "Node | None":
        """The node of a field; ``None`` when the type does not have it."""
        node = self._fields.get(name)
        if node is None or type(node) is Node:
            return node
        made = self._fields[name] = _node(self._table, node)
        return made

    def default(self, owner: dict[str, Any], name: str) -> Any:
        """What the API server fills in for a missing field of ``owner``; ``None`` if not known."""
        if name in self.defaults:
            return self.defaults[name]
        by_kind = self.defaults_by_kind.get(name)
        return by_kind.get(owner.get("kind", "")) if by_kind else None


class Node:
    """The shape of one field.

    Attributes:
        code: ``r`` object, ``m`` map, ``l`` list, ``j`` anything, else a scalar: ``s`` text,
            ``i`` integer, ``n`` number, ``b`` boolean, ``q`` quantity, ``x`` integer or text,
            ``y`` base64, ``t`` time or duration.
        item: the node of list items or map values.
        map_keys: key fields of a keyed list under server-side apply.
        is_set: a set list under server-side apply.
        atomic: an object or map that server-side apply replaces as a whole.
        strategy, merge_key, retain_keys: the same questions under strategic merge.
        gated: behind a feature gate: the server may drop it.
    """

    __slots__ = (
        "_table",
        "_type",
        "atomic",
        "code",
        "gated",
        "is_set",
        "item",
        "map_keys",
        "merge_key",
        "retain_keys",
        "strategy",
    )

    def __init__(self, table: "_Table", code: str, argument: Any, attributes: dict[str, Any]):
        self._table = table
        self._type: TypeInfo | str | None = argument if code == "r" else None
        self.code = code
        self.item: Node | None = _node(table, argument) if code in "ml" else None
        self.map_keys: tuple[str, ...] = tuple(attributes.get("k") or ())
        self.is_set = "e" in attributes
        self.strategy: str = attributes.get("p") or ""
        self.merge_key: str = attributes.get("mk") or ""
        self.retain_keys = "rk" in attributes
        self.gated = "g" in attributes
        self.atomic = "a" in attributes or (code == "r" and table.is_atomic(argument))

    @property
    def type(self) -> TypeInfo:
        """The object type of an ``r`` node."""
        info = self._type
        if type(info) is str:
            info = self._type = self._table.type(info)
        assert isinstance(info, TypeInfo)
        return info


class KindSchema(msgspec.Struct, frozen=True):
    """A built-in kind: its root node and whether ``status`` is a subresource."""

    root: Node
    has_status: bool


class _Table:
    """The data file: types stay JSON until they are asked for."""

    def __init__(self, body: bytes):
        raw = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        self.kinds = msgspec.json.decode(raw["kinds"], type=dict[str, tuple[str, int]])
        self._packed = msgspec.json.decode(raw["types"], type=dict[str, msgspec.Raw])
        self._types: dict[str, TypeInfo] = {}
        self._atomic: frozenset[str] = frozenset(
            name for name, body in self._packed.items() if bytes(body).startswith(b'{"a":1')
        )

    def is_atomic(self, name: str) -> bool:
        return name in self._atomic

    def type(self, name: str) -> TypeInfo:
        info = self._types.get(name)
        if info is None:
            info = self._types[name] = TypeInfo(self, name, msgspec.json.decode(self._packed[name]))
        return info


def _node(table: _Table, spec: Any) -> Node:
    if isinstance(spec, str):
        return Node(table, spec, None, {})
    return Node(table, spec[0], spec[1], spec[2] if len(spec) > 2 else {})


@cache
def _table() -> _Table:
    return _Table(files("tiphys.compare").joinpath("kind_schemas.json").read_bytes())


@cache
def _by_api_version(api_version: str, kind: str) -> KindSchema | None:
    table = _table()
    found = table.kinds.get(f"{api_version}/{kind}")
    if found is None:
        return None
    return KindSchema(Node(table, "r", found[0], {}), bool(found[1]))


def schema_of(gvk: GVK) -> KindSchema | None:
    """The schema of a built-in kind; ``None`` for custom kinds and unknown versions."""
    return schema_named(gvk.api_version, gvk.kind)


def schema_named(api_version: str, kind: str) -> KindSchema | None:
    """:func:`schema_of` by ``apiVersion`` and ``kind`` as a manifest has them."""
    if f"{api_version}/{kind}" not in _table().kinds:
        return None  # custom kinds are not remembered: there may be any number of them
    return _by_api_version(api_version, kind)


@cache
def metadata_node() -> Node:
    """The node of ``metadata``, which every kind has."""
    return Node(_table(), "r", "meta.v1.ObjectMeta", {})


def type_node(name: str) -> Node | None:
    """The node of a built-in type by its short name (``core.v1.PodSpec``)."""
    table = _table()
    return Node(table, "r", name, {}) if name in table._packed else None
