"""``ListResourceEvents``: Kubernetes Events of the Application or of one of its objects (13.2)."""

from tiphys.resources.messages.application import ApplicationResourceEventsQuery
from tiphys.resources.messages.events import EventList
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import invalid_argument
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.services.applications.resources.reaching import Reaching
from tiphys.server.services.events_listing import events_about, events_of
from tiphys.server.state import State


class ApplicationResourceEvents:
    """See the module."""

    package, service = "application", "ApplicationService"

    def __init__(self, state: State, reach: Reaching):
        self._state = state
        self._reach = reach

    @rpc("ListResourceEvents", Route("GET", "/api/v1/applications/{name}/events"))
    async def list_resource_events(self, call: Call, request: ApplicationResourceEventsQuery) -> EventList:
        """Needs ``get``.

        Raises:
            ApiFailure: InvalidArgument, no node of the tree has this identity.
        """
        reached = self._reach.app(call, "get", request.name, request.app_namespace, request.project)
        name, uid = request.resource_name or "", request.resource_uid or ""
        namespace = request.resource_namespace or ""
        if not name and not uid:
            return await events_of(self._state.client, reached.app.metadata)
        tree = await self._reach.tree(reached)
        for node in (*tree.nodes, *tree.orphaned_nodes):
            if node.uid and (node.uid, node.name, node.namespace) == (uid, name, namespace):
                break
        else:
            raise invalid_argument(f"{name} not found as part of application {reached.app.metadata.name}")
        client = await self._reach.client(reached)
        return await events_about(
            client, namespace=namespace, name=name, uid=uid, involved_namespace=namespace
        )
