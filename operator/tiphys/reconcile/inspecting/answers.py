"""Answers to dry runs, kept for a moment: whoever looks again and again asks the API server once.

Bounded by bytes and by age; an answer is about one version of a live object and one target, so a newer
version has none. What admission would say may change any time, so none is kept for long.
"""

from collections import OrderedDict
from collections.abc import Hashable

import orjson

from tiphys.resources.identity import Manifest

SECONDS = 30.0
MOST_BYTES = 16 << 20


class Answers:
    """See the module. ``now`` is a moment of the event loop's clock, in seconds."""

    def __init__(self, most_bytes: int = MOST_BYTES, seconds: float = SECONDS) -> None:
        self._most = most_bytes
        self._seconds = seconds
        self._kept: OrderedDict[Hashable, tuple[float, bytes]] = OrderedDict()
        self.size = 0

    def get(self, stamp: Hashable, now: float) -> Manifest | None:
        """The answer for exactly this pair, if it is young enough."""
        found = self._kept.get(stamp)
        if found is None or now - found[0] > self._seconds:
            return None
        answer: Manifest = orjson.loads(found[1])
        return answer

    def keep(self, stamp: Hashable, answer: Manifest, now: float) -> None:
        """Keep an answer; the oldest go where there is no room, and all that are too old."""
        body = bytes(memoryview(orjson.dumps(answer)))
        self._drop(stamp)
        self._kept[stamp] = (now, body)
        self.size += len(body)
        while self._kept:
            oldest, (since, _) = next(iter(self._kept.items()))
            if self.size <= self._most and now - since <= self._seconds:
                break
            self._drop(oldest)

    def _drop(self, stamp: Hashable) -> None:
        found = self._kept.pop(stamp, None)
        if found is not None:
            self.size -= len(found[1])
