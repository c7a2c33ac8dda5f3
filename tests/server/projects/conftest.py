"""One house for all tests of this folder; each test has objects of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.controlplane import ControlPlane
from tests.server.projects.house import House, house

GLOBAL = """
- projectName: everybody
  labelSelector:
    matchLabels: {inherits: "yes"}
"""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shop(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """The services with a global project in the settings."""
    settings = {"globalProjects": GLOBAL, "resource.includeEventLabelKeys": "team"}
    async with house(control_plane, tmp_path_factory.mktemp("house"), settings=settings) as made:
        yield made
