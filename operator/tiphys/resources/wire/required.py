"""Required fields of proto2 requests, as the sender of a message sees them (api.md 3, 6).

The reference's gateway is a gRPC client, so a REST call that lacks a required field fails where that client
writes the message: before anybody is asked for credentials. Its generated code writes the last field
first, so of several missing fields the one with the highest number is named.

Pure: a message in, a text out. Only the attributes that can matter are looked at; nothing is encoded.
"""

from functools import cache

import msgspec

from tiphys.resources.wire.fields import Field, Kind, Many, messages


def missing_required(message: msgspec.Struct) -> str:
    """What a gRPC client says of a message that lacks a required field, or ``""``."""
    for field, kind in _demands(type(message)):
        value = getattr(message, field.attribute)
        if value is None:
            if field.required:
                return f'proto: required field "{field.name}" not set'
        elif kind is not None:
            for inner in reversed(value) if field.many is Many.LIST else (value,):
                missing = missing_required(inner)
                if missing:
                    return missing
    return ""


@cache
def _demands(kind: Kind) -> tuple[tuple[Field, Kind | None], ...]:
    """The fields to look at, the last one first; a struct comes with those that have demands themselves."""
    known = messages()
    message = known.message(known.name_of(kind))
    package = message.full_name.rpartition(".")[0]
    found: list[tuple[Field, Kind | None]] = []
    for field in reversed(message.fields):
        inner = field.struct if field.many is not Many.MAP and not field.lifted else None
        # Only requests have required fields, never what they carry of other packages.
        if inner is not None and known.name_of(inner).rpartition(".")[0] != package:
            inner = None
        demanding = inner if inner is not None and _demands(inner) else None
        if field.required or demanding is not None:
            found.append((field, demanding))
    return tuple(found)
