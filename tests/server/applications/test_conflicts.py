"""What a caller hears when somebody else writes each time before him (api.md 8.2, "10 tries").

The calls come over HTTP, the conflicts from the real API server: before each of the server's own writes of
an Application somebody else writes it, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.server.applications.place import KINDS, Place, refusal
from tiphys.kube.transport import Purpose, Response, Transport
from tiphys.server.services.applications.writing import TRIES

pytestmark = pytest.mark.controlplane


@contextmanager
def contested(name: str, mark: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """As long as the block lasts, each write of the Application whose body has ``mark`` in it comes too
    late; with the versions that were written before it."""
    written: list[str] = []
    request = Transport.request

    async def late(self: Transport, method: str, path: str, purpose: Purpose, **more: Any) -> Response:
        if method == "PATCH" and path.endswith(f"/applications/{name}") and mark in (more.get("body") or b""):
            body = json.dumps({"metadata": {"annotations": {"others": str(len(written))}}}).encode()
            answer = await request(self, "PATCH", path, purpose, **{**more, "body": body})
            written.append(json.loads(answer.body)["metadata"]["resourceVersion"])
        return await request(self, method, path, purpose, **more)

    with monkeypatch.context() as patching:
        patching.setattr(Transport, "request", late)
        yield written


async def running_operation(place: Place) -> str:
    """An Application whose operation does not end: it waits for a hook that never gets ready."""
    name: str = (await place.create())["metadata"]["name"]
    await place.settled(name)
    hook = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"{name}-hook", "annotations": {"argocd.argoproj.io/hook": "PreSync"}},
        "spec": {
            "suspend": True,
            "template": {
                "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]}
            },
        },
    }
    answer = await place.tenant.call("POST", f"{KINDS}/{name}/sync", body={"manifests": [json.dumps(hook)]})
    assert answer.status == 200, answer.text
    await place.admin.until(
        f"{KINDS}/{name}",
        lambda a: a.json.get("status", {}).get("operationState", {}).get("phase") == "Running",
    )
    return name


async def test_terminating(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    name = await running_operation(place)
    path = f"{KINDS}/{name}/operation"
    with contested(name, b'"Terminating"', monkeypatch) as written:
        answer = await place.tenant.call("DELETE", path)
    assert refusal(answer) == (500, 13, "Failed to terminate app. Too many conflicts")
    assert len(set(written)) == TRIES
    stored = await place.stored(name)
    assert stored["status"]["operationState"]["phase"] == "Running"
    assert stored["metadata"]["annotations"]["others"] == str(TRIES - 1)
    answer = await place.tenant.call("DELETE", path)
    assert (answer.status, answer.json) == (200, {})
    await place.admin.until(f"{KINDS}/{name}", lambda a: "operation" not in a.json)


async def test_updating(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    app = await place.create()
    name = app["metadata"]["name"]
    app["metadata"]["labels"] = {"mine": "yes"}
    with contested(name, b'"mine"', monkeypatch) as written:
        answer = await place.tenant.call("PUT", f"{KINDS}/{name}", body=app, params={"validate": "false"})
    assert refusal(answer) == (500, 13, "Failed to update application. Too many conflicts")
    assert len(set(written)) == TRIES
    assert "labels" not in (await place.stored(name))["metadata"]


async def test_syncing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    name = (await place.create())["metadata"]["name"]
    await place.settled(name)
    with contested(name, b'"initiatedBy"', monkeypatch) as written:
        answer = await place.tenant.call("POST", f"{KINDS}/{name}/sync", body={})
    assert refusal(answer) == (500, 13, "Failed to set operation for app. Too many conflicts")
    assert len(set(written)) == TRIES
    assert "operation" not in await place.stored(name)
