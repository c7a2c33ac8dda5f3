"""A client that speaks HTTP/2 frame by frame and keeps no rule, and a witness who is served meanwhile."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from functools import cache
from typing import Any, Protocol

from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    RstStreamFrame,
    SettingsFrame,
)

from tests.server.grpc.client import Client
from tests.server.grpc.victim import Victim

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
VERSION = "/version.VersionService/Version"
GET = "/application.ApplicationService/GetManifests"
LOGS = "/application.ApplicationService/PodLogs"
CALM = 0xB
HANG = 120
"""Seconds after which nothing is waited for any more; what is waited for are conditions."""


class Reachable(Protocol):
    """A server; ``certificate`` (PEM) when it speaks TLS."""

    @property
    def port(self) -> int: ...
    @property
    def certificate(self) -> str | None: ...


@cache
def trusting(certificate: str, protocol: str = "h2") -> ssl.SSLContext:
    """The context of a client that trusts just this certificate and speaks one protocol."""
    context = ssl.create_default_context(cadata=certificate)
    context.check_hostname = False
    context.set_alpn_protocols([protocol])
    return context


def request_headers(path: str = VERSION, **more: str) -> list[tuple[str, str]]:
    """Headers of a call; ``more`` with underscores for dashes."""
    given = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
        "token": "secret",
    }
    for key, value in more.items():
        name = f":{key[1:]}" if key.startswith("_") else key.replace("_", "-")
        given[name] = value
    return list(given.items())


def framed(payload: bytes, flag: int = 0) -> bytes:
    return bytes((flag,)) + len(payload).to_bytes(4, "big") + payload


def hello(**values: int) -> bytes:
    """A SETTINGS frame: ``table``, ``window`` and ``frame`` size."""
    names = {
        "table": SettingsFrame.HEADER_TABLE_SIZE,
        "window": SettingsFrame.INITIAL_WINDOW_SIZE,
        "frame": SettingsFrame.MAX_FRAME_SIZE,
    }
    return SettingsFrame(0, {names[key]: value for key, value in values.items()}).serialize()


class Attacker:
    """One connection.

    Attributes:
        ended: error code of the GOAWAY that was received, or None.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.reader = reader
        self.writer = writer
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.ended: int | None = None
        self.resets: dict[int, int] = {}
        self.answers: dict[int, dict[str, str]] = {}
        self.bodies: dict[int, bytes] = {}

    def headers(
        self, stream: int, headers: Iterable[tuple[str, str]], *, end: bool = False, last: bool = True
    ) -> bytes:
        """A HEADERS frame; ``end`` of the stream, ``last`` of the block."""
        frame = HeadersFrame(stream, self.encoder.encode(list(headers)))
        if last:
            frame.flags.add("END_HEADERS")
        if end:
            frame.flags.add("END_STREAM")
        return frame.serialize()

    def data(self, stream: int, data: bytes, *, end: bool = False) -> bytes:
        frame = DataFrame(stream, data)
        if end:
            frame.flags.add("END_STREAM")
        return frame.serialize()

    def reset(self, stream: int, code: int = 8) -> bytes:
        return RstStreamFrame(stream, error_code=code).serialize()

    def continuation(self, stream: int, data: bytes) -> bytes:
        return ContinuationFrame(stream, data).serialize()

    def goaway(self) -> bytes:
        return GoAwayFrame(0, last_stream_id=0).serialize()

    async def send(self, *pieces: bytes) -> bool:
        """Send; False when the server has closed."""
        try:
            self.writer.write(b"".join(pieces))
            await self.writer.drain()
            await asyncio.sleep(0)  # draining alone gives nobody else a turn
        except (ConnectionError, ssl.SSLError):
            return False
        return True

    def half_close(self) -> None:
        """Say that nothing more will be sent, and go on reading; TLS is told nothing."""
        with suppress(OSError):  # the server was faster
            self.writer.get_extra_info("socket").shutdown(socket.SHUT_WR)

    async def read(self) -> Frame | None:
        """The next frame, taken note of; None at the end."""
        try:
            head = await self.reader.readexactly(9)
            frame, length = Frame.parse_frame_header(memoryview(head))
            frame.parse_body(memoryview(await self.reader.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            return None
        if isinstance(frame, GoAwayFrame):
            self.ended = frame.error_code
        elif isinstance(frame, RstStreamFrame):
            self.resets[frame.stream_id] = frame.error_code
        elif isinstance(frame, HeadersFrame):
            self.answers.setdefault(frame.stream_id, {}).update(self.decoder.decode(frame.data))
        elif isinstance(frame, DataFrame):
            body = self.bodies.get(frame.stream_id, b"")
            self.bodies[frame.stream_id] = body + bytes(frame.data)
        return frame

    async def read_until_closed(self) -> int | None:
        """Read everything; the code of the GOAWAY, None for a connection that just ended."""
        async with asyncio.timeout(HANG):
            while await self.read() is not None:
                pass
        return self.ended

    async def read_until(self, wanted: Any) -> None:
        """Read until ``wanted()`` is true."""
        async with asyncio.timeout(HANG):
            while not wanted():
                assert await self.read() is not None, f"closed with {self.ended}"

    async def answer(self, stream: int) -> dict[str, str]:
        """Headers and trailers of a stream, once it has ended."""
        async with asyncio.timeout(HANG):
            while True:
                frame = await self.read()
                assert frame is not None, f"closed with {self.ended}"
                if frame.stream_id == stream and "END_STREAM" in frame.flags:
                    return self.answers[stream]


@asynccontextmanager
async def attacking(
    victim: Reachable, *, settings: bytes | None = None, preface: bytes = PREFACE
) -> AsyncIterator[Attacker]:
    """Connect, and say hello as every client does."""
    context = trusting(victim.certificate) if victim.certificate else None
    reader, writer = await asyncio.open_connection("127.0.0.1", victim.port, ssl=context)
    attacker = Attacker(reader, writer)
    try:
        if preface:
            await attacker.send(preface, settings if settings is not None else hello())
        yield attacker
    finally:
        writer.transport.abort()


@asynccontextmanager
async def witness(victim: Victim, *, growth: int = 64) -> AsyncIterator[None]:
    """Somebody else calls all the time and is always answered; the server's memory grows by less than
    ``growth`` MiB."""
    peak = before = victim.memory()
    done = asyncio.Event()
    calls = 0

    async def call() -> None:
        nonlocal calls, peak
        tls = victim.certificate.encode() if victim.certificate else None
        name = "localhost" if tls else ""
        async with Client(victim.target, token="secret", tls=tls, server_name=name) as client:
            while not done.is_set() or not calls:
                assert (await client.call(VERSION[1:], seconds=30))["Version"] == "v3.6.0"
                calls += 1
                peak = max(peak, victim.memory())
                await asyncio.sleep(0.005)

    task = asyncio.create_task(call())
    try:
        yield
        done.set()
        await task
    finally:
        task.cancel()
    assert peak - before < growth * 1024 * 1024, f"{(peak - before) / 1024 / 1024:.0f} MiB more"
