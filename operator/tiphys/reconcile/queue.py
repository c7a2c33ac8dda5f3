"""The work queue: keyed, deduplicating, prioritised, fair, bounded.

Keys go in with a priority and, optionally, a delay; workers take them out one at a time, and a key
is never in two workers at once: what is added while its key is being worked on waits until that
work is done and then runs once more. Within a priority the groups of keys (projects) take turns,
so that a project with a thousand applications cannot starve one with a single application. Work that
waits long for something outside holds no worker (``waiting``), and keys that would only wait there, too,
stay aside meanwhile.

A key whose work raises is tried again after a back-off of its own; nothing else notices. Waiting
holds no worker: whoever must wait adds its key with a delay and returns.

Knows nothing of Applications; the clock is the event loop's.
"""

import asyncio
import enum
import heapq
import itertools
import random
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import Generic, Protocol, TypeVar

from tiphys.reconcile.waiting import Lane, Waits, Work, holding
from tiphys.telemetry.logs import get_logger

K = TypeVar("K", bound=Hashable)
log = get_logger(__name__)

BACKOFF_BASE = 1.0
BACKOFF_CAP = 300.0


class Priority(enum.IntEnum):
    """Lower goes first."""

    USER = 0
    OPERATION = 1
    CHANGE = 2
    TIMER = 3


class QueueObserver(Protocol):
    """Where a queue reports what it does (metrics); times are seconds."""

    def added(self, depth: int) -> None: ...
    def started(self, waited: float, depth: int) -> None: ...
    def finished(self, worked: float, *, failed: bool) -> None: ...


class WorkQueue(Generic[K]):
    """See the module's story.

    Args:
        group_of: the group of a key, for fairness (an application's project).
        observer: told of each addition, start and end.
        waits: who waits long for something outside.
        lanes_of: what a key's work will have to wait for.
    """

    def __init__(
        self,
        group_of: Callable[[K], str] = lambda _: "",
        observer: QueueObserver | None = None,
        waits: Waits | None = None,
        lanes_of: Callable[[K], Iterable[Lane]] = lambda _: (),
    ):
        self._group_of = group_of
        self._observer = observer
        self._waits = waits or Waits(1 << 30)
        self._waits.on_room = self._room
        self._lanes_of = lanes_of
        self._aside: dict[Lane, dict[K, Priority]] = {}
        self._slow: dict[K, Lane] = {}  # in which lane a key's work waited long when it ran last
        self._ready: dict[Priority, OrderedDict[str, deque[K]]] = {p: OrderedDict() for p in Priority}
        self._waiting: dict[K, tuple[Priority, float]] = {}  # key in _ready -> best priority, added at
        self._running: set[K] = set()
        self._dirty: dict[K, Priority] = {}  # added while running
        self._delayed: dict[K, tuple[float, Priority]] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._failures: dict[K, int] = {}
        self._sequence = itertools.count()
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Nothing is being worked on or ready to be (delayed keys do not count)."""
        return not self._waiting and not self._running and not self._aside

    def add(self, key: K, priority: Priority, *, after: float = 0.0) -> None:
        """Ask for one run of ``key``, now or ``after`` seconds from now.

        Of several delayed requests for one key only the earliest is kept: a run decides itself
        when the next one is due.
        """
        if after > 0:
            due = asyncio.get_running_loop().time() + after
            known = self._delayed.get(key)
            if known is None or due < known[0]:
                self._delayed[key] = (due, priority)
                heapq.heappush(self._heap, (due, next(self._sequence), key))
                self._wake.set()
            return
        if key in self._running:
            self._dirty[key] = min(priority, self._dirty.get(key, priority))
            return
        waiting = self._waiting.get(key)
        if waiting is not None:
            if waiting[0] <= priority:
                return
            self._remove(key, waiting[0])
        added_at = waiting[1] if waiting else asyncio.get_running_loop().time()
        self._waiting[key] = (priority, added_at)
        self._ready[priority].setdefault(self._group_of(key), deque()).append(key)
        if self._observer:
            self._observer.added(len(self._waiting))
        self._wake.set()

    def forget(self, key: K) -> None:
        """Drop every request for ``key`` (its object is gone)."""
        self._delayed.pop(key, None)
        self._dirty.pop(key, None)
        self._failures.pop(key, None)
        self._slow.pop(key, None)
        for lane in list(self._aside):
            if self._aside[lane].pop(key, None) is not None and not self._aside[lane]:
                del self._aside[lane]
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            self._remove(key, waiting[0])

    async def run(self, process: Callable[[K], Awaitable[None]], workers: int) -> None:
        """Work until cancelled, with at most ``workers`` keys in hand at once."""
        free = asyncio.Semaphore(workers)
        async with asyncio.TaskGroup() as tasks:
            while True:
                await free.acquire()
                key, waited = await self._next_with_room()
                self._running.add(key)
                if self._observer:
                    self._observer.started(waited, len(self._waiting))
                tasks.create_task(self._work(key, process, free))
                # A ready key never suspends: without this a burst would block the loop (591 ms measured).
                await asyncio.sleep(0)

    async def _work(self, key: K, process: Callable[[K], Awaitable[None]], free: asyncio.Semaphore) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        failed = False
        work = Work(self._waits, free.release)
        holding(work)  # this task's own context
        try:
            await process(key)
            self._failures.pop(key, None)
        except Exception:
            failed = True
            attempt = self._failures[key] = self._failures.get(key, 0) + 1
            delay = min(BACKOFF_CAP, BACKOFF_BASE * 2 ** min(attempt - 1, 16)) * random.uniform(0.8, 1.2)
            log.exception("work failed; trying again in %.1f s", delay, extra={"key": str(key)})
            self.add(key, Priority.TIMER, after=delay)
        finally:
            self._running.discard(key)
            again = self._dirty.pop(key, None)
            if again is not None:
                self.add(key, again)
            if self._observer:
                self._observer.finished(loop.time() - begin, failed=failed)
            if work.lane is None:
                self._slow.pop(key, None)
                free.release()
            else:
                self._slow[key] = work.lane
            work.close()

    async def _next_with_room(self) -> tuple[K, float]:
        """The next key that will not only wait in a full lane; those are put aside."""
        while True:
            key, waited, priority = await self._next()
            full = self._full(key)
            if full is None:
                return key, waited
            kept = self._aside.setdefault(full, {})
            kept[key] = min(priority, kept.get(key, priority))

    def _full(self, key: K) -> Lane | None:
        if not self._waits.anybody:
            return None
        before = self._slow.get(key)
        lanes = self._lanes_of(key) if before is None else (before, *self._lanes_of(key))
        return next((lane for lane in lanes if self._waits.is_full(lane)), None)

    def _room(self, lane: Lane) -> None:
        """Somebody waits no more: of those put aside as many as may wait come back, and all of them once
        nobody waits long. (A place that has room again has it for all of its lanes.)"""
        for full in [each for each in self._aside if each.place == lane.place]:
            if self._waits.is_full(full):
                continue
            kept = self._aside[full]
            count = self._waits.room(full) if self._waits.is_slow(full) else len(kept)
            for key in list(kept)[:count]:
                self.add(key, kept.pop(key))
            if not kept:
                del self._aside[full]

    async def _next(self) -> tuple[K, float, Priority]:
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            while self._heap and self._heap[0][0] <= now:
                due, _, key = heapq.heappop(self._heap)
                if (known := self._delayed.get(key)) is not None and known[0] == due:
                    del self._delayed[key]
                    self.add(key, known[1])
            for priority in Priority:
                groups = self._ready[priority]
                if groups:
                    group, keys = next(iter(groups.items()))
                    key = keys.popleft()
                    if keys:
                        groups.move_to_end(group)
                    else:
                        del groups[group]
                    _, added_at = self._waiting.pop(key)
                    return key, now - added_at, priority
            self._wake.clear()
            timeout = self._heap[0][0] - now if self._heap else None
            try:
                async with asyncio.timeout(timeout):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _remove(self, key: K, priority: Priority) -> None:
        group = self._group_of(key)
        for name in (group, *self._ready[priority]):  # the group may have changed since
            keys = self._ready[priority].get(name)
            if keys and key in keys:
                keys.remove(key)
                if not keys:
                    del self._ready[priority][name]
                return
