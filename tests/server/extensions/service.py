"""A service behind an extension: real HTTP in a process of its own.

``python -m tests.server.extensions.service [CERT KEY]`` serves on a free port and prints it. Whatever it is
asked it tells back, but for some paths below ``/do/`` that behave badly on purpose; ``/told`` says what it
was asked, ``/release`` lets go what waits.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
import sys
from typing import Any

from aiohttp import WSMsgType, web

MIB = 1024 * 1024


class Service:
    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.gone = 0
        self.waiting = 0
        self.connections: set[int] = set()
        self._released = asyncio.Event()

    def app(self) -> web.Application:
        app = web.Application()
        for path, handler in {
            "/told": self.tell,
            "/release": self.release,
            "/do/wait": self.wait,
            "/do/drip": self.drip,
            "/do/download": self.download,
            "/do/break": self.break_off,
            "/do/headers": self.headers,
            "/do/status/{status}": self.status,
            "/do/early": self.early,
            "/do/ws": self.websocket,
            "/{path:.*}": self.echo,
        }.items():
            app.router.add_route("*", path, handler)
        return app

    async def echo(self, request: web.Request) -> web.Response:
        """Read the body in pieces and tell all that came."""
        length, digest = 0, hashlib.sha256()
        async for part in request.content.iter_any():
            length += len(part)
            digest.update(part)
        transport = request.transport
        self.connections.add(transport.get_extra_info("peername")[1] if transport is not None else 0)
        told = {
            "method": request.method,
            "target": request.raw_path,
            "headers": [[name, value] for name, value in request.headers.items()],
            "length": length,
            "digest": digest.hexdigest(),
        }
        self.asked.append(told)
        return web.json_response(told)

    async def tell(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "asked": self.asked,
                "gone": self.gone,
                "waiting": self.waiting,
                "connections": len(self.connections),
            }
        )

    async def release(self, _: web.Request) -> web.Response:
        self._released.set()
        self._released = asyncio.Event()
        return web.Response()

    async def wait(self, request: web.Request) -> web.Response:
        """Answers when released; counts who leaves before."""
        self.waiting += 1
        try:
            await self._released.wait()
        except asyncio.CancelledError:
            self.gone += 1
            raise
        finally:
            self.waiting -= 1
        return web.Response(text="at last")

    async def drip(self, request: web.Request) -> web.StreamResponse:
        """One part, and one for each release."""
        response = web.StreamResponse()
        await response.prepare(request)
        for number in range(3):
            await response.write(b"part %d\n" % number)
            await self._released.wait()
        await response.write_eof()
        return response

    async def download(self, request: web.Request) -> web.StreamResponse:
        amount = int(request.query["mib"])
        response = web.StreamResponse(headers={"Content-Length": str(amount * MIB)})
        await response.prepare(request)
        for number in range(amount):
            await response.write(bytes([number % 256]) * MIB)
        await response.write_eof()
        return response

    async def break_off(self, request: web.Request) -> web.StreamResponse:
        """``head``: no answer at all; else half of one."""
        if request.query.get("when") != "head":
            response = web.StreamResponse(headers={"Content-Length": "100"})
            await response.prepare(request)
            await response.write(b"half")
        assert request.transport is not None
        request.transport.close()
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    async def headers(self, request: web.Request) -> web.Response:
        response = web.Response(text="x")
        for name, value in (
            ("Connection", "X-Private"),
            ("X-Private", "for this connection"),
            ("X-Public", "for all"),
            ("Set-Cookie", "argocd.token=stolen; path=/"),
            ("Set-Cookie", "theirs=1; path=/"),
            ("Proxy-Authenticate", "Basic"),
        ):
            response.headers.add(name, value)
        return response

    async def status(self, request: web.Request) -> web.Response:
        return web.Response(status=int(request.match_info["status"]), headers={"Location": "/elsewhere"})

    async def early(self, request: web.Request) -> web.Response:
        """An answer before the body was read."""
        response = web.Response(status=413, text="too much")
        response.force_close()
        return response

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("refuse"):
            return web.Response(status=403)
        socket = web.WebSocketResponse(protocols=("b", "c"), autoping=False, max_msg_size=0, compress=False)
        await socket.prepare(request)
        self.asked.append({"headers": [[name, value] for name, value in request.headers.items()]})
        self.waiting += 1
        try:
            if request.query.get("deaf"):
                assert request.transport is not None
                request.transport.pause_reading()
                await self._released.wait()
                request.transport.resume_reading()
            if request.query.get("greets"):
                await socket.send_str("first")
            async for message in socket:
                if message.type is WSMsgType.TEXT and message.data == "bye":
                    await socket.close(code=4001)
                elif message.type is WSMsgType.TEXT:
                    await socket.send_str(f"heard {message.data}")
                elif message.type is WSMsgType.BINARY:
                    await socket.send_bytes(message.data[::-1])
                elif message.type is WSMsgType.PING:
                    await socket.pong(message.data)
        finally:
            self.waiting -= 1
            self.gone += 1
        return socket


async def serve(certificate: list[str]) -> None:
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    runner = web.AppRunner(Service().app(), handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1:]))
