"""Server-side diff over the API (sync.md 7, api.md 8.2)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.server.grpc.client import CallFailed
from tests.server.resources.objects import config_map, secret
from tests.server.resources.site import APPS, SERVER, Site, project

pytestmark = pytest.mark.controlplane
DIFF = "application.ApplicationService/ServerSideDiff"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def diffs(site: Site) -> AsyncIterator[Site]:
    await site.create("diffs")
    yield site


async def live(site: Site, name: str) -> dict[str, Any]:
    """An entry as the command line has it from ManagedResources."""
    answer = await site.admin.get(f"{APPS}/diffs/managed-resources", params={"name": name})
    item = answer.json["items"][0]
    wanted = ("group", "kind", "namespace", "name", "liveState")
    return {field: item[field] for field in wanted if field in item}


async def ask(site: Site, lives: list[dict[str, Any]], targets: list[Any]) -> dict[str, Any]:
    request = {
        "appName": "diffs",
        "liveResources": lives,
        "targetManifests": [each if isinstance(each, str) else json.dumps(each) for each in targets],
    }
    async with site.reader.grpc() as client:
        return await client.call(DIFF, request)


def placed(site: Site, manifest: dict[str, Any]) -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": site.place}}


async def test_what_an_apply_would_make_of_it(diffs: Site) -> None:
    target = placed(diffs, config_map("diffs-map", {"a": "2", "b": "3"}))
    answer = await ask(diffs, [await live(diffs, "diffs-map")], [target])
    assert answer["modified"] is True
    (item,) = answer["items"]
    assert json.loads(item["liveState"])["data"] == {"a": "1"}
    assert json.loads(item["targetState"])["data"] == {"a": "2", "b": "3"}
    found = await diffs.live("ConfigMap", "diffs-map")
    assert found is not None
    assert found["data"] == {"a": "1"}, "only tried"


async def test_no_difference(diffs: Site) -> None:
    answer = await diffs.admin.get(f"{APPS}/diffs/managed-resources", params={"name": "diffs-map"})
    target = answer.json["items"][0]["targetState"]
    found = await ask(diffs, [await live(diffs, "diffs-map")], [target])
    assert not found.get("modified")
    assert found["items"][0]["liveState"] == found["items"][0]["targetState"]


async def test_over_rest_targets_stand_for_themselves(diffs: Site) -> None:
    target = placed(diffs, config_map("diffs-map", {"a": "2"}))
    answer = await diffs.reader.get(
        f"{APPS}/diffs/server-side-diff", params={"targetManifests": json.dumps(target)}
    )
    assert answer.status == 200, answer.text
    assert answer.json["modified"] is True


async def test_secrets_are_masked(diffs: Site) -> None:
    target = placed(diffs, secret("diffs-secret", {"key": "hush-new"}))
    answer = await ask(diffs, [await live(diffs, "diffs-secret")], [target])
    text = json.dumps(answer)
    assert answer["modified"] is True
    for value in ("hush-hush", "hush-new"):
        assert secret("x", {"v": value})["data"]["v"] not in text
    item = answer["items"][0]
    assert json.loads(item["liveState"])["data"]["key"] != json.loads(item["targetState"])["data"]["key"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "other"), ("namespace", "elsewhere"), ("group", "apps"), ("kind", "Secret")],
)
async def test_an_entry_must_fit_what_it_holds(diffs: Site, field: str, value: str) -> None:
    entry = {**await live(diffs, "diffs-map"), field: value}
    got = {"name": "diffs-map", "namespace": diffs.place, "group": "", "kind": "ConfigMap"}[field]
    text = f"{field} mismatch: expected {value}, got {got} for live resource"
    with pytest.raises(CallFailed, match=f"code = InvalidArgument desc = {text}"):
        await ask(diffs, [entry], [])


async def test_only_what_the_application_manages(diffs: Site) -> None:
    entry = {"kind": "ConfigMap", "namespace": diffs.place, "name": "kube-root-ca.crt", "liveState": "null"}
    refused = "code = PermissionDenied desc = /ConfigMap kube-root-ca.crt not found as part of application"
    with pytest.raises(CallFailed, match=refused):
        await ask(diffs, [entry], [])
    with pytest.raises(CallFailed, match=refused):
        await ask(diffs, [], [placed(diffs, config_map("kube-root-ca.crt"))])


async def test_a_target_is_not_tried_on_another_object(diffs: Site) -> None:
    other = placed(diffs, secret("hidden", {}))
    with pytest.raises(CallFailed, match="code = InvalidArgument desc = name mismatch"):
        await ask(diffs, [await live(diffs, "diffs-map")], [other])


@pytest.mark.parametrize("text", ["{", "[]", "5", '{"metadata": 5}'])
async def test_targets_that_are_no_objects(diffs: Site, text: str) -> None:
    with pytest.raises(CallFailed, match="code = InvalidArgument desc = error unmarshaling target manifest"):
        await ask(diffs, [await live(diffs, "diffs-map")], [text])


async def test_a_refused_dry_run_tells_no_value(diffs: Site) -> None:
    target = placed(diffs, secret("diffs-secret", {}))
    target["data"] = {"key": "hush: not base64"}
    with pytest.raises(CallFailed) as failed:
        await ask(diffs, [await live(diffs, "diffs-secret")], [target])
    assert "error running server side apply in dryrun mode for resource Secret/diffs-secret: " in (
        failed.value.message
    )
    assert "hush" not in failed.value.message


async def test_not_for_strangers(diffs: Site) -> None:
    async with diffs.stranger.grpc() as client:
        with pytest.raises(CallFailed, match="code = PermissionDenied desc = permission denied"):
            await client.call(DIFF, {"appName": "diffs"})


async def test_what_the_project_forbids_is_as_if_it_were_not_there(site: Site) -> None:
    """applications.md 16: it stands in Git, and so in the status; that shows nobody what is in it."""
    narrow = project("narrow", destinations=[{"server": "*", "namespace": site.place}])
    await asyncio.to_thread(site.admin.apply, narrow)
    await site.admin.until("/api/v1/projects/narrow", lambda answer: answer.status == 200)
    app = await site.create("diffs-nosy", project="narrow", sync=False)
    (listed,) = app["status"]["resources"]
    assert (listed["namespace"], listed["status"]) == ("kube-system", "OutOfSync")
    target = json.dumps(config_map("extension-apiserver-authentication", namespace="kube-system"))
    answer = await site.admin.get(f"{APPS}/diffs-nosy/server-side-diff", params={"targetManifests": target})
    assert answer.status == 200, answer.text
    assert answer.json["items"][0]["liveState"] == "null"
    assert "client-ca-file" not in answer.text


async def test_a_destination_that_is_not_permitted_is_not_asked(site: Site) -> None:
    """applications.md 16: whoever writes Applications with kubectl writes destinations and statuses."""
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
    target = {**role, "metadata": {"name": "cluster-admin"}, "rules": []}
    spec = {
        "destinations": [{"server": "https://elsewhere.example", "namespace": "*"}],
        "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
    }
    await asyncio.to_thread(site.admin.apply, project("far", **spec))
    listed = {
        "group": "rbac.authorization.k8s.io",
        "version": "v1",
        "kind": "ClusterRole",
        "name": "cluster-admin",
    }
    forged = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "diffs-forged"},
        "spec": {
            "project": "far",
            "source": {"repoURL": site.url, "path": "diffs"},
            "destination": {"server": SERVER, "namespace": site.place},
        },
        "status": {"resources": [listed], "sync": {"status": "Unknown"}},
    }
    await asyncio.to_thread(site.admin.apply, forged)
    await site.admin.until(f"{APPS}/diffs-forged", lambda answer: answer.status == 200)
    answer = await site.admin.get(
        f"{APPS}/diffs-forged/server-side-diff", params={"targetManifests": json.dumps(target)}
    )
    assert (answer.status, answer.json["message"]) == (500, "error getting destination cluster")
