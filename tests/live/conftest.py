"""A control plane of our own (etcd and API server only), since these tests break it on purpose."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.controlplane.plane import ControlPlane, _prepare
from tiphys.compare.tracking import TRACKING_ANNOTATION, Tracking
from tiphys.health.builtin import builtin
from tiphys.health.model import Health
from tiphys.kube.client import ClusterClient
from tiphys.kube.connections import Connection, from_kubeconfig
from tiphys.live.cluster import ClusterCache
from tiphys.live.following import Times
from tiphys.live.records import Change
from tiphys.resources.identity import Manifest, gvk_of
from tiphys.settings.model import ResourceFilter

QUICK = Times(first_pause=0.05, longest_pause=0.4, missing=0.2)


@pytest.fixture(scope="session")
def plane(binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("live-plane").resolve()
    made = ControlPlane(folder, _prepare(folder, binaries.resolve()))
    made._owned = True
    try:
        made.start_program("etcd")
        made.start_program("apiserver")
        made._programs["apiserver"].wait_until(made.is_ready, seconds=120)
        yield made
    finally:
        made.stop()


@pytest.fixture
async def client(plane: ControlPlane) -> AsyncIterator[ClusterClient]:
    made = ClusterClient(from_kubeconfig(plane.kubeconfig))
    yield made
    await made.close()


@pytest.fixture
async def namespace(client: ClusterClient) -> str:
    """A fresh namespace; nothing deletes it (no controller runs), the plane goes as a whole."""
    name = f"live-{uuid4().hex[:8]}"
    await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


def config_map(namespace: str, name: str, instance: str = "", **data: str) -> Manifest:
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    if instance:
        metadata["annotations"] = {TRACKING_ANNOTATION: f"{instance}:/ConfigMap:{namespace}/{name}"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def assess(manifest: Manifest) -> Health | None:
    return builtin(manifest, gvk_of(manifest))


class Watched:
    """A running cache and the changes it reported."""

    def __init__(self, cache: ClusterCache, changes: list[Change], client: ClusterClient) -> None:
        self.cache = cache
        self.changes = changes
        self.client = client


async def until(condition: Callable[[], Any], seconds: float = 15.0) -> None:
    """Wait for ``condition`` (asked every 20 ms; the cache has no hook for each of its facts)."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@asynccontextmanager
async def watching(connection: Connection, *, wait: bool = True, **options: Any) -> AsyncIterator[Watched]:
    """Run a cache; it is synced when the block begins."""
    client = ClusterClient(connection)
    changes: list[Change] = []
    settings: dict[str, Any] = {
        "resource_filter": ResourceFilter(),
        "tracking": Tracking(),
        "on_change": changes.append,
        "assess": assess,
        "times": QUICK,
        **options,
    }
    cache = ClusterCache(client, **settings)
    task = asyncio.create_task(cache.run())
    try:
        if wait:
            await cache.wait_synced()
        yield Watched(cache, changes, client)
    finally:
        task.cancel()
        await asyncio.wait([task])
        await client.close()
