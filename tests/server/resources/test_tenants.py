"""Who may not see an Application learns nothing of what it manages (api.md 8.1, 13)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.server.resources.site import APPS, Site, named, refusal
from tests.server.running import Answer, Running

pytestmark = pytest.mark.controlplane

ROUTES = [
    ("GET", "resource-tree", None),
    ("GET", "managed-resources", None),
    ("GET", "server-side-diff", None),
    ("GET", "events", None),
    ("GET", "manifests", None),
    ("GET", "revisions/main/metadata", None),
    ("GET", "revisions/main/chartdetails", None),
    ("GET", "revisions/main/ocimetadata", None),
    ("GET", "resource", None),
    ("POST", "resource", "{}"),
    ("DELETE", "resource", None),
    ("GET", "resource/actions", None),
    ("POST", "resource/actions", "restart"),
    ("POST", "resource/actions/v2", {"action": "restart"}),
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tenants(site: Site) -> AsyncIterator[Site]:
    await site.create("tenants-own", path="switch")
    yield site


async def ask(caller: Running, site: Site, name: str, verb: str, path: str, body: Any, **more: str) -> Answer:
    params = {**named("ConfigMap", "switch-map", site.place), "patchType": "application/merge-patch+json"}
    if isinstance(body, dict):
        body = {**params, **more, **body}  # the body is the whole request, the query is not read
    return await caller.call(verb, f"{APPS}/{name}/{path}", params={**params, **more}, body=body)


@pytest.mark.parametrize(("verb", "path", "body"), ROUTES, ids=[f"{v} {p}" for v, p, _ in ROUTES])
async def test_the_same_refusal_whether_it_is_there_or_not(
    tenants: Site, verb: str, path: str, body: Any
) -> None:
    answers = [
        await ask(tenants.stranger, tenants, name, verb, path, body)
        for name in ("tenants-own", "no-such-app")
    ]
    assert {refusal(answer) for answer in answers} == {(403, "permission denied")}
    assert answers[0].body == answers[1].body


@pytest.mark.parametrize(("verb", "path", "body"), ROUTES, ids=[f"{v} {p}" for v, p, _ in ROUTES])
async def test_with_a_project_of_ones_own(tenants: Site, verb: str, path: str, body: Any) -> None:
    # 8.1: the caller's own project, yet the Application is in another: as if it were not there
    answers = [
        await ask(tenants.stranger, tenants, name, verb, path, body, project="other")
        for name in ("tenants-own", "no-such-app")
    ]
    assert [refusal(answer) for answer in answers] == [
        (404, f'applications.argoproj.io "{name}" not found') for name in ("tenants-own", "no-such-app")
    ]


@pytest.mark.parametrize(("verb", "path", "body"), ROUTES, ids=[f"{v} {p}" for v, p, _ in ROUTES])
async def test_nobody(tenants: Site, verb: str, path: str, body: Any) -> None:
    answer = await ask(tenants.admin.acting(""), tenants, "tenants-own", verb, path, body)
    assert answer.status == 401


async def test_events_of_the_application_and_of_its_objects(site: Site) -> None:
    # 13.2
    await site.create("events")
    answer = await site.reader.get(f"{APPS}/events/events")
    assert answer.status == 200, answer.text
    assert any(each["involvedObject"]["name"] == "events" for each in answer.json["items"])
    tree = await site.admin.get(f"{APPS}/events/resource-tree")
    found = next(node for node in tree.json["nodes"] if node["kind"] == "Deployment")
    asked = {
        "resourceNamespace": site.place,
        "resourceName": "events-web",
        "resourceUID": found["uid"],
    }
    answer = await site.reader.until(f"{APPS}/events/events", lambda a: a.json["items"], params=asked)
    assert {each["involvedObject"]["uid"] for each in answer.json["items"]} == {found["uid"]}
    assert "ScalingReplicaSet" in {each["reason"] for each in answer.json["items"]}
    for change in ({"resourceUID": "another"}, {"resourceNamespace": "kube-system"}, {"resourceName": "x"}):
        answer = await site.admin.get(f"{APPS}/events/events", params={**asked, **change})
        name = change.get("resourceName", "events-web")
        assert refusal(answer) == (400, f"{name} not found as part of application events")


async def test_plain_rights_include_fine_ones_where_the_settings_say_so(tenants: Site) -> None:
    # api.md 13: server.rbac.disableApplicationFineGrainedRBACInheritance
    async def patched() -> Answer:
        body = json.dumps({"data": {"by": "patcher"}})
        return await ask(tenants.patcher, tenants, "tenants-own", "POST", "resource", body)

    assert refusal(await patched()) == (403, "permission denied")
    async with tenants.setting("server.rbac.disableApplicationFineGrainedRBACInheritance", "false"):
        for _ in range(200):
            answer = await patched()
            if answer.status == 200:
                break
        assert answer.status == 200, answer.text
        deleted = await ask(tenants.patcher, tenants, "tenants-own", "DELETE", "resource", None)
        assert refusal(deleted) == (403, "permission denied"), "update does not include delete"
