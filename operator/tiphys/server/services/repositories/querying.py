"""Questions to a repository: refs, applications in it, details of a source, charts (api.md 9).

They make us clone repositories and run tools, so besides the repository the caller needs the
application that is asked for, and the project must permit the repository.
"""

import asyncio
from collections.abc import Mapping
from functools import partial

import msgspec

from tiphys.projects.effective import effective_project
from tiphys.projects.permission import permits_source
from tiphys.resources.application import Application
from tiphys.resources.identity import AppKey
from tiphys.resources.messages.repository import (
    AppInfo,
    RepoAppDetailsQuery,
    RepoAppDetailsResponse,
    RepoAppsQuery,
    RepoAppsResponse,
)
from tiphys.resources.project import AppProject
from tiphys.resources.source import ApplicationSource
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import invalid_argument, not_found, permission_denied
from tiphys.server.guard import Guard, app_object
from tiphys.server.services.repositories.resolving import rbac_object
from tiphys.server.services.repositories.side import MISSING, Side
from tiphys.server.state import State
from tiphys.settings.repositories import Repository
from tiphys.settings.urls import without_password
from tiphys.sources.errors import RevisionNotFound
from tiphys.sources.queries import app_details, list_apps
from tiphys.sources.rendering import RefSource, RenderRequest


class Questions:
    """See the module."""

    def __init__(self, state: State, guard: Guard, side: Side):
        self._state = state
        self._guard = guard
        self._side = side

    async def apps(self, call: Call, request: RepoAppsQuery) -> RepoAppsResponse:
        """Directories with a chart or kustomization; for who may create or update the application."""
        repository = self._side.usable(call, request.repo, request.app_project)
        name = rbac_object(request.app_project, request.app_name)
        if not any(self._guard.allows(call, "applications", action, name) for action in ("create", "update")):
            raise permission_denied()
        self._permitting_project(request.app_project, request.repo)
        found = await list_apps(
            self._state.git,
            self._state.renderer,
            repository,
            request.revision,
            self._state.settings.rendering.enabled_tools,
        )
        return RepoAppsResponse(items=tuple(AppInfo(path=path, type=kind) for path, kind in found.items()))

    async def details(self, call: Call, request: RepoAppDetailsQuery) -> RepoAppDetailsResponse:
        """What a source can be parametrised with: any source for a new application, but only the
        sources that an existing one has or had."""
        source = request.source
        if source is None:
            raise invalid_argument(MISSING)
        repository = self._side.usable(call, source.repo_url, request.app_project)
        key = self._key_of(request.app_name)
        app = self._state.apps.get(key)
        is_others = app is not None and request.app_project != app.spec.project
        if app is not None and is_others and not self._knows(call, app):
            app, is_others = None, False  # as if it were not there
        name = rbac_object(request.app_project, request.app_name)
        self._guard.enforce(call, "applications", "get", name)
        if app is None:
            self._guard.enforce(call, "applications", "create", name)
        elif is_others or not is_known_source(app, source, request.source_index, request.version_id):
            raise permission_denied()
        project = self._permitting_project(request.app_project, source.repo_url)
        try:
            wanted = await self._render_request(request, source, repository, project, app)
        except RevisionNotFound as error:
            raise invalid_argument(error.message) from error  # as for a path that is not there
        return await app_details(self._state.renderer, wanted)

    def _knows(self, call: Call, app: Application) -> bool:
        metadata = app.metadata
        name = app_object(app.spec.project, metadata.namespace, metadata.name, self._state.namespace)
        return self._guard.allows(call, "applications", "get", name)

    def _key_of(self, name: str) -> AppKey:
        """``namespace/name``, or a name in the control plane's namespace."""
        namespace, slash, rest = name.partition("/")
        return AppKey(namespace, rest) if slash else AppKey(self._state.namespace, name)

    def _permitting_project(self, name: str, url: str) -> AppProject:
        """Raises:
        ApiFailure: NotFound without such a project, PermissionDenied if it forbids the repository.
        """
        found = self._state.projects.get(AppKey(self._state.namespace, name))
        if found is None:
            raise not_found(f'appprojects.argoproj.io "{name}" not found')
        project = effective_project(found, self._state.projects, self._state.settings)
        if not permits_source(project, url):
            shown = without_password(url)
            raise permission_denied(f"repository '{shown}' not permitted in project '{name}'")
        return project

    async def _render_request(
        self,
        request: RepoAppDetailsQuery,
        source: ApplicationSource,
        repository: Repository,
        project: AppProject,
        app: Application | None,
    ) -> RenderRequest:
        settings = self._state.settings
        permits = partial(permits_source, project)
        revision, refs = await asyncio.gather(
            self._resolved(repository, source), self._references(source, project, app)
        )
        return RenderRequest(
            repository=repository,
            source=source,
            revision=revision,
            app_name=self._key_of(request.app_name).instance(self._state.namespace),
            project=request.app_project,
            settings=settings.rendering,
            refs=refs,
            repositories=settings.repositories.for_charts(project.name, permits),
            templates=settings.repositories.chart_templates(permits),
            permits_source=permits,
        )

    async def _resolved(self, repository: Repository, source: ApplicationSource) -> str:
        if source.chart:
            return await self._state.renderer.charts.resolve(repository, source.chart, source.target_revision)
        return await self._state.git.resolve(repository, source.target_revision, tag_prefix=source.tag_prefix)

    async def _references(
        self, source: ApplicationSource, project: AppProject, app: Application | None
    ) -> Mapping[str, RefSource]:
        """The other sources of an existing application that value files may name."""
        used = source.helm is not None and any(
            path.startswith("$")
            for path in (*source.helm.value_files, *(each.path for each in source.helm.file_parameters))
        )
        if app is None or not used:
            return {}
        found: dict[str, RefSource] = {}
        for each in app.spec.effective_sources():
            if each.ref and not each.chart and permits_source(project, each.repo_url):
                repository = self._state.settings.repositories.lookup(each.repo_url, project.name)
                found[each.ref] = RefSource(repository, await self._resolved(repository, each))
        return found


def is_known_source(app: Application, source: ApplicationSource, index: int, version: int) -> bool:
    """Whether an application has this source, or had it: in its history also with the revision
    that was synced in place of the branch that was followed.

    Of an application with several sources, ``index`` and ``version`` (the id of a history entry) say
    which one is meant.
    """
    spec = app.spec
    if source in (*((spec.source,) if spec.source is not None else ()), *spec.sources):
        return True
    if spec.source_hydrator is not None and source in spec.effective_sources():
        return True
    for entry in app.status.history:
        if not entry.sources:
            if source in (entry.source, _at(entry.source, entry.revision)):
                return True
        elif entry.id == version and 0 <= index < len(entry.sources):
            revision = entry.revisions[index] if index < len(entry.revisions) else ""
            if source in (entry.sources[index], _at(entry.sources[index], revision)):
                return True
    return False


def _at(source: ApplicationSource, revision: str) -> ApplicationSource:
    return msgspec.structs.replace(source, target_revision=revision)
