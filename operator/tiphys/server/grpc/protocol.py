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

from tiphys.server.api.invoke import Invoker
from tiphys.server.api.rpc import Method
from tiphys.server.grpc.connection import Connection
from tiphys.server.grpc.ledger import Ledger
from tiphys.server.grpc.limits import Limits
from tiphys.server.grpc.table import Bound, table_of


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
        self.ledger = Ledger(self.limits)
        self.tasks: set[asyncio.Task[None]] = set()
        self._gone = asyncio.Event()

    def __call__(self) -> Connection:
        """The protocol of one new connection."""
        return Connection(self)

    def arrived(self, connection: Connection) -> None:
        """A connection is there."""
        self.connections.add(connection)
        self.ledger.holders.add(connection)

    def left(self, connection: Connection) -> None:
        """It is gone."""
        self.connections.discard(connection)
        self.ledger.holders.discard(connection)
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
