"""What is deleted to be made anew is only deleted for what the server takes (sync.md 13.1, 13.2)."""

from __future__ import annotations

import asyncio

import pytest

from tests.sync.builders import OPTIONS, config, manifest
from tests.sync.harness import Rig
from tests.sync.test_applying import binding, role
from tiphys.kube.client import ClusterClient
from tiphys.resources.identity import GVK, Manifest, gvk_of

pytestmark = pytest.mark.controlplane
QUOTA = GVK("", "v1", "ResourceQuota")


async def uid_of(client: ClusterClient, namespace: str, wanted: Manifest) -> str:
    live = await client.get(gvk_of(wanted), namespace, wanted["metadata"]["name"])
    return str(live["metadata"]["uid"])


@pytest.mark.parametrize("options", ["Force=true", "Force=true,Replace=true"])
@pytest.mark.parametrize(
    ("data", "told"),
    [({"no key!": "x"}, "a valid config key must consist of"), ({"key": 1}, "cannot unmarshal number")],
    ids=["invalid", "of the wrong type"],
)
async def test_force_deletes_nothing_for_an_object_that_is_refused(
    client: ClusterClient, namespace: str, options: str, data: dict[str, object], told: str
) -> None:
    rig = Rig(client, namespace)
    rig.targets = [config("a", immutable=True)]
    await rig.finish()
    before = await uid_of(client, namespace, rig.targets[0])
    bad = config("a", immutable=True, annotations={OPTIONS: options})
    rig.targets = [{**bad, "data": data}]
    rig.begin()
    state = await rig.finish()
    assert state.phase == "Failed"
    assert told in rig.messages()["ConfigMap/a"]
    assert await uid_of(client, namespace, bad) == before
    assert not [line for line in rig.client.log if line.startswith("delete")]


async def test_a_binding_stays_where_its_new_self_is_refused(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.targets = [role("r", "get"), binding("b", "r")]
    await rig.finish()
    before = await uid_of(client, namespace, rig.targets[1])
    bad = binding("b", "other")
    bad["subjects"] = [{"kind": "Nobody", "name": "x"}]
    rig.targets = [role("r", "get"), bad]
    rig.begin()
    assert (await rig.finish()).phase == "Failed"
    assert await uid_of(client, namespace, bad) == before


async def test_numbers_of_the_old_object_are_no_reason(client: ClusterClient, namespace: str) -> None:
    """Its port is its own as long as it is there, and the new one gets it afterwards."""
    rig = Rig(client, namespace)
    rig.targets = [manifest("Service", "s", spec={"type": "NodePort", "ports": [{"port": 80}]})]
    await rig.finish()
    live = await client.get(GVK("", "v1", "Service"), namespace, "s")
    port = {"port": 80, "nodePort": live["spec"]["ports"][0]["nodePort"]}
    forced = {OPTIONS: "Force=true,Replace=true"}
    rig.targets = [manifest("Service", "s", annotations=forced, spec={"type": "NodePort", "ports": [port]})]
    rig.begin()
    assert (await rig.finish()).phase == "Succeeded"
    assert rig.messages()["Service/s"] == "service/s replaced"
    assert await uid_of(client, namespace, rig.targets[0]) != live["metadata"]["uid"]


async def test_nor_is_its_part_of_a_quota(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.targets = [manifest("Secret", "a", data={}, annotations={OPTIONS: "Force=true,Replace=true"})]
    await rig.finish()
    await client.create(
        manifest("ResourceQuota", "q", namespace=namespace, spec={"hard": {"count/secrets": "1"}})
    )
    async with asyncio.timeout(20):
        while True:
            status = (await client.get(QUOTA, namespace, "q")).get("status") or {}
            if status.get("used", {}).get("count/secrets") == "1":
                break
            await asyncio.sleep(0.1)
    rig.begin()
    await rig.finish()  # the quota may learn of the deletion too late for the creation
    assert "delete Secret/a" in rig.client.log
