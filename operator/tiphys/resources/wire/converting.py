"""Structs into messages of the protobuf runtime, and back; prepared once for each message.

The runtime builds a whole tree of messages from nested dicts in C, and gives scalars faster in one
``attrgetter`` than one by one; so a converter copies the plain fields at once and calls a function only
for those that change (messages, lists, maps, pointers).
"""

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any

import msgspec

from tiphys.resources.wire import forms
from tiphys.resources.wire.fields import (
    INT_OR_STRING,
    JSON,
    MICRO_TIME,
    RAW_EXTENSION,
    SCALARS,
    TIME,
    Field,
    Many,
    messages,
)

Content = dict[str, Any]
Write = Callable[[Any], Any]
Read = Callable[[Any], Any]

_FORMS: dict[str, tuple[Write, Read]] = {
    TIME: (forms.time_content, forms.time_value),
    MICRO_TIME: (forms.micro_time_content, forms.micro_time_value),
    RAW_EXTENSION: (forms.json_content, forms.object_value),
    JSON: (forms.json_content, forms.json_value),
    INT_OR_STRING: (forms.int_or_string_content, forms.int_or_string_value),
}


class NotText(ValueError):
    """A string field holds bytes that are no UTF-8."""


class Converter:
    """Converts between the attributes of a struct and one message."""

    def __init__(self, full_name: str, struct: type[msgspec.Struct]):
        message = messages().message(full_name, struct)
        self._struct = struct
        own = [field for field in message.fields if not field.lifted]
        self._names = tuple(field.name for field in own)
        self._get = _getter([field.attribute for field in own])
        self._writes = [(field.name, write) for field in own if (write := _write(field)) is not None]
        self._lifted = [
            (field.name, converter(field.type, struct), field.pointer)
            for field in message.fields
            if field.lifted
        ]
        plain = [field for field in own if _is_plain(field)]
        self._plain = tuple(field.attribute for field in plain)
        self._read_plain = _getter([field.name for field in plain])
        shared = messages().name_of(struct) != full_name
        self._reads = [
            (field.name, field.attribute, field.many is Many.ONE, shared and field.pointer, _read(field))
            for field in own
            if not _is_plain(field)
        ]

    def content(self, struct: Any) -> Content:
        """What the runtime makes the message of.

        Raises:
            ValueError: a time is no time.
        """
        content: Content = dict(zip(self._names, self._get(struct), strict=True))
        for name, write in self._writes:
            content[name] = write(content[name])
        for name, inner, pointer in self._lifted:
            part = inner.content(struct)
            content[name] = None if pointer and all(value is None for value in part.values()) else part
        return content

    def value(self, message: Any) -> Any:
        """The struct of a message.

        Raises:
            ValueError, OverflowError, OSError: a part has no value (text, time, free JSON).
        """
        return self._struct(**self.attributes(message))

    def attributes(self, message: Any) -> Content:
        """The attributes that a message gives; raises as :meth:`value`."""
        found: Content = dict(zip(self._plain, self._read_plain(message), strict=True))
        if bytes in map(type, found.values()):
            raise NotText(_utf8(found))
        for name, attribute, single, empty_counts, read in self._reads:
            if not single:
                value = getattr(message, name)
                if value or empty_counts:
                    found[attribute] = read(value)
            elif message.HasField(name):
                found[attribute] = read(getattr(message, name))
        for name, inner, pointer in self._lifted:
            if not pointer or message.HasField(name):
                found |= inner.attributes(getattr(message, name))
        return found


@cache
def converter(full_name: str, struct: type[msgspec.Struct]) -> Converter:
    """The converter of a message whose fields are attributes of ``struct``."""
    return Converter(full_name, struct)


def _getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if not names:
        return lambda _: ()
    get = attrgetter(*names)
    return get if len(names) > 1 else lambda value: (get(value),)


def _is_plain(field: Field) -> bool:
    """The runtime's attribute is the struct's."""
    return field.type in SCALARS and field.type != "bytes" and field.many is Many.ONE and not field.pointer


def _single(field: Field) -> tuple[Write, Read] | None:
    if field.type in SCALARS:
        return None
    if field.type in _FORMS:
        return _FORMS[field.type]
    assert field.struct is not None
    inner = converter(field.type, field.struct)
    return inner.content, inner.value


def _write(field: Field) -> Write | None:
    pair = _single(field)
    if pair is None:
        return (lambda value: value or None) if field.type == "bytes" and not field.required else None
    write = pair[0]
    if field.many is Many.LIST:
        return lambda values: [write(value) for value in values or ()]
    if field.many is Many.MAP:
        return lambda values: {key: write(value) for key, value in values.items()}
    if field.empty_is_none:
        return lambda value: {} if value is None else write(value)
    if not field.pointer or (field.required and field.type == TIME):
        # No time is a value, too: the message is there and empty.
        return write
    if field.type in (TIME, MICRO_TIME):
        return lambda text: write(text) if text else None
    return lambda value: None if value is None else write(value)


def _read(field: Field) -> Read:
    pair = _single(field)
    read = _text if pair is None else pair[1]
    if field.many is Many.LIST:
        return lambda values: tuple([read(value) for value in values]) if pair else _texts(values)
    if field.many is Many.MAP:
        return lambda values: {key: read(values[key]) for key in values}
    if field.empty_is_none:
        return lambda message: read(message) if message.ByteSize() else None
    if field.type == "bytes":
        return bytes
    return read


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        raise NotText(_utf8(value))
    return value


def _texts(values: Any) -> tuple[Any, ...]:
    found = tuple(values)
    if bytes in map(type, found):
        raise NotText(_utf8(found))
    return found


def _utf8(_: object) -> str:
    return "string field contains invalid UTF-8"
