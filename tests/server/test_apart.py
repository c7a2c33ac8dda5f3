"""Controllers and API server in two processes: what one knows is asked of the other, by nobody else."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from demo.repository import Repository
from tests.controlplane import ControlPlane
from tests.server.conftest import unique_namespace
from tests.server.running import Running, running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def apart(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    """An API server that has no controllers in its process."""
    folder = tmp_path_factory.mktemp("apart")
    async with running(control_plane, folder, unique_namespace("apart"), apart=True) as api:
        yield api


def app_name(apart: Running) -> str:
    """One that no other test of the cluster has: objects are tracked by it."""
    return f"guestbook-{apart.namespace}"


async def test_a_story_over_two_processes(apart: Running, tmp_path: Path) -> None:
    repository = Repository.create(tmp_path / "repository")
    name = app_name(apart)
    spec = {
        "project": "default",
        "source": {"repoURL": repository.url, "path": "plain", "targetRevision": "main"},
        "destination": {
            "server": "https://kubernetes.default.svc",
            "namespace": f"{apart.namespace}-apps",
        },
        "syncPolicy": {"syncOptions": ["CreateNamespace=true"]},
    }
    made = await apart.call("POST", "/api/v1/applications", body={"metadata": {"name": name}, "spec": spec})
    assert made.status == 200, made.text
    synced = await apart.call("POST", f"/api/v1/applications/{name}/sync", body={"name": name})
    assert synced.status == 200, synced.text
    path = f"/api/v1/applications/{name}"
    await apart.until(path, lambda answer: answer.json["status"].get("health", {}).get("status") == "Healthy")
    tree = (await apart.get(f"{path}/resource-tree")).json
    assert {"Deployment", "ReplicaSet", "Pod"} <= {node["kind"] for node in tree["nodes"]}
    managed = (await apart.get(f"{path}/managed-resources", params={"kind": "Deployment"})).json
    assert [(item["kind"], item["name"]) for item in managed["items"]] == [("Deployment", "guestbook")]
    cluster = (await apart.get("/api/v1/clusters/https%3A%2F%2Fkubernetes.default.svc")).json
    assert cluster["info"]["connectionState"]["status"] == "Successful"


async def test_changes_of_the_tree_are_streamed(apart: Running) -> None:
    url = f"{apart.base}/api/v1/stream/applications/{app_name(apart)}/resource-tree"
    headers = {"Authorization": f"Bearer {apart.token}"}
    async with apart.session.get(url, headers=headers) as answer:
        assert answer.status == 200

        async def next_tree() -> list[str]:
            line = await answer.content.readline()
            return [node["name"] for node in json.loads(line)["result"]["nodes"]]

        namespace = f"{apart.namespace}-apps"
        waiting = asyncio.create_task(next_tree())
        while not waiting.done():
            await asyncio.to_thread(
                apart.plane.kubectl, "-n", namespace, "delete", "pod", "--all", "--wait=false"
            )
            await asyncio.wait({waiting}, timeout=1)
        assert "guestbook" in await waiting


@pytest.mark.parametrize("authorization", ["", "Bearer x.y.z", "session"])
async def test_nobody_else_gets_an_answer(apart: Running, authorization: str) -> None:
    context = ssl.create_default_context(cadata=apart.secret("argocd-secret")["tls.crt"])
    context.check_hostname = False
    if authorization == "session":
        authorization = f"Bearer {apart.token}"
    headers = {"Authorization": authorization} if authorization else {}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        url = f"https://127.0.0.1:{apart.ports['inside']}/inside/cluster?server=x"
        async with session.get(url, headers=headers) as answer:
            assert answer.status == 401
