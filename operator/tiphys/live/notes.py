"""Answers to writes of ours, on their way into the records.

A sync of a thousand objects gets a thousand answers, each between two requests. Read one by one they
cost more than together, when the processor still has what reading takes at hand; so they wait a
moment for each other. Nobody sees that they were late: who writes looks after ``settle``,
and so do events, which would be read for nothing while the answer waits.
"""

import asyncio
from collections.abc import Callable

from tiphys.resources.identity import Manifest, key_of
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

SECONDS = 0.02
MOST = 64


class Notes:
    """See the module's story.

    Args:
        take: takes in one answer; must not block.
    """

    def __init__(self, take: Callable[[Manifest], None]) -> None:
        self._take = take
        self._waiting: list[Manifest] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, manifest: Manifest) -> None:
        """Take ``manifest`` in soon."""
        self._waiting.append(manifest)
        if len(self._waiting) >= MOST:
            self.settle()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SECONDS, self.settle)

    def settle(self) -> None:
        """Take in what waits, now."""
        if not self._waiting:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        for manifest in waiting:
            try:
                self._take(manifest)
            except Exception:  # the watch will tell
                log.exception(
                    "the answer to a write could not be read", extra={"object": str(key_of(manifest))}
                )
