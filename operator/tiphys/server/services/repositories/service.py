"""The methods of ``repository.RepositoryService`` and their routes (api.md 7)."""

from tiphys.resources.messages.repository import (
    HelmChartsResponse,
    Refs,
    RepoAccessQuery,
    RepoAppDetailsQuery,
    RepoAppDetailsResponse,
    RepoAppsQuery,
    RepoAppsResponse,
    RepoCreateRequest,
    RepoQuery,
    RepoResponse,
    RepoUpdateRequest,
)
from tiphys.resources.messages.stored_repositories import Repository, RepositoryList
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import unimplemented
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.guard import Guard
from tiphys.server.services.repositories.querying import Questions
from tiphys.server.services.repositories.side import Side
from tiphys.server.state import State
from tiphys.sources.queries import list_charts, list_oci_tags, list_refs

_LIST = "/api/v1/repositories"
_ONE = "/api/v1/repositories/{repo}"
_WRITE_LIST = "/api/v1/write-repositories"
_WRITE_ONE = "/api/v1/write-repositories/{repo}"


class RepositoryService:
    """See the module."""

    package, service = "repository", "RepositoryService"

    def __init__(self, state: State, guard: Guard):
        self._state = state
        self._read = Side(state, guard, write=False)
        self._write = Side(state, guard, write=True)
        self._questions = Questions(state, guard, self._read)

    # --- reading ---------------------------------------------------------------------------------

    @rpc("List", Route("GET", _LIST), deprecated=True)
    @rpc("ListRepositories", Route("GET", _LIST))
    async def list_repositories(self, call: Call, request: RepoQuery) -> RepositoryList:
        return await self._read.list(call, fresh=request.force_refresh)

    @rpc("ListWriteRepositories", Route("GET", _WRITE_LIST))
    async def list_write_repositories(self, call: Call, request: RepoQuery) -> RepositoryList:
        return await self._pushing().list(call, fresh=request.force_refresh)

    @rpc("Get", Route("GET", _ONE))
    async def get(self, call: Call, request: RepoQuery) -> Repository:
        return await self._read.get(call, request)

    @rpc("GetWrite", Route("GET", _WRITE_ONE))
    async def get_write(self, call: Call, request: RepoQuery) -> Repository:
        return await self._pushing().get(call, request)

    # --- questions -------------------------------------------------------------------------------

    @rpc("ListRefs", Route("GET", f"{_ONE}/refs"))
    async def list_refs(self, call: Call, request: RepoQuery) -> Refs:
        return await list_refs(self._state.git, self._read.usable(call, request.repo, request.app_project))

    @rpc("ListOCITags", Route("GET", f"{_ONE}/oci-tags"))
    async def list_oci_tags(self, call: Call, request: RepoQuery) -> Refs:
        return await list_oci_tags(self._read.usable(call, request.repo, request.app_project))

    @rpc("ListApps", Route("GET", f"{_ONE}/apps"))
    async def list_apps(self, call: Call, request: RepoAppsQuery) -> RepoAppsResponse:
        return await self._questions.apps(call, request)

    @rpc("GetAppDetails", Route("POST", f"{_LIST}/{{source.repoURL}}/appdetails", "*"))
    async def get_app_details(self, call: Call, request: RepoAppDetailsQuery) -> RepoAppDetailsResponse:
        return await self._questions.details(call, request)

    @rpc("GetHelmCharts", Route("GET", f"{_ONE}/helmcharts"))
    async def get_helm_charts(self, call: Call, request: RepoQuery) -> HelmChartsResponse:
        return await list_charts(
            self._state.renderer.charts, self._read.usable(call, request.repo, request.app_project)
        )

    # --- writing ---------------------------------------------------------------------------------

    @rpc("Create", Route("POST", _LIST, "repo"), deprecated=True, quiet=True)
    @rpc("CreateRepository", Route("POST", _LIST, "repo"), quiet=True)
    async def create_repository(self, call: Call, request: RepoCreateRequest) -> Repository:
        return await self._read.create(call, request.repo, upsert=request.upsert)

    @rpc("CreateWriteRepository", Route("POST", _WRITE_LIST, "repo"), quiet=True)
    async def create_write_repository(self, call: Call, request: RepoCreateRequest) -> Repository:
        return await self._pushing().create(call, request.repo, upsert=request.upsert)

    @rpc("Update", Route("PUT", f"{_LIST}/{{repo.repo}}", "repo"), deprecated=True, quiet=True)
    @rpc("UpdateRepository", Route("PUT", f"{_LIST}/{{repo.repo}}", "repo"), quiet=True)
    async def update_repository(self, call: Call, request: RepoUpdateRequest) -> Repository:
        return await self._read.update(call, request.repo)

    @rpc("UpdateWriteRepository", Route("PUT", f"{_WRITE_LIST}/{{repo.repo}}", "repo"), quiet=True)
    async def update_write_repository(self, call: Call, request: RepoUpdateRequest) -> Repository:
        return await self._pushing().update(call, request.repo)

    @rpc("Delete", Route("DELETE", _ONE), deprecated=True)
    @rpc("DeleteRepository", Route("DELETE", _ONE))
    async def delete_repository(self, call: Call, request: RepoQuery) -> RepoResponse:
        return await self._read.delete(call, request)

    @rpc("DeleteWriteRepository", Route("DELETE", _WRITE_ONE))
    async def delete_write_repository(self, call: Call, request: RepoQuery) -> RepoResponse:
        return await self._pushing().delete(call, request)

    @rpc("ValidateAccess", Route("POST", f"{_ONE}/validate", "repo"), quiet=True)
    async def validate_access(self, call: Call, request: RepoAccessQuery) -> RepoResponse:
        return await self._read.validate(call, request)

    @rpc("ValidateWriteAccess", Route("POST", f"{_WRITE_ONE}/validate", "repo"), quiet=True)
    async def validate_write_access(self, call: Call, request: RepoAccessQuery) -> RepoResponse:
        return await self._pushing().validate(call, request)

    def _pushing(self) -> Side:
        """Repositories to push to exist only for the hydrator.

        Raises:
            ApiFailure: Unimplemented ``hydrator is disabled``.
        """
        if not self._state.settings.params.hydrator_enabled:
            raise unimplemented("hydrator is disabled")
        return self._write
