"""HTTP/1 or HTTP/2: decided by ALPN, else by the first bytes (api.md 1).

A client that speaks HTTP/2 begins with a preface that is no HTTP/1 request. :class:`Chooser` is the first
protocol of a connection; it reads until that is clear, and then puts the right one in its place, with the
bytes it has read. Connections that say nothing are closed.
"""

import asyncio
from collections.abc import Callable
from typing import Any

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

Factory = Callable[[], asyncio.BaseProtocol]


def speaks_http2(data: bytes) -> bool | None:
    """Whether a connection that begins so speaks HTTP/2; None: too early to say."""
    if len(data) >= len(PREFACE) or not PREFACE.startswith(data):
        return data.startswith(PREFACE)
    return None


class Chooser(asyncio.Protocol):
    """See the module.

    Args:
        http1, http2: make the protocol of the connection; without ``http2`` such clients are let go.
        seconds: how long a connection may stay undecided.
        decided: called once, when the connection ends undecided or is handed over.
    """

    __slots__ = ("_data", "_decided", "_http1", "_http2", "_loop", "_seconds", "_timer", "_transport")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        http1: Factory,
        http2: Factory | None,
        seconds: float,
        decided: Callable[["Chooser"], Any],
    ):
        self._loop = loop
        self._http1 = http1
        self._http2 = http2
        self._seconds = seconds
        self._decided = decided
        self._data = b""
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection; after TLS its ALPN may have decided already."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        ssl_object = transport.get_extra_info("ssl_object")
        if ssl_object is not None and ssl_object.selected_alpn_protocol() == "h2":
            self._hand_over(http2=True)
        else:
            self._timer = self._loop.call_later(self._seconds, transport.abort)

    def data_received(self, data: bytes) -> None:
        """The first bytes."""
        self._data += data
        http2 = speaks_http2(self._data)
        if http2 is not None:
            self._hand_over(http2=http2)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Gone before it said what it is."""
        self._stop()
        self._transport = None

    def abort(self) -> bool:
        """Close the connection; False: there is none yet."""
        if self._transport is None:
            return False
        self._transport.abort()
        return True

    def _hand_over(self, *, http2: bool) -> None:
        self._stop()
        transport, data = self._transport, self._data
        assert transport is not None
        self._transport, self._data = None, b""
        factory = self._http2 if http2 else self._http1
        if factory is None:
            transport.abort()
            return
        protocol = factory()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if data:
            assert isinstance(protocol, asyncio.Protocol)
            protocol.data_received(data)

    def _stop(self) -> None:
        self._decided(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
