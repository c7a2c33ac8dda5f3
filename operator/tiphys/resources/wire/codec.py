"""Messages as protobuf bytes, and back (api.md 6, "Encoding rules").

The bytes are those of the reference: fields in the order of their numbers, map entries in the order of
their keys, Go values written even when they are empty. Unknown fields are skipped.
"""

from functools import cache
from typing import Any, TypeVar

import msgspec
from google.protobuf.message import DecodeError, EncodeError
from google.protobuf.message import Message as ProtoMessage

from tiphys.resources.wire.converting import Converter, converter
from tiphys.resources.wire.descriptors import message_class, proto_name
from tiphys.resources.wire.errors import WireError

T = TypeVar("T", bound=msgspec.Struct)

LARGE = 1 << 20
"""Bytes of a message above which its parts are counted before they become structs."""

MOST_PARTS = 250_000
"""Most messages, list items and map entries in a large message: an empty one is two bytes on the wire and
a hundred times that as a struct."""


@cache
def _prepared(kind: type[msgspec.Struct]) -> tuple[str, type[ProtoMessage], Converter]:
    name = proto_name(kind)
    return name, message_class(name), converter(name, kind)


def encode(message: msgspec.Struct) -> bytes:
    """The protobuf bytes of a message.

    Raises:
        WireError: a required field is missing, or a value is out of its type's range.
    """
    name, proto, convert = _prepared(type(message))
    try:
        made = proto(**convert.content(message))
        data: bytes = made.SerializeToString(deterministic=True)
    except EncodeError:
        raise WireError(name, _missing(made)) from None
    except (ValueError, TypeError, UnicodeError) as error:
        raise WireError(name, str(error)) from None
    return data


def decode(kind: type[T], data: bytes) -> T:
    """Read a message.

    Raises:
        WireError: the bytes are no such message, or a required field is missing.
    """
    name, proto, convert = _prepared(kind)
    try:
        read = proto.FromString(data)
        if not read.IsInitialized():
            raise WireError(name, _missing(read))
        if len(data) > LARGE and _has_too_many_parts(read):
            raise WireError(name, f"proto: more than {MOST_PARTS} parts in one message")
        value: T = convert.value(read)
    except DecodeError:
        raise WireError(name, "proto: cannot parse invalid wire-format data") from None
    except WireError:
        raise
    except (ValueError, OverflowError, OSError, RecursionError) as error:
        raise WireError(name, f"proto: {error}") from None
    return value


def _has_too_many_parts(message: Any) -> bool:
    count = 0
    left = [message]
    while left and count <= MOST_PARTS:
        for field, value in left.pop().ListFields():
            if field.is_repeated:
                count += len(value)
                if count > MOST_PARTS:
                    return True
                if field.message_type is not None:
                    items = value.values() if hasattr(value, "values") else value
                    left.extend(item for item in items if isinstance(item, ProtoMessage))
            elif field.message_type is not None:
                count += 1
                left.append(value)
    return count > MOST_PARTS


def _missing(message: Any) -> str:
    first = message.FindInitializationErrors()[0].rpartition(".")[2]
    return f'proto: required field "{first}" not set'
