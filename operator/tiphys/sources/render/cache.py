"""Remembers renders and files as they were parsed, bounded in bytes, and failures, with a pause after
too many.

``sources.md`` 17.2 for failures. Pure bookkeeping; time is given by the caller.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Hashable

import msgspec

from tiphys.sources.errors import SourceError
from tiphys.sources.render.request import Rendered


class RenderCache:
    """Rendered by content key; the least recently used go first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[str, Rendered] = OrderedDict()
        self.size = 0
        """Bytes held, roughly."""

    def get(self, key: str) -> Rendered | None:
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    def put(self, key: str, rendered: Rendered) -> None:
        self.drop(key)
        if rendered.size > self._limit:
            return
        self._entries[key] = rendered
        self.size += rendered.size
        while self.size > self._limit:
            _, gone = self._entries.popitem(last=False)
            self.size -= gone.size

    def drop(self, key: str) -> None:
        gone = self._entries.pop(key, None)
        if gone is not None:
            self.size -= gone.size

    def __len__(self) -> int:
        return len(self._entries)


class ParsedFiles:
    """The objects of manifest files, by what the files hold: of a thousand files in a directory a
    commit changes one. The JSON is the very same as in the renders, so it is held once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[bytes, tuple[bytes, ...]] = OrderedDict()
        self._size = 0

    @staticmethod
    def key(text: bytes, *, is_json: bool) -> bytes:
        """Names a file's content and how it is read."""
        return hashlib.blake2b(text, digest_size=20, person=b"json" if is_json else b"yaml").digest()

    def get(self, key: bytes) -> tuple[bytes, ...] | None:
        """The JSON of the objects of a file."""
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    def put(self, key: bytes, objects: tuple[bytes, ...]) -> None:
        """Remember a file that was parsed without an error."""
        if key in self._entries:
            return
        self._entries[key] = objects
        self._size += _bytes_of(objects)
        while self._size > self._limit:
            _, gone = self._entries.popitem(last=False)
            self._size -= _bytes_of(gone)

    def __len__(self) -> int:
        return len(self._entries)


def _bytes_of(objects: tuple[bytes, ...]) -> int:
    return 150 + sum(map(len, objects))


class _Failure(msgspec.Struct):
    error: SourceError
    first: float
    count: int
    answered: int = 0


class Failures:
    """Consecutive failures by key. ``after`` failures pause further attempts until ``seconds`` have
    passed since the first, or ``requests`` cached answers were given (0: that limit is off)."""

    def __init__(self, after: int = 3, seconds: float = 3600.0, requests: int = 0, limit: int = 5000) -> None:
        self._after = after
        self._seconds = seconds
        self._requests = requests
        self._limit = limit
        self._failures: OrderedDict[Hashable, _Failure] = OrderedDict()

    def check(self, key: Hashable, now: float) -> None:
        """Raises the remembered failure while paused."""
        failure = self._failures.get(key)
        if failure is None or not self._after or failure.count < self._after:
            return
        expired = self._seconds > 0 and now - failure.first >= self._seconds
        if expired or (self._requests > 0 and failure.answered >= self._requests):
            del self._failures[key]
            return
        failure.answered += 1
        raise failure.error.with_prefix("Manifest generation error (cached): ")

    def note(self, key: Hashable, error: SourceError, now: float) -> None:
        """Counts a failure."""
        failure = self._failures.get(key)
        if failure is None:
            failure = self._failures[key] = _Failure(error, now, 0)
            if len(self._failures) > self._limit:
                self._failures.popitem(last=False)
        failure.error = error
        failure.count += 1

    def forget(self, key: Hashable) -> None:
        """A success resets the count."""
        self._failures.pop(key, None)
