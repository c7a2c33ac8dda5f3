"""Log lines of several Pods in the order of their times (health-and-resources.md 14)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.kube.errors import BadRequest, ClusterUnreachable
from tiphys.server.api.failures import ApiFailure, Code
from tiphys.server.services.applications.resources.logmerge import (
    BUFFERED,
    LONGEST,
    Line,
    Source,
    merged,
    nanoseconds,
    parsed,
    shortened,
)


class Log:
    """An open log out of chunks; ``...`` waits until somebody calls ``go``."""

    def __init__(self, chunks: Iterable[Any], error: Exception | None = None):
        self._chunks = chunks
        self._error = error
        self.taken = 0
        self.is_open = False
        self.gate = asyncio.Event()
        self.content = self

    async def iter_any(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            if chunk is ...:
                await self.gate.wait()
                continue
            self.taken += 1
            yield chunk
        if self._error is not None:
            raise self._error

    def source(self, pod: str = "pod") -> Source:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Any]:
            self.is_open = True
            try:
                yield self
            finally:
                self.is_open = False

        return Source(pod, opened())


def at(second: float, text: str = "x") -> bytes:
    return f"2026-01-01T00:00:{second:012.9f}Z {text}\n".encode()


async def read(*logs: Log) -> list[Line]:
    sources = [log.source(f"pod-{number}") for number, log in enumerate(logs)]
    async with asyncio.timeout(10):
        return [line async for line in merged(sources)]


@given(st.lists(st.lists(st.integers(0, 59), max_size=12).map(sorted), min_size=1, max_size=4))
def test_every_line_in_its_place(times: list[list[int]]) -> None:
    async def run() -> list[Line]:
        return await read(*(Log([at(second, str(second)) for second in each]) for each in times))

    found = asyncio.run(run())
    assert [int(line.text) for line in found] == sorted(second for each in times for second in each)


async def test_lines_in_pieces() -> None:
    whole = at(1, "one") + at(2, "two")
    found = await read(Log([whole[:10], whole[10:45], whole[45:]]))
    assert [line.text for line in found] == ["one", "two"]
    assert [line.pod for line in found] == ["pod-0", "pod-0"]


async def test_a_last_line_without_its_end() -> None:
    assert [line.text for line in await read(Log([at(1, "one").rstrip(b"\n")]))] == ["one"]


async def test_lines_do_not_wait_long_for_a_silent_pod() -> None:
    silent = Log([..., at(0, "late")])
    lines = cast(Any, merged([Log([at(2, "two"), at(3, "three")]).source(), silent.source()]))
    async with aclosing(lines):
        assert [(await anext(lines)).text for _ in range(2)] == ["two", "three"]
        silent.gate.set()
        assert [line.text async for line in lines] == ["late"], "later than it should be, yet not lost"


async def test_a_log_that_cannot_be_opened_is_a_line() -> None:
    @asynccontextmanager
    async def refused() -> AsyncIterator[Any]:
        raise BadRequest(400, "BadRequest", "container is waiting to start")
        yield

    sources = [Source("a", refused()), Log([at(1, "one")]).source("b")]
    found = [line async for line in merged(sources)]
    assert [(line.text, line.pod, line.stamp) for line in found] == [
        ("container is waiting to start", "", "0001-01-01T00:00:00Z"),
        ("one", "b", "2026-01-01T00:00:01Z"),
    ]


async def test_a_line_without_a_time_ends_all() -> None:
    lines = merged([Log([at(1, "one"), b"no time\n"]).source()])
    assert (await anext(lines)).text == "one"
    with pytest.raises(ApiFailure) as failed:
        await anext(lines)
    assert failed.value.code is Code.UNKNOWN


async def test_a_log_that_breaks_off_ends_all() -> None:
    with pytest.raises(ClusterUnreachable):
        await read(Log([at(1)], ClusterUnreachable("https://x", "reset")), Log([at(2)]))


async def test_a_slow_client_slows_the_log() -> None:
    log = Log(at(1) for _ in range(10_000))
    lines = cast(Any, merged([log.source()]))
    async with aclosing(lines):
        await anext(lines)
        for _ in range(50):
            await asyncio.sleep(0)
        assert log.taken <= BUFFERED + 2
        assert log.is_open
    assert not log.is_open, "closed with the client"


async def test_a_line_without_end_is_sent_in_pieces() -> None:
    piece = b"y" * (LONGEST // 2 + 1)
    found = await read(Log([at(1, "x").rstrip(b"\n"), piece, piece, piece, b"\n"]))
    assert len(found) == 2
    assert {line.stamp for line in found} == {"2026-01-01T00:00:01Z"}
    assert sum(len(line.text) for line in found) == 3 * len(piece) + 1


@pytest.mark.parametrize(
    ("raw", "texts"),
    [
        (b"2026-01-01T00:00:00Z  two  words \t", [" two  words"]),
        (b"2026-01-01T00:00:00Z a\rb", ["a", "b"]),
        (b"2026-01-01T00:00:00Z", [""]),
        (b"2026-01-01T00:00:00Z \xff", ["\N{REPLACEMENT CHARACTER}"]),
    ],
)
def test_one_line(raw: bytes, texts: list[str]) -> None:
    assert [line.text for line in parsed(raw, "pod")] == texts


@pytest.mark.parametrize(
    ("stamp", "nanos", "shown"),
    [
        ("1970-01-01T00:00:01.000000001Z", 1_000_000_001, "1970-01-01T00:00:01.000000001Z"),
        ("1970-01-01T01:00:01.5+01:00", 1_500_000_000, "1970-01-01T01:00:01.5+01:00"),
        ("1970-01-01T00:00:01.120000000Z", 1_120_000_000, "1970-01-01T00:00:01.12Z"),
        ("1970-01-01T00:00:01.000Z", 1_000_000_000, "1970-01-01T00:00:01Z"),
    ],
)
def test_times(stamp: str, nanos: int, shown: str) -> None:
    assert nanoseconds(stamp) == nanos
    assert shortened(stamp) == shown


@pytest.mark.parametrize(
    "stamp", ["", "yesterday", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00", "2026-01-01"]
)
def test_no_times(stamp: str) -> None:
    assert nanoseconds(stamp) is None
