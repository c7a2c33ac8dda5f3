"""The methods of ``repocreds.RepoCredsService`` and their routes (api.md 7)."""

from tiphys.resources.messages.repocreds import (
    RepoCredsCreateRequest,
    RepoCredsDeleteRequest,
    RepoCredsQuery,
    RepoCredsResponse,
    RepoCredsUpdateRequest,
)
from tiphys.resources.messages.stored_repositories import RepoCreds, RepoCredsList
from tiphys.server.api.calls import Call
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.guard import Guard
from tiphys.server.services.repocreds.templates import Templates
from tiphys.server.state import State

_LIST = "/api/v1/repocreds"
_WRITE_LIST = "/api/v1/write-repocreds"


class RepoCredsService:
    """See the module. The methods for pushing do not ask for the hydrator (api.md 9)."""

    package, service = "repocreds", "RepoCredsService"

    def __init__(self, state: State, guard: Guard):
        self._read = Templates(state, guard, write=False)
        self._write = Templates(state, guard, write=True)

    @rpc("ListRepositoryCredentials", Route("GET", _LIST))
    async def list_credentials(self, call: Call, request: RepoCredsQuery) -> RepoCredsList:
        return self._read.list(call)

    @rpc("ListWriteRepositoryCredentials", Route("GET", _WRITE_LIST))
    async def list_write_credentials(self, call: Call, request: RepoCredsQuery) -> RepoCredsList:
        return self._write.list(call)

    @rpc("CreateRepositoryCredentials", Route("POST", _LIST, "creds"), quiet=True)
    async def create_credentials(self, call: Call, request: RepoCredsCreateRequest) -> RepoCreds:
        return await self._read.create(call, request.creds, upsert=request.upsert)

    @rpc("CreateWriteRepositoryCredentials", Route("POST", _WRITE_LIST, "creds"), quiet=True)
    async def create_write_credentials(self, call: Call, request: RepoCredsCreateRequest) -> RepoCreds:
        return await self._write.create(call, request.creds, upsert=request.upsert)

    @rpc("UpdateRepositoryCredentials", Route("PUT", f"{_LIST}/{{creds.url}}", "creds"), quiet=True)
    async def update_credentials(self, call: Call, request: RepoCredsUpdateRequest) -> RepoCreds:
        return await self._read.update(call, request.creds)

    @rpc(
        "UpdateWriteRepositoryCredentials", Route("PUT", f"{_WRITE_LIST}/{{creds.url}}", "creds"), quiet=True
    )
    async def update_write_credentials(self, call: Call, request: RepoCredsUpdateRequest) -> RepoCreds:
        return await self._write.update(call, request.creds)

    @rpc("DeleteRepositoryCredentials", Route("DELETE", f"{_LIST}/{{url}}"))
    async def delete_credentials(self, call: Call, request: RepoCredsDeleteRequest) -> RepoCredsResponse:
        return await self._read.delete(call, request.url)

    @rpc("DeleteWriteRepositoryCredentials", Route("DELETE", f"{_WRITE_LIST}/{{url}}"))
    async def delete_write_credentials(
        self, call: Call, request: RepoCredsDeleteRequest
    ) -> RepoCredsResponse:
        return await self._write.delete(call, request.url)
