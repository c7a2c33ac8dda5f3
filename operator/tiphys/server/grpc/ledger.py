"""Memory that unfinished requests of all clients take together.

Small requests are counted for each connection; when all of them hold too much, the connection that
holds most goes. A large request has to ask for room before it is received.
"""

from typing import Protocol

from tiphys.server.api.failures import ApiFailure, Code
from tiphys.server.grpc.limits import Limits


class Holder(Protocol):
    """A connection with unfinished requests."""

    unfinished: int

    def overloaded(self) -> None:
        """End it."""


class Ledger:
    """See the module.

    Attributes:
        holders: the connections that are there.
    """

    def __init__(self, limits: Limits):
        self.holders: set[Holder] = set()
        self._limits = limits
        self._small = 0
        self._large = 0

    def count(self, amount: int) -> None:
        """``amount`` more bytes (fewer, when negative) of small requests are held."""
        self._small += amount
        if self._small > self._limits.all_unfinished and self.holders:
            max(self.holders, key=lambda holder: holder.unfinished).overloaded()

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
