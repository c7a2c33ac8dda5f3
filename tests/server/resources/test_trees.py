"""Trees and differences over the API (api.md 8.2, 10)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.server.grpc.client import CallFailed
from tests.server.resources.site import APPS, Site, refusal
from tiphys.kube.client import MERGE_PATCH
from tiphys.resources.identity import GVK

pytestmark = pytest.mark.controlplane
WATCH = "application.ApplicationService/WatchResourceTree"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tree(site: Site) -> AsyncIterator[Site]:
    await site.create("tree")
    yield site


async def test_the_whole_tree_whatever_is_asked_for(tree: Site) -> None:
    answer = await tree.admin.until(
        f"{APPS}/tree/resource-tree", lambda a: any(n["kind"] == "Pod" for n in a.json["nodes"])
    )
    kinds = {node["kind"] for node in answer.json["nodes"]}
    assert {"Deployment", "ReplicaSet", "Pod", "Service", "ConfigMap"} <= kinds
    named = await tree.reader.get(f"{APPS}/tree/resource-tree", params={"kind": "Service", "name": "x"})
    assert {node["kind"] for node in named.json["nodes"]} == kinds
    hook = next(node for node in answer.json["nodes"] if node["name"] == "tree-hook")
    assert hook["uid"], "live hooks are shown"


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        pytest.param({}, {"Deployment/tree-web", "Service/tree-web"}, id="all-but-hooks"),
        pytest.param({"kind": "Service"}, {"Service/tree-web"}, id="kind"),
        pytest.param({"group": "apps"}, {"Deployment/tree-web"}, id="group"),
        pytest.param({"name": "tree-web", "kind": "Deployment"}, {"Deployment/tree-web"}, id="both"),
        pytest.param({"name": "tree-hook"}, set(), id="a-hook"),
        pytest.param({"namespace": "elsewhere"}, set(), id="namespace"),
        pytest.param({"kind": "Service", "version": "v9"}, {"Service/tree-web"}, id="version-is-ignored"),
    ],
)
async def test_managed_resources(tree: Site, filters: dict[str, str], expected: set[str]) -> None:
    # health-and-resources.md 12.1
    answer = await tree.reader.get(f"{APPS}/tree/managed-resources", params=filters)
    assert answer.status == 200, answer.text
    items = answer.json.get("items", [])
    assert {f"{item['kind']}/{item['name']}" for item in items} == expected
    assert "hook" not in answer.text or expected, "hooks are never returned"
    for item in items:
        assert json.loads(item["targetState"])["kind"] == item["kind"]
        assert json.loads(item["liveState"])["metadata"]["uid"]


async def test_nothing_is_known_of_what_cannot_be_compared(site: Site) -> None:
    # 9.7: an empty tree for a broken spec
    manifest = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "nowhere"},
        "spec": {
            "project": "team",
            "source": {"repoURL": site.url, "path": "missing"},
            "destination": {"server": "https://nobody.example", "namespace": site.place},
        },
    }
    await asyncio.to_thread(site.admin.apply, manifest)
    await site.settled("nowhere")
    answer = await site.admin.get(f"{APPS}/nowhere/resource-tree")
    assert (answer.status, answer.json) == (200, {})
    answer = await site.admin.get(f"{APPS}/nowhere/managed-resources")
    assert (answer.status, answer.json) == (200, {})


async def test_a_tree_after_each_change(tree: Site) -> None:
    # api.md 10: nothing at first, then whole trees
    async with tree.reader.grpc() as client:
        stream = client.stream(WATCH, {"applicationName": "tree"})
        first = asyncio.ensure_future(anext(stream))
        notice = {"metadata": {"labels": {"moved": "once"}}}
        for _ in range(50):
            # the stream is open when the server says so by answering; until then changes go by
            await tree.client.patch(GVK("", "v1", "Service"), tree.place, "tree-web", notice, MERGE_PATCH)
            done, _ = await asyncio.wait({first}, timeout=0.2)
            if done:
                break
            notice["metadata"]["labels"]["moved"] += "-more"
        found: dict[str, Any] = await first
        assert {"Deployment", "Service"} <= {node["resourceRef"]["kind"] for node in found["nodes"]}
        await stream.aclose()  # type: ignore[attr-defined]


async def test_a_stream_of_events_over_rest(tree: Site) -> None:
    # api.md 3: SSE, and only the fields that are asked for
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {tree.reader.token}"}
    path = "/api/v1/stream/applications/tree/resource-tree?fields=result.nodes.name"
    async with tree.admin.session.get(tree.admin.base + path, headers=headers) as answer:
        assert answer.status == 200
        line = asyncio.ensure_future(answer.content.readline())
        for number in range(50):
            notice = {"metadata": {"labels": {"told": f"x{number}"}}}
            await tree.client.patch(GVK("", "v1", "Service"), tree.place, "tree-web", notice, MERGE_PATCH)
            done, _ = await asyncio.wait({line}, timeout=0.3)
            if done:
                break
        text = (await line).decode()
    assert text.startswith("data: ")
    nodes = json.loads(text.removeprefix("data: "))["result"]["nodes"]
    assert {"name": "tree-web"} in nodes


async def test_a_stream_of_what_one_may_not_see(tree: Site) -> None:
    for name in ("tree", "no-such-app"):
        async with tree.stranger.grpc() as client:
            with pytest.raises(CallFailed, match="code = PermissionDenied desc = permission denied"):
                await anext(client.stream(WATCH, {"applicationName": name}))


async def test_a_stream_ends_with_its_application(site: Site) -> None:
    await site.create("tree-short", path="second")
    async with site.admin.grpc() as client:
        stream = client.stream(WATCH, {"applicationName": "tree-short"})
        ended = asyncio.ensure_future(_drain(stream))
        await asyncio.wait({ended}, timeout=0.5)
        answer = await site.admin.call("DELETE", f"{APPS}/tree-short", params={"cascade": "false"})
        assert answer.status == 200
        with pytest.raises(CallFailed, match="PermissionDenied"):
            await asyncio.wait_for(ended, 15)


async def _drain(stream: AsyncIterator[Any]) -> None:
    async for _ in stream:
        pass


@pytest.mark.parametrize("path", ["resource-tree", "managed-resources"])
async def test_the_same_refusal_for_what_is_there_and_what_is_not(tree: Site, path: str) -> None:
    for name in ("tree", "no-such-app"):
        assert refusal(await tree.stranger.get(f"{APPS}/{name}/{path}")) == (403, "permission denied")
