"""Resources where something is in the way: unreachable clusters, impersonation, kinds of users, charts."""

from __future__ import annotations

import asyncio
import io
import json
import os
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.controlplane import ControlPlane
from tests.server.conftest import unique_namespace
from tests.server.grpc.client import CallFailed
from tests.server.resources.archives import add
from tests.server.resources.objects import config_map
from tests.server.resources.site import APPS, Site, named, refusal
from tests.server.resources.site import site as open_site
from tiphys.resources.identity import GVK

pytestmark = pytest.mark.controlplane
TREE = "application.ApplicationService/ResourceTree"
GROUP = f"res{os.getpid()}.example.org"


def cluster(name: str, server: str, **annotations: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "labels": {"argocd.argoproj.io/secret-type": "cluster"},
            "annotations": annotations,
        },
        "stringData": {"name": name, "server": server, "config": "{}"},
    }


def application(site: Site, name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name},
        "spec": {
            "project": "default",
            "source": {"repoURL": site.url, "path": "second", "targetRevision": "main"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": site.place},
            **spec,
        },
    }


async def test_why_nothing_is_known(site: Site) -> None:
    # health-and-resources.md 9.7: the conditions say why
    server = "https://127.0.0.1:1"
    app = application(site, "far", destination={"server": server, "namespace": "x"})
    await asyncio.to_thread(site.admin.apply, cluster("far", server), app)
    await site.admin.until(f"{APPS}/far", lambda a: "ComparisonError" in a.text)
    for path in ("resource-tree", "managed-resources"):
        answer = await site.admin.get(f"{APPS}/far/{path}")
        assert answer.status == 500
        assert answer.json["message"].startswith("ComparisonError: Failed to load live state: ")


async def test_a_refresh_that_nobody_makes_ends_with_the_caller(site: Site) -> None:
    server = "https://127.0.0.1:2"
    secret = cluster("idle", server, **{"argocd.argoproj.io/skip-reconcile": "true"})
    await asyncio.to_thread(site.admin.apply, secret)
    app = application(site, "idle", destination={"server": server, "namespace": "x"})
    await asyncio.to_thread(site.admin.apply, app)
    await site.admin.until(f"{APPS}/idle", lambda a: a.status == 200)
    async with site.admin.grpc() as client:
        with pytest.raises(CallFailed, match="DeadlineExceeded"):
            await client.call(TREE, {"applicationName": "idle"}, seconds=1)


async def test_objects_are_reached_as_whom_the_project_says(site: Site) -> None:
    # applications.md 19, api.md 8.2
    project = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": "someone"},
        "spec": {
            "sourceRepos": ["*"],
            "destinations": [{"server": "*", "namespace": "*"}],
            "destinationServiceAccounts": [
                {"server": "*", "namespace": "somewhere-else", "defaultServiceAccount": "nobody"}
            ],
        },
    }
    await asyncio.to_thread(site.admin.apply, project)
    await site.admin.until("/api/v1/projects/someone", lambda a: a.status == 200)
    await site.create("someone", path="second", project="someone")
    path, params = f"{APPS}/someone/resource", named("ConfigMap", "third", site.place)
    assert (await site.admin.get(path, params=params)).status == 200
    async with site.setting("application.sync.impersonation.enabled", "true"):
        answer = await site.admin.until(path, lambda a: a.status != 200, params=params)
        assert refusal(answer) == (
            500,
            "no matching service account found for destination server "
            f"https://kubernetes.default.svc and namespace {site.place}",
        )
        project["spec"]["destinationServiceAccounts"][0]["namespace"] = "*"  # type: ignore[index]
        await asyncio.to_thread(site.admin.apply, project)
        answer = await site.admin.until(path, lambda a: a.status == 403, params=params)
        assert f'User "system:serviceaccount:{site.place}:nobody" cannot get' in answer.json["message"]


def definition(kind: str, *, subresource: bool) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    version: dict[str, Any] = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {
            "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }
    if subresource:
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [version],
        },
    }


@pytest.mark.parametrize(("kind", "subresource"), [("Thing", True), ("Plain", False)])
async def test_actions_write_the_status_where_it_is(site: Site, kind: str, subresource: bool) -> None:
    # health-and-resources.md 5.2 step 5
    script = """
definitions:
- name: both
  action.lua: |
    obj.spec = obj.spec or {}
    obj.spec.told = "spec"
    obj.status = obj.status or {}
    obj.status.told = "status"
    return obj
"""
    kubectl = site.admin.plane.kubectl
    await asyncio.to_thread(
        kubectl, "apply", "-f", "-", stdin=json.dumps(definition(kind, subresource=subresource))
    )
    name = kind.lower()
    try:
        await asyncio.to_thread(kubectl, "wait", "--for=condition=Established", f"crd/{name}s.{GROUP}")
        manifest = {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": {"name": name}}
        project = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": "watchful"},
            "spec": {
                "sourceRepos": ["*"],
                "destinations": [{"server": "*", "namespace": "*"}],
                "orphanedResources": {},
            },
        }
        await asyncio.to_thread(site.admin.apply, project)
        await site.admin.until("/api/v1/projects/watchful", lambda a: a.status == 200)
        await site.create(f"with-{name}", path="second", project="watchful", sync=False)
        await asyncio.to_thread(kubectl, "-n", site.place, "apply", "-f", "-", stdin=json.dumps(manifest))
        await site.admin.until(
            f"{APPS}/with-{name}/resource-tree",
            lambda a: any(n["kind"] == kind for n in a.json.get("orphanedNodes", ())),
        )
        async with site.setting(f"resource.customizations.actions.{GROUP}_{kind}", script):
            body = {**named(kind, name, site.place, GROUP), "action": "both"}
            for _ in range(100):
                answer = await site.admin.call("POST", f"{APPS}/with-{name}/resource/actions/v2", body=body)
                if answer.status == 200:
                    break
                assert "does not exist" in answer.text, "until the setting has arrived"
        assert answer.status == 200, answer.text
        await site.client.refresh_discovery()  # the kind is younger than what this client knows
        found = await site.client.get(GVK(GROUP, "v1", kind), site.place, name)
        assert found["spec"] == {"told": "spec"}
        assert found["status"] == {"told": "status"}
    finally:
        await asyncio.to_thread(kubectl, "delete", "crd", f"{name}s.{GROUP}", "--wait=false")


@asynccontextmanager
async def charts() -> AsyncIterator[str]:
    """A chart repository with one chart; its URL."""
    chart = (
        b"apiVersion: v2\nname: web\nversion: 1.2.3\ndescription: A web\nhome: https://web.example\n"
        b"maintainers: [{name: Ada, email: ada@example.org}, {name: Bob}]\n"
    )
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        add(archive, "web/Chart.yaml", chart)
    entry = "{apiVersion: v2, name: web, version: 1.2.3, urls: [web-1.2.3.tgz]}"
    index = f"apiVersion: v1\nentries:\n  web:\n  - {entry}\n"
    app = web.Application()

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/index.yaml":
            return web.Response(text=index)
        return web.Response(body=buffer.getvalue())

    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_what_a_chart_says_of_itself(site: Site) -> None:
    # sources.md 9.6
    async with charts() as url:
        source = {"repoURL": url, "chart": "web", "targetRevision": "1.2.3"}
        await asyncio.to_thread(site.admin.apply, application(site, "chart", source=source))
        await site.admin.until(f"{APPS}/chart", lambda a: a.status == 200)
        answer = await site.admin.get(f"{APPS}/chart/revisions/1.2.3/chartdetails")
        assert answer.status == 200, answer.text
        assert answer.json == {
            "description": "A web",
            "home": "https://web.example",
            "maintainers": ["Ada <ada@example.org>", "Bob <>"],
        }
        answer = await site.admin.get(f"{APPS}/chart/revisions/1.2.3/metadata")
        assert refusal(answer) == (400, "revision 1.2.3 must be resolved")


async def test_applications_in_other_namespaces(control_plane: ControlPlane, tmp_path: Path) -> None:
    # applications.md 23: named by appNamespace, tracked as <namespace>_<name>, RBAC project/namespace/name
    namespace = unique_namespace("any")
    other = f"{namespace}-apps"
    files = {"second/a.yaml": config_map("third")}
    flags = {"--application-namespaces": f"{namespace}-*"}
    await asyncio.to_thread(control_plane.kubectl, "create", "namespace", other)
    try:
        async with open_site(control_plane, tmp_path, namespace, files, flags=flags) as made:
            project = {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "AppProject",
                "metadata": {"name": "team"},
                "spec": {
                    "sourceRepos": ["*"],
                    "sourceNamespaces": [other],
                    "destinations": [{"server": "*", "namespace": "*"}],
                },
            }
            app = application(made, "away", project="team")
            app["metadata"]["namespace"] = other
            app["operation"] = {"sync": {"syncStrategy": {"hook": {}}}}
            await asyncio.to_thread(made.admin.apply, project)
            await asyncio.to_thread(control_plane.kubectl, "apply", "-f", "-", stdin=json.dumps(app))
            path, params = f"{APPS}/away/resource-tree", {"appNamespace": other}
            answer = await made.reader.until(
                path,
                lambda a: a.status == 200 and any(n.get("uid") for n in a.json.get("nodes", ())),
                params=params,
            )
            assert [node["name"] for node in answer.json["nodes"]] == ["third"]
            answer = await made.reader.get(f"{APPS}/away/manifests", params=params)
            assert f"{other}_away:/ConfigMap:" in answer.text
            assert refusal(await made.reader.get(path)) == (403, "permission denied")
            assert refusal(await made.stranger.get(path, params=params)) == (403, "permission denied")
            outside = {"appNamespace": "kube-system"}
            assert refusal(await made.admin.get(path, params=outside)) == (403, "permission denied")
    finally:
        await asyncio.to_thread(control_plane.kubectl, "delete", "namespace", other, "--wait=false")
