"""The work queue: deduplication, order, fairness, one worker a key, back-off."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tiphys.reconcile.queue import Priority, WorkQueue


class Ended:
    """Wakes whoever waits for work to end."""

    def __init__(self) -> None:
        self.happened = asyncio.Event()

    def added(self, depth: int) -> None: ...
    def started(self, waited: float, depth: int) -> None: ...

    def finished(self, worked: float, *, failed: bool) -> None:
        self.happened.set()


async def drain(queue: WorkQueue[str], process: Callable[[str], Awaitable[None]], workers: int = 1) -> None:
    """Run the queue until nothing is ready or running."""
    ended = queue._observer = Ended()
    task = asyncio.create_task(queue.run(process, workers))
    try:
        async with asyncio.timeout(5):
            while not queue.idle:
                await ended.happened.wait()
                ended.happened.clear()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def order_of(queue: WorkQueue[str]) -> list[str]:
    done: list[str] = []

    async def process(key: str) -> None:
        done.append(key)

    await drain(queue, process)
    return done


async def test_a_key_added_twice_runs_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a", Priority.CHANGE)
    queue.add("a", Priority.CHANGE)
    assert await order_of(queue) == ["a"]


async def test_users_go_before_operations_before_changes_before_timers() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key, priority in (
        ("timer", Priority.TIMER),
        ("change", Priority.CHANGE),
        ("operation", Priority.OPERATION),
        ("user", Priority.USER),
    ):
        queue.add(key, priority)
    assert await order_of(queue) == ["user", "operation", "change", "timer"]


async def test_a_waiting_key_is_raised_by_a_more_urgent_request() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a", Priority.TIMER)
    queue.add("b", Priority.CHANGE)
    queue.add("a", Priority.USER)
    assert await order_of(queue) == ["a", "b"]


async def test_groups_take_turns() -> None:
    queue: WorkQueue[str] = WorkQueue(group_of=lambda key: key[0])
    for key in ("a1", "a2", "a3", "b1"):
        queue.add(key, Priority.CHANGE)
    assert await order_of(queue) == ["a1", "b1", "a2", "a3"]


async def test_a_key_is_never_in_two_workers_and_runs_again_when_added_meanwhile() -> None:
    queue: WorkQueue[str] = WorkQueue()
    running = 0
    most = 0
    runs = 0

    async def process(key: str) -> None:
        nonlocal running, most, runs
        running += 1
        most = max(most, running)
        runs += 1
        if runs == 1:
            queue.add(key, Priority.CHANGE)
        await asyncio.sleep(0)
        running -= 1

    queue.add("a", Priority.CHANGE)
    await drain(queue, process, workers=4)
    assert (most, runs) == (1, 2)


async def test_at_most_so_many_keys_are_worked_on_at_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    running = most = 0

    async def process(key: str) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.002)
        running -= 1

    for index in range(10):
        queue.add(str(index), Priority.CHANGE)
    await drain(queue, process, workers=3)
    assert most == 3


async def test_a_failing_key_is_tried_again_and_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiphys.reconcile.queue.BACKOFF_BASE", 0.01)
    queue: WorkQueue[str] = WorkQueue()
    done: list[str] = []
    again = asyncio.Event()

    async def process(key: str) -> None:
        done.append(key)
        if key == "bad" and done.count("bad") == 1:
            raise ValueError("broken")
        if done.count("bad") == 2:
            again.set()

    queue.add("bad", Priority.CHANGE)
    queue.add("good", Priority.CHANGE)
    task = asyncio.create_task(queue.run(process, 2))
    async with asyncio.timeout(5):
        await again.wait()
    task.cancel()
    await asyncio.wait([task])
    assert done[:2] == ["bad", "good"]


async def test_of_two_delays_the_earlier_counts() -> None:
    queue: WorkQueue[str] = WorkQueue()
    ran = asyncio.Event()

    async def process(key: str) -> None:
        ran.set()

    queue.add("a", Priority.TIMER, after=0.01)
    queue.add("a", Priority.TIMER, after=60)
    task = asyncio.create_task(queue.run(process, 1))
    async with asyncio.timeout(5):
        await ran.wait()
    task.cancel()
    await asyncio.wait([task])


async def test_a_forgotten_key_does_not_run() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a", Priority.CHANGE)
    queue.add("b", Priority.CHANGE)
    queue.forget("a")
    assert await order_of(queue) == ["b"]
