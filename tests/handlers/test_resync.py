"""After a gap, what is held but not there any more is gone; the rest stays."""

from __future__ import annotations

import asyncio
import contextlib
import uuid

import pytest

from tests.controlplane import ControlPlane
from tiphys.handlers.resync import Held, Resync
from tiphys.kube.client import ClusterClient
from tiphys.kube.connections import from_kubeconfig
from tiphys.resources.identity import GVK, AppKey

CONFIG_MAP = GVK("", "v1", "ConfigMap")


@pytest.mark.controlplane
async def test_what_was_deleted_during_a_gap(control_plane: ControlPlane) -> None:
    namespace = f"resync-{uuid.uuid4().hex[:8]}"
    client = ClusterClient(from_kubeconfig(control_plane.kubeconfig))
    await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    metadata = {"name": "kept", "namespace": namespace}
    kept = await client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    uid = kept["metadata"]["uid"]
    held = [
        (AppKey(namespace, "kept"), uid),
        (AppKey(namespace, "gone"), "1"),
        (AppKey(namespace, "gone-and-nobody-knows-its-uid"), ""),
    ]
    gone: list[tuple[AppKey, str]] = []
    done = asyncio.Event()

    def take(key: AppKey, uid: str) -> None:
        gone.append((key, uid))
        if len(gone) == 2:
            done.set()

    resync = Resync(client, {"configmaps": Held(CONFIG_MAP, namespace, lambda: held, take)})
    task = asyncio.create_task(resync.run())
    resync.gaps.put_nowait("configmaps")
    async with asyncio.timeout(20):
        await done.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert gone == held[1:]
    await client.delete(GVK("", "v1", "Namespace"), "", namespace)
    await client.close()
