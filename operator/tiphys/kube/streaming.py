"""From the bytes of a watch to whole lines.

aiohttp's line reader gives up at 128 KiB and wakes up once for each line; this one splits whatever
came at once, so a burst of events costs one wake-up, and a line may have any length. Where events come
thick, the stream is read a few dozen times a second only: one by one they cost a multiple.
"""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import msgspec

from tiphys.kube.errors import StatusObject, from_status

THICK_SECONDS = 0.005
"""Events that follow one another faster than this come thick."""

GATHER_SECONDS = 0.02
"""How long they are let come together, as long as that brings a few each time."""

FEW, MANY = 3, 50
"""Lines of a batch: below the first it is not worth waiting, above the second there is enough to do."""

_ERROR_PREFIX = b'{"type":"ERROR"'


class _ErrorEvent(msgspec.Struct, frozen=True):
    object: StatusObject


class LineSplitter:
    """Cuts a stream of chunks into lines; keeps the unfinished rest."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that ``chunk`` completes, without line ends and without empty ones."""
        end = chunk.rfind(b"\n")
        if end < 0:
            self._rest.append(chunk)
            return []
        self._rest.append(chunk[:end])
        whole = b"".join(self._rest)
        self._rest = [chunk[end + 1 :]] if end + 1 < len(chunk) else []
        return [line for line in whole.split(b"\n") if line]


async def event_lines(answer: aiohttp.ClientResponse) -> AsyncIterator[list[bytes]]:
    """Batches of watch events, each ``{"type": …, "object": …}``.

    Raises:
        ApiError: the server sent an ERROR event (410 is :class:`~tiphys.kube.errors.Gone`); events
            before it were yielded.
    """
    clock = asyncio.get_running_loop().time
    splitter = LineSplitter()
    taken, gathering = -1.0, False
    async for chunk in answer.content.iter_any():
        is_thick = clock() - taken < THICK_SECONDS
        lines = splitter.feed(chunk)
        if not lines:
            continue
        for index, line in enumerate(lines):
            if line.startswith(_ERROR_PREFIX):
                if index:
                    yield lines[:index]
                raise from_status(msgspec.json.decode(line, type=_ErrorEvent).object)
        yield lines
        gathering = is_thick and len(lines) < MANY and (not gathering or len(lines) >= FEW)
        if gathering:
            await _gather(answer)
        taken = clock()


async def _gather(answer: aiohttp.ClientResponse) -> None:
    """Let events come together in the connection."""
    transport = answer.connection.transport if answer.connection is not None else None
    if transport is None:  # its end came already
        return
    transport.pause_reading()
    try:
        await asyncio.sleep(GATHER_SECONDS)
    finally:
        transport.resume_reading()
