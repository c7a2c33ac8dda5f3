"""Bodies, slow and broken services, and clients that leave: nothing is held, nobody waits for another."""

from __future__ import annotations

import asyncio
import hashlib
import resource
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.server.extensions.conftest import Desk

pytestmark = pytest.mark.controlplane

MIB = 1024 * 1024
LARGE = 96


def most_memory() -> int:
    """The most bytes that this process (the API lives in it) ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def test_a_large_upload_is_not_held(desk: Desk) -> None:
    part, digest = b"u" * MIB, hashlib.sha256()

    async def body() -> AsyncIterator[bytes]:
        for _ in range(LARGE):
            digest.update(part)
            yield part

    await desk.ask("plain/warm", verb="POST", data=b"warm")
    before = most_memory()
    url = f"{desk.admin.base}/extensions/plain/upload"
    async with desk.admin.session.post(url, data=body(), headers=desk.given()) as answer:
        told = await answer.json()
    assert (told["length"], told["digest"]) == (LARGE * MIB, digest.hexdigest())
    assert ["Transfer-Encoding", "chunked"] in told["headers"]
    assert most_memory() - before < LARGE * MIB / 3


async def test_a_large_download_is_not_held(desk: Desk) -> None:
    before, length = most_memory(), 0
    url = f"{desk.admin.base}/extensions/plain/do/download?mib={LARGE}"
    async with desk.admin.session.get(url, headers=desk.given()) as answer:
        assert answer.headers["Content-Length"] == str(LARGE * MIB)
        async for part in answer.content.iter_any():
            length += len(part)
    assert length == LARGE * MIB
    assert most_memory() - before < LARGE * MIB / 3


async def test_parts_arrive_as_they_are_sent(desk: Desk) -> None:
    url = f"{desk.admin.base}/extensions/plain/do/drip"
    async with desk.admin.session.get(url, headers=desk.given()) as answer:
        for number in range(3):
            assert await answer.content.readline() == b"part %d\n" % number
            await desk.release()
        assert await answer.content.read() == b""


async def test_a_slow_service_holds_nobody_else(desk: Desk) -> None:
    slow = [asyncio.create_task(desk.ask("plain/do/wait")) for _ in range(20)]
    await desk.until(lambda told: told["waiting"] == 20)
    assert (await desk.ask("plain/")).status == 200
    assert not any(task.done() for task in slow)
    await desk.release()
    assert {(answer.status, answer.text) for answer in await asyncio.gather(*slow)} == {(200, "at last")}
    # ``maxIdleConnections`` is 2: the requests after the rush share few connections.
    before = (await desk.told())["connections"]
    for _ in range(5):
        await desk.ask("plain/")
    assert (await desk.told())["connections"] - before <= 2


async def test_a_client_that_leaves_takes_its_request_along(desk: Desk) -> None:
    gone = (await desk.told())["gone"]
    async with aiohttp.ClientSession() as session:
        url = f"{desk.admin.base}/extensions/plain/do/wait"
        left = asyncio.create_task(session.get(url, headers=desk.given()))
        await desk.until(lambda told: told["waiting"] == 1)
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
    await desk.until(lambda told: told["gone"] == gone + 1 and told["waiting"] == 0)


async def test_a_service_that_takes_the_connection_and_says_nothing(desk: Desk) -> None:
    """``connectionTimeout`` counts until TLS stands."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    text = f"connectionTimeout: 200ms\nservices: [{{url: 'https://127.0.0.1:{port}'}}]"
    async with server:
        await desk.setting(**{"extension.config.silent": text})
        given = desk.given()
        await desk.admin.until("/extensions/silent/", lambda a: a.status == 502, headers=given, token="")
    await desk.setting(**{"extension.config.silent": None})


async def test_a_client_that_leaves_in_the_middle(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Its fault is not told as the service's."""
    reader, writer = await asyncio.open_connection(*desk.admin.target.rsplit(":", 1))
    given = "".join(f"{name}: {value}\r\n" for name, value in desk.given().items())
    writer.write(f"GET /extensions/plain/do/download?mib=64 HTTP/1.1\r\nHost: x\r\n{given}\r\n".encode())
    await reader.readexactly(MIB)
    writer.transport.abort()
    assert (await desk.ask("plain/")).status == 200
    assert "service failed" not in caplog.text


async def test_a_service_that_breaks_off(desk: Desk) -> None:
    """Before it answered: 502; later: an answer that cannot be taken for a whole one."""
    answer = await desk.ask("plain/do/break?when=head")
    assert (answer.status, answer.body) == (502, b"")
    with pytest.raises(aiohttp.ClientError):
        await desk.ask("plain/do/break")
    assert (await desk.ask("plain/")).status == 200


async def test_a_service_that_answers_early(desk: Desk) -> None:
    """Who has its answer does not send the rest of the body."""
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 64:
            sent += 1
            yield b"x" * MIB

    url = f"{desk.admin.base}/extensions/plain/do/early"
    async with desk.admin.session.post(url, data=body(), headers=desk.given()) as answer:
        assert (answer.status, await answer.text()) == (413, "too much")
    assert sent < 64


@pytest.mark.parametrize(
    ("head", "body"),
    [
        pytest.param("Content-Length: 10\r\nTransfer-Encoding: chunked", b"0\r\n\r\n", id="two-lengths"),
        pytest.param("Content-Length: 3\r\nContent-Length: 5", b"hello", id="lengths-differ"),
        pytest.param("Transfer-Encoding: chunked\r\n", b"zz\r\n\r\n", id="broken-chunk"),
        pytest.param("Transfer-Encoding: xchunked", b"0\r\n\r\n", id="unknown-encoding"),
        pytest.param("X-Odd : 1", b"", id="space-before-the-colon"),
        pytest.param("X-Odd: a\x00b", b"", id="nul"),
    ],
)
async def test_smuggling(desk: Desk, head: str, body: bytes) -> None:
    """What two readers could read differently goes no further, and its connection ends."""
    before = len((await desk.told())["asked"])
    given = "".join(f"{name}: {value}\r\n" for name, value in desk.given().items())
    reader, writer = await asyncio.open_connection(*desk.admin.target.rsplit(":", 1))
    request = f"POST /extensions/plain/ HTTP/1.1\r\nHost: x\r\n{given}{head.strip()}\r\n\r\n"
    writer.write(request.encode() + body + b"GET /extensions/plain/smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    assert answer.split()[1] == b"400", answer
    assert answer.count(b"HTTP/1.") == 1
    told = (await desk.told())["asked"][before:]
    assert not [each for each in told if "smuggled" in each["target"]]


async def test_a_body_that_never_comes_goes_nowhere_without_rights(desk: Desk) -> None:
    """Who may not call is refused before a byte of the body is read."""
    before = len((await desk.told())["asked"])
    given = "".join(f"{name}: {value}\r\n" for name, value in desk.given("stranger").items())
    reader, writer = await asyncio.open_connection(*desk.admin.target.rsplit(":", 1))
    writer.write(
        f"POST /extensions/plain/ HTTP/1.1\r\nHost: x\r\n{given}Content-Length: 99999999\r\n\r\n".encode()
    )
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 401")
    assert len((await desk.told())["asked"]) == before
