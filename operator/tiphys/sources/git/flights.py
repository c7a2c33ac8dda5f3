"""Work that many callers want at once and that must happen once.

The first caller of a key starts it, the others wait for the same answer. A cancelled caller leaves
the others undisturbed; when the last one leaves, the work is cancelled too. The tasks belong to this
object: :meth:`close` ends them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class _Flight(Generic[T]):
    def __init__(self, task: "asyncio.Task[T]") -> None:
        self.task = task
        self.waiting = 0


class Flights(Generic[T]):
    """Shared running work by key."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}

    async def share(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """The result (or error) of the running work of ``key``, or of ``work()``, started now."""
        flight = self._flights.get(key)
        if flight is None:
            flight = _Flight(asyncio.get_running_loop().create_task(self._fly(key, work)))
            self._flights[key] = flight
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                # leaves the table at once: the next caller must not join what is being cancelled
                if self._flights.get(key) is flight:
                    del self._flights[key]
                flight.task.cancel()

    async def _fly(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return await work()
        finally:
            flight = self._flights.get(key)
            if flight is not None and flight.task is asyncio.current_task():
                del self._flights[key]

    async def close(self) -> None:
        """Cancel what runs and wait until it is gone."""
        tasks = [flight.task for flight in self._flights.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
