"""Passing a request on to a service and its answer back, piece by piece.

    client ──body──▶ parts ──▶ service ──head, parts──▶ client

Nothing is held: whoever is slow slows the other one down. There is no limit to how long a service takes,
as in the reference; the client's leaving ends the request at once (the handler is cancelled). A service
that cannot be reached, or that breaks off before it answered, is a 502; one that breaks off later leaves
the client with a broken answer, not with one that looks whole.
"""

import asyncio
from collections.abc import Awaitable, Sequence

import aiohttp
import msgspec
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from tiphys.server.extensions.backends import Backend
from tiphys.server.extensions.headers import returned_headers
from tiphys.server.http.bodies import BodyProblem, body_parts
from tiphys.server.http.gateway import closing
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)


class Forward(msgspec.Struct, frozen=True, eq=False):
    """A request as the service is to get it.

    Attributes:
        target: path and query as they were sent, beginning with a slash.
        cookies: ``Set-Cookie`` headers of ours for the answer.
        body_seconds: longest pause between two parts of the body.
        write_seconds: longest time that the client may leave a part of the answer unread.
    """

    backend: Backend
    target: str
    headers: CIMultiDict[str]
    cookies: Sequence[str] = ()
    body_seconds: float = 60.0
    write_seconds: float = 60.0

    @property
    def url(self) -> URL:
        return URL(self.backend.way.origin + self.target, encoded=True)


async def pass_on(request: web.Request, forward: Forward) -> web.StreamResponse:
    """Make the request, and the answer of the service the answer of ours.

    Raises:
        ConnectionError: the answer broke off, or the client left; the client is disconnected.
        BodyProblem: the client's body did not arrive, before there was an answer.
    """
    body = _Body(request, forward.body_seconds) if request.can_read_body else None
    with forward.backend.using() as (session, is_last):
        headers = forward.headers.copy()
        if is_last:
            headers["Connection"] = "close"
        response: web.StreamResponse | None = None
        try:
            async with session.request(
                request.method, forward.url, headers=headers, data=body, allow_redirects=False
            ) as answer:
                response = _begun(answer, forward.cookies)
                client = _Client(request, response, forward.write_seconds)
                await client.begin()
                async for part in answer.content.iter_any():
                    await client.write(part)
                await client.end()
                if body is not None and not request.content.at_eof():
                    answer.close()  # it was answered without being read; nobody waits for the rest
                return response
        except _ClientLeft:
            raise ConnectionError("the client left") from None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            has_begun = response is not None and response.prepared
            if body is not None and body.problem and not has_begun:
                raise body.problem from None
            log.warning(
                "an extension's service failed: %s",
                type(error).__name__,
                extra={"service": forward.backend.way.origin},
            )
            if not has_begun:
                return _bad_gateway(request, forward.cookies)
            _cut(request)
            raise ConnectionError("the answer broke off") from None


class _ClientLeft(Exception):
    """The client is gone, or took nothing for too long."""


class _Client:
    """The answer to the client; whatever is wrong with it is :class:`_ClientLeft`."""

    def __init__(self, request: web.Request, response: web.StreamResponse, seconds: float):
        self._request = request
        self._response = response
        self._seconds = seconds

    async def begin(self) -> None:
        await self._within(self._response.prepare(self._request))

    async def write(self, part: bytes) -> None:
        await self._within(self._response.write(part))

    async def end(self) -> None:
        await self._within(self._response.write_eof())

    async def _within(self, step: Awaitable[object]) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await step
        except (TimeoutError, OSError):
            _cut(self._request)
            raise _ClientLeft from None


def _cut(request: web.Request) -> None:
    """Disconnect, so that half of an answer is not taken for a whole one."""
    if request.transport is not None:
        request.transport.abort()


class _Body:
    """The client's body as it arrives, once: the client library would try some requests again, with the
    rest of a body. ``problem`` is what was wrong with it, since the library makes something else of it."""

    def __init__(self, request: web.Request, seconds: float):
        self._parts = body_parts(request, seconds=seconds, whole=False)
        self._is_begun = False
        self.problem: BodyProblem | None = None

    def __aiter__(self) -> "_Body":
        if self._is_begun:
            raise ConnectionError("the body is gone")
        self._is_begun = True
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._parts)
        except BodyProblem as problem:
            self.problem = problem
            raise


def _begun(answer: aiohttp.ClientResponse, cookies: Sequence[str]) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, reason=answer.reason)
    for name, value in returned_headers(answer.headers):
        response.headers.add(name, value)
    for cookie in cookies:
        response.headers.add("Set-Cookie", cookie)
    return response


def _bad_gateway(request: web.Request, cookies: Sequence[str]) -> web.Response:
    response = closing(web.Response(status=502), request)
    for cookie in cookies:
        response.headers.add("Set-Cookie", cookie)
    return response
