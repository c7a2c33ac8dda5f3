"""The short way to an API server: requests whose answers are taken whole, over kept-alive connections.

Nine requests make an application, and most of what Tiphys costs is sending them; this costs a third of
what aiohttp's session does (100 instead of 310 us of CPU a call, TLS included), because it can do less:
one server, no redirects, no cookies, no proxy, no streams. For those there is aiohttp (``transport``).

A request takes an idle connection (the last one used first) or opens one, up to the limit; beyond it
requests wait in order. A connection in use belongs to one request; one whose request was cancelled,
or that said anything odd, is closed. A single timer closes what idles and ends what does not answer.
"""

import asyncio
import re
import socket
import ssl
import string
from collections import deque
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from tiphys.kube.answers import Answer, AnswerReader, BadAnswer

TICK_SECONDS = 5.0
_UNSENDABLE = re.compile(r"[\r\n\0]")
_TARGET = re.compile(r"[!-~]+")


class NotConnected(Exception):
    """There is no connection: nothing was sent. Says why."""


class Broken(Exception):
    """The connection ended, or went silent, before there was an answer. Says why."""


class Wire:
    """Connections to one server. ``close()`` when done.

    Args:
        server: ``scheme://host[:port][/prefix]``.
        limit: connections at once.
        connect_seconds: until a connection stands, TLS included.
        silence_seconds: without a byte of an answer, after which it counts as broken.
        idle_seconds: after which an unused connection is closed.
    """

    def __init__(
        self,
        server: str,
        *,
        limit: int,
        connect_seconds: float,
        silence_seconds: float,
        idle_seconds: float,
        server_name: str = "",
    ) -> None:
        self.server = server
        parts = urlsplit(server)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._prefix = parts.path.rstrip("/")
        self._authority = parts.netloc.rpartition("@")[2]
        self._server_name = server_name or self._host
        self._limit = limit
        self._connect_seconds = connect_seconds
        self._silence_seconds = silence_seconds
        self._idle_seconds = idle_seconds
        self._tick = min(TICK_SECONDS, silence_seconds / 4, idle_seconds / 4)
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()
        self._opening = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._heads: dict[tuple[str, ...], str] = {}
        self._closed = False

    async def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        context: ssl.SSLContext | None,
    ) -> Answer:
        """Send, and wait for the whole answer, whatever its status.

        Args:
            target: path and query, quoted.
            context: of TLS; None: plain.

        Raises:
            NotConnected, Broken: there is no answer.
            TimeoutError: no answer in time.
            ValueError: a line break in a header.
        """
        head = self._head(method, target, headers, body)
        connection = await self._taken(context)
        try:
            answer = await connection.exchange(head, body, bodiless=method == "HEAD")
        except BaseException:
            connection.abort()
            raise
        finally:
            self._busy.discard(connection)
            if connection.is_usable and not self._closed:
                self._idle.append(connection)
            self._wake()
        return answer

    def close(self) -> None:
        """End all connections; requests on them fail."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for connection in (*self._idle, *self._busy):
            connection.abort()
        self._idle.clear()
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    def _head(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
        if _TARGET.fullmatch(target) is None:
            target = quote(target, safe=string.punctuation)
        key = (*headers, *headers.values())
        fields = self._heads.get(key)
        if fields is None:
            if _UNSENDABLE.search("".join(key)):
                raise ValueError("a line break in a header")
            lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
            if len(self._heads) > 100:  # a token changes now and then, a user is impersonated
                self._heads.clear()
            fields = self._heads[key] = f" HTTP/1.1\r\nHost: {self._authority}\r\n{''.join(lines)}"
        length = f"Content-Length: {len(body or b'')}\r\n" if body or method not in ("GET", "HEAD") else ""
        return f"{method} {self._prefix}{target}{fields}{length}\r\n".encode()

    async def _taken(self, context: ssl.SSLContext | None) -> "_Connection":
        """A connection of this request's own."""
        turn = False
        while True:
            if self._closed:
                raise NotConnected("the client is closed")
            if self._waiting and not turn:
                turn = await self._queued(first=False)
            while self._idle:
                connection = self._idle.pop()
                if connection.is_usable and connection.context is context:
                    self._busy.add(connection)
                    return connection
                connection.close()  # of an older client certificate, or ended meanwhile
            if len(self._busy) + self._opening < self._limit or not self._limit:
                return await self._opened(context)
            turn = await self._queued(first=turn)

    async def _queued(self, *, first: bool) -> bool:
        """Wait for a turn, behind all others or (one whose turn was taken from it) before them."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if first:
            self._waiting.appendleft(waiter)
        else:
            self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake()  # the turn goes to the next
            elif waiter in self._waiting:
                self._waiting.remove(waiter)
            raise
        return True

    async def _opened(self, context: ssl.SSLContext | None) -> "_Connection":
        loop = asyncio.get_running_loop()
        self._opening += 1
        try:
            async with asyncio.timeout(self._connect_seconds):
                _, connection = await loop.create_connection(
                    lambda: _Connection(loop, context),
                    self._host,
                    self._port,
                    ssl=context,
                    server_hostname=self._server_name if context is not None else None,
                    happy_eyeballs_delay=0.25,
                )
        except TimeoutError:
            self._wake()
            raise NotConnected("no connection in time") from None
        except (OSError, UnicodeError) as error:  # also of TLS; a name that cannot be a host's
            self._wake()
            raise NotConnected(str(getattr(error, "strerror", None) or error)) from error
        except BaseException:
            self._wake()
            raise
        finally:
            self._opening -= 1
        if self._closed:
            connection.abort()
            raise NotConnected("the client is closed")
        self._busy.add(connection)
        if self._timer is None:
            self._timer = loop.call_later(self._tick, self._look_after)
        return connection

    def _wake(self) -> None:
        """Somebody may go on: the first who waits."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _look_after(self) -> None:
        """Close what idles for long, end what is silent for long."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        kept = []
        for connection in self._idle:
            if connection.is_usable and now - connection.active_at < self._idle_seconds:
                kept.append(connection)
            else:
                connection.close()
        self._idle = kept
        for connection in tuple(self._busy):
            if now - connection.active_at >= self._silence_seconds:
                connection.give_up()
        more = self._idle or self._busy
        self._timer = loop.call_later(self._tick, self._look_after) if more else None


class _Connection(asyncio.Protocol):
    """One connection; at most one request at a time.

    Attributes:
        active_at: when something last happened on it, in the loop's time.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, context: ssl.SSLContext | None) -> None:
        self.context = context
        self.active_at = loop.time()
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._reader = AnswerReader()
        self._answered: asyncio.Future[Answer] | None = None
        self._ending = False  # a TLS transport says so only when its good-byes are done

    @property
    def is_usable(self) -> bool:
        """Whether a request may be sent over it."""
        return self._transport is not None and not self._ending and not self._transport.is_closing()

    async def exchange(self, head: bytes, body: bytes | None, *, bodiless: bool) -> Answer:
        """Send a request, wait for its answer."""
        transport = self._transport
        if transport is None:
            raise Broken("the connection was closed")
        self.active_at = self._loop.time()
        self._reader.expect(bodiless=bodiless)
        self._answered = self._loop.create_future()
        transport.write(head + body if body else head)
        try:
            answer = await self._answered
        finally:
            self._answered = None
        self.active_at = self._loop.time()
        if not answer.keeps:
            self.close()
        return answer

    def give_up(self) -> None:
        """The answer takes too long."""
        self._fail(TimeoutError("no answer in time"))

    def close(self) -> None:
        """End it in good order."""
        self._ending = True
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End it at once."""
        self._ending = True
        if self._transport is not None:
            self._transport.abort()
        self._fail(Broken("the connection was closed"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        stay_alive(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        self.active_at = self._loop.time()
        try:
            answer = self._reader.feed(data)
        except BadAnswer as error:
            self._fail(Broken(f"no HTTP answer: {error}"))
            self.abort()
            return
        if answer is not None:
            self._succeed(answer)

    def eof_received(self) -> None:
        self._ending = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if exc is None and (answer := self._ended()) is not None:
            self._succeed(answer)
        else:
            self._fail(Broken(str(exc or "") or "the server closed the connection"))

    def _ended(self) -> Answer | None:
        try:
            return self._reader.end()
        except BadAnswer:
            return None

    def _succeed(self, answer: Answer) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(answer)

    def _fail(self, error: Exception) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(error)


def stay_alive(made: socket.socket) -> None:
    """Have the kernel notice a dead peer within about a minute."""
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000)
