"""A websocket through an extension: the service's on one side, the client's on the other.

The service is asked first; only if it agrees is the client's request for a websocket taken, with the
subprotocol that the service chose. Then messages go both ways, one at a time for each, until one end says
good-bye, or the caller's rights are gone: they are asked for again with each pause. Frames are read and
written anew, so that nothing but frames gets through.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import aiohttp
from aiohttp import WSCloseCode, WSMsgType, web

from tiphys.server.extensions.proxy import Forward
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
CLOSE_SECONDS = 2.0
LOOK_SECONDS = 5.0
"""Between two looks at whether the caller still may."""

_HANDSHAKE = (
    "Content-Length",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Protocol",
)
"""Of the client's handshake; the service's is another one, without a body."""

Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


def is_websocket(request: web.Request) -> bool:
    """Whether the client asks for a websocket."""
    return request.method == "GET" and request.headers.get("Upgrade", "").lower() == "websocket"


async def join(
    request: web.Request, forward: Forward, may_go_on: Callable[[], Awaitable[bool]]
) -> web.StreamResponse:
    """The websocket, or the service's refusal."""
    asked = [
        each.strip()
        for value in request.headers.getall("Sec-WebSocket-Protocol", [])
        for each in value.split(",")
        if each.strip()
    ]
    headers = forward.headers.copy()
    for name in _HANDSHAKE:
        headers.popall(name, None)
    with forward.backend.using() as (session, _):
        try:
            service = await session.ws_connect(
                forward.url,
                headers=headers,
                protocols=asked,
                autoping=False,
                max_msg_size=MAX_MESSAGE_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
            )
        except aiohttp.WSServerHandshakeError as error:
            return web.Response(status=error.status if error.status >= 400 else 502)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            log.warning(
                "an extension's service failed: %s",
                type(error).__name__,
                extra={"service": forward.backend.way.origin},
            )
            return web.Response(status=502)
        async with service:
            client = web.WebSocketResponse(
                autoping=False,
                compress=False,
                max_msg_size=MAX_MESSAGE_BYTES,
                timeout=CLOSE_SECONDS,
                protocols=[service.protocol] if service.protocol else (),
            )
            if not client.can_prepare(request):
                return web.Response(status=400)
            for cookie in forward.cookies:
                client.headers.add("Set-Cookie", cookie)
            await client.prepare(request)
            code = await _relay(client, service, may_go_on)
            with suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(CLOSE_SECONDS + 1):
                    await service.close(code=code)
                    await client.close(code=code)
            return client


async def _relay(
    client: web.WebSocketResponse,
    service: aiohttp.ClientWebSocketResponse,
    may_go_on: Callable[[], Awaitable[bool]],
) -> int:
    """Messages both ways until one of them ends; the code to say good-bye with."""
    tasks = [
        asyncio.create_task(_copy(client, service)),
        asyncio.create_task(_copy(service, client)),
        asyncio.create_task(_watch(may_go_on)),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next((task.result() for task in tasks if task in done), WSCloseCode.GOING_AWAY)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _watch(may_go_on: Callable[[], Awaitable[bool]]) -> int:
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if not await may_go_on():
            return WSCloseCode.POLICY_VIOLATION


async def _copy(source: Socket, target: Socket) -> int:
    """Messages of one end to the other, until the one ends; with which code it did."""
    try:
        while True:
            message = await source.receive()
            if message.type is WSMsgType.TEXT:
                await target.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await target.send_bytes(message.data)
            elif message.type is WSMsgType.PING:
                await target.ping(message.data)
            elif message.type is WSMsgType.PONG:
                await target.pong(message.data)
            else:
                return _sendable(source.close_code)
    except ConnectionError:
        return WSCloseCode.GOING_AWAY


def _sendable(code: int | None) -> int:
    """A code that may stand in a frame."""
    if code is None or code in (1005, 1006, 1015) or not 1000 <= code < 5000:
        return WSCloseCode.OK if code == 1005 else WSCloseCode.GOING_AWAY
    return code
