"""Headers of a gRPC call: what a client sent → the context of the call, and the status → trailers."""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping

import msgspec

from tiphys.server.api.failures import ApiFailure, Code

Headers = list[tuple[bytes, bytes]]

CONTENT_TYPE = "application/grpc"
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_UNPRINTABLE = re.compile(rb"[^\x20-\x24\x26-\x7e]")
_LONGEST = 4096
"""Characters of a status message; headers have limits, and clients count them before they look."""


class Opening(msgspec.Struct, frozen=True):
    """The headers that open a stream.

    Attributes:
        verb, path, content_type: of the HTTP request.
        metadata: what a method may see (``calls.Call.metadata``).
        encoding: how messages are compressed, ``""`` or ``identity`` for not at all.
        timeout: ``grpc-timeout`` as sent.
    """

    verb: str
    path: str
    content_type: str
    metadata: Mapping[str, tuple[str, ...]]
    encoding: str = ""
    timeout: str = ""


def opening(headers: Iterable[tuple[bytes, bytes]]) -> Opening:
    """Read the headers of a request; binary metadata (``…-bin``) becomes a string of its bytes.

    Raises:
        ApiFailure: Internal, for binary metadata that is not base64.
    """
    pseudo: dict[str, str] = {}
    metadata: dict[str, tuple[str, ...]] = {}
    for raw_key, raw_value in headers:
        key, value = raw_key.decode("latin-1"), raw_value.decode("latin-1")
        if key.startswith(":") or key in ("content-type", "grpc-encoding", "grpc-timeout"):
            pseudo.setdefault(key, value)
        if key.startswith(":"):
            if key == ":authority":
                metadata[key] = (value,)
        else:
            _keep(metadata, key, raw_value)
    return Opening(
        verb=pseudo.get(":method", ""),
        path=pseudo.get(":path", ""),
        content_type=pseudo.get("content-type", ""),
        metadata=metadata,
        encoding=pseudo.get("grpc-encoding", ""),
        timeout=pseudo.get("grpc-timeout", ""),
    )


def metadata_of(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, tuple[str, ...]]:
    """The metadata in the headers of an HTTP/1.1 request (gRPC-web).

    Raises:
        ApiFailure: as :func:`opening`.
    """
    metadata: dict[str, tuple[str, ...]] = {}
    for key, value in headers:
        _keep(metadata, key.decode("latin-1").lower(), value)
    return metadata


def _keep(metadata: dict[str, tuple[str, ...]], key: str, value: bytes) -> None:
    if key.startswith(":"):
        return  # such keys are ours to add (a client's certificate), never a client's
    if key.endswith("-bin"):
        parts = tuple(_binary(part) for part in value.decode("latin-1").split(","))
        metadata[key] = metadata.get(key, ()) + parts
    elif not key.startswith("grpc-") or key == "grpc-timeout":
        metadata[key] = (*metadata.get(key, ()), _text(value))


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _binary(value: str) -> str:
    value = value.strip()
    try:
        data = base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ApiFailure(Code.INTERNAL, "malformed binary metadata") from error
    return data.decode("latin-1")


def seconds(timeout: str) -> float | None:
    """``grpc-timeout`` in seconds; None for none.

    Raises:
        ValueError: it is malformed.
    """
    if not timeout:
        return None
    if re.fullmatch(r"[0-9]{1,8}[HMSmun]", timeout) is None:
        raise ValueError(f'malformed grpc-timeout: "{timeout[:40]}"')
    return int(timeout[:-1]) * _UNITS[timeout[-1]]


def percent_encoded(message: str) -> bytes:
    """``grpc-message``: everything but printable ASCII and ``%`` as ``%XX`` of its UTF-8 bytes."""
    if len(message) > _LONGEST:
        message = message[: _LONGEST - 1] + "…"
    data = message.encode("utf-8", "replace")
    return _UNPRINTABLE.sub(lambda found: b"%%%02X" % found[0][0], data)


def status(code: Code, message: str) -> Headers:
    """The trailers that end a call."""
    trailers = [(b"grpc-status", str(int(code)).encode())]
    if message:
        trailers.append((b"grpc-message", percent_encoded(message)))
    return trailers


def binary_safe(headers: Mapping[str, str]) -> Headers:
    """Response header metadata of a call; values of ``…-bin`` keys as base64."""
    return [
        (
            key.lower().encode(),
            base64.b64encode(value.encode("latin-1")) if key.endswith("-bin") else value.encode(),
        )
        for key, value in headers.items()
    ]
