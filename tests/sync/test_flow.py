"""Phases, waves, hooks, prunes and endings against a real API server (sync.md 9.3, 11, 12)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from tests.sync.builders import HOOK, OPTIONS, POLICY, WAVE, config, manifest, pair
from tests.sync.harness import Rig, gone
from tiphys.compare.hooks import HOOK_FINALIZER
from tiphys.kube.client import ClusterClient
from tiphys.resources.application import SyncOperationResource, SyncStrategy, SyncStrategyApply
from tiphys.resources.identity import GVK

pytestmark = pytest.mark.controlplane
CONFIG = GVK("", "v1", "ConfigMap")
JOB = GVK("batch", "v1", "Job")


def job(name: str, phase: str, outcome: str = "succeed", policy: str = "", **more: Any) -> dict[str, Any]:
    pod = {
        "metadata": {"annotations": {"pod.tiphys.test/outcome": outcome}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1"}]},
    }
    annotations = {HOOK: phase, **({POLICY: policy} if policy else {})}
    found = manifest("Job", name, api="batch/v1", annotations=annotations)
    return {**found, "spec": {"backoffLimit": 0, "template": pod}, **more}


def note(name: str, phase: str, policy: str = "", **more: str) -> dict[str, Any]:
    """A hook without health: done as soon as it is there."""
    return config(name, annotations={HOOK: phase, **({POLICY: policy} if policy else {}), **more})


def waved(name: str, wave: int, data: dict[str, str] | None = None) -> dict[str, Any]:
    return config(name, data, annotations={WAVE: str(wave)})


async def test_waves_are_persisted_between_writes_and_share_a_step_without(
    client: ClusterClient, namespace: str
) -> None:
    rig = Rig(client, namespace, wave_delay=0.2)
    rig.targets = [waved("b", 1), waved("a", 0), waved("c", 2)]
    first = await rig.step()
    assert (first.wait, first.hold, first.state.message) == (
        0.2,
        True,
        "waiting for healthy state of /ConfigMap/a",
    )
    assert rig.client.log == ["create ConfigMap/a"]
    state = await rig.finish()
    assert rig.client.log == ["create ConfigMap/a", "create ConfigMap/b", "create ConfigMap/c"]
    assert state.message == "successfully synced (all tasks run)"
    assert [e.hook_phase for e in rig.entries().values()] == ["Succeeded", "Succeeded", "Running"]

    rig.begin()
    await rig.finish()
    assert (len(rig.steps), rig.client.log) == (1, [])


async def test_a_wave_waits_for_health_and_fails_with_what_degraded(
    client: ClusterClient, namespace: str
) -> None:
    pod = manifest("Pod", "p", annotations={"pod.tiphys.test/outcome": "pending", WAVE: "0"})
    pod["spec"] = {"containers": [{"name": "main", "image": "nginx:1"}]}
    rig = Rig(client, namespace)
    rig.targets = [pod, waved("after", 1)]
    await rig.step()
    second = await rig.step()
    assert second.state.message == "waiting for healthy state of /Pod/p"
    assert second.wait == 30.0
    assert rig.client.writes() == ["create Pod/p"]
    await client.delete(GVK("", "v1", "Pod"), namespace, "p", grace_period=0, propagation_policy="Background")
    state = await rig.finish()
    assert state.phase == "Failed"
    assert state.message == (
        "one or more synchronization tasks completed unsuccessfully, reason: Resource /Pod/p is missing,"
        " it might have been deleted"
    )
    assert rig.entries()["Pod/p"].hook_phase == "Error"
    assert not await rig.exists("ConfigMap", "after")


async def test_hooks_run_around_the_sync(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("main")]
    rig.hooks = [job("after", "PostSync"), job("before", "PreSync"), note("failed", "SyncFail")]
    state = await rig.finish()
    assert (state.phase, state.message) == ("Succeeded", "successfully synced (no more tasks)")
    assert [line for line in rig.client.writes() if line.startswith("create")] == [
        "create Job/before",
        "create ConfigMap/main",
        "create Job/after",
    ]
    before = rig.entries()["Job/before"]
    assert (before.hook_type, before.hook_phase, before.status) == ("PreSync", "Succeeded", "Synced")
    live = await client.get(JOB, namespace, "before")
    assert HOOK_FINALIZER not in live["metadata"].get("finalizers", [])
    messages = [step.state.message for step in rig.steps]
    assert "waiting for completion of hook batch/Job/before" in messages


async def test_a_second_sync_runs_hooks_again(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.hooks = [job("before", "PreSync")]
    await rig.finish()
    uid = (await client.get(JOB, namespace, "before"))["metadata"]["uid"]
    rig.begin(datetime.now(UTC) + timedelta(seconds=5))
    first = await rig.step()
    assert first.state.message == "waiting for deletion of hook batch/Job/before"
    state = await rig.finish()
    assert state.phase == "Succeeded"
    assert (await client.get(JOB, namespace, "before"))["metadata"]["uid"] != uid


async def test_a_failing_hook_fails_the_sync_and_runs_sync_fail_hooks(
    client: ClusterClient, namespace: str
) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("main")]
    rig.hooks = [
        job("before", "PreSync", "fail"),
        job("cleanup", "SyncFail"),
        note("keep", "PreSync", "HookSucceeded"),
        note("drop", "PreSync", "HookFailed"),
    ]
    state = await rig.finish()
    assert (state.phase, state.message) == (
        "Failed",
        "one or more synchronization tasks completed unsuccessfully",
    )
    assert rig.entries()["Job/before"].hook_phase == "Failed"
    assert rig.entries()["Job/cleanup"].hook_phase == "Succeeded"
    assert not await rig.exists("ConfigMap", "main")
    assert await rig.exists("ConfigMap", "keep")
    await gone(rig, "ConfigMap", "drop")


async def test_a_refused_object_runs_sync_fail_hooks_and_names_their_failure(
    client: ClusterClient, namespace: str
) -> None:
    rig = Rig(client, namespace)
    bad = config("Not_A_Name")
    rig.targets = [bad]
    rig.hooks = [{**note("x", "SyncFail"), "data": {"not a key!": "v"}}]
    state = await rig.finish()
    assert state.phase == "Failed"
    first, second = state.message.split("\n")
    assert first.startswith("one or more ")
    assert 'ConfigMap "Not_A_Name" is invalid' in first
    assert second.startswith("one or more SyncFail hooks failed, reason: ")


async def test_hook_policies_after_success(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.hooks = [
        note("succeeded", "PreSync", "HookSucceeded"),
        note("failed", "PreSync", "HookFailed"),
        note("default", "PreSync"),
    ]
    state = await rig.finish()
    assert state.phase == "Succeeded"
    await gone(rig, "ConfigMap", "succeeded")
    assert await rig.exists("ConfigMap", "failed")
    assert await rig.exists("ConfigMap", "default")


async def test_unnamed_hooks_get_a_name_of_the_operation(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    hook = note("", "PreSync,PostSync")
    hook["metadata"]["generateName"] = "task-"
    rig.hooks = [hook]
    rig.begin(datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC))
    state = await rig.finish()
    assert state.phase == "Succeeded"
    assert set(rig.entries()) == {
        "ConfigMap/task-0123456-presync-1769860800",
        "ConfigMap/task-0123456-postsync-1769860800",
    }


async def test_one_name_in_two_phases_is_made_for_each(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.hooks = [note("twice", "PreSync,PostSync")]
    state = await rig.finish()
    assert state.phase == "Succeeded"
    assert [line for line in rig.client.log if line.startswith("create")] == ["create ConfigMap/twice"] * 2
    assert state.sync_result is not None
    assert [r.hook_type for r in state.sync_result.resources] == ["PreSync", "PostSync"]


@pytest.mark.parametrize("how", ["resources", "strategy"])
async def test_partial_syncs_and_strategy_apply_run_no_hooks(
    client: ClusterClient, namespace: str, how: str
) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("a"), config("b")]
    rig.hooks = [job("before", "PreSync")]
    if how == "resources":
        rig.begin(resources=(SyncOperationResource(kind="ConfigMap", name="b"),))
    else:
        rig.begin(sync_strategy=SyncStrategy(apply=SyncStrategyApply()))
    await rig.finish()
    expected = {"ConfigMap/b"} if how == "resources" else {"ConfigMap/a", "ConfigMap/b"}
    assert set(rig.entries()) == expected


async def prunable(client: ClusterClient, rig: Rig, *names: str, **annotations: dict[str, str]) -> None:
    rig.targets = [config(name, annotations=annotations.get(name, {})) for name in names]
    await rig.finish()
    rig.targets = []


async def test_prune_needs_the_flag(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    await prunable(client, rig, "a", "b", b={OPTIONS: "Prune=false"})
    rig.begin()
    await rig.finish()
    assert rig.messages() == {
        "ConfigMap/a": "ignored (requires pruning)",
        "ConfigMap/b": "ignored (requires pruning)",
    }
    assert {e.status for e in rig.entries().values()} == {"PruneSkipped"}
    rig.begin(prune=True, dry_run=True)
    await rig.finish()
    assert rig.messages()["ConfigMap/a"] == "pruned (dry run)"
    rig.begin(prune=True)
    state = await rig.finish()
    assert state.message == "successfully synced (all tasks run)"
    assert rig.messages() == {"ConfigMap/a": "pruned", "ConfigMap/b": "ignored (no prune)"}
    assert rig.client.writes() == ["delete ConfigMap/a"]


async def test_prune_waits_for_confirmation(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    await prunable(client, rig, "a", "b", a={OPTIONS: "Prune=confirm"})
    rig.targets = [config("new")]
    rig.begin(prune=True)
    result = await rig.step()
    assert result.state.phase == "Running"
    assert result.state.message == "waiting for pruning confirmation of /ConfigMap/a"
    assert rig.client.writes() == []
    rig.more = {"deletion_approved_at": datetime.now(UTC) + timedelta(seconds=1)}
    state = await rig.finish()
    assert state.phase == "Succeeded"
    assert rig.messages()["ConfigMap/a"] == "pruned"
    assert rig.messages()["ConfigMap/new"] == "configmap/new created"


async def test_pruned_objects_leave_before_the_next_wave(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    held = waved("held", 0)
    held["metadata"]["finalizers"] = ["example.com/hold"]
    rig.targets = [held, waved("last", 1)]
    await rig.finish()
    rig.targets = []
    rig.begin(prune=True)
    await rig.step()
    assert rig.client.writes() == ["delete ConfigMap/last"]  # waves in reverse
    await rig.until(lambda: len(rig.client.writes()) == 2)
    rig.targets = [waved("new", 9)]
    result = await rig.step()
    assert result.state.message == "waiting for deletion of /ConfigMap/held"
    body = {"metadata": {"finalizers": None}}
    await client.patch(CONFIG, namespace, "held", body, "application/merge-patch+json")
    assert (await rig.finish()).phase == "Succeeded"
    assert await rig.exists("ConfigMap", "new")


async def test_what_went_at_once_is_told_and_what_still_waits_is_not(
    client: ClusterClient, namespace: str
) -> None:
    rig = Rig(client, namespace)
    held = config("held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    rig.targets = [held, config("goes"), config("kept", annotations={OPTIONS: "Prune=false"})]
    await rig.finish()
    rig.targets = []
    gone: list[str] = []
    rig.more = {"gone": lambda live: gone.append(live["metadata"]["name"])}
    rig.begin(prune=True, dry_run=True)
    await rig.finish()
    assert gone == []
    rig.begin(prune=True, sync_options=("PrunePropagationPolicy=background",))
    await rig.step()
    assert gone == ["goes"]
    body = {"metadata": {"finalizers": None}}
    await client.patch(CONFIG, namespace, "held", body, "application/merge-patch+json")
    assert (await rig.finish()).phase == "Succeeded"


async def test_a_refused_prune_fails_with_its_text(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.tracked = {}
    rig.begin(prune=True)
    given = await rig.inputs()

    protected = await client.get(GVK("", "v1", "Namespace"), "", "kube-system")
    bad = replace(given, pairs=(pair(None, protected),))
    result = await rig.engine.step(bad, rig.state)
    assert result.state.phase == "Failed"
    assert result.state.sync_result is not None
    entry = result.state.sync_result.resources[0]
    assert (entry.status, entry.hook_phase) == ("SyncFailed", "Failed")
    assert entry.message in result.state.message


async def test_apply_out_of_sync_only(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("a"), config("b")]
    await rig.finish()
    rig.targets = [config("a"), config("b", {"key": "new"})]
    rig.begin(sync_options=("ApplyOutOfSyncOnly=true",))
    await rig.finish()
    assert set(rig.entries()) == {"ConfigMap/b"}
    rig.begin(sync_options=("ApplyOutOfSyncOnly=true",))
    state = await rig.finish()
    assert state.message == "successfully synced (no more tasks)"
    assert rig.entries() == {}


async def test_terminate_deletes_running_hooks_only(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("main"), {**waved("never", 5)}]
    rig.hooks = [job("endless", "Sync", "run"), note("done", "PreSync")]
    await rig.until(lambda: "Job/endless" in rig.entries())

    rig.state = replace(rig.state, phase="Terminating", message="operation is terminating")
    state = await rig.finish()
    assert (state.phase, state.message) == ("Failed", "Operation terminated")
    endless = rig.entries()["Job/endless"]
    assert (endless.hook_phase, endless.message) == ("Failed", "Terminated")
    assert rig.entries()["ConfigMap/done"].hook_phase == "Succeeded"
    assert await rig.exists("ConfigMap", "main")
    assert not await rig.exists("ConfigMap", "never")
    assert [line for line in rig.client.log if line.startswith("delete")] == ["delete Job/endless"]


async def test_no_operation_is_an_error(client: ClusterClient, namespace: str) -> None:

    rig = Rig(client, namespace)
    rig.state = replace(rig.state, operation=replace(rig.state.operation, sync=None))
    state = await rig.finish()
    assert (state.phase, state.message) == ("Error", "Invalid operation request: no operation specified")


async def test_dry_run_of_a_sync_that_makes_its_namespace(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, f"{namespace}-absent")
    rig.targets = [config("a")]
    rig.hooks = [note("before", "PreSync")]
    rig.begin(dry_run=True, sync_options=("CreateNamespace=true",))
    state = await rig.finish()
    assert state.phase == "Succeeded"
    assert rig.messages() == {
        f"Namespace/{namespace}-absent": f"namespace/{namespace}-absent created (dry run)",
        "ConfigMap/before": "configmap/before created (dry run)",
        "ConfigMap/a": "configmap/a created (dry run)",
    }
    assert {entry.hook_phase for entry in rig.entries().values()} == {"Succeeded"}


@pytest.mark.parametrize("option", ["ServerSideApply=true", "Replace=true"])
async def test_hooks_with_options_are_made_anew(client: ClusterClient, namespace: str, option: str) -> None:
    rig = Rig(client, namespace)
    rig.hooks = [note("h", "PreSync", **{OPTIONS: option})]
    assert (await rig.finish()).phase == "Succeeded"
    verb = "serverside-applied" if option.startswith("Server") else "created"
    assert rig.messages()["ConfigMap/h"] in (f"configmap/h {verb}", "h created")
    uid = (await client.get(CONFIG, namespace, "h"))["metadata"]["uid"]
    rig.begin(datetime.now(UTC) + timedelta(seconds=5))
    given = replace(await rig.inputs(), pairs=())  # a cache that is behind
    result = await rig.engine.step(given, rig.state)
    assert result.state.message == "waiting for deletion of hook /ConfigMap/h"
    assert (await rig.finish()).phase == "Succeeded"
    assert (await client.get(CONFIG, namespace, "h"))["metadata"]["uid"] != uid


async def test_prune_last_and_propagation_policy(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    await prunable(client, rig, "old")
    rig.targets = [waved("new", 3)]
    rig.begin(prune=True, sync_options=("PruneLast=true", "PrunePropagationPolicy=background"))
    state = await rig.finish()
    assert state.phase == "Succeeded"
    assert rig.client.writes() == ["create ConfigMap/new", "delete ConfigMap/old"]
    assert not await rig.exists("ConfigMap", "old")  # background: gone at once


async def test_a_hook_that_cannot_be_made_fails_the_wave_while_others_end(
    client: ClusterClient, namespace: str
) -> None:
    rig = Rig(client, namespace)
    rig.hooks = [job("runs", "PreSync"), {**note("x", "PreSync"), "data": {"not a key!": "v"}}]
    state = await rig.finish()
    assert state.phase == "Failed"
    assert rig.entries()["Job/runs"].hook_phase == "Succeeded"
    assert 'ConfigMap "x" is invalid' in state.message


async def test_an_old_sync_fail_hook_goes_before_the_new_one(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("Not_A_Name")]
    rig.hooks = [note("cleanup", "SyncFail")]
    assert (await rig.finish()).phase == "Failed"
    uid = (await client.get(CONFIG, namespace, "cleanup"))["metadata"]["uid"]
    rig.begin(datetime.now(UTC) + timedelta(seconds=5))
    first = await rig.step()
    assert (first.state.message, first.wait) == ("waiting for deletion of hook /ConfigMap/cleanup", 2.0)
    assert (await rig.finish()).phase == "Failed"
    assert (await client.get(CONFIG, namespace, "cleanup"))["metadata"]["uid"] != uid


@pytest.mark.parametrize("policy", ["", "HookSucceeded", "HookFailed"])
@pytest.mark.parametrize("fails", [False, True])
async def test_hooks_that_the_live_set_lacks_are_let_go_all_the_same(
    client: ClusterClient, namespace: str, policy: str, fails: bool
) -> None:
    """Of a kind that is not followed, say; else our finalizer would hold them for ever."""
    rig = Rig(client, namespace)
    rig.sees_hooks = False
    rig.targets = [config("main")]
    if fails:
        rig.targets.append(manifest("Service", "bad", spec={"ports": [{"port": 99999999}]}))
    rig.hooks = [note("before", "PreSync", policy), note("both", "PreSync,PostSync", policy)]
    if fails:
        rig.hooks.append(note("failed", "SyncFail", policy))
    state = await rig.finish()
    assert state.phase == ("Failed" if fails else "Succeeded")
    deleted = policy == ("HookFailed" if fails else "HookSucceeded")
    for name in ("before", "both", *(["failed"] if fails else [])):
        assert rig.entries()[f"ConfigMap/{name}"].hook_phase == "Succeeded"
        if deleted:
            await gone(rig, "ConfigMap", name)
        else:
            live = await client.get(CONFIG, namespace, name)
            assert HOOK_FINALIZER not in live["metadata"].get("finalizers", [])
