"""What reconciling asks the cache, against a real API server."""

from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tests.live.conftest import config_map, until, watching
from tests.live.test_following import crd
from tiphys.kube.client import MERGE_PATCH, ClusterClient
from tiphys.kube.connections import from_kubeconfig
from tiphys.live.updates import UpdateDigest
from tiphys.resources.identity import GVK, GroupKind, Manifest, ResourceKey, gvk_of, key_of
from tiphys.settings.model import CompareOptions, FilterRule, ResourceFilter

CONFIG_MAP, SECRET = GVK("", "v1", "ConfigMap"), GVK("", "v1", "Secret")
DEPLOYMENT = GVK("apps", "v1", "Deployment")


def deployment(namespace: str, name: str, instance: str = "") -> Manifest:
    metadata = config_map(namespace, name, instance)["metadata"]
    labels = {"app": name}
    container = {"name": "c", "image": "nginx:1"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def owner_of(manifest: Manifest) -> dict[str, Any]:
    return {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "name": manifest["metadata"]["name"],
        "uid": manifest["metadata"]["uid"],
    }


async def test_changes_name_the_application_through_owners(
    plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    async with watching(from_kubeconfig(plane.kubeconfig)) as watched:
        top = await client.create(deployment(namespace, "d", "app-1"))
        child = config_map(namespace, "child")
        child["metadata"]["ownerReferences"] = [owner_of(top)]
        await until(lambda: watched.cache.get(key_of(top)))
        await client.create(child)
        await until(lambda: watched.cache.get(key_of(child)))
        seen = [(change.key.kind, change.app_instance, change.is_root) for change in watched.changes]
        assert ("Deployment", "app-1", True) in seen
        assert ("ConfigMap", "app-1", False) in seen
        nodes = watched.cache.tree(watched.cache.managed("app-1"))
        assert [node.kind for node in nodes] == ["ConfigMap", "Deployment"]
        assert nodes[0].parent_refs[0].uid == top["metadata"]["uid"]
        health = watched.cache.managed("app-1")[key_of(top)].health
        assert health is not None


async def test_update_that_does_not_count_is_no_change(
    plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    digest = UpdateDigest({}, CompareOptions())
    async with watching(from_kubeconfig(plane.kubeconfig), update_digest=digest) as watched:
        made = await client.create(deployment(namespace, "d", "app-2"))
        await until(lambda: watched.changes)
        await until(lambda: watched.cache.get(key_of(made)))
        before = len(watched.changes)
        # A status without meaning for health; the answer's version must arrive in the record.
        status = {"status": {"collisionCount": 1}}
        answer = await client.patch(DEPLOYMENT, namespace, "d", status, MERGE_PATCH, subresource="status")
        version = answer["metadata"]["resourceVersion"]
        await until(lambda: watched.cache.get(key_of(made)).resource_version == version)  # type: ignore[union-attr]
        assert len(watched.changes) == before
        await client.patch(DEPLOYMENT, namespace, "d", {"spec": {"replicas": 3}}, MERGE_PATCH)
        await until(lambda: len(watched.changes) > before)


async def test_own_write_is_seen_at_once_and_old_events_do_not_undo_it(
    plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    async with watching(from_kubeconfig(plane.kubeconfig)) as watched:
        first = await client.create(config_map(namespace, "c", "app-3", x="1"))
        second = await client.patch(CONFIG_MAP, namespace, "c", {"data": {"x": "2"}}, MERGE_PATCH)
        cache = watched.cache
        cache.note_write(second)
        assert (
            cache.managed("app-3")[key_of(second)].resource_version == second["metadata"]["resourceVersion"]
        )
        cache.note_write(first)  # the answer to the earlier request came late
        assert b'"x":"2"' in (cache.managed("app-3")[key_of(second)].body or b"")
        await client.delete(CONFIG_MAP, namespace, "c", propagation_policy="Background")
        await until(lambda: cache.get(key_of(first)) is None)
        cache.note_write(second)  # deleted since: the answer must not bring it back
        assert cache.get(key_of(first)) is None


async def test_own_deletion_is_seen_at_once_but_not_that_of_another_of_the_name(
    plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    async with watching(from_kubeconfig(plane.kubeconfig)) as watched:
        cache = watched.cache
        first = await client.create(config_map(namespace, "c", "app-9", x="1"))
        cache.note_soon(first)
        await client.delete(CONFIG_MAP, namespace, "c", propagation_policy="Background")
        cache.note_gone(first)
        assert cache.get(key_of(first)) is None
        second = await client.create(config_map(namespace, "c", "app-9", x="2"))
        cache.note_write(second)
        cache.note_gone(first)
        assert cache.get(key_of(first)) is not None
        await client.delete(CONFIG_MAP, namespace, "c", propagation_policy="Background")
        await until(lambda: cache.get(key_of(first)) is None)


async def test_own_write_is_no_change_for_the_writer_but_for_the_application_that_lost(
    plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    made = await client.create(config_map(namespace, "c", "loser"))
    async with watching(from_kubeconfig(plane.kubeconfig)) as watched:
        taken = config_map(namespace, "c", "winner")["metadata"]["annotations"]
        answer = await client.patch(
            CONFIG_MAP, namespace, "c", {"metadata": {"annotations": taken}}, MERGE_PATCH
        )
        watched.cache.note_write(answer)
        own = [change.app_instance for change in watched.changes if change.key == key_of(made)]
        assert set(own) <= {"loser", "winner"}
        assert "loser" in own


async def test_manifest_comes_from_memory_or_by_one_request(
    plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    managed = await client.create(config_map(namespace, "managed", "app-4", x="1"))
    foreign = await client.create(config_map(namespace, "foreign", x="1"))
    calls: list[tuple[str, str, int, bool]] = []
    async with watching(from_kubeconfig(plane.kubeconfig)) as watched:
        cache = watched.cache
        cache._client._transport._on_request = lambda *call: calls.append(call)
        read = await cache.manifest(key_of(managed), CONFIG_MAP)
        assert read is not None
        assert read["data"] == {"x": "1"}
        assert await cache.manifest(ResourceKey("", "ConfigMap", namespace, "absent"), CONFIG_MAP) is None
        assert not [call for call in calls if call[:2] == ("get", "configmaps")]
        for _ in range(2):
            read = await cache.manifest(key_of(foreign), CONFIG_MAP)
            assert read is not None
            assert read["data"] == {"x": "1"}
        asked = [call[:2] for call in calls if call[0] != "watch" and call[1] != "discovery"]
        assert asked == [("get", "configmaps")]


async def test_manifest_in_another_version_is_converted_by_the_server(
    plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": config_map(namespace, "h", "app-5")["metadata"],
        "spec": {
            "maxReplicas": 3,
            "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
        },
    }
    made = await client.create(scaler)
    async with watching(from_kubeconfig(plane.kubeconfig)) as watched:
        old = GVK("autoscaling", "v1", "HorizontalPodAutoscaler")
        read = await watched.cache.manifest(key_of(made), old)
        assert read is not None
        assert read["apiVersion"] == "autoscaling/v1"


async def test_excluded_kinds_are_not_followed_but_can_be_fetched(
    plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    made = await client.create(config_map(namespace, "c", "app-6", x="1"))
    excluded = ResourceFilter(exclusions=(FilterRule(kinds=("ConfigMap",)),))
    async with watching(from_kubeconfig(plane.kubeconfig), resource_filter=excluded) as watched:
        assert not watched.cache.is_watched(GroupKind("", "ConfigMap"))
        assert watched.cache.is_watched(GroupKind("", "Secret"))
        assert not watched.cache.is_watched(GroupKind("coordination.k8s.io", "Lease"))
        read = await watched.cache.manifest(key_of(made), CONFIG_MAP)  # health-and-resources.md 6.5
        assert read is not None
        record = await watched.cache.look_up(key_of(made), CONFIG_MAP)
        assert record is not None
        assert record.app_instance == "app-6"
        assert record.manifest() is not None
        assert watched.cache.get(key_of(made)) is None, "in no tree"
        assert await watched.cache.look_up(key_of(made)._replace(name="no-such"), CONFIG_MAP) is None
        assert await watched.cache.look_up(key_of(made)._replace(kind="Secret"), SECRET) is None


async def test_orphan_candidates_are_roots_of_the_namespace(
    plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    top = await client.create(config_map(namespace, "root"))
    child = config_map(namespace, "child")
    child["metadata"]["ownerReferences"] = [owner_of(top)]
    await client.create(child)
    async with watching(from_kubeconfig(plane.kubeconfig)) as watched:
        assert [record.key.name for record in watched.cache.in_namespace(namespace)] == ["root"]
        assert [record.key.name for record in watched.cache.children(key_of(top))] == ["child"]


async def test_listener_that_fails_does_not_stop_the_cache(
    plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("a bug of the listener")

    async with watching(from_kubeconfig(plane.kubeconfig), on_change=fail) as watched:
        await client.create(config_map(namespace, "one"))
        made = await client.create(config_map(namespace, "two"))
        await until(lambda: watched.cache.get(key_of(made)))


@pytest.mark.parametrize("respect", ["", "normal", "strict"], ids=["7.2-unset", "7.2-normal", "7.2-strict"])
async def test_kinds_we_may_not_list(
    plane: ControlPlane, client: ClusterClient, namespace: str, respect: str
) -> None:
    account = f"system:serviceaccount:{namespace}:reader"
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch", "get"]}
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    await client.create(
        {**rbac, "kind": "ClusterRole", "metadata": {"name": namespace + respect}, "rules": [rule]}
    )
    await client.create(
        {
            **rbac,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": namespace + respect},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": namespace + respect,
            },
            "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": namespace}],
        }
    )
    async with watching(from_kubeconfig(plane.kubeconfig), wait=False, respect_rbac=respect) as watched:
        cache = watched.cache
        cache._client._headers["Impersonate-User"] = account
        await cache.wait_synced()
        assert cache.get(ResourceKey("", "ConfigMap", "kube-system", "extension-apiserver-authentication"))
        if respect:
            assert not cache.problems
        else:
            assert "forbidden" in cache.problems[GroupKind("", "Secret")]
        assert GroupKind("", "ConfigMap") not in cache.problems


async def test_strict_keeps_what_the_server_says_we_may_list(
    plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    # 7.2: it is asked by resource name only, so a right in another group counts, and the kind has a problem
    account = f"system:serviceaccount:{namespace}:reader"
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    name, group = f"strict-{namespace}", "rbac.authorization.k8s.io"
    rules = [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch", "get"]},
        {"apiGroups": [""], "resources": ["deployments"], "verbs": ["list"]},
    ]
    await client.create({**rbac, "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules})
    await client.create(
        {
            **rbac,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": namespace}],
        }
    )
    async with watching(from_kubeconfig(plane.kubeconfig), wait=False, respect_rbac="strict") as watched:
        cache = watched.cache
        cache._client._headers["Impersonate-User"] = account
        await cache.wait_synced()
        assert set(cache.problems) == {GroupKind("apps", "Deployment")}
        assert "forbidden" in cache.problems[GroupKind("apps", "Deployment")]
        assert not cache.is_watched(GroupKind("", "Secret"))


async def test_relist_reads_everything_again_without_a_false_change(
    plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    made = await client.create(config_map(namespace, "c", "app-7"))
    async with watching(from_kubeconfig(plane.kubeconfig)) as watched:
        kind = GroupKind("", "ConfigMap")
        before = watched.cache._followers.at(kind)
        watched.cache.relist()
        await until(lambda: watched.cache._followers.at(kind) not in (before, None))
        await until(lambda: all(follower.listed for follower in watched.cache._followers))
        assert watched.cache.get(key_of(made)) is not None
        assert not [change for change in watched.changes if change.key == key_of(made)]


async def test_changes_of_what_becomes_of_writes_are_told(plane: ControlPlane, client: ClusterClient) -> None:
    """proving-no-op, rule 15: answers of dry runs hold until one of these changes."""
    told: list[str | None] = []
    webhook = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "mutates-nothing"},
    }
    async with watching(from_kubeconfig(plane.kubeconfig), on_rules=told.append) as watched:
        assert told == [None]  # a server met for the first time
        await client.create(config_map("default", "no-rule"))
        made = await client.create(webhook)
        await until(lambda: watched.cache.get(key_of(made)))
        assert told == [None, None]
        group = "rules.example.com"
        made = await client.create(crd(group, "Rule", "v1"))
        await until(lambda: group in told)
        await client.delete(gvk_of(made), "", key_of(made).name, propagation_policy="Background")
        await until(lambda: watched.cache.get(key_of(made)) is None)
        assert set(told[2:]) == {group}
