"""Shares of connections: one resource's calls never keep another's waiting."""

import asyncio
from collections.abc import Callable

from tiphys.kube.shares import Shares, Whose

HELD: Whose = ("configmaps", "held")
OTHER: Whose = ("configmaps", "other")


class Bench:
    def __init__(self, each: int) -> None:
        self.shares = Shares(each)
        self.inside: list[str] = []
        self.left: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.on_left: Callable[[], object] = lambda: None

    async def _call(self, name: str, whose: Whose) -> None:
        async with self.shares.share(whose):
            self.inside.append(name)
            await self.left[name].wait()
        self.inside.remove(name)
        self.on_left()

    async def begin(self, whose: Whose, *names: str) -> None:
        for name in names:
            self.left[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._call(name, whose))
        await self.settle()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def end(self, *names: str) -> None:
        for name in names:
            self.left[name].set()
        await self.settle()


async def test_a_full_share_keeps_its_own_waiting() -> None:
    bench = Bench(2)
    await bench.begin(HELD, "a", "b", "c", "d")
    await bench.begin(OTHER, "other")
    assert bench.inside == ["a", "b", "other"]
    await bench.end("a")
    assert bench.inside == ["b", "other", "c"]
    await bench.end("b", "c", "d", "other")
    assert bench.inside == []
    assert not bench.shares._busy
    assert not bench.shares._waiting


async def test_who_goes_away_leaves_no_trace() -> None:
    bench = Bench(1)
    await bench.begin(HELD, "a", "b", "c")
    bench.tasks["b"].cancel()  # while it waits
    await bench.settle()
    await bench.end("a")
    assert bench.inside == ["c"]
    await bench.begin(HELD, "d", "e")
    bench.on_left = lambda: bench.tasks["d"].cancel()  # given its place in this very step
    await bench.end("c")
    assert bench.inside == ["e"]
    bench.on_left = lambda: None
    await bench.end("e")
    assert not bench.shares._busy
    assert not bench.shares._waiting


async def test_no_limit() -> None:
    bench = Bench(0)
    await bench.begin(HELD, *"abcdefgh")
    assert len(bench.inside) == 8
    await bench.end(*"abcdefgh")
    assert not bench.shares._busy
