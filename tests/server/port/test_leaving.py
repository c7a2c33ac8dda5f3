"""The end of the port: what is on the way goes on, whoever comes anew hears 503 (api.md 1 "/healthz")."""

from __future__ import annotations

import asyncio

from aiohttp import web

from tests.server.port.running import Fixed, Wire, trusting
from tests.server.port.running import running as running_port
from tiphys.server.http.options import ExtraRoute, HttpOptions

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


class Slow:
    """A request that waits until it may end."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()

    async def handle(self, _: web.Request) -> web.StreamResponse:
        self.begun.set()
        await self.may_end.wait()
        return web.Response(text="done\n")

    @property
    def options(self) -> HttpOptions:
        return HttpOptions(extra_routes=(ExtraRoute("/slow", self.handle),))


async def leave(certificates: Fixed | None) -> None:
    slow, context = Slow(), trusting() if certificates else None
    running = running_port(certificates, slow.options, grace=20.0)
    port = await running.__aenter__()
    idle, working = await port.open(context), await port.open(context)
    assert await idle.request(HEALTH) == (200, b"ok\n")
    on_the_way = asyncio.create_task(working.request(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"))
    await slow.begun.wait()
    ending = asyncio.create_task(running.__aexit__(None, None, None))
    assert await idle.rest() == b""  # what is idle is closed: the end has begun
    probe: Wire = await port.open(context)
    assert await probe.request(HEALTH) == (503, b"")
    assert await probe.rest() == b""
    other = await port.open(context)
    assert await other.request(b"GET /api/version HTTP/1.1\r\nHost: a\r\n\r\n") == (
        503,
        b"Service Unavailable\n",
    )
    assert not on_the_way.done()
    slow.may_end.set()
    assert await on_the_way == (200, b"done\n")
    await ending
    try:
        await port.open(context)
    except ConnectionRefusedError:
        return
    raise AssertionError("somebody still listens")


async def test_leaving() -> None:
    await leave(None)


async def test_leaving_with_tls() -> None:
    await leave(Fixed())


async def test_new_http2_connections_are_let_go() -> None:
    slow = Slow()
    running = running_port(None, slow.options, grace=20.0)
    port = await running.__aenter__()
    working = await port.open()
    on_the_way = asyncio.create_task(working.request(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"))
    await slow.begun.wait()
    idle = await port.open()
    assert await idle.request(HEALTH) == (200, b"ok\n")
    ending = asyncio.create_task(running.__aexit__(None, None, None))
    assert await idle.rest() == b""
    assert await port.say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == b""
    assert port.http2.got == []
    slow.may_end.set()
    await on_the_way
    await ending
