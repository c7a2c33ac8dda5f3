"""Objects and situations out of the ordinary, against a real API server (sync.md 5.5, 9.2, 13)."""

import uuid

import pytest
from msgspec.structs import replace

from tests.sync.builders import HOOK, OPTIONS, config, manifest, pair
from tests.sync.harness import Rig
from tiphys.kube.client import ClusterClient
from tiphys.resources.identity import GVK
from tiphys.sync.objects import delete_object

pytestmark = pytest.mark.controlplane
CONFIG = GVK("", "v1", "ConfigMap")


async def test_force_says_configured_of_what_it_made_anew(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("a", immutable=True)]
    await rig.finish()
    rig.begin()
    rig.targets = [config("a", {"key": "new"}, immutable=True, annotations={OPTIONS: "Force=true"})]
    await rig.finish()
    assert rig.messages()["ConfigMap/a"] == "configmap/a configured"


@pytest.mark.parametrize("options", [(), ("ServerSideApply=true",)], ids=["client-side", "server-side"])
async def test_what_is_ignored_is_written_back_all_the_same(  # 5.5: only RespectIgnoreDifferences keeps it
    client: ClusterClient, namespace: str, options: tuple[str, ...]
) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("a", {"ignored": "git"})]
    rig.begin(sync_options=options)
    await rig.finish()
    body = {"data": {"ignored": "drift"}}
    await client.patch(CONFIG, namespace, "a", body, "application/merge-patch+json")
    given = await rig.inputs()
    pairs = tuple(replace(pair, modified=False, ignoring=True) for pair in given.pairs)
    rig.begin(sync_options=options)
    result = await rig.engine.step(replace(given, pairs=pairs), rig.state)
    assert result.state.phase == "Succeeded"
    assert (await client.get(CONFIG, namespace, "a"))["data"] == {"ignored": "git"}
    # ApplyOutOfSyncOnly leaves out what is not out of sync
    rig.begin(sync_options=("ApplyOutOfSyncOnly=true",))
    result = await rig.engine.step(replace(given, pairs=pairs), rig.state)
    assert (result.state.message, rig.client.log) == ("successfully synced (no more tasks)", [])


async def test_a_create_may_leave_the_name_to_the_server(client: ClusterClient, namespace: str) -> None:
    unnamed = config("", annotations={OPTIONS: "Replace=true"})
    unnamed["metadata"]["generateName"] = "gen-"
    rig = Rig(client, namespace)
    rig.targets = [config("later", annotations={"argocd.argoproj.io/sync-wave": "1"})]

    async def step() -> None:
        given = await rig.inputs()
        result = await rig.engine.step(replace(given, pairs=(*given.pairs, pair(unnamed))), rig.state)
        rig.state = result.state

    await step()
    assert rig.state.phase == "Running"
    await step()
    assert (rig.state.phase, rig.state.message) == ("Succeeded", "successfully synced (all tasks run)")
    assert rig.client.counts() == {"create": 2}
    assert rig.messages()["ConfigMap/"].startswith("configmap/gen-")
    assert rig.messages()["ConfigMap/"].endswith(" created")


async def test_a_namespace_that_moved_is_recorded_in_the_phase_it_moved_to(
    client: ClusterClient,
) -> None:  # 9.2
    name = f"sync-{uuid.uuid4().hex[:10]}"
    rig = Rig(client, name)
    rig.targets = [manifest("Namespace", name)]
    rig.hooks = [config("h", annotations={HOOK: "PreSync"})]
    assert (await rig.finish()).phase == "Succeeded"
    entry = rig.entries()[f"Namespace/{name}"]
    assert (entry.sync_phase, entry.status, entry.hook_type) == ("PreSync", "Synced", "")
    assert rig.client.counts()["create"] == 2
    rig.begin()
    assert (await rig.finish()).phase == "Succeeded"
    assert [e.sync_phase for e in rig.entries().values()] == ["PreSync", "PreSync"]


async def test_objects_leave_with_their_kind(client: ClusterClient, namespace: str) -> None:
    live = manifest("Vanished", "v", api="gone.example.com/v1", namespace=namespace)
    assert await delete_object(client, live, "Foreground") is None


@pytest.mark.parametrize("data", [{"a": 424242}, {"a": {"b": "424242"}}, "424242", {"a": "424242!!"}])
@pytest.mark.parametrize("option", ["", "ServerSideApply=true", "Replace=true"])
@pytest.mark.parametrize("is_there", [True, False], ids=["there", "new"])
async def test_a_refused_secret_stays_one(  # 13.6, 6
    client: ClusterClient, namespace: str, data: object, option: str, is_there: bool
) -> None:
    rig = Rig(client, namespace)
    if is_there:
        rig.targets = [manifest("Secret", "s", data={"a": "eA=="})]
        assert (await rig.finish()).phase == "Succeeded"
    rig.targets = [manifest("Secret", "s", data=data, annotations={OPTIONS: option})]
    rig.begin()
    state = await rig.finish()
    told = f"{state.message} {rig.messages()['Secret/s']}"
    assert state.phase == "Failed"
    assert "424242" not in told, told
