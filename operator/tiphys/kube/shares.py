"""No kind of object takes all connections: a webhook that never answers holds its own calls only.

Calls about one resource in one namespace may have so many of the connections of a cluster; further ones
wait for each other, not for everybody.
"""

import asyncio
from collections import deque

Whose = tuple[str, str]
"""Resource and namespace."""


class Shares:
    """Calls in flight, at most ``each`` of a resource in a namespace; 0: as many as there are."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._busy: dict[Whose, int] = {}
        self._waiting: dict[Whose, deque[asyncio.Future[None]]] = {}

    def share(self, whose: Whose) -> "Share":
        """Wait for a place (``async with``), and have it as long as the block lasts."""
        return Share(self, whose)

    async def _enter(self, whose: Whose) -> None:
        busy = self._busy.get(whose, 0)
        if self._each and busy >= self._each:
            await self._turn(whose)
        else:
            self._busy[whose] = busy + 1

    async def _turn(self, whose: Whose) -> None:
        """Take over the place of one that leaves."""
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(whose, deque()).append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._leave(whose)
            raise

    def _leave(self, whose: Whose) -> None:
        line = self._waiting.get(whose)
        while line:
            each = line.popleft()
            if not line:
                del self._waiting[whose]
            if not each.done():
                each.set_result(None)
                return
        if self._busy[whose] > 1:
            self._busy[whose] -= 1
        else:
            del self._busy[whose]


class Share:
    """One call's place. A class, not a generator: every request has one."""

    __slots__ = ("_shares", "_whose")

    def __init__(self, shares: Shares, whose: Whose) -> None:
        self._shares = shares
        self._whose = whose

    async def __aenter__(self) -> None:
        await self._shares._enter(self._whose)

    async def __aexit__(self, *_: object) -> None:
        self._shares._leave(self._whose)
