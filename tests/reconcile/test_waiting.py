"""Work that waits for something outside holds no worker, and nobody else up."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tiphys.reconcile.queue import Priority, WorkQueue
from tiphys.reconcile.waiting import Lane, Waits, begun, ended, waiting_for

HOLE = Lane("hole")
WORKERS = 4


class Bench:
    """A queue with four workers. Keys ``hole…`` wait in a lane until ``answer``, others end at once.

    Attributes:
        waiting: those that wait now.
        done: all that ended, in order.
    """

    def __init__(self, patience: float = 0.0) -> None:
        self.waits = Waits(WORKERS, patience)
        self.queue: WorkQueue[str] = WorkQueue(
            waits=self.waits, lanes_of=lambda key: (self.lane(key),) if self.lane(key) else ()
        )
        self.answer = asyncio.Event()
        self.waiting: set[str] = set()
        self.done: list[str] = []
        self.happened = asyncio.Event()

    def lane(self, key: str) -> Lane | None:
        return Lane(key.partition("-")[0]) if key.startswith("hole") else None

    async def process(self, key: str) -> None:
        lane = self.lane(key)
        if lane is not None and not self.answer.is_set():
            self.waiting.add(key)
            self.happened.set()
            try:
                with waiting_for(lane):
                    await self.answer.wait()
            finally:
                self.waiting.discard(key)
        self.done.append(key)
        self.happened.set()

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not reached():
                self.happened.clear()
                await self.happened.wait()


@asynccontextmanager
async def benched(patience: float = 0.0) -> AsyncIterator[Bench]:
    bench = Bench(patience)
    task = asyncio.create_task(bench.queue.run(bench.process, WORKERS))
    yield bench
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize("holes", [1, 3])
async def test_another_key_goes_on_while_a_thousand_wait(holes: int) -> None:
    async with benched() as bench:
        for number in range(1000):
            bench.queue.add(f"hole{number % holes}-{number}", Priority.USER)
        bench.queue.add("other", Priority.TIMER)
        await bench.until(lambda: bench.done == ["other"])
        # no more wait than may, and those hold no worker
        assert len(bench.waiting) <= (holes + 1) * WORKERS
        bench.queue.add("another", Priority.TIMER)
        await bench.until(lambda: bench.done == ["other", "another"])
        # once there is an answer, everybody has his turn, once
        bench.answer.set()
        await bench.until(lambda: len(bench.done) == 1002)
        assert len(set(bench.done)) == 1002
        assert bench.queue.idle
        assert not bench.waits.anybody


async def test_who_waits_shortly_keeps_the_worker() -> None:
    async with benched(patience=3600.0) as bench:
        for number in range(WORKERS):
            bench.queue.add(f"hole-{number}", Priority.CHANGE)
        bench.queue.add("other", Priority.CHANGE)
        await bench.until(lambda: len(bench.waiting) == WORKERS)
        assert not bench.waits.anybody
        assert not bench.done
        bench.answer.set()
        await bench.until(lambda: len(bench.done) == WORKERS + 1)


async def test_a_key_that_waits_is_worked_on_by_nobody_else() -> None:
    async with benched() as bench:
        bench.queue.add("hole-1", Priority.CHANGE)
        await bench.until(lambda: bench.waits.anybody or bool(bench.waiting))
        bench.queue.add("hole-1", Priority.USER)
        bench.queue.add("other", Priority.CHANGE)
        await bench.until(lambda: bench.done == ["other"])
        bench.answer.set()
        await bench.until(lambda: bench.done.count("hole-1") == 2)


async def test_a_key_put_aside_is_forgotten() -> None:
    async with benched() as bench:
        for number in range(WORKERS + 3):
            bench.queue.add(f"hole-{number}", Priority.CHANGE)
        bench.queue.add("other", Priority.TIMER)
        await bench.until(lambda: bench.done == ["other"])
        for number in range(WORKERS, WORKERS + 3):
            bench.queue.forget(f"hole-{number}")
        bench.answer.set()
        await bench.until(lambda: len(bench.done) == WORKERS + 1)
        await bench.until(lambda: bench.queue.idle)


def test_how_many_may_wait() -> None:
    waits = Waits(2)
    kinds = [Lane("cluster", part) for part in "ab"]
    full = [(waits.is_full(HOLE), waits.take(HOLE)) for _ in range(7)]
    assert full == [(False, True)] * 2 + [(True, True)] * 4 + [(True, False)]  # a lane
    assert [waits.take(kind) for kind in kinds for _ in range(6)] == [True] * 8 + [False] * 4  # a place
    assert waits.is_full(Lane("cluster"))
    assert not waits.is_full(Lane("elsewhere"))
    assert [waits.take(Lane(name)) for name in "123"] == [True] * 2 + [False]  # altogether
    heard: list[Lane] = []
    waits.on_room = heard.append
    waits.give_back(kinds[0])
    assert (heard, waits.is_full(Lane("cluster"))) == ([kinds[0]], False)


async def test_waits_of_tasks_that_outlive_their_work_count_for_nobody() -> None:
    """What many share (a fetch, a discovery) is begun by the first and goes on after it."""
    waits = Waits(WORKERS, 0.0)
    outlived: list[asyncio.Task[None]] = []
    over = asyncio.Event()

    async def shared() -> None:
        await over.wait()
        begun(HOLE)
        await asyncio.sleep(0.01)  # longer than the patience
        ended(HOLE)

    async def process(key: str) -> None:
        outlived.append(asyncio.create_task(shared()))

    async def last(key: str) -> None:
        over.set()

    queue: WorkQueue[str] = WorkQueue(waits=waits)
    task = asyncio.create_task(queue.run(lambda key: last(key) if key == "b" else process(key), 1))
    queue.add("a", Priority.CHANGE)
    queue.add("b", Priority.TIMER)
    async with asyncio.timeout(10):
        await over.wait()
    await asyncio.gather(*outlived)
    assert not waits.anybody
    task.cancel()
    await asyncio.wait([task])
