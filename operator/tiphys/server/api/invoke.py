"""Calling a method: the steps every call takes, whichever transport it came by (api.md 2).

Order: unescape path-like fields, measure and log, authenticate, check the client's version, run the
method, translate its failure. Payloads are never logged.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Protocol
from urllib.parse import unquote_plus

import msgspec

from tiphys.access.identity import Authentication
from tiphys.server.api.agents import check_client
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import (
    ApiFailure,
    Code,
    failure_of,
    unauthenticated,
    unknown,
)
from tiphys.server.api.rpc import Encoded, Method
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)


class Authenticator(Protocol):
    """Checks the credentials of a call (``access``)."""

    async def authenticate(self, metadata: Mapping[str, tuple[str, ...]]) -> Authentication: ...


class Observer(Protocol):
    """Counts calls (``grpc_server_*``)."""

    def started(self, method: Method) -> None: ...
    def received(self, method: Method) -> None: ...
    def sent(self, method: Method) -> None: ...
    def handled(self, method: Method, code: Code, seconds: float) -> None: ...


class Invoker:
    """Runs methods; one for all transports."""

    def __init__(self, authenticator: Authenticator, observer: Observer):
        self._authenticator = authenticator
        self._observer = observer

    async def unary(self, method: Method, call: Call, request: Any) -> msgspec.Struct | Encoded:
        """The answer of a method with one answer; ``request`` is a message, or an asynchronous
        iterator of messages for a client stream.

        Raises:
            ApiFailure: whatever went wrong.
        """
        begin = time.monotonic()
        code = Code.UNKNOWN
        self._observer.started(method)
        try:
            if not method.client_streaming:
                self._observer.received(method)
                request = unescaped(request)
            await self._admit(method, call)
            async with _until(call.deadline):
                answer: msgspec.Struct | Encoded = await method.handler(call, request)
            code = Code.OK
            self._observer.sent(method)
            return answer
        except BaseException as error:
            failure = _failed(method, call, error)
            code = failure.code
            raise failure from error
        finally:
            self._finish(method, call, code, begin)

    async def stream(self, method: Method, call: Call, request: Any) -> AsyncIterator[msgspec.Struct]:
        """The answers of a method that streams.

        Raises:
            ApiFailure: whatever went wrong; before or after the first answer.
        """
        begin = time.monotonic()
        code = Code.UNKNOWN
        self._observer.started(method)
        try:
            self._observer.received(method)
            await self._admit(method, call)
            answers: AsyncIterator[msgspec.Struct] = method.handler(call, request)
            try:
                async with _until(call.deadline):
                    async for answer in answers:
                        self._observer.sent(method)
                        yield answer
            finally:
                await answers.aclose()  # type: ignore[attr-defined]
            code = Code.OK
        except GeneratorExit:
            code = Code.CANCELED
            raise
        except BaseException as error:
            failure = _failed(method, call, error)
            code = failure.code
            raise failure from error
        finally:
            self._finish(method, call, code, begin)

    async def admit(self, method: Method, call: Call) -> None:
        """Let a caller in before the request is there: a transport may ask this before it receives a
        large message. The call itself asks again.

        Raises:
            ApiFailure: the caller is refused.
        """
        try:
            await self._admit(method, call)
        except Exception as error:
            raise _failed(method, call, error) from error

    async def _admit(self, method: Method, call: Call) -> None:
        outcome = await self._authenticator.authenticate(call.metadata)
        if outcome.problem and not method.tolerant:
            raise unauthenticated(outcome.problem)
        call.identity = outcome.identity
        if outcome.renewed_token:
            call.headers["renew-token"] = outcome.renewed_token
            call.renewed_state = outcome.renewed_state
        check_client(call.metadata.get("user-agent", ()))

    def _finish(self, method: Method, call: Call, code: Code, begin: float) -> None:
        seconds = time.monotonic() - begin
        self._observer.handled(method, code, seconds)
        log.info(
            "finished call",
            extra={
                "grpc_service": f"{method.package}.{method.service}",
                "grpc_method": method.name,
                "grpc_code": code.title,
                "grpc_time_ms": round(seconds * 1000, 3),
                "peer": call.peer,
                "transport": call.transport,
            },
        )


def _failed(method: Method, call: Call, error: BaseException) -> ApiFailure:
    failure = failure_of(error)
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise error
    if call.late is not None and isinstance(error, TimeoutError):
        return call.late
    if failure.code is Code.INTERNAL and not isinstance(error, ApiFailure):
        log.exception("a method failed", extra={"grpc_method": method.path, "peer": call.peer})
    return failure


class _Unlimited:
    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        return None


def _until(deadline: float | None) -> Any:
    return _Unlimited() if deadline is None else asyncio.timeout_at(deadline)


_ESCAPED: dict[str, tuple[str, ...]] = {
    "RepoQuery": ("repo",),
    "RepoAppsQuery": ("repo",),
    "RepoAppDetailsQuery": ("source", "repo_url"),
    "RepoUpdateRequest": ("repo", "repo"),
    "RepoCredsQuery": ("url",),
    "RepoCredsDeleteRequest": ("url",),
    "ClusterQuery": ("id", "value"),
    "ClusterUpdateRequest": ("id", "value"),
}


def unescaped(request: Any) -> Any:
    """The request with its URL-like fields unescaped (api.md 1); ``+`` becomes a space.

    Raises:
        ApiFailure: Unknown, for a bad ``%`` sequence.
    """
    path = _ESCAPED.get(type(request).__name__)
    return request if path is None else _change(request, path, _query_unescape)


def _change(value: Any, path: tuple[str, ...], change: Callable[[str], str]) -> Any:
    if value is None:
        return None
    name, *rest = path
    inner = getattr(value, name)
    new = _change(inner, tuple(rest), change) if rest else change(inner or "")
    return value if new == inner else msgspec.structs.replace(value, **{name: new})


def _query_unescape(text: str) -> str:
    bad = re.search(r"%(?![0-9A-Fa-f]{2}).{0,2}", text)
    if bad is not None:
        raise unknown(f'invalid URL escape "{bad[0]}"')
    return unquote_plus(text)
