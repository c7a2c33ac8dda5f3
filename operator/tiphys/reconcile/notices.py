"""Telling those who watch an application that something of it moved.

Costs nothing for applications that nobody watches. A notice carries no content: whoever gets it
asks for what he shows, so a slow consumer skips states and never queues them.
"""

import asyncio
from collections.abc import AsyncIterator

from tiphys.resources.identity import AppKey


class Notices:
    """See the module."""

    def __init__(self) -> None:
        self._watching: dict[AppKey, set[asyncio.Event]] = {}

    def tell(self, key: AppKey) -> None:
        """Live objects or the status of an application changed."""
        for event in self._watching.get(key, ()):
            event.set()

    def watchers(self, key: AppKey) -> int:
        """How many watch an application."""
        return len(self._watching.get(key, ()))

    async def of(self, key: AppKey) -> AsyncIterator[None]:
        """One item after each change from the first ``anext`` on; what happens while the consumer is
        busy is one item. Close it to stop watching."""
        event = asyncio.Event()
        watching = self._watching.setdefault(key, set())
        watching.add(event)
        try:
            while True:
                await event.wait()
                event.clear()
                yield None
        finally:
            watching.discard(event)
            if not watching and self._watching.get(key) is watching:
                del self._watching[key]
