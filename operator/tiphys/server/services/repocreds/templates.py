"""What can be done with credential templates, for reading and for pushing alike (api.md 9).

A template is meant by its URL, compared normalised. The reference looks for the longest prefix
instead, so that it changes or deletes another template than the one named; we do not.
"""

from collections.abc import Sequence

import msgspec

from tiphys.resources.messages.repocreds import RepoCredsResponse
from tiphys.resources.messages.stored_repositories import RepoCreds, RepoCredsList
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import ApiFailure, Code, invalid_argument, not_found
from tiphys.server.guard import Guard
from tiphys.server.services.differing import spec_differs
from tiphys.server.services.repositories.resolving import find_exact, unescaped_segment
from tiphys.server.services.repositories.secrets import Secrets, SecretTaken
from tiphys.server.services.repositories.shown import given_template, sanitised_template, stored_template
from tiphys.server.services.repositories.side import MISSING
from tiphys.server.services.repositories.stored import TEMPLATE, WRITE_TEMPLATE
from tiphys.server.state import State
from tiphys.settings.repositories import Repository
from tiphys.settings.urls import without_password

_ENTITY = "repository credentials"


class Templates:
    """Credential templates for reading, or (``write``) for pushing."""

    def __init__(self, state: State, guard: Guard, *, write: bool):
        self._state = state
        self._guard = guard
        self._write = write
        self._resource = "write-repositories" if write else "repositories"
        form = WRITE_TEMPLATE if write else TEMPLATE
        self._secrets = Secrets(form, state.client, state.settings_store, state.namespace)

    def list(self, call: Call) -> RepoCredsList:
        """Those the caller may get, sorted by URL; for pushing only those with a password, as in
        the reference (``sources.md`` 18.3)."""
        permits = self._guard.permits(call, self._resource, "get")
        shown = [each for each in self._all() if permits(each.url) and (each.password or not self._write)]
        return RepoCredsList(
            items=tuple(sanitised_template(each) for each in sorted(shown, key=lambda each: each.url))
        )

    async def create(self, call: Call, message: RepoCreds | None, *, upsert: bool) -> RepoCreds:
        """Store a template.

        Raises:
            ApiFailure: InvalidArgument when another one with the URL is stored and not ``upsert``.
        """
        if message is None:
            raise invalid_argument(MISSING)
        wanted = given_template(message)
        if not wanted.url:
            raise invalid_argument("must specify URL")
        self._guard.enforce(call, self._resource, "create", wanted.url)
        existing = self._find(wanted.url)
        if existing is None:
            try:
                await self._secrets.create(wanted)
                return RepoCreds(url=message.url)
            except SecretTaken:
                existing = self._find(wanted.url)
        if existing is None:
            shown = without_password(wanted.url)
            raise ApiFailure(Code.ALREADY_EXISTS, f'{_ENTITY} "{shown}" already exists')
        if stored_template(existing) != wanted:
            if not upsert:
                raise spec_differs(_ENTITY, stored_template(existing), wanted)
            await self._store(existing, wanted)
        return RepoCreds(url=message.url)

    async def update(self, call: Call, message: RepoCreds | None) -> RepoCreds:
        """Change a stored template.

        Raises:
            ApiFailure: NotFound.
        """
        if message is None:
            raise invalid_argument(MISSING)
        message = msgspec.structs.replace(message, url=unescaped_segment(message.url))
        wanted = given_template(message)
        self._guard.enforce(call, self._resource, "update", wanted.url)
        existing = self._find(wanted.url)
        if existing is None:
            raise _absent(wanted.url)
        await self._store(existing, wanted)
        return RepoCreds(url=message.url)

    async def delete(self, call: Call, url: str) -> RepoCredsResponse:
        """Forget a template.

        Raises:
            ApiFailure: NotFound.
        """
        self._guard.enforce(call, self._resource, "delete", url)
        existing = self._find(url)
        if existing is None or not await self._secrets.delete(existing.secret_name):
            raise _absent(url)
        return RepoCredsResponse()

    async def _store(self, existing: Repository, wanted: RepoCreds) -> None:
        if not await self._secrets.update(existing.secret_name, wanted):
            await self._secrets.create(wanted)

    def _all(self) -> Sequence[Repository]:
        settings = self._state.settings.repositories
        return settings.write_templates if self._write else settings.read_templates

    def _find(self, url: str) -> Repository | None:
        return find_exact(self._all(), url.strip(), "")


def _absent(url: str) -> ApiFailure:
    return not_found(f"{_ENTITY} '{without_password(url)}' not found")
