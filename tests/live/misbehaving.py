"""A reverse proxy in front of an API server that drops, freezes and refuses when told.

It speaks plain HTTP to the client and forwards with the administrator's certificate. Bytes of a
watch are passed on as they come.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from tiphys.kube.connections import Connection


class Proxy:
    """See the module's story. ``url`` is where it listens."""

    def __init__(self, upstream: Connection) -> None:
        self.url = ""
        self.requests: list[str] = []
        self.refuse_watches = 0
        self.refuse_everything = False
        self._upstream = upstream
        self._frozen: set[asyncio.Event] = set()
        self._streams: dict[asyncio.Event, web.Request] = {}

    @property
    def watches(self) -> int:
        """Watch streams that are open now."""
        return len(self._streams)

    def drop_streams(self) -> None:
        """Break every open watch in the middle."""
        for request in list(self._streams.values()):
            if request.transport is not None:
                request.transport.abort()

    def freeze_streams(self) -> None:
        """Half-open: the open watches stay connected, but nothing comes any more."""
        self._frozen.update(self._streams)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path_qs}")
        is_watch = request.query.get("watch") == "true"
        if self.refuse_everything or (is_watch and self.refuse_watches > 0):
            self.refuse_watches -= is_watch
            body = {"kind": "Status", "code": 429, "reason": "TooManyRequests", "message": "slow down"}
            return web.json_response(body, status=429, headers={"Retry-After": "1"})
        _, context = await self._upstream.authorize()
        kept = ("Accept", "Content-Type", "If-None-Match")
        headers = {name: request.headers[name] for name in kept if name in request.headers}
        async with self._session.request(
            request.method,
            self._upstream.server + request.path_qs,
            data=await request.read(),
            headers=headers,
            ssl=context if context is not None else True,
        ) as answer:
            passed = {n: v for n, v in answer.headers.items() if n in ("Content-Type", "ETag", "Retry-After")}
            response = web.StreamResponse(status=answer.status, headers=passed)
            await response.prepare(request)
            stream = asyncio.Event()
            if is_watch:
                self._streams[stream] = request
            try:
                async for chunk in answer.content.iter_any():
                    if stream in self._frozen:
                        await stream.wait()
                    await response.write(chunk)
            except ConnectionError:
                pass  # the client is gone
            finally:
                self._streams.pop(stream, None)
                self._frozen.discard(stream)
            return response

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None),
            skip_auto_headers=("Content-Type",),
        ) as self._session:
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            try:
                yield self
            finally:
                self.drop_streams()
                await runner.cleanup()
