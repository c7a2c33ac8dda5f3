"""An API with proxy extensions on, services in processes of their own, and people with few rights."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from tests.access.building import hashed
from tests.controlplane import ControlPlane
from tests.server.conftest import unique_namespace
from tests.server.port.running import pair
from tests.server.running import Answer, Running, running

PASSWORD = "correct-horse"
IN_CLUSTER = "https://kubernetes.default.svc"
ELSEWHERE = "https://elsewhere.example.org"
PEOPLE = ("caller", "reader", "invoker", "stranger", "other", "exact")
POLICY = """
p, caller, applications, get, team/*, allow
p, caller, extensions, invoke, *, allow
p, reader, applications, get, team/*, allow
p, invoker, extensions, invoke, *, allow
p, exact, applications, get, team/*/away, allow
p, exact, extensions, invoke, *, allow
p, other, applications, get, other/*, allow
p, other, extensions, invoke, *, allow
"""
SECRET = "Basic marmoset"


class Desk(msgspec.Struct, eq=False):
    """See the module.

    Attributes:
        admin: may do everything but calling extensions; ``people`` have passwords of their own.
        plain, tls: base URLs of two services, the second with TLS.
    """

    admin: Running
    people: dict[str, Running]
    plain: str
    tls: str

    async def ask(
        self,
        path: str,
        caller: str | None = "caller",
        *,
        verb: str = "GET",
        app: str | None = "shop",
        project: str | None = "team",
        headers: Mapping[str, str] | None = None,
        **arguments: Any,
    ) -> Answer:
        """A request to an extension, as the UI makes it."""
        given = self.given(caller, app=app, project=project) | dict(headers or {})
        return await self.admin.call(verb, f"/extensions/{path}", headers=given, token="", **arguments)

    def given(
        self, caller: str | None = "caller", *, app: str | None = "shop", project: str | None = "team"
    ) -> dict[str, str]:
        """The headers of such a request."""
        found = {}
        if caller is not None:
            found["Cookie"] = f"argocd.token={self.people[caller].token}; mine=1"
        if app is not None:
            found["Argocd-Application-Name"] = app if ":" in app else f"{self.admin.namespace}:{app}"
        if project is not None:
            found["Argocd-Project-Name"] = project
        return found

    async def told(self, base: str = "") -> dict[str, Any]:
        """What a service says of itself."""
        async with self.admin.session.get(f"{base or self.plain}/told") as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def release(self) -> None:
        async with self.admin.session.get(f"{self.plain}/release"):
            pass

    async def until(self, wanted: Any) -> dict[str, Any]:
        """What a service says of itself, once it is so."""
        limit = asyncio.get_running_loop().time() + 20
        while not wanted(told := await self.told()):
            assert asyncio.get_running_loop().time() < limit, told
            await asyncio.sleep(0.02)
        return told

    async def setting(self, name: str = "argocd-cm", **data: str | None) -> None:
        """Keys of a ConfigMap (dots written ``__``); None takes one away."""
        patch = json.dumps({"data": {key.replace("__", "."): value for key, value in data.items()}})
        await asyncio.to_thread(self.admin.kubectl, "patch", "configmap", name, "--type=merge", "-p", patch)


def echoed(answer: Answer) -> dict[str, list[str]]:
    """The headers that a service got, names in lower case."""
    found: dict[str, list[str]] = {}
    for name, value in answer.json["headers"]:
        found.setdefault(name.lower(), []).append(value)
    return found


@contextmanager
def service(*certificate: str) -> Iterator[int]:
    """The port of a service."""
    command = [sys.executable, "-m", "tests.server.extensions.service", *certificate]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["port"]
        finally:
            process.terminate()


def application(called: str, project: str = "team", **destination: str) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": called},
        "spec": {
            "project": project,
            "source": {"repoURL": "https://example.org/none.git", "path": "."},
            "destination": {"namespace": "anywhere", **(destination or {"server": IN_CLUSTER})},
        },
    }


def _project(name: str, *servers: str, namespaces: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": name},
        "spec": {
            "sourceRepos": ["*"],
            "sourceNamespaces": list(namespaces),
            "destinations": [{"server": server, "namespace": "*"} for server in servers],
        },
    }


def _cluster() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "elsewhere", "labels": {"argocd.argoproj.io/secret-type": "cluster"}},
        "stringData": {"name": "elsewhere", "server": ELSEWHERE, "config": "{}"},
    }


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def desk(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    folder: Path = tmp_path_factory.mktemp("extensions")
    namespace = unique_namespace("ext")
    away = f"{namespace}-away"
    await asyncio.to_thread(control_plane.kubectl, "create", "namespace", away)
    (folder / "crt").write_text(pair().certificate)
    (folder / "key").write_text(pair().key)
    with service() as plain, service(str(folder / "crt"), str(folder / "key")) as tls:
        settings = {
            **{f"accounts.{name}": "login" for name in PEOPLE},
            "timeout.reconciliation": "0s",
            "extension.config": json.dumps(
                {
                    "extensions": [
                        {
                            "name": "plain",
                            "backend": {
                                "maxIdleConnections": 2,
                                "services": [
                                    {
                                        "url": f"http://127.0.0.1:{plain}/unused",
                                        "headers": [
                                            {"name": "Authorization", "value": "$extension.secret"},
                                            {"name": "X-Plain", "value": "ours"},
                                        ],
                                    }
                                ],
                            },
                        },
                        {"name": "nobody", "backend": {"services": [{"url": "http://127.0.0.1:1"}]}},
                    ]
                }
            ),
            "extension.config.tls": f"services: [{{url: 'https://localhost:{tls}'}}]",
            "extension.config.each": json.dumps(
                {
                    "services": [
                        {"url": f"http://127.0.0.1:{plain}", "cluster": {"server": IN_CLUSTER}},
                        {"url": f"https://localhost:{tls}", "cluster": {"name": "elsewhere"}},
                    ]
                }
            ),
        }
        secret = {f"accounts.{name}.password": hashed(PASSWORD) for name in PEOPLE}
        async with running(
            control_plane,
            folder / "cache",
            namespace,
            settings=settings,
            rbac={"policy.csv": POLICY},
            secret=secret | {"extension.secret": SECRET},
            environ={
                "ARGOCD_SERVER_ENABLE_PROXY_EXTENSION": "true",
                "ARGOCD_APPLICATION_NAMESPACES": f"{namespace}-*",
            },
        ) as admin:
            certificates = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "name": "argocd-tls-certs-cm",
                    "labels": {"app.kubernetes.io/part-of": "argocd"},
                },
                "data": {"localhost": pair().certificate},
            }
            await asyncio.to_thread(
                admin.apply,
                certificates,
                _cluster(),
                _project("team", IN_CLUSTER, ELSEWHERE, namespaces=(away,)),
                _project("other", IN_CLUSTER),
                application("shop"),
                application("far", name="elsewhere"),
                application("far-by-server", server=ELSEWHERE),
                application("forbidden", "other", server=ELSEWHERE),
                application("theirs", "other"),
                application("nowhere", server="https://nowhere.example.org"),
            )
            here = application("away"), application("away-theirs", "other")
            for each in here:
                each["metadata"]["namespace"] = away
            text = json.dumps({"apiVersion": "v1", "kind": "List", "items": here})
            await asyncio.to_thread(control_plane.kubectl, "apply", "-f", "-", stdin=text)
            people = {name: admin.acting(await admin.login(name, PASSWORD)) for name in PEOPLE}
            made = Desk(
                admin,
                people | {"admin": admin},
                f"http://127.0.0.1:{plain}",
                f"https://127.0.0.1:{tls}",
            )
            await admin.until("/api/v1/applications", lambda answer: len(answer.json["items"] or ()) == 8)
            await admin.until(
                "/api/v1/clusters", lambda a: any(c["name"] == "elsewhere" for c in a.json["items"])
            )
            await admin.until("/api/v1/projects/team", lambda a: len(a.json["spec"]["destinations"]) == 2)
            yield made
    await asyncio.to_thread(control_plane.kubectl, "delete", "namespace", away, "--wait=false")
