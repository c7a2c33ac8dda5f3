"""Logs of Pods over the API (health-and-resources.md 14).

The Pods of the local control plane have no kubelet and no logs: what its API server says of that is
tested as it is; everything else with a reverse proxy before it that speaks the endpoint for logs.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from tests.live.misbehaving import Proxy
from tests.server.grpc.client import CallFailed
from tests.server.resources.site import APPS, Site, refusal
from tests.server.running import Answer, Running
from tiphys.kube.connections import from_kubeconfig

pytestmark = pytest.mark.controlplane
LOGS = "application.ApplicationService/PodLogs"
NAME = "logs"


class LogProxy(Proxy):
    """Answers for logs; everything else is the API server's.

    Attributes:
        texts: what each Pod's log holds, in the order of the Pods' names; with ``follow`` it stays open.
        asked: query of each request for a log.
        open: logs that are open now.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.texts: list[str] = []
        self.asked: list[dict[str, str]] = []
        self.open = 0
        self._pods: list[str] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if not request.path.endswith("/log"):
            return await super().handle(request)
        self.asked.append(dict(request.query))
        pod = request.path.split("/")[-2]
        if pod not in self._pods:
            self._pods = sorted([*self._pods, pod])
            await asyncio.sleep(0.1)  # the other Pods are asked for, too
        text = self.texts[self._pods.index(pod) % len(self.texts)]
        if text.startswith("!"):
            body = {"kind": "Status", "code": 400, "reason": "BadRequest", "message": text[1:]}
            return web.json_response(body, status=400)
        response = web.StreamResponse()
        await response.prepare(request)
        self.open += 1
        try:
            await response.write(text.encode())
            if request.query.get("follow") == "true":
                await asyncio.Event().wait()
        finally:
            self.open -= 1
        return response


class Logged(msgspec.Struct, eq=False):
    site: Site
    proxy: LogProxy
    pods: list[str]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def logged(site: Site) -> AsyncIterator[Logged]:
    async with LogProxy(from_kubeconfig(site.admin.plane.kubeconfig)).running() as proxy:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "through", "labels": {"argocd.argoproj.io/secret-type": "cluster"}},
            "stringData": {"name": "through", "server": proxy.url, "config": "{}"},
        }
        project = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": "logs"},
            "spec": {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]},
        }
        await asyncio.to_thread(site.admin.apply, secret, project)
        await site.admin.until("/api/v1/projects/logs", lambda a: a.status == 200)
        for _ in range(100):
            answer = await site.admin.call(
                "POST",
                APPS,
                params={"validate": "false"},
                body={
                    "metadata": {"name": NAME},
                    "spec": {
                        "project": "logs",
                        "source": {"repoURL": site.url, "path": "logs", "targetRevision": "main"},
                        "destination": {"server": proxy.url, "namespace": site.place},
                    },
                },
            )
            if answer.status == 200:
                break
            await asyncio.sleep(0.1)  # the cluster's Secret arrives by the watch
        assert answer.status == 200, answer.text
        await site.admin.call("POST", f"{APPS}/{NAME}/sync", body={})
        await site.settled(NAME, synced=True)
        tree = await site.admin.until(
            f"{APPS}/{NAME}/resource-tree",
            lambda a: sum(n["kind"] == "Pod" for n in a.json.get("nodes", ())) == 2,
        )
        pods = sorted(node["name"] for node in tree.json["nodes"] if node["kind"] == "Pod")
        yield Logged(site, proxy, pods)
        await site.admin.call("DELETE", f"{APPS}/{NAME}", params={"cascade": "false"})


async def read(caller: Running, **params: str) -> list[dict[str, Any]]:
    """Entries of the stream over REST, each without its envelope."""
    answer = await caller.get(f"{APPS}/{NAME}/logs", params=params)
    assert answer.status == 200, answer.text
    return [json.loads(line)["result"] for line in answer.text.splitlines() if line]


def at(second: int, text: str) -> str:
    return f"2026-01-01T00:00:{second:02}.100000000Z {text}\n"


async def test_several_pods_in_one_stream(logged: Logged) -> None:
    logged.proxy.texts = [at(1, "first") + at(3, "third"), at(2, "second")]
    found = await read(logged.site.admin)
    assert [each["content"] for each in found] == ["first", "second", "third", ""]
    assert [each["podName"] for each in found] == [logged.pods[0], logged.pods[1], logged.pods[0], ""]
    assert [each["last"] for each in found] == [False, False, False, True]
    assert found[0]["timeStamp"] == "2026-01-01T00:00:01Z"
    assert found[0]["timeStampStr"] == "2026-01-01T00:00:01.1Z"
    assert found[-1]["timeStampStr"]


@pytest.mark.parametrize(
    ("params", "shown"),
    [
        pytest.param({"filter": "ERR"}, ["err one"], id="any-case"),
        pytest.param({"filter": "ERR", "matchCase": "true"}, [], id="exact-case"),
        pytest.param({"filter": "!err"}, ["fine", "late"], id="inverse"),
        pytest.param({"filter": "!"}, [], id="drops-everything"),
        pytest.param({"filter": ""}, ["err one", "fine", "late"], id="empty"),
    ],
)
async def test_filters(logged: Logged, params: dict[str, str], shown: list[str]) -> None:
    logged.proxy.texts = [at(1, "err one") + at(2, "fine") + at(9, "late"), ""]
    found = await read(logged.site.admin, **params)
    assert [each["content"] for each in found if not each["last"]] == shown


async def test_the_first_entry_after_the_end_is_the_last(logged: Logged) -> None:
    logged.proxy.texts = [at(1, "one") + at(5, "five") + at(6, "six"), ""]
    found = await read(logged.site.admin, untilTime="2026-01-01T00:00:03Z", follow="true")
    assert [(each["content"], each["last"]) for each in found] == [("one", False), ("five", True)]


async def test_an_end_that_is_no_time(logged: Logged) -> None:
    answer = await logged.site.admin.get(f"{APPS}/{NAME}/logs", params={"untilTime": "soon"})
    assert answer.status == 500
    assert "invalid untilTime parameter value: " in answer.text


async def test_what_the_api_server_is_asked_for(logged: Logged) -> None:
    logged.proxy.texts = [""]
    logged.proxy.asked.clear()
    await read(logged.site.admin, container="main", sinceSeconds="5", tailLines="7", previous="true")
    expected = {
        "timestamps": "true",
        "container": "main",
        "sinceSeconds": "5",
        "tailLines": "7",
        "previous": "true",
    }
    assert logged.proxy.asked == [expected, expected]
    logged.proxy.asked.clear()
    await read(logged.site.admin, sinceSeconds="0", tailLines="-1")
    assert logged.proxy.asked[0] == {"timestamps": "true"}
    logged.proxy.asked.clear()
    await read(logged.site.admin, **{"sinceTime.seconds": "1700000000"})
    assert logged.proxy.asked[0] == {"timestamps": "true", "sinceTime": "2023-11-14T22:13:20Z"}


async def test_one_pod_by_its_own_path(logged: Logged) -> None:
    logged.proxy.texts = [at(1, "one"), at(2, "two")]
    answer = await logged.site.admin.get(f"{APPS}/{NAME}/pods/{logged.pods[1]}/logs")
    found = [json.loads(line)["result"] for line in answer.text.splitlines() if line]
    assert [each["podName"] for each in found] == [logged.pods[1], ""]


@pytest.mark.parametrize(
    ("params", "count"),
    [
        pytest.param({"kind": "Deployment", "resourceName": "logs-web", "group": "apps"}, 2, id="above-them"),
        pytest.param({"kind": "ReplicaSet"}, 2, id="a-parent"),
        pytest.param({"kind": "Deployment", "resourceName": "other"}, 0, id="none"),
        pytest.param({"kind": "Pod", "group": "apps"}, 0, id="together"),
        pytest.param({"namespace": "elsewhere"}, 0, id="namespace"),
    ],
)
async def test_which_pods(logged: Logged, params: dict[str, str], count: int) -> None:
    logged.proxy.texts = [at(1, "x")]
    found = await read(logged.site.admin, **params)
    assert len([each for each in found if not each["last"]]) == count
    assert bool(found) is bool(count), "without Pods there is no entry at all"


async def test_a_log_that_cannot_be_opened(logged: Logged) -> None:
    logged.proxy.texts = ["!container main is waiting to start", at(1, "x")]
    found = await read(logged.site.admin)
    failed = next(each for each in found if "waiting" in each["content"])
    assert failed["content"] == "container main is waiting to start"
    assert failed["podName"] == ""
    assert failed["timeStampStr"] == "0001-01-01T00:00:00Z"
    assert any(each["content"] == "x" for each in found)


async def test_too_many_pods(logged: Logged) -> None:
    async with logged.site.setting("server.maxPodLogsToRender", "1"):
        answer = await logged.site.admin.until(f"{APPS}/{NAME}/logs", lambda a: "max pods" in a.text)
        assert "max pods to view logs are reached. Please provide more granular query" in answer.text


async def test_following_ends_with_the_client(logged: Logged) -> None:
    logged.proxy.texts = [at(1, "one"), at(2, "two")]
    async with logged.site.admin.grpc() as client:
        stream = client.stream(LOGS, {"name": NAME, "follow": True})
        first = await anext(stream)
        assert first["content"] == "one"
        assert logged.proxy.open == 2
        await stream.aclose()  # type: ignore[attr-defined]
    async with asyncio.timeout(10):
        while logged.proxy.open:  # noqa: ASYNC110 (another process' view: the proxy sees connections)
            await asyncio.sleep(0.02)


async def test_what_the_real_api_server_says(site: Site) -> None:
    # kwok's node has no kubelet: one entry with the error, then the end
    await site.create("tenants")
    await site.admin.until(
        f"{APPS}/tenants/resource-tree", lambda a: any(n["kind"] == "Pod" for n in a.json["nodes"])
    )
    answer = await site.patcher.get(f"{APPS}/tenants/logs")
    assert answer.status == 200, answer.text
    found = [json.loads(line)["result"] for line in answer.text.splitlines() if line]
    assert len(found) == 2
    assert found[0]["content"]
    assert found[0]["podName"] == ""
    assert found[1]["last"] is True


async def test_logs_are_a_right_of_their_own(site: Site, logged: Logged) -> None:
    # api.md 7: get of the Application, then logs, get in the detailed style
    answer: Answer = await site.reader.get(f"{APPS}/tenants/logs")
    assert "permission denied: logs, get, team/tenants, sub: reader" in answer.text
    for name in ("tenants", "no-such-app"):
        answer = await site.stranger.get(f"{APPS}/{name}/logs")
        assert answer.text.count("permission denied") >= 1
        assert "logs, get" not in answer.text
        async with site.stranger.grpc() as client:
            with pytest.raises(CallFailed, match="code = PermissionDenied desc = permission denied"):
                await anext(client.stream(LOGS, {"name": name}))
    assert refusal(await site.stranger.get(f"{APPS}/tenants/resource-tree"))[0] == 403
