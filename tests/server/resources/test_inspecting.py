"""Trees, differences, changes and cluster states of real objects, as the API will show them."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tests.server.resources.objects import config_map, deployment, secret, service
from tests.server.resources.world import World, decoded, world
from tiphys.kube.client import MERGE_PATCH
from tiphys.live.tree import key_of_node
from tiphys.resources.identity import GVK, ResourceKey
from tiphys.resources.messages.trees import ApplicationTree, ResourceDiff, ResourceNode

pytestmark = pytest.mark.controlplane

CONFIG_MAP, SECRET = GVK("", "v1", "ConfigMap"), GVK("", "v1", "Secret")


async def tree(world: World, name: str) -> ApplicationTree:
    found = await world.live.tree(world.app(name))
    assert found is not None
    return found


def node(found: ApplicationTree, kind: str, name: str = "") -> ResourceNode:
    return next(each for each in found.nodes if each.kind == kind and name in ("", each.name))


async def differences(world: World, name: str, *keys: ResourceKey) -> dict[str, ResourceDiff]:
    found = await world.live.managed_resources(world.app(name), keys=keys or None)
    assert found is not None
    return {f"{each.kind}/{each.name}": each for each in found}


async def test_tree_of_what_runs(resources: World) -> None:
    # health-and-resources.md 9.1, 9.2, 9.4
    await resources.commit({"web/app.yaml": deployment("web"), "web/service.yaml": service("web")})
    await resources.create_app("web")
    async with aclosing(_trees(resources, "web")) as trees:
        async with asyncio.timeout(30):
            async for found in trees:
                pods = [each for each in found.nodes if each.kind == "Pod"]
                if len(pods) == 2 and all(each.health and each.health.status == "Healthy" for each in pods):
                    break
    kinds = [each.kind for each in found.nodes]
    assert kinds == sorted(kinds, key=lambda kind: kinds.index(kind))
    order = [str(key_of_node(each)) for each in found.nodes]
    assert order == sorted(order)
    replicas = node(found, "ReplicaSet")
    assert [(ref.kind, ref.name, ref.namespace) for ref in replicas.parent_refs] == [
        ("Deployment", "web", resources.place)
    ]
    top = node(found, "Deployment")
    assert not top.parent_refs
    assert top.version == "v1"
    assert top.uid
    assert top.created_at
    assert pods[0].images == ("example.org/web:1",)
    info = {item.name: item.value for item in pods[0].info}
    assert (info["Containers"], info["cpu"], info["memory"]) == ("1/1", "100", str(1000 * 2**20))
    assert pods[0].networking_info is not None
    assert node(found, "EndpointSlice").parent_refs[0].kind == "Service"
    host = next(each for each in found.hosts)
    cpu = next(each for each in host.resources_info if each.resource_name == "cpu")
    assert cpu.requested_by_app == 200
    assert cpu.capacity == 1_000_000
    assert set(host.labels) <= {"kubernetes.io/hostname"}


async def _trees(world: World, name: str) -> AsyncIterator[ApplicationTree]:
    """As WatchResourceTree has them, with the present one first."""
    changes = world.live.changes(world.app(name).key)
    arrived = asyncio.ensure_future(anext(changes))
    try:
        while True:
            yield await tree(world, name)
            await arrived
            arrived = asyncio.ensure_future(anext(changes))
    finally:
        arrived.cancel()
        await asyncio.wait([arrived])
        await changes.aclose()  # type: ignore[attr-defined]


async def test_what_is_wanted_and_not_there_is_missing(resources: World) -> None:
    # 9.2 step 1: no identity, only Missing
    await resources.commit({"absent/a.yaml": config_map("absent"), "absent/b.yaml": service("absent")})
    await resources.create_app("absent", synced=False)
    found = await tree(resources, "absent")
    assert [(each.kind, each.uid, each.version) for each in found.nodes] == [
        ("ConfigMap", "", "v1"),
        ("Service", "", "v1"),
    ]
    assert {each.health.status for each in found.nodes if each.health} == {"Missing"}
    assert not found.hosts
    shown = await differences(resources, "absent")
    gone = shown["ConfigMap/absent"]
    assert (gone.live_state, gone.normalized_live_state, gone.modified) == ("null", "null", True)
    assert decoded(gone.target_state)["data"] == {"key": "value"}
    assert decoded(gone.predicted_live_state)["data"] == {"key": "value"}


async def test_orphans_where_the_project_watches_them(resources: World) -> None:
    # 9.3
    await resources.project(
        "watchful", orphanedResources={"ignore": [{"kind": "ConfigMap", "name": "known*"}]}
    )
    await resources.commit({"orphans/a.yaml": config_map("wanted")})
    for name in ("stray", "known-1", "wanted"):
        await resources.client.create(config_map(name, namespace=resources.place))
    await resources.create_app("orphans", project="watchful", synced=False)
    await resources.until(lambda: resources.controllers.services.pool.known("https://kubernetes.default.svc"))
    found = await tree(resources, "orphans")
    names = {each.name for each in found.orphaned_nodes if each.kind == "ConfigMap"}
    assert "stray" in names
    assert not names & {"known-1", "kube-root-ca.crt", "wanted"}, "wanted carries no mark yet, but is wanted"
    assert not any(each.name == "default" and each.kind == "ServiceAccount" for each in found.orphaned_nodes)
    plain = await tree(resources, "absent") if resources.base.apps.keys() else found
    assert not plain.orphaned_nodes


async def test_drift_is_shown_field_by_field(resources: World) -> None:
    # 12.1
    await resources.commit({"drift/a.yaml": config_map("drift", {"a": "1", "b": "2"})})
    await resources.create_app("drift")
    calm = (await differences(resources, "drift"))["ConfigMap/drift"]
    assert not calm.modified
    assert calm.predicted_live_state == calm.normalized_live_state
    assert calm.resource_version == decoded(calm.live_state)["metadata"]["resourceVersion"]
    await resources.client.patch(
        CONFIG_MAP, resources.place, "drift", {"data": {"a": "other"}}, MERGE_PATCH, field_manager="someone"
    )
    await resources.wait_app("drift", lambda app: app.status.sync.status == "OutOfSync")
    found = (await differences(resources, "drift"))["ConfigMap/drift"]
    assert found.modified
    assert decoded(found.live_state)["data"] == {"a": "other", "b": "2"}
    assert decoded(found.normalized_live_state)["data"] == {"a": "other", "b": "2"}
    assert decoded(found.predicted_live_state)["data"] == {"a": "1", "b": "2"}
    assert decoded(found.target_state)["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"]
    assert "managedFields" not in decoded(found.normalized_live_state)["metadata"]


async def test_an_object_that_is_not_wanted_any_more(resources: World) -> None:
    # 12.1: extra live: modified false, predicted null
    await resources.commit({"extra/a.yaml": config_map("extra"), "extra/b.yaml": config_map("stays")})
    await resources.create_app("extra")
    (resources.repository / "extra/a.yaml").unlink()
    await resources.commit({})
    await _refresh(resources, "extra")
    found = (await differences(resources, "extra"))["ConfigMap/extra"]
    assert (found.target_state, found.predicted_live_state, found.modified) == ("null", "null", False)
    assert decoded(found.live_state)["data"] == {"key": "value"}


async def _refresh(world: World, name: str) -> None:
    patch = {"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}
    answer = await world.client.patch(
        GVK("argoproj.io", "v1alpha1", "Application"), world.namespace, name, patch, MERGE_PATCH
    )
    asked = int(answer["metadata"]["resourceVersion"])

    def answered(app: Any) -> bool:
        return (
            int(app.metadata.resource_version) > asked
            and "argocd.argoproj.io/refresh" not in app.metadata.annotations
        )

    await world.wait_app(name, answered)


@pytest.mark.parametrize("server_side", [False, True], ids=["three-way", "server-side-diff"])
async def test_no_value_of_a_secret_is_shown(resources: World, server_side: bool) -> None:
    # sync.md 6: in targets, live objects, predictions and last-applied annotations
    name = f"masked-{str(server_side).lower()}"
    annotations = {"private/note": "hush-note"}
    await resources.commit(
        {f"{name}/s.yaml": secret(name, {"same": "hush-same", "new": "hush-new"}, annotations=annotations)}
    )
    options = {"argocd.argoproj.io/compare-options": "ServerSideDiff=true"} if server_side else {}
    await resources.create_app(name, metadata={"annotations": options})
    changed = secret(name, {"same": "hush-same", "new": "hush-old", "extra": "hush-extra"})
    await resources.client.patch(SECRET, resources.place, name, {"data": changed["data"]}, MERGE_PATCH)
    await resources.wait_app(name, lambda app: app.status.sync.status == "OutOfSync")
    found = (await differences(resources, name))[f"Secret/{name}"]
    assert found.modified
    text = json.dumps(
        [found.target_state, found.live_state, found.normalized_live_state, found.predicted_live_state]
    )
    for value in ("hush-same", "hush-new", "hush-old", "hush-extra"):
        plain = secret("x", {"v": value})["data"]["v"]
        assert value not in text
        assert plain not in text
    assert "hush-note" not in text
    target, live = decoded(found.target_state), decoded(found.live_state)
    predicted = decoded(found.predicted_live_state)
    assert target["data"]["same"] == live["data"]["same"] == "++++++++"
    assert target["data"]["new"] == "++++++++"
    assert live["data"]["new"] == "++++++++++++"
    assert predicted["data"]["new"] == "++++++++", "equal values have equal masks"
    if not server_side:
        original = live["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
        assert decoded(original)["data"]["new"] == "++++++++"


async def test_prediction_of_the_server(resources: World) -> None:
    # sync.md 7: with server-side diff the API server says what an apply would make of it
    await resources.commit({"ssd/a.yaml": deployment("ssd", replicas=1)})
    options = {"argocd.argoproj.io/compare-options": "ServerSideDiff=true"}
    await resources.create_app("ssd", metadata={"annotations": options})
    await resources.client.patch(
        GVK("apps", "v1", "Deployment"), resources.place, "ssd", {"spec": {"replicas": 0}}, MERGE_PATCH
    )
    await resources.wait_app("ssd", lambda app: app.status.sync.status == "OutOfSync")
    found = (await differences(resources, "ssd", ResourceKey("apps", "Deployment", resources.place, "ssd")))[
        "Deployment/ssd"
    ]
    assert found.modified
    assert resources.live._answers.size > 0, "kept for who asks again"
    again = (await differences(resources, "ssd"))["Deployment/ssd"]
    assert decoded(again.predicted_live_state)["spec"] == decoded(found.predicted_live_state)["spec"]
    live, predicted = decoded(found.normalized_live_state), decoded(found.predicted_live_state)
    assert (live["spec"].pop("replicas"), predicted["spec"].pop("replicas")) == (0, 1)
    assert live["spec"] == predicted["spec"]


async def test_only_keys_that_are_asked_for(resources: World) -> None:
    await resources.commit({"few/a.yaml": config_map("few-1"), "few/b.yaml": config_map("few-2")})
    await resources.create_app("few")
    key = ResourceKey("", "ConfigMap", resources.place, "few-2")
    assert list(await differences(resources, "few", key)) == ["ConfigMap/few-2"]


async def test_a_broken_spec_shows_nothing(resources: World) -> None:
    # applications.md 10.2 step 1: an empty tree
    await resources.create_app("nowhere", synced=False, project="no-such-project")
    app = resources.app("nowhere")
    assert await resources.live.tree(app) == ApplicationTree()
    assert await resources.live.managed_resources(app) == ()


async def test_watching_costs_only_who_watches(resources: World) -> None:
    await resources.commit({"watched/a.yaml": config_map("watched")})
    app = await resources.create_app("watched")
    notices = resources.controllers.services.notices
    assert notices.watchers(app.key) == 0
    async with aclosing(resources.live.changes(app.key)) as changes:  # type: ignore[type-var]
        waiting = asyncio.ensure_future(anext(changes))
        await resources.until(lambda: notices.watchers(app.key))
        await resources.client.patch(
            CONFIG_MAP, resources.place, "watched", {"data": {"k": "v"}}, MERGE_PATCH
        )
        async with asyncio.timeout(10):
            await waiting
    assert notices.watchers(app.key) == 0
    assert app.key not in notices._watching


async def test_cluster_info(resources: World) -> None:
    # health-and-resources.md 11
    info = await resources.live.cluster_info("https://kubernetes.default.svc/")
    assert info.connection_state.status == "Successful"
    assert info.connection_state.attempted_at
    assert info.server_version.startswith("v1.")
    assert info.applications_count >= 1
    assert info.cache_info.resources_count > 10
    assert info.cache_info.apis_count > 10
    assert info.cache_info.last_cache_sync_time
    assert {"v1", "v1/Pod", "apps/v1/Deployment"} <= set(info.api_versions)
    assert list(info.api_versions) == sorted(set(info.api_versions))
    unknown = await resources.live.cluster_info("https://nobody.example.org")
    assert (unknown.connection_state.status, unknown.connection_state.message) == (
        "Unknown",
        "Cluster has no applications and is not being monitored.",
    )


async def test_kinds_that_may_not_be_listed_are_compared_and_in_no_tree(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    # health-and-resources.md 6.5, 7.2: respectRBAC leaves the kind, a GET still finds its objects
    kubectl = control_plane.kubectl
    account = f"narrow-{os.getpid()}"
    rules = [
        {"apiGroups": ["*"], "resources": ["configmaps", "services"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create", "patch", "update"]},
    ]
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    objects = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": "default"}},
        {**rbac, "kind": "ClusterRole", "metadata": {"name": account}, "rules": rules},
        {
            **rbac,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": account},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": account},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "default"}],
        },
    ]
    await asyncio.to_thread(kubectl, "apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, objects)))
    token = await asyncio.to_thread(kubectl.service_account_token, "default", account)
    async with world(control_plane, tmp_path, settings={"resource.respectRBAC": "normal"}) as made:
        config = {
            "bearerToken": token,
            "tlsClientConfig": {"caData": base64.b64encode(control_plane.ca_file.read_bytes()).decode()},
        }
        await made.client.create(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": "narrow",
                    "namespace": made.namespace,
                    "labels": {"argocd.argoproj.io/secret-type": "cluster"},
                },
                "stringData": {
                    "name": "narrow",
                    "server": control_plane.server,
                    "config": json.dumps(config),
                },
            }
        )
        await made.until(lambda: control_plane.server in made.base.settings.snapshot.clusters.by_server)
        await made.commit(
            {"narrow/a.yaml": config_map("seen"), "narrow/b.yaml": secret("unseen", {"k": "v"})}
        )
        spec = {"destination": {"server": control_plane.server, "namespace": made.place}}
        await made.create_app("narrow", **spec)
        app = await made.wait_app("narrow", lambda app: app.status.sync.status == "Synced")
        assert {each.kind: each.status for each in app.status.resources} == {
            "ConfigMap": "Synced",
            "Secret": "Synced",
        }
        found = await made.live.tree(app)
        assert found is not None
        assert [each.kind for each in found.nodes] == ["ConfigMap"]
        shown = await made.live.managed_resources(app)
        assert shown is not None
        assert [each.kind for each in shown if each.live_state != "null"] == ["ConfigMap", "Secret"]
    await asyncio.to_thread(kubectl, "delete", "clusterrole,clusterrolebinding", account)


async def test_what_could_not_be_compared(resources: World) -> None:
    # 12.1: the server refuses the dry run, since the selector cannot be changed
    await resources.commit({"refused/a.yaml": deployment("refused", replicas=0)})
    options = {"argocd.argoproj.io/compare-options": "ServerSideDiff=true"}
    await resources.create_app("refused", metadata={"annotations": options})
    changed = deployment("refused", replicas=0)
    changed["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    changed["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    await resources.commit({"refused/a.yaml": changed})
    await _refresh(resources, "refused")
    assert resources.app("refused").status.sync.status == "Unknown"
    found = (await differences(resources, "refused"))["Deployment/refused"]
    assert (found.normalized_live_state, found.predicted_live_state, found.modified) == ("{}", "{}", False)
    assert decoded(found.target_state)["spec"]["selector"] == {"matchLabels": {"app": "other"}}


@pytest.mark.parametrize("server_side", [False, True], ids=["client-side", "server-side"])
async def test_what_the_project_forbids_is_hidden(resources: World, server_side: bool) -> None:
    """applications.md 11.1, 16: who writes to Git reads no object of others by naming it there."""
    name = f"nosy-{server_side}".lower()
    elsewhere = f"{resources.namespace}-{name}"
    await resources.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": elsewhere}})
    await resources.client.create(config_map("theirs", {"word": "hush-hush"}, namespace=elsewhere))
    mark = {"argocd.argoproj.io/tracking-id": f"other:/ConfigMap:{elsewhere}/shared"}
    shared = config_map("shared", {"word": "hush-hush"}, namespace=elsewhere)
    shared["metadata"]["annotations"] = mark
    await resources.client.create(shared)
    await resources.project(
        name,
        destinations=[{"server": "*", "namespace": resources.place}],
        clusterResourceWhitelist=[],
    )
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "cluster-admin"},
    }
    await resources.commit(
        {
            f"{name}/a.yaml": config_map("theirs", namespace=elsewhere),
            f"{name}/b.yaml": config_map("shared", namespace=elsewhere),
            f"{name}/c.yaml": role,
        }
    )
    asked = {"argocd.argoproj.io/compare-options": f"ServerSideDiff={str(server_side).lower()}"}
    app = await resources.create_app(name, project=name, synced=False, metadata={"annotations": asked})
    assert not app.status.conditions
    assert [(each.name, each.status) for each in app.status.resources] == [
        ("shared", "OutOfSync"),
        ("theirs", "OutOfSync"),
        ("cluster-admin", "Unknown"),
    ]
    assert (app.status.sync.status, app.status.health.status) == ("OutOfSync", "Missing")
    shown = await differences(resources, name)
    assert {(each.live_state, each.normalized_live_state, each.modified) for each in shown.values()} == {
        ("null", "null", True)
    }
    nodes = (await tree(resources, name)).nodes
    assert [(each.name, each.uid, each.health and each.health.status) for each in nodes] == [
        ("shared", "", "Missing"),
        ("theirs", "", "Missing"),
        ("cluster-admin", "", "Missing"),
    ]
