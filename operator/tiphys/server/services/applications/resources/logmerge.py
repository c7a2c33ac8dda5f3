"""Log lines of several Pods as one stream, ordered by time (health-and-resources.md 14).

Each Pod is read by a task of its own into a short buffer; a reader whose buffer is full waits, so a
slow client slows the API server down instead of filling memory. As long as every open Pod has a line
at hand, the oldest goes out; where one is silent, the others wait for it a moment and then go out.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from tiphys.kube.errors import ApiError, KubeError
from tiphys.server.api.failures import unknown

PATIENCE = 0.1
"""Seconds that lines wait for Pods that are silent."""

BUFFERED = 256
"""Lines held of one Pod."""

LONGEST = 1 << 20
"""Bytes of a line that is sent in one piece."""

ZERO_TIME = "0001-01-01T00:00:00Z"
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


class Line(msgspec.Struct, frozen=True):
    """One line of a log.

    Attributes:
        moment: nanoseconds since 1970; 0 for a stream that could not be opened.
        stamp: the moment as text, RFC 3339 with as many digits as it needs.
    """

    text: str
    pod: str = ""
    moment: int = 0
    stamp: str = ZERO_TIME


class Chunks(Protocol):
    """The body of an answer."""

    def iter_any(self) -> AsyncIterator[bytes]: ...


class Answer(Protocol):
    """An open log."""

    @property
    def content(self) -> Chunks: ...


class Source(msgspec.Struct, frozen=True, eq=False):
    """A Pod and how its log is opened."""

    pod: str
    opened: AbstractAsyncContextManager[Answer]


class _Reader:
    """A Pod that is being read."""

    def __init__(self, source: Source, news: asyncio.Event):
        self._source = source
        self._news = news
        self._room = asyncio.Event()
        self.lines: deque[Line] = deque()
        self.task = asyncio.create_task(self._read(), name=f"log of {source.pod}")

    @property
    def is_silent(self) -> bool:
        """Open, and no line at hand."""
        return not self.lines and not self.task.done()

    @property
    def goes_on(self) -> bool:
        """Not read to its end. Raises what the reading failed with, once its lines are out."""
        if self.lines or not self.task.done():
            return True
        self.task.result()
        return False

    def take(self) -> Line:
        """The oldest line."""
        line = self.lines.popleft()
        self._room.set()
        return line

    async def _read(self) -> None:
        try:
            async with AsyncExitStack() as stack:
                try:
                    answer = await stack.enter_async_context(self._source.opened)
                except KubeError as error:
                    await self._put(Line(error.message if isinstance(error, ApiError) else str(error)))
                    return
                async for raw in _lines(answer):
                    for line in parsed(raw, self._source.pod):
                        await self._put(line)
        finally:
            self._news.set()

    async def _put(self, line: Line) -> None:
        while len(self.lines) >= BUFFERED:
            self._room.clear()
            await self._room.wait()
        self.lines.append(line)
        self._news.set()


async def merged(sources: Sequence[Source]) -> AsyncIterator[Line]:
    """The lines of all sources; ends when all of them end.

    A log that cannot be opened is one line that says why.

    Raises:
        ApiFailure: Unknown, a line has no time.
        ClusterUnreachable: a log broke off.
    """
    news = asyncio.Event()
    readers = [_Reader(source, news) for source in sources]
    every = tuple(readers)
    clock = asyncio.get_running_loop().time
    limit: float | None = None  # when lines that wait for a silent Pod have waited long enough
    try:
        while readers := [reader for reader in readers if reader.goes_on]:
            if not any(reader.is_silent for reader in readers):
                limit = None
                yield min(readers, key=lambda reader: reader.lines[0].moment).take()
                continue
            if not any(reader.lines for reader in readers):
                limit = None
            elif limit is None:
                limit = clock() + PATIENCE
            elif clock() >= limit:
                limit = None
                held = [reader.take() for reader in readers for _ in range(len(reader.lines))]
                for line in sorted(held, key=lambda line: line.moment):
                    yield line
                continue
            news.clear()  # nothing can come between the look and this
            with suppress(TimeoutError):
                async with asyncio.timeout_at(limit):
                    await news.wait()
    finally:
        for reader in every:
            reader.task.cancel()
        await asyncio.gather(*(reader.task for reader in every), return_exceptions=True)


async def _lines(answer: Answer) -> AsyncIterator[bytes]:
    """Lines without their ends; a very long one comes in pieces under its own time."""
    rest = b""
    async for chunk in answer.content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
        if len(rest) > LONGEST:
            stamp = rest.split(b" ", 1)[0]
            yield rest
            rest = stamp + b" "
    if rest.strip():
        yield rest


def parsed(raw: bytes, pod: str) -> list[Line]:
    """The entries of one line; several where it holds carriage returns.

    Raises:
        ApiFailure: Unknown, the line does not begin with a time.
    """
    stamp, _, text = raw.decode("utf-8", "replace").rstrip().partition(" ")
    moment = nanoseconds(stamp)
    if moment is None:
        raise unknown(f'parsing time "{stamp}": a line of the log of {pod} does not begin with a time')
    shown = shortened(stamp)
    return [Line(part, pod, moment, shown) for part in text.split("\r")]


def nanoseconds(stamp: str) -> int | None:
    """Nanoseconds since 1970 of an RFC 3339 time; None: it is none."""
    found = _STAMP.fullmatch(stamp)
    if found is None:
        return None
    try:
        moment = datetime.fromisoformat(found[1] + found[3])
    except ValueError:
        return None
    return int(moment.timestamp()) * 1_000_000_000 + int((found[2] or "").ljust(9, "0"))


def shortened(stamp: str) -> str:
    """The time without zeros at the end of its fraction, as Go writes it."""
    found = _STAMP.fullmatch(stamp)
    assert found is not None
    fraction = (found[2] or "").rstrip("0")
    return f"{found[1]}.{fraction}{found[3]}" if fraction else found[1] + found[3]


def stamp_of(moment: datetime) -> str:
    """The text of a moment in UTC."""
    text = moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00")
    return shortened(f"{text}Z")
