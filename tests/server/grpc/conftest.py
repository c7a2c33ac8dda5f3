"""One server for all attackers, reached over plain text and TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.server.grpc.victim import Victim, victim


@pytest_asyncio.fixture(scope="session")
async def victims() -> AsyncIterator[tuple[Victim, Victim]]:
    """The plain and the encrypted side of one process."""
    async with victim() as both:
        yield both


@pytest.fixture(params=[0, 1], ids=["plain", "tls"])
def server(victims: tuple[Victim, Victim], request: pytest.FixtureRequest) -> Victim:
    """One side of it."""
    side: int = request.param
    return victims[side]
