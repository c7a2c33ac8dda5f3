"""Kopf's watches of our own kinds and settings over a connection that breaks in every way: what changes
meanwhile is told all the same, and who holds objects learns of a history that was lost."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import web

from tests.controlplane import ControlPlane
from tests.live.conftest import until
from tests.live.misbehaving import Proxy
from tiphys.handlers import watching
from tiphys.handlers.watching import Taker, Watching
from tiphys.kube.client import ClusterClient
from tiphys.kube.connections import Connection, from_kubeconfig
from tiphys.resources.identity import GVK, Manifest, ResourceKey

pytestmark = pytest.mark.controlplane
CONFIG_MAP, NAMESPACE = GVK("", "v1", "ConfigMap"), GVK("", "v1", "Namespace")
EXPIRED = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}


class ForgetfulProxy(Proxy):
    """``forget``: the next watches are told that their version is too old."""

    def __init__(self, upstream: Connection) -> None:
        super().__init__(upstream)
        self.forget: set[str] = set()
        self.error = EXPIRED

    async def handle(self, request: web.Request) -> web.StreamResponse:
        kind = request.path.rsplit("/", 1)[-1]
        if request.query.get("watch") == "true" and kind in self.forget:
            self.forget.discard(kind)
            return web.Response(
                text=json.dumps({"type": "ERROR", "object": self.error}, separators=(",", ":")) + "\n"
            )
        return await super().handle(request)


class Sink:
    """What was told of ConfigMaps, by name."""

    def __init__(self) -> None:
        self.held: dict[str, Manifest] = {}
        self.gaps: list[str] = []
        self._changed = asyncio.Condition()

    def put(self, manifest: Manifest) -> None:
        if manifest["kind"] == "ConfigMap":
            self.held[manifest["metadata"]["name"]] = manifest
        self._wake()

    def delete(self, key: ResourceKey, uid: str = "") -> None:
        self.held.pop(key.name, None)
        self._wake()

    def gap(self, kind: str) -> None:
        self.gaps.append(kind)
        self._wake()

    def _wake(self) -> None:
        async def wake() -> None:
            async with self._changed:
                self._changed.notify_all()

        self._waking = asyncio.ensure_future(wake())

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(condition)


class Scene:
    """A namespace, watches over it through the proxy, and a client that goes around it."""

    def __init__(self, proxy: ForgetfulProxy, client: ClusterClient, namespace: str, sink: Sink):
        self.proxy, self.sink = proxy, sink
        self._client, self._namespace = client, namespace

    async def make(self, name: str) -> None:
        metadata = {"name": name, "namespace": self._namespace}
        await self._client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})

    async def told_of(self, name: str) -> None:
        await self.sink.until(lambda: name in self.sink.held)


@asynccontextmanager
async def watched(plane: ControlPlane) -> AsyncIterator[Scene]:
    connection = from_kubeconfig(plane.kubeconfig)
    client = ClusterClient(connection)
    namespace = f"broken-{uuid.uuid4().hex[:8]}"
    await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    sink = Sink()

    def nothing(*_: Any) -> None:
        """Of Applications and the like."""

    async with ForgetfulProxy(connection).running() as proxy:
        assert isinstance(proxy, ForgetfulProxy)
        watches = Watching(
            Connection(proxy.url),
            namespace,
            everywhere=False,
            takers=dict.fromkeys(("applications", "applicationsets", "appprojects"), Taker(nothing, nothing)),
            settings=sink,
            known={},
            on_gap=sink.gap,
        )
        task = asyncio.create_task(watches.run())
        scene = Scene(proxy, client, namespace, sink)
        try:
            await scene.make("first")
            await scene.told_of("first")
            await until(lambda: proxy.watches == len(watching.KINDS))
            yield scene
            assert not task.done(), "the watches go on"
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await client.delete(NAMESPACE, "", namespace)
            await client.close()


async def test_a_closed_stream(control_plane: ControlPlane) -> None:
    async with watched(control_plane) as scene:
        scene.proxy.drop_streams()
        await scene.make("while-away")
        await scene.told_of("while-away")


async def test_a_half_open_stream(control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "SILENCE", 1.5)
    async with watched(control_plane) as scene:
        scene.proxy.freeze_streams()
        await scene.make("unseen")
        await scene.told_of("unseen")


async def test_a_refused_watch(control_plane: ControlPlane) -> None:
    async with watched(control_plane) as scene:
        scene.proxy.refuse_watches = 2 * scene.proxy.watches
        scene.proxy.drop_streams()
        await scene.make("after-429")
        await scene.told_of("after-429")


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(EXPIRED, id="410, too old"),
        pytest.param(
            {**EXPIRED, "code": 500, "reason": "InternalError", "message": "etcd: no leader"}, id="500"
        ),
        pytest.param({**EXPIRED, "code": 504, "reason": "Timeout", "message": "too large version"}, id="504"),
        pytest.param(
            {**EXPIRED, "code": 429, "reason": "TooManyRequests", "message": "storage is"}, id="429"
        ),
    ],
)
async def test_an_error_in_the_stream_is_a_gap(control_plane: ControlPlane, error: dict[str, Any]) -> None:
    """Whatever it is: the history after it is not known, so all is listed again, and the process lives."""
    async with watched(control_plane) as scene:
        scene.proxy.forget, scene.proxy.error = {"configmaps"}, error
        scene.proxy.drop_streams()
        await scene.make("afterwards")
        await scene.told_of("afterwards")
        await scene.sink.until(lambda: "configmaps" in scene.sink.gaps)
        assert "first" in scene.sink.held
