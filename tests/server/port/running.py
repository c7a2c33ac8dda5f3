"""The real port over the sample methods, and a socket that says anything."""

import asyncio
import json
import resource
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec
from aiohttp import web

from tests.server.http.sample import Counting, Stage, TokensByName, sample_methods
from tiphys.server.api.invoke import Invoker
from tiphys.server.http.app import build_app
from tiphys.server.http.options import HttpOptions
from tiphys.server.port.certificates import generate
from tiphys.server.port.listener import ApiPort, NoTls, PortOptions
from tiphys.server.port.tls import KeyPair, TlsOptions, server_context

GOOD = b"GET /api/version HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\n\r\n"
POST = (
    b"POST /api/v1/applications HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\n"
    b"Content-Type: application/json\r\n"
)


def status_of(answer: bytes) -> int:
    """0: closed without an answer."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else 0


@cache
def pair() -> KeyPair:
    """A certificate for the tests (making one costs time)."""
    return generate("argocd", datetime.now(UTC))


class Fixed:
    """One certificate, which a test may replace."""

    def __init__(self, options: TlsOptions | None = None):
        self.context: ssl.SSLContext | None = server_context(pair(), options or TlsOptions())


class Echo(asyncio.Protocol):
    """Stands in for gRPC: tells what it got."""

    def __init__(self, got: list[bytes]):
        self._got = got
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._got.append(data)
        self._transport.write(b"h2:" + data)


class EchoServer:
    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.drained = False

    def __call__(self) -> asyncio.Protocol:
        return Echo(self.got)

    async def drain(self, grace: float) -> None:
        self.drained = True


class Port(msgspec.Struct):
    """A running port."""

    number: int
    api: ApiPort
    stage: Stage
    observer: Counting
    http2: EchoServer

    async def open(self, context: ssl.SSLContext | None = None) -> "Wire":
        reader, writer = await asyncio.open_connection("127.0.0.1", self.number, ssl=context, limit=2**24)
        return Wire(reader, writer)

    async def say(self, data: bytes, *, context: ssl.SSLContext | None = None, end: bool = False) -> bytes:
        """Send bytes on a new connection and read until it is closed."""
        wire = await self.open(context)
        try:
            return await wire.say(data, end=end)
        finally:
            wire.close()


class Wire(msgspec.Struct):
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, data: bytes, *, end: bool = False) -> bytes:
        """Send bytes and read until the server closes."""
        self.writer.write(data)
        if end:
            self.writer.write_eof()
        return await self.rest()

    async def rest(self) -> bytes:
        """What comes until the end. One who goes on writing after it is reset: what had come by then
        counts."""
        parts: list[bytes] = []
        async with asyncio.timeout(20):
            try:
                while part := await self.reader.read(1 << 16):
                    parts.append(part)
            except ConnectionResetError:
                pass
        return b"".join(parts)

    async def request(self, data: bytes) -> tuple[int, bytes]:
        """Send a request and read its answer; the connection stays."""
        self.writer.write(data)
        async with asyncio.timeout(20):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.split(b"\r\n"):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            return int(head.split(b" ")[1]), await self.reader.readexactly(length)

    def close(self) -> None:
        self.writer.transport.abort()


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    """Ask until it is so (for what nobody tells of).

    Raises:
        TimeoutError: it did not become so.
    """
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def met(condition: Callable[[], bool]) -> None:
    """As :func:`until`, for what is known here."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.01)


def trusting(alpn: list[str] | None = None, **versions: Any) -> ssl.SSLContext:
    """A client that believes anything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    for name, value in versions.items():
        setattr(context, name, value)
    return context


@asynccontextmanager
async def running(
    certificates: Any = None, http: HttpOptions | None = None, **options: Any
) -> AsyncIterator[Port]:
    """The port on a free number; plain unless certificates are given."""
    stage, observer, http2 = Stage(), Counting(), EchoServer()
    app: web.Application = build_app(
        sample_methods(stage), Invoker(TokensByName(), observer), http or HttpOptions()
    )
    api = ApiPort(app, http2, certificates or NoTls(), PortOptions(host="127.0.0.1", port=0, **options))
    async with api.serve() as number:
        yield Port(number, api, stage, observer, http2)


@asynccontextmanager
async def apart(*, tls: bool = False, **options: float) -> AsyncIterator[tuple[int, int]]:
    """A server process, which like this one may have as many connections as it can get; its port and id."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    given = json.dumps({"tls": tls, "options": options})
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.server.port.running", given),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert server.stdout is not None
    try:
        yield int(await server.stdout.readline()), server.pid
    finally:
        await server.communicate(b"")
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def _serve(tls: bool, options: dict[str, float]) -> None:
    """Until nothing more is said on the standard input."""
    async with running(Fixed() if tls else None, **options) as port:
        print(port.number, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(**json.loads(sys.argv[1] if len(sys.argv) > 1 else '{"tls":false,"options":{}}')))
