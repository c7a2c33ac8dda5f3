"""``argocd app logs``: the logs of a container, through the real API server from (a stand-in of) its kubelet
(api.md 8.2 "PodLogs", 16)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.server.cli.conftest import Shell
from tests.server.cli.kubelet import Kubelet, kubelet
from tests.server.cli.test_app_commands import APP, delete, get
from tests.server.grpc.client import CallFailed

pytestmark = pytest.mark.controlplane


class Logged:
    """An Application with one Pod of two containers."""

    def __init__(self, shell: Shell, node: Kubelet, name: str):
        self.shell = shell
        self.node = node
        self.name = name

    def logs(self, **flags: Any) -> AsyncIterator[dict[str, Any]]:
        """What the command asks; without flags as it fills the request."""
        request = {
            "name": self.name,
            "group": "",
            "kind": "Pod",
            "namespace": self.shell.api.namespace,
            "resourceName": self.name,
            "follow": False,
            "tailLines": 0,
            "sinceSeconds": 0,
            "container": "main",
            "previous": False,
            "matchCase": False,
        }
        return self.shell.client.stream(f"{APP}PodLogs", request | flags, seconds=120)


@pytest_asyncio.fixture(loop_scope="session")
async def logged(shell: Shell) -> AsyncIterator[Logged]:
    await shell.begin()
    application = shell.application()
    name: str = application["metadata"]["name"]  # type: ignore[index]
    async with kubelet(shell.api.plane, f"{name}-{shell.api.namespace}") as node:
        await node.say("starting", "listening on 8080", "GET /")
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "nodeName": node.node,
                "terminationGracePeriodSeconds": 0,
                "containers": [{"name": each, "image": "example.com/web:1"} for each in ("main", "side")],
            },
        }
        request = {"application": application, "upsert": False, "validate": True}
        await shell.client.call(f"{APP}Create", request)
        sync = {"name": name, "manifests": [json.dumps(pod)]}
        await shell.client.call(f"{APP}Sync", sync)
        async for event in shell.client.stream(f"{APP}Watch", {"name": name}, seconds=60):
            phase = event["application"].get("status", {}).get("operationState", {}).get("phase")
            if phase == "Succeeded":
                break
        yield Logged(shell, node, name)
        await delete(shell, name)


async def test_lines_and_the_end(logged: Logged) -> None:
    entries = [entry async for entry in logged.logs()]
    assert [entry["content"] for entry in entries] == ["starting", "listening on 8080", "GET /", ""]
    assert entries[0]["podName"] == logged.name
    assert entries[0]["timeStampStr"] == "2026-01-31T12:00:00.000000001Z"
    assert [entry.get("last", False) for entry in entries] == [False, False, False, True]
    assert logged.node.asked[-1]["container"] == "main"
    assert logged.node.asked[-1]["timestamps"] == "true"


async def test_flags_reach_the_kubelet(logged: Logged) -> None:
    entries = [
        entry async for entry in logged.logs(container="side", tailLines=1, sinceSeconds=60, previous=True)
    ]
    assert [entry["content"] for entry in entries] == ["GET /", ""]
    wanted = {"container": "side", "tailLines": "1", "sinceSeconds": "60", "previous": "true"}
    assert wanted.items() <= logged.node.asked[-1].items()


@pytest.mark.parametrize(
    ("flags", "lines"),
    [
        ({"filter": "listen"}, ["listening on 8080"]),
        ({"filter": "get"}, ["GET /"]),
        ({"filter": "get", "matchCase": True}, []),
        ({"filter": "!listen"}, ["starting", "GET /"]),
        ({"untilTime": "2026-01-31T12:00:00.5Z"}, ["starting"]),
    ],
    ids=["part", "any case", "--match-case", "not", "--until-time"],
)
async def test_filters(logged: Logged, flags: dict[str, Any], lines: list[str]) -> None:
    entries = [entry async for entry in logged.logs(**flags)]
    assert [entry["content"] for entry in entries if not entry.get("last")] == lines
    assert entries[-1]["last"]


async def test_following(logged: Logged) -> None:
    """``-f``: what is written later arrives; with the container ends the stream, and the command asks anew
    only after Unavailable or an end without a status."""
    stream = logged.logs(follow=True, tailLines=1)
    assert (await anext(stream))["content"] == "GET /"
    await logged.node.say("GET /favicon.ico")
    assert (await anext(stream))["content"] == "GET /favicon.ico"
    await logged.node.say("bye", end=True)
    rest = [entry async for entry in stream]
    assert [(entry["content"], entry.get("last", False)) for entry in rest] == [("bye", False), ("", True)]
    assert logged.node.asked[-1]["follow"] == "true"


async def test_a_container_that_is_not_there(logged: Logged) -> None:
    """The API server's own words, as a line."""
    entries = [entry async for entry in logged.logs(container="nothing")]
    assert "container nothing is not valid for pod" in entries[0]["content"]


async def test_a_pod_of_somebody_else(logged: Logged) -> None:
    entries = [entry async for entry in logged.logs(resourceName="kube-apiserver")]
    assert all(entry.get("last") for entry in entries)
    with pytest.raises(CallFailed, match="permission denied"):
        await get(logged.shell, "somebody-elses")
