"""Hooks that do not end (issue 4 part 3; docs/differences.md)."""

from __future__ import annotations

import asyncio

import pytest

from tests.sync.builders import config, manifest
from tests.sync.harness import Rig, assess, gone
from tests.sync.test_deletion import by_key, placed
from tests.sync.test_flow import JOB, job
from tiphys.kube.client import ClusterClient
from tiphys.resources.identity import Manifest
from tiphys.sync.deadlines import HOOK_TIMEOUT, is_late, time_left, time_limit
from tiphys.sync.deletion import run_delete_hooks
from tiphys.sync.operating import PERSIST_FIRST


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("10m", 600.0),
        ("1h30m", 5400.0),
        ("90", 90.0),
        ("", None),
        ("0", None),  # no time at all is none
        ("-5m", None),
        ("soon", None),
        ("9" * 400, None),
        (3, None),
    ],
)
def test_what_a_hook_says(text: object, limit: float | None) -> None:
    hook: Manifest = {"metadata": {"annotations": {HOOK_TIMEOUT: text}}}
    assert time_limit(hook) == limit
    assert time_left(hook, 60.0) == (None if limit is None else limit - 60.0)
    assert is_late(hook, 600.0) is (limit is not None and limit <= 600.0)


def limited(hook: Manifest, text: str = "10m") -> Manifest:
    hook["metadata"]["annotations"][HOOK_TIMEOUT] = text
    return hook


@pytest.mark.controlplane
async def test_a_hook_that_does_not_end_in_time_fails_and_goes(client: ClusterClient, namespace: str) -> None:
    ages = [0.0]
    rig = Rig(client, namespace)
    rig.more = {"age": lambda hook: ages[-1]}
    rig.targets = [config("main")]
    rig.hooks = [limited(job("endless", "PreSync", "run")), job("cleanup", "SyncFail")]
    await rig.until(lambda: "Job/endless" in rig.entries())
    ages.append(595.0)
    step = await rig.step()
    assert (step.state.message, step.wait) == ("waiting for completion of hook batch/Job/endless", 5.0)
    ages.append(600.0)
    step = await rig.step()
    assert step.wait == PERSIST_FIRST  # the verdict, before anything is deleted
    assert await rig.exists("Job", "endless", "batch/v1")
    ages.append(0.0)  # also if the clock is set back in between
    state = await rig.finish()
    assert (state.phase, state.message) == (
        "Failed",
        "one or more synchronization tasks completed unsuccessfully",
    )
    endless = rig.entries()["Job/endless"]
    assert (endless.status, endless.hook_phase) == ("Synced", "Failed")
    assert endless.message == f"did not end within 10m ({HOOK_TIMEOUT})"
    assert rig.entries()["Job/cleanup"].hook_phase == "Succeeded"
    assert not await rig.exists("ConfigMap", "main")
    await gone(rig, "Job", "endless", "batch/v1")
    assert await rig.exists("Job", "cleanup", "batch/v1")


@pytest.mark.controlplane
@pytest.mark.parametrize("phase", ["PostSync", "SyncFail"])
async def test_in_every_phase(client: ClusterClient, namespace: str, phase: str) -> None:
    rig = Rig(client, namespace)
    rig.more = {"age": lambda hook: 61.0}
    rig.targets = [config("main")]
    if phase == "SyncFail":
        rig.targets.append(manifest("Service", "bad", spec={"ports": [{"port": 99999999}]}))
    rig.hooks = [limited(job("endless", phase, "run"), "1m")]
    state = await rig.finish()
    assert state.phase == "Failed"
    assert rig.entries()["Job/endless"].message == f"did not end within 1m ({HOOK_TIMEOUT})"
    await gone(rig, "Job", "endless", "batch/v1")


@pytest.mark.controlplane
async def test_one_without_a_limit_is_waited_for(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.more = {"age": lambda hook: 1e9}
    rig.hooks = [job("endless", "PreSync", "run")]
    await rig.until(lambda: "Job/endless" in rig.entries())
    step = await rig.step()
    assert (step.state.phase, step.wait) == ("Running", 30.0)


@pytest.mark.controlplane
async def test_a_late_delete_hook_is_an_error_and_runs_anew(client: ClusterClient, namespace: str) -> None:
    hook = placed(limited(job("bye", "PostDelete", "run"), "1m"), namespace)
    ages = [59.0]

    async def run() -> str:
        live = await by_key(client, namespace, hook)
        return (
            await run_delete_hooks(
                client,
                "PostDelete",
                [hook],
                live,
                app_uid="u",
                assess=assess,
                age=lambda manifest: ages[-1],
            )
        ).error

    assert [await run(), await run()] == ["", ""]
    uid = (await client.get(JOB, namespace, "bye"))["metadata"]["uid"]
    ages.append(60.0)
    assert await run() == f"PostDelete hook(s) failed: {namespace}/bye"
    ages.append(0.0)
    await gone(Rig(client, namespace), "Job", "bye", "batch/v1")
    assert await run() == ""
    async with asyncio.timeout(10):
        assert (await client.get(JOB, namespace, "bye"))["metadata"]["uid"] != uid
