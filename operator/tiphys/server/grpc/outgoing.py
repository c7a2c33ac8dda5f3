"""The way out of one connection: when answers may go, and in which pieces.

An answer waits for its stream's window, the connection's window and the socket. One write carries
everything that became ready in a turn of the loop; a large answer lets others have their turn.
"""

import asyncio
from collections.abc import Mapping

from h2.exceptions import H2Error

from tiphys.server.grpc.answers import RESPONSE, head
from tiphys.server.grpc.frames import EARNED_BY_DATA, FrameGate
from tiphys.server.grpc.http2 import Http2
from tiphys.server.grpc.limits import Limits
from tiphys.server.grpc.messages import framed, prefix
from tiphys.server.grpc.pings import PingRule
from tiphys.server.grpc.stream import Stream

CHUNK = 65536
"""What is written in one go."""


class Outgoing:
    """See the module.

    Args:
        streams: the open streams of the connection, which it keeps.

    Attributes:
        transport: the socket, while it is there.
        paused_since: since when the client reads nothing (the loop's clock), or None.
    """

    def __init__(
        self,
        http2: Http2,
        gate: FrameGate,
        pings: PingRule,
        limits: Limits,
        streams: Mapping[int, Stream],
    ):
        self.transport: asyncio.Transport | None = None
        self.paused_since: float | None = None
        self._http2 = http2
        self._gate = gate
        self._pings = pings
        self._limits = limits
        self._streams = streams
        self._loop = asyncio.get_running_loop()
        self._progress = self._loop.time()
        self._unsent = 0
        self._flushing = False

    async def room(self, stream: Stream) -> None:
        """Wait until an answer of the stream may be made, and again until it may be encoded."""
        while (
            self.paused_since is not None or self._unsent > self._limits.unsent or self._window(stream) <= 0
        ):
            await self._wait(stream)

    async def send(self, stream: Stream, payload: bytes) -> None:
        """Send a message, as fast as the client takes it."""
        if not stream.answered:
            stream.answered = True
            self._http2.send_headers(
                stream.id, head(stream.call.headers) if stream.call.headers else RESPONSE
            )
        size = len(payload)
        self._unsent += size
        try:
            if size <= CHUNK:
                await self._send_all(stream, framed(payload))
            else:
                # A large one is never copied as a whole.
                await self._send_all(stream, prefix(size))
                await self._send_all(stream, payload)
        finally:
            self._unsent -= size
            if size > CHUNK:
                self.room_grew()

    async def _send_all(self, stream: Stream, data: bytes) -> None:
        position = 0
        while True:
            position = self._send_some(stream, data, position)
            if position == len(data):
                return
            if self.paused_since is not None or self._window(stream) <= 0:
                await self._wait(stream)
            else:
                await asyncio.sleep(0)

    def _send_some(self, stream: Stream, data: bytes, position: int) -> int:
        http2 = self._http2
        end = min(len(data), position + CHUNK, position + max(self._window(stream), 0))
        if self._streams.get(stream.id) is not stream or self.transport is None:
            raise asyncio.CancelledError
        if position < end:
            frames = http2.send_pieces(stream.id, memoryview(data)[position:end])
            self._gate.earn(EARNED_BY_DATA * frames)
            position = end
        self._progress = self._loop.time()
        self._pings.sent()
        self.flush_soon()
        return position

    def _window(self, stream: Stream) -> int:
        try:
            return self._http2.local_flow_control_window(stream.id)
        except H2Error:
            return 0

    async def _wait(self, stream: Stream) -> None:
        if stream.stalled_since is None:
            stream.stalled_since = self._loop.time()
        stream.window_opened = self._loop.create_future()
        try:
            await stream.window_opened
            stream.stalled_since = None
        finally:
            stream.window_opened = None

    def room_grew(self) -> None:
        """A window opened or the socket is free: whoever waits may look again."""
        for stream in self._streams.values():
            stream.window_grew()

    def has_stalled(self, stream: Stream, now: float) -> bool:
        """Whether its client has taken nothing for too long."""
        since = stream.stalled_since
        if since is None:
            return False
        if self._window(stream) > 0:
            # It waits for its turn, not for its client.
            since = max(since, self._progress)
        return now - since > self._limits.stalled_after

    def flush_soon(self) -> None:
        """Write what is ready at the end of this turn of the loop."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what is ready."""
        self._flushing = False
        data = self._http2.take()
        if data:
            self.write(data)

    def write(self, data: bytes | bytearray) -> None:
        """Write bytes that do not come from the library."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)
