"""Rows of the sync-option matrix that no other test tells about (sync.md 15)."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.sync.builders import HOOK, OPTIONS, WAVE, config, manifest
from tests.sync.harness import Rig, gone
from tests.sync.test_flow import CONFIG, waved
from tiphys.compare.threeway import LAST_APPLIED
from tiphys.kube.client import ClusterClient
from tiphys.resources.application import SyncStrategy, SyncStrategyHook
from tiphys.resources.identity import GVK, Manifest

pytestmark = pytest.mark.controlplane
NAMESPACE = GVK("", "v1", "Namespace")


def optional(found: Manifest, options: str) -> Manifest:
    annotations = {**(found["metadata"].get("annotations") or {}), OPTIONS: options}
    return {**found, "metadata": {**found["metadata"], "annotations": annotations}}


def immutable(value: str) -> Manifest:
    return {**config("i", {"key": value}), "immutable": True}


@pytest.mark.parametrize("where", ["nowhere", "operation", "object"])
async def test_validate_changes_nothing_on_a_server_that_validates(
    client: ClusterClient, namespace: str, where: str
) -> None:
    """Unknown fields are warnings either way (13.2)."""
    target = manifest("Service", "web", spec={"ports": [{"port": 80}], "unknown": 1})
    rig = Rig(client, namespace)
    rig.targets = [optional(target, "Validate=false") if where == "object" else target]
    rig.begin(sync_options=("Validate=false",) if where == "operation" else ())
    await rig.finish()
    assert rig.messages()["Service/web"] == 'service/web created. Warning: unknown field "spec.unknown"'


@pytest.mark.parametrize("where", ["strategy", "target", "live"])
async def test_force_makes_what_is_immutable_again(client: ClusterClient, namespace: str, where: str) -> None:
    old, new = immutable("old"), immutable("new")
    rig = Rig(client, namespace)
    rig.targets = [optional(old, "Force=true") if where == "live" else old]
    await rig.finish()
    uid = (await client.get(CONFIG, namespace, "i"))["metadata"]["uid"]
    rig.targets = [optional(new, "Force=true") if where == "target" else new]
    strategy = SyncStrategy(hook=SyncStrategyHook(force=True)) if where == "strategy" else None
    rig.begin(sync_strategy=strategy)
    assert (await rig.finish()).phase == "Succeeded"
    live = await client.get(CONFIG, namespace, "i")
    assert (live["data"], live["metadata"]["uid"] != uid) == ({"key": "new"}, True)


async def test_without_force_what_is_immutable_is_refused(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.targets = [immutable("old")]
    await rig.finish()
    rig.targets = [immutable("new")]
    rig.begin()
    state = await rig.finish()
    assert state.phase == "Failed"
    assert "field is immutable when `immutable` is set" in rig.messages()["ConfigMap/i"]


@pytest.mark.parametrize("where", ["operation", "target", "live"])
async def test_replace(client: ClusterClient, namespace: str, where: str) -> None:
    """What somebody else added goes, and no last-applied annotation is written."""
    rig = Rig(client, namespace)
    rig.targets = [optional(config("a"), "Replace=true") if where == "live" else config("a")]
    await rig.finish()
    body = {"data": {"foreign": "1"}}
    await client.patch(CONFIG, namespace, "a", body, "application/merge-patch+json")
    rig.targets = [optional(config("a"), "Replace=true") if where == "target" else config("a")]
    rig.begin(sync_options=("Replace=true",) if where == "operation" else ())
    await rig.finish()
    assert rig.messages()["ConfigMap/a"] == "configmap/a replaced"
    live = await client.get(CONFIG, namespace, "a")
    assert live["data"] == {"key": "value"}
    assert LAST_APPLIED not in (live["metadata"].get("annotations") or {})


@pytest.mark.parametrize(
    ("operation", "annotation", "verb"),
    [
        ("", "", "created"),
        ("ServerSideApply=true", "", "serverside-applied"),
        ("", "ServerSideApply=true", "serverside-applied"),
        ("ServerSideApply=true", "ServerSideApply=false", "created"),
        ("ServerSideApply=true,Replace=true", "", "created"),  # 13.1: Replace wins
        ("ServerSideApply=true", "Replace=true", "created"),
    ],
)
async def test_who_applies(
    client: ClusterClient, namespace: str, operation: str, annotation: str, verb: str
) -> None:
    rig = Rig(client, namespace)
    rig.targets = [optional(config("a"), annotation) if annotation else config("a")]
    rig.begin(sync_options=tuple(filter(None, operation.split(","))))
    await rig.finish()
    assert rig.messages()["ConfigMap/a"] == f"configmap/a {verb}"


@pytest.mark.parametrize(
    ("operation", "annotation", "code", "message"),
    [
        ("", "", "Pruned", "pruned"),
        ("Prune=false", "", "PruneSkipped", "ignored (no prune)"),
        ("", "Prune=false", "PruneSkipped", "ignored (no prune)"),
        ("Prune=false", "Prune=true", "Pruned", "pruned"),
        ("Prune=false", "Prune=anything", "Pruned", "pruned"),
        ("Prune=confirm", "Prune=false", "PruneSkipped", "ignored (no prune)"),
        ("Prune=false", "PruneLast=true", "PruneSkipped", "ignored (no prune)"),
    ],
)
async def test_what_is_pruned(
    client: ClusterClient, namespace: str, operation: str, annotation: str, code: str, message: str
) -> None:
    rig = Rig(client, namespace)
    rig.targets = [optional(config("a"), annotation) if annotation else config("a")]
    await rig.finish()
    rig.targets = []
    rig.begin(prune=True, sync_options=(operation,) if operation else ())
    state = await rig.finish()
    entry = rig.entries()["ConfigMap/a"]
    assert (entry.status, entry.hook_phase, entry.message) == (code, "Succeeded", message)
    assert state.message == "successfully synced (all tasks run)"
    if code == "Pruned":
        await gone(rig, "ConfigMap", "a")
    else:
        assert await rig.exists("ConfigMap", "a")


@pytest.mark.parametrize("where", ["operation", "live"])
async def test_prune_last_waits_for_what_is_made(client: ClusterClient, namespace: str, where: str) -> None:
    old = config("old")
    rig = Rig(client, namespace)
    rig.targets = [optional(old, "PruneLast=true") if where == "live" else old]
    await rig.finish()
    rig.targets = [waved("new", 3)]
    rig.begin(prune=True, sync_options=("PruneLast=true",) if where == "operation" else ())
    await rig.finish()
    assert rig.client.writes() == ["create ConfigMap/new", "delete ConfigMap/old"]


async def test_out_of_sync_only_runs_hooks_all_the_same(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("a"), config("b")]
    await rig.finish()
    rig.targets = [config("a"), config("b", {"key": "new"})]
    rig.hooks = [config("hook", annotations={HOOK: "PreSync"})]
    rig.begin(sync_options=("ApplyOutOfSyncOnly=true",))
    await rig.finish()
    assert list(rig.entries()) == ["ConfigMap/hook", "ConfigMap/b"]


@pytest.mark.parametrize("where", ["operation", "target"])
async def test_a_kind_that_is_missing_may_come_with_the_sync(
    client: ClusterClient, namespace: str, where: str
) -> None:
    """It is looked for when its turn comes; one that never comes fails alone (10 step 6)."""
    thing = manifest("Nowhere", "n", api="nowhere.example.org/v1", annotations={WAVE: "1"})
    option = "SkipDryRunOnMissingResource=true"
    rig = Rig(client, namespace)
    rig.targets = [config("a"), optional(thing, option) if where == "target" else thing]
    rig.begin(sync_options=(option,) if where == "operation" else ())
    state = await rig.finish()
    assert rig.entries()["ConfigMap/a"].status == "Synced"
    assert rig.entries()["Nowhere/n"].status == "SyncFailed"
    assert state.phase == "Failed"
    assert state.message.startswith("one or more objects failed to apply, reason: ")


@pytest.mark.parametrize("option", ["CreateNamespace=true", "CreateNamespace=True", "createNamespace=true"])
async def test_options_are_whole_words(client: ClusterClient, option: str) -> None:  # 1.1
    missing = f"sync-{uuid.uuid4().hex[:10]}"
    rig = Rig(client, missing)
    rig.targets = [config("a")]
    rig.begin(sync_options=(option,))
    state = await rig.finish()
    made = option == "CreateNamespace=true"
    assert state.phase == ("Succeeded" if made else "Failed")
    if made:
        await client.delete(NAMESPACE, "", missing, propagation_policy="Background")
    else:
        assert rig.messages()["ConfigMap/a"] == f'namespaces "{missing}" not found'


@pytest.mark.parametrize(
    ("manager", "kept"),
    [("", {"key": "value", "drop": "1"}), ("my-tool", {"key": "value"})],
    ids=["default", "named by the application"],
)
async def test_whose_fields_are_taken_over(
    client: ClusterClient, namespace: str, manager: str, kept: dict[str, Any]
) -> None:  # 13.4
    made = config("a", {"key": "value", "drop": "1"}, namespace=namespace)
    await client.create(made, field_manager="my-tool")
    rig = Rig(client, namespace)
    rig.more = {"migration_manager": manager}
    rig.targets = [config("a")]
    rig.begin(sync_options=("ServerSideApply=true",))
    await rig.finish()
    assert (await client.get(CONFIG, namespace, "a"))["data"] == kept
