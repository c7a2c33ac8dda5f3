"""``argocd app …`` with the flags that change which calls are made: several applications at once, parts of
one, previews, ends before the end, waits of every kind, comparisons in batches (api.md 16, 10)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.server.cli.conftest import SERVER, Shell
from tests.server.cli.test_app_commands import APP, DEPLOYMENT, create, delete, get, sync, wait
from tests.server.grpc.client import CallFailed

pytestmark = pytest.mark.controlplane

APPROVED = "argocd.argoproj.io/deletion-approved"


async def event(shell: Shell, wanted: Any, **request: Any) -> dict[str, Any]:
    """The first event of a watch that is wanted."""
    stream = shell.client.stream(f"{APP}Watch", request, seconds=60)
    try:
        async for found in stream:
            if wanted(found):
                return found
    finally:
        await stream.aclose()  # type: ignore[attr-defined]
    raise AssertionError("the watch ended")


async def labelled(shell: Shell, label: str) -> str:
    """``app create --label``."""
    application = shell.application()
    application["metadata"]["labels"] = {"stage": label}  # type: ignore[index]
    request = {"application": application, "upsert": False, "validate": True}
    made = await shell.client.call(f"{APP}Create", request)
    name: str = made["metadata"]["name"]
    return name


async def names(shell: Shell, label: str) -> list[str]:
    answer = await shell.client.call(f"{APP}List", {"selector": f"stage={label}"})
    return [each["metadata"]["name"] for each in answer.get("items", ())]


async def test_create_upsert(shell: Shell) -> None:
    """``app create`` again: the same is fine, another spec needs ``--upsert``, which keeps other labels."""
    await shell.begin()
    application: Any = shell.application()
    request = {"application": application, "upsert": False, "validate": True}
    name = (await shell.client.call(f"{APP}Create", request))["metadata"]["name"]
    assert (await get(shell, name))["metadata"]["name"] == name
    await shell.client.call(f"{APP}Create", request)
    application["spec"]["source"]["targetRevision"] = shell.first
    application["metadata"]["labels"] = {"a": "b"}
    with pytest.raises(CallFailed) as failed:
        await shell.client.call(f"{APP}Create", request)
    assert failed.value.code == "InvalidArgument"
    assert failed.value.message == ("existing application spec is different, use upsert flag to force update")
    updated = await shell.client.call(f"{APP}Create", request | {"upsert": True})
    assert updated["spec"]["source"]["targetRevision"] == shell.first
    assert updated["metadata"]["labels"] == {"a": "b"}
    await delete(shell, name)


async def test_sync_by_selector_and_delete_by_selector(shell: Shell) -> None:
    """``app sync -l``, ``app wait -l``, ``app delete -l``: List, then each as alone."""
    await shell.begin()
    label = f"selected-{shell.web}"
    made = sorted([await labelled(shell, label), await labelled(shell, label)])
    found = await names(shell, label)
    assert found == made  # sorted by name, nothing else
    assert await names(shell, "none") == []
    for name in found:
        await sync(shell, name, dryRun=True)
    for name in found:
        await shell.client.call(f"{APP}Delete", {"name": name, "cascade": False})
    for name in found:
        with pytest.raises(CallFailed, match="permission denied"):
            await get(shell, name)


async def test_sync_by_label(shell: Shell) -> None:
    """``app sync --label``: GetManifests, and what matches there goes into the request as resources."""
    name = await create(shell)
    manifests = await shell.client.call(f"{APP}GetManifests", {"name": name})
    targets = [json.loads(each) for each in manifests["manifests"]]
    chosen = [each for each in targets if each["kind"] == "Deployment"]
    resources = [{"group": "apps", "kind": each["kind"], "name": each["metadata"]["name"]} for each in chosen]
    app = await sync(shell, name, resources=resources)
    result = app["status"]["operationState"]["syncResult"]["resources"]
    assert [each["kind"] for each in result] == ["Deployment"]
    assert app["status"]["sync"]["status"] == "OutOfSync"
    await delete(shell, name)


async def test_sync_preview_and_async(shell: Shell) -> None:
    """``--preview-changes`` shows the managed resources first; ``--async`` does not wait."""
    name = await create(shell)
    managed = await shell.client.call(f"{APP}ManagedResources", {"applicationName": name})
    # Before the first comparison nothing may be there yet; afterwards both are, without a live state.
    assert {item["kind"] for item in managed["items"]} == {"ConfigMap", "Deployment"}
    answer = await shell.client.call(
        f"{APP}Sync", {"name": name, "strategy": {"hook": {"syncStrategyApply": {"force": True}}}}
    )
    assert answer["operation"]["sync"]["syncStrategy"]["hook"]["syncStrategyApply"]["force"]
    await wait(shell, name)
    await delete(shell, name)


async def test_a_second_sync_while_one_runs_and_terminate_op(shell: Shell) -> None:
    """A hook that never ends holds the operation; ``terminate-op`` ends it, and ``wait`` sees Failed."""
    name = await create(shell)
    hook = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{name}-hook", "annotations": {"argocd.argoproj.io/hook": "PreSync"}},
        "spec": {
            "schedulerName": "nobody",  # so that it stays pending
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "main", "image": "example.com/hook:1"}],
        },
    }
    await shell.client.call(f"{APP}Sync", {"name": name, "manifests": [json.dumps(hook)]})

    def is_running(found: dict[str, Any]) -> bool:
        state = found["application"].get("status", {}).get("operationState", {})
        return state.get("phase") == "Running" and bool(state.get("syncResult", {}).get("resources"))

    await event(shell, is_running, name=name)
    with pytest.raises(CallFailed) as failed:
        await shell.client.call(f"{APP}Sync", {"name": name})
    assert (failed.value.code, failed.value.message) == (
        "FailedPrecondition",
        "another operation is already in progress",
    )
    await shell.client.call(f"{APP}TerminateOperation", {"name": name})
    app = await wait(shell, name, phase="Failed")
    assert "terminated" in app["status"]["operationState"]["message"]
    await delete(shell, name)


async def test_what_wait_watches_for(shell: Shell) -> None:
    """``app wait --health`` and ``--sync``: events carry all that it looks at; a resource given as
    ``group:kind:name`` is found in the status."""
    name = await create(shell)
    await sync(shell, name)
    app = await wait(shell, name, health="Healthy")
    found = {(each.get("group", ""), each["kind"], each["name"]): each for each in app["status"]["resources"]}
    assert found["apps", "Deployment", "guestbook"]["status"] == "Synced"
    assert app["status"]["operationState"]["finishedAt"]["seconds"]
    await delete(shell, name)


@pytest.mark.parametrize("version", ["", "current", "0", "none"])
async def test_the_version_that_a_wait_begins_with(shell: Shell, version: str) -> None:
    """A named watch always tells what is there, so nothing that happened between Get and Watch is lost; a
    text that is no number counts as none (api.md 10)."""
    name = await create(shell)
    app = await get(shell, name, refresh="normal")
    given = {"": "", "current": app["metadata"]["resourceVersion"], "0": "0", "none": "latest"}[version]
    request = {"name": name, "patch": '{"metadata": {"labels": {"a": "b"}}}', "patchType": "merge"}
    await shell.client.call(f"{APP}Patch", request)
    first = await event(shell, lambda found: True, name=name, resourceVersion=given)
    assert first["type"] == "ADDED"
    assert first["application"]["metadata"]["labels"] == {"a": "b"}
    assert int(first["application"]["metadata"]["resourceVersion"]) > int(app["metadata"]["resourceVersion"])
    await delete(shell, name)


async def test_a_watch_from_a_version_that_is_still_to_come(shell: Shell) -> None:
    """Events before it are left out, the first one, too."""
    name = await create(shell)
    stream = shell.client.stream(f"{APP}Watch", {"name": name, "resourceVersion": "99999999999"}, seconds=60)
    first = asyncio.ensure_future(anext(stream))
    request = {"name": name, "patch": '{"metadata": {"labels": {"a": "b"}}}', "patchType": "merge"}
    await shell.client.call(f"{APP}Patch", request)
    await event(shell, lambda found: found["application"]["metadata"].get("labels") == {"a": "b"}, name=name)
    assert not first.done()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await stream.aclose()  # type: ignore[attr-defined]
    await delete(shell, name)


async def test_diff_local(shell: Shell) -> None:
    """``app diff --local``: Get → ManagedResources → Settings → GetDetailedProject → Cluster.Get, and what
    the client renders itself is compared with the live states it got (normalised, without Secrets)."""
    name = await create(shell)
    await sync(shell, name)
    app = await get(shell, name, refresh="normal")
    managed = await shell.client.call(f"{APP}ManagedResources", {"applicationName": name})
    settings = await shell.client.call("cluster.SettingsService/Get")
    assert settings["trackingMethod"] == "annotation"
    assert settings["appLabelKey"] == "app.kubernetes.io/instance"
    await shell.client.call("project.ProjectService/GetDetailedProject", {"name": app["spec"]["project"]})
    cluster = await shell.client.call("cluster.ClusterService/Get", {"server": SERVER})
    assert cluster["info"]["serverVersion"]
    assert cluster["info"]["apiVersions"]
    item = next(each for each in managed["items"] if each["kind"] == "ConfigMap")
    live = json.loads(item["normalizedLiveState"])
    assert live["data"] == {"colour": "green"}
    assert "managedFields" not in live["metadata"]
    assert json.loads(item["targetState"])["data"] == {"colour": "green"}
    await delete(shell, name)


async def test_server_side_diff_in_batches(shell: Shell) -> None:
    """``--server-side-diff``: parts of the list in calls of their own, at once; each answers its own part."""
    name = await create(shell)
    await sync(shell, name)
    managed = await shell.client.call(f"{APP}ManagedResources", {"applicationName": name})
    changed = {"ConfigMap": ("data", {"colour": "red"}), "Deployment": ("spec", {"replicas": 2})}

    async def diff(item: dict[str, Any]) -> tuple[str, bool, dict[str, Any]]:
        target = json.loads(item["targetState"])
        key, value = changed[item["kind"]]
        target[key] |= value
        request = {"appName": name, "liveResources": [item], "targetManifests": [json.dumps(target)]}
        answer = await shell.client.call(f"{APP}ServerSideDiff", request)
        (only,) = answer["items"]
        return only["kind"], answer["modified"], json.loads(only["targetState"])

    found = await asyncio.gather(*(diff(item) for item in managed["items"]))
    assert {kind for kind, modified, _ in found if modified} == {"ConfigMap", "Deployment"}
    for kind, _, target in found:
        key, value = changed[kind]
        assert value.items() <= target[key].items()
    await delete(shell, name)


async def test_manifests_of_the_live_state(shell: Shell) -> None:
    """``app manifests --source live``: the live states, and no other call."""
    name = await create(shell)
    before = await shell.client.call(f"{APP}ManagedResources", {"applicationName": name})
    states = [item.get("liveState", "") for item in before["items"]]
    await sync(shell, name)
    managed = await shell.client.call(f"{APP}ManagedResources", {"applicationName": name})
    lives = [json.loads(item["liveState"]) for item in managed["items"]]
    assert {each["kind"] for each in lives} == {"ConfigMap", "Deployment"}
    assert all(each["metadata"]["uid"] for each in lives)
    assert states == ["null", "null"] or all(states)  # what another test has deployed may be there
    await delete(shell, name)


async def test_the_older_way_to_run_an_action(shell: Shell) -> None:
    """A client without V2, or whose V2 was answered by Unimplemented."""
    name = await create(shell)
    await sync(shell, name)
    which = {"namespace": shell.api.namespace, **DEPLOYMENT}
    request = {"name": name, **which, "action": "restart"}
    assert await shell.client.call(f"{APP}RunResourceAction", request) == {}
    with pytest.raises(CallFailed) as failed:
        await shell.client.call(f"{APP}RunResourceActionV2", request | {"action": "nothing"})
    assert failed.value.code in ("InvalidArgument", "Unknown", "NotFound")
    await delete(shell, name)


async def test_delete_waits_for_confirmation(shell: Shell) -> None:
    """``app delete``, then ``app confirm-deletion``: the Application stays until it is approved."""
    await shell.begin()
    application: Any = shell.application()
    name = application["metadata"]["name"]
    await shell.client.call(f"{APP}Create", {"application": application, "upsert": False, "validate": True})
    local = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"{name}-guarded",
            "annotations": {"argocd.argoproj.io/sync-options": "Delete=confirm"},
        },
    }
    await sync(shell, name, manifests=[json.dumps(local)])
    await shell.client.call(f"{APP}Delete", {"name": name, "cascade": True})

    def is_asked(found: dict[str, Any]) -> bool:
        metadata = found["application"]["metadata"]
        return bool(metadata.get("deletionTimestamp")) and found["type"] != "DELETED"

    await event(shell, is_asked, name=name)
    assert shell.api.kubectl("get", "configmap", f"{name}-guarded", "-o", "name").strip()
    app = await get(shell, name)
    app["metadata"].setdefault("annotations", {})[APPROVED] = "2099-01-31T12:00:00Z"
    watching = asyncio.ensure_future(event(shell, lambda found: found["type"] == "DELETED", name=name))
    await shell.client.call(
        f"{APP}Update", {"application": app, "validate": False, "project": app["spec"]["project"]}
    )
    await watching
    assert not shell.api.kubectl("get", "configmap", f"{name}-guarded", "--ignore-not-found")
