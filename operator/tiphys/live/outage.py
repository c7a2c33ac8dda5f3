"""Waiting: back-off of one follower, and the common wait while a whole cluster is away.

When an API server dies, every follower notices at once. They do not each knock at the door: the
first one to wait asks (with a growing, jittered pause) until the server answers, the others queue
behind it and then go on, spread over a moment.
"""

import asyncio
import random

from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import KubeError


class Backoff:
    """Growing pauses with jitter, in seconds; back to the start after a success."""

    def __init__(self, first: float = 0.5, limit: float = 30.0) -> None:
        self._first = first
        self._limit = limit
        self._next = first

    def reset(self) -> None:
        self._next = self._first

    def take(self, at_least: float = 0.0) -> float:
        """The next pause."""
        pause = self._next * random.uniform(0.7, 1.3)
        self._next = min(self._next * 2, self._limit)
        return max(pause, at_least)


class Outage:
    """Whether a cluster answers at all."""

    def __init__(self, client: ClusterClient, *, first: float = 0.2, limit: float = 10.0) -> None:
        self._client = client
        self._first = first
        self._limit = limit
        self._lock = asyncio.Lock()
        self._answered_at = 0.0
        self.why = ""
        """Why the cluster does not answer; ``""`` while it does."""

    async def wait(self, why: str) -> None:
        """Return when the cluster answered after the moment of this call."""
        failed_at = asyncio.get_running_loop().time()
        self.why = self.why or why
        async with self._lock:
            backoff = Backoff(self._first, self._limit)
            while self._answered_at <= failed_at:
                await asyncio.sleep(backoff.take())
                try:
                    await self._client.raw("GET", "/readyz", resource="readyz", repeatable=False)
                except KubeError as error:
                    # A refusal (403 to an anonymous or narrow account) is an answer, too.
                    status = getattr(error, "status", 0)
                    if not status or status >= 500:
                        self.why = str(error)
                        continue
                self._answered_at = asyncio.get_running_loop().time()
                self.why = ""
        await asyncio.sleep(random.uniform(0.0, 0.3))
