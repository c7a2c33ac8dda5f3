"""A repository with one directory of every kind, a store, a renderer."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.sources.render.support import Bench, Upstream, config_map
from tiphys.sources.git.store import GitStore
from tiphys.sources.rendering import Renderer, RenderOptions

DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      initContainers: [{name: prepare, image: "busybox:1"}]
      containers: [{name: web, image: "nginx:1.27"}, {name: side, image: "busybox:1"}]
"""

FILES = {
    "chart/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
    "chart/values.yaml": (
        "# the defaults\nreplicas: 2\nbig: 1000000\nimage: {tag: '1.0', pull: null}\n"
        "hosts: [a, {name: b, ports: [1, 2]}]\nenabled: true\nratio: 0.5\n"
    ),
    "chart/values-prod.yml": "replicas: 5\nextra: {deep: {er: x}}\n",
    "chart/envs/my-values.YAML": "replicas: 7\n",
    "chart/other.yaml": "a: b\n",
    "chart/templates/cm.yaml": config_map("cm"),
    "kust/kustomization.yaml": "resources: [deployment.yaml]\n",
    "kust/deployment.yaml": DEPLOYMENT,
    "both/Chart.yaml": "apiVersion: v2\nname: both\nversion: 1.0.0\n",
    "both/kustomization.yml": "resources: []\n",
    "deep/er/Kustomization": "resources: []\n",
    "odd/MyChart.yaml": "name: odd\n",
    "plain/cm.yaml": config_map("plain"),
}


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    made = Upstream(tmp_path / "upstream")
    made.commit(FILES)
    return made


@pytest.fixture
async def bench(upstream: Upstream, tmp_path: Path) -> AsyncIterator[Bench]:
    async with GitStore(tmp_path / "git") as git:
        renderer = Renderer(git, RenderOptions(root=tmp_path / "renders"))
        bench = Bench(upstream, git, renderer)
        bench.sha = upstream.git("rev-parse", "HEAD")
        yield bench
        await renderer.close()
