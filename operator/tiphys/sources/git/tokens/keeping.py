"""Which token a repository needs, and the tokens that are still good.

A token is asked for once however many conversations want it, and again a minute before it ends, or
when a server refuses it. What is kept is found by all that decides about access, so that no
repository is served with the token of another's credentials.
"""

import os
import time
from collections.abc import Callable, Mapping
from enum import Enum

import msgspec

from tiphys.settings.repositories import Repository
from tiphys.sources.git.access import Trust, is_http
from tiphys.sources.git.flights import Flights
from tiphys.sources.git.tokens import azure, github, google
from tiphys.sources.git.tokens.asking import Asking, Token

_SPARE = 60.0
"""Seconds before its end in which a token starts no conversation any more."""
_JUST_MADE = 30.0
_INSTALLATION_SECONDS = 3600.0
_MOST = 5000


class Kind(Enum):
    """What is shown to an issuer."""

    GITHUB_APP = "githubApp"
    GOOGLE = "gcp"
    AZURE_WORKLOAD = "azureWorkloadIdentity"
    AZURE_PRINCIPAL = "azureServicePrincipal"


def kind_of(repository: Repository) -> Kind | None:
    """The first that applies (18.4); ``None``: what is in the Secret is used as it is."""
    if repository.password or repository.bearer_token or repository.ssh_private_key:
        return None
    if not is_http(repository.url):
        return None
    if repository.github_app_private_key and repository.github_app_id:
        return Kind.GITHUB_APP
    if repository.gcp_service_account_key:
        return Kind.GOOGLE
    if repository.use_azure_workload_identity:
        return Kind.AZURE_WORKLOAD
    if (
        repository.azure_service_principal_client_id
        and repository.azure_service_principal_client_secret
        and repository.azure_service_principal_tenant_id
    ):
        return Kind.AZURE_PRINCIPAL
    return None


class Limits(msgspec.Struct, frozen=True):
    """Seconds: of one request, and how long tokens of these kinds are kept at most."""

    request: float = 15.0
    github: float = 3600.0
    azure_principal: float = 3540.0


class Tokens:
    """The tokens of one Git store. Call :meth:`close` at the end.

    Args:
        now: wall clock, seconds.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        now: Callable[[], float] = time.time,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._limits = limits or Limits()
        self._now = now
        self._environ = environ
        self._tokens: dict[str, Token] = {}
        self._installations: dict[tuple[str, int, str], tuple[int, float]] = {}
        self._asking: Flights[Token] = Flights()

    async def equip(self, repository: Repository, trust: Trust) -> Repository:
        """The repository as git can use it: with a token as its password where it needs one.

        Raises:
            SourceError: the issuer refuses, or cannot be reached.
        """
        kind = kind_of(repository)
        if kind is None:
            return repository
        key = repository.credential_digest
        token = self._tokens.get(key)
        if token is None or token.expires <= self._now():
            token = await self._asking.share(key, lambda: self._fetch(kind, key, repository, trust))
        return msgspec.structs.replace(
            repository,
            username=token.username,
            password=token.password,
            bearer_token=token.password if token.bearer else "",
        )

    def forget(self, repository: Repository, refused: str) -> bool:
        """A server refused the token that :meth:`equip` gave: whether another could be better. One that
        was only just made is not worth another try; one that others replaced meanwhile is."""
        if kind_of(repository) is None:
            return False
        key = repository.credential_digest
        token = self._tokens.get(key)
        if token is None or token.password != refused:
            return True
        del self._tokens[key]
        return self._now() - token.made > _JUST_MADE

    async def close(self) -> None:
        """End running requests."""
        await self._asking.close()

    async def _fetch(self, kind: Kind, key: str, repository: Repository, trust: Trust) -> Token:
        now = self._now()
        asking = Asking(repository, trust, now, self._limits.request, self._environ)
        longest = float("inf")
        if kind is Kind.GITHUB_APP:
            token = await github.token(asking, await self._installation(asking))
            longest = self._limits.github
        elif kind is Kind.GOOGLE:
            token = await google.token(asking)
        elif kind is Kind.AZURE_WORKLOAD:
            token = await azure.of_workload(asking)
        else:
            token = await azure.of_principal(asking)
            longest = self._limits.azure_principal
        kept = msgspec.structs.replace(token, made=now, expires=min(token.expires - _SPARE, now + longest))
        while len(self._tokens) >= _MOST:
            del self._tokens[next(iter(self._tokens))]
        self._tokens[key] = kept
        return kept

    async def _installation(self, asking: Asking) -> int:
        repository = asking.repository
        if repository.github_app_installation_id:
            return repository.github_app_installation_id
        key = (github.base_url(repository), repository.github_app_id, github.account_of(repository.url))
        known = self._installations.get(key)
        if known is not None and known[1] > asking.now:
            return known[0]
        found = await github.installation_of(asking)
        while len(self._installations) >= _MOST:
            del self._installations[next(iter(self._installations))]
        self._installations[key] = (found, asking.now + _INSTALLATION_SECONDS)
        return found
