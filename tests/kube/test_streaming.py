"""Lines of a watch, whatever the pieces they come in."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tiphys.kube.errors import Gone
from tiphys.kube.streaming import event_lines

ERROR = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}'


@asynccontextmanager
async def watched(pieces: Callable[[], AsyncIterator[bytes]]) -> AsyncIterator[AsyncIterator[list[bytes]]]:
    """The batches of a watch that comes in these pieces, each sent by itself."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        async for piece in pieces():
            await response.write(piece)
        return response

    app = web.Application()
    app.router.add_get("/", answer)
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession() as session,
        session.get(server.make_url("/")) as got,
    ):
        yield event_lines(got)


def event(number: int, size: int = 1) -> bytes:
    return b'{"type":"ADDED","object":"%d%s"}' % (number, b"x" * size)


@pytest.mark.parametrize(("count", "size"), [(1, 1), (500, 1), (40, 200_000)], ids=["one", "many", "large"])
async def test_events_that_come_thick_are_all_there_in_order(count: int, size: int) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(count):
            line = event(number, size) + b"\n"
            yield line[:7]
            yield line[7:]

    async with watched(pieces) as batches:
        found = [line async for lines in batches for line in lines]
    assert found == [event(number, size) for number in range(count)]


async def test_a_trickle_is_gathered() -> None:
    told: list[int] = []

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(300):
            told.append(number)
            yield event(number) + b"\n"

    async with watched(pieces) as batches:
        sizes = [len(lines) async for lines in batches]
    assert sum(sizes) == len(told)
    assert len(sizes) < len(told) / 2


async def test_an_error_comes_after_the_events_before_it() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield event(1) + b"\n" + event(2) + b"\n"
        yield event(3) + b"\n" + ERROR + b"\n"

    found: list[bytes] = []

    async def read(batches: AsyncIterator[list[bytes]]) -> None:
        async for lines in batches:
            found.extend(lines)

    async with watched(pieces) as batches:
        with pytest.raises(Gone, match="too old"):
            await read(batches)
    assert found == [event(1), event(2), event(3)]
