"""The calls that the published command line makes for projects, clusters and sets (api.md 16), over gRPC
and gRPC-web, by a client that knows only ``wire.json``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.server.grpc.client import CallFailed, Client
from tests.server.running import Running

PROJECTS = "project.ProjectService/"
CLUSTERS = "cluster.ClusterService/"
SETS = "applicationset.ApplicationSetService/"
SECONDS = 30.0


@pytest.fixture(params=[False, True], ids=["grpc", "grpc-web"])
async def client(api: Running, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with Client(api.target, token=api.token, web=request.param) as made:
        yield made


async def test_proj_create_set_windows_roles_tokens_delete(client: Client) -> None:
    await client.call(f"{PROJECTS}Create", {"project": {"metadata": {"name": "cli"}, "spec": {}}})
    changes: list[dict[str, Any]] = [
        {"description": "from the command line"},
        {"destinations": [{"server": "https://kubernetes.default.svc", "namespace": "n"}]},
        {"sourceRepos": ["https://example.org/*"]},
        {"clusterResourceWhitelist": [{"group": "", "kind": "Namespace"}]},
        {"namespaceResourceBlacklist": [{"group": "", "kind": "Secret"}]},
        {"sourceNamespaces": ["team-*"]},
        {"orphanedResources": {"warn": True, "ignore": [{"group": "apps"}]}},
        {"signatureKeys": [{"keyID": "0123456789ABCDEF"}]},
        {"destinationServiceAccounts": [{"server": "*", "namespace": "n", "defaultServiceAccount": "sa"}]},
        {
            "syncWindows": [
                {
                    "kind": "allow",
                    "schedule": "* * * * *",
                    "duration": "1h",
                    "applications": ["*"],
                    "manualSync": True,
                    "timeZone": "Europe/Berlin",
                }
            ]
        },
        {"roles": [{"name": "ci", "policies": ["p, proj:cli:ci, applications, get, cli/*, allow"]}]},
    ]
    for change in changes:
        read: Any = await client.call(f"{PROJECTS}Get", {"name": "cli"})
        project = {**read, "spec": {**read.get("spec", {}), **change}}
        written: Any = await client.call(f"{PROJECTS}Update", {"project": project})
        for field, value in change.items():
            assert json.dumps(value) in json.dumps(written["spec"]) or _within(value, written["spec"][field])
    state: Any = await client.call(f"{PROJECTS}GetSyncWindowsState", {"name": "cli"})
    assert [window["timeZone"] for window in state["windows"]] == ["Europe/Berlin"]

    made: Any = await client.call(
        f"{PROJECTS}CreateToken", {"project": "cli", "role": "ci", "expiresIn": 3600}
    )
    assert made["token"].count(".") == 2
    read = await client.call(f"{PROJECTS}Get", {"name": "cli"})
    (token,) = read["spec"]["roles"][0]["jwtTokens"]
    assert token["exp"] == token["iat"] + 3600
    await client.call(f"{PROJECTS}DeleteToken", {"project": "cli", "role": "ci", "iat": token["iat"]})
    detailed: Any = await client.call(f"{PROJECTS}GetDetailedProject", {"name": "cli"})
    assert not detailed["project"]["spec"]["roles"][0].get("jwtTokens")

    listed: Any = await client.call(f"{PROJECTS}List", {})
    assert {"cli", "default"} <= {each["metadata"]["name"] for each in listed["items"]}
    await client.call(f"{PROJECTS}Delete", {"name": "cli"})
    with pytest.raises(CallFailed) as caught:
        await client.call(f"{PROJECTS}GetDetailedProject", {"name": "cli"})
    assert (caught.value.code, caught.value.message) == (
        "NotFound",
        'appprojects.argoproj.io "cli" not found',
    )


def _within(wanted: Any, found: Any) -> bool:
    """Whether what was written is there, besides values that protobuf always carries."""
    if isinstance(wanted, dict):
        return all(_within(value, found.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return len(wanted) == len(found) and all(map(_within, wanted, found))
    return bool(wanted == (found or type(wanted)()))


async def test_cluster_add_set_get_list_rm(client: Client, api: Running) -> None:
    server = api.plane.server.replace("127.0.0.1", "localhost")
    config = {"tlsClientConfig": {"caData": api.plane.ca_file.read_bytes()}}
    for _ in range(2):
        made: Any = await client.call(
            f"{CLUSTERS}Create",
            {"cluster": {"server": server, "name": "cli one", "config": config}, "upsert": True},
        )
        assert made["info"]["connectionState"]["status"] == "Successful"
    by_name = {"type": "name", "value": "cli one"}
    changed: Any = await client.call(
        f"{CLUSTERS}Update",
        {
            "cluster": {"name": "cli two", "namespaces": ["a"]},
            "updatedFields": ["name", "namespaces"],
            "id": by_name,
        },
    )
    assert (changed["name"], changed["namespaces"]) == ("cli two", ["a"])
    escaped = {"type": "name_escaped", "value": "cli%2520two"}
    shown: Any = await client.call(f"{CLUSTERS}Get", {"id": escaped})
    assert shown["server"] == server
    assert not shown["config"]["tlsClientConfig"].get("caData")
    listed: Any = await client.call(f"{CLUSTERS}List", {})
    assert {server, "https://kubernetes.default.svc"} == {each["server"] for each in listed["items"]}
    await client.call(f"{CLUSTERS}InvalidateCache", {"id": {"value": server}})
    with pytest.raises(CallFailed) as caught:
        await client.call(f"{CLUSTERS}RotateAuth", {"server": server})
    assert caught.value.code == "InvalidArgument"
    await client.call(f"{CLUSTERS}Delete", {"server": server})
    with pytest.raises(CallFailed) as caught:
        await client.call(f"{CLUSTERS}Get", {"server": server})
    assert (caught.value.code, caught.value.message) == ("PermissionDenied", "permission denied")


async def test_appset_create_list_get_watch_delete(client: Client) -> None:
    name = "cli-set"
    body: Any = {
        "metadata": {"name": name},
        "spec": {
            "generators": [{"list": {"elements": [{"raw": b'{"cluster":"a"}'}]}}],
            "template": {
                "metadata": {"name": "{{cluster}}"},
                "spec": {
                    "project": "default",
                    "source": {"repoURL": "https://example.org/a.git", "path": "."},
                    "destination": {"server": "https://kubernetes.default.svc", "namespace": "n"},
                },
            },
        },
    }
    with pytest.raises(CallFailed) as caught:
        await client.call(f"{SETS}Get", {"name": name})
    assert caught.value.code == "NotFound"
    made: Any = await client.call(f"{SETS}Create", {"applicationset": body})
    assert made["spec"]["generators"][0]["list"]["elements"] == [{"raw": b'{"cluster":"a"}'}]
    body["spec"]["goTemplate"] = True
    await client.call(f"{SETS}Create", {"applicationset": body, "upsert": True})
    listed: Any = await client.call(f"{SETS}List", {"projects": ["default"]})
    assert name in [each["metadata"]["name"] for each in listed["items"]]

    events = client.stream(f"{SETS}Watch", {"name": name})
    async with asyncio.timeout(SECONDS):
        first: Any = await anext(events)
        await client.call(f"{SETS}Delete", {"name": name})
        last: Any = await anext(events)
    await events.aclose()  # type: ignore[attr-defined]
    assert (first["type"], first["applicationSet"]["spec"]["goTemplate"]) == ("ADDED", True)
    assert (last["type"], last["applicationSet"]["metadata"]["name"]) == ("DELETED", name)
    with pytest.raises(CallFailed) as caught:
        await client.call(f"{SETS}Generate", {"applicationSet": body})
    assert caught.value.code == "Unimplemented"


async def test_notifications_that_are_not_configured(client: Client) -> None:
    for kind in ("Triggers", "Templates", "Services"):
        assert await client.call(f"notification.NotificationService/List{kind}", {}) == {}
