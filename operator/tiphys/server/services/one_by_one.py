"""Changes of one thing, one after the other.

What is read, decided and written again when somebody else was faster gets nowhere if many do it at once: a
dozen pipelines that ask for tokens of one project, say. In this process they wait for each other; only
other replicas are met by trying again.
"""

import asyncio
from weakref import WeakValueDictionary


class OneByOne:
    """A lock for each name, kept as long as somebody holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, name: str) -> asyncio.Lock:
        """The lock of one thing; for ``async with``."""
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        return lock
