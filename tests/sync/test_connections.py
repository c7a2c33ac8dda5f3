"""Connections that break in the middle of a sync, and watch events that come late: the end state, the
number of writes and of hooks are as without.

A request may be lost before the API server has it, or its answer on the way back. What is written down as
an object's failure is tried again by the next attempt (sync.md 17.2), which finds what the lost answers
spoke of. Own writes are in the live cache at once, what others do comes in any order of objects and late.
"""

import asyncio
import random
from typing import Any

import pytest
from msgspec.structs import replace

from tests.sync.harness import Metered, Rig
from tests.sync.scenarios import SCENARIOS, Scenario, begin, content, summary
from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import ClusterUnreachable
from tiphys.resources.application import OperationState, SyncOperationResult
from tiphys.resources.identity import Manifest, ResourceKey

pytestmark = [pytest.mark.controlplane, pytest.mark.timeout(600)]

CALM = [name for name, scenario in SCENARIOS.items() if not scenario.terminate_at]


class Breaking(Metered):
    """The nth request finds the connection broken; the next has a new one."""

    def __init__(self, client: ClusterClient) -> None:
        super().__init__(client)
        self.broken = False

    def __getattr__(self, name: str) -> Any:
        method = super().__getattr__(name)

        async def perhaps(*args: Any, **kwargs: Any) -> Any:
            try:
                return await method(*args, **kwargs)
            except BaseException:
                if not self.dead:
                    raise
                self.broken = True
                self.revive()
                raise ClusterUnreachable("https://it", "reset", sent=self.kill_after_sending) from None

        return perhaps if asyncio.iscoroutinefunction(method) else method


class LateRig(Rig):
    """Sees each object as it is, or as it was at any look since the last own write to it."""

    def __init__(self, client: ClusterClient, namespace: str, chance: random.Random) -> None:
        self._chance = chance
        self._seen: dict[ResourceKey, list[Manifest | None]] = {}
        self._writes = 0
        super().__init__(client, namespace, parallelism=1)

    async def live(self) -> dict[ResourceKey, Manifest]:
        found = await super().live()
        for line in self.client.writes()[self._writes :]:
            kind, name = line.split()[1].split("/")
            for key in list(self._seen):
                if (key.kind, key.name) == (kind, name):
                    del self._seen[key]
        self._writes = len(self.client.writes())
        view: dict[ResourceKey, Manifest] = {}
        for key in self._names():
            states = self._seen.setdefault(key, [])
            states.append(found.get(key))
            at = self._chance.randrange(len(states))
            del states[:at]  # an object's own events come in their order
            state = states[0]
            if state is not None:
                view[key] = state
        return view

    def begin(self, *args: Any, **sync: Any) -> None:
        self._seen.clear()  # the last step of an operation wrote, too
        self._writes = 0
        super().begin(*args, **sync)


async def play(rig: Rig, scenario: Scenario, tag: str, aim: Any = None) -> OperationState:
    await begin(rig, scenario, tag)
    if aim is not None:
        aim()
    return await rig.finish()


def next_attempt(state: OperationState) -> OperationState:
    """What a retry goes on from: the same operation, without its results (sync.md 17.2)."""
    result = SyncOperationResult(revision="0123456789")
    return replace(state, phase="Running", retry_count=state.retry_count + 1, sync_result=result, message="")


def messages(state: OperationState) -> list[str]:
    assert state.sync_result is not None
    return [entry.message for entry in state.sync_result.resources]


def jobs(rig: Rig) -> list[str]:
    return sorted(line.split("-", 1)[1] for line in rig.client.writes() if line.startswith("create Job"))


@pytest.mark.parametrize("name", CALM)
async def test_a_connection_that_breaks_at_any_request(
    client: ClusterClient, namespace: str, name: str
) -> None:
    scenario = SCENARIOS[name]
    rig = Rig(client, namespace, parallelism=1)
    state = await play(rig, scenario, "ref")
    wanted, left, requests = summary(state, "ref"), await content(client, rig, "ref"), len(rig.client.log)
    gate = asyncio.Semaphore(8)

    async def broken(number: int, sent: bool) -> None:
        tag = f"d{number}{'a' if sent else 'b'}"
        rig = Rig(client, namespace, parallelism=1)
        rig.client = breaking = Breaking(client)
        rig.engine = type(rig.engine)(breaking, rig.engine._options)

        def aim() -> None:
            breaking.kill_at, breaking.kill_after_sending = number, sent

        async with gate:
            state = await play(rig, scenario, tag, aim)
            where = f"broken {'after' if sent else 'before'} request {number}: {breaking.log}"
            # how often a hook on its way out is looked at is a matter of time
            assert breaking.broken or len(breaking.log) < number, where
            if summary(state, tag) != wanted:
                told = [state.message, *messages(state)]
                assert any("unreachable: reset" in text for text in told), (where, told)
                rig.state = next_attempt(state)
                state = await rig.finish()
        assert summary(state, tag) == wanted, where
        assert await content(client, rig, tag) == left, where

    async with asyncio.TaskGroup() as group:
        for number in range(1, requests + 1):
            group.create_task(broken(number, False))
            group.create_task(broken(number, True))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CALM)
async def test_events_that_come_late_and_out_of_order(
    client: ClusterClient, namespace: str, name: str, seed: int
) -> None:
    scenario = SCENARIOS[name]
    rig = Rig(client, namespace, parallelism=1)
    state = await play(rig, scenario, "ref")
    wanted, left = summary(state, "ref"), await content(client, rig, "ref")
    writes = len(rig.client.writes())
    late = LateRig(client, namespace, random.Random(seed))
    state = await play(late, scenario, "late")
    assert summary(state, "late") == wanted, late.client.log
    rig.tracked |= late.tracked
    assert await content(client, rig, "late") == left, late.client.log
    assert jobs(late) == jobs(rig)
    assert len(late.client.writes()) == writes, (late.client.log, rig.client.log)
