"""An installation with everything switched on that narrows syncs, and with a second namespace."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.controlplane import ControlPlane
from tests.server.applications.place import KINDS, Place, refusal
from tests.server.applications.place import place as open_place
from tests.server.conftest import unique_namespace

pytestmark = pytest.mark.controlplane

RBAC = {
    "policy.csv": """
p, tenant, applications, get, team/*, allow
p, tenant, applications, create, team/*, allow
p, tenant, applications, sync, team/*, allow
p, reader, applications, get, team/*, allow
p, reader, applications, rollback, team/*, allow
p, stranger, applications, *, team/*/*, allow
"""
}


UNREAD = 20
"""How many changes may lie unread in a watch."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def strict(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    folder, namespace = tmp_path_factory.mktemp("strict"), unique_namespace("strict")
    other = f"{namespace}-apps"
    settings = {
        "application.sync.requireOverridePrivilegeForRevisionSync": "true",
        "server.rbac.rollback.enforce.enable": "true",
    }
    flags = {"--sync-with-replace-allowed": "false", "--application-namespaces": other}
    await asyncio.to_thread(control_plane.kubectl, "create", "namespace", other)
    try:
        async with open_place(
            control_plane,
            folder,
            namespace,
            settings=settings,
            rbac=RBAC,
            flags=flags,
            environ={"ARGOCD_WATCH_API_BUFFER_SIZE": str(UNREAD)},
        ) as made:
            await _admit(made, other)
            yield made
    finally:
        await asyncio.to_thread(control_plane.kubectl, "delete", "namespace", other, "--wait=false")


async def _admit(place: Place, namespace: str) -> None:
    """Project ``team`` lets Applications live in the other namespace."""
    patch = json.dumps({"spec": {"sourceNamespaces": [namespace]}})
    await asyncio.to_thread(place.admin.kubectl, "patch", "appproject", "team", "--type=merge", "-p", patch)


def other_namespace(place: Place) -> str:
    return f"{place.namespace}-apps"


async def test_another_revision_needs_the_right_to_override(strict: Place) -> None:
    name = (await strict.create())["metadata"]["name"]
    status, code, message = refusal(
        await strict.tenant.call("POST", f"{KINDS}/{name}/sync", body={"revision": "a" * 40})
    )
    assert (status, code) == (403, 7)
    assert message.startswith(f"permission denied: applications, override, team/{name}")
    answer = await strict.tenant.call("POST", f"{KINDS}/{name}/sync", body={"revision": "main"})
    assert answer.status == 200, answer.text


async def test_local_manifests_need_the_right_to_override(strict: Place) -> None:
    name = (await strict.create())["metadata"]["name"]
    status, code, message = refusal(
        await strict.tenant.call("POST", f"{KINDS}/{name}/sync", body={"manifests": ["{}"]})
    )
    assert (status, code) == (403, 7)
    assert message.startswith(f"permission denied: applications, override, team/{name}")


async def test_replacing_can_be_forbidden(strict: Place) -> None:
    name = (await strict.create(syncPolicy={"syncOptions": ["Replace=true"]}))["metadata"]["name"]
    text = "sync with replace was disabled on the API Server level via the server configuration"
    answer = await strict.admin.call("POST", f"{KINDS}/{name}/sync", body={})
    assert refusal(answer) == (400, 9, text)
    body = {"syncOptions": {"items": ["Prune=false"]}}
    assert (await strict.admin.call("POST", f"{KINDS}/{name}/sync", body=body)).status == 200


async def test_rolling_back_is_a_right_of_its_own(strict: Place) -> None:
    name = (await strict.create())["metadata"]["name"]
    denied = await strict.tenant.call("POST", f"{KINDS}/{name}/rollback", body={"id": 5})
    assert refusal(denied) == (403, 7, "permission denied")
    status, code, message = refusal(
        await strict.reader.call("POST", f"{KINDS}/{name}/rollback", body={"id": 5})
    )
    assert (status, code, "does not have deployment with id 5" in message) == (400, 3, True)


async def created_elsewhere(place: Place, name: str, user: Any = None) -> Any:
    body = place.manifest(name)
    body["metadata"]["namespace"] = other_namespace(place)
    limit = asyncio.get_running_loop().time() + 10
    while True:
        answer = await (user or place.admin).call("POST", KINDS, body=body, params={"validate": "false"})
        if "is not allowed in project" not in answer.text:  # until the project's change is known
            return answer
        assert asyncio.get_running_loop().time() < limit, answer.text
        await asyncio.sleep(0.05)


async def test_applications_in_another_namespace(strict: Place) -> None:
    namespace = other_namespace(strict)
    # the RBAC object has three parts there: team/<namespace>/<name>
    assert refusal(await created_elsewhere(strict, "far", strict.reader))[:2] == (403, 7)
    answer = await created_elsewhere(strict, "far", strict.stranger)
    assert answer.status == 200, answer.text
    near = await strict.create("far")
    assert near["metadata"]["namespace"] == strict.namespace
    found = (await strict.stranger.get(KINDS)).json["items"]
    assert [item["metadata"]["namespace"] for item in found] == [namespace]
    got = await strict.stranger.get(f"{KINDS}/far", params={"appNamespace": namespace})
    assert got.json["metadata"]["namespace"] == namespace
    assert refusal(await strict.stranger.get(f"{KINDS}/far")) == (403, 7, "permission denied")
    both = (await strict.admin.get(KINDS, params={"name": "far"})).json["items"]
    assert [item["metadata"]["namespace"] for item in both] == [strict.namespace, namespace]
    one = (await strict.admin.get(KINDS, params={"name": "far", "appNamespace": namespace})).json["items"]
    assert len(one) == 1
    gone = await strict.stranger.call(
        "DELETE", f"{KINDS}/far", params={"appNamespace": namespace, "cascade": "false"}
    )
    assert gone.status == 200, gone.text
    assert (await strict.admin.get(f"{KINDS}/far")).status == 200


async def test_a_namespace_that_is_not_enabled(strict: Place) -> None:
    patch = json.dumps({"spec": {"sourceNamespaces": [other_namespace(strict), "closed-*"]}})
    await asyncio.to_thread(strict.admin.kubectl, "patch", "appproject", "team", "--type=merge", "-p", patch)
    body = strict.manifest("closed")
    body["metadata"]["namespace"] = "closed-ns"
    limit = asyncio.get_running_loop().time() + 10
    while True:
        answer = await strict.admin.call("POST", KINDS, body=body, params={"validate": "false"})
        if "is not allowed in project" not in answer.text:
            break
        assert asyncio.get_running_loop().time() < limit, answer.text
        await asyncio.sleep(0.05)
    assert refusal(answer) == (500, 2, "namespace 'closed-ns' is not permitted")


async def test_a_slow_watcher_is_dropped_and_holds_nobody_up(strict: Place) -> None:
    """One client does not read while changes of 200 kB each come; another gets them all."""
    name = (await strict.create())["metadata"]["name"]
    path = f"/api/v1/stream/applications?name={name}"
    host, port = strict.admin.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {strict.admin.token}\r\n\r\n"
    writer.write(head.encode())
    await writer.drain()
    quick = strict.admin.session.get(
        strict.admin.base + path,
        headers={"Authorization": f"Bearer {strict.admin.token}"},
        read_bufsize=1 << 20,
    )
    async with quick as answer:
        last = ""
        for number in range(70):
            body = strict.manifest(name)
            body["metadata"]["annotations"] = {"big": f"{number:03d}" + "x" * 200_000}
            changed = await strict.admin.call(
                "PUT", f"{KINDS}/{name}", body=body, params={"validate": "false"}
            )
            assert changed.status == 200, changed.text[:500]
            while last != f"{number:03d}":
                event = json.loads(await answer.content.readline())["result"]
                last = event["application"]["metadata"].get("annotations", {}).get("big", "")[:3]
    ending = b""
    async with asyncio.timeout(30):
        while b"ResourceExhausted" not in ending and b'"grpc_code":8' not in ending:
            chunk = await reader.read(1 << 16)
            assert chunk, "the stream ended without a word"
            ending = (ending + chunk)[-70_000:]
    writer.close()
