"""How the outcome of a call is written as an HTTP answer (api.md 3, 4). Pure but for aiohttp's types."""

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson
from aiohttp import web

from tiphys.server.api.failures import ApiFailure, Code

JSON = "application/json"

HTTP_STATUS: Mapping[Code, int] = {
    Code.OK: 200,
    Code.CANCELED: 408,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}

_PHRASES: Mapping[int, str] = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    409: "Conflict",
    429: "Too Many Requests",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class ErrorBody(msgspec.Struct, frozen=True):
    """The body of a failed call."""

    error: str
    code: int
    message: str


def escaped(encoded: bytes) -> bytes:
    """JSON with what HTML could misread escaped, as Go writes it."""
    if b"<" in encoded or b">" in encoded or b"&" in encoded:
        encoded = encoded.replace(b"<", rb"\u003c").replace(b">", rb"\u003e").replace(b"&", rb"\u0026")
    if b"\xe2\x80" in encoded:
        encoded = encoded.replace(b"\xe2\x80\xa8", rb"\u2028").replace(b"\xe2\x80\xa9", rb"\u2029")
    return encoded


def encode_plain(value: Any, *, sort: bool = False) -> bytes:
    """JSON of builtin values, escaped as Go does."""
    return escaped(orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort else 0))


def failure_body(failure: ApiFailure) -> bytes:
    """The JSON body of a failed call."""
    text = _sound(failure.message)
    return escaped(msgspec.json.encode(ErrorBody(text, int(failure.code), text)))


def failure_answer(failure: ApiFailure, headers: Mapping[str, str] | None = None) -> web.Response:
    """The answer of a failed call that has written nothing yet."""
    return web.Response(
        status=HTTP_STATUS[failure.code],
        body=failure_body(failure),
        headers={"Content-Type": JSON, **(headers or {})},
    )


def stream_failure(failure: ApiFailure) -> bytes:
    """The last element of a stream that failed after it began."""
    status = HTTP_STATUS[failure.code]
    error = {
        "grpc_code": int(failure.code),
        "http_code": status,
        "message": _sound(failure.message),
        "http_status": _PHRASES.get(status, ""),
    }
    return encode_plain({"error": error})


def plain(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """A short text, with the line end that the reference's server puts behind such texts."""
    return web.Response(
        status=status,
        text=text + "\n",
        headers={
            "Content-Type": "text/plain; charset=utf-8",
            "X-Content-Type-Options": "nosniff",
            **(headers or {}),
        },
    )


def _sound(text: str) -> str:
    """The text without lone surrogates, which no encoding can carry."""
    return text.encode("utf-8", "replace").decode()
