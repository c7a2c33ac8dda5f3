"""``ListLinks`` and ``ListResourceLinks``: links to elsewhere, made by the settings (api.md 14)."""

from tiphys.resources.messages.application import (
    ApplicationResourceRequest,
    LinksResponse,
    ListAppLinksRequest,
)
from tiphys.server.api.calls import Call
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.links.data import LinkObjects
from tiphys.server.links.rendering import Links
from tiphys.server.services.applications.resources.reaching import Reaching
from tiphys.server.state import State


class ApplicationLinks:
    """See the module."""

    package, service = "application", "ApplicationService"

    def __init__(self, state: State, reach: Reaching):
        self._state = state
        self._objects = LinkObjects(state, reach)
        self._links = Links(state.clock)

    @rpc("ListLinks", Route("GET", "/api/v1/applications/{name}/links"))
    async def list_links(self, call: Call, request: ListAppLinksRequest) -> LinksResponse:
        """Those of ``application.links``. Needs ``get``."""
        objects = await self._objects.application(call, request)
        return await self._links.of(self._state.settings.raw.get("application.links", ""), objects)

    @rpc("ListResourceLinks", Route("GET", "/api/v1/applications/{name}/resource/links"))
    async def list_resource_links(self, call: Call, request: ApplicationResourceRequest) -> LinksResponse:
        """Those of ``resource.links``. Needs ``get``."""
        objects = await self._objects.resource(call, request)
        return await self._links.of(self._state.settings.raw.get("resource.links", ""), objects)
