"""Reading, once at the start, what the watches keep current afterwards.

Settings come first, then projects and Applications, so that work begins with everything known. What
is held of each kind is also what :mod:`tiphys.handlers.resync` compares after a gap.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tiphys.handlers.resync import Held, list_manifests
from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import AlreadyExists, Forbidden, NotFound
from tiphys.reconcile.stores import Store
from tiphys.resources.errors import InvalidObject
from tiphys.resources.identity import GVK, AppKey, Manifest, ResourceKey
from tiphys.settings.store import SettingsStore
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)


async def command_parameters(client: ClusterClient, namespace: str) -> Mapping[str, str]:
    """The data of ``argocd-cmd-params-cm``, which says how the rest is built."""
    try:
        manifest = await client.get(GVK("", "v1", "ConfigMap"), namespace, "argocd-cmd-params-cm")
    except NotFound:
        return {}
    return manifest.get("data") or {}


async def read_settings(client: ClusterClient, settings: SettingsStore, namespace: str) -> None:
    """Every ConfigMap and Secret that is a setting."""
    for kind in ("ConfigMap", "Secret"):
        async for manifest in list_manifests(client, GVK("", "v1", kind), namespace):
            if settings.is_relevant(manifest):
                settings.put(manifest)


async def take_in(client: ClusterClient, gvk: GVK, namespace: str, take: Callable[[Manifest], None]) -> None:
    """Every object of one of our kinds; one that cannot be read holds up no other."""
    async for manifest in list_manifests(client, gvk, namespace):
        try:
            take(manifest)
        except InvalidObject as error:
            log.error("%s %s is left out: %s", gvk.kind, manifest["metadata"].get("name"), error)


def held_keys(store: Store[Any]) -> list[tuple[AppKey, str]]:
    """Key and uid of everything in a store."""
    return [(AppKey(each.metadata.namespace, each.metadata.name), each.metadata.uid) for each in store]


def held_settings(kind: str, settings: SettingsStore) -> Held:
    """The settings objects of a kind."""
    namespace = settings.snapshot.control_namespace

    def gone(key: AppKey, _: str) -> None:
        settings.delete(ResourceKey("", kind, key.namespace, key.name))

    return Held(
        GVK("", "v1", kind),
        namespace,
        lambda: [(AppKey(namespace, name), "") for name in settings.names(kind)],
        gone,
    )


async def ensure_default_project(client: ClusterClient, namespace: str) -> None:
    """The project ``default`` exists from the first start on (applications.md 20)."""
    project = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": "default", "namespace": namespace},
        "spec": {
            "sourceRepos": ["*"],
            "destinations": [{"server": "*", "namespace": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        },
    }
    try:
        await client.create(project)
    except AlreadyExists:
        pass
    except Forbidden as error:
        log.warning("the project 'default' cannot be made if it is missing: %s", error)
