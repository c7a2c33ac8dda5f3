"""Controllers and the state of the API in this event loop, without any transport.

A :class:`World` has a control-plane namespace and a destination namespace of its own, one Git
repository, and words for what a user does with them. Methods of the API are called as a transport
calls them, by a caller with given rights.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import yaml

from tests.controlplane import ControlPlane
from tests.server.running import _prepare
from tiphys.app.controlling import Controllers, control
from tiphys.app.foundation import Foundation, RunOptions, lay
from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import ApiError
from tiphys.reconcile.inspecting import Inspector
from tiphys.resources.application import Application
from tiphys.resources.identity import GVK, AppKey, Manifest
from tiphys.server.state import State
from tiphys.settings.clusters import IN_CLUSTER_SERVER, Cluster

APPLICATION = GVK("argoproj.io", "v1alpha1", "Application")
PROJECT = GVK("argoproj.io", "v1alpha1", "AppProject")
PATIENCE = 30.0
_numbers = itertools.count(1)


class World(msgspec.Struct, eq=False):
    """See the module.

    Attributes:
        namespace: of the control plane.
        place: the destination namespace.
    """

    base: Foundation
    controllers: Controllers
    live: Inspector
    namespace: str
    place: str
    repository: Path

    @property
    def client(self) -> ClusterClient:
        return self.base.client

    def state(self) -> State:
        """What methods of the API work with."""
        base = self.base

        async def connect(cluster: Cluster) -> ClusterClient:
            handle = self.controllers.services.pool.known(cluster.server)
            assert handle is not None
            return handle.client

        return State(
            namespace=self.namespace,
            client=base.client,
            settings_store=base.settings,
            apps=base.apps,
            projects=base.projects,
            appsets=base.appsets,
            connect=connect,
            live=self.live,
            git=base.git,
            renderer=base.renderer,
            clock=self.controllers.services.clock,
            takers=base.takers,
        )

    # The repository

    @property
    def url(self) -> str:
        return f"file://{self.repository}"

    def git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=self.repository, check=True, capture_output=True, text=True
        ).stdout.strip()

    async def commit(self, files: Mapping[str, str | Mapping[str, Any]], message: str = "change") -> str:
        """Write files (objects as YAML), commit, answer the commit."""
        for name, content in files.items():
            path = self.repository / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))

        def run() -> str:
            self.git("add", "-A")
            self.git("commit", "-q", "--allow-empty", "-m", message)
            return self.git("rev-parse", "HEAD")

        sha = await asyncio.to_thread(run)
        repository = self.base.settings.snapshot.repositories.lookup(self.url, "default")
        await self.base.git.listing(repository, fresh=True)  # else what was listed a moment ago counts
        return sha

    # Applications

    def application(
        self, name: str, path: str = "", *, metadata: Mapping[str, Any] | None = None, **spec: Any
    ) -> Manifest:
        """The manifest of an Application of a folder (default: its name)."""
        return {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": name, "namespace": self.namespace, **(metadata or {})},
            "spec": {
                "project": "default",
                "source": {"repoURL": self.url, "targetRevision": "main", "path": path or name},
                "destination": {"server": IN_CLUSTER_SERVER, "namespace": self.place},
                **spec,
            },
        }

    async def create_app(
        self,
        name: str,
        path: str = "",
        *,
        synced: bool = True,
        metadata: Mapping[str, Any] | None = None,
        **spec: Any,
    ) -> Application:
        """Make it, and wait until it was compared, by default synced."""
        manifest = self.application(name, path, metadata=metadata, **spec)
        if synced:
            manifest["operation"] = {"sync": {"syncStrategy": {"hook": {}}}}
        await self.client.create(manifest)
        namespace = manifest["metadata"]["namespace"]
        if synced:
            return await self.wait_app(
                name,
                lambda app: app.operation is None and app.status.operation_state is not None,
                namespace=namespace,
            )
        return await self.wait_app(name, lambda app: bool(app.status.sync.status), namespace=namespace)

    async def wait_app(
        self, name: str, condition: Callable[[Application], Any], *, namespace: str = ""
    ) -> Application:
        """The Application as the stores have it, as soon as ``condition`` holds."""
        key = AppKey(namespace or self.namespace, name)
        found: list[Application] = []
        arrived = asyncio.Event()

        def look(_old: Application | None, new: Application | None) -> None:
            if new is not None and new.key == key and condition(new):
                found.append(new)
                arrived.set()

        stop = self.base.apps.listen(look)
        try:
            look(None, self.base.apps.get(key))
            async with asyncio.timeout(PATIENCE):
                await arrived.wait()
        except TimeoutError:
            held = self.base.apps.get(key)
            raise AssertionError(f"{name}: {held.status if held else 'missing'}") from None
        finally:
            stop()
        return found[0]

    def app(self, name: str) -> Application:
        """The Application as the stores have it."""
        held = self.base.apps.get(AppKey(self.namespace, name))
        assert held is not None
        return held

    async def project(self, name: str, **spec: Any) -> None:
        """An AppProject that permits all but what is said otherwise."""
        everything: dict[str, Any] = {
            "sourceRepos": ["*"],
            "destinations": [{"server": "*", "namespace": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
            **spec,
        }
        answer = await self.client.create(
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "AppProject",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": everything,
            }
        )
        self.controllers.controller.project_seen(answer)

    async def get(self, kind: str, name: str, group: str = "", version: str = "v1") -> Manifest | None:
        """An object of the destination namespace."""
        try:
            return await self.client.get(GVK(group, version, kind), self.place, name)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def until(self, condition: Callable[[], Any], what: str = "") -> Any:
        """What ``condition`` answers, as soon as it is true (asked every 20 ms)."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not (found := condition()):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"not within {PATIENCE:.0f} s: {what}") from None
        return found


@asynccontextmanager
async def world(
    plane: ControlPlane,
    folder: Path,
    *,
    settings: Mapping[str, str] | None = None,
    rbac: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[World]:
    """Everything started in new namespaces; it ends with the block."""
    number = f"{os.getpid()}-{next(_numbers)}"
    namespace, place = f"res-{number}", f"res-{number}-dest"
    await asyncio.to_thread(_prepare, plane, namespace, settings or {}, rbac or {}, {})
    await asyncio.to_thread(plane.kubectl, "create", "namespace", place)
    repository = folder / "repository"
    repository.mkdir()
    options = RunOptions(
        namespace=namespace,
        kubeconfig=plane.kubeconfig,
        cache=folder / "cache",
        flags={"--controller-metrics-port": "0", **(flags or {})},
        environ={"PATH": os.environ["PATH"], "ARGOCD_SYNC_WAVE_DELAY": "0", **(environ or {})},
        roles=("controller",),
    )
    started: asyncio.Future[World] = asyncio.get_running_loop().create_future()

    async def live() -> None:
        # In one task from its start to its end: fixtures end in another one than they began in.
        async with AsyncExitStack() as closing:
            base = await lay(options, closing)
            controllers = control(base)
            await base.read()
            made = World(base, controllers, Inspector(controllers.services), namespace, place, repository)
            parts = base.parts() | await controllers.parts(closing)
            async with asyncio.TaskGroup() as tasks:
                for name, part in parts.items():
                    tasks.create_task(part, name=name)
                started.set_result(made)

    life = asyncio.create_task(live())
    try:
        await asyncio.wait({life, started}, return_when=asyncio.FIRST_COMPLETED)
        if life.done():
            await life
        made = started.result()
        await asyncio.to_thread(made.git, "init", "-q", "-b", "main")
        for key, value in (("user.name", "Ada"), ("user.email", "ada@example.org")):
            await asyncio.to_thread(made.git, "config", key, value)
        yield made
    finally:
        life.cancel()
        with suppress(asyncio.CancelledError):
            await life
        for each in (namespace, place):
            await asyncio.to_thread(plane.kubectl, "delete", "namespace", each, "--wait=false")


def decoded(text: str) -> Any:
    """A state of a difference."""
    return json.loads(text)
