"""One place for all tests of this folder; each test has Applications of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.controlplane import ControlPlane
from tests.server.applications.place import Place
from tests.server.applications.place import place as open_place
from tests.server.conftest import unique_namespace


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def place(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    """Everything running, with two teams and a repository."""
    folder = tmp_path_factory.mktemp("place")
    async with open_place(control_plane, folder, unique_namespace("apps")) as made:
        yield made
