"""How a call fails: gRPC codes, and which code an error of the rooms below becomes (api.md 4).

A method raises :class:`ApiFailure`; anything else it raises is translated by :func:`failure_of`. The
transports turn code and message into their own form (HTTP status and JSON body, gRPC trailers).
"""

import asyncio
from enum import IntEnum

from tiphys.kube.errors import ApiError, ClusterUnreachable, UnknownKind
from tiphys.sources.errors import SourceError


class Code(IntEnum):
    """gRPC status codes."""

    OK = 0
    CANCELED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16

    @property
    def title(self) -> str:
        """The name in error texts: ``InvalidArgument``."""
        return "".join(word.capitalize() for word in self.name.split("_")) if self is not Code.OK else "OK"


class ApiFailure(Exception):
    """A call failed: ``code`` for programs, ``message`` for people (never a secret)."""

    def __init__(self, code: Code, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


def unknown(message: str) -> ApiFailure:
    """A plain error of the reference: code Unknown, HTTP 500."""
    return ApiFailure(Code.UNKNOWN, message)


def invalid_argument(message: str) -> ApiFailure:
    """What was sent cannot be right: HTTP 400."""
    return ApiFailure(Code.INVALID_ARGUMENT, message)


def not_found(message: str) -> ApiFailure:
    """The object is not there: HTTP 404."""
    return ApiFailure(Code.NOT_FOUND, message)


def failed_precondition(message: str) -> ApiFailure:
    """Not in this state: HTTP 400."""
    return ApiFailure(Code.FAILED_PRECONDITION, message)


def unimplemented(message: str) -> ApiFailure:
    """Not offered here: HTTP 501."""
    return ApiFailure(Code.UNIMPLEMENTED, message)


def unauthenticated(message: str) -> ApiFailure:
    """No or no valid credentials: HTTP 401."""
    return ApiFailure(Code.UNAUTHENTICATED, message)


def permission_denied(message: str = "permission denied") -> ApiFailure:
    """HTTP 403; without a message the masked style, which tells nothing of what exists (api.md 4)."""
    return ApiFailure(Code.PERMISSION_DENIED, message)


_OF_KUBERNETES = {
    "NotFound": Code.NOT_FOUND,
    "AlreadyExists": Code.ALREADY_EXISTS,
    "Invalid": Code.INVALID_ARGUMENT,
    "MethodNotAllowed": Code.UNIMPLEMENTED,
    "ServiceUnavailable": Code.UNAVAILABLE,
    "BadRequest": Code.FAILED_PRECONDITION,
    "Unauthorized": Code.UNAUTHENTICATED,
    "Forbidden": Code.PERMISSION_DENIED,
    "Timeout": Code.DEADLINE_EXCEEDED,
    "ServerTimeout": Code.UNAVAILABLE,
    "Conflict": Code.ABORTED,
    "TooManyRequests": Code.RESOURCE_EXHAUSTED,
    "InternalError": Code.INTERNAL,
}

_BY_TITLE = {code.title: code for code in Code}


def failure_of(error: BaseException) -> ApiFailure:
    """The failure that an error of the rooms below is for a client (api.md 4).

    An error nobody foresaw is Internal, and its text stays in the log.
    """
    if isinstance(error, ApiFailure):
        return error
    if isinstance(error, ApiError) and not isinstance(error, UnknownKind):
        return ApiFailure(_OF_KUBERNETES.get(error.reason, Code.UNKNOWN), error.message)
    if isinstance(error, SourceError):
        if error.message == "repository not found":
            return not_found(error.message)
        return ApiFailure(_BY_TITLE.get(error.code, Code.UNKNOWN), error.message)
    if isinstance(error, (ClusterUnreachable, UnknownKind)):
        return unknown(str(error))
    if isinstance(error, asyncio.CancelledError):
        return ApiFailure(Code.CANCELED, "context canceled")
    if isinstance(error, TimeoutError):
        return ApiFailure(Code.DEADLINE_EXCEEDED, "context deadline exceeded")
    return ApiFailure(Code.INTERNAL, "internal error; the server's log has the cause")
