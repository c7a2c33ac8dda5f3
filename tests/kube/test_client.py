"""The verbs against a real API server."""

from collections.abc import AsyncIterator
from uuid import uuid4

import orjson
import pytest

from tests.controlplane import ControlPlane
from tiphys.kube.client import MERGE_PATCH, ClusterClient
from tiphys.kube.connections import Connection, from_kubeconfig
from tiphys.kube.discovery import normalize_version
from tiphys.kube.errors import (
    AlreadyExists,
    BadRequest,
    ClusterUnreachable,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    UnknownKind,
)
from tiphys.resources.identity import GVK, Manifest

CONFIG_MAP = GVK("", "v1", "ConfigMap")
NAMESPACE = GVK("", "v1", "Namespace")


@pytest.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[ClusterClient]:
    made = ClusterClient(from_kubeconfig(control_plane.kubeconfig))
    yield made
    await made.close()


@pytest.fixture
async def namespace(client: ClusterClient) -> AsyncIterator[str]:
    name = f"kube-{uuid4().hex[:8]}"
    await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    await client.delete(NAMESPACE, "", name)


def config_map(namespace: str, name: str = "a", **data: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


async def test_an_object_lives_its_life(client: ClusterClient, namespace: str) -> None:
    made = await client.create(config_map(namespace, x="1"), field_manager="argocd-controller")
    assert made["metadata"]["managedFields"][0]["manager"] == "argocd-controller"
    with pytest.raises(AlreadyExists):
        await client.create(config_map(namespace))
    read = await client.get(CONFIG_MAP, namespace, "a")
    assert read["data"] == {"x": "1"}
    patched = await client.patch(CONFIG_MAP, namespace, "a", {"data": {"y": "2"}}, MERGE_PATCH)
    assert patched["data"] == {"x": "1", "y": "2"}
    with pytest.raises(Conflict):  # the resourceVersion is old
        await client.replace(made)
    replaced = await client.replace(config_map(namespace, z="3"))
    assert replaced["data"] == {"z": "3"}
    with pytest.raises(Conflict):  # a namesake's uid
        await client.delete(CONFIG_MAP, namespace, "a", uid=str(uuid4()))
    await client.delete(
        CONFIG_MAP, namespace, "a", uid=made["metadata"]["uid"], propagation_policy="Background"
    )
    with pytest.raises(NotFound):
        await client.get(CONFIG_MAP, namespace, "a")


async def test_dry_run_leaves_nothing(client: ClusterClient, namespace: str) -> None:
    answer = await client.apply(config_map(namespace, x="1"), field_manager="m", dry_run=True)
    assert answer["data"] == {"x": "1"}
    with pytest.raises(NotFound):
        await client.get(CONFIG_MAP, namespace, "a")


async def test_apply_without_force_names_the_conflicting_field(client: ClusterClient, namespace: str) -> None:
    await client.apply(config_map(namespace, x="1"), field_manager="one")
    with pytest.raises(Conflict) as caught:
        await client.apply(config_map(namespace, x="2"), field_manager="two", force=False)
    assert caught.value.details["causes"][0]["field"] == ".data.x"


async def test_refusals_are_typed(client: ClusterClient, namespace: str) -> None:
    with pytest.raises(Invalid) as caught:
        await client.create(config_map(namespace, "Not_A_Name"))
    assert caught.value.details["causes"][0]["field"] == "metadata.name"
    with pytest.raises(UnknownKind, match=r'no matches for kind "Nope" in version "x\.example/v1"'):
        await client.get(GVK("x.example", "v1", "Nope"), namespace, "a")
    with pytest.raises(BadRequest):
        await client.get(CONFIG_MAP, "", "a")
    with pytest.raises(Forbidden, match='User "bob"'):
        await client.impersonating("bob").get(CONFIG_MAP, namespace, "a")


async def test_warnings_of_answers_are_reachable(client: ClusterClient, namespace: str) -> None:
    warnings: list[str] = []
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": namespace},
        "spec": {"colour": "blue", "containers": [{"name": "c", "image": "i"}]},
    }
    await client.create(pod, dry_run=True, field_validation="Warn", warnings=warnings)
    assert warnings == ['unknown field "spec.colour"']


async def test_pages_hold_everything_once(client: ClusterClient, namespace: str) -> None:
    for number in range(7):
        await client.create(config_map(namespace, f"page-{number}", x="y"))
    discovery = await client.discovery()
    resource = discovery.preferred("", "ConfigMap")
    assert resource is not None
    names: list[str] = []
    pages = 0
    async for page in client.list_pages(
        resource, namespace, limit=3, field_selector="metadata.name!=kube-root-ca.crt"
    ):
        pages += 1
        names.extend(item["metadata"]["name"] for item in orjson.loads(page)["items"])
    assert names == [f"page-{number}" for number in range(7)]
    assert pages >= 1


async def test_watch_tells_what_happens(client: ClusterClient, namespace: str) -> None:
    resource = (await client.discovery()).preferred("", "ConfigMap")
    assert resource is not None
    made = await client.create(config_map(namespace, x="1"))
    seen: list[str] = []
    async with client.watch(resource, namespace, made["metadata"]["resourceVersion"], seconds=30) as batches:
        await client.delete(CONFIG_MAP, namespace, "a")
        async for lines in batches:
            seen += [
                event["type"]
                for event in map(orjson.loads, lines)
                if event["object"]["metadata"].get("name") == "a"
            ]
            if "DELETED" in seen:
                break
    assert seen[-1] == "DELETED"


async def test_discovery_knows_scopes_and_versions(client: ClusterClient) -> None:
    discovery = await client.discovery()
    assert discovery.is_namespaced("", "ConfigMap") is True
    assert discovery.is_namespaced("", "Namespace") is False
    assert discovery.is_namespaced("x.example", "Nope") is None
    assert {"v1", "v1/Pod", "apps/v1", "apps/v1/Deployment"} <= set(discovery.api_versions)
    assert discovery.version.startswith("v1.")
    deployment = discovery.preferred("apps", "Deployment")
    assert deployment is not None
    assert "status" in deployment.subresources
    assert not discovery.failed_groups
    assert await client.refresh_discovery() is discovery  # nothing changed: two 304s


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v1.33.4", "v1.33.4"),
        ("v1.27.3-gke.100", "v1.27.3"),
        ("v1.30.1+k3s1", "v1.30.1"),
        ("1.29", "v1.29.0"),
        ("strange", "strange"),
    ],
    ids=lambda value: f"sync.md-16-{value}",
)
def test_vendor_suffixes_are_dropped(text: str, version: str) -> None:
    assert normalize_version(text) == version


@pytest.mark.parametrize("name", [".", "..", "a/status", "../a", "a%2Fb"])
async def test_a_name_is_no_step_in_a_path(client: ClusterClient, namespace: str, name: str) -> None:
    with pytest.raises(BadRequest, match="invalid resource name"):
        await client.get(CONFIG_MAP, namespace, name)
    with pytest.raises(BadRequest, match="invalid resource name"):
        await client.get(CONFIG_MAP, name, "a")


async def test_a_socks_proxy_that_is_away_is_no_answer() -> None:
    made = ClusterClient(Connection("https://127.0.0.1:1", proxy="socks5://127.0.0.1:1"))
    try:
        with pytest.raises(ClusterUnreachable, match="Couldn't connect to proxy"):
            await made.raw("POST", "/version", repeatable=False)
    finally:
        await made.close()
