"""The table joined with the structs: what each field of each message is.

Types, repetition and presence come from the annotation of the struct's attribute:

===========================  ==========================================================
``str``, ``bool``, ``bytes``  the scalar; ``int`` is ``int64``
``Timestamp``                 ``meta.v1.Time``
``int | str``                 ``IntOrString``
``Any``, ``dict[str, Any]``   free JSON (``apiextensions.v1.JSON``)
a struct                      its message
``tuple[X, ...]``             repeated
``Mapping[str, X]``           a map
``X | None``                  a pointer: written when it is set
===========================  ==========================================================

Everything else in proto2 is a Go value and always written, empty or not; an empty scalar of proto3
never is (api.md 6, "Encoding rules").
"""

import types
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache, reduce
from importlib import import_module
from operator import or_
from pkgutil import iter_modules
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from tiphys.resources.times import Timestamp
from tiphys.resources.wire.table import FieldEntry, MessageEntry, PackageEntry, read_table

SCALARS = ("string", "bool", "bytes", "int32", "int64")
Kind = type[msgspec.Struct]

META = "k8s.io.apimachinery.pkg.apis.meta.v1"
TIME = f"{META}.Time"
MICRO_TIME = f"{META}.MicroTime"
RAW_EXTENSION = "k8s.io.apimachinery.pkg.runtime.RawExtension"
JSON = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSON"
INT_OR_STRING = "k8s.io.apimachinery.pkg.util.intstr.IntOrString"

_PLAIN: dict[Any, str] = {
    str: "string",
    bool: "bool",
    bytes: "bytes",
    int: "int64",
    Timestamp: TIME,
    Any: JSON,
}
_SHORT = {name.rpartition(".")[2]: name for name in (TIME, MICRO_TIME, RAW_EXTENSION)}


class Many(Enum):
    """How many values a field has."""

    ONE = "one"
    LIST = "list"
    MAP = "map"


class Field(msgspec.Struct, frozen=True):
    """A field of a message.

    Attributes:
        attribute: the attribute of the struct (``""`` for a lifted message, or without a struct).
        type: a scalar's name or a message's full name (of the values, for a map).
        pointer: left out when the attribute is None (or, for a Timestamp, empty).
        struct: the struct of a message type, for a lifted message the one it shares, or None.
        empty_is_none: the value is written although the attribute is None.
    """

    name: str
    json: str
    number: int
    type: str
    attribute: str = ""
    many: Many = Many.ONE
    pointer: bool = False
    required: bool = False
    lifted: bool = False
    empty_is_none: bool = False
    struct: Kind | None = None
    oneof: str = ""


class Message(msgspec.Struct, frozen=True):
    """A message with its fields, sorted by number."""

    full_name: str
    syntax: str
    struct: Kind | None
    fields: tuple[Field, ...]


class Messages:
    """All messages, by full name and by struct."""

    def __init__(self, packages: tuple[PackageEntry, ...], structs: Mapping[tuple[str, str], type]):
        self.packages = packages
        self._entries = {
            entry.full_name: (entry, package) for package in packages for entry in package.messages
        }
        self._structs = structs
        self._names = {
            struct: entry.full_name
            for entry, _ in self._entries.values()
            if (struct := self._struct_of(entry)) is not None
        }
        self._made: dict[tuple[str, type | None], Message] = {}

    def name_of(self, struct: Kind) -> str:
        """The full name of the message that a struct defines.

        Raises:
            KeyError: it defines none.
        """
        return self._names[struct]

    def message(self, full_name: str, struct: Kind | None = None) -> Message:
        """A message; ``struct``: whose attributes its fields are, for one that is inlined."""
        entry, package = self._entries[full_name]
        struct = struct or self._struct_of(entry)
        if (full_name, struct) not in self._made:
            self._made[full_name, struct] = self._make(entry, package, struct)
        return self._made[full_name, struct]

    def flat(self, struct: Kind) -> Iterator[Field]:
        """The fields of a struct's message, those of inlined messages among them: its JSON fields.

        Raises:
            KeyError: the struct is no message.
        """
        return self._flat(self.message(self._names[struct]))

    def _flat(self, message: Message) -> Iterator[Field]:
        for field in message.fields:
            if field.lifted:
                yield from self._flat(self.message(field.type, field.struct))
            else:
                yield field

    def all(self) -> tuple[Message, ...]:
        """Every message, inlined ones as parts of the struct that they are inlined in."""
        own = [
            self.message(entry.full_name)
            for entry, _ in self._entries.values()
            if self._struct_of(entry) is not None or all(field.type for field in entry.fields)
        ]
        found = {message.full_name: message for message in own}
        for message in own:
            self._collect_inlined(message, found)
        return tuple(found[name] for name in self._entries)

    def _collect_inlined(self, message: Message, found: dict[str, Message]) -> None:
        for field in message.fields:
            if field.lifted:
                inner = self.message(field.type, field.struct)
                found.setdefault(inner.full_name, inner)
                self._collect_inlined(inner, found)

    def _struct_of(self, entry: MessageEntry) -> Kind | None:
        struct = self._structs.get((entry.package, entry.struct))
        return struct or self._structs.get(("", entry.struct))

    def _make(self, entry: MessageEntry, package: PackageEntry, struct: Kind | None) -> Message:
        fields = [self._field(field, package, struct) for field in entry.fields]
        return Message(
            full_name=entry.full_name,
            syntax=package.syntax,
            struct=struct,
            fields=tuple(sorted(fields, key=lambda field: field.number)),
        )

    def _field(self, entry: FieldEntry, package: PackageEntry, struct: Kind | None) -> Field:
        base = Field(
            name=entry.name,
            json=entry.json,
            number=entry.number,
            type=entry.type,
            required=entry.mark == "!",
            oneof=entry.oneof,
        )
        change = msgspec.structs.replace
        if struct is None:
            return change(base, pointer=True)
        if entry.lifted:
            inner = f"{package.name}.{entry.lifted}"
            parts = self.message(inner, struct).fields
            optional = any(part.pointer for part in parts)
            return change(base, type=inner, lifted=True, pointer=optional, struct=struct)
        attribute = _attributes(struct)[entry.json]
        many, annotation, pointer = _unwrapped(get_type_hints(struct)[attribute.name])
        if annotation is Timestamp:
            pointer = attribute.default_factory is msgspec.NODEFAULT
        inner_struct = annotation if annotation in self._names else None
        proto = entry.type or _PLAIN.get(annotation) or self._names.get(annotation, "")
        if annotation == int | str:
            proto = INT_OR_STRING
        if f"{package.name}.{proto}" in self._entries:
            proto = f"{package.name}.{proto}"
        if not proto:
            raise TypeError(f"{struct.__name__}.{attribute.name}: no protobuf form of {annotation!r}")
        return change(
            base,
            type=_SHORT.get(proto, proto),
            attribute=attribute.name,
            many=many,
            pointer=(pointer or entry.mark == "?") and entry.mark != "+",
            empty_is_none=pointer and entry.mark == "+" and annotation is not Timestamp,
            struct=inner_struct,
        )


def _unwrapped(annotation: Any) -> tuple[Many, Any, bool]:
    """How many, of what, and whether None is possible."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType) and type(None) in arguments:
        rest = [argument for argument in arguments if argument is not type(None)]
        many, inner, _ = _unwrapped(reduce(or_, rest))
        return many, inner, True
    if origin is tuple:
        return Many.LIST, arguments[0], False
    if annotation == dict[str, Any]:
        return Many.ONE, Any, False
    if origin is Mapping:
        return Many.MAP, arguments[1], False
    return Many.ONE, annotation, annotation is Any


@cache
def _attributes(struct: Kind) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.encode_name: field for field in msgspec.structs.fields(struct)}


def _structs() -> dict[tuple[str, str], type]:
    """Every struct of the API, under its module and name, and under ``""`` and its name."""
    found: dict[tuple[str, str], type] = {}
    for parent in ("tiphys.resources", "tiphys.resources.messages"):
        for module in iter_modules(import_module(parent).__path__):
            if module.name == "schema" or module.ispkg:
                continue
            content = import_module(f"{parent}.{module.name}")
            for name, value in vars(content).items():
                if (
                    isinstance(value, type)
                    and issubclass(value, msgspec.Struct)
                    and value.__module__ == content.__name__
                ):
                    found[module.name, name] = value
                    found.setdefault(("", name), value)
    return found


@cache
def messages() -> Messages:
    """All messages; read at the first call."""
    return Messages(read_table(), _structs())
