"""One world and one site for all tests of this folder; each test has applications of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.controlplane import ControlPlane
from tests.server.conftest import unique_namespace
from tests.server.resources.contents import FILES
from tests.server.resources.site import Site
from tests.server.resources.site import site as open_site
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


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """The whole API, with callers of few rights."""
    folder = tmp_path_factory.mktemp("site")
    async with open_site(control_plane, folder, unique_namespace("site"), FILES) as made:
        yield made
