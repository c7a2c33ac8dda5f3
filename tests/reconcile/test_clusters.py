"""Clusters in use: who asks for one never waits for it, and is woken when there is news."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
import pytest

from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import ClusterUnreachable, ConnectionSettingsError
from tiphys.live.cluster import ClusterCache
from tiphys.reconcile import clusters
from tiphys.reconcile.clusters import ClusterNotReady, ClusterPending, ClusterPool
from tiphys.resources.identity import AppKey
from tiphys.settings.clusters import Cluster, ClusterConfig, Clusters

ONE, TWO = AppKey("argocd", "one"), AppKey("argocd", "two")
REMOTE = Cluster(server="https://remote.example", name="remote")


class Remote:
    """A cluster whose first lists end when the test says so; stands for client and cache."""

    def __init__(self) -> None:
        self.listed = asyncio.Event()
        self.why = ""

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def wait_synced(self) -> None:
        if self.why:
            raise ClusterUnreachable(REMOTE.server, self.why)
        await self.listed.wait()

    async def close(self) -> None: ...


class Bell:
    """Collects who was woken."""

    def __init__(self) -> None:
        self.keys: list[AppKey] = []
        self._rung = asyncio.Event()

    def __call__(self, keys: Iterable[AppKey]) -> None:
        self.keys.extend(sorted(keys))
        self._rung.set()

    async def wait(self) -> list[AppKey]:
        async with asyncio.timeout(5):
            await self._rung.wait()
        self._rung.clear()
        keys, self.keys = self.keys, []
        return keys


@asynccontextmanager
async def running(remotes: list[Remote]) -> AsyncIterator[tuple[ClusterPool, Bell]]:
    """A pool that connects to ``remotes``, one after the other."""
    rest = iter(remotes)
    pool = ClusterPool(
        lambda cluster: cast(ClusterClient, Remote()), lambda cluster, client: cast(ClusterCache, next(rest))
    )
    bell = pool.on_ready = Bell()
    task = asyncio.create_task(pool.run())
    await asyncio.sleep(0)
    try:
        yield pool, bell
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_who_asks_is_woken_when_the_first_lists_are_done() -> None:
    remote = Remote()
    async with running([remote]) as (pool, bell):
        for key in (ONE, TWO, ONE):
            with pytest.raises(ClusterPending):
                pool.get(REMOTE, key)
        remote.listed.set()
        assert await bell.wait() == [ONE, TWO]
        assert cast(Any, pool.get(REMOTE, ONE).cache) is remote


async def test_who_asks_for_a_cluster_that_is_away_learns_why_and_is_woken_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clusters, "RETRY_READY", 0.01)
    remote = Remote()
    remote.why = "connection refused"
    async with running([remote]) as (pool, bell):
        with pytest.raises(ClusterPending):
            pool.get(REMOTE, ONE)
        assert await bell.wait() == [ONE]
        with pytest.raises(ClusterNotReady, match="connection refused"):
            pool.get(REMOTE, ONE)
        remote.why = ""
        remote.listed.set()
        assert await bell.wait() == [ONE]
        pool.get(REMOTE, ONE)


async def test_a_silent_cluster_is_reported_after_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "READY_TIMEOUT", 0.01)
    async with running([Remote()]) as (pool, bell):
        with pytest.raises(ClusterPending):
            pool.get(REMOTE, ONE)
        assert await bell.wait() == [ONE]
        with pytest.raises(ClusterNotReady, match="not ready within"):
            pool.get(REMOTE, ONE)


async def test_those_who_wait_are_not_forgotten_when_a_cluster_is_read_anew_or_reached_differently() -> None:
    remotes = [Remote() for _ in range(4)]
    async with running(remotes) as (pool, bell):
        with pytest.raises(ClusterPending):
            pool.get(REMOTE, ONE)
        pool.rebuild()
        remotes[1].listed.set()
        assert await bell.wait() == [ONE]
        pool.rebuild()
        with pytest.raises(ClusterPending):
            pool.get(REMOTE, TWO)
        moved = msgspec.structs.replace(REMOTE, namespaces=("only",))
        with pytest.raises(ClusterPending):
            pool.get(moved, ONE)
        assert await bell.wait() == [TWO]


REFRESH = {"argocd.argoproj.io/refresh": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("changes", "is_left"),
    [
        pytest.param({"config": ClusterConfig(bearer_token="rotated")}, True, id="credentials"),
        pytest.param({"namespaces": ("one",)}, True, id="namespaces"),
        pytest.param({"cluster_resources": True}, True, id="clusterResources"),
        pytest.param({"annotations": REFRESH}, True, id="a cache that somebody declared stale"),
        pytest.param({"annotations": {"argocd.argoproj.io/skip-reconcile": "true"}}, True, id="not ours"),
        pytest.param(None, True, id="gone"),
        pytest.param({"name": "renamed"}, False, id="name"),
        pytest.param({"labels": {"a": "b"}, "annotations": {"a": "b"}}, False, id="labels and annotations"),
        pytest.param({"project": "team"}, False, id="project"),
    ],
)
async def test_which_changes_of_its_secret_a_cluster_is_read_anew_for(
    changes: dict[str, Any] | None, is_left: bool
) -> None:
    """health-and-resources.md 6.7"""
    remote = Remote()
    remote.listed.set()
    async with running([remote]) as (pool, bell):
        with pytest.raises(ClusterPending):
            pool.get(REMOTE, ONE)
        await bell.wait()
        now = {} if changes is None else {REMOTE.server: msgspec.structs.replace(REMOTE, **changes)}
        pool.align(Clusters(by_server=now))
        handle = pool.known(REMOTE.server)
        assert (handle is None) is is_left
        assert handle is None or handle.cluster is now[REMOTE.server]


async def test_a_cluster_whose_secret_cannot_be_used_is_not_ready() -> None:
    def connect(cluster: Cluster) -> ClusterClient:
        raise ConnectionSettingsError("cluster remote", "no such certificate")

    pool = ClusterPool(connect, lambda cluster, client: cast(ClusterCache, Remote()))
    task = asyncio.create_task(pool.run())
    await asyncio.sleep(0)
    with pytest.raises(ClusterNotReady, match="no such certificate"):
        pool.get(REMOTE, ONE)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
