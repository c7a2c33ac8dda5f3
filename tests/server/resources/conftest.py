"""One world for all tests of this folder; each test has applications of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.controlplane import ControlPlane
from tests.server.resources.world import World, world


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def resources(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    """Controllers over a namespace of their own, with default settings and generous rights."""
    settings = {
        "resource.sensitive.mask.annotations": "private/note",
        "application.allowedNodeLabels": "kubernetes.io/hostname, nothing/here",
    }
    async with world(control_plane, tmp_path_factory.mktemp("world"), settings=settings) as made:
        yield made
