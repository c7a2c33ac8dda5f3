"""Writing objects to a real API server: requests, messages, results (sync.md 13)."""

from typing import Any

import pytest
from msgspec.structs import replace

from tests.sync.builders import OPTIONS, config, crd, manifest, pair
from tests.sync.harness import ManagedNamespaceMetadata, Rig
from tiphys.compare.threeway import LAST_APPLIED
from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import NotFound
from tiphys.resources.identity import GVK

pytestmark = pytest.mark.controlplane
CONFIG = GVK("", "v1", "ConfigMap")


def deployment(name: str, replicas: int = 1, **template: Any) -> dict[str, Any]:
    labels = {"app": name}
    pod = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "main", "image": "nginx:1"}], **template},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod}
    return manifest("Deployment", name, api="apps/v1", spec=spec)


def role(name: str, *verbs: str) -> dict[str, Any]:
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": list(verbs)}]
    return manifest("Role", name, api="rbac.authorization.k8s.io/v1", rules=rules)


def binding(name: str, role_name: str) -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    return manifest(
        "RoleBinding",
        name,
        api=f"{group}/v1",
        roleRef={"apiGroup": group, "kind": "Role", "name": role_name},
        subjects=[{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
    )


async def test_a_missing_object_costs_one_post_and_an_equal_one_nothing(
    client: ClusterClient, namespace: str
) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("a"), config("b"), deployment("web")]
    state = await rig.finish()
    assert (state.phase, state.message) == ("Succeeded", "successfully synced (all tasks run)")
    assert rig.client.counts() == {"create": 3}
    assert rig.messages() == {
        "ConfigMap/a": "configmap/a created",
        "ConfigMap/b": "configmap/b created",
        "Deployment/web": "deployment.apps/web created",
    }
    entry = rig.entries()["Deployment/web"]
    assert (entry.status, entry.hook_phase, entry.sync_phase) == ("Synced", "Running", "Sync")
    assert entry.images == ("nginx:1",)
    assert entry.namespace == namespace

    rig.begin()
    state = await rig.finish()
    assert state.phase == "Succeeded"
    assert rig.client.log == []
    assert set(rig.messages().values()) == {
        "configmap/a unchanged",
        "configmap/b unchanged",
        "deployment.apps/web unchanged",
    }


async def test_a_change_costs_one_patch_and_removes_what_was_dropped(
    client: ClusterClient, namespace: str
) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("a", {"keep": "1", "drop": "2"}), config("b")]
    await rig.finish()
    rig.begin()
    rig.targets = [config("a", {"keep": "3"}), config("b")]
    await rig.finish()
    assert rig.client.log == ["patch ConfigMap/a"]
    assert rig.messages()["ConfigMap/a"] == "configmap/a configured"
    assert (await client.get(CONFIG, namespace, "a"))["data"] == {"keep": "3"}


async def test_an_object_that_nobody_applied_gets_the_warning(client: ClusterClient, namespace: str) -> None:
    await client.create(config("a", {"foreign": "1"}, namespace=namespace))
    rig = Rig(client, namespace)
    rig.targets = [config("a", {"key": "value"})]
    await rig.finish()
    assert rig.messages()["ConfigMap/a"] == (
        "configmap/a configured. Warning: resource configmaps/a is missing the"
        " kubectl.kubernetes.io/last-applied-configuration annotation which is required by  apply.  apply"
        " should only be used on resources created declaratively by either  create --save-config or  apply."
        " The missing annotation will be patched automatically."
    )
    assert (await client.get(CONFIG, namespace, "a"))["data"] == {"foreign": "1", "key": "value"}


async def test_a_cache_that_is_behind_is_read_again(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("a")]
    given = await rig.inputs()  # the object is missing here
    await client.create(config("a", {"other": "1"}, namespace=namespace))
    result = await rig.engine.step(given, rig.state)
    assert result.state.phase == "Succeeded"
    assert rig.client.counts() == {"create": 1, "get": 1, "patch": 1}

    rig.begin()
    rig.targets = [config("a", {"key": "new"})]
    given = await rig.inputs()  # the object exists here
    await client.delete(CONFIG, namespace, "a", propagation_policy="Background")
    result = await rig.engine.step(given, rig.state)
    assert result.state.phase == "Succeeded"
    assert rig.client.counts() == {"patch": 1, "get": 1, "create": 1}
    assert (await client.get(CONFIG, namespace, "a"))["data"] == {"key": "new"}


async def test_a_refused_object_is_a_result_that_names_the_field(
    client: ClusterClient, namespace: str
) -> None:
    rig = Rig(client, namespace)
    broken = deployment("web")
    broken["spec"]["template"]["spec"]["containers"][0].pop("image")
    broken["spec"]["template"]["spec"]["restartPolicy"] = "Sometimes"
    rig.targets = [config("a"), broken]
    state = await rig.finish()
    assert state.phase == "Failed"
    assert state.message.startswith("one or more objects failed to apply, reason: Deployment.apps")
    entry = rig.entries()["Deployment/web"]
    assert (entry.status, entry.hook_phase) == ("SyncFailed", "Failed")
    assert "spec.template.spec.restartPolicy" in entry.message
    assert rig.messages()["ConfigMap/a"] == "configmap/a created"


async def test_an_immutable_field_with_force_is_made_again(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("a", immutable=True)]
    await rig.finish()
    rig.begin()
    rig.targets = [config("a", {"key": "new"}, immutable=True)]
    assert (await rig.finish()).phase == "Failed"
    rig.begin()
    rig.targets = [config("a", {"key": "new"}, immutable=True, annotations={OPTIONS: "Force=true"})]
    assert (await rig.finish()).phase == "Succeeded"
    assert (await client.get(CONFIG, namespace, "a"))["data"] == {"key": "new"}


async def test_server_side_apply_and_its_proof(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("a")]
    rig.begin(sync_options=("ServerSideApply=true",))
    await rig.finish()
    assert rig.messages()["ConfigMap/a"] == "configmap/a serverside-applied"
    live = await client.get(CONFIG, namespace, "a")
    assert [(e["manager"], e["operation"]) for e in live["metadata"]["managedFields"]] == [
        ("argocd-controller", "Apply")
    ]
    assert LAST_APPLIED not in live["metadata"].get("annotations", {})
    rig.begin(sync_options=("ServerSideApply=true",))
    await rig.finish()
    assert rig.client.log == []
    assert rig.messages()["ConfigMap/a"] == "configmap/a unchanged"


async def test_server_side_apply_after_client_side_removes_dropped_fields(
    client: ClusterClient, namespace: str
) -> None:  # sync.md 13.3
    rig = Rig(client, namespace)
    rig.targets = [config("a", {"keep": "1", "drop": "2"})]
    await rig.finish()
    rig.targets = [config("a", {"keep": "1"}, annotations={OPTIONS: "ServerSideApply=true"})]
    rig.begin()
    state = await rig.finish()
    assert state.phase == "Succeeded"
    live = await client.get(CONFIG, namespace, "a")
    assert live["data"] == {"keep": "1"}
    assert {(e["manager"], e["operation"]) for e in live["metadata"]["managedFields"]} == {
        ("argocd-controller", "Apply")
    }


async def test_client_side_apply_of_kubectl_is_migrated(client: ClusterClient, namespace: str) -> None:
    made = config("a", {"keep": "1", "drop": "2"}, namespace=namespace, annotations={LAST_APPLIED: "{}"})
    await client.create(made, field_manager="kubectl-client-side-apply")
    rig = Rig(client, namespace)
    rig.targets = [config("a", {"keep": "1"})]
    rig.begin(sync_options=("ServerSideApply=true",))
    assert (await rig.finish()).phase == "Succeeded"
    assert (await client.get(CONFIG, namespace, "a"))["data"] == {"keep": "1"}

    await client.create(
        config("b", {"keep": "1", "drop": "2"}, namespace=namespace, annotations={LAST_APPLIED: "{}"}),
        field_manager="kubectl-client-side-apply",
    )
    rig.targets = [config("b", {"keep": "1"})]
    rig.begin(sync_options=("ServerSideApply=true", "ClientSideApplyMigration=false"))
    assert (await rig.finish()).phase == "Succeeded"
    assert (await client.get(CONFIG, namespace, "b"))["data"] == {"keep": "1", "drop": "2"}


async def test_force_does_not_go_with_server_side_apply(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("a", annotations={OPTIONS: "ServerSideApply=true,Force=true"})]
    await rig.finish()
    text = "error validating options: --force cannot be used with --server-side"
    assert rig.messages()["ConfigMap/a"] == text


async def test_replace_creates_then_replaces(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("a", annotations={OPTIONS: "Replace=true"})]
    await rig.finish()
    assert rig.messages()["ConfigMap/a"] == "configmap/a created"
    live = await client.get(CONFIG, namespace, "a")
    assert LAST_APPLIED not in live["metadata"]["annotations"]
    await client.patch(CONFIG, namespace, "a", {"data": {"foreign": "1"}}, "application/merge-patch+json")
    rig.begin()
    await rig.finish()
    assert rig.messages()["ConfigMap/a"] == "configmap/a replaced"
    assert (await client.get(CONFIG, namespace, "a"))["data"] == {"key": "value"}


async def test_replace_with_force_makes_the_object_again(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("a", annotations={OPTIONS: "Replace=true,Force=true"})]
    await client.create(config("a", {"old": "1"}, namespace=namespace))
    before = await client.get(CONFIG, namespace, "a")
    state = await rig.finish()
    after = await client.get(CONFIG, namespace, "a")
    assert state.phase == "Succeeded"
    assert rig.messages()["ConfigMap/a"] == "configmap/a replaced"
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["data"] == {"key": "value"}


async def test_roles_go_through_auth_reconcile(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.targets = [role("r", "get"), binding("b", "r")]
    await rig.finish()
    assert rig.client.counts() == {"create": 2}
    assert rig.messages()["Role/r"].startswith(
        "role.rbac.authorization.k8s.io/r reconciled. reconciliation required create"
    )
    rig.begin()
    await rig.finish()
    assert rig.client.log == []
    name = "role.rbac.authorization.k8s.io/r"
    assert rig.messages()["Role/r"] == f"{name} reconciled{name} unchanged"

    rig.begin()
    rig.targets = [role("r", "get"), binding("b", "other")]
    assert (await rig.finish()).phase == "Succeeded"
    assert "reconciliation required recreate" in rig.messages()["RoleBinding/b"]
    assert rig.client.log == [
        "dry-run create RoleBinding/b",
        "delete RoleBinding/b",
        "create RoleBinding/b",
    ]


async def test_a_role_in_a_missing_namespace(client: ClusterClient) -> None:
    rig = Rig(client, "sync-not-there")
    rig.targets = [role("r", "get")]
    assert (await rig.finish()).phase == "Failed"
    assert rig.messages()["Role/r"] == (
        "error running kubectl auth reconcile: error getting namespace sync-not-there:"
        ' namespaces "sync-not-there" not found'
    )


async def test_an_unknown_kind_fails_before_anything_is_written(
    client: ClusterClient, namespace: str
) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("a"), manifest("Thing", "t", api="unknown.example.com/v1")]
    state = await rig.finish()
    assert state.phase == "Failed"
    assert state.message.startswith("one or more synchronization tasks are not valid: failed to discover")
    assert rig.entries()["Thing/t"].status == "SyncFailed"
    assert rig.messages()["Thing/t"].startswith("The Kubernetes API could not find unknown.example.com/Thing")
    assert rig.client.writes() == []


async def test_a_crd_and_its_objects_in_one_sync(client: ClusterClient, namespace: str) -> None:
    group = f"{namespace}.example.com"
    definition = crd(group, "Widget")
    rig = Rig(client, namespace)
    rig.targets = [manifest("Widget", "w", api=f"{group}/v1", spec={"size": 1}), definition]
    try:
        state = await rig.finish()
        assert state.phase == "Succeeded", rig.messages()
        assert rig.messages()["Widget/w"] == f"widget.{group}/w created"
        rig.begin()
        rig.targets[0] = manifest("Widget", "w", api=f"{group}/v1", spec={"size": 2})
        await rig.finish()
        assert rig.messages()["Widget/w"] == f"widget.{group}/w configured"
        rig.begin()
        rig.targets[0] = manifest("Widget", "w", api=f"{group}/v2")
        state = await rig.finish()
        assert state.phase == "Failed" or rig.entries()["Widget/w"].status == "SyncFailed"
    finally:
        await client.delete(
            GVK("apiextensions.k8s.io", "v1", "CustomResourceDefinition"), "", f"widgets.{group}"
        )


async def test_missing_kinds_are_tolerated_where_asked_and_refused_in_their_turn(
    client: ClusterClient, namespace: str
) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("a"), manifest("Thing", "t", api="unknown.example.com/v1")]
    rig.begin(sync_options=("SkipDryRunOnMissingResource=true",))
    state = await rig.finish()
    assert state.phase == "Failed"
    assert state.message.startswith("one or more objects failed to apply, reason: ")
    assert rig.messages()["ConfigMap/a"] == "configmap/a created"


async def test_create_namespace(client: ClusterClient, namespace: str) -> None:
    new = f"{namespace}-new"
    rig = Rig(client, new)
    rig.targets = [config("a")]
    rig.begin(sync_options=("CreateNamespace=true",))
    try:
        state = await rig.finish()
        assert (state.phase, len(rig.steps)) == ("Succeeded", 1)
        assert rig.client.log == [f"get Namespace/{new}", f"create Namespace/{new}", "create ConfigMap/a"]
        entry = rig.entries()[f"Namespace/{new}"]
        assert (entry.status, entry.hook_phase, entry.sync_phase, entry.message) == (
            "Synced",
            "Running",
            "PreSync",
            f"namespace/{new} created",
        )
        rig.begin(sync_options=("CreateNamespace=true",))
        await rig.finish()
        assert rig.client.log == [f"get Namespace/{new}"]
    finally:
        await client.delete(GVK("", "v1", "Namespace"), "", new, propagation_policy="Background")


async def test_managed_namespace_metadata(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("a")]
    metadata = ManagedNamespaceMetadata(labels={"team": "x"}, annotations={"note": "y"})
    rig.more = {"managed_namespace_metadata": metadata}
    rig.begin(sync_options=("CreateNamespace=true",))
    state = await rig.finish()
    assert state.phase == "Succeeded"
    live = await client.get(GVK("", "v1", "Namespace"), "", namespace)
    assert live["metadata"]["labels"]["team"] == "x"
    assert live["metadata"]["annotations"] == {"note": "y", OPTIONS: "ServerSideApply=true"}
    assert state.sync_result is not None
    assert state.sync_result.managed_namespace_metadata == metadata


async def test_a_namespace_that_is_being_deleted_refuses_by_name(
    client: ClusterClient, namespace: str
) -> None:
    blocker = config("blocker", namespace=namespace)
    blocker["metadata"]["finalizers"] = ["example.com/never"]
    await client.create(blocker)
    await client.delete(GVK("", "v1", "Namespace"), "", namespace, propagation_policy="Background")
    rig = Rig(client, namespace)
    rig.targets = [config("a")]
    state = await rig.finish()
    assert state.phase == "Failed"
    assert "because it is being terminated" in rig.messages()["ConfigMap/a"]
    free = {"metadata": {"finalizers": None}}
    await client.patch(CONFIG, namespace, "blocker", free, "application/merge-patch+json")


async def test_forbidden_objects_do_not_reach_the_server(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("a"), manifest("Secret", "s", data={})]
    reason = "resource :Secret is not permitted in project p"
    rig.more = {"permitted": lambda m, resource: reason if resource.kind == "Secret" else None}
    state = await rig.finish()
    assert (state.phase, state.message) == (
        "Failed",
        f"one or more synchronization tasks are not valid: {reason}",
    )
    assert rig.client.log == []


async def test_a_name_to_be_generated_is_refused_before_anything_is_written(
    client: ClusterClient, namespace: str
) -> None:
    rig = Rig(client, namespace)
    unnamed = config("")
    unnamed["metadata"]["generateName"] = "gen-"
    rig.targets = [config("a")]
    given = await rig.inputs()
    extra = pair(unnamed)
    result = await rig.engine.step(replace(given, pairs=(*given.pairs, extra)), rig.state)
    assert (result.state.phase, result.state.message) == (
        "Failed",
        "one or more objects failed to apply (dry run)",
    )
    assert result.state.sync_result is not None
    assert [r.message for r in result.state.sync_result.resources] == [
        "from gen-: cannot use generate name with apply"
    ]
    assert rig.client.log == []


async def test_dry_run_asks_the_server_and_writes_nothing(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    await client.create(config("old", namespace=namespace))
    rig.tracked = {}
    rig.targets = [config("a"), config("b", immutable=True)]
    rig.targets[1]["metadata"]["annotations"] = {"argocd.argoproj.io/sync-wave": "1"}
    rig.begin(dry_run=True, prune=True)
    state = await rig.finish()
    assert state.phase == "Succeeded"
    assert rig.messages()["ConfigMap/a"] == "configmap/a created (dry run)"
    assert rig.entries()["ConfigMap/a"].hook_phase == "Succeeded"
    with pytest.raises(NotFound):
        await client.get(CONFIG, namespace, "a")
    assert rig.steps[-1].writes == ()


async def test_annotation_too_long_gets_advice(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("a", {"key": "x" * 300_000})]
    await rig.finish()
    assert "-Additional Info" in rig.messages()["ConfigMap/a"]
