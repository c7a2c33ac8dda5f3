"""One HTTP/2 connection: bytes in, calls on streams, bytes out.

``frames.FrameGate`` decides what may come in, the ``h2`` library knows the protocol, ``stream`` the
calls; here they meet the socket. What is kept on purpose:

- no reading from a client that does not read: its acknowledgements would pile up here;
- what waits to be sent is ``outgoing``'s;
- frames of ours that ``h2`` has no way for (GOAWAY that lets calls on the way finish) are written
  directly.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from h2.events import (
    DataReceived,
    PingAckReceived,
    PingReceived,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes

from tiphys.access.certificates import metadata_of as certificate_metadata
from tiphys.server.api.failures import ApiFailure, Code
from tiphys.server.grpc.accepting import Accepted, Failed, Refused, accept
from tiphys.server.grpc.answers import RESPONSE, goaway, head
from tiphys.server.grpc.frames import (
    COST_REFUSED,
    EARNED_BY_CALL,
    ENHANCE_YOUR_CALM,
    INTERNAL_ERROR,
    PROTOCOL_ERROR,
    Abuse,
    FrameGate,
)
from tiphys.server.grpc.headers import fault_of, fault_of_trailers
from tiphys.server.grpc.http2 import Http2
from tiphys.server.grpc.metadata import status
from tiphys.server.grpc.outgoing import CHUNK, Outgoing
from tiphys.server.grpc.pings import PingRule
from tiphys.server.grpc.refusing import Refusals
from tiphys.server.grpc.sockets import keep_alive
from tiphys.server.grpc.stream import CALM, NO_ERROR, Stream
from tiphys.telemetry.logs import get_logger

if TYPE_CHECKING:
    from tiphys.server.grpc.protocol import GrpcProtocol

log = get_logger(__name__)

_REFUSED = 0x7
_EVERY_STREAM = 2**31 - 1
_LAST_PING = b"tiphys-0"


class Connection(asyncio.Protocol):
    """See the module."""

    def __init__(self, server: "GrpcProtocol"):
        self._server = server
        self.limits = server.limits
        self.invoker = server.invoker
        self.ledger = server.ledger
        self.unfinished = 0
        self._loop = asyncio.get_running_loop()
        self._http2 = Http2(self.limits)
        self._gate = FrameGate(self.limits, self.now())
        self._pings = PingRule(self.limits)
        self._refusals = Refusals(self._http2, self._pings)
        self._streams: dict[int, Stream] = {}
        self.out = Outgoing(self._http2, self._gate, self._pings, self.limits, self._streams)
        self._max_streams = self.limits.strangers_streams
        self._peer = ""
        self._certificate: Mapping[str, tuple[str, ...]] = {}
        self._received = 0
        self._began = self.now()
        self._leaving = False
        self._last_stream = _EVERY_STREAM
        self._timer: asyncio.TimerHandle | None = None

    def now(self) -> float:
        """The loop's clock."""
        return self._loop.time()

    # The socket.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The port hands over."""
        assert isinstance(transport, asyncio.Transport)
        self.out.transport = transport
        peer = transport.get_extra_info("peername")
        self._peer = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else str(peer or "")
        self._certificate = certificate_metadata(transport.get_extra_info("ssl_object"))
        self._server.arrived(self)
        transport.set_write_buffer_limits(high=CHUNK)
        keep_alive(transport.get_extra_info("socket"))
        http2 = self._http2
        http2.initiate_connection()
        http2.increment_flow_control_window(self.limits.window)
        self.out.flush()
        self._look_again()

    def data_received(self, data: bytes) -> None:
        """The client sent something."""
        if self.out.transport is None:
            return
        try:
            arrived = self._gate.take(data, self.now())
            if arrived.frames:
                self._receive(arrived.frames)
            if arrived.leaving:
                self._leaving = True
                self._last_stream = self._http2.highest_inbound_stream_id
        except Abuse as abuse:
            self._end(abuse.code, abuse.reason)
            return
        except Exception:
            # Bytes from outside must never leave a connection that is half alive.
            log.exception("a connection failed", extra={"peer": self._peer})
            self._end(PROTOCOL_ERROR, "")
            return
        self.out.flush_soon()
        self._perhaps_close()

    def eof_received(self) -> bool:
        """The client closed its side; HTTP/2 has no half-closed connections."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        self.out.transport = None
        if self._timer is not None:
            self._timer.cancel()
        for stream in tuple(self._streams.values()):
            self._forget(stream)
        self._server.left(self)

    def pause_writing(self) -> None:
        """The client does not read; so neither do we."""
        self.out.paused_since = self.now()
        if self.out.transport is not None and not self.out.transport.is_closing():
            self.out.transport.pause_reading()

    def resume_writing(self) -> None:
        """It does again."""
        self.out.paused_since = None
        if self.out.transport is not None and not self.out.transport.is_closing():
            self.out.transport.resume_reading()
        self.out.room_grew()

    # Events.

    def _receive(self, frames: bytes) -> None:
        try:
            events = self._http2.receive_data(frames)
        except H2Error as error:
            # The library has put its GOAWAY into what is to be sent.
            log.info("a client broke HTTP/2", extra={"peer": self._peer, "problem": str(error)})
            self._close()
            return
        for event in events:
            try:
                self._handle(event)
            except H2Error:
                # The library knows already what later events say: the stream may be gone by now.
                continue

    def _handle(self, event: Any) -> None:
        match event:
            case RequestReceived():
                if fault := fault_of(event.headers):
                    raise Abuse(PROTOCOL_ERROR, fault)
                self._request(event.stream_id, event.headers)
            case TrailersReceived():
                if fault := fault_of_trailers(event.headers):
                    raise Abuse(PROTOCOL_ERROR, fault)
            case DataReceived():
                self._data(event)
            case StreamEnded():
                stream = self._streams.get(event.stream_id)
                if stream is not None:
                    self._feed(stream, None)
            case StreamReset():
                stream = self._streams.get(event.stream_id)
                if stream is not None:
                    self._forget(stream)
            case WindowUpdated():
                if event.stream_id == 0:
                    self.out.room_grew()
                elif (stream := self._streams.get(event.stream_id)) is not None:
                    stream.window_grew()
            case RemoteSettingsChanged():
                self._http2.limit_table()
                self.out.room_grew()
            case PingReceived():
                if not self._pings.allows(self.now(), bool(self._streams)):
                    raise Abuse(ENHANCE_YOUR_CALM, "too_many_pings")
            case PingAckReceived():
                if event.ping_data == _LAST_PING and self._leaving:
                    self._last_goodbye()
            case _:
                pass

    def _request(self, stream_id: int, headers: Any) -> None:
        if stream_id > self._last_stream or len(self._streams) >= self._max_streams:
            self._http2.reset_stream(stream_id, _REFUSED)
            self._gate.spend(COST_REFUSED, self.now())
            return
        match accept(headers, self._server.table, self._peer, self._certificate, self.now()):
            case Accepted(bound, call, encoding):
                stream = Stream(stream_id, self, bound, call, encoding)
                self._streams[stream_id] = stream
                stream.opened()
            case Failed() as failed:
                self._refusals.fail(stream_id, failed)
            case Refused() as refused:
                self._refusals.refuse(stream_id, refused)

    def _data(self, event: DataReceived) -> None:
        size = event.flow_controlled_length or 0
        if size:
            self._received += size
            if self._received * 2 >= self.limits.window:
                self._http2.increment_flow_control_window(self._received)
                self._received = 0
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        padding = size - len(event.data)
        if padding > 0 and event.stream_ended is None:
            self.grant(stream.id, padding)
        self._feed(stream, event.data)

    def _feed(self, stream: Stream, data: bytes | None) -> None:
        try:
            if data is None:
                stream.request_ended()
            else:
                stream.received(data)
        except ApiFailure as failure:
            self.finish(stream, failure.code, failure.message)

    # What streams ask for.

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task for one of our streams; the server owns it and waits for it at the end."""
        task = self._loop.create_task(work)
        self._server.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._server.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # Nobody would ever end its stream.
            log.error("a connection failed", exc_info=task.exception(), extra={"peer": self._peer})
            self._end(INTERNAL_ERROR, "")

    def is_open(self, stream: Stream) -> bool:
        """Whether the stream still is."""
        return self._streams.get(stream.id) is stream

    def count(self, amount: int) -> None:
        """Bytes of unfinished requests that are held here.

        Raises:
            ApiFailure: too many; the stream that brought them has to go.
        """
        self.unfinished += amount
        self.ledger.count(amount)
        if amount > 0 and self.unfinished > self.limits.unfinished:
            raise ApiFailure(Code.RESOURCE_EXHAUSTED, "too many unfinished requests on this connection")

    def grant(self, stream_id: int, size: int) -> None:
        """Let the client send that much more on a stream."""
        if size > 0 and stream_id in self._streams and not self._streams[stream_id].ended:
            try:
                self._http2.increment_flow_control_window(size, stream_id)
            except H2Error:
                # The client ended or reset its side in what is not handled yet.
                return
            self.out.flush_soon()

    def finish(self, stream: Stream, code: Code, message: str) -> None:
        """End a call with its status."""
        if not self.is_open(stream) or self.out.transport is None:
            return
        trailers = status(code, message)
        try:
            if not stream.answered and stream.call.headers:
                self._http2.send_headers(stream.id, head(stream.call.headers))
                stream.answered = True
            headers = trailers if stream.answered else RESPONSE + trailers
            self._http2.send_headers(stream.id, headers, end_stream=True)
            if not stream.ended:
                self._http2.reset_stream(stream.id, NO_ERROR)
        except H2Error:
            # The client reset the stream in what was read and not handled yet.
            pass
        self._forget(stream)
        if code is Code.OK:
            self._gate.earn(EARNED_BY_CALL)
            if stream.call.identity.is_authenticated or stream.call.identity.is_unrestricted:
                self._welcome()
        self._pings.sent()
        self.out.flush_soon()
        self._perhaps_close()

    def _welcome(self) -> None:
        if self._max_streams < self.limits.max_streams:
            self._max_streams = self.limits.max_streams
            self._http2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: self._max_streams})

    def _forget(self, stream: Stream) -> None:
        if self._streams.pop(stream.id, None) is not None:
            stream.closed()

    # The end.

    def leave(self) -> None:
        """Say goodbye, let calls on the way finish: GOAWAY for every stream, and one for the last that
        arrived before the client can have read it."""
        if self.out.transport is None or self._leaving:
            return
        self._leaving = True
        self.out.flush()
        self.out.write(goaway(_EVERY_STREAM, NO_ERROR, "graceful_stop"))
        self._http2.ping(_LAST_PING)
        self.out.flush()

    def _last_goodbye(self) -> None:
        self._last_stream = self._http2.highest_inbound_stream_id
        self.out.flush()
        self.out.write(goaway(self._last_stream, NO_ERROR, "graceful_stop"))
        self._perhaps_close()

    def _perhaps_close(self) -> None:
        if self._leaving and not self._streams and self._last_stream != _EVERY_STREAM:
            self._close()

    def shut(self) -> None:
        """End everything now."""
        for stream in tuple(self._streams.values()):
            self.finish(stream, Code.UNAVAILABLE, "the server is shutting down")
        self._close()

    def overloaded(self) -> None:
        """Too much memory is held for this client."""
        self._end(ENHANCE_YOUR_CALM, "too many unfinished requests")

    def _end(self, code: int, reason: str) -> None:
        log.info("a connection is closed", extra={"peer": self._peer, "reason": reason})
        self.out.flush()
        self.out.write(goaway(self._http2.highest_inbound_stream_id, code, reason))
        self._close()

    def _close(self) -> None:
        transport = self.out.transport
        if transport is None:
            return
        self.out.flush()
        for stream in tuple(self._streams.values()):
            self._forget(stream)
        transport.close()
        if transport.get_write_buffer_size():
            # Whoever does not read would keep a closing socket for ever.
            self._loop.call_later(5, transport.abort)

    # Now and then.

    def _look_again(self) -> None:
        """Give up what has waited too long."""
        limits, now = self.limits, self.now()
        if self.out.paused_since is not None and now - self.out.paused_since > limits.stalled_after:
            log.info("a client reads nothing", extra={"peer": self._peer})
            if self.out.transport is not None:
                self.out.transport.abort()
            return
        for stream in tuple(self._streams.values()):
            if self.out.has_stalled(stream, now):
                with suppress(H2Error):
                    self._http2.reset_stream(stream.id, CALM)
                self._forget(stream)
            elif stream.task is None and now - stream.began > limits.unasked_after:
                self.finish(stream, Code.DEADLINE_EXCEEDED, "the request did not arrive in time")
        if not self._http2.highest_inbound_stream_id and now - self._began > limits.unasked_after:
            self._end(NO_ERROR, "nothing was asked")
            return
        self.out.flush_soon()
        self._timer = self._loop.call_later(min(30, limits.stalled_after / 2), self._look_again)
