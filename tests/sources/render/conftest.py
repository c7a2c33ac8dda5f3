"""A real Git repository, a real store and a real renderer for each test.

Modules that run Helm or Kustomize use the ``binaries`` fixture, which puts them in ``PATH``.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.sources.render.support import Bench, Upstream
from tiphys.sources.git.store import GitStore
from tiphys.sources.rendering import Renderer, RenderOptions


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path / "upstream")


@pytest.fixture
def render_options(tmp_path: Path) -> RenderOptions:
    return RenderOptions(root=tmp_path / "renders")


@pytest.fixture
async def bench(upstream: Upstream, tmp_path: Path, render_options: RenderOptions) -> AsyncIterator[Bench]:
    async with GitStore(tmp_path / "git") as git:
        renderer = Renderer(git, render_options)
        yield Bench(upstream, git, renderer)
        await renderer.close()
