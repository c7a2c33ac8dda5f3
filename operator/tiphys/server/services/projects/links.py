"""``ProjectService.ListLinks``: links to elsewhere, made by the settings (api.md 14)."""

from tiphys.resources.identity import AppKey
from tiphys.resources.messages.application import LinksResponse
from tiphys.resources.messages.project import ListProjectLinksRequest
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import not_found, unknown
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.guard import Guard
from tiphys.server.links.data import project_objects
from tiphys.server.links.rendering import Links
from tiphys.server.state import State


class ProjectLinks:
    """See the module."""

    package, service = "project", "ProjectService"

    def __init__(self, state: State, guard: Guard):
        self._state = state
        self._guard = guard
        self._links = Links(state.clock)

    @rpc("ListLinks", Route("GET", "/api/v1/projects/{name}/links"))
    async def list_links(self, call: Call, request: ListProjectLinksRequest) -> LinksResponse:
        """Those of ``project.links``. Needs ``get``, refused in words of its own."""
        if not self._guard.allows(call, "projects", "get", request.name):
            raise unknown(f"unauthorized access to project {request.name}")
        project = self._state.projects.get(AppKey(self._state.namespace, request.name))
        if project is None:
            raise not_found(f'appprojects.argoproj.io "{request.name}" not found')
        text = self._state.settings.raw.get("project.links", "")
        return await self._links.of(text, project_objects(project))
