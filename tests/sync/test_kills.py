"""A step that is killed at any request and repeated ends in the same state (design 1.2).

Each scenario runs once undisturbed, and then once for every request it made: the process dies
before or after sending that request, and the operation goes on from the last persisted state.
"""

import asyncio

import pytest
from msgspec.structs import replace

from tests.sync.builders import HOOK, config
from tests.sync.harness import Killed, Rig
from tests.sync.scenarios import SCENARIOS, Scenario, begin, content, summary
from tests.sync.test_flow import job, note, waved
from tiphys.kube.client import ClusterClient
from tiphys.resources.application import OperationState
from tiphys.resources.identity import GVK

pytestmark = [pytest.mark.controlplane, pytest.mark.timeout(600)]


async def play(
    rig: Rig, scenario: Scenario, kill_at: int, after: bool, tag: str
) -> tuple[OperationState, int]:
    """The end state, and how many requests the operation made."""
    await begin(rig, scenario, tag)
    rig.client.kill_at, rig.client.kill_after_sending = kill_at, after
    while True:
        try:
            if scenario.terminate_at and rig.state.phase == "Running":
                await rig.until(lambda: any(name.endswith(scenario.terminate_at) for name in rig.entries()))
                rig.state = replace(rig.state, phase="Terminating")
            return await rig.finish(), len(rig.client.log)
        except Killed:
            rig.client.revive()


@pytest.mark.parametrize("name", SCENARIOS)
async def test_kill_at_every_request(client: ClusterClient, namespace: str, name: str) -> None:
    scenario = SCENARIOS[name]
    rig = Rig(client, namespace, parallelism=1)
    state, requests = await play(rig, scenario, 0, False, "ref")
    wanted, left = summary(state, "ref"), await content(client, rig, "ref")
    writes = sorted(line.replace("ref-", "") for line in rig.client.writes())
    assert requests
    gate = asyncio.Semaphore(8)

    async def killed(kill_at: int, after: bool) -> None:
        tag = f"k{kill_at}{'a' if after else 'b'}"
        rig = Rig(client, namespace, parallelism=1)
        async with gate:
            state, _ = await play(rig, scenario, kill_at, after, tag)
        where = f"killed {'after' if after else 'before'} request {kill_at}: {rig.client.log}"
        assert summary(state, tag) == wanted, where
        assert await content(client, rig, tag) == left, where
        again = sorted(line.replace(f"{tag}-", "") for line in rig.client.writes())
        # the request at which it died may come twice, nothing else
        assert len(again) - len(writes) <= 1, (where, writes)
        creations = [line for line in again if line.startswith("create Job")]
        wanted_creations = [line for line in writes if line.startswith("create Job")]
        assert len(creations) - len(wanted_creations) <= (0 if after else 1), where

    async with asyncio.TaskGroup() as group:
        for kill_at in range(1, requests + 1):
            group.create_task(killed(kill_at, False))
            group.create_task(killed(kill_at, True))


async def test_a_hook_is_never_run_twice_by_a_repeated_step(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.hooks = [job("once", "PreSync")]
    rig.client.kill_at, rig.client.kill_after_sending = 1, True
    with pytest.raises(Killed):
        await rig.step()
    gvk = GVK("batch", "v1", "Job")
    uid = (await client.get(gvk, namespace, "once"))["metadata"]["uid"]
    stale = Rig(client, namespace)  # a cache that has not seen the hook
    stale.hooks, stale.state = rig.hooks, rig.state
    given = replace(await stale.inputs(), pairs=())
    result = await stale.engine.step(given, stale.state)
    assert stale.client.log == ["create Job/once", "get Job/once"]
    assert result.state.sync_result is not None
    assert result.state.sync_result.resources[0].message == "job.batch/once created"
    rig.client.revive()
    state = await rig.finish()
    assert state.phase == "Succeeded"
    assert (await client.get(gvk, namespace, "once"))["metadata"]["uid"] == uid


async def test_an_old_hook_that_the_cache_missed_goes_first(client: ClusterClient, namespace: str) -> None:
    await client.create(config("h", namespace=namespace, annotations={HOOK: "PreSync"}))
    rig = Rig(client, namespace)
    rig.hooks = [note("h", "PreSync")]
    given = replace(await rig.inputs(), pairs=())
    result = await rig.engine.step(given, rig.state)
    assert result.state.message == "waiting for deletion of hook /ConfigMap/h"
    assert rig.client.log == ["create ConfigMap/h", "get ConfigMap/h", "delete ConfigMap/h"]
    assert (await rig.finish()).phase == "Succeeded"


@pytest.mark.parametrize("kill_at", [1, 7, 20])
async def test_a_kill_with_requests_in_flight(client: ClusterClient, namespace: str, kill_at: int) -> None:
    rig = Rig(client, namespace, parallelism=8)
    rig.targets = [waved(f"c{number}", number % 2) for number in range(20)]
    rig.client.kill_at, rig.client.kill_after_sending = kill_at, True
    with pytest.raises(Killed):
        await rig.finish()
    rig.client.revive()
    state = await rig.finish()
    assert state.phase == "Succeeded"
    assert len(rig.entries()) == 20
    written = rig.client.writes()
    assert len(written) <= 20 + 8  # those in flight may come twice
    assert len(await rig.live()) == 20
