"""ProjectService: the methods, each as the story of its checks (api.md 7, 9 "Project").

Without a right on a project the caller is refused in the detailed style whether it exists or not.
"""

from collections.abc import Callable
from typing import Protocol

import jwt
import msgspec

from tiphys.kube.errors import AlreadyExists, NotFound
from tiphys.projects.effective import global_projects_of, with_global_projects
from tiphys.projects.tokens import normalize_tokens, token_subject
from tiphys.projects.windows import WindowError, is_active
from tiphys.resources.application import Application
from tiphys.resources.messages.events import EventList
from tiphys.resources.messages.project import (
    DetailedProjectsResponse,
    EmptyResponse,
    GlobalProjectsResponse,
    ProjectCreateRequest,
    ProjectQuery,
    ProjectTokenCreateRequest,
    ProjectTokenDeleteRequest,
    ProjectTokenResponse,
    ProjectUpdateRequest,
    SyncWindowsQuery,
    SyncWindowsResponse,
)
from tiphys.resources.meta import ListMeta
from tiphys.resources.project import AppProject, AppProjectList, JWTToken
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import invalid_argument, not_found, unknown
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.guard import Guard
from tiphys.server.services.clusters.showing import shown
from tiphys.server.services.differing import spec_differs
from tiphys.server.services.events import CREATED, DELETED, UPDATED, AuditLog
from tiphys.server.services.events_listing import events_of
from tiphys.server.services.projects import rules
from tiphys.server.services.projects.repositories import shown_repository
from tiphys.server.services.projects.tokens import tokens_of, with_token, without_token
from tiphys.server.services.projects.writing import Projects
from tiphys.server.state import State

DEFAULT = "default"
PATH = "/api/v1/projects"


class TokenIssuer(Protocol):
    """Signs tokens (``access.sessions``)."""

    def issue(self, subject: str, lifetime: int, token_id: str) -> str:
        """A JWT that lives ``lifetime`` seconds, 0: for ever."""


class ProjectService:
    """See the module.

    Args:
        issuer: signs the tokens of roles.
        new_id: makes the id of a token whose creator gave none.
    """

    package, service = "project", "ProjectService"

    def __init__(
        self, state: State, guard: Guard, audit: AuditLog, issuer: TokenIssuer, new_id: Callable[[], str]
    ):
        self._state = state
        self._guard = guard
        self._audit = audit
        self._issuer = issuer
        self._new_id = new_id
        self._projects = Projects(state)

    # Reading

    @rpc("List", Route("GET", PATH))
    async def list(self, call: Call, request: ProjectQuery) -> AppProjectList:
        """The projects that the caller may read."""
        permitted = self._guard.permits(call, "projects", "get")
        known = self._projects.all()
        newest = str(self._state.projects.newest or "")
        return AppProjectList(
            metadata=ListMeta(resource_version=newest),
            items=tuple(project for project in known if permitted(project.name)),
        )

    @rpc("Get", Route("GET", f"{PATH}/{{name}}"))
    async def get(self, call: Call, request: ProjectQuery) -> AppProject:
        """One project, its tokens in order."""
        self._guard.enforce(call, "projects", "get", request.name)
        return normalize_tokens(await self._projects.get(request.name))

    @rpc("GetDetailedProject", Route("GET", f"{PATH}/{{name}}/detailed"))
    async def get_detailed_project(self, call: Call, request: ProjectQuery) -> DetailedProjectsResponse:
        """A project as it counts, with its global projects and its own repositories and clusters."""
        self._guard.enforce(call, "projects", "get", request.name)
        settings, everyone = self._state.settings, self._projects.all()
        project = normalize_tokens(await self._projects.get(request.name))
        return DetailedProjectsResponse(
            global_projects=global_projects_of(project, everyone, settings),
            project=with_global_projects(project, everyone, settings),
            repositories=tuple(
                shown_repository(each) for each in settings.repositories.in_project(project.name)
            ),
            clusters=tuple(shown(each) for each in settings.clusters.in_project(project.name)),
        )

    @rpc("GetGlobalProjects", Route("GET", f"{PATH}/{{name}}/globalprojects"))
    async def get_global_projects(self, call: Call, request: ProjectQuery) -> GlobalProjectsResponse:
        """The global projects that a project inherits from."""
        self._guard.enforce(call, "projects", "get", request.name)
        project = await self._projects.get(request.name)
        found = global_projects_of(project, self._projects.all(), self._state.settings)
        return GlobalProjectsResponse(items=found)

    @rpc("ListEvents", Route("GET", f"{PATH}/{{name}}/events"))
    async def list_events(self, call: Call, request: ProjectQuery) -> EventList:
        """Kubernetes Events about a project."""
        self._guard.enforce(call, "projects", "get", request.name)
        project = await self._projects.get(request.name)
        return await events_of(self._state.client, project.metadata)

    @rpc("GetSyncWindowsState", Route("GET", f"{PATH}/{{name}}/syncwindows"))
    async def get_sync_windows_state(self, call: Call, request: SyncWindowsQuery) -> SyncWindowsResponse:
        """The sync windows that are open now."""
        self._guard.enforce(call, "projects", "get", request.name)
        project = await self._projects.get(request.name)
        now = self._state.clock()
        try:
            windows = tuple(window for window in project.spec.sync_windows if is_active(window, now))
        except WindowError as error:
            raise unknown(str(error)) from None
        return SyncWindowsResponse(windows=windows)

    # Writing

    @rpc("Create", Route("POST", PATH, "*"))
    async def create(self, call: Call, request: ProjectCreateRequest) -> AppProject:
        """A new project; the same once more is no error, another one needs ``upsert``."""
        project = _given(request.project)
        self._guard.enforce(call, "projects", "create", project.name)
        project = rules.prepared(project)
        rules.validate(project)
        try:
            created = await self._projects.create(project)
        except AlreadyExists:
            if not request.upsert:
                existing = (await self._projects.read(project.name)).project
                if existing.spec != project.spec:
                    raise spec_differs("project", existing.spec, project.spec) from None
                return existing
            self._guard.enforce(call, "projects", "update", project.name)
            wanted = project.spec
            replaced = await self._projects.change(
                project.name, lambda stored: msgspec.structs.replace(stored, spec=wanted)
            )
            assert replaced is not None
            created = replaced
        self._audit.project(call, created, CREATED, "created project")
        return created

    @rpc("Update", Route("PUT", f"{PATH}/{{project.metadata.name}}", "*"))
    async def update(self, call: Call, request: ProjectUpdateRequest) -> AppProject:
        """Another spec for a project, at the version that the caller read."""
        project = _given(request.project)
        self._guard.enforce(call, "projects", "update", project.name)
        project = normalize_tokens(rules.prepared(project))
        rules.validate(project)
        found = await self._projects.read(project.name)
        if call.transport != "rest":
            project = rules.kept_closed(found.project, project)
        needed = rules.required(found.project, project)
        for server in needed.clusters:
            self._guard.enforce(call, "clusters", "update", server)
        for url in needed.repositories:
            self._guard.enforce(call, "repositories", "update", url)
        rules.refuse_breaking(found.project, project, self._apps_of(project.name), self._state.settings)
        updated = await self._projects.replace(found, project)
        self._audit.project(call, updated, UPDATED, "updated project")
        return updated

    @rpc("Delete", Route("DELETE", f"{PATH}/{{name}}"))
    async def delete(self, call: Call, request: ProjectQuery) -> EmptyResponse:
        """Delete a project that no application uses."""
        if request.name == DEFAULT:
            raise invalid_argument(f"name '{DEFAULT}' is reserved and cannot be deleted")
        self._guard.enforce(call, "projects", "delete", request.name)
        project = (await self._projects.read(request.name)).project
        users = len(self._apps_of(request.name))
        if users:
            raise invalid_argument(f"project is referenced by {users} applications")
        await self._projects.delete(project)
        self._audit.project(call, project, DELETED, "deleted project")
        return EmptyResponse()

    # Tokens of roles

    @rpc("CreateToken", Route("POST", f"{PATH}/{{project}}/roles/{{role}}/token", "*"))
    async def create_token(self, call: Call, request: ProjectTokenCreateRequest) -> ProjectTokenResponse:
        """A token of a role; whoever may change the project or is in a group of the role may have one."""
        name, role, token_id = request.project, request.role, request.id or self._new_id()
        if request.expires_in < 0:
            raise invalid_argument("expiresIn must not be negative")
        issued = ""

        def add(project: AppProject) -> AppProject:
            nonlocal issued
            self._enforce_role(call, project, role)
            if rules.role_of(project, role) is None:
                raise not_found(f"project '{name}' does not have role '{role}'")
            rules.validate(project)
            if any(token.id == token_id for token in tokens_of(project, role)):
                raise invalid_argument(f"Token id '{token_id}' has been used. ")
            issued = self._issuer.issue(token_subject(name, role), request.expires_in, token_id)
            return with_token(project, role, _entry(issued))

        changed = await self._change_tokens(call, name, add)
        assert changed is not None
        self._audit.project(call, changed, CREATED, "created token")
        return ProjectTokenResponse(token=issued)

    @rpc("DeleteToken", Route("DELETE", f"{PATH}/{{project}}/roles/{{role}}/token/{{iat}}"))
    async def delete_token(self, call: Call, request: ProjectTokenDeleteRequest) -> EmptyResponse:
        """Revoke a token; one that is not there is no error."""
        name, role = request.project, request.role

        def take_out(project: AppProject) -> AppProject | None:
            self._enforce_role(call, project, role)
            if rules.role_of(project, role) is None:
                return None
            return without_token(project, role, token_id=request.id, issued_at=request.iat)

        changed = await self._change_tokens(call, name, take_out)
        if changed is not None:
            self._audit.project(call, changed, DELETED, "deleted token")
        return EmptyResponse()

    async def _change_tokens(
        self, call: Call, name: str, decide: Callable[[AppProject], AppProject | None]
    ) -> AppProject | None:
        try:
            return await self._projects.change(name, decide)
        except NotFound:
            self._guard.enforce(call, "projects", "update", name)
            raise

    def _enforce_role(self, call: Call, project: AppProject, role: str) -> None:
        """``update`` on the project, or a group of the caller has the role."""
        known = rules.role_of(project, role)
        if known is None or not rules.is_member(call.identity.groups, known):
            self._guard.enforce(call, "projects", "update", project.name)

    def _apps_of(self, name: str) -> tuple[Application, ...]:
        """Applications of a project in the control plane's namespace."""
        namespace = self._state.namespace
        return tuple(
            app
            for app in self._state.apps
            if app.metadata.namespace == namespace and app.spec.project_name == name
        )


def _given(project: AppProject | None) -> AppProject:
    if project is None:
        raise invalid_argument("missing payload 'project' in request")
    return project


def _entry(token: str) -> JWTToken:
    """What a project keeps of a token that we have just signed."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return JWTToken(iat=int(claims["iat"]), exp=int(claims.get("exp", 0)), id=str(claims["jti"]))
