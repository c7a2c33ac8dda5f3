"""One call on a connection: its request is put together, a task runs the method, answers go out as far as
the client's windows reach.

    headers → (pieces of messages) → task: invoke → answers → trailers

The task begins when the request of a unary call or of a server stream is complete, or at once for a
client stream. It ends with trailers, or is cancelled by its connection when the client resets the
stream or is gone. Nothing is encoded before there is room to send it (``Outgoing.room``), so a client
that never reads holds one answer, not all of them.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from tiphys.server.api.calls import Call
from tiphys.server.api.failures import ApiFailure, Code, unauthenticated
from tiphys.server.api.rpc import Encoded
from tiphys.server.grpc.messages import PREFIX, MessageReader, too_large_to_send
from tiphys.server.grpc.table import Bound
from tiphys.telemetry.logs import get_logger

if TYPE_CHECKING:
    from tiphys.server.grpc.connection import Connection

log = get_logger(__name__)

NO_ERROR, CALM = 0x0, 0xB


class Stream:
    """See the module. Made and fed by the connection; what it sends goes through the connection."""

    __slots__ = (
        "_admitted",
        "_arrival",
        "_connection",
        "_granted",
        "_reader",
        "_requests",
        "_reserved",
        "answered",
        "began",
        "bound",
        "call",
        "ended",
        "id",
        "sized",
        "stalled_since",
        "task",
        "window_opened",
    )

    def __init__(self, stream_id: int, connection: "Connection", bound: Bound, call: Call, encoding: str):
        self.id = stream_id
        self.bound = bound
        self.call = call
        self.task: asyncio.Task[None] | None = None
        self.began = connection.now()
        self.ended = False
        self.answered = False
        self.sized = 0
        self.stalled_since: float | None = None
        self.window_opened: asyncio.Future[None] | None = None
        self._connection = connection
        self._reader = MessageReader(connection.limits.max_message, encoding)
        self._requests: deque[tuple[bytes, int]] = deque()
        self._arrival: asyncio.Future[None] | None = None
        self._granted = 0
        self._reserved = 0
        self._admitted = False

    # What the connection tells.

    def opened(self) -> None:
        """The headers arrived."""
        if self.bound.method.client_streaming:
            self._start()

    def received(self, data: bytes) -> None:
        """More of the request.

        Raises:
            ApiFailure: what arrived cannot become a message.
        """
        if data:
            self._count(len(data))
            self._reader.feed(data)
        while (message := self._reader.next()) is not None:
            size = len(message) + PREFIX
            self._requests.append((message, size - self._granted))
            self._granted = 0
            self._release()
            if not self.bound.method.client_streaming and len(self._requests) > 1:
                raise ApiFailure(
                    Code.INTERNAL,
                    "cardinality violation: received multiple request messages for non-client-streaming RPC",
                )
        self._wake()
        missing = self._reader.missing
        if missing and not self._granted:
            if missing > self._connection.limits.small_message:
                self._ask_for_room(missing)
            else:
                self._grant(missing)

    def request_ended(self) -> None:
        """Nothing more will arrive.

        Raises:
            ApiFailure: the request is not complete.
        """
        self.ended = True
        if not self._reader.is_between:
            raise ApiFailure(Code.INTERNAL, "unexpected EOF")
        if self.bound.method.client_streaming:
            self._wake()
        elif not self._requests:
            raise ApiFailure(
                Code.INTERNAL,
                "cardinality violation: received no request message from non-client-streaming RPC",
            )
        else:
            self._start()

    def closed(self) -> None:
        """The stream is over, whoever ended it: give back what it held, stop what runs."""
        self._release()
        self._count(-self.sized)
        self._requests.clear()
        if self.task is not None:
            self.task.cancel()

    def window_grew(self) -> None:
        """The client's window opened, or the connection has room again."""
        if self.window_opened is not None and not self.window_opened.done():
            self.window_opened.set_result(None)

    # The request.

    def _start(self) -> None:
        if self.task is None:
            self.task = self._connection.spawn(self._serve())

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def _count(self, amount: int) -> None:
        if not self._reserved:
            self.sized += amount
            self._connection.count(amount)

    def _grant(self, size: int) -> None:
        self._granted = size
        self._connection.grant(self.id, size)

    def _ask_for_room(self, size: int) -> None:
        """A message is large: only somebody who is authenticated may send it, and not too many at once."""
        self._granted = size
        self._connection.spawn(self._make_room(size))

    async def _make_room(self, size: int) -> None:
        connection = self._connection
        try:
            if not self._admitted:
                await connection.invoker.admit(self.bound.method, self.call)
                identity = self.call.identity
                if not (identity.is_authenticated or identity.is_unrestricted):
                    raise unauthenticated("no session information")
                self._admitted = True
            if connection.is_open(self):
                connection.ledger.reserve(size)
                self._count(-self.sized)
                self._reserved = size
                connection.grant(self.id, size)
        except ApiFailure as failure:
            connection.finish(self, failure.code, failure.message)

    def _release(self) -> None:
        if self._reserved:
            self._connection.ledger.release(self._reserved)
            self._reserved = 0

    async def _messages(self) -> AsyncIterator[Any]:
        while True:
            while self._requests:
                message, taken = self._requests.popleft()
                self._count(-min(len(message) + PREFIX, self.sized))
                if not self.ended and taken > 0:
                    self._connection.grant(self.id, taken)
                yield self.bound.decode(message)
            if self.ended:
                return
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival

    # The answer.

    async def _serve(self) -> None:
        connection, bound = self._connection, self.bound
        code, message = Code.OK, ""
        # Whoever has no room for an answer gets none made.
        await connection.out.room(self)
        try:
            if bound.method.client_streaming:
                request: Any = self._messages()
            else:
                data, _ = self._requests.popleft()
                self._count(-self.sized)
                request = bound.decode(data)
                del data
            if bound.method.server_streaming:
                answers = connection.invoker.stream(bound.method, self.call, request)
                try:
                    async for answer in answers:
                        await self._answer(answer)
                finally:
                    await answers.aclose()  # type: ignore[attr-defined]
            else:
                await self._answer(await connection.invoker.unary(bound.method, self.call, request))
        except ApiFailure as failure:
            code, message = failure.code, failure.message
        except Exception:
            log.exception("an answer could not be sent", extra={"grpc_method": bound.method.path})
            code, message = Code.INTERNAL, "internal error; the server's log has the cause"
        self.task = None
        connection.finish(self, code, message)

    async def _answer(self, answer: Any) -> None:
        await self._connection.out.room(self)
        payload = answer.proto() if isinstance(answer, Encoded) else self.bound.encode(answer)
        if len(payload) > self._connection.limits.max_message:
            raise too_large_to_send(len(payload), self._connection.limits.max_message)
        await self._connection.out.send(self, payload)
