"""The audit trail (api.md 9 "Audit events", applications.md 24, operations.md 7.2)."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec
import pytest

from tests.server.projects.house import ADMIN, House
from tiphys.access.identity import Identity
from tiphys.kube.client import MERGE_PATCH
from tiphys.kube.errors import ClusterUnreachable
from tiphys.reconcile import events as machinery
from tiphys.reconcile.events import EventQueue
from tiphys.resources.identity import GVK, AppKey
from tiphys.resources.messages.trees import ResourceNode
from tiphys.server.api.calls import Call
from tiphys.server.services.events import (
    ACTION_RAN,
    DELETED,
    OPERATION_STARTED,
    UPDATED,
    AuditLog,
)

APPLICATION = GVK("argoproj.io", "v1alpha1", "Application")


async def test_an_application(shop: House) -> None:
    await shop.project("audited")
    await shop.application("audit-app", project="audited")
    key = AppKey(shop.namespace, "audit-app")
    patch = {"metadata": {"labels": {"team": "a", "other": "b"}}}
    await shop.client.patch(APPLICATION, shop.namespace, "audit-app", patch, MERGE_PATCH)
    app = await shop.until(lambda: (held := shop.state.apps.get(key)) and held.metadata.labels and held)
    audit = AuditLog(shop.state, shop.queue)
    audit.application(Call(identity=ADMIN), app, OPERATION_STARTED, "initiated sync to HEAD")
    audit.application(Call(), app, UPDATED, "updated application spec")
    first, second = [
        event for event in await shop.events("audit-app") if event["source"]["component"] == "argocd-server"
    ]
    metadata = first["metadata"]
    assert metadata["namespace"] == shop.namespace
    assert metadata["name"].startswith("audit-app.")
    assert int(metadata["name"].rpartition(".")[2], 16) > 0
    assert metadata["labels"] == {"team": "a"}
    assert metadata["annotations"] == {
        "user": "admin",
        "dest-server": "https://kubernetes.default.svc",
        "dest-namespace": "nowhere",
    }
    told = ("type", "reason", "message", "count")
    assert [first[key] for key in told] == [
        "Normal",
        "OperationStarted",
        "admin initiated sync to HEAD",
        1,
    ]
    assert first["firstTimestamp"] == first["lastTimestamp"]
    assert first["involvedObject"] == {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "namespace": shop.namespace,
        "name": "audit-app",
        "uid": app.metadata.uid,
        "resourceVersion": app.metadata.resource_version,
    }
    assert second["message"] == "Unknown user updated application spec"
    assert "user" not in second["metadata"]["annotations"]


async def test_a_live_object_of_another_namespace(shop: House) -> None:
    node = ResourceNode(
        group="apps",
        version="v1",
        kind="Deployment",
        namespace="far-away",
        name="audit-deployment",
        uid="1-2",
        resource_version="7",
    )
    AuditLog(shop.state, shop.queue).resource(Call(identity=ADMIN), node, ACTION_RAN, "ran action restart")
    (event,) = await shop.events("audit-deployment")
    assert event["metadata"]["annotations"] == {"user": "admin", "resource-namespace": "far-away"}
    assert event["involvedObject"]["namespace"] == shop.namespace
    assert event["involvedObject"]["apiVersion"] == "apps/v1"
    assert event["message"] == "admin ran action restart"


async def test_objects_that_no_event_may_be_named_after(shop: House) -> None:
    for name in ("system:audit_X", "a" * 240 + "-b"):
        node = ResourceNode(group="", version="v1", kind="ConfigMap", name=name, uid="1")
        AuditLog(shop.state, shop.queue).resource(Call(identity=ADMIN), node, DELETED, "deleted resource")
        (event,) = await shop.events(name)
        assert event["involvedObject"]["name"] == name


class Posts:
    """What would be sent; can be made to hang or fail."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.open = asyncio.Event()
        self.broken = False

    async def __call__(self, namespace: str, body: bytes) -> None:
        await self.open.wait()
        if self.broken:
            raise ClusterUnreachable("https://x", "gone")
        self.bodies.append(msgspec.json.decode(body))


async def test_telling_neither_waits_nor_fails(
    shop: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(machinery, "BUFFER", 2)
    posts = Posts()
    queue = EventQueue(posts, lambda reason: True, lambda: 5)
    audit, project = AuditLog(shop.state, queue), shop.state.projects.get(AppKey(shop.namespace, "default"))
    assert project is not None
    for _ in range(3):
        audit.project(Call(identity=ADMIN), project, DELETED, "deleted project")
    assert "event dropped, the buffer is full" in caplog.text
    running = asyncio.create_task(queue.run())
    try:
        posts.open.set()
        await queue.flush()
        names = [body["metadata"]["name"] for body in posts.bodies]
        assert names == ["default.5", "default.6"], "two in one nanosecond have two names"
        posts.broken = True
        audit.project(Call(identity=ADMIN), project, DELETED, "deleted project")
        await queue.flush()
        assert "event not sent" in caplog.text
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_reasons_that_are_switched_off_are_not_told(
    shop: House, caplog: pytest.LogCaptureFixture
) -> None:
    posts = Posts()
    posts.open.set()
    queue = EventQueue(posts, lambda reason: reason == UPDATED, lambda: 1)
    audit, project = AuditLog(shop.state, queue), shop.state.projects.get(AppKey(shop.namespace, "default"))
    assert project is not None
    caplog.set_level(logging.INFO, logger="tiphys.server.services.events")
    ada = Call(identity=Identity(user_id="sub", username="ada@example.org", is_authenticated=True))
    audit.project(ada, project, DELETED, "deleted project")
    assert caplog.records == []
    audit.project(ada, project, UPDATED, "updated project")
    (record,) = caplog.records
    assert record.getMessage() == "ada@example.org updated project"
    assert (record.reason, record.type, record.project) == ("ResourceUpdated", "Normal", "default")  # type: ignore[attr-defined]
