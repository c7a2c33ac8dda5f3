"""A running API over real objects: a repository with a folder for each test, and callers with few rights."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import bcrypt
import msgspec
import yaml

from tests.controlplane import ControlPlane
from tests.server.running import Answer, Running, running
from tiphys.kube.client import ClusterClient
from tiphys.kube.connections import from_kubeconfig
from tiphys.kube.errors import NotFound
from tiphys.resources.identity import GVK, Manifest

SERVER = "https://kubernetes.default.svc"
PASSWORD = "correct-horse"
CALLERS = ("reader", "patcher", "stranger")
SETTINGS = {
    **{f"accounts.{name}": "login" for name in CALLERS},
    "timeout.reconciliation": "0s",
    "resource.sensitive.mask.annotations": "private/note",
}
POLICY = """
p, reader, applications, get, team/*, allow
p, patcher, applications, get, team/*, allow
p, patcher, applications, update, team/*, allow
p, patcher, applications, update//ConfigMap/*/open-*, team/*, allow
p, patcher, applications, delete//ConfigMap/*/open-*, team/*, allow
p, patcher, applications, action/apps/Deployment/restart, team/*, allow
p, patcher, logs, get, team/*, allow
p, stranger, applications, *, other/*, allow
p, stranger, logs, *, other/*, allow
"""
APPS = "/api/v1/applications"


class Site(msgspec.Struct, eq=False):
    """See the module.

    Attributes:
        admin: may do everything; ``reader`` looks at project ``team``, ``patcher`` has single rights
            there, ``stranger`` has another project.
        place: the destination namespace.
        client: the cluster, as its administrator.
    """

    admin: Running
    reader: Running
    patcher: Running
    stranger: Running
    place: str
    repository: Path
    client: ClusterClient

    @property
    def url(self) -> str:
        return f"file://{self.repository}"

    def git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=self.repository, check=True, capture_output=True, text=True
        ).stdout.strip()

    async def create(
        self, name: str, *, path: str = "", sync: bool = True, metadata: Any = None, **spec: Any
    ) -> dict[str, Any]:
        """An Application of a folder (default: its name), compared, and by default synced."""
        body = {
            "metadata": {"name": name, **(metadata or {})},
            "spec": {
                "project": "team",
                "source": {"repoURL": self.url, "path": path or name, "targetRevision": "main"},
                "destination": {"server": SERVER, "namespace": self.place},
                **spec,
            },
        }
        answer = await self.admin.call("POST", APPS, body=body, params={"validate": "false"})
        assert answer.status == 200, answer.text
        if sync:
            answer = await self.admin.call("POST", f"{APPS}/{name}/sync", body={})
            assert answer.status == 200, answer.text
        return await self.settled(name, synced=sync)

    async def settled(self, name: str, *, synced: bool = False, status: str = "") -> dict[str, Any]:
        """The Application once it was compared, and its operation ended."""

        def is_settled(answer: Answer) -> bool:
            app = answer.json
            found = app.get("status", {}).get("sync", {}).get("status")
            wanted = status or ("Synced" if synced else found)
            return bool(found) and found == wanted and "operation" not in app

        app: dict[str, Any] = (await self.admin.until(f"{APPS}/{name}", is_settled)).json
        return app

    @asynccontextmanager
    async def setting(self, key: str, value: str) -> AsyncIterator[None]:
        """A key of argocd-cm as long as the block lasts (the server learns of it by its watch)."""
        kubectl = self.admin.plane.kubectl
        found = await asyncio.to_thread(
            kubectl.json, "-n", self.admin.namespace, "get", "configmap", "argocd-cm"
        )
        await self._set(key, value)
        try:
            yield
        finally:
            await self._set(key, (found.get("data") or {}).get(key))

    async def _set(self, key: str, value: str | None) -> None:
        patch = json.dumps({"data": {key: value}})
        await asyncio.to_thread(
            self.admin.kubectl, "patch", "configmap", "argocd-cm", "--type=merge", "-p", patch
        )

    async def live(self, kind: str, name: str, group: str = "", version: str = "v1") -> Manifest | None:
        """An object of the destination, or None."""
        try:
            return await self.client.get(GVK(group, version, kind), self.place, name)
        except NotFound:
            return None

    async def told(self, kind: str, name: str, reason: str, message: str) -> None:
        """Wait for an Event of the audit trail. Raises AssertionError: it does not come."""
        limit = asyncio.get_running_loop().time() + 10
        selector = f"involvedObject.name={name},involvedObject.kind={kind}"
        while True:
            text = await asyncio.to_thread(
                self.admin.kubectl, "get", "events", "--field-selector", selector, "-o", "json"
            )
            found = [
                (each["reason"], each["message"])
                for each in json.loads(text)["items"]
                if each["source"].get("component") == "argocd-server"
            ]
            if (reason, message) in found:
                return
            assert asyncio.get_running_loop().time() < limit, found
            await asyncio.sleep(0.1)


def refusal(answer: Answer) -> tuple[int, str]:
    """HTTP status and message of a failed call."""
    return answer.status, answer.json["message"]


def named(kind: str, name: str, place: str, group: str = "", version: str = "v1") -> dict[str, str]:
    """Query parameters that name a live object."""
    return {"group": group, "kind": kind, "version": version, "namespace": place, "resourceName": name}


@asynccontextmanager
async def site(
    plane: ControlPlane,
    folder: Path,
    namespace: str,
    files: Mapping[str, Mapping[str, Any] | str],
    *,
    settings: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
) -> AsyncIterator[Site]:
    """Start it with ``files`` in the repository (objects as YAML)."""
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    place, repository = f"{namespace}-dest", folder / "repository"
    await asyncio.to_thread(_commit, repository, files)
    await asyncio.to_thread(plane.kubectl, "create", "namespace", place)
    client = ClusterClient(from_kubeconfig(plane.kubeconfig))
    try:
        async with running(
            plane,
            folder / "cache",
            namespace,
            settings={**SETTINGS, **(settings or {})},
            rbac={"policy.csv": POLICY},
            secret={f"accounts.{name}.password": hashed for name in CALLERS},
            flags=flags,
        ) as admin:
            await asyncio.to_thread(admin.apply, project("team"), project("other"))
            callers = [admin.acting(await admin.login(name, PASSWORD)) for name in CALLERS]
            made = Site(admin, *callers, place, repository, client)
            for name in ("team", "other"):
                await admin.until(f"/api/v1/projects/{name}", lambda answer: answer.status == 200)
            yield made
    finally:
        await client.close()
        await asyncio.to_thread(plane.kubectl, "delete", "namespace", place, "--wait=false")


def _commit(repository: Path, files: Mapping[str, Mapping[str, Any] | str]) -> None:
    repository.mkdir(parents=True)

    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=repository, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("config", "user.name", "Ada")
    git("config", "user.email", "ada@example.org")
    for name, content in files.items():
        path = repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(dict(content)))
    git("add", "-A")
    git("commit", "-q", "-m", "All that is needed\n\nAnd why")


def project(name: str, **spec: Any) -> dict[str, Any]:
    """The manifest of an AppProject that permits all sources and namespaces, if nothing else is said."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": name},
        "spec": {
            "sourceRepos": ["*"],
            "destinations": [{"server": SERVER, "namespace": "*"}],
            "namespaceResourceBlacklist": [{"group": "", "kind": "LimitRange"}],
            **spec,
        },
    }
