"""The services of this folder over a real control plane, called as a transport calls them.

A :class:`House` has a control-plane namespace of its own with controllers, access control and the
state of the API in this event loop; ``call`` runs a method by its gRPC path, as somebody. Answers come
back as JSON, so a test sees what a client sees.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from tests.controlplane import ControlPlane
from tests.server.running import _prepare
from tiphys.access.access import Access
from tiphys.access.identity import Identity
from tiphys.app.controlling import Controllers, control, post_event
from tiphys.app.foundation import Foundation, RunOptions, lay
from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import NotFound
from tiphys.reconcile.events import EventQueue
from tiphys.reconcile.inspecting.inspector import Inspector
from tiphys.resources.gojson import dumps
from tiphys.resources.identity import GVK, AppKey, Manifest
from tiphys.resources.wire.codec import decode, encode
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import ApiFailure, failure_of
from tiphys.server.api.invoke import unescaped
from tiphys.server.api.rpc import Method, methods_of
from tiphys.server.guard import Guard
from tiphys.server.services.applicationsets.service import applicationset_services
from tiphys.server.services.clusters.service import ClusterService
from tiphys.server.services.events import AuditLog
from tiphys.server.services.notifications import NotificationService
from tiphys.server.services.projects.service import ProjectService
from tiphys.server.state import State
from tiphys.settings.clusters import Cluster

PATIENCE = 30.0
PROJECT = GVK("argoproj.io", "v1alpha1", "AppProject")
EVENT = GVK("", "v1", "Event")
SECRET = GVK("", "v1", "Secret")
ADMIN = Identity(user_id="admin", username="admin", issuer="argocd", is_authenticated=True)
_numbers = itertools.count(1)


class Refused(AssertionError):
    """A call failed: ``code`` as in ``InvalidArgument``."""

    def __init__(self, failure: ApiFailure):
        super().__init__(f"{failure.code.title}: {failure.message}")
        self.code = failure.code.title
        self.message = failure.message


class House(msgspec.Struct, eq=False):
    """See the module."""

    base: Foundation
    controllers: Controllers
    access: Access
    state: State
    queue: EventQueue
    methods: dict[str, Method]
    plane: ControlPlane
    policies: dict[str, tuple[str, ...]]

    @property
    def namespace(self) -> str:
        return self.state.namespace

    @property
    def client(self) -> ClusterClient:
        return self.state.client

    # Callers

    def user(self, name: str, *lines: str, groups: Sequence[str] = ()) -> Identity:
        """A caller with rights of his own: lines such as ``projects, get, shop``."""
        self.policies[name] = tuple(f"p, {name}, {line}, allow" for line in lines)
        text = "\n".join(line for each in self.policies.values() for line in each)
        self.access.enforcer.use({"policy.csv": text})
        return Identity(
            user_id=name, username=name, issuer="argocd", groups=tuple(groups), is_authenticated=True
        )

    # Calling

    async def call(
        self, path: str, request: Mapping[str, Any], *, by: Identity = ADMIN, transport: str = "rest"
    ) -> Any:
        """The answer of a method as JSON.

        Raises:
            Refused: it failed.
        """
        method = self.methods[path]
        call = Call(identity=by, transport=transport)
        try:
            message = unescaped(msgspec.convert(dict(request), method.request))
            answer = await method.handler(call, message)
        except Exception as error:
            raise Refused(failure_of(error)) from error
        text = dumps(answer)
        again = dumps(decode(type(answer), encode(answer)))
        # Protobuf cannot tell this list from one that is not there.
        assert again == text or b'"namespaceResourceWhitelist":[]' in text, "protobuf says the same"
        return msgspec.json.decode(text)

    async def watch(
        self, path: str, request: Mapping[str, Any], *, by: Identity = ADMIN
    ) -> AsyncIterator[Any]:
        """The events of a stream as JSON."""
        method = self.methods[path]
        message = msgspec.convert(dict(request), method.request)
        answers = method.handler(Call(identity=by), message)
        try:
            async for answer in answers:
                yield msgspec.json.decode(answer.json())
        except ApiFailure as failure:
            raise Refused(failure) from failure
        finally:
            await answers.aclose()

    async def refused(
        self, path: str, request: Mapping[str, Any], *, by: Identity = ADMIN
    ) -> tuple[str, str]:
        """Code and text of the refusal that a call must get."""
        try:
            answer = await self.call(path, request, by=by)
        except Refused as refusal:
            return refusal.code, refusal.message
        raise AssertionError(f"{path} was not refused: {answer}")

    # The cluster

    async def secret(self, name: str) -> tuple[Manifest, dict[str, str]]:
        """A Secret and its data as text."""
        manifest = await self.client.get(SECRET, self.namespace, name)
        data = manifest.get("data") or {}
        return manifest, {key: base64.b64decode(text).decode() for key, text in data.items()}

    async def token_in(self, name: str) -> str:
        """The token of a Secret, as soon as the cluster's controllers made it."""
        async with asyncio.timeout(PATIENCE):
            while not (token := (await self.secret(name))[1].get("token")):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return token

    async def exists(self, gvk: GVK, name: str, namespace: str = "") -> bool:
        try:
            await self.client.get(gvk, namespace or self.namespace, name)
        except NotFound:
            return False
        return True

    async def events(self, name: str) -> list[Manifest]:
        """Events about an object of the control plane's namespace, all that were queued sent."""
        await self.queue.flush()
        resource = await self.client.resource_of(EVENT)
        found: list[Manifest] = []
        selector = f"involvedObject.name={name}"
        async for page in self.client.list_pages(resource, self.namespace, field_selector=selector):
            found += msgspec.json.decode(page)["items"] or ()
        return sorted(found, key=lambda event: int(event["metadata"]["name"].rpartition(".")[2], 16))

    async def until(self, condition: Any, what: str = "") -> Any:
        """What ``condition`` answers, as soon as it is true (asked every 20 ms)."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not (found := condition()):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"not within {PATIENCE:.0f} s: {what}") from None
        return found

    async def project(self, name: str, **spec: Any) -> None:
        """A project made behind the API's back, and known to it."""
        await self.client.create(
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "AppProject",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": spec,
            }
        )
        key = AppKey(self.namespace, name)
        await self.until(lambda: self.state.projects.get(key), f"project {name} is seen")

    async def application(self, name: str, **spec: Any) -> None:
        """An Application made behind the API's back, and known to it."""
        await self.client.create(
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Application",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": {
                    "source": {"repoURL": "https://example.org/a.git", "path": "."},
                    "destination": {"server": "https://kubernetes.default.svc", "namespace": "nowhere"},
                    "project": "default",
                    **spec,
                },
            }
        )
        key = AppKey(self.namespace, name)
        await self.until(lambda: self.state.apps.get(key), f"application {name} is seen")


@asynccontextmanager
async def house(
    plane: ControlPlane,
    folder: Path,
    *,
    settings: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
) -> AsyncIterator[House]:
    """Everything started in a new namespace; it ends with the block."""
    namespace = f"prj-{os.getpid()}-{next(_numbers)}"
    await asyncio.to_thread(_prepare, plane, namespace, settings or {}, {}, {})
    options = RunOptions(
        namespace=namespace,
        kubeconfig=plane.kubeconfig,
        cache=folder / "cache",
        flags={"--controller-metrics-port": "0", **(flags or {})},
        environ={"PATH": os.environ["PATH"]},
        roles=("controller", "server"),
    )
    try:
        async with AsyncExitStack() as closing:
            base = await lay(options, closing)
            controllers = control(base)
            await base.read()
            made = await _furnish(base, controllers, plane)
            closing.callback(made.access.close)
            parts = base.parts() | await controllers.parts(closing) | {"audit": made.queue.run()}
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(part, name=name) for name, part in parts.items()]
                yield made
                for task in running:
                    task.cancel()
    finally:
        await asyncio.to_thread(plane.kubectl, "delete", "namespace", namespace, "--wait=false")


async def _furnish(base: Foundation, controllers: Controllers, plane: ControlPlane) -> House:
    namespace = base.options.namespace

    def clock() -> datetime:
        return datetime.now(UTC)

    async def connect(cluster: Cluster) -> ClusterClient:
        raise AssertionError("no method of these services asks for a destination's client")

    state = State(
        namespace=namespace,
        client=base.client,
        settings_store=base.settings,
        apps=base.apps,
        projects=base.projects,
        appsets=base.appsets,
        connect=connect,
        live=Inspector(controllers.services),
        git=base.git,
        renderer=base.renderer,
        clock=clock,
        takers=base.takers,
    )
    access = Access(
        base.settings,
        lambda name: base.projects.get(AppKey(namespace, name)),
        base.projects.listen,
        base.client,
        namespace,
        clock,
    )
    await access.start()
    queue = EventQueue(
        partial(post_event, base.client),
        lambda reason: base.settings.snapshot.params.k8s_event_enabled(reason),
        time.time_ns,
    )
    guard, audit = Guard(access.enforcer), AuditLog(state, queue)
    services = (
        ProjectService(state, guard, audit, access.sessions, lambda: str(uuid4())),
        ClusterService(state, guard),
        *applicationset_services(state, guard, audit),
        NotificationService(state),
    )
    methods = {f"{method.service}/{method.name}": method for each in services for method in methods_of(each)}
    return House(base, controllers, access, state, queue, methods, plane, {})
