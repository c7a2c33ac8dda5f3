"""Turns: as many as may, one repository after the other, and the slow ones beside them."""

import asyncio
from collections.abc import Callable

from tiphys.sources.turns import Turns

LONG = 3600.0


class Bench:
    """Everybody stays until ``leave`` names him.

    Attributes:
        inside: who has a turn, in order.
    """

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.inside: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.left: dict[str, asyncio.Event] = {}
        self.happened = asyncio.Event()
        self.on_left: Callable[[str], object] = lambda name: None

    async def _stay(self, name: str) -> None:
        async with self.turns.turn(name[0]):
            self.inside.append(name)
            self.happened.set()
            await self.left[name].wait()
        self.inside.remove(name)
        self.on_left(name)
        self.happened.set()

    def come(self, *names: str) -> None:
        for name in names:
            self.left[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._stay(name))

    async def settled(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def until(self, *names: str) -> None:
        async with asyncio.timeout(10):
            while self.inside != list(names):
                self.happened.clear()
                await self.happened.wait()

    async def end(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.wait(self.tasks.values())


def turns(patience: float = LONG) -> Turns:
    return Turns(2, patience=patience, late_each=2, late_all=3)


async def test_repositories_take_turns() -> None:
    bench = Bench(turns())
    bench.come("a1", "a2", "a3", "a4", "b1")
    await bench.until("a1", "a2")
    bench.left["a1"].set()
    await bench.until("a2", "a3")
    bench.left["a2"].set()
    await bench.until("a3", "b1")
    await bench.end()


async def test_late_ones_hold_nobody_up() -> None:
    bench = Bench(turns(patience=0.0))
    bench.come("a1", "a2")
    await bench.until("a1", "a2")
    bench.come("a3", "b1")  # two of a are late: no other of a
    await bench.until("a1", "a2", "b1")
    bench.left["a1"].set()
    await bench.until("a2", "b1", "a3")
    await bench.end()


async def test_so_many_are_late_altogether() -> None:
    bench = Bench(turns(patience=0.0))
    bench.come("a1", "a2", "b1", "b2", "c1")
    await bench.until("a1", "a2", "b1", "c1", "b2")  # three of them late
    bench.come("d1")
    await bench.settled()
    assert "d1" not in bench.inside
    bench.left["c1"].set()
    await bench.until("a1", "a2", "b1", "b2", "d1")
    await bench.end()


async def test_who_goes_away_keeps_no_turn() -> None:
    bench = Bench(turns())
    bench.come("a1", "a2", "a3", "a4")
    await bench.until("a1", "a2")
    bench.tasks["a3"].cancel()  # while it waits
    await bench.settled()
    bench.left["a1"].set()
    await bench.until("a2", "a4")
    bench.come("b1")
    await bench.settled()
    bench.on_left = lambda name: bench.tasks["b1"].cancel()  # given its turn in this very step
    bench.left["a2"].set()
    await bench.until("a4")
    bench.on_left = lambda name: None
    bench.come("c1", "c2")
    await bench.until("a4", "c1")
    await bench.end()


async def test_room_that_comes_later_is_taken_by_all_who_may() -> None:
    bench = Bench(Turns(2, patience=0.0, late_each=1, late_all=9))
    bench.come("a1")
    await bench.until("a1")
    await asyncio.sleep(0.01)  # a1 is late
    bench.turns._patience = LONG
    bench.come("a2", "a3", "a4")
    await bench.settled()
    assert bench.inside == ["a1"]
    bench.left["a1"].set()
    await bench.until("a2", "a3")
    await bench.end()


async def test_who_could_not_be_late_is_it_once_there_is_room() -> None:
    bench = Bench(Turns(1, patience=0.0, late_each=2, late_all=1))
    bench.come("a1", "b1")  # a1 is late, b1 would be the second
    await bench.until("a1", "b1")
    bench.come("c1")
    await asyncio.sleep(0.01)
    assert bench.inside == ["a1", "b1"]
    bench.left["a1"].set()
    await bench.until("b1", "c1")
    await bench.end()
