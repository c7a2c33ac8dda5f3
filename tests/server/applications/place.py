"""A running API with two teams, a Git repository, and words for what tests do with Applications."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import bcrypt
import msgspec

from tests.controlplane import ControlPlane
from tests.gitservers import GitRepo
from tests.server.running import Answer, Running, running

SERVER = "https://kubernetes.default.svc"
PASSWORD = "correct-horse"
SETTINGS = {
    "accounts.tenant": "login",
    "accounts.reader": "login",
    "accounts.stranger": "login",
    "timeout.reconciliation": "0s",
}
RBAC = {
    "policy.csv": """
p, role:team, applications, *, team/*, allow
g, tenant, role:team
p, reader, applications, get, team/*, allow
p, stranger, applications, *, other/*, allow
"""
}
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {a: '1'}\n"
KINDS = "/api/v1/applications"

_numbers = itertools.count(1)


class Place(msgspec.Struct, eq=False):
    """See the module.

    Attributes:
        admin: the API as its admin; ``tenant`` may do everything in project ``team``, ``reader`` may
            look there, ``stranger`` has another project.
    """

    admin: Running
    tenant: Running
    reader: Running
    stranger: Running
    repository: GitRepo

    @property
    def namespace(self) -> str:
        return self.admin.namespace

    def manifest(self, name: str = "", **spec: Any) -> dict[str, Any]:
        """An Application of project ``team`` with one ConfigMap, whose name is the Application's."""
        name = name or f"app-{next(_numbers)}"
        given = {
            "project": "team",
            "source": {"repoURL": self.repository.url, "path": "one", "targetRevision": "main"},
            "destination": {"server": SERVER, "namespace": self.namespace},
            **spec,
        }
        return {
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {key: value for key, value in given.items() if value is not None},
        }

    async def create(self, name: str = "", *, metadata: Any = None, **spec: Any) -> dict[str, Any]:
        """An Application made through the API (without asking its repository); as answered."""
        body = self.manifest(name, **spec)
        body["metadata"] |= metadata or {}
        answer = await self.admin.call("POST", KINDS, body=body, params={"validate": "false"})
        assert answer.status == 200, answer.text
        app: dict[str, Any] = answer.json
        return app

    async def stored(self, name: str) -> dict[str, Any]:
        """The Application as Kubernetes has it."""
        found: dict[str, Any] = await asyncio.to_thread(
            self.admin.plane.kubectl.json, "-n", self.namespace, "get", "applications.argoproj.io", name
        )
        return found

    async def settled(self, name: str) -> dict[str, Any]:
        """The Application once the controller has compared it."""
        answer = await self.admin.until(
            f"{KINDS}/{name}", lambda answer: answer.json.get("status", {}).get("sync", {}).get("status")
        )
        app: dict[str, Any] = answer.json
        return app

    async def told(self, name: str, reason: str, message: str) -> None:
        """Wait for an Event of the audit trail.

        Raises:
            AssertionError: it does not come.
        """
        limit = asyncio.get_running_loop().time() + 10
        while True:
            listed = await asyncio.to_thread(
                self.admin.plane.kubectl.json,
                "-n",
                self.namespace,
                "get",
                "events",
                "--field-selector",
                f"involvedObject.name={name},involvedObject.kind=Application",
            )
            found = [
                (each["reason"], each["message"])
                for each in listed["items"]
                if each["source"].get("component") == "argocd-server"
            ]
            if (reason, message) in found:
                return
            assert asyncio.get_running_loop().time() < limit, found
            await asyncio.sleep(0.1)

    async def patch_stored(self, name: str, patch: str) -> None:
        """kubectl patch."""
        await asyncio.to_thread(
            self.admin.kubectl, "patch", "applications.argoproj.io", name, "--type=merge", "-p", patch
        )


def refusal(answer: Answer) -> tuple[int, int, str]:
    """HTTP status, code and message of a failed call."""
    body = answer.json
    assert body["error"] == body["message"]
    return answer.status, body["code"], body["message"]


@asynccontextmanager
async def place(plane: ControlPlane, folder: Path, namespace: str, **arguments: Any) -> AsyncIterator[Place]:
    """Start it; ``arguments`` as of :func:`tests.server.running.running`."""
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    secret = {f"accounts.{name}.password": hashed for name in ("tenant", "reader", "stranger")}
    repository = GitRepo(folder / "repository")
    repository.commit(
        {
            "one/a.yaml": CONFIG_MAP % "one",
            "two/a.yaml": CONFIG_MAP % "two",
            "broken/a.yaml": "apiVersion: v1\nkind: ConfigMap\n",
        }
    )
    settings = {**SETTINGS, **arguments.pop("settings", {})}
    rbac = {**RBAC, **arguments.pop("rbac", {})}
    async with running(
        plane, folder / "cache", namespace, settings=settings, rbac=rbac, secret=secret, **arguments
    ) as admin:
        await asyncio.to_thread(admin.apply, *(_project(name) for name in ("team", "other", "moved")))
        await _until_known(admin)
        tokens = [await admin.login(name, PASSWORD) for name in ("tenant", "reader", "stranger")]
        yield Place(admin, *(admin.acting(token) for token in tokens), repository)


def _project(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": name},
        "spec": {
            "sourceRepos": ["file://*", "file:///**"],
            "destinations": [{"server": SERVER, "namespace": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        },
    }


async def _until_known(admin: Running) -> None:
    """Wait until the projects are in the cache: such an Application is refused for another reason."""
    body = {"metadata": {"name": "probe"}, "spec": {"project": "moved", "destination": {}}}
    limit = asyncio.get_running_loop().time() + 20
    while True:
        answer = await admin.call("POST", KINDS, body=body)
        if "is not allowed in project" not in answer.text:
            return
        assert asyncio.get_running_loop().time() < limit, answer.text
        await asyncio.sleep(0.05)
