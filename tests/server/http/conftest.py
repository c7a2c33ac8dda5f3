"""The gateway over the sample methods, fresh for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.server.http.sample import Site, site


@pytest_asyncio.fixture
async def api() -> AsyncIterator[Site]:
    async with site() as running:
        yield running
