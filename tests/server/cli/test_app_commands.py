"""``argocd app …``: the calls of each command in order, against everything running (api.md 16)."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import pytest

from tests.server.cli.conftest import CONFIG_MAP, SERVER, Shell
from tests.server.grpc.client import CallFailed
from tests.server.resources.archives import add, packed

pytestmark = pytest.mark.controlplane

APP = "application.ApplicationService/"
CONFIG = {"version": "v1", "kind": "ConfigMap", "resourceName": "guestbook-settings"}
DEPLOYMENT = {"group": "apps", "version": "v1", "kind": "Deployment", "resourceName": "guestbook"}


async def create(shell: Shell, **spec: object) -> str:
    """``app create``: Get (NotFound and PermissionDenied are no news) → Create."""
    await shell.begin()
    application = shell.application(**spec)
    name: str = application["metadata"]["name"]  # type: ignore[index]
    with pytest.raises(CallFailed) as failed:
        await shell.client.call(f"{APP}Get", {"name": name})
    assert failed.value.code in ("NotFound", "PermissionDenied")
    request = {"application": application, "upsert": False, "validate": True}
    created = await shell.client.call(f"{APP}Create", request)
    assert created["metadata"]["name"] == name
    assert created["metadata"]["uid"]
    return name


async def get(shell: Shell, name: str, **request: str) -> dict[str, Any]:
    return await shell.client.call(f"{APP}Get", {"name": name, **request})


async def wait(shell: Shell, name: str, *, phase: str = "Succeeded", health: str = "") -> dict[str, Any]:
    """``app wait`` and the loop at the end of ``app sync``: Settings.Get → Get → Watch from the version
    seen → Get with a refresh."""
    await shell.client.call("cluster.SettingsService/Get")
    app = await get(shell, name)

    def is_done(app: dict[str, Any]) -> bool:
        status = app.get("status", {})
        done = "operation" not in app and status.get("operationState", {}).get("phase") == phase
        return done and (not health or status.get("health", {}).get("status") == health)

    if not is_done(app):
        request = {"name": name, "resourceVersion": app["metadata"]["resourceVersion"]}
        stream = shell.client.stream(f"{APP}Watch", request, seconds=60)
        async for event in stream:
            assert event["application"]["metadata"]["name"] == name
            if is_done(event["application"]):
                break
        await stream.aclose()  # type: ignore[attr-defined]
    return await get(shell, name, refresh="normal")


async def sync(shell: Shell, name: str, **request: Any) -> dict[str, Any]:
    """``app sync``: Get → Sync → wait."""
    await get(shell, name)
    answer = await shell.client.call(f"{APP}Sync", {"name": name, "prune": False, "dryRun": False, **request})
    assert answer["operation"]
    return await wait(shell, name)


async def delete(shell: Shell, name: str) -> None:
    """``app delete --wait``: Delete → Watch until it is gone."""
    stream = shell.client.stream(f"{APP}Watch", {"name": name}, seconds=60)
    assert (await anext(stream))["type"] == "ADDED"
    await shell.client.call(
        f"{APP}Delete", {"name": name, "cascade": True, "propagationPolicy": "foreground"}
    )
    async for event in stream:
        if event["type"] == "DELETED":
            break
    await stream.aclose()  # type: ignore[attr-defined]


async def test_create_get_list_sync_history_delete(shell: Shell) -> None:
    name = await create(shell)
    app = await get(shell, name, refresh="normal")
    assert app["status"]["sync"]["status"] == "OutOfSync"
    project = await shell.client.call("project.ProjectService/Get", {"name": "default"})
    assert project["metadata"]["name"] == "default"
    listed = await shell.client.call(f"{APP}List", {})
    assert name in [item["metadata"]["name"] for item in listed["items"]]

    app = await sync(shell, name)
    assert app["status"]["sync"] | {"comparedTo": {}} == {
        "status": "Synced",
        "revision": shell.second,
        "comparedTo": {},
    }
    assert [entry["revision"] for entry in app["status"]["history"]] == [shell.second]
    result = app["status"]["operationState"]["syncResult"]["resources"]
    assert {(each["kind"], each["status"]) for each in result} == {
        ("ConfigMap", "Synced"),
        ("Deployment", "Synced"),
    }
    await delete(shell, name)


async def test_sync_with_flags_and_rollback(shell: Shell) -> None:
    name = await create(shell)
    await sync(
        shell,
        name,
        revision=shell.first,
        prune=True,
        resources=[{"kind": "ConfigMap", "name": "guestbook-settings"}],
        infos=[{"name": "why", "value": "a test"}],
        strategy={"apply": {"force": False}},
        syncOptions={"items": ["ApplyOutOfSyncOnly=true"]},
        retryStrategy={"limit": 1},
    )
    await sync(shell, name, revision=shell.first)
    app = await sync(shell, name)
    history = app["status"]["history"]
    assert [entry["revision"] for entry in history][-2:] == [shell.first, shell.second]
    before = await get(shell, name)
    entry = next(each for each in before["status"]["history"] if each["revision"] == shell.first)
    await shell.client.call(f"{APP}Rollback", {"name": name, "id": entry.get("id", 0), "prune": True})
    app = await wait(shell, name)
    assert app["status"]["operationState"]["syncResult"]["revision"] == shell.first
    await delete(shell, name)


async def test_a_dry_run_changes_nothing(shell: Shell) -> None:
    name = await create(shell)
    app = await sync(shell, name, dryRun=True)
    assert app["status"]["sync"]["status"] == "OutOfSync"
    assert "history" not in app["status"]
    await delete(shell, name)


async def test_diff_manifests_resources(shell: Shell) -> None:
    name = await create(shell)
    await sync(shell, name)
    await get(shell, name, refresh="normal")
    managed = await shell.client.call(f"{APP}ManagedResources", {"applicationName": name})
    assert {item["kind"] for item in managed["items"]} == {"ConfigMap", "Deployment"}
    await shell.client.call("cluster.SettingsService/Get")
    detailed = await shell.client.call("project.ProjectService/GetDetailedProject", {"name": "default"})
    assert detailed["project"]["metadata"]["name"] == "default"

    manifests = await shell.client.call(f"{APP}GetManifests", {"name": name, "revision": shell.first})
    targets = [json.loads(each) for each in manifests["manifests"]]
    assert [each["data"] for each in targets if each["kind"] == "ConfigMap"] == [{"colour": "blue"}]

    pairs = [item for item in managed["items"] if item["kind"] == "ConfigMap"]
    # The client completes what was rendered with the destination's namespace.
    target = next(each for each in targets if each["kind"] == "ConfigMap")
    target["metadata"]["namespace"] = shell.api.namespace
    request = {"appName": name, "liveResources": pairs, "targetManifests": [json.dumps(target)]}
    diff = await shell.client.call(f"{APP}ServerSideDiff", request)
    assert diff["modified"]
    assert json.loads(diff["items"][0]["targetState"])["data"] == {"colour": "blue"}

    tree = await shell.client.call(f"{APP}ResourceTree", {"applicationName": name})
    nodes = {node["resourceRef"]["kind"]: node["resourceRef"] for node in tree["nodes"]}
    assert {"ConfigMap", "Deployment"} <= nodes.keys()
    found = nodes["ConfigMap"]
    request = {"name": name, **CONFIG, "namespace": found["namespace"]}
    resource = await shell.client.call(f"{APP}GetResource", request)
    assert json.loads(resource["manifest"])["data"] == {"colour": "green"}
    await delete(shell, name)


async def test_diff_and_sync_local(shell: Shell) -> None:
    """``--local``: the client's own manifests; with ``--server-side-generate`` its folder is sent."""
    name = await create(shell)
    await get(shell, name)
    await shell.client.call("cluster.ClusterService/Get", {"server": SERVER})
    await shell.client.call("project.ProjectService/GetDetailedProject", {"name": "default"})
    local = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}-local"},
        "data": {"a": "1"},
    }
    app = await sync(shell, name, manifests=[json.dumps(local)])
    assert app["status"]["operationState"]["syncResult"]["resources"][0]["name"] == f"{name}-local"
    if not shell.web:  # the published client sends one message over gRPC-web (api.md 5)
        text = (CONFIG_MAP % "red").encode()
        archive = packed(lambda files: add(files, "guestbook/a.yaml", text))
        query = {"name": name, "checksum": hashlib.sha256(archive).hexdigest()}
        pieces = [archive[at : at + 100] for at in range(0, len(archive), 100)]
        parts = [{"query": query}, *({"chunk": {"chunk": piece}} for piece in pieces)]
        answer = await shell.client.call(f"{APP}GetManifestsWithFiles", parts)
        assert [json.loads(each)["data"] for each in answer["manifests"]] == [{"colour": "red"}]
    await delete(shell, name)


async def test_set_edit_patch_add_and_remove_source(shell: Shell) -> None:
    name = await create(shell)
    spec = (await get(shell, name))["spec"]
    spec["source"]["targetRevision"] = shell.first
    request = {"name": name, "spec": spec, "validate": True}
    updated = await shell.client.call(f"{APP}UpdateSpec", request)
    assert updated["source"]["targetRevision"] == shell.first
    patch = '[{"op": "replace", "path": "/spec/source/targetRevision", "value": "main"}]'
    request = {"name": name, "patch": patch, "patchType": "json"}
    assert (await shell.client.call(f"{APP}Patch", request))["spec"]["source"]["targetRevision"] == "main"
    spec = (await get(shell, name))["spec"]
    source = spec.pop("source")
    two = {**spec, "sources": [source, source | {"targetRevision": shell.first}]}
    request = {"name": name, "spec": two, "validate": True}
    assert len((await shell.client.call(f"{APP}UpdateSpec", request))["sources"]) == 2
    one = {**spec, "sources": [source]}
    request = {"name": name, "spec": one, "validate": False}
    assert len((await shell.client.call(f"{APP}UpdateSpec", request))["sources"]) == 1
    await delete(shell, name)


async def test_patch_and_delete_resource(shell: Shell) -> None:
    name = await create(shell)
    await sync(shell, name)
    managed = await shell.client.call(f"{APP}ManagedResources", {"applicationName": name})
    live = next(item for item in managed["items"] if item["kind"] == "ConfigMap")
    which = {"name": name, "namespace": live["namespace"], **CONFIG}
    patch = {"patch": '{"data": {"extra": "1"}}', "patchType": "application/merge-patch+json"}
    patched = await shell.client.call(f"{APP}PatchResource", which | patch)
    assert json.loads(patched["manifest"])["data"] == {"colour": "green", "extra": "1"}
    assert await shell.client.call(f"{APP}DeleteResource", which | {"force": False, "orphan": False}) == {}
    await _gone(shell, which)
    await delete(shell, name)


async def _gone(shell: Shell, which: dict[str, Any]) -> None:
    for _ in range(100):
        try:
            await shell.client.call(f"{APP}GetResource", which)
        except CallFailed:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the object is still there")


async def test_actions(shell: Shell) -> None:
    name = await create(shell)
    await sync(shell, name)
    await shell.client.call(f"{APP}ManagedResources", {"applicationName": name})
    await get(shell, name)
    which = {"namespace": shell.api.namespace, **DEPLOYMENT}
    request = {"name": name, **which}
    listed = await shell.client.call(f"{APP}ListResourceActions", request)
    assert "restart" in [action["name"] for action in listed["actions"]]
    request = {"name": name, **which, "action": "restart"}
    assert await shell.client.call(f"{APP}RunResourceActionV2", request) == {}
    got = await shell.client.call(f"{APP}GetResource", {"name": name, **which})
    annotations = json.loads(got["manifest"])["spec"]["template"]["metadata"]["annotations"]
    assert "kubectl.kubernetes.io/restartedAt" in annotations
    await delete(shell, name)


async def test_logs_of_nothing(shell: Shell) -> None:
    """No Pod: the stream says so, or ends with its last entry."""
    name = await create(shell)
    await sync(shell, name)
    request = {"name": name, "namespace": shell.api.namespace, "tailLines": 5, "sinceSeconds": 0}
    entries = [entry async for entry in shell.client.stream(f"{APP}PodLogs", request)]
    assert not [entry for entry in entries if not entry.get("last")]
    await delete(shell, name)


async def test_terminate_op(shell: Shell) -> None:
    name = await create(shell)
    with pytest.raises(CallFailed) as failed:
        await shell.client.call(f"{APP}TerminateOperation", {"name": name})
    assert failed.value.code == "InvalidArgument"
    assert failed.value.message == "Unable to terminate operation. No operation is in progress"
    await delete(shell, name)


async def test_confirm_deletion(shell: Shell) -> None:
    name = await create(shell)
    app = await get(shell, name)
    app["metadata"].setdefault("annotations", {})["argocd.argoproj.io/deletion-approved"] = (
        "2026-11-27T04:00:00Z"
    )
    request = {"application": app, "validate": False, "project": "default"}
    updated = await shell.client.call(f"{APP}Update", request)
    assert "argocd.argoproj.io/deletion-approved" in updated["metadata"]["annotations"]
    await delete(shell, name)


async def test_a_watch_tells_what_is_there_first(shell: Shell) -> None:
    """Without a version: ADDED for each in the order of names; then what changes (api.md 10)."""
    one, two = await create(shell), await create(shell)
    stream = shell.client.stream(f"{APP}Watch", {})
    seen: list[str] = []
    while one not in seen or two not in seen:
        event = await anext(stream)
        if event["type"] == "ADDED":
            seen.append(event["application"]["metadata"]["name"])
    assert seen == sorted(seen)
    request = {"name": one, "patch": '{"metadata": {"labels": {"a": "b"}}}', "patchType": "merge"}
    await shell.client.call(f"{APP}Patch", request)
    async for event in stream:
        changed = event["application"]["metadata"]
        if event["type"] == "MODIFIED" and changed["name"] == one and changed.get("labels") == {"a": "b"}:
            break
    await stream.aclose()  # type: ignore[attr-defined]
    await delete(shell, one)
    await delete(shell, two)


async def test_refusals_that_scripts_look_for(shell: Shell) -> None:  # api.md 8.1
    await shell.begin()
    with pytest.raises(CallFailed, match="code = PermissionDenied desc = permission denied"):
        await get(shell, "nothing")
    with pytest.raises(CallFailed) as failed:
        await shell.client.call(f"{APP}Get", {"name": "nothing", "project": ["default"]})
    assert failed.value.code == "NotFound"
    assert "applications.argoproj.io" in failed.value.message
