"""What can go wrong between us and an API server, as types with fields.

Two families: :class:`ApiError`, the server answered and refused (one subclass for each reason that
callers treat differently), and :class:`ClusterUnreachable`, there was no answer. Texts are the
server's own messages, which is what people know from kubectl; they never hold credentials.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from tiphys.resources.identity import GVK


class KubeError(Exception):
    """Anything this room raises on purpose."""


class ApiError(KubeError):
    """The API server refused a request.

    Attributes:
        status: HTTP status code.
        reason: machine-readable reason (``NotFound``, ``Invalid``, …), may be empty.
        message: the server's sentence.
        details: ``details`` of the Status object (``causes`` name the fields), may be empty.
        retry_after: seconds the server asks us to wait, or ``None``.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.details: Mapping[str, Any] = details or {}
        self.retry_after = retry_after


class BadRequest(ApiError):
    """400: the server could not read what was sent."""


class Unauthorized(ApiError):
    """401: the credentials are missing, wrong or expired."""


class Forbidden(ApiError):
    """403: the credentials do not permit this."""


class NotFound(ApiError):
    """404: the object (or the whole resource) is not there."""


class Conflict(ApiError):
    """409: somebody else changed the object, or another manager owns a field."""


class AlreadyExists(ApiError):
    """409 on create: an object of this name is there."""


class Gone(ApiError):
    """410: the resourceVersion or continue token is too old; list again."""


class Invalid(ApiError):
    """422: the object breaks a rule of its schema; ``details["causes"]`` names the fields."""


class TooManyRequests(ApiError):
    """429: still refused after the retries; ``retry_after`` says for how long."""


class UnknownKind(ApiError):
    """The server does not serve this kind (yet): no matching CRD or API group.

    ``why``: what is wrong with the API group, where it is there and does not answer.
    """

    def __init__(self, gvk: GVK, why: str = "") -> None:
        text = f'no matches for kind "{gvk.kind}" in version "{gvk.api_version}"'
        super().__init__(404, "NoKindMatch", f"{text}: {why}" if why else text)
        self.gvk = gvk
        self.why = why


class ClusterUnreachable(KubeError):
    """No answer: connection refused, TLS failure, time-out, broken stream, no credentials.

    Attributes:
        server: URL of the API server.
        why: the cause in words.
        sent: whether the request may have reached the server (a write may have been done).
    """

    def __init__(self, server: str, why: str, *, sent: bool = False) -> None:
        super().__init__(f"cluster {server} is unreachable: {why}")
        self.server = server
        self.why = why
        self.sent = sent


class CredentialsUnavailable(ClusterUnreachable):
    """Credentials could not be had: unreadable token file, failing exec plugin."""


class ConnectionSettingsError(KubeError):
    """A kubeconfig or cluster Secret cannot be used; ``where`` names it."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.where = where
        self.why = why


class StatusObject(msgspec.Struct, rename="camel", frozen=True):
    """A ``meta/v1 Status`` as the server sends it (in answers and in watch ERROR events)."""

    status: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0
    details: dict[str, Any] | None = None


_BY_REASON: Mapping[str, type[ApiError]] = {
    "AlreadyExists": AlreadyExists,
    "Expired": Gone,
    "Gone": Gone,
}
_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


def api_error(status: int, body: bytes, retry_after: float | None = None) -> ApiError:
    """The typed error of an answer that is not 2xx.

    ``body`` is a Status object, or anything at all (a proxy's HTML): then its start is the message.
    """
    try:
        decoded = msgspec.json.decode(body, type=StatusObject)
    except (msgspec.DecodeError, UnicodeDecodeError):
        decoded = StatusObject(message=body[:200].decode("utf-8", "replace").strip())
    return from_status(decoded, status, retry_after)


def from_status(answer: StatusObject, status: int = 0, retry_after: float | None = None) -> ApiError:
    """The typed error of a Status object; ``status`` is the HTTP code where there is one."""
    code = status or answer.code or 500
    details = answer.details or {}
    seconds = details.get("retryAfterSeconds")
    if retry_after is None and isinstance(seconds, int) and seconds > 0:
        retry_after = float(seconds)
    kind = _BY_REASON.get(answer.reason) or _BY_STATUS.get(code, ApiError)
    message = answer.message or f"the server answered with HTTP status {code}"
    return kind(code, answer.reason, message, details, retry_after)
