"""``ResourceTree``, ``WatchResourceTree``, ``ManagedResources`` (api.md 8.2, 10)."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

from tiphys.resources.application import Application
from tiphys.resources.identity import ResourceKey
from tiphys.resources.messages.application import ManagedResourcesResponse, ResourcesQuery
from tiphys.resources.messages.trees import ApplicationTree
from tiphys.server.api.calls import Call
from tiphys.server.api.rpc import Encoded, Route, rpc
from tiphys.server.services.applications.access import Reached
from tiphys.server.services.applications.resources.reaching import Reaching
from tiphys.server.services.applications.resources.treefeed import TreeFeed

_APP = "/api/v1/applications/{applicationName}"


class ApplicationTrees:
    """See the module."""

    package, service = "application", "ApplicationService"

    def __init__(self, reach: Reaching, feed: TreeFeed):
        self._reach = reach
        self._feed = feed

    @rpc("ResourceTree", Route("GET", f"{_APP}/resource-tree"))
    async def resource_tree(self, call: Call, request: ResourcesQuery) -> ApplicationTree:
        """The whole tree, whatever else the request names. Needs ``get``."""
        return await self._reach.tree(self._reached(call, request))

    @rpc("WatchResourceTree", Route("GET", "/api/v1/stream/applications/{applicationName}/resource-tree"))
    async def watch_resource_tree(
        self, call: Call, request: ResourcesQuery
    ) -> AsyncIterator[ApplicationTree | Encoded]:
        """No tree at first, then one after each change. Needs ``get``, then and at every change.

        Raises:
            ApiFailure: the Application went, or nothing is known of its objects any more.
        """
        trees = cast(Any, self._feed.of(self._reached(call, request).app.key))
        async with aclosing(trees):
            async for tree in trees:
                self._reached(call, request)
                yield tree

    @rpc("ManagedResources", Route("GET", f"{_APP}/managed-resources"))
    async def managed_resources(self, call: Call, request: ResourcesQuery) -> ManagedResourcesResponse:
        """Targets and live objects with their differences, without hooks, Secrets masked. Needs ``get``."""
        reached = self._reached(call, request)
        found = await self._reach.managed(reached, _chosen(reached.app, request))
        return ManagedResourcesResponse(
            items=tuple(
                each
                for each in found
                if not each.hook
                and _matches(request, ResourceKey(each.group, each.kind, each.namespace, each.name))
            )
        )

    def _reached(self, call: Call, request: ResourcesQuery) -> Reached:
        return self._reach.app(call, "get", request.application_name, request.app_namespace, request.project)


def _matches(request: ResourcesQuery, key: ResourceKey) -> bool:
    """Filters of the request; what it does not name is any (``version`` never counts)."""
    return all(
        not asked or asked == is_
        for asked, is_ in (
            (request.group, key.group),
            (request.kind, key.kind),
            (request.namespace, key.namespace),
            (request.name, key.name),
        )
    )


def _chosen(app: Application, request: ResourcesQuery) -> list[ResourceKey] | None:
    """Keys to work out; None: all of them."""
    if not any((request.group, request.kind, request.namespace, request.name)):
        return None
    keys = (ResourceKey(each.group, each.kind, each.namespace, each.name) for each in app.status.resources)
    return [key for key in keys if _matches(request, key)]
