"""Reading the body of a request: in bounded memory and bounded time, and never more than is needed.

A body that is too large, too slow or broken is a :class:`BodyProblem`; the connection is closed behind
the answer, since nobody knows what else would come.
"""

import asyncio
import re
from collections.abc import AsyncIterator

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


async def read_body(request: web.Request, *, limit: int, seconds: float) -> bytes:
    """The whole body.

    Raises:
        ApiFailure: ResourceExhausted; more than ``limit`` bytes.
        BodyProblem: not complete within ``seconds``, or broken.
    """
    if not request.can_read_body:
        return b""
    if (request.content_length or 0) > limit:
        raise too_large(request.content_length or 0, limit)
    parts: list[bytes] = []
    size = 0
    async for part in body_parts(request, seconds=seconds, whole=True):
        size += len(part)
        if size > limit:
            raise too_large(size, limit)
        parts.append(part)
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
