"""A websocket through an extension: the service's on one side, the client's on the other.

The service is asked first; only if it agrees, and proves that it speaks the protocol, is the client's request
for a websocket taken, with the subprotocol that the service chose. Then bytes go both ways as they come,
until one end closes its connection, or the caller's rights are gone: they are asked for again with each
pause. Nothing is held but what is on its way: whoever is slow slows the other one down.
"""

import asyncio
import base64
import hashlib
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress

import aiohttp
import msgspec
from aiohttp import WSCloseCode, hdrs, web
from aiohttp.base_protocol import BaseProtocol
from multidict import CIMultiDict

from tiphys.server.extensions.frames import Frames, close_frame
from tiphys.server.extensions.proxy import Forward
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

HELD_BYTES = 64 * 1024
CLOSE_SECONDS = 2.0
LOOK_SECONDS = 5.0
"""Between two looks at whether the caller still may."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_HANDSHAKE = (
    hdrs.CONTENT_LENGTH,
    hdrs.SEC_WEBSOCKET_KEY,
    hdrs.SEC_WEBSOCKET_VERSION,
    hdrs.SEC_WEBSOCKET_EXTENSIONS,
    hdrs.SEC_WEBSOCKET_PROTOCOL,
)
"""Of the client's handshake; the service's is another one, without a body."""


def is_websocket(request: web.Request) -> bool:
    """Whether the client asks for a websocket."""
    return request.method == "GET" and request.headers.get("Upgrade", "").lower() == "websocket"


async def join(
    request: web.Request, forward: Forward, may_go_on: Callable[[], Awaitable[bool]]
) -> web.StreamResponse:
    """The websocket, or the service's refusal."""
    if not web.WebSocketResponse().can_prepare(request):
        return web.Response(status=400)
    asked = [
        each.strip()
        for value in request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, [])
        for each in value.split(",")
        if each.strip()
    ]
    key = base64.b64encode(os.urandom(16)).decode()
    with forward.backend.using() as (session, _):
        try:
            answer = await session.request(
                "GET", forward.url, headers=_asking(forward, key, asked), allow_redirects=False
            )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            log.warning(
                "an extension's service failed: %s",
                type(error).__name__,
                extra={"service": forward.backend.way.origin},
            )
            return web.Response(status=502)
        response: web.StreamResponse | None = None
        try:
            if answer.status != 101:
                return web.Response(status=answer.status if answer.status >= 400 else 502)
            if not _agrees(answer, key) or answer.connection is None:
                return web.Response(status=502)
            chosen = answer.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "").strip()
            response = _taking(request, chosen if chosen in asked else "", forward)
            await response.prepare(request)
            service, client = answer.connection.protocol, request.protocol
            if service is not None and service.transport is not None and client.transport is not None:
                ends = _End.of(client, masked=False), _End.of(service, masked=True)
                client.set_parser(ends[0].came)  # type: ignore[arg-type]
                service.set_parser(ends[1].came, ends[1].came.reader)
                await _relay(*ends, may_go_on)
            return response
        finally:
            answer.close()
            if response is not None and request.transport is not None:
                request.transport.close()


def _asking(forward: Forward, key: str, protocols: list[str]) -> CIMultiDict[str]:
    headers = forward.headers.copy()
    for name in _HANDSHAKE:
        headers.popall(name, None)
    headers[hdrs.UPGRADE] = "websocket"
    headers[hdrs.CONNECTION] = "Upgrade"
    headers[hdrs.SEC_WEBSOCKET_VERSION] = "13"
    headers[hdrs.SEC_WEBSOCKET_KEY] = key
    if protocols:
        headers[hdrs.SEC_WEBSOCKET_PROTOCOL] = ", ".join(protocols)
    return headers


def _agrees(answer: aiohttp.ClientResponse, key: str) -> bool:
    """Whether it is an answer to this handshake, which asked for no extensions."""
    return (
        answer.headers.get(hdrs.UPGRADE, "").lower() == "websocket"
        and answer.headers.get(hdrs.SEC_WEBSOCKET_ACCEPT, "") == accepted(key)
        and hdrs.SEC_WEBSOCKET_EXTENSIONS not in answer.headers
    )


def accepted(key: str) -> str:
    """The proof that a key was read (RFC 6455, 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


def _taking(request: web.Request, protocol: str, forward: Forward) -> web.StreamResponse:
    response = _Switching()
    response.headers[hdrs.UPGRADE] = "websocket"
    response.headers[hdrs.CONNECTION] = "Upgrade"
    response.headers[hdrs.SEC_WEBSOCKET_ACCEPT] = accepted(request.headers[hdrs.SEC_WEBSOCKET_KEY].strip())
    if protocol:
        response.headers[hdrs.SEC_WEBSOCKET_PROTOCOL] = protocol
    for cookie in forward.cookies:
        response.headers.add(hdrs.SET_COOKIE, cookie)
    return response


class _Switching(web.StreamResponse):
    """The head of an answer after which no HTTP follows."""

    _length_check = False

    def __init__(self) -> None:
        super().__init__(status=101)


class _Bytes:
    """What comes of one connection, as it comes; in the place of a parser of aiohttp's."""

    def __init__(self, protocol: BaseProtocol) -> None:
        self.reader = aiohttp.StreamReader(protocol, HELD_BYTES, loop=asyncio.get_running_loop())

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.reader.feed_data(data)
        return False, b""

    def feed_eof(self) -> None:
        self.reader.feed_eof()


class _End(msgspec.Struct, eq=False):
    """One side of the relay.

    Attributes:
        came: what it says.
        frames: of what was written to it.
        masked: it gets the frames of a client.
    """

    protocol: BaseProtocol
    came: _Bytes
    frames: Frames
    masked: bool

    @classmethod
    def of(cls, protocol: BaseProtocol, *, masked: bool) -> "_End":
        return cls(protocol, _Bytes(protocol), Frames(), masked)

    def write(self, data: bytes) -> None:
        """Raises ConnectionError: it is gone."""
        if self.protocol.transport is None:
            raise ConnectionError("the other end is gone")
        self.frames.feed(data)
        self.protocol.transport.write(data)

    async def gone(self) -> None:
        """Wait until it has closed its connection."""
        while not self.came.reader.at_eof():
            await self.came.reader.readany()

    def close(self, code: int) -> None:
        """Say good-bye, unless a frame is on its way: then it ends in the middle."""
        if self.frames.is_between:
            with suppress(ConnectionError):
                self.write(close_frame(code, masked=self.masked))


async def _relay(client: _End, service: _End, may_go_on: Callable[[], Awaitable[bool]]) -> None:
    """Bytes both ways until one end is gone, or the caller has to go."""
    copies = [asyncio.create_task(_copy(client, service)), asyncio.create_task(_copy(service, client))]
    watch = asyncio.create_task(_watch(may_go_on))
    tasks = (*copies, watch)
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if watch in done and not done.intersection(copies):
        if (error := watch.exception()) is not None:
            log.error("an extension's websocket ends: whether its caller may go on is not known: %s", error)
        client.close(WSCloseCode.POLICY_VIOLATION)
        service.close(WSCloseCode.POLICY_VIOLATION)
        with suppress(TimeoutError, aiohttp.ClientError, ConnectionError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await service.gone()


async def _watch(may_go_on: Callable[[], Awaitable[bool]]) -> None:
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if not await may_go_on():
            return


async def _copy(source: _End, target: _End) -> None:
    """Until the source ends or the target is gone."""
    with suppress(ConnectionError):
        while data := await source.came.reader.readany():
            target.write(data)
            await target.protocol._drain_helper()
