"""Watching Applications (api.md 10): what is there first, then every change, each encoded once for all.

What a subscriber may see is asked at each change, so a right that is taken away ends what it shows at
once; a hidden Application leaves no trace in the stream. Snapshot and subscription are taken in one
step, so nothing is missing or told twice between them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from tiphys.reconcile.namespaces import is_namespace_enabled
from tiphys.resources.application import Application
from tiphys.resources.messages.application import ApplicationQuery
from tiphys.resources.messages.trees import ApplicationWatchEvent
from tiphys.server.api.calls import Call
from tiphys.server.api.rpc import Encoded, Route, rpc
from tiphys.server.guard import Guard, app_object
from tiphys.server.services.applications.listing import SLICE, projects_of, read_selector
from tiphys.server.state import State
from tiphys.server.streams.catalog import Catalog, Filters
from tiphys.server.streams.fanout import DELETED, Change, FanOut, number_of
from tiphys.server.streams.selectors import Selector


class WatchFilter:
    """Whether a change concerns a subscriber (asked at the moment of the change).

    Args:
        version: changes of older versions are left out.
        permits: by RBAC object, as the policies are when asked.
    """

    def __init__(
        self,
        state: State,
        permits: Callable[[str], bool],
        *,
        name: str,
        namespace: str,
        projects: frozenset[str],
        selector: Selector,
        version: int,
    ):
        self._state = state
        self._permits = permits
        self._name = name
        self._namespace = namespace
        self._projects = projects
        self._selector = None if selector.is_empty else selector
        self._version = version

    def __call__(self, change: Change[Application]) -> bool:
        app, key = change.object, change.key
        if self._name and (key.name != self._name or key.namespace != self._namespace):
            return False
        project = app.spec.project_name
        if self._projects and project not in self._projects:
            return False
        # Of a deletion the last known state is told, which may be older than the watch.
        if change.kind != DELETED and change.version < self._version:
            return False
        if self._selector is not None and not self._selector.matches(app.metadata.labels):
            return False
        control = self._state.namespace
        if key.namespace != control and not is_namespace_enabled(key.namespace, self._state.settings):
            return False
        return self._permits(app_object(project, key.namespace, key.name, control))


class ApplicationWatching:
    """``Watch``."""

    package, service = "application", "ApplicationService"

    def __init__(self, state: State, guard: Guard, catalog: Catalog, feed: FanOut[Application]):
        self._state = state
        self._guard = guard
        self._catalog = catalog
        self._feed = feed

    @rpc("Watch", Route("GET", "/api/v1/stream/applications"))
    async def watch(
        self, call: Call, request: ApplicationQuery
    ) -> AsyncIterator[ApplicationWatchEvent | Encoded]:
        """Shows what the caller may ``get``."""
        permits = self._guard.permits(call, "applications", "get")
        selector, projects = read_selector(request.selector), projects_of(request)
        name = request.name or ""
        wanted = WatchFilter(
            self._state,
            permits,
            name=name,
            namespace=request.app_namespace or self._state.namespace,
            projects=projects,
            selector=selector,
            version=number_of(request.resource_version),
        )
        limit = self._state.settings.params.server_watch_buffer_size
        with self._feed.subscribe(wanted, limit=limit) as changes:
            if not request.resource_version or name:
                filters = Filters(name=name, projects=projects, selector=selector)
                snapshot = sorted(self._catalog.find(filters, permits), key=lambda each: each.order[::-1])
                for number, entry in enumerate(snapshot):
                    first = self._feed.first(entry.fragment)
                    if wanted(first):
                        yield first.answer()
                    if number % SLICE == SLICE - 1:
                        await asyncio.sleep(0)  # a quick client would leave nobody else a turn
            async for change in changes:
                yield change.answer()
