"""Projects, clusters and sets through the port: routes, statuses, and who sees what (api.md 7)."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.controlplane import ControlPlane
from tests.server.conftest import unique_namespace
from tests.server.running import Running, running

POLICY = """
p, team-lead, projects, *, team, allow
p, team-lead, clusters, get, team/*, allow
p, team-lead, applicationsets, *, team/*, allow
"""
SECRET = "hidden-credential"
IN_CLUSTER = quote("https://kubernetes.default.svc", safe="")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def port(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    """A running API with an account ``team-lead`` and clusters of two projects."""
    settings = {"accounts.team-lead": "apiKey"}
    async with running(
        control_plane,
        tmp_path_factory.mktemp("port"),
        unique_namespace("prj-port"),
        settings=settings,
        rbac={"policy.csv": POLICY},
    ) as server:
        for project in ("team", "others"):
            answer = await server.call(
                "POST", "/api/v1/projects", body={"project": {"metadata": {"name": project}, "spec": {}}}
            )
            assert answer.status == 200, answer.text
            server.apply(
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": {
                        "name": f"cluster-{project}",
                        "labels": {"argocd.argoproj.io/secret-type": "cluster"},
                    },
                    "stringData": {
                        "server": f"https://{project}.example.org",
                        "name": project,
                        "project": project,
                        "config": json.dumps(
                            {
                                "username": "u",
                                "password": SECRET,
                                "execProviderConfig": {"command": "x", "env": {"A": SECRET}},
                            }
                        ),
                    },
                }
            )
        await server.until("/api/v1/clusters", lambda answer: len(answer.json["items"]) == 3)
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lead(port: Running) -> Running:
    answer = await port.call("POST", "/api/v1/account/team-lead/token", body={})
    return port.acting(answer.json["token"])


WALK: list[tuple[str, str, Any, int]] = [
    ("GET", "/api/v1/projects", None, 200),
    ("GET", "/api/v1/projects/team", None, 200),
    ("GET", "/api/v1/projects/team/detailed", None, 200),
    ("GET", "/api/v1/projects/team/globalprojects", None, 200),
    ("GET", "/api/v1/projects/team/events", None, 200),
    ("GET", "/api/v1/projects/team/syncwindows", None, 200),
    ("GET", "/api/v1/projects/none", None, 404),
    ("POST", "/api/v1/projects", {}, 400),
    ("PUT", "/api/v1/projects/team", {"project": {"metadata": {"name": "team"}, "spec": {}}}, 400),
    ("DELETE", "/api/v1/projects/default", None, 400),
    ("DELETE", "/api/v1/projects/none", None, 404),
    ("POST", "/api/v1/projects/team/roles/none/token", {}, 404),
    ("DELETE", "/api/v1/projects/team/roles/none/token/1", None, 200),
    ("GET", "/api/v1/clusters", None, 200),
    ("GET", f"/api/v1/clusters/{IN_CLUSTER}", None, 200),
    ("GET", "/api/v1/clusters/team?id.type=name", None, 200),
    ("GET", "/api/v1/clusters/none?id.type=name", None, 403),
    ("POST", "/api/v1/clusters", {"server": "nothing"}, 400),
    ("PUT", f"/api/v1/clusters/{IN_CLUSTER}?updatedFields=nothing", {"server": "https://x"}, 400),
    ("DELETE", f"/api/v1/clusters/{IN_CLUSTER}", None, 404),
    ("POST", f"/api/v1/clusters/{IN_CLUSTER}/rotate-auth", None, 400),
    ("POST", "/api/v1/clusters/team/invalidate-cache?id.type=name", None, 200),
    ("GET", "/api/v1/applicationsets", None, 200),
    ("GET", "/api/v1/applicationsets?selector=%3D", None, 500),
    ("GET", "/api/v1/applicationsets/none", None, 404),
    ("GET", "/api/v1/applicationsets/none?appsetNamespace=elsewhere", None, 500),
    ("GET", "/api/v1/applicationsets/none/resource-tree", None, 404),
    ("GET", "/api/v1/applicationsets/none/events", None, 404),
    ("POST", "/api/v1/applicationsets", {}, 400),
    ("POST", "/api/v1/applicationsets/generate", {}, 500),
    ("DELETE", "/api/v1/applicationsets/none", None, 404),
    ("GET", "/api/v1/notifications/triggers", None, 200),
    ("GET", "/api/v1/notifications/templates", None, 200),
    ("GET", "/api/v1/notifications/services", None, 200),
]


@pytest.mark.parametrize(
    ("verb", "path", "body", "status"), WALK, ids=[f"{each[0]} {each[1]} {each[3]}" for each in WALK]
)
async def test_each_route(port: Running, verb: str, path: str, body: Any, status: int) -> None:
    answer = await port.call(verb, path, body=body)
    assert answer.status == status, answer.text
    assert SECRET not in answer.text
    if status != 200:
        assert set(answer.json) == {"error", "code", "message"}
    nobody = await port.call(verb, path, body=body, token="")
    assert (nobody.status, nobody.json["message"]) == (401, "no session information")


async def test_a_tenant_sees_its_own(port: Running, lead: Running) -> None:
    projects = (await lead.get("/api/v1/projects")).json["items"]
    assert [each["metadata"]["name"] for each in projects] == ["team"]
    assert not {"kind", "apiVersion"} & set(projects[0])
    clusters = await lead.get("/api/v1/clusters")
    assert [each["name"] for each in clusters.json["items"]] == ["team"]
    assert SECRET not in clusters.text
    for path in ("/api/v1/projects/others", "/api/v1/projects/none"):
        answer = await lead.get(path)
        name = path.rpartition("/")[2]
        assert answer.status == 403
        assert answer.json["message"].startswith(
            f"permission denied: projects, get, {name}, sub: team-lead, iat: "
        )
    for name in ("others", "none", "in-cluster"):
        answer = await lead.get(f"/api/v1/clusters/{name}?id.type=name")
        assert (answer.status, answer.json["message"]) == (403, "permission denied")


async def test_a_cluster_is_added_moved_and_removed(port: Running) -> None:
    """The calls of ``cluster add``, ``cluster set`` and ``cluster rm`` (api.md 16)."""
    server = port.plane.server.replace("127.0.0.1", "localhost")
    ca = base64.b64encode(port.plane.ca_file.read_bytes()).decode()
    body = {"server": server, "name": "plane", "config": {"tlsClientConfig": {"caData": ca}}}
    made = await port.call("POST", "/api/v1/clusters?upsert=true", body=body)
    assert made.status == 200, made.text
    assert made.json["config"] == {"tlsClientConfig": {"insecure": False}}
    one = f"/api/v1/clusters/{quote(server, safe='')}"
    named = await port.call(
        "PUT",
        f"{one}?updatedFields=name&updatedFields=namespaces",
        body={"name": "other", "namespaces": ["a"]},
    )
    assert (named.json["name"], named.json["namespaces"]) == ("other", ["a"])
    listed = await port.get("/api/v1/clusters", params={"id.type": "name", "id.value": "other"})
    assert [each["server"] for each in listed.json["items"]] == [server]
    gone = await port.call("DELETE", one)
    assert (gone.status, gone.text) == (200, "{}")
    assert (await port.get(one)).status == 403


async def test_a_tenants_set_from_creation_to_its_end(port: Running, lead: Running) -> None:
    body = {
        "metadata": {"name": "tenants"},
        "spec": {
            "generators": [{"list": {"elements": [{"a": "b"}]}}],
            "template": {
                "metadata": {"name": "x"},
                "spec": {"project": "team", "destination": {"namespace": "n", "server": "https://x"}},
            },
        },
    }
    stream = asyncio.create_task(_first_event(lead, "tenants"))
    try:
        async with asyncio.timeout(30):
            made = await lead.call("POST", "/api/v1/applicationsets", body=body)
            assert made.status == 200, made.text
            event = await stream
    finally:
        stream.cancel()
    assert event["result"]["type"] == "ADDED"
    assert event["result"]["applicationSet"]["metadata"]["name"] == "tenants"
    preview = await lead.call("POST", "/api/v1/applicationsets/generate", body={"applicationSet": body})
    assert preview.status == 501
    body["spec"]["template"]["spec"]["project"] = "others"  # type: ignore[index]
    stolen = await lead.call("POST", "/api/v1/applicationsets?upsert=true", body=body)
    assert stolen.status == 403
    assert (await lead.get("/api/v1/applicationsets/tenants/events")).status == 200
    gone = await lead.call("DELETE", "/api/v1/applicationsets/tenants")
    assert gone.text == "{}"


async def _first_event(server: Running, name: str) -> Any:
    headers = {"Authorization": f"Bearer {server.token}"}
    url = f"{server.base}/api/v1/stream/applicationsets?name={name}"
    async with server.session.get(url, headers=headers) as answer:
        return json.loads(await answer.content.readline())


async def test_a_token_of_a_role_until_it_is_revoked(port: Running, lead: Running) -> None:
    read = (await lead.get("/api/v1/projects/team")).json
    read["spec"]["roles"] = [
        {"name": "ci", "policies": ["p, proj:team:ci, applications, get, team/*, allow"]}
    ]
    updated = await lead.call("PUT", "/api/v1/projects/team", body={"project": read})
    assert updated.status == 200, updated.text
    answer = await lead.call("POST", "/api/v1/projects/team/roles/ci/token", body={"id": "one"})
    robot = port.acting(answer.json["token"])
    seen = (await robot.get("/api/v1/projects")).json["items"]
    assert [each["metadata"]["name"] for each in seen] == ["team"]
    assert (await robot.get("/api/v1/projects/others")).status == 403
    gone = await lead.call("DELETE", "/api/v1/projects/team/roles/ci/token/0?id=one")
    assert gone.text == "{}"
    assert (await robot.get("/api/v1/projects")).status == 401
