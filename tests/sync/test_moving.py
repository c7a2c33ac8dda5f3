"""An object that moves from one Application to another in one commit: the one prunes it while the other
applies it, at the same time (sync.md 12.2, 13.5)."""

from __future__ import annotations

import contextlib

import pytest

from tests.sync.builders import NOW, config
from tests.sync.harness import Metered, Rig, gone
from tests.sync.test_flow import CONFIG
from tiphys.compare.tracking import TRACKING_ANNOTATION
from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import NotFound
from tiphys.resources.identity import GVK, AppKey, Manifest, annotations_of
from tiphys.sync.deletion import CascadeRules, cascade
from tiphys.sync.engine import SyncEngine

pytestmark = pytest.mark.controlplane
MERGE = "application/merge-patch+json"


def owned(manifest: Manifest) -> bool:
    return annotations_of(manifest).get(TRACKING_ANNOTATION) == "ours"


class Collecting(Metered):
    """The collector comes by when we look whether an object has left."""

    async def get(self, gvk: GVK, namespace: str, name: str) -> Manifest:
        with contextlib.suppress(NotFound):
            await self.client.patch(gvk, namespace, name, {"metadata": {"finalizers": None}}, MERGE)
        return await self.client.get(gvk, namespace, name)


async def prunes(client: ClusterClient, namespace: str) -> Rig:
    """An operation that is about to prune ``a``."""
    rig = Rig(client, namespace)
    rig.more = {"owned": owned}
    rig.targets = [config("a", annotations={TRACKING_ANNOTATION: "ours"})]
    assert (await rig.finish()).phase == "Succeeded"
    rig.targets = []
    rig.begin(prune=True)
    return rig


async def test_what_is_another_one_s_by_now_is_not_pruned(client: ClusterClient, namespace: str) -> None:
    rig = await prunes(client, namespace)
    given = await rig.inputs()
    taken = {"metadata": {"annotations": {TRACKING_ANNOTATION: "theirs"}}}
    await client.patch(CONFIG, namespace, "a", taken, MERGE)
    rig.state = (await rig.engine.step(given, rig.state)).state
    entry = rig.entries()["ConfigMap/a"]
    assert (entry.status, entry.hook_phase) == ("PruneSkipped", "Succeeded")
    assert entry.message == "ignored (no prune): another application's by now"
    assert rig.state.phase == "Succeeded"
    assert await rig.exists("ConfigMap", "a")


async def test_what_merely_changed_is_pruned(client: ClusterClient, namespace: str) -> None:
    rig = await prunes(client, namespace)
    given = await rig.inputs()
    await client.patch(CONFIG, namespace, "a", {"data": {"key": "drift"}}, MERGE)
    rig.state = (await rig.engine.step(given, rig.state)).state
    assert rig.messages() == {"ConfigMap/a": "pruned"}
    assert rig.client.log == ["delete ConfigMap/a", "get ConfigMap/a", "delete ConfigMap/a"]


async def test_what_was_made_anew_meanwhile_is_another_object(client: ClusterClient, namespace: str) -> None:
    rig = await prunes(client, namespace)
    given = await rig.inputs()
    await client.delete(CONFIG, namespace, "a", propagation_policy="Background")
    await client.create(config("a", namespace=namespace))
    rig.state = (await rig.engine.step(given, rig.state)).state
    assert rig.messages() == {"ConfigMap/a": "pruned"}
    assert await rig.exists("ConfigMap", "a")


@pytest.mark.parametrize("option", ["", "ServerSideApply=true"])
async def test_what_the_other_one_prunes_is_made_anew(
    client: ClusterClient, namespace: str, option: str
) -> None:
    rig = Rig(client, namespace)
    rig.more = {"owned": owned}
    rig.targets = [config("a", annotations={TRACKING_ANNOTATION: "theirs"})]
    await rig.finish()
    rig.targets = [config("a", annotations={TRACKING_ANNOTATION: "ours"})]
    rig.begin(sync_options=(option,) if option else ())
    given = await rig.inputs()
    held = {"metadata": {"finalizers": ["example.com/hold"]}}
    await client.patch(CONFIG, namespace, "a", held, MERGE)
    before = (await client.get(CONFIG, namespace, "a"))["metadata"]["uid"]
    await client.delete(CONFIG, namespace, "a")
    rig.engine = SyncEngine(Collecting(client))
    rig.state = (await rig.engine.step(given, rig.state)).state
    assert rig.state.phase == "Succeeded"
    live = await client.get(CONFIG, namespace, "a")
    assert live["metadata"]["uid"] != before
    assert owned(live)
    assert "deletionTimestamp" not in live["metadata"]


async def test_what_another_one_took_over_outlives_the_application(
    client: ClusterClient, namespace: str
) -> None:  # 19
    objects = [config(n, namespace=namespace, annotations={TRACKING_ANNOTATION: "ours"}) for n in "ab"]
    live = [await client.create(each) for each in objects]
    taken = {"metadata": {"annotations": {TRACKING_ANNOTATION: "theirs"}}}
    await client.patch(CONFIG, namespace, "a", taken, MERGE)
    rules = CascadeRules(app=AppKey("argocd", "app"), deletion_timestamp=NOW, owned=owned)
    progress = await cascade(client, live, rules)
    assert (progress.error, [each.key.name for each in progress.awaited]) == ("", ["b"])
    await gone(Rig(client, namespace), "ConfigMap", "b")
    assert not owned(await client.get(CONFIG, namespace, "a"))
