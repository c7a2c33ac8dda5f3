"""What can be done with stored repositories, for reading and for pushing alike (api.md 9).

A side is one of both: its Secrets, its RBAC resource, its list in the settings. The methods here take
what the caller gave and know who may do what; the service only gives them their names.
"""

from collections.abc import Sequence

import msgspec

from tiphys.resources.messages.repository import RepoAccessQuery, RepoQuery, RepoResponse
from tiphys.resources.messages.stored_repositories import Repository as Message
from tiphys.resources.messages.stored_repositories import RepositoryList
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import (
    ApiFailure,
    Code,
    invalid_argument,
    not_found,
    permission_denied,
)
from tiphys.server.guard import Guard, refusal
from tiphys.server.services.differing import spec_differs
from tiphys.server.services.repositories.connections import ConnectionStates
from tiphys.server.services.repositories.resolving import (
    find_exact,
    find_visible,
    is_named,
    rbac_object,
    unescaped_segment,
)
from tiphys.server.services.repositories.secrets import Secrets, SecretTaken
from tiphys.server.services.repositories.shown import given, sanitised, stored
from tiphys.server.services.repositories.stored import REPOSITORY, WRITE_REPOSITORY
from tiphys.server.state import State
from tiphys.settings.repositories import Repositories, Repository
from tiphys.settings.urls import without_password
from tiphys.sources.queries import check_access

MISSING = "missing payload in request"


class Side:
    """Repositories for reading, or (``write``) for pushing."""

    def __init__(self, state: State, guard: Guard, *, write: bool):
        self._state = state
        self._guard = guard
        self._write = write
        self._resource = "write-repositories" if write else "repositories"
        self._connections = ConnectionStates(state)
        form = WRITE_REPOSITORY if write else REPOSITORY
        self._secrets = Secrets(form, state.client, state.settings_store, state.namespace)

    # --- reading ---------------------------------------------------------------------------------

    async def list(self, call: Call, *, fresh: bool) -> RepositoryList:
        """Those the caller may get, sorted by project and URL, each with its connection state."""
        permits = self._guard.permits(call, self._resource, "get")
        shown = [each for each in self._all() if permits(rbac_object(each.project, each.url))]
        shown = [
            self._complete(each) for each in sorted(shown, key=lambda each: f"{each.project}/{each.url}")
        ]
        states = await self._connections.of_all(shown, fresh=fresh)
        return RepositoryList(
            items=tuple(sanitised(each, state) for each, state in zip(shown, states, strict=True))
        )

    async def get(self, call: Call, request: RepoQuery) -> Message:
        """One of those the caller may get.

        Raises:
            ApiFailure: ``permission denied`` when none has the URL.
        """
        found = self._complete(self._visible(call, request))
        return sanitised(found, await self._connections.of(found, fresh=request.force_refresh))

    def usable(self, call: Call, url: str, project: str) -> Repository:
        """The repository that a question is about, with its credentials; a URL that is not
        configured is asked without any.

        Raises:
            ApiFailure: the caller may not get it.
        """
        found = self._lookup(url, project)
        if not self._guard.allows(call, self._resource, "get", rbac_object(found.project, found.url)):
            # In the words of the question: those of what is stored would tell that it is.
            raise permission_denied(refusal(call.identity, self._resource, "get", without_password(url)))
        return found

    # --- writing ---------------------------------------------------------------------------------

    async def create(self, call: Call, message: Message | None, *, upsert: bool) -> Message:
        """Store a repository that answers (a project's own is stored unseen).

        Raises:
            ApiFailure: InvalidArgument when another one with the URL is stored and not ``upsert``.
            SourceError: it does not answer.
        """
        if message is None:
            raise invalid_argument(MISSING)
        wanted = given(message)
        self._guard.enforce(call, self._resource, "create", rbac_object(wanted.project, wanted.url))
        if not wanted.url:
            raise invalid_argument("must specify the URL of the repository")
        if self._write:
            if not wanted.has_own_credentials:
                raise invalid_argument("missing credentials in request")
            await self._check(wanted)
        elif not wanted.project:
            await self._check(self._complete(wanted))
        try:
            if find_exact(self._all(), wanted.url, wanted.project) is None:
                await self._secrets.create(message)
                return _confirmed(message)
        except SecretTaken:
            pass
        existing = find_exact(self._all(), wanted.url, wanted.project)
        if existing is None:
            raise ApiFailure(
                Code.ALREADY_EXISTS, f'repository "{without_password(wanted.url)}" already exists'
            )
        if stored(existing) == stored(wanted):
            return _confirmed(stored(existing))
        if not upsert:
            raise spec_differs("repository", stored(existing), stored(wanted))
        await self._store(existing, message)
        return sanitised(wanted)

    async def update(self, call: Call, message: Message | None) -> Message:
        """Change a stored repository; one without a project may so get a namesake in a project.

        Raises:
            ApiFailure: the caller may not change the old or the new one; NotFound.
        """
        if message is None:
            raise invalid_argument(MISSING)
        wanted = given(message)
        before = self._lookup(wanted.url, wanted.project)
        for each in (before, wanted):
            name = rbac_object(each.project, each.url)
            if not self._guard.allows(call, self._resource, "update", name):
                # In the words of the question, unless the caller knows what is stored.
                shown = each if self._guard.allows(call, self._resource, "get", name) else wanted
                name = rbac_object(shown.project, without_password(shown.url))
                raise permission_denied(refusal(call.identity, self._resource, "update", name))
        if not before.secret_name:
            raise not_found(f"repo '{without_password(wanted.url)}' not found")
        await self._store(find_exact(self._all(), wanted.url, wanted.project), message)
        return _confirmed(message)

    async def _store(self, existing: Repository | None, message: Message) -> None:
        if existing is not None and await self._secrets.update(existing.secret_name, message):
            return
        try:
            await self._secrets.create(message)
        except SecretTaken as taken:
            await self._secrets.update(str(taken), message)

    async def delete(self, call: Call, request: RepoQuery) -> RepoResponse:
        """Forget a repository that the caller may get and delete.

        Raises:
            ApiFailure: ``permission denied`` when none has the URL.
        """
        found = self._visible(call, request)
        self._guard.enforce(call, self._resource, "delete", rbac_object(found.project, found.url))
        if not await self._secrets.delete(found.secret_name):
            raise not_found(f"repo '{without_password(found.url)}' not found")
        return RepoResponse()

    async def validate(self, call: Call, request: RepoAccessQuery) -> RepoResponse:
        """Whether a repository that is not stored yet would answer.

        Raises:
            SourceError: it does not.
        """
        request = msgspec.structs.replace(request, repo=unescaped_segment(request.repo))
        wanted = given(request)
        self._guard.enforce(call, self._resource, "create", rbac_object(wanted.project, wanted.url))
        await self._check(self._complete(wanted))
        return RepoResponse()

    # --- inside ----------------------------------------------------------------------------------

    async def _check(self, repository: Repository) -> None:
        await check_access(self._state.git, self._state.renderer.charts, repository)

    def _visible(self, call: Call, request: RepoQuery) -> Repository:
        permits = self._guard.permits(call, self._resource, "get")
        return find_visible(self._all(), permits, request.repo, request.app_project)

    @property
    def _settings(self) -> Repositories:
        return self._state.settings.repositories

    def _all(self) -> Sequence[Repository]:
        return self._settings.write if self._write else self._settings.read

    def _lookup(self, url: str, project: str) -> Repository:
        """A project's own, else one without a project, else one that is not configured. A stored
        one keeps its own spelling of the URL, which is what policies are about."""
        settings = self._settings
        found = settings.lookup_write(url, project) if self._write else settings.lookup(url, project)
        for each in self._all():
            if found.secret_name and each.secret_name == found.secret_name:
                return msgspec.structs.replace(found, url=each.url)
        for wanted in (project, ""):
            for each in self._all():
                if not found.secret_name and each.project == wanted and is_named(each, url):
                    return self._complete(each)
        return found

    def _complete(self, repository: Repository) -> Repository:
        return self._settings.complete(repository, write=self._write)


def _confirmed(message: Message) -> Message:
    """What creating and updating answer."""
    return Message(repo=message.repo, type=message.type, name=message.name)
