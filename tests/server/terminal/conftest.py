"""An API with the terminal on, and an Application whose destination is a cluster with a stand-in for exec."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from tests.controlplane import ControlPlane
from tests.live.misbehaving import Proxy
from tests.server.conftest import unique_namespace
from tests.server.resources.objects import deployment
from tests.server.resources.site import APPS, Site
from tests.server.resources.site import site as open_site
from tests.server.running import Answer, Running
from tests.server.terminal.standin import ExecServer
from tiphys.kube.connections import from_kubeconfig


class ExecProxy(Proxy):
    """The real API server, but for exec."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.exec = ExecServer()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/exec"):
            return await self.exec.handle(request)
        return await super().handle(request)


class Terminals(msgspec.Struct, eq=False):
    """See the module.

    Attributes:
        wish: good query parameters.
    """

    site: Site
    proxy: ExecProxy
    wish: dict[str, str]

    async def ask(
        self, caller: Running | None, *, cookie: str | None = None, **changes: str | None
    ) -> Answer:
        """A plain GET: the refusal, or what a client that wants no websocket gets.

        Args:
            changes: query parameters that differ; None leaves one out.
        """
        headers = {}
        if cookie is None and caller is not None:
            cookie = f"argocd.token={caller.token}"
        if cookie is not None:
            headers["Cookie"] = cookie
        params = {key: value for key, value in {**self.wish, **changes}.items() if value is not None}
        return await self.site.admin.call("GET", "/terminal", params=params, headers=headers, token="")

    @asynccontextmanager
    async def open(
        self, caller: Running, *, origin: str = "", **changes: str
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """The websocket of a caller."""
        headers = {"Cookie": f"argocd.token={caller.token}"} | ({"Origin": origin} if origin else {})
        async with self.site.admin.session.ws_connect(
            f"{self.site.admin.base}/terminal", params={**self.wish, **changes}, headers=headers
        ) as socket:
            yield socket

    async def policy(self, text: str) -> None:
        """Further lines of the policy."""
        patch = json.dumps({"data": {"policy.terminals.csv": text}})
        await asyncio.to_thread(
            self.site.admin.kubectl, "patch", "configmap", "argocd-rbac-cm", "--type=merge", "-p", patch
        )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def terminals(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Terminals]:
    folder, namespace = tmp_path_factory.mktemp("terminals"), unique_namespace("term")
    files = {
        "shells/web.yaml": deployment("web", replicas=1),
        "plain/web.yaml": deployment("plain", replicas=1),
        "gone/web.yaml": deployment("gone", replicas=1),
    }
    async with (
        ExecProxy(from_kubeconfig(control_plane.kubeconfig)).running() as proxy,
        open_site(control_plane, folder, namespace, files, settings={"exec.enabled": "true"}) as site,
    ):
        assert isinstance(proxy, ExecProxy)
        config = json.dumps({"bearerToken": "stand-in"})
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "through", "labels": {"argocd.argoproj.io/secret-type": "cluster"}},
            "stringData": {"name": "through", "server": proxy.url, "config": config},
        }
        project = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": "team"},
            "spec": {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]},
        }
        await asyncio.to_thread(site.admin.apply, secret, project)
        await site.admin.until(
            "/api/v1/clusters", lambda a: any(c["name"] == "through" for c in a.json["items"])
        )
        await site.admin.until(
            "/api/v1/projects/team", lambda a: a.json["spec"]["destinations"][0]["server"] == "*"
        )
        await site.create("shells", destination={"server": proxy.url, "namespace": site.place})
        wish = await running_pod(site, "shells")
        yield Terminals(site, proxy, wish)


async def running_pod(site: Site, name: str) -> dict[str, str]:
    """Parameters for the Pod of an Application, once it runs."""

    def pods(answer: Answer) -> list[dict[str, Any]]:
        nodes = answer.json.get("nodes", ())
        wanted = {"name": "Status Reason", "value": "Running"}
        return [n for n in nodes if n["kind"] == "Pod" and wanted in n.get("info", ())]

    found = pods(await site.admin.until(f"{APPS}/{name}/resource-tree", lambda a: bool(pods(a))))
    pod = await site.live("Pod", found[0]["name"])
    assert pod is not None
    return {
        "pod": found[0]["name"],
        "container": pod["spec"]["containers"][0]["name"],
        "appName": name,
        "projectName": "team",
        "namespace": site.place,
        "appNamespace": site.admin.namespace,
    }


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def plain(terminals: Terminals) -> dict[str, str]:
    """Parameters for a Pod of the real API server."""
    await terminals.site.create("plain")
    return await running_pod(terminals.site, "plain")


@pytest.fixture(autouse=True)
def _fresh(request: pytest.FixtureRequest) -> None:
    """Each test finds the stand-in as it began."""
    if "terminals" in request.fixturenames:
        request.getfixturevalue("terminals").proxy.exec = ExecServer()
