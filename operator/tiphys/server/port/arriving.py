"""Connections before anything is read from them: TLS or plain is seen by peeking at the first byte.

asyncio can begin TLS only on a connection of which nothing was read. So the listening sockets are accepted
here, a connection waits as a bare socket (a few hundred bytes of memory) until its first byte is there, and
that byte is left where it is. Whoever says nothing is closed after a while.
"""

import asyncio
import errno
import socket
from collections.abc import Callable

from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

AT_ONCE = 64
"""Connections taken in one turn of the loop; the others wait in the kernel's queue."""

REST_SECONDS = 0.5
"""How long nothing is accepted when the process has no file descriptors left."""

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
TLS_HANDSHAKE = 0x16

Arrived = Callable[[socket.socket, bool], None]
"""Takes the socket over; the flag says whether the client begins TLS."""


class Arrivals:
    """See the module.

    Args:
        arrived: called once for each connection that has said something.
        seconds: longest silence before the first byte.
        unread_seconds: the kernel gives up a client that takes nothing for so long.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, arrived: Arrived, *, seconds: float, unread_seconds: float
    ):
        self._loop = loop
        self._arrived = arrived
        self._seconds = seconds
        self._unread = int(unread_seconds * 1000)
        self._listeners: list[socket.socket] = []
        self._waiting: dict[socket.socket, asyncio.TimerHandle] = {}
        self._rest: asyncio.TimerHandle | None = None

    @property
    def silent(self) -> int:
        """How many connections have said nothing yet."""
        return len(self._waiting)

    def listen(self, listeners: list[socket.socket]) -> None:
        """Take connections of these sockets from now on."""
        self._listeners = listeners
        for listener in listeners:
            self._loop.add_reader(listener, self._accept, listener)

    def close(self) -> None:
        """Take no more, and let those go that have said nothing."""
        if self._rest is not None:
            self._rest.cancel()
        for listener in self._listeners:
            self._loop.remove_reader(listener)
            listener.close()
        self._listeners = []
        for connection in tuple(self._waiting):
            self._leave(connection)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._pause(error)
                return
            self._prepare(connection)
            self._waiting[connection] = self._loop.call_later(self._seconds, self._leave, connection)
            self._loop.add_reader(connection, self._first_byte, connection)

    def _prepare(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self._unread)

    def _pause(self, error: OSError) -> None:
        log.error("no connection can be accepted: %s", error.strerror)
        for listener in self._listeners:
            self._loop.remove_reader(listener)
        self._rest = self._loop.call_later(REST_SECONDS, self.listen, self._listeners)

    def _first_byte(self, connection: socket.socket) -> None:
        try:
            first = connection.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            first = b""
        if not first:
            self._leave(connection)
            return
        self._forget(connection)
        self._arrived(connection, first[0] == TLS_HANDSHAKE)

    def _leave(self, connection: socket.socket) -> None:
        self._forget(connection)
        connection.close()

    def _forget(self, connection: socket.socket) -> None:
        timer = self._waiting.pop(connection, None)
        if timer is not None:
            timer.cancel()
            self._loop.remove_reader(connection)
