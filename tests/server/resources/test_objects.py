"""One live object over the API: looking, patching, deleting (health-and-resources.md 12.3, api.md 13)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.server.resources.site import APPS, Site, named, refusal
from tests.server.running import Answer, Running

pytestmark = pytest.mark.controlplane
PATH = f"{APPS}/objects/resource"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def objects(site: Site) -> AsyncIterator[Site]:
    await site.create("objects")
    yield site


async def patch(
    caller: Running, site: Site, name: str, body: Any, *, kind: str = "ConfigMap", how: str = "merge-patch"
) -> Answer:
    params = {**named(kind, name, site.place), "patchType": f"application/{how}+json"}
    return await caller.call("POST", PATH, params=params, body=json.dumps(body))


async def test_an_object_as_it_is(objects: Site) -> None:
    answer = await objects.reader.get(PATH, params=named("ConfigMap", "open-map", objects.place))
    assert answer.status == 200, answer.text
    manifest = json.loads(answer.json["manifest"])
    assert manifest["data"] == {"a": "1"}
    assert manifest["metadata"]["uid"]


async def test_a_secret_is_masked(objects: Site) -> None:
    # sync.md 6: values and annotations, also those of what was applied last
    answer = await objects.admin.get(PATH, params=named("Secret", "hidden", objects.place))
    assert "aHVzaC1odXNo" not in answer.text
    assert "hush" not in answer.text
    manifest = json.loads(answer.json["manifest"])
    assert manifest["data"] == {"key": "++++++++"}
    assert manifest["metadata"]["annotations"]["private/note"] == "++++++++"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param("ConfigMap", "kube-root-ca.crt", id="another-object"),
        pytest.param("ConfigMap", "no-such", id="no-object"),
        pytest.param("Secret", "open-map", id="another-kind"),
    ],
)
@pytest.mark.parametrize("verb", ["GET", "DELETE"])
async def test_what_is_in_no_tree_is_not_reached(objects: Site, kind: str, name: str, verb: str) -> None:
    answer = await objects.admin.call(verb, PATH, params=named(kind, name, objects.place))
    assert refusal(answer) == (400, f"{kind}  {name} not found as part of application objects")


async def test_what_is_not_there_cannot_be_reached(site: Site) -> None:
    # 12.3: a node without uid
    await site.create("missing", sync=False)
    answer = await site.admin.get(f"{APPS}/missing/resource", params=named("ConfigMap", "never", site.place))
    assert refusal(answer) == (400, "ConfigMap  never not found as part of application missing")


@pytest.mark.parametrize(
    ("how", "body"),
    [
        pytest.param("merge-patch", {"data": {"b": "merge"}}, id="merge"),
        pytest.param("strategic-merge-patch", {"data": {"b": "strategic"}}, id="strategic"),
        pytest.param("json-patch", [{"op": "add", "path": "/data/b", "value": "json"}], id="json"),
    ],
)
async def test_patching(objects: Site, how: str, body: Any) -> None:
    answer = await patch(objects.admin, objects, "open-map", body, how=how)
    assert answer.status == 200, answer.text
    assert json.loads(answer.json["manifest"])["data"]["b"] == how.split("-")[0]
    found = await objects.live("ConfigMap", "open-map")
    assert found is not None
    assert found["data"]["b"] == how.split("-")[0]
    await objects.told(
        "Application", "objects", "ResourceUpdated", "admin patched resource /ConfigMap 'open-map'"
    )


@pytest.mark.parametrize("kind", ["", "text", "application/x\r\nX-Evil: 1"])
async def test_unknown_kinds_of_patches(objects: Site, kind: str) -> None:
    params = {**named("ConfigMap", "open-map", objects.place), "patchType": kind}
    answer = await objects.admin.call("POST", PATH, params=params, body="{}")
    assert answer.status == 400
    assert "is not supported" in answer.json["message"]


async def test_a_refused_patch_keeps_its_meaning(objects: Site) -> None:
    answer = await patch(objects.admin, objects, "open-map", {"data": {"b": 5}})
    assert answer.status == 400, answer.text
    answer = await patch(objects.admin, objects, "open-map", {"metadata": {"resourceVersion": "1"}})
    assert answer.status == 409, answer.text


async def test_a_refused_patch_of_a_secret_tells_nothing(objects: Site) -> None:
    body = {"data": {"key": "hush: not base64"}}
    answer = await patch(objects.admin, objects, "hidden", body, kind="Secret")
    assert refusal(answer) == (500, f"failed to patch Secret {objects.place}/hidden")


async def test_the_answer_to_a_patch_of_a_secret_is_masked(objects: Site) -> None:
    body = {"stringData": {"other": "hush-other"}}
    answer = await patch(objects.admin, objects, "hidden", body, kind="Secret")
    assert answer.status == 200, answer.text
    assert "hush" not in answer.text
    assert json.loads(answer.json["manifest"])["data"]["other"] == "++++++++"


async def test_fine_rights_are_enough_for_what_they_name(objects: Site) -> None:
    # api.md 13: update/<group>/<kind>/<namespace>/<name>
    answer = await patch(objects.patcher, objects, "open-map", {"data": {"b": "fine"}})
    assert answer.status == 200, answer.text


@pytest.mark.parametrize(
    ("kind", "name"), [("ConfigMap", "shut-map"), ("Secret", "hidden"), ("ConfigMap", "no-such")]
)
async def test_plain_rights_do_not_include_fine_ones(objects: Site, kind: str, name: str) -> None:
    # patcher may update Applications, yet not these objects; whether they exist is not told
    answer = await patch(objects.patcher, objects, name, {"data": {}}, kind=kind)
    assert refusal(answer) == (403, "permission denied")
    answer = await objects.patcher.call("DELETE", PATH, params=named(kind, name, objects.place))
    assert refusal(answer) == (403, "permission denied")


async def test_with_a_project_named_the_refusal_is_another(objects: Site) -> None:
    # api.md 8.1: without the right in the named project: masked; the project's own: the same
    params = {**named("ConfigMap", "shut-map", objects.place), "project": "team"}
    answer = await objects.patcher.call("DELETE", PATH, params=params)
    assert refusal(answer) == (403, "permission denied")
    params["project"] = "other"
    answer = await objects.admin.call("DELETE", PATH, params=params)
    assert refusal(answer) == (404, 'applications.argoproj.io "objects" not found')


@pytest.mark.parametrize(
    ("parameters", "survives"),
    [
        pytest.param({}, False, id="foreground"),
        pytest.param({"force": "true"}, False, id="force"),
        pytest.param({"orphan": "true"}, True, id="orphan"),
    ],
)
async def test_deleting(site: Site, parameters: dict[str, str], survives: bool) -> None:
    # 12.3: foreground by default, orphan leaves what it owns, force does not wait for it
    name = f"deletes-{next(iter(parameters), 'plain')}"
    await site.create(name, path="deletes")
    tree = await site.admin.until(
        f"{APPS}/{name}/resource-tree", lambda a: any(n["kind"] == "ReplicaSet" for n in a.json["nodes"])
    )
    replicas = next(n["name"] for n in tree.json["nodes"] if n["kind"] == "ReplicaSet")
    asked = {**named("Deployment", "deletes-web", site.place, "apps"), **parameters}
    answer = await site.admin.call("DELETE", f"{APPS}/{name}/resource", params=asked)
    assert (answer.status, answer.json) == (200, {})
    await site.told(
        "Application", name, "ResourceDeleted", "admin deleted resource apps/Deployment 'deletes-web'"
    )
    await site.admin.until(
        f"{APPS}/{name}/resource-tree",
        lambda a: not any(n["kind"] == "Deployment" and n.get("uid") for n in a.json["nodes"]),
    )
    if survives:
        left = await site.live("ReplicaSet", replicas, "apps")
        assert left is not None
        assert not left["metadata"].get("ownerReferences")
    await site.admin.call("DELETE", f"{APPS}/{name}", params={"cascade": "true"})
    await site.admin.until(f"{APPS}/{name}", lambda a: a.status == 403 or a.status == 404)


async def test_deleting_with_a_fine_right(site: Site) -> None:
    await site.create("deletes-fine", path="deletes")
    asked = named("ConfigMap", "open-plain", site.place)
    answer = await site.patcher.call("DELETE", f"{APPS}/deletes-fine/resource", params=asked)
    assert answer.status == 200, answer.text
