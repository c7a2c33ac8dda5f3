"""Request messages out of query and path parameters (api.md 3, "Query parameters").

A parameter's name is a path of field names joined by dots (``id.type``), each the protobuf or the JSON
name; an entry of a map is ``k[x]``. Repetition makes lists; of a single field the first value counts.
Unknown names are ignored. Times are messages here: ``sinceTime.seconds=1700000000``.
"""

import base64
import binascii
from collections.abc import Iterable
from functools import cache
from typing import Any, TypeVar

import msgspec

from tiphys.resources.decoding import decode_as
from tiphys.resources.errors import InvalidObject
from tiphys.resources.wire import forms
from tiphys.resources.wire.fields import (
    INT_OR_STRING,
    MICRO_TIME,
    SCALARS,
    TIME,
    Field,
    Many,
    messages,
)

T = TypeVar("T", bound=msgspec.Struct)
Content = dict[str, Any]

_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")
_LIMITS = {"int32": 1 << 31, "int64": 1 << 63}


def from_parameters(kind: type[T], pairs: Iterable[tuple[str, str]]) -> T:
    """A message with the fields that the parameters name.

    Raises:
        InvalidObject: a value that its field cannot take; the path names the parameter.
    """
    return with_parameters(kind(), pairs)


def with_parameters(message: T, pairs: Iterable[tuple[str, str]]) -> T:
    """A message with further fields set; of its fields only those that a parameter names change.

    Raises:
        InvalidObject: see :func:`from_parameters`.
    """
    kind = type(message)
    content: Content = {}
    for name, value in pairs:
        try:
            path, bracket, key = (
                name.removesuffix("]").partition("[") if name.endswith("]") else (name, "", "")
            )
            _put(kind, content, path.split("."), key if bracket else None, value)
        except ValueError as error:
            raise InvalidObject(kind.__name__, name, str(error)) from None
    return message if not content else _merged(message, content)


def _put(kind: type[msgspec.Struct], content: Content, path: list[str], key: str | None, value: str) -> None:
    """Set what one parameter says; ``key``: of an entry of a map.

    Raises:
        ValueError: the field cannot take the value.
    """
    first, *rest = path
    field = _by_name(kind).get(first)
    if field is None:
        return
    if field.struct is not None and field.many is Many.ONE and rest:
        _put(field.struct, content.setdefault(field.json, {}), rest, key, value)
    elif (key is not None) != (field.many is Many.MAP):
        return
    elif field.type in (TIME, MICRO_TIME) and field.many is Many.ONE:
        _put_time(content, field, rest, value)
    elif rest or (field.type not in SCALARS and field.type != INT_OR_STRING):
        return
    elif field.many is Many.LIST:
        content.setdefault(field.json, []).append(_scalar(field, value))
    elif field.many is Many.MAP:
        content.setdefault(field.json, {}).setdefault(key, _scalar(field, value))
    elif field.json not in content:
        content[field.json] = _scalar(field, value)


def _put_time(content: Content, field: Field, rest: list[str], value: str) -> None:
    if rest == ["seconds"]:
        try:
            content.setdefault(field.json, forms.time_text(_number(value, _LIMITS["int64"])))
        except (OverflowError, OSError):
            raise ValueError(f"{value!r} seconds are out of range") from None
    elif rest == ["nanos"]:
        _number(value, _LIMITS["int32"])


def _scalar(field: Field, value: str) -> Any:
    if field.type == "bool":
        if value not in _TRUE + _FALSE:
            raise ValueError(f'parsing "{value}": invalid syntax')
        return value in _TRUE
    if field.type in _LIMITS:
        return _number(value, _LIMITS[field.type])
    if field.type == "bytes":
        try:
            base64.b64decode(value, validate=True)
        except binascii.Error:
            raise ValueError("illegal base64 data") from None
    if field.type == INT_OR_STRING and value.lstrip("-").isdecimal() and value.isascii():
        return _number(value, _LIMITS["int32"])
    return value


def _number(text: str, limit: int) -> int:
    """A decimal number as Go reads it: no white space, no underscores.

    Raises:
        ValueError: no number, or one that does not fit.
    """
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdecimal()):
        raise ValueError(f'parsing "{text:.80}": invalid syntax')
    if len(digits) > 25 or not -limit <= int(text) < limit:
        raise ValueError(f'parsing "{text:.80}": value out of range')
    return int(text)


def _merged(message: T, content: Content) -> T:
    kind = type(message)
    names = _attributes(kind)
    read = decode_as(kind, {name: value for name, value in content.items() if not isinstance(value, dict)})
    changes = {names[name]: getattr(read, names[name]) for name in content}
    for name, value in content.items():
        field = _by_name(kind)[name]
        if isinstance(value, dict) and field.struct is not None and field.many is Many.ONE:
            old = getattr(message, names[name])
            changes[names[name]] = _merged(field.struct() if old is None else old, value)
        elif isinstance(value, dict):
            changes[names[name]] = {**getattr(message, names[name]), **value}
    return msgspec.structs.replace(message, **changes)


@cache
def _attributes(kind: type[msgspec.Struct]) -> dict[str, str]:
    """JSON name → attribute; asking msgspec each time costs more than everything else here."""
    return {info.encode_name: info.name for info in msgspec.structs.fields(kind)}


@cache
def _by_name(kind: type[msgspec.Struct]) -> dict[str, Field]:
    """The fields of a struct's message by protobuf and JSON name."""
    found: dict[str, Field] = {}
    for field in messages().flat(kind):
        found.setdefault(field.json, field)
        found.setdefault(field.name, field)
    return found
