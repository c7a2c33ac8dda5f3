"""The API's lists and watches over Applications that exist in memory only: the server of B11.

    python -m benchmarks.apiserver APPLICATIONS PORT

Everything between the socket and the store is the product's own: HTTP, authorisation by compiled
policies, indexes, fragments, the fan-out. What is missing is what would fill the store: Kubernetes and
the controllers, whose cost B1 to B9 know. A bearer token is the name of its user. ``/bench/change`` makes
``rate`` changes a second for ``seconds``.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

from aiohttp import web

from tiphys.access.identity import Authentication, Identity
from tiphys.access.rbac.enforcer import Enforcer
from tiphys.reconcile.stores import Store
from tiphys.resources import applicationset, project
from tiphys.resources.application import Application, decode
from tiphys.resources.applicationset import ApplicationSet
from tiphys.resources.gojson import dumps
from tiphys.resources.identity import AppKey, Manifest
from tiphys.resources.project import AppProject
from tiphys.resources.wire.codec import encode
from tiphys.server.api.failures import Code
from tiphys.server.api.invoke import Invoker
from tiphys.server.api.rpc import Method, methods_of
from tiphys.server.guard import Guard
from tiphys.server.http.app import build_app
from tiphys.server.http.options import HttpOptions
from tiphys.server.services.applications.listing import ApplicationListing
from tiphys.server.services.applications.watching import ApplicationWatching
from tiphys.server.state import State
from tiphys.server.streams.catalog import Catalog
from tiphys.server.streams.fanout import Change, FanOut, Subscription
from tiphys.server.streams.fragments import Codec, Fragments
from tiphys.settings.params import Params
from tiphys.settings.store import SettingsStore

NAMESPACE = "argocd"
PROJECTS = 50
SOURCE = {"repoURL": "https://git.example.com/teams/deployments.git", "targetRevision": "main"}


def application(number: int, version: int) -> Manifest:
    """An Application of usual size (about 3.8 kB as JSON): twelve resources, three deployments."""
    name, group = f"app-{number:05d}", f"team-{number % PROJECTS:02d}"
    source = {**SOURCE, "path": f"services/{name}/overlays/production"}
    revision = f"{number:040x}"
    destination = {"server": "https://kubernetes.default.svc", "namespace": name}
    resources = [
        {
            "group": "apps" if kind == "Deployment" else "",
            "version": "v1",
            "kind": kind,
            "namespace": name,
            "name": f"{name}-{each}",
            "status": "Synced",
        }
        for each, kind in enumerate(("Deployment", "Service", "ConfigMap", "Secret") * 3)
    ]
    history = [
        {
            "id": each,
            "revision": revision,
            "deployedAt": "2026-01-31T12:00:00Z",
            "deployStartedAt": "2026-01-31T11:59:00Z",
            "source": source,
            "initiatedBy": {"automated": True},
        }
        for each in range(3)
    ]
    operation = {
        "sync": {"revision": revision, "prune": True, "source": source},
        "initiatedBy": {"automated": True},
        "retry": {"limit": 5},
    }
    return {
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"00000000-0000-0000-0000-{number:012d}",
            "resourceVersion": str(version),
            "generation": 7,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"team": group, "tier": f"t{number % 10}", "app.kubernetes.io/name": name},
            "annotations": {"notified.notifications.argoproj.io": '{"deployed":1700000000}'},
            "finalizers": ["resources-finalizer.argocd.argoproj.io"],
        },
        "spec": {
            "project": group,
            "source": source,
            "destination": destination,
            "syncPolicy": {
                "automated": {"prune": True, "selfHeal": True},
                "syncOptions": ["CreateNamespace=true"],
            },
        },
        "status": {
            "resources": resources,
            "sync": {
                "status": "Synced",
                "revision": revision,
                "comparedTo": {"source": source, "destination": destination},
            },
            "health": {"status": "Healthy", "lastTransitionTime": "2026-01-31T12:00:30Z"},
            "history": history,
            "reconciledAt": "2026-01-31T12:01:00Z",
            "operationState": {
                "operation": operation,
                "phase": "Succeeded",
                "message": "successfully synced (all tasks run)",
                "startedAt": "2026-01-31T11:59:00Z",
                "finishedAt": "2026-01-31T12:00:00Z",
                "syncResult": {"revision": revision, "source": source, "resources": []},
            },
            "sourceType": "Kustomize",
            "summary": {"images": [f"registry.example.com/{name}:1.2.{each}" for each in range(3)]},
            "resourceHealthSource": "appTree",
        },
    }


def policy() -> str:
    """``tenN`` may see ten Applications, through N lines of which the others permit what is not there."""
    lines = []
    for count in (10, 100, 1000):
        for line in range(count):
            number = line * 7 if line < 10 else 900_000 + line
            named = f"team-{number % PROJECTS:02d}/app-{number:05d}"
            lines.append(f"p, ten{count}, applications, get, {named}, allow")
    return "\n".join(lines)


class _Names:
    """Authenticates a bearer by what it says."""

    async def authenticate(self, metadata: Mapping[str, tuple[str, ...]]) -> Authentication:
        name = (metadata.get("authorization") or ("",))[0].removeprefix("Bearer ")
        return Authentication(Identity(user_id=name, username=name, is_authenticated=True))


class _Uncounted:
    def started(self, method: Method) -> None: ...
    def received(self, method: Method) -> None: ...
    def sent(self, method: Method) -> None: ...
    def handled(self, method: Method, code: Code, seconds: float) -> None: ...


class _Counting:
    """Encodes as the product does, and counts."""

    def __init__(self) -> None:
        self.made = 0

    def json(self, app: Application) -> bytes:
        self.made += 1
        return dumps(app)


class Watched(FanOut[Application]):
    """Tells when enough subscribe."""

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self._grew = asyncio.Event()

    def subscribe(
        self, wanted: Callable[[Change[Application]], bool], *, limit: int
    ) -> Subscription[Application]:
        self._grew.set()
        return super().subscribe(wanted, limit=limit)

    async def has(self, count: int) -> None:
        """Wait until so many do."""
        while len(self) < count:
            self._grew.clear()
            await self._grew.wait()


class Bench:
    """The stores, and who changes them."""

    def __init__(self, size: int) -> None:
        self.size, self.version = size, 1_000_000
        self.apps: Store[Application] = Store(decode)
        projects: Store[AppProject] = Store(project.decode)
        appsets: Store[ApplicationSet] = Store(applicationset.decode)
        for number in range(PROJECTS):
            metadata = {"name": f"team-{number:02d}", "namespace": NAMESPACE, "uid": str(number)}
            projects.put({"metadata": metadata, "spec": {}})
        missing = cast(Any, None)  # lists and watches never reach these
        self.state = State(
            namespace=NAMESPACE,
            client=missing,
            settings_store=SettingsStore(NAMESPACE, Params()),
            apps=self.apps,
            projects=projects,
            appsets=appsets,
            connect=missing,
            live=missing,
            git=missing,
            renderer=missing,
            clock=lambda: datetime.now(UTC),
        )
        enforcer = Enforcer(lambda name: projects.get(AppKey(NAMESPACE, name)))
        enforcer.use({"policy.csv": policy()})
        guard = Guard(enforcer)
        self.counting = _Counting()
        fragments: Fragments[Application] = Fragments(self.apps, Codec(self.counting.json, encode))
        catalog = Catalog(self.apps, fragments, NAMESPACE)
        self.feed = Watched(self.apps, fragments, "application")
        services = (
            ApplicationListing(self.state, guard, catalog),
            ApplicationWatching(self.state, guard, catalog, self.feed),
        )
        self.methods = [method for service in services for method in methods_of(service)]

    def fill(self) -> None:
        for number in range(self.size):
            self.put(number)
        gc.collect()

    def put(self, number: int) -> None:
        self.version += 1
        self.apps.put(application(number, self.version))

    async def fill_on_request(self, _: web.Request) -> web.Response:
        self.fill()
        return web.Response()

    async def change(self, request: web.Request) -> web.Response:
        """``rate`` changes a second for ``seconds``; answers how many, and how many were encoded."""
        rate, seconds = float(request.query["rate"]), float(request.query["seconds"])
        before, count = self.counting.made, int(rate * seconds)
        for number in range(count):
            self.put(number % self.size)
            await asyncio.sleep(1 / rate)
        return web.json_response({"changes": count, "encoded": self.counting.made - before})


async def serve(size: int, port: int) -> None:
    """Serve until killed."""
    bench = Bench(size)
    app = build_app(bench.methods, Invoker(_Names(), _Uncounted()), HttpOptions())
    main = web.Application()
    main.router.add_get("/bench/change", bench.change)
    main.router.add_get("/bench/fill", bench.fill_on_request)
    runner = web.AppRunner(_joined(main, app), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=2048).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


def _joined(main: web.Application, app: web.Application) -> web.Application:
    """The bench's routes first, then the product's."""
    for route in app.router.routes():
        main.router.add_route(route.method, "/{path:.*}", route.handler)
    return main


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
