"""Reading the body of a request: in bounded memory and bounded time, and never more than is needed.

A body that is too large, too slow or broken is a :class:`BodyProblem`; the connection is closed behind
the answer, since nobody knows what else would come.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web
from aiohttp.client_exceptions import ClientPayloadError
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_exceptions import HTTPException

from tiphys.server.api.failures import ApiFailure, Code


class BodyProblem(Exception):
    """A body did not arrive as it should; ``status`` and ``text`` are for the client."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status
        self.text = text


def too_large(size: int, limit: int) -> ApiFailure:
    """The failure for a message beyond the limit, in the words of gRPC."""
    return ApiFailure(Code.RESOURCE_EXHAUSTED, f"grpc: received message larger than max ({size} vs. {limit})")


SMALL_BYTES = 256 * 1024
"""What is larger is taken from callers only who are let in first."""

ALL_SMALL_BYTES = 64 * 1024 * 1024
ALL_LARGE_BYTES = 256 * 1024 * 1024

Admit = Callable[[], Awaitable[None]]
"""Lets the caller in, or raises why not."""


class BodyRoom:
    """Memory that bodies on their way take, over all connections: beyond it, clients are asked to come
    again. Nobody can fill the memory with half a request on each of many connections."""

    def __init__(self, small: int = ALL_SMALL_BYTES, large: int = ALL_LARGE_BYTES):
        self._free = {"small": small, "large": large}

    def take(self, kind: str, amount: int) -> None:
        """Have so many bytes.

        Raises:
            ApiFailure: ResourceExhausted.
        """
        if amount > self._free[kind]:
            raise ApiFailure(
                Code.RESOURCE_EXHAUSTED, "the server is receiving too many large requests; try again"
            )
        self._free[kind] -= amount

    def give_back(self, kind: str, amount: int) -> None:
        """Need them no more."""
        self._free[kind] += amount


async def read_body(
    request: web.Request, room: BodyRoom, admit: Admit, *, limit: int, seconds: float
) -> bytes:
    """The whole body.

    Raises:
        ApiFailure: ResourceExhausted, more than ``limit`` bytes or no room; or what ``admit`` says to a
            body that is not small.
        BodyProblem: not complete within ``seconds``, or broken.
    """
    if not request.can_read_body:
        return b""
    expected = request.content_length or 0
    if expected > limit:
        raise too_large(expected, limit)
    parts: list[bytes] = []
    size, taken, kind = 0, 0, "small"
    try:
        if expected > SMALL_BYTES:
            await admit()
            room.take("large", expected)
            taken, kind = expected, "large"
        async for part in body_parts(request, seconds=seconds, whole=True):
            size += len(part)
            if size > limit:
                raise too_large(size, limit)
            if kind == "small" and size > SMALL_BYTES:
                await admit()
                room.take("large", limit)
                room.give_back("small", taken)
                taken, kind = limit, "large"
            elif kind == "small":
                room.take("small", len(part))
                taken += len(part)
            parts.append(part)
    finally:
        room.give_back(kind, taken)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def body_parts(request: web.Request, *, seconds: float, whole: bool) -> AsyncIterator[bytes]:
    """The body as it arrives.

    Args:
        seconds: limit for the whole body, or (not ``whole``) for each part.

    Raises:
        BodyProblem: too slow or broken.
    """
    loop = asyncio.get_running_loop()
    limit = loop.time() + seconds
    while True:
        try:
            async with asyncio.timeout_at(limit):
                part = await request.content.readany()
        except TimeoutError:
            raise BodyProblem(408, "Request Timeout") from None
        except (ClientPayloadError, HttpProcessingError, HTTPException, ConnectionError):
            raise BodyProblem(400, "Bad Request") from None
        except Exception as error:  # what aiohttp's parser raises for a broken body has no one base
            raise BodyProblem(400, "Bad Request") from error
        if not part:
            return
        yield part
        if not whole:
            limit = loop.time() + seconds


_TOKENS = re.compile(rb'["\\{}\[\]]')


class JsonSplitter:
    """Cuts a sequence of JSON objects, which need not be separated, into its members.

    Scans only for quotes and brackets, so large texts inside cost a search in C.
    """

    def __init__(self, limit: int):
        self._limit = limit
        self._held = bytearray()
        self._scanned = 0
        self._depth = 0
        self._in_text = False

    @property
    def is_between(self) -> bool:
        """Whether all that was fed are whole values."""
        return not self._held.strip()

    def feed(self, data: bytes) -> list[bytes]:
        """The objects that are complete now.

        Raises:
            ApiFailure: ResourceExhausted for an object beyond the limit, InvalidArgument for anything
                that is no sequence of objects.
        """
        self._held += data
        found: list[bytes] = []
        while (end := self._end_of_object()) is not None:
            found.append(bytes(self._held[:end]))
            del self._held[:end]
            self._scanned = 0
        if len(self._held) > self._limit:
            raise too_large(len(self._held), self._limit)
        return found

    def _end_of_object(self) -> int | None:
        while (match := _TOKENS.search(self._held, self._scanned)) is not None:
            token, at = match[0], match.start()
            if self._in_text:
                if token == b"\\":
                    if at + 1 >= len(self._held):
                        self._scanned = at
                        return None
                    self._scanned = at + 2
                    continue
                self._in_text = token != b'"'
            elif token == b'"':
                self._in_text = True
            elif token in (b"{", b"["):
                self._depth += 1
            elif token in (b"}", b"]"):
                self._depth -= 1
                if self._depth <= 0:
                    self._depth = 0
                    return at + 1
            self._scanned = at + 1
        self._scanned = len(self._held)
        return None
