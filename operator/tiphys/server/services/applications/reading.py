"""Showing one Application: Get, and Get with a refresh (api.md 8.2 "Get").

A refresh is asked for by annotation; the answer waits until the controller took it off again, so it
shows what the controller found. How long that may take is up to the caller.
"""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from tiphys.reconcile.refresh import REFRESH_ANNOTATION, REFRESH_TIMESTAMP_ANNOTATION
from tiphys.reconcile.statuses import HEALTH_SOURCE_TREE
from tiphys.resources.application import Application, HealthStatus, ResourceStatus
from tiphys.resources.identity import AppKey
from tiphys.resources.messages.application import ApplicationQuery
from tiphys.resources.messages.trees import ApplicationTree, ResourceNode
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import invalid_argument, unknown
from tiphys.server.api.rpc import Encoded, Route, rpc
from tiphys.server.services.applications.access import AppAccess, no_such
from tiphys.server.services.applications.writing import AppWriter
from tiphys.server.state import State
from tiphys.server.streams.fanout import DELETED, Change, FanOut, number_of
from tiphys.server.streams.fragments import Fragment, Fragments

HYDRATE_ANNOTATION = "argocd.argoproj.io/hydrate"
HYDRATE_TIMESTAMP_ANNOTATION = "argocd.argoproj.io/hydrate-timestamp"
MISSING = HealthStatus(status="Missing", message="Resource has not been created")
REMEMBERED = 1000

Healths = tuple[HealthStatus | None, ...]


class ApplicationReading:
    """``Get``."""

    package, service = "application", "ApplicationService"

    def __init__(
        self,
        state: State,
        access: AppAccess,
        writer: AppWriter,
        fragments: Fragments[Application],
        feed: FanOut[Application],
    ):
        self._state = state
        self._access = access
        self._writer = writer
        self._fragments = fragments
        self._feed = feed
        self._inferred: OrderedDict[AppKey, tuple[Application, Healths, Fragment[Application]]] = (
            OrderedDict()
        )

    @rpc("Get", Route("GET", "/api/v1/applications/{name}"))
    async def get(self, call: Call, request: ApplicationQuery) -> Application | Encoded:
        """Needs ``get``."""
        projects = request.project or request.projects
        if len(projects) > 1:
            raise invalid_argument(
                "multiple projects specified - the get endpoint accepts either zero or one project"
            )
        project = projects[0] if projects else None
        if request.refresh is not None:
            call.late = unknown("application refresh deadline exceeded")
        reached = await self._access.live(call, "get", request.name, request.app_namespace, project)
        app = reached.app
        if request.refresh is not None:
            app = await self._refreshed(app, "hard" if request.refresh == "hard" else "normal")
        fragment = await self._shown(app)
        return Encoded(lambda: fragment.json, lambda: fragment.proto)

    async def _refreshed(self, app: Application, kind: str) -> Application:
        """The Application after a refresh.

        Raises:
            ApiFailure: NotFound, it was deleted meanwhile.
        """
        key = app.key

        def concerns(change: Change[Application]) -> bool:
            return change.key == key

        limit = self._state.settings.params.server_watch_buffer_size
        with self._feed.subscribe(concerns, limit=limit) as changes:
            asked = await self._writer.change(
                app, lambda current: refresh_patch(current, kind, self._state.clock())
            )
            begun = number_of(asked.metadata.resource_version)
            while True:
                held = self._state.apps.get(app.key)
                if held is None:
                    raise no_such(app.metadata.name)
                newer = number_of(held.metadata.resource_version) > begun
                if newer and REFRESH_ANNOTATION not in (held.metadata.annotations or {}):
                    return held
                change = await anext(changes)
                if change.kind == DELETED:
                    raise no_such(app.metadata.name)

    async def _shown(self, app: Application) -> Fragment[Application]:
        """The Application as Get shows it: with the health of its resources where that is kept in the
        tree only."""
        status = app.status
        if status.resource_health_source != HEALTH_SOURCE_TREE or not status.resources:
            return self._of(app)
        tree = await self._state.live.tree(app)
        if tree is None:
            return self._of(app)
        healths, key = healths_of(status.resources, tree), app.key
        known = self._inferred.pop(key, None)
        if known is None or known[0] is not app or known[1] != healths:
            known = (app, healths, self._fragments.apart(with_health(app, healths)))
        self._inferred[key] = known
        if len(self._inferred) > REMEMBERED:
            self._inferred.popitem(last=False)
        return known[2]

    def _of(self, app: Application) -> Fragment[Application]:
        held = self._state.apps.get(app.key)
        return self._fragments.of(app) if held is app else self._fragments.apart(app)


def refresh_patch(app: Application, kind: str, now: datetime) -> dict[str, Any]:
    """What asks for a refresh of ``kind`` (``normal``, ``hard``), and of a hydrator's source, too."""
    moment = now.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
    annotations = {REFRESH_ANNOTATION: kind, REFRESH_TIMESTAMP_ANNOTATION: moment}
    if app.spec.source_hydrator is not None:
        annotations |= {HYDRATE_ANNOTATION: kind, HYDRATE_TIMESTAMP_ANNOTATION: moment}
    return {"metadata": {"annotations": annotations}}


def healths_of(resources: Iterable[ResourceStatus], tree: ApplicationTree) -> Healths:
    """What the tree says of each resource's health; None: nothing."""
    known: dict[tuple[str, str, str, str], HealthStatus | None] = {}
    for node in tree.nodes:
        health = node.health
        if health is None and _is_not_there(node):
            health = MISSING
        known[node.group, node.kind, node.namespace, node.name] = health
    return tuple(known.get((each.group, each.kind, each.namespace, each.name)) for each in resources)


def with_health(app: Application, healths: Healths) -> Application:
    """The Application with these healths of its resources."""
    resources = tuple(
        msgspec.structs.replace(each, health=health)
        for each, health in zip(app.status.resources, healths, strict=True)
    )
    return msgspec.structs.replace(app, status=msgspec.structs.replace(app.status, resources=resources))


def _is_not_there(node: ResourceNode) -> bool:
    return not node.uid and not node.resource_version and not node.created_at
