"""Answers that stream: JSON envelopes line by line, server-sent events, or a log as a file (api.md 3).

The answer's head waits for the first message (or a moment of silence), so that a call that fails at once
has a status of its own. Each stream has a companion task: it begins the answer of a silent stream, writes
the comments that keep a stream of events alive, and gives up a client that does not read: no stream waits
for another, and what a dead client holds is free within ``write_seconds``. Writing a message makes no task
and no timer.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any

import msgspec
from aiohttp import web

from tiphys.resources import gojson
from tiphys.server.api.failures import ApiFailure
from tiphys.server.api.rpc import Encoded, Method
from tiphys.server.http.answers import JSON, stream_failure
from tiphys.server.http.fields import Fields
from tiphys.server.http.options import HttpOptions
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

SILENCE_SECONDS = 1.0
"""How long the head of an answer waits for a first message."""

EVENT_STREAM = "text/event-stream"
WATCHES = frozenset({"/application.ApplicationService/Watch", "/applicationset.ApplicationSetService/Watch"})
REMEMBERED_EVENTS = 10_000

_KUBERNETES_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


class Collapse:
    """Knows the previous event of each object of a watch (api.md 3): equal ones are sent once.

    Objects are told apart by name only, as in the reference. Bounded: the longest unheard is forgotten.
    """

    def __init__(self, limit: int = REMEMBERED_EVENTS):
        self._limit = limit
        self._last: dict[str, int] = {}

    def repeats(self, subject: str, encoded: bytes) -> bool:
        """Whether this is what was sent last for the object; remembers it."""
        digest = hash(encoded)
        if self._last.pop(subject, None) == digest:
            self._last[subject] = digest
            return True
        self._last[subject] = digest
        if len(self._last) > self._limit:
            del self._last[next(iter(self._last))]
        return False


class Envelope:
    """Makes the bytes of each message of one stream."""

    def __init__(self, method: Method, fields: Fields | None, *, events: bool):
        self._fields = fields
        self._begin, self._end = (b"data: ", b" \n\n\n") if events else (b"", b"\n")
        self._collapse = Collapse() if method.path in WATCHES else None

    def message(self, answer: msgspec.Struct | Encoded) -> bytes:
        """The bytes of a message; empty when it is not to be sent."""
        encoded = answer.json() if isinstance(answer, Encoded) else gojson.dumps(answer)
        wrapped = b'{"result":%b}' % encoded if self._fields is None else _filtered(self._fields, encoded)
        if self._collapse is not None and self._collapse.repeats(
            subject_of(answer), encoded if self._fields is None else wrapped
        ):
            return b""
        return b"%b%b%b" % (self._begin, wrapped, self._end)

    def failure(self, failure: ApiFailure) -> bytes:
        """The bytes of the last element of a stream that failed."""
        return b"%b%b%b" % (self._begin, stream_failure(failure), self._end)


@lru_cache(maxsize=64)
def _filtered(fields: Fields, encoded: bytes) -> bytes:
    """Shared by all streams with the same fields: an event is filtered once for all of them."""
    return fields.filtered(b'{"result":%b}' % encoded)


def subject_of(answer: Any) -> str:
    """The name of the object that a watch event is about."""
    if isinstance(answer, Encoded):
        return answer.subject
    thing = getattr(answer, "application", None) or getattr(answer, "application_set", None)
    return str(thing.metadata.name) if thing is not None else ""


Complete = Callable[[web.StreamResponse], None]
"""Adds what is known of the call when its answer begins (a renewed token) to the head."""


class Outlet:
    """The answer of one stream, begun with the first message or after a moment of silence.

    Use as a context: the companion lives inside it.
    """

    def __init__(
        self,
        request: web.Request,
        response: web.StreamResponse,
        options: HttpOptions,
        alive: bytes,
        complete: Complete,
    ):
        self._request = request
        self._response = response
        self._complete = complete
        self._options = options
        self._alive = alive
        self._loop = asyncio.get_running_loop()
        self._beginning = asyncio.Lock()
        self._wrote = self._loop.time()
        self._waiting_since: float | None = None
        self._companion: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Outlet":
        self._companion = asyncio.create_task(self._accompany())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._companion is not None
        self._companion.cancel()
        with suppress(asyncio.CancelledError):
            await self._companion

    @property
    def has_begun(self) -> bool:
        """Whether the client has seen anything."""
        return self._response.prepared or self._beginning.locked()

    async def write(self, data: bytes) -> None:
        """Send some bytes; waits while the client has too many unread.

        Raises:
            ConnectionError: the client is gone.
        """
        await self._begin()
        self._wrote = self._waiting_since = self._loop.time()
        await self._response.write(data)
        self._waiting_since = None

    async def finish(self) -> web.StreamResponse:
        """End the answer."""
        await self._begin()
        self._waiting_since = self._loop.time()
        await self._response.write_eof()
        return self._response

    async def _begin(self) -> None:
        if not self._response.prepared:
            async with self._beginning:
                if not self._response.prepared:
                    self._complete(self._response)
                    await self._response.prepare(self._request)

    async def _accompany(self) -> None:
        with suppress(ConnectionError):
            await asyncio.sleep(SILENCE_SECONDS)
            await self._begin()
            pause = min(self._options.keepalive_seconds, self._options.write_seconds / 2)
            while True:
                await asyncio.sleep(pause)
                now = self._loop.time()
                if self._waiting_since is not None:
                    if now - self._waiting_since >= self._options.write_seconds:
                        self._give_up()
                        return
                elif self._alive and now - self._wrote >= self._options.keepalive_seconds - 0.001:
                    await self.write(self._alive)

    def _give_up(self) -> None:
        log.info("a client of a stream does not read and is dropped", extra={"peer": self._request.remote})
        if self._request.transport is not None:
            self._request.transport.abort()


async def send_stream(
    request: web.Request,
    answers: AsyncIterator[Any],
    envelope: Envelope,
    options: HttpOptions,
    complete: Complete,
    *,
    events: bool,
) -> web.StreamResponse:
    """Write all answers of a method.

    Raises:
        ApiFailure: the method failed before anything was written.
        ConnectionError: the client is gone, or was given up.
    """
    head = {"Content-Type": EVENT_STREAM if events else JSON}
    if events:
        head |= {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
    response = web.StreamResponse(headers=head)
    async with Outlet(request, response, options, b":\n" if events else b"", complete) as outlet:
        try:
            async for answer in answers:
                if data := envelope.message(answer):
                    await outlet.write(data)
        except ApiFailure as failure:
            if not outlet.has_begun:
                raise
            await outlet.write(envelope.failure(failure))
        return await outlet.finish()


async def send_log_file(
    request: web.Request,
    answers: AsyncIterator[Any],
    options: HttpOptions,
    complete: Complete,
    file_name: str,
) -> web.StreamResponse:
    """A pod's log as a download: each line's content, until the last; an error is appended as text.

    Raises:
        ConnectionError: the client is gone, or was given up.
    """
    response = web.StreamResponse(
        headers={
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f'attachment;filename="{file_name}"',
        }
    )
    async with Outlet(request, response, options, b"", complete) as outlet:
        try:
            async for answer in answers:
                if getattr(answer, "last", False):
                    break
                content = getattr(answer, "content", None) or ""
                await outlet.write(content.encode("utf-8", "replace") + b"\n")
        except ApiFailure as failure:
            await outlet.write(failure.message.encode("utf-8", "replace"))
        return await outlet.finish()


def log_file_name(namespace: str, pod: str, container: str) -> str:
    """The name of a downloaded log; a general one unless all three are Kubernetes names."""
    parts = (namespace, pod, container)
    if all(_KUBERNETES_NAME.fullmatch(part) for part in parts):
        return f"{'-'.join(parts)}.log"
    return "log.log"
