"""Objects and situations out of the ordinary, against a real API server (sync.md 5.5, 9.2, 13)."""

import contextlib
import uuid
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from msgspec.structs import replace

from tests.sync.builders import HOOK, OPTIONS, WAVE, config, manifest, pair
from tests.sync.harness import Killed, Rig
from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import NotFound
from tiphys.resources.application import SyncOperation
from tiphys.resources.identity import GVK, Manifest
from tiphys.sync.inputs import StepResult
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


class Unnamed:
    """Objects without a name, beside those of a rig."""

    def __init__(self, rig: Rig, *targets: Manifest) -> None:
        self.rig, self.targets = rig, targets

    async def step(self) -> StepResult:
        """One step; a cache that follows labels shows what was made before as wanted by nobody."""
        given = await self.rig.inputs()
        named = {entry.name for entry in self.rig.entries().values() if entry.name.startswith("gen-")}
        live = []
        for name in sorted(named):
            with contextlib.suppress(NotFound):
                live.append(pair(None, await self.rig.client.client.get(CONFIG, given.namespace, name)))
        pairs = (*given.pairs, *map(pair, self.targets), *live)
        result = await self.rig.engine.step(replace(given, pairs=pairs), self.rig.state)
        self.rig.state = result.state
        return result


def unnamed(base: str = "gen-", key: str = "value", wave: int = 0, option: str = "Replace=true") -> Manifest:
    annotations = {OPTIONS: option, WAVE: str(wave)}
    made = config("", {"key": key}, annotations=annotations)
    made["metadata"]["generateName"] = base
    return made


async def test_objects_without_a_name_have_results_of_their_own(
    client: ClusterClient, namespace: str
) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("later", annotations={WAVE: "1"})]
    rig.state = replace(rig.state, operation=replace(rig.state.operation, sync=SyncOperation(prune=True)))
    given = Unnamed(rig, unnamed(key="a"), unnamed(key="b"), unnamed("gen-other-", key="c"))
    await given.step()
    assert rig.state.phase == "Running"
    made = sorted(rig.entries().values(), key=lambda entry: entry.name[:-5])
    assert [entry.name[:-5] for entry in made] == ["gen-", "gen-", "gen-other-"]
    assert [entry.message for entry in made] == [f"configmap/{entry.name} created" for entry in made]
    keys = [(await client.get(CONFIG, namespace, entry.name))["data"]["key"] for entry in made]
    assert sorted(keys) == ["a", "b", "c"]
    await given.step()
    assert (rig.state.phase, rig.state.message) == ("Succeeded", "successfully synced (all tasks run)")
    assert rig.client.counts()["create"] == 4
    assert rig.client.counts()["delete"] == 0
    assert {entry.hook_phase for entry in rig.entries().values() if entry.name != "later"} == {"Succeeded"}
    rig.begin(datetime.now(UTC) + timedelta(seconds=5))
    await given.step()
    assert {entry.message.rpartition(" ")[2] for entry in rig.entries().values()} == {"created"}
    assert rig.client.counts()["create"] == 3, "another sync makes others, as the server would"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kill_at", [1, 2])
async def test_a_kill_makes_none_of_them_twice(
    client: ClusterClient, namespace: str, kill_at: int, after: bool
) -> None:
    rig = Rig(client, namespace, parallelism=1)
    given = Unnamed(rig, unnamed(key="a"), unnamed(key="b"))
    rig.client.kill_at, rig.client.kill_after_sending = kill_at, after
    with pytest.raises(Killed):
        await given.step()
    rig.client.revive()
    await given.step()
    assert rig.state.phase == "Succeeded"
    answer = await client.raw("GET", f"/api/v1/namespaces/{namespace}/configmaps")
    items = [
        each for each in orjson.loads(answer.body)["items"] if each["metadata"]["name"].startswith("gen-")
    ]
    assert sorted(each["data"]["key"] for each in items) == ["a", "b"]


async def test_one_of_them_that_goes_is_noticed(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("later", annotations={WAVE: "1"})]
    given = Unnamed(rig, unnamed(key="a"), unnamed(key="b"))
    await given.step()
    gone, kept = (entry.name for entry in rig.entries().values())
    await client.delete(CONFIG, namespace, gone, propagation_policy="Background")
    await given.step()
    assert rig.state.phase == "Failed"
    assert rig.messages()[f"ConfigMap/{gone}"] == (
        f"Resource /ConfigMap/{gone} is missing, it might have been deleted"
    )
    assert rig.entries()[f"ConfigMap/{kept}"].status == "Synced"


async def test_those_that_only_a_create_accepts_are_named_in_their_results(
    client: ClusterClient, namespace: str
) -> None:
    rig = Rig(client, namespace)
    given = Unnamed(rig, unnamed("one-", option=""), unnamed("two-", option=""))
    await given.step()
    assert rig.state.phase == "Failed"
    assert rig.messages() == {
        f"ConfigMap/{base}": f"from {base}: cannot use generate name with apply" for base in ("one-", "two-")
    }


async def test_hooks_that_share_a_generate_name_all_run(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    hook = unnamed("job-", key="a")
    hook["metadata"]["annotations"] = {HOOK: "PreSync,PostSync"}
    other = {**hook, "data": {"key": "b"}}
    rig.hooks = [hook, other]
    await rig.finish()
    names = [entry.name for entry in rig.entries().values()]
    assert len(set(names)) == 4
    assert [name.endswith("-2") for name in sorted(names)] == [False, True, False, True]
    assert {entry.hook_phase for entry in rig.entries().values()} == {"Succeeded"}


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


@pytest.mark.parametrize("is_there", [True, False], ids=["there", "new"])
@pytest.mark.parametrize(
    "rules",
    [5, ["get"], [{"verbs": 5}], [{"verbs": ["get"], "apiGroups": [""], "resources": [1, None]}]],
    ids=["a number", "a list of texts", "verbs a number", "resources no texts"],
)
async def test_a_malformed_role_costs_itself_only(  # 13.2
    client: ClusterClient, namespace: str, rules: object, is_there: bool
) -> None:
    api = "rbac.authorization.k8s.io/v1"
    rig = Rig(client, namespace)
    if is_there:
        good = [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]
        rig.targets = [manifest("Role", "r", api=api, rules=good)]
        assert (await rig.finish()).phase == "Succeeded"
    bound = manifest("RoleBinding", "b", api=api, roleRef="r", subjects="x")
    rig.targets = [manifest("Role", "r", api=api, rules=rules), bound, config("a")]
    rig.begin()
    state = await rig.finish()
    assert state.phase == "Failed"
    codes = {name: entry.status for name, entry in rig.entries().items()}
    assert codes == {"Role/r": "SyncFailed", "RoleBinding/b": "SyncFailed", "ConfigMap/a": "Synced"}
    assert "cannot " in rig.messages()["Role/r"]
