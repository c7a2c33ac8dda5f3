"""The methods by their path, each with how its messages are decoded and encoded."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import msgspec

from tiphys.resources.wire.codec import decode, encode
from tiphys.resources.wire.errors import WireError
from tiphys.server.api.failures import ApiFailure, Code
from tiphys.server.api.rpc import Method


class Bound(msgspec.Struct, frozen=True):
    """A method as the transport sees it.

    Attributes:
        decode: bytes → request; raises ApiFailure (Internal) for bytes that are no such message.
        encode: answer → bytes.
    """

    method: Method
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]


Table = Mapping[str, Bound]


def table_of(methods: Iterable[Method]) -> dict[str, Bound]:
    """All methods by path."""
    return {method.path: Bound(method, partial(_decode, method.request), _encode) for method in methods}


def _decode(kind: type[msgspec.Struct], data: bytes) -> msgspec.Struct:
    try:
        return decode(kind, data)
    except WireError as error:
        raise ApiFailure(Code.INTERNAL, f"grpc: error unmarshalling request: {error.problem}") from error


def _encode(message: msgspec.Struct) -> bytes:
    try:
        return encode(message)
    except WireError as error:
        # What the reference's library says of a required field that is missing (api.md 6).
        raise ApiFailure(Code.INTERNAL, f"grpc: error while marshaling: {error.problem}") from error


def find(table: Table, path: str) -> Bound:
    """The method of a path.

    Raises:
        ApiFailure: Unimplemented; the texts are those of the reference's gRPC library.
    """
    bound = table.get(path)
    if bound is not None:
        return bound
    service, slash, name = path[1:].rpartition("/")
    if not path.startswith("/") or not slash:
        raise ApiFailure(Code.UNIMPLEMENTED, f'malformed method name: "{path[:200]}"')
    if any(known.startswith(f"/{service}/") for known in table):
        raise ApiFailure(Code.UNIMPLEMENTED, f"unknown method {name[:200]} for service {service[:200]}")
    raise ApiFailure(Code.UNIMPLEMENTED, f"unknown service {service[:200]}")
