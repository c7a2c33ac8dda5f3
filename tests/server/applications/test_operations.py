"""Syncing, rolling back, terminating, sync windows over REST (api.md 8.2)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.server.applications.place import CONFIG_MAP, KINDS, Place, refusal

pytestmark = pytest.mark.controlplane


def phase(app: Any) -> str:
    found: str = app.get("status", {}).get("operationState", {}).get("phase", "")
    return found


async def finished(place: Place, name: str) -> dict[str, Any]:
    answer = await place.admin.until(
        f"{KINDS}/{name}",
        lambda answer: (
            phase(answer.json) in ("Succeeded", "Failed", "Error") and "operation" not in answer.json
        ),
    )
    app: dict[str, Any] = answer.json
    return app


async def sync(place: Place, name: str, **body: Any) -> Any:
    return await place.tenant.call("POST", f"{KINDS}/{name}/sync", body=body)


async def test_a_sync_is_begun_with_the_resolved_revision(place: Place) -> None:
    name = (await place.create(syncPolicy={"syncOptions": ["A=true"], "retry": {"limit": 2}}))["metadata"][
        "name"
    ]
    await place.settled(name)
    head = place.repository.head()
    answer = await sync(place, name, prune=True, infos=[{"name": "why", "value": "x"}])
    assert answer.status == 200, answer.text
    assert answer.json["operation"] == {
        "sync": {
            "revision": head,
            "prune": True,
            "source": place.manifest(name)["spec"]["source"],
            "syncOptions": ["A=true"],
        },
        "initiatedBy": {"username": "tenant"},
        "info": [{"name": "why", "value": "x"}],
        "retry": {"limit": 2},
    }
    app = await finished(place, name)
    assert phase(app) == "Succeeded"
    assert app["status"]["operationState"]["operation"]["initiatedBy"] == {"username": "tenant"}
    assert app["status"]["history"][-1]["revision"] == head
    await place.told(name, "OperationStarted", f"tenant initiated sync to main ({head})")


async def test_another_sync_waits_for_the_first_to_end(place: Place) -> None:
    name = (await place.create())["metadata"]["name"]
    await place.settled(name)
    await place.admin.call("POST", f"{KINDS}/{name}/sync", body={"dryRun": True})
    answers = await asyncio.gather(*(sync(place, name) for _ in range(4)))
    refused = [refusal(answer) for answer in answers if answer.status != 200]
    assert set(refused) <= {(400, 9, "another operation is already in progress")}
    await finished(place, name)


async def test_a_sync_clears_the_last_result(place: Place) -> None:
    name = (await place.create())["metadata"]["name"]
    await place.settled(name)
    await sync(place, name)
    await finished(place, name)
    answer = await sync(place, name, resources=[{"kind": "ConfigMap", "name": "one"}])
    assert answer.status == 200, answer.text
    assert "operationState" not in answer.json["status"]
    await finished(place, name)
    await place.told(
        name, "OperationStarted", f"tenant initiated partial sync to main ({place.repository.head()})"
    )


async def test_local_manifests(place: Place) -> None:
    name = (await place.create())["metadata"]["name"]
    await place.settled(name)
    local = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-local"}})
    answer = await sync(place, name, manifests=[local])
    assert answer.status == 200, answer.text
    assert answer.json["operation"]["sync"].get("revision") is None
    assert phase(await finished(place, name)) == "Succeeded"
    await place.told(name, "OperationStarted", "tenant initiated sync locally")


@pytest.mark.parametrize(
    ("spec", "body", "status", "code", "message"),
    [
        pytest.param(
            {},
            {"revision": "no-such-branch"},
            400,
            9,
            "rpc error: code = ",
            id="unresolvable",
        ),
        pytest.param(
            {"syncPolicy": {"automated": {}}},
            {"revision": "v1"},
            400,
            9,
            "Cannot sync to v1: auto-sync currently set to main",
            id="automated",
        ),
        pytest.param(
            {"syncPolicy": {"automated": {}}},
            {"manifests": ["{}"]},
            400,
            9,
            "cannot use local sync when Automatic Sync Policy is enabled unless for dry run",
            id="automated-local",
        ),
    ],
)
async def test_syncs_that_are_refused(
    place: Place, spec: Any, body: Any, status: int, code: int, message: str
) -> None:
    name = (await place.create(**spec))["metadata"]["name"]
    found = refusal(await sync(place, name, **body))
    assert found[:2] == (status, code)
    assert found[2].startswith(message)


async def test_a_full_commit_is_believed(place: Place) -> None:
    name = (await place.create())["metadata"]["name"]
    answer = await sync(place, name, revision="a" * 40, dryRun=True)
    assert answer.status == 200, answer.text
    assert answer.json["operation"]["sync"]["revision"] == "a" * 40
    await place.told(name, "OperationStarted", f"tenant initiated sync to {'a' * 40}")


async def test_closed_windows(place: Place) -> None:
    window = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["closed-*"]}
    manual = {**window, "schedule": "*/2 * * * *", "manualSync": True, "applications": ["manual-*"]}
    broken = {**window, "schedule": "nonsense", "applications": ["broken-*"]}
    await asyncio.to_thread(place.admin.apply, _project("windows", [window, manual, broken]))
    closed, open_, bad = f"closed-{place.namespace}", f"manual-{place.namespace}", f"broken-{place.namespace}"
    await place.admin.until(
        "/api/v1/applications",
        lambda answer: True,
    )
    for name in (closed, open_, bad):
        await _created_in(place, name, "windows")
    answer = await place.admin.call("POST", f"{KINDS}/{closed}/sync", body={})
    assert refusal(answer) == (403, 7, "cannot sync: blocked by sync window")
    shown = (await place.admin.get(f"{KINDS}/{closed}/syncwindows")).json
    expected = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "manualSync": False}
    assert shown == {"activeWindows": [expected], "assignedWindows": [expected], "canSync": False}

    answer = await place.admin.call("POST", f"{KINDS}/{open_}/sync", body={"dryRun": True})
    assert answer.status == 200, answer.text
    assert (await place.admin.get(f"{KINDS}/{open_}/syncwindows")).json["canSync"] is True

    status, code, message = refusal(await place.admin.call("POST", f"{KINDS}/{bad}/sync", body={}))
    assert (status, code) == (403, 7)
    assert message.startswith("cannot sync: invalid sync window: ")
    assert refusal(await place.admin.get(f"{KINDS}/{bad}/syncwindows"))[:2] == (500, 2)


async def test_no_windows(place: Place) -> None:
    name = (await place.create())["metadata"]["name"]
    assert (await place.reader.get(f"{KINDS}/{name}/syncwindows")).json == {"canSync": True}


async def test_rolling_back(place: Place) -> None:
    files = {"rolling/a.yaml": CONFIG_MAP % "rolling"}
    first = await asyncio.to_thread(place.repository.commit, files)
    source = {"repoURL": place.repository.url, "path": "rolling", "targetRevision": "main"}
    name = (await place.create(source=source))["metadata"]["name"]
    await place.settled(name)
    await sync(place, name)
    await finished(place, name)
    await asyncio.to_thread(
        place.repository.commit, {"rolling/a.yaml": (CONFIG_MAP % "rolling").replace("'1'", "'2'")}
    )
    await sync(place, name)
    app = await finished(place, name)
    assert [entry["id"] for entry in app["status"]["history"]] == [0, 1]
    answer = await place.tenant.call("POST", f"{KINDS}/{name}/rollback", body={"id": 0, "prune": True})
    assert answer.status == 200, answer.text
    assert answer.json["operation"]["sync"]["revision"] == first
    assert answer.json["operation"]["sync"]["syncStrategy"] == {"apply": {}}
    app = await finished(place, name)
    assert app["status"]["history"][-1]["revision"] == first
    await place.told(name, "OperationStarted", "tenant initiated rollback to 0")
    missing = await place.tenant.call("POST", f"{KINDS}/{name}/rollback", body={"id": 77})
    text = f"application {place.namespace}/{name} does not have deployment with id 77"
    assert refusal(missing) == (400, 3, text)


async def test_terminating(place: Place) -> None:
    hook = """
apiVersion: v1
kind: Pod
metadata: {name: endless, annotations: {argocd.argoproj.io/hook: PreSync}}
spec: {containers: [{name: a, image: a}], nodeSelector: {nowhere: "true"}}
"""
    await asyncio.to_thread(place.repository.commit, {"endless/a.yaml": hook})
    source = {"repoURL": place.repository.url, "path": "endless", "targetRevision": "main"}
    name = (await place.create(source=source))["metadata"]["name"]
    await place.settled(name)
    nothing = await place.tenant.call("DELETE", f"{KINDS}/{name}/operation")
    assert refusal(nothing) == (400, 3, "Unable to terminate operation. No operation is in progress")
    assert (await sync(place, name)).status == 200
    await place.admin.until(f"{KINDS}/{name}", lambda answer: phase(answer.json) == "Running")
    answer = await place.tenant.call("DELETE", f"{KINDS}/{name}/operation")
    assert (answer.status, answer.json) == (200, {}), answer.text
    app = await finished(place, name)
    assert phase(app) == "Failed"
    assert "Operation terminated" in app["status"]["operationState"]["message"]
    await place.told(name, "ResourceUpdated", "tenant terminated running operation")


async def test_what_is_being_deleted_is_not_synced(place: Place) -> None:
    name = (await place.create(metadata={"finalizers": ["example.com/hold"]}))["metadata"]["name"]
    await place.tenant.call("DELETE", f"{KINDS}/{name}", params={"cascade": "false"})
    told = (400, 9, "application is deleting")
    assert refusal(await sync(place, name)) == told
    assert refusal(await place.tenant.call("POST", f"{KINDS}/{name}/rollback", body={"id": 1})) == told
    await place.patch_stored(name, '{"metadata":{"finalizers":[]}}')


def _project(name: str, windows: list[Any]) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": name},
        "spec": {
            "sourceRepos": ["**", "file:///**"],
            "destinations": [{"server": "*", "namespace": "*"}],
            "syncWindows": windows,
        },
    }


async def _created_in(place: Place, name: str, project: str) -> None:
    """Create it as soon as the project is known."""
    limit = asyncio.get_running_loop().time() + 10
    while True:
        body = place.manifest(name, project=project)
        answer = await place.admin.call("POST", KINDS, body=body, params={"validate": "false"})
        if answer.status == 200:
            return
        assert asyncio.get_running_loop().time() < limit, answer.text
        await asyncio.sleep(0.05)
