"""Reading API objects: one pass from JSON bytes (or from an already decoded manifest).

Unknown fields are skipped, never refused: an object written by a newer version, or with fields
of somebody else's CRD, is still readable. Our writes are patches of single fields, so what was
skipped here survives in the cluster.

Go reads ``null`` as "empty" everywhere, msgspec does not; objects with such nulls are rare (old
clients write ``creationTimestamp: null``), so they take a second, slower pass.
"""

from functools import cache
from typing import TypeVar

import msgspec

from tiphys.resources.errors import InvalidObject
from tiphys.resources.identity import Manifest

T = TypeVar("T", bound=msgspec.Struct)

# Members that hold anything; a null inside means something there (Helm: "unset this value").
_FREE_JSON = frozenset({"valuesObject", "elements", "input"})


@cache
def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(kind)


def decode_as(kind: type[T], body: bytes | Manifest) -> T:
    """Read ``body`` as ``kind``.

    Raises:
        InvalidObject: it is no JSON, or a field has the wrong type; the error names the field.
    """
    try:
        if isinstance(body, bytes):
            decoded: T = _decoder(kind).decode(body)
            return decoded
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        first = error
    except msgspec.DecodeError as error:
        raise InvalidObject(kind.__name__, "", str(error)) from None
    try:
        plain = msgspec.json.decode(body) if isinstance(body, bytes) else body
        return msgspec.convert(_without_nulls(plain), kind)
    except msgspec.ValidationError:
        problem, _, path = str(first).partition(" - at `$")
        raise InvalidObject(kind.__name__, path.rstrip("`").lstrip("."), problem) from None


def _without_nulls(value: object) -> object:
    """A copy without the members of objects that are ``null`` (list items and free JSON stay)."""
    if isinstance(value, dict):
        return {
            key: item if key in _FREE_JSON else _without_nulls(item)
            for key, item in value.items()
            if item is not None
        }
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
