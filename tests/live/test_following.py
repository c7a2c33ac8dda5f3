"""Streams break, servers refuse and restart, kinds fail: the cache goes on and misses nothing."""

import asyncio
import re

import pytest
from aiohttp import web

from tests.controlplane import ControlPlane
from tests.live.conftest import QUICK, config_map, until, watching
from tests.live.misbehaving import Proxy
from tiphys.kube.client import MERGE_PATCH, ClusterClient
from tiphys.kube.connections import Connection, from_kubeconfig
from tiphys.kube.errors import ClusterUnreachable, NotFound
from tiphys.live.cluster import KindUnavailable
from tiphys.live.following import Times
from tiphys.resources.identity import GVK, GroupKind, Manifest, ResourceKey, key_of

CONFIG_MAP = GVK("", "v1", "ConfigMap")
CRD = GVK("apiextensions.k8s.io", "v1", "CustomResourceDefinition")


def key(namespace: str, name: str) -> ResourceKey:
    return ResourceKey("", "ConfigMap", namespace, name)


def lists(proxy: Proxy, plural: str = "configmaps") -> int:
    return sum(1 for each in proxy.requests if re.search(rf"/{plural}\?limit", each))


def crd(group: str, kind: str, *versions: str, storage: str = "", webhook: bool = False) -> Manifest:
    plural = f"{kind.lower()}s"
    conversion: Manifest = {"strategy": "None"}
    if webhook:  # nobody listens there
        hook = {"clientConfig": {"url": "https://127.0.0.1:1/"}, "conversionReviewVersions": ["v1"]}
        conversion = {"strategy": "Webhook", "webhook": hook}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": CRD.api_version,
        "kind": CRD.kind,
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "conversion": conversion,
            "versions": [
                {"name": each, "served": True, "storage": each == (storage or versions[0]), "schema": schema}
                for each in versions
            ],
        },
    }


async def test_dropped_streams_resume_without_a_new_list(
    plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    async with (
        Proxy(from_kubeconfig(plane.kubeconfig)).running() as proxy,
        watching(Connection(proxy.url)) as watched,
    ):
        await until(lambda: proxy.watches > 30)
        before = lists(proxy)
        proxy.drop_streams()
        await client.create(config_map(namespace, "while-away"))
        await until(lambda: watched.cache.get(key(namespace, "while-away")))
        assert lists(proxy) == before
        assert not watched.cache.problems


async def test_half_open_streams_are_noticed(
    plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    times = Times(idle=1.5, first_pause=0.05, longest_pause=0.4)
    async with (
        Proxy(from_kubeconfig(plane.kubeconfig)).running() as proxy,
        watching(Connection(proxy.url), times=times) as watched,
    ):
        await until(lambda: proxy.watches > 30)
        proxy.freeze_streams()
        await client.create(config_map(namespace, "unseen"))
        await until(lambda: watched.cache.get(key(namespace, "unseen")))


async def test_refused_watches_wait_as_told(
    plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    async with (
        Proxy(from_kubeconfig(plane.kubeconfig)).running() as proxy,
        watching(Connection(proxy.url)) as watched,
    ):
        await until(lambda: proxy.watches > 30)
        open_before = proxy.watches
        proxy.refuse_watches = 2 * open_before
        started = len(proxy.requests)
        proxy.drop_streams()
        await client.create(config_map(namespace, "after-429"))
        await until(lambda: watched.cache.get(key(namespace, "after-429")))
        await until(lambda: proxy.watches >= open_before)
        # Each stream was refused twice with "wait a second": no hammering.
        assert len(proxy.requests) - started < 5 * open_before
        await until(lambda: not watched.cache.problems)


async def test_old_version_lists_again_and_reports_what_was_missed(
    plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    for name in ("stays", "goes", "changes"):
        await client.create(config_map(namespace, name, "app", x="1"))
    plane.stop_program("apiserver")  # a new server remembers no history
    plane.start_program("apiserver")
    await until(plane.is_ready, 60)
    async with (
        Proxy(from_kubeconfig(plane.kubeconfig)).running() as proxy,
        watching(Connection(proxy.url)) as watched,
    ):
        follower = watched.cache._followers.at(GroupKind("", "ConfigMap"))
        assert follower is not None
        await until(lambda: follower.state == "watching" and proxy.watches > 30)
        proxy.freeze_streams()  # nothing of what follows is seen by the old stream
        await client.delete(CONFIG_MAP, namespace, "goes", propagation_policy="Background")
        await client.patch(CONFIG_MAP, namespace, "changes", {"data": {"x": "2"}}, MERGE_PATCH)
        before = lists(proxy)
        follower.version = "1"
        proxy.drop_streams()
        await until(lambda: watched.cache.get(key(namespace, "goes")) is None)
        assert lists(proxy) == before + 1
        changed = watched.cache.get(key(namespace, "changes"))
        assert changed is not None
        assert b'"x":"2"' in (changed.body or b"")
        reported = {change.key.name for change in watched.changes if change.app_instance == "app"}
        assert reported == {"goes", "changes"}


class Holding(Proxy):
    """Lets lists of ConfigMaps wait once it is told to."""

    def __init__(self, upstream: Connection) -> None:
        super().__init__(upstream)
        self.asked = asyncio.Event()
        self.go = asyncio.Event()
        self.go.set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/configmaps") and request.query.get("watch") != "true":
            self.asked.set()
            await self.go.wait()
        return await super().handle(request)


async def test_what_was_written_and_deleted_while_a_list_was_under_way_is_gone(
    plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    async with (
        Holding(from_kubeconfig(plane.kubeconfig)).running() as proxy,
        watching(Connection(proxy.url)) as watched,
    ):
        assert isinstance(proxy, Holding)
        follower = watched.cache._followers.at(GroupKind("", "ConfigMap"))
        assert follower is not None
        await until(lambda: follower.state == "watching" and proxy.watches > 30)
        proxy.go.clear()
        proxy.asked.clear()
        follower.version = ""
        proxy.drop_streams()
        await until(proxy.asked.is_set)
        for name in ("goes", "stays"):
            watched.cache.note_write(await client.create(config_map(namespace, name, "app")))
        await client.delete(CONFIG_MAP, namespace, "goes", propagation_policy="Background")
        proxy.go.set()
        await until(lambda: follower.state == "watching")
        assert watched.cache.get(key(namespace, "goes")) is None
        later = await client.create(config_map(namespace, "later", "app"))
        assert watched.cache.get(key(namespace, "stays")) is not None
        await until(lambda: watched.cache.get(key_of(later)) is not None)


async def test_kind_whose_conversion_fails_harms_only_itself(
    plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    group = f"{namespace}.example"
    kind = GroupKind(group, "Broken")
    await client.create(crd(group, "Broken", "v1", "v2", storage="v1", webhook=True))
    await client.create(crd(group, "Sound", "v1"))
    thing = {"apiVersion": f"{group}/v1", "kind": "Broken", "metadata": {"name": "b", "namespace": namespace}}
    await created_when_served(client, thing)
    async with watching(from_kubeconfig(plane.kubeconfig)) as watched:
        cache = watched.cache
        assert "conversion webhook" in cache.problems[kind]
        assert set(cache.problems) == {kind}
        assert cache.is_watched(GroupKind(group, "Sound"))
        with pytest.raises(KindUnavailable, match="conversion webhook"):
            await cache.manifest(ResourceKey(group, "Broken", namespace, "other"))
        # The cure: the kind comes back without a restart.
        name = f"brokens.{group}"
        spec = {"spec": {"conversion": {"strategy": "None", "webhook": None}}}
        await client.patch(CRD, "", name, spec, MERGE_PATCH)
        await until(lambda: not cache.problems)
        assert cache.get(ResourceKey(group, "Broken", namespace, "b")) is not None
    await client.delete(CRD, "", name, propagation_policy="Background")


async def created_when_served(client: ClusterClient, manifest: Manifest) -> None:
    """Create as soon as the API server serves a new kind."""
    async with asyncio.timeout(20):
        while True:
            try:
                await client.refresh_discovery()
                await client.create(manifest)
            except NotFound:  # listed, but not served yet
                await asyncio.sleep(0.1)
            except Exception as error:
                if getattr(error, "reason", "") != "NoKindMatch":
                    raise
                await asyncio.sleep(0.1)
            else:
                return


async def test_kinds_come_and_go_with_their_crds(
    plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    group = f"late-{namespace}.example"
    kind = GroupKind(group, "Late")
    async with watching(from_kubeconfig(plane.kubeconfig)) as watched:
        assert not watched.cache.is_watched(kind)
        await client.create(crd(group, "Late", "v1"))
        await until(lambda: watched.cache.is_watched(kind))
        thing = {
            "apiVersion": f"{group}/v1",
            "kind": "Late",
            "metadata": {"name": "a", "namespace": namespace},
        }
        await created_when_served(client, thing)
        await until(lambda: watched.cache.get(ResourceKey(group, "Late", namespace, "a")))
        await client.delete(CRD, "", f"lates.{group}", propagation_policy="Background")
        await until(lambda: not watched.cache.is_watched(kind), 30)
        assert watched.cache.get(ResourceKey(group, "Late", namespace, "a")) is None
        assert any(change.key.group_kind == kind and change.new is None for change in watched.changes)


async def test_restart_of_the_api_server_is_survived(
    plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    await client.create(config_map(namespace, "before"))
    async with watching(from_kubeconfig(plane.kubeconfig)) as watched:
        plane.stop_program("apiserver", kill=True)
        await until(lambda: watched.cache.state.error)
        assert not watched.cache.problems  # the cluster is away; no kind is at fault
        plane.start_program("apiserver")
        await until(plane.is_ready, 60)
        await client.create(config_map(namespace, "after"))
        await until(lambda: watched.cache.get(key(namespace, "after")), 60)
        await until(lambda: not watched.cache.state.error)
        await until(lambda: {follower.state for follower in watched.cache._followers} == {"watching"}, 30)
        assert watched.cache.get(key(namespace, "before")) is not None


async def test_unreachable_cluster_says_so_and_comes_later(plane: ControlPlane) -> None:
    good = from_kubeconfig(plane.kubeconfig)
    moved = Connection("https://127.0.0.1:1", tls=good.tls)
    async with watching(moved, wait=False) as watched:
        with pytest.raises(ClusterUnreachable, match="Connect"):
            async with asyncio.timeout(10):
                await watched.cache.wait_synced()
        moved.server = good.server  # the address answers now
        await until(lambda: watched.cache.state.synced_at is not None)
        await watched.cache.wait_synced()


async def test_two_clusters_do_not_know_each_other(
    plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    good = from_kubeconfig(plane.kubeconfig)
    async with watching(good, server="https://one") as one:
        async with watching(Connection("http://127.0.0.1:1"), wait=False, server="https://two") as two:
            with pytest.raises(ClusterUnreachable):
                await two.cache.wait_synced()
            await client.create(config_map(namespace, "only-one"))
            await until(lambda: one.cache.get(key(namespace, "only-one")))
            assert len(two.cache._store) == 0
        assert {change.server for change in one.changes} == {"https://one"}


async def test_restricted_cluster_follows_its_namespaces(
    plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    await client.create(config_map(namespace, "inside"))
    await client.create(config_map("default", f"outside-{namespace}"))
    async with watching(from_kubeconfig(plane.kubeconfig), namespaces=(namespace,), times=QUICK) as watched:
        cache = watched.cache
        assert cache.get(key(namespace, "inside")) is not None
        assert cache.get(key("default", f"outside-{namespace}")) is None
        assert not cache.is_watched(GroupKind("", "Namespace"))
        role = ResourceKey("rbac.authorization.k8s.io", "ClusterRole", "", "r")
        assert (
            cache.check_scope(role, namespaced=False)
            == 'cluster level ClusterRole "r" can not be managed when in namespaced mode'
        )
        assert (
            cache.check_scope(key("default", "x"), namespaced=True)
            == 'namespace "default" for ConfigMap "x" is not managed'
        )


async def test_restricted_cluster_with_what_has_no_namespace(
    plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    # health-and-resources.md 6.4: clusterResources
    await client.create(config_map("default", f"outside-{namespace}"))
    async with watching(
        from_kubeconfig(plane.kubeconfig), namespaces=(namespace,), cluster_resources=True, times=QUICK
    ) as watched:
        cache = watched.cache
        assert cache.get(ResourceKey("", "Namespace", "", namespace)) is not None
        assert cache.get(key("default", f"outside-{namespace}")) is None
        role = ResourceKey("rbac.authorization.k8s.io", "ClusterRole", "", "r")
        assert cache.check_scope(role, namespaced=False) == ""
        assert cache.check_scope(key("default", "x"), namespaced=True) != ""
