"""Clients that say little, take nothing or are very many: dropped in time, and nobody else waits."""

import asyncio
import sys

import pytest

from tests.server.http.sample import Stage
from tests.server.port.running import GOOD, POST, Port, Wire, apart, met, running, status_of
from tiphys.resources.messages.application import LogEntry
from tiphys.server.http.options import HttpOptions
from tiphys.server.port.http1 import Http1Options

IDLE = 10_000


@pytest.mark.parametrize(
    "begin",
    [b"", b"G", b"GET /api/version HTTP/1.1\r\nHost: a\r\nX-A:", b"PRI * HT"],
    ids=["silent", "one byte", "half a head", "half a preface"],
)
async def test_silent_connections_are_closed(begin: bytes) -> None:
    async with running(silence=0.3, http1=Http1Options(head_seconds=0.3)) as port:
        answer = await port.say(begin)
        assert port.api.silent_connections == 0
    assert status_of(answer) in (0, 408)


async def test_a_dribbling_head_is_closed_in_the_same_time() -> None:
    async with running(http1=Http1Options(head_seconds=0.4)) as port:
        wire = await port.open()
        wire.writer.write(b"GET /api/version HTTP/1.1\r\nHost: a\r\n")
        reading = asyncio.ensure_future(wire.rest())
        while not reading.done():
            wire.writer.write(b"X-A: b\r\n")
            await asyncio.sleep(0.02)
        assert status_of(reading.result()) == 408
        wire.close()


async def test_a_dribbling_body_is_closed() -> None:
    async with running(http=HttpOptions(body_seconds=0.4)) as port:
        wire = await port.open()
        wire.writer.write(POST + b"Content-Length: 1000000\r\n\r\n{")
        reading = asyncio.ensure_future(wire.rest())
        while not reading.done():
            wire.writer.write(b" ")
            await asyncio.sleep(0.02)
        assert status_of(reading.result()) == 408
        wire.close()


async def test_an_idle_connection_between_requests_is_closed() -> None:
    async with running(http1=Http1Options(idle_seconds=0.3)) as port:
        wire = await port.open()
        assert (await wire.request(GOOD))[0] == 200
        assert await wire.rest() == b""
        wire.close()


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with running() as port:
        wire = await port.open()
        wire.writer.write(GOOD * 500)
        for _ in range(500):
            assert (await wire.request(b""))[0] == 200
        wire.close()


async def test_a_client_that_leaves_ends_its_call() -> None:
    async with running() as port:
        port.stage.events = [None]
        wire = await port.open()
        wire.writer.write(
            b"GET /api/v1/stream/applications HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\n\r\n"
        )
        await met(lambda: port.stage.call is not None)
        wire.close()
        async with asyncio.timeout(5):
            await port.stage.ended.wait()


async def test_a_client_that_never_reads_is_dropped() -> None:
    async with running(http=HttpOptions(write_seconds=0.4)) as port:
        await _flood(port, port.stage)


async def test_the_kernel_drops_a_client_that_never_reads() -> None:
    """Also where nothing of ours watches: TCP_USER_TIMEOUT."""
    async with running(unread=1.0, http=HttpOptions(write_seconds=1000)) as port:
        await _flood(port, port.stage)


async def _flood(port: Port, stage: Stage) -> None:
    stage.events = [LogEntry(content="x" * 100_000)] * 2000
    wire = await port.open()
    wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
    wire.writer.write(
        b"GET /api/v1/applications/a/logs HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\n\r\n"
    )
    async with asyncio.timeout(20):
        await stage.ended.wait()
    wire.close()


async def test_many_idle_connections_leave_room_for_others() -> None:
    """Ten thousand, half of which said half a request; the server is a process of its own, as each
    process may have only so many."""
    async with apart(silence=600.0) as (number, _):
        wires = []
        for start in range(0, IDLE, 200):
            opening = (asyncio.open_connection("127.0.0.1", number) for _ in range(start, start + 200))
            wires += await asyncio.gather(*opening)
        for _, writer in wires[IDLE // 2 :]:
            writer.write(b"GET /api/version HTTP/1.1\r\n")
        fresh = Wire(*await asyncio.open_connection("127.0.0.1", number))
        for _ in range(2):
            assert (await fresh.request(GOOD))[0] == 200
        # all are still there, those in the middle of a request too
        first, last = Wire(*wires[0]), Wire(*wires[-1])
        assert (await first.request(GOOD))[0] == 200
        assert (await last.request(GOOD.partition(b"\r\n")[2]))[0] == 200
        for _, writer in wires:
            writer.transport.abort()
        fresh.close()


async def test_a_server_without_file_descriptors_recovers() -> None:
    """More connections than the process may have: those who wait are served when others leave."""
    command = f"ulimit -n 64; exec {sys.executable} -m tests.server.port.running"
    server = await asyncio.create_subprocess_shell(
        command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    number = int(await server.stdout.readline())
    try:
        held = [await asyncio.open_connection("127.0.0.1", number) for _ in range(100)]
        waiting = Wire(*await asyncio.open_connection("127.0.0.1", number))
        waiting.writer.write(GOOD)
        for _, writer in held:
            writer.transport.abort()
        assert (await waiting.request(b""))[0] == 200
        waiting.close()
    finally:
        _, errors = await server.communicate(b"")
    assert b"no connection can be accepted" in errors
    assert errors.count(b"no connection can be accepted") < 10
