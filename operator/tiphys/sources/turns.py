"""Whose turn it is where only so many may run at a time: slow ones hold nobody else up.

Whoever wants a turn says for whom (a repository). Those take turns. One that has its turn for longer than
``patience`` is late: the next gets a turn beside it, as long as not too many are late; while as many are
late as may be of one repository, nobody else of it gets a turn. So a chart that never ends costs others a
few seconds, and a repository that does not answer waits alone.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Turns:
    """See the module.

    Args:
        count: turns at a time, without the late ones.
        patience: seconds.
        late_each: late ones of one repository.
        late_all: late ones altogether.
    """

    def __init__(self, count: int, *, patience: float, late_each: int, late_all: int) -> None:
        self._free = count
        self._patience = patience
        self._late_each = late_each
        self._late_all = late_all
        self._late: Counter[str] = Counter()
        self._overdue: list[Callable[[], bool]] = []  # of turns that take long while too many are late
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, whose: str) -> AsyncIterator[None]:
        """Wait for a turn, and have it as long as the block lasts."""
        loop = asyncio.get_running_loop()
        mine: asyncio.Future[None] = loop.create_future()
        self._waiting.setdefault(whose, deque()).append(mine)
        self._next()
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._free += 1
            elif mine in (line := self._waiting.get(whose, deque())):
                line.remove(mine)
                if not line:
                    del self._waiting[whose]
            self._next()
            raise
        late = False

        def is_late() -> bool:
            nonlocal late
            if self._late[whose] < self._late_each and self._late.total() < self._late_all:
                late = True
                self._late[whose] += 1
                self._free += 1
            return late

        def takes_long() -> None:
            if is_late():
                self._next()
            else:
                self._overdue.append(is_late)

        timer = loop.call_later(self._patience, takes_long)
        try:
            yield
        finally:
            timer.cancel()
            if is_late in self._overdue:
                self._overdue.remove(is_late)
            if late:
                self._late -= Counter((whose,))
                self._overdue = [each for each in self._overdue if not each()]
            else:
                self._free += 1
            self._next()

    def _next(self) -> None:
        while self._round():
            pass

    def _round(self) -> bool:
        """One turn for each repository that may have one; whether anybody got one."""
        anybody = False
        for whose in list(self._waiting):
            if self._free <= 0:
                return False
            if self._late[whose] >= self._late_each:
                continue
            line = self._waiting[whose]
            while line and line[0].done():  # cancelled meanwhile
                line.popleft()
            if line:
                line.popleft().set_result(None)
                self._free -= 1
                self._waiting.move_to_end(whose)
                anybody = True
            if not line:
                del self._waiting[whose]
        return anybody
