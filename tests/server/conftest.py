"""A running API for the tests of a module, in a namespace of its own."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.controlplane import ControlPlane
from tests.server.running import Running, running

_numbers = itertools.count(1)


def unique_namespace(word: str = "api") -> str:
    """A name that no other test process uses."""
    return f"{word}-{os.getpid()}-{next(_numbers)}"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def api(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    """Controllers and API server over default settings; the caller is admin."""
    folder = tmp_path_factory.mktemp("api")
    async with running(control_plane, folder, unique_namespace()) as server:
        yield server
