"""Watching ApplicationSets (api.md 10): every change, encoded once for all who may see it.

Without a name nothing is sent at first; with one, what is there.
"""

from collections.abc import AsyncIterator, Callable

from tiphys.reconcile.namespaces import is_namespace_enabled
from tiphys.resources.applicationset import ApplicationSet
from tiphys.resources.messages.applicationset import ApplicationSetWatchQuery
from tiphys.resources.messages.trees import ApplicationSetWatchEvent
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import unknown
from tiphys.server.api.rpc import Encoded, Route, rpc
from tiphys.server.guard import Guard, app_object
from tiphys.server.state import State
from tiphys.server.streams.fanout import DELETED, Change, FanOut, number_of
from tiphys.server.streams.selectors import Selector, SelectorError

DEFAULT = "default"


def project_of(appset: ApplicationSet) -> str:
    """The project of a set is its template's."""
    return appset.spec.template.spec.project or DEFAULT


def rbac_object(appset: ApplicationSet, control_namespace: str, namespace: str = "") -> str:
    """``<project>/<name>``, or ``<project>/<namespace>/<name>`` outside the control plane's."""
    metadata = appset.metadata
    return app_object(project_of(appset), namespace or metadata.namespace, metadata.name, control_namespace)


def read_selector(text: str, prefix: str = "") -> Selector:
    """The selector of a request.

    Raises:
        ApiFailure: Unknown, it is none.
    """
    try:
        return Selector(text)
    except SelectorError as error:
        raise unknown(f"{prefix}{error}") from None


class ApplicationSetWatching:
    """``Watch``."""

    package, service = "applicationset", "ApplicationSetService"

    def __init__(self, state: State, guard: Guard, feed: FanOut[ApplicationSet]):
        self._state = state
        self._guard = guard
        self._feed = feed

    @rpc("Watch", Route("GET", "/api/v1/stream/applicationsets"))
    async def watch(
        self, call: Call, request: ApplicationSetWatchQuery
    ) -> AsyncIterator[ApplicationSetWatchEvent | Encoded]:
        """Shows what the caller may ``get``."""
        wanted = self._filter(request, self._guard.permits(call, "applicationsets", "get"))
        limit = self._state.settings.params.server_watch_buffer_size
        with self._feed.subscribe(wanted, limit=limit) as changes:
            if request.name:
                for appset in sorted(self._state.appsets, key=lambda each: each.key):
                    first = self._feed.initial(appset)
                    if wanted(first):
                        yield first.answer()
            async for change in changes:
                yield change.answer()

    def _filter(
        self, request: ApplicationSetWatchQuery, permits: Callable[[str], bool]
    ) -> Callable[[Change[ApplicationSet]], bool]:
        selector = read_selector(request.selector)
        projects, version = frozenset(request.projects), number_of(request.resource_version)
        control = self._state.namespace

        def wanted(change: Change[ApplicationSet]) -> bool:
            appset, key = change.object, change.key
            return (
                (not request.name or key.name == request.name)
                and (not request.app_set_namespace or key.namespace == request.app_set_namespace)
                and (not projects or project_of(appset) in projects)
                # Of a deletion the last known state is told, which may be older than the watch.
                and (change.kind == DELETED or change.version >= version)
                and selector.matches(appset.metadata.labels)
                and is_namespace_enabled(key.namespace, self._state.settings)
                and permits(rbac_object(appset, control))
            )

        return wanted
