"""JSON of the public API as the reference's gateway writes and reads it (api.md 3).

Writing: msgspec encodes a message in one go; names and omission come from the struct. What it cannot
know is put in before (``null`` for empty lists and times that are always written, no ``kind`` and
``apiVersion``, which the reference loses on its way through protobuf) or after (HTML characters).
Messages without any of these are encoded as they are.

Reading: keys in any case, unknown ones skipped, ``null`` is an empty value, only the first JSON value
counts, times come out in UTC with whole seconds. Bodies of requests are small and rare, so this is one
plain pass over the decoded JSON, after which msgspec checks the types.

What a field is comes from the protobuf table (``wire.fields``), the only place that has it all.
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec
import yaml

from tiphys.resources.decoding import decode_as
from tiphys.resources.errors import InvalidObject
from tiphys.resources.messages.overrides import OverrideIgnoreDiff, ResourceOverride
from tiphys.resources.meta import NO_TIME
from tiphys.resources.times import from_timestamp, to_timestamp
from tiphys.resources.wire.fields import JSON, MICRO_TIME, RAW_EXTENSION, TIME, Field, Many, messages

T = TypeVar("T", bound=msgspec.Struct)

ZERO_TIME = "0001-01-01T00:00:00Z"
"""Go's time that is not set."""

_encoder = msgspec.json.Encoder(order="deterministic")

_ESCAPES = (
    (b"&", rb"\u0026"),
    (b"<", rb"\u003c"),
    (b">", rb"\u003e"),
)
_LINE_ENDS = (("\u2028".encode(), rb"\u2028"), ("\u2029".encode(), rb"\u2029"))
LARGE = 1 << 20
"""Bytes of a text above which its objects and lists are counted before it is decoded."""

MOST_PARTS = 500_000
"""Most objects and lists in a large text (those in texts inside, such as manifests, count, too)."""

_RANGES = {"int32": 1 << 31, "int64": 1 << 63}


def dumps(message: msgspec.Struct) -> bytes:
    """The JSON text of a message, without a newline."""
    data = _encoder.encode(_finish(type(message))(message))
    for plain, escaped in _ESCAPES if data.isascii() else _ESCAPES + _LINE_ENDS:
        if plain in data:
            data = data.replace(plain, escaped)
    return data


def loads(kind: type[T], data: bytes) -> T:
    """Read a message; nothing but white space is the empty message.

    Raises:
        InvalidObject: the text is no JSON, or a field has the wrong type (api.md 3: HTTP 400).
    """
    content = first_value(kind.__name__, data)
    return kind() if content is None else from_plain(kind, content)


def from_plain(kind: type[T], content: Any) -> T:
    """The same from decoded JSON.

    Raises:
        InvalidObject: a field has the wrong type.
    """
    if not isinstance(content, dict):
        raise InvalidObject(kind.__name__, "", f"Expected `object`, got {content!r:.50}")
    try:
        return decode_as(kind, _read(kind)(content))
    except _WrongValue as error:
        raise InvalidObject(kind.__name__, ".".join(reversed(error.path)), error.problem) from None
    except RecursionError:
        raise InvalidObject(kind.__name__, "", "JSON is nested too deeply") from None


def first_value(kind: str, data: bytes) -> Any:
    """The first JSON value of a text; None when there is none.

    Raises:
        InvalidObject: it is no JSON; ``kind`` says of what.
    """
    if not data.strip():
        return None
    if len(data) > LARGE and data.count(b"{") + data.count(b"[") > MOST_PARTS:
        raise InvalidObject(kind, "", f"more than {MOST_PARTS} objects and lists in one body")
    try:
        return msgspec.json.decode(data)
    except RecursionError:
        raise InvalidObject(kind, "", "JSON is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        problem = str(error)
    try:
        _, end = json.JSONDecoder().raw_decode(data.decode().lstrip())
        return msgspec.json.decode(data.decode().lstrip()[:end])
    except (ValueError, RecursionError):
        raise InvalidObject(kind, "", problem) from None


# Writing


Finish = Callable[[Any], Any]


def _unchanged(value: Any) -> Any:
    return value


def _null_if_empty(value: Any) -> Any:
    return value or None


def _type_meta_dropped(_: Any) -> Any:
    return msgspec.UNSET


@cache
def _finish(kind: type[msgspec.Struct]) -> Finish:
    """Makes of a struct what msgspec writes as the gateway does; the struct itself if it does already."""
    if kind is ResourceOverride:
        return _override
    infos = {info.encode_name: info for info in msgspec.structs.fields(kind)}
    fields = {field.json: field for field in messages().flat(kind)}
    steps: list[tuple[str, Finish]] = []
    for name, info in infos.items():
        field = fields.get(name)
        step = _type_meta_dropped if field is None else _finish_field(field, _is_always(info))
        if step is not _unchanged:
            steps.append((info.name, step))
    if not steps:
        return _unchanged

    def finish(struct: Any) -> Any:
        changed = {}
        for attribute, step in steps:
            value = getattr(struct, attribute)
            new = step(value)
            if new is not value:
                changed[attribute] = new
        return msgspec.structs.replace(struct, **changed) if changed else struct

    return finish


def _finish_field(field: Field, always: bool) -> Finish:
    inner = _unchanged if field.struct is None else _finish(field.struct)
    if field.many is Many.MAP and inner is not _unchanged:
        return lambda values: {key: inner(value) for key, value in values.items()}
    if field.many is Many.LIST and inner is not _unchanged:
        empty = _null_if_empty if always else _unchanged
        return lambda values: tuple([inner(value) for value in values]) if values else empty(values)
    if field.many is not Many.ONE or field.type in (TIME, MICRO_TIME, "bytes"):
        return _null_if_empty if always else _unchanged
    if inner is _unchanged:
        return inner
    return lambda value: value if value is None else inner(value)


def _is_always(info: msgspec.structs.FieldInfo) -> bool:
    return info.default_factory not in (msgspec.NODEFAULT, dict, list)


def _override(override: ResourceOverride) -> dict[str, Any]:
    """Customisations in the form of the settings: keys with dots, rules as YAML text (api.md 3)."""
    written = {
        "health.lua": override.health_lua,
        "health.lua.useOpenLibs": override.use_open_libs,
        "actions": override.actions,
        "ignoreDifferences": _rules(override.ignore_differences),
        "ignoreResourceUpdates": _rules(override.ignore_resource_updates),
        "knownTypeFields": override.known_type_fields,
    }
    return {key: value for key, value in written.items() if value}


def _rules(rules: OverrideIgnoreDiff) -> str:
    content = {
        "jqPathExpressions": list(rules.jq_path_expressions) or None,
        "jsonPointers": list(rules.json_pointers) or None,
        "managedFieldsManagers": list(rules.managed_fields_managers) or None,
    }
    text: str = yaml.dump(content, Dumper=yaml.CSafeDumper, width=2**31 - 1, allow_unicode=True)
    return text


# Reading


class _WrongValue(Exception):
    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path: list[str] = []


Read = Callable[[Any], Any]


@cache
def _read(kind: type[msgspec.Struct]) -> Read:
    """Makes of a decoded JSON object one with the exact names, without nulls, with times in UTC."""
    reads = {field.json: _read_field(field) for field in messages().flat(kind)}
    folded = {name.lower(): name for name in reads}

    def read(content: Any) -> Any:
        if content is None:
            return {}
        if not isinstance(content, dict):
            return content
        found = {}
        for key, value in content.items():
            name = key if key in reads else folded.get(key.lower())
            if name is None or value is None:
                continue
            try:
                found[name] = reads[name](value)
            except _WrongValue as error:
                error.path.append(name)
                raise
        return found

    return read


def _read_field(field: Field) -> Read:
    if field.type in (JSON, RAW_EXTENSION):
        return _unchanged
    if field.struct is not None:
        single = _read(field.struct)
    elif field.type in (TIME, MICRO_TIME):
        single = _read_micro_time if field.type == MICRO_TIME else _read_time
    elif field.type in _RANGES:
        single = _read_number(field.type)
    elif field.type == "string":
        single = _read_text
    else:
        single = _unchanged
    if field.many is Many.LIST:
        return lambda values: [single(value) for value in values] if isinstance(values, list) else values
    if field.many is Many.MAP:
        return lambda values: (
            {key: single(value) for key, value in values.items()} if isinstance(values, Mapping) else values
        )
    return single


def _read_text(value: Any) -> Any:
    return "" if value is None else value


def _read_number(name: str) -> Read:
    limit = _RANGES[name]

    def read(value: Any) -> Any:
        if value is None:
            return 0
        if isinstance(value, float) or (isinstance(value, int) and not -limit <= value < limit):
            raise _WrongValue(f"cannot unmarshal number {value} into {name}")
        return value

    return read


def _read_time(value: Any) -> Any:
    if value is None or not isinstance(value, str):
        return value
    try:
        moment = to_timestamp(from_timestamp(value))
        return NO_TIME if moment == ZERO_TIME else moment
    except (ValueError, OverflowError):
        raise _WrongValue(f"parsing time {json.dumps(value)}: not in RFC 3339") from None


def _read_micro_time(value: Any) -> Any:
    text = _read_time(value)
    if not isinstance(text, str) or not text:
        return text
    return f"{text[:-1]}.{from_timestamp(value).microsecond:06}Z"
