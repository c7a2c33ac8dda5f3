"""From what came along with a call to who calls (api.md 11 "Finding and checking the token").

A token is looked for in the metadata ``token``, then in each ``authorization`` of the form ``Bearer``,
then in the cookie; the first one found is the one that counts. Tokens that say they are ours are
checked here, all others by the identity provider. Without any token a client certificate counts, if
the installation takes them.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from tiphys.access.certificates import METADATA_KEY, identity_of_certificate
from tiphys.access.errors import InvalidToken
from tiphys.access.identity import LOCAL_ISSUER, NOBODY, UNRESTRICTED, Authentication, Identity
from tiphys.access.oidc.sso import SingleSignOn
from tiphys.access.rbac.enforcer import Enforcer, groups_of
from tiphys.access.sessions import Sessions
from tiphys.access.tokens import unverified_issuer
from tiphys.settings.store import SettingsStore

Metadata = Mapping[str, tuple[str, ...]]

COOKIE = "argocd.token"
STATE_COOKIE = "argocd.token-sso"
"""What SSO hands out beside a token; the name makes every logout clear it."""

NO_SESSION = "no session information"

_MOST_CHUNKS = 100
_CHUNKED = re.compile(r"^(\d{1,3}):")


class Authenticator:
    """Implements ``server.api.invoke.Authenticator``."""

    def __init__(
        self,
        settings: SettingsStore,
        sessions: Sessions,
        enforcer: Enforcer,
        sso: SingleSignOn,
        now: Callable[[], float],
    ):
        self._settings = settings
        self._sessions = sessions
        self._enforcer = enforcer
        self._sso = sso
        self._now = now

    async def authenticate(self, metadata: Metadata) -> Authentication:
        """Who calls. Never raises: with anonymous access a caller without a good token is nobody,
        without it the outcome has a ``problem``."""
        settings = self._settings.snapshot
        if settings.params.server_disable_auth:
            return Authentication(UNRESTRICTED)
        token = find_token(metadata)
        outcome = await self.check(token, find_sealed(metadata)) if token else self._by_certificate(metadata)
        if outcome.problem and settings.raw.get("users.anonymous.enabled") == "true":
            return Authentication(NOBODY)
        return outcome

    async def check(self, token: str, sealed: str = "") -> Authentication:
        """Who has this token; ``sealed``: what was handed out with it by SSO."""
        try:
            if unverified_issuer(token) == LOCAL_ISSUER:
                local = self._sessions.check(token)
                return Authentication(
                    self._identity(local.claims), renewed_token=self._sessions.renewed(local)
                )
            found = await self._sso.check(token, sealed)
            return Authentication(
                self._identity(found.claims), renewed_token=found.renewed, renewed_state=found.sealed
            )
        except InvalidToken as error:
            nobody = Identity(issuer="sso", claims={"iss": "sso"}) if error.expired_sso else NOBODY
            return Authentication(nobody, f"invalid session: {error}", lacks_groups=error.lacks_groups)

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        return identity_of(claims, self._enforcer.scopes)

    def _by_certificate(self, metadata: Metadata) -> Authentication:
        given = metadata.get(METADATA_KEY)
        if given and self._settings.snapshot.raw.get("server.clientCA", "").strip():
            try:
                return Authentication(identity_of_certificate(given[0], self._now()))
            except ValueError as error:
                return Authentication(NOBODY, f"invalid session: {error}")
        return Authentication(NOBODY, NO_SESSION)


def identity_of(claims: Mapping[str, Any], scopes: tuple[str, ...]) -> Identity:
    """The caller that verified claims describe (api.md 11, last lines of the token section)."""
    federated = claims.get("federated_claims")
    user_id = federated.get("user_id") if isinstance(federated, Mapping) else None
    if not isinstance(user_id, str) or not user_id:
        user_id = _text(claims.get("sub"))
    issuer = _text(claims.get("iss"))
    username = user_id if issuer == LOCAL_ISSUER else (_text(claims.get("email")) or user_id)
    issued_at = claims.get("iat")
    return Identity(
        user_id=user_id,
        username=username,
        issuer=issuer,
        groups=groups_of(claims, scopes),
        issued_at=int(issued_at) if isinstance(issued_at, int | float) else None,
        claims=claims,
        is_authenticated=True,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def find_token(metadata: Metadata) -> str:
    """The token of a call, or ``""``. The metadata ``token`` is used as it is, even if it is garbage;
    the others must at least look like a JWT."""
    for value in metadata.get("token", ())[:1]:
        if value:
            return value
    for value in metadata.get("authorization", ()):
        token = value.removeprefix("Bearer ")
        if token != value and token.count(".") == 2:
            return token
    for header in metadata.get("grpcgateway-cookie", ()):
        token = join_chunks(read_cookies(header))
        if token.count(".") == 2:
            return token
    return ""


def read_cookies(header: str) -> dict[str, str]:
    """The cookies of a Cookie header; the first of a name counts."""
    found: dict[str, str] = {}
    for part in header.split(";"):
        name, mark, value = part.strip().partition("=")
        if mark:
            found.setdefault(name.strip(), value.strip().strip('"'))
    return found


def find_sealed(metadata: Metadata) -> str:
    """What SSO handed out beside the token of a browser, or ``""``."""
    for header in metadata.get("grpcgateway-cookie", ()):
        if STATE_COOKIE in header:
            return join_chunks(read_cookies(header), STATE_COOKIE)
    return ""


def join_chunks(cookies: Mapping[str, str], name: str = COOKIE) -> str:
    """A value out of its cookie or, when it is long, cookies (``<n>:<part>``, then ``-1``, ``-2``…)."""
    first = cookies.get(name, "")
    chunked = _CHUNKED.match(first)
    if chunked is None:
        return first
    count = int(chunked[1])
    if not 0 < count <= _MOST_CHUNKS:
        return ""
    parts = [first[chunked.end() :]]
    for number in range(1, count):
        part = cookies.get(f"{name}-{number}")
        if part is None:
            return ""
        parts.append(part)
    return "".join(parts)
