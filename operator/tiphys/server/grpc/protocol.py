"""What the port hands HTTP/2 connections to: one object for all of them, called once for each.

    protocol = GrpcProtocol(methods, invoker, limits)
    connection = protocol()                     # an asyncio.Protocol
    transport.set_protocol(connection); connection.connection_made(transport)
    connection.data_received(bytes_read_already)
    ...
    await protocol.drain(grace)                 # at the end

It owns the connections and, through them, every task; what they share (method table, limits, the
ledger of memory) is here.
"""

import asyncio
from collections.abc import Iterable

from tiphys.server.api.failures import ApiFailure, Code
from tiphys.server.api.invoke import Invoker
from tiphys.server.api.rpc import Method
from tiphys.server.grpc.connection import Connection
from tiphys.server.grpc.limits import Limits
from tiphys.server.grpc.table import Bound, table_of


class Ledger:
    """Memory that unfinished requests of all connections take."""

    def __init__(self, limits: Limits, connections: set[Connection]):
        self._limits = limits
        self._connections = connections
        self._small = 0
        self._large = 0

    def count(self, amount: int) -> None:
        """``amount`` more bytes (fewer, when negative) of small requests are held; beyond the limit
        the connection that holds most is closed."""
        self._small += amount
        if self._small > self._limits.all_unfinished:
            max(self._connections, key=lambda connection: connection.unfinished).overloaded()

    def reserve(self, amount: int) -> None:
        """Room for one large request.

        Raises:
            ApiFailure: ResourceExhausted; clients try again (api.md 2).
        """
        if self._large + amount > self._limits.large_messages:
            raise ApiFailure(
                Code.RESOURCE_EXHAUSTED, "the server is receiving too many large messages; try again"
            )
        self._large += amount

    def release(self, amount: int) -> None:
        """That room is free again."""
        self._large -= amount


class GrpcProtocol:
    """See the module."""

    def __init__(
        self,
        methods: Iterable[Method],
        invoker: Invoker,
        limits: Limits | None = None,
        others: Iterable[Bound] = (),
    ):
        """``others``: methods with an encoding of their own (reflection)."""
        self.table = table_of(methods) | {bound.method.path: bound for bound in others}
        self.invoker = invoker
        self.limits = limits or Limits()
        self.connections: set[Connection] = set()
        self.ledger = Ledger(self.limits, self.connections)
        self.tasks: set[asyncio.Task[None]] = set()
        self._gone = asyncio.Event()

    def __call__(self) -> Connection:
        """The protocol of one new connection."""
        return Connection(self)

    def arrived(self, connection: Connection) -> None:
        """A connection is there."""
        self.connections.add(connection)

    def left(self, connection: Connection) -> None:
        """It is gone."""
        self.connections.discard(connection)
        if not self.connections:
            self._gone.set()

    async def drain(self, grace: float) -> None:
        """Say goodbye: no new calls, ``grace`` seconds for those on the way, Unavailable for the rest."""
        self._gone.clear()
        for connection in tuple(self.connections):
            connection.leave()
        try:
            if self.connections:
                async with asyncio.timeout(grace):
                    await self._gone.wait()
        except TimeoutError:
            for connection in tuple(self.connections):
                connection.shut()
        finally:
            for task in tuple(self.tasks):
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
