"""Single sign-on as the rest sees it: check a token, begin and finish a login (api.md 12).

Follows the settings: a change of what concerns SSO makes a new provider, and the old one is closed.
What the provider gives beside the ID token (access and refresh token) is sealed and handed out with
it; whoever comes back with both gets groups of elsewhere, and a fresh ID token in place of one that
has expired or soon will, until the login is as old as a session may be.
"""

import asyncio
import hashlib
import os
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4
from weakref import WeakValueDictionary

import msgspec

from tiphys.access.errors import AccessError, InvalidToken
from tiphys.access.oidc.config import Sso, read_sso
from tiphys.access.oidc.flow import Begun, Returned, begin, returned
from tiphys.access.oidc.groups import Groups, Remembered
from tiphys.access.oidc.provider import Provider, ProviderError, Reach
from tiphys.access.oidc.sealing import SESSION, SealBroken, seal, unseal
from tiphys.access.oidc.values import LoggedIn, SsoSession, Verified
from tiphys.access.oidc.verifying import (
    FAILED,
    allowed_algorithms,
    check_claims,
    header_of,
    refused,
    signed_claims,
)
from tiphys.access.sessions import Sessions, revocation_id
from tiphys.access.tokens import unverified_issuer
from tiphys.settings.model import Settings
from tiphys.settings.store import SettingsStore
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

_SAME_REFRESH = 60.0
"""Seconds in which the same refresh token gives the same answer: browsers ask many things at once."""

_SAME_SIGNATURE = 60.0
"""Seconds in which a signature is not checked again, unless its key is gone before."""


class SsoUnavailable(AccessError):
    """SSO is not configured."""


class SingleSignOn:
    """See the module."""

    def __init__(
        self,
        settings: SettingsStore,
        sessions: Sessions,
        clock: Callable[[], datetime],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ):
        self._settings = settings
        self._sessions = sessions
        self._clock = clock
        self._monotonic = monotonic
        self._read_from: Settings | None = None
        self._told: tuple[str, ...] = ()
        self._parts: _Parts | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def config(self) -> Sso | None:
        """SSO as it is configured now."""
        parts = self._current()
        return parts.provider.sso if parts else None

    async def close(self) -> None:
        """Close connections."""
        if self._parts is not None:
            await self._parts.provider.close()
        await asyncio.gather(*self._closing)

    # Tokens

    async def check(self, token: str, sealed: str = "") -> Verified:
        """What a token of the provider is worth now.

        Args:
            sealed: what was handed out with it, if the caller has it.

        Raises:
            InvalidToken: with the reason.
        """
        parts = self._current()
        if parts is None:
            raise refused("SSO is not configured")
        try:
            claims, is_good = await self._verify(parts, token)
        except ProviderError as error:
            log.warning("SSO tokens cannot be checked: %s", error)
            raise InvalidToken(FAILED) from None
        session = self._session(sealed, claims)
        self._refuse_revoked(claims, token)
        renewed = sealed_again = ""
        if (
            session is not None
            and session.refresh_token
            and self._wants_refresh(parts, claims, is_good, session)
        ):
            refreshed = await self._refresh(parts, session)
            if refreshed is not None:
                renewed, sealed_again, claims, session = refreshed
                is_good = True
        if not is_good:
            raise InvalidToken(FAILED, expired_sso=True)
        access_token = session.access_token if session else parts.access.get(_subject(claims)) or ""
        return Verified(await parts.groups.complete(claims, access_token), renewed, sealed_again)

    async def claims_of(self, token: str) -> Mapping[str, Any]:
        """The claims of a token that is good now, and nothing else.

        Raises:
            InvalidToken: with the reason.
        """
        parts = self._current()
        if parts is None:
            raise refused("SSO is not configured")
        try:
            claims, is_good = await self._verify(parts, token)
        except ProviderError as error:
            log.warning("SSO tokens cannot be checked: %s", error)
            raise InvalidToken(FAILED) from None
        if not is_good:
            raise InvalidToken(FAILED, expired_sso=True)
        self._refuse_revoked(claims, token)
        return claims

    def _refuse_revoked(self, claims: Mapping[str, Any], token: str) -> None:
        if self._sessions.shared.is_revoked(revocation_id(claims, token)):
            raise InvalidToken("token is revoked, please re-login")

    async def _verify(self, parts: "_Parts", token: str) -> tuple[dict[str, Any], bool]:
        sso = parts.provider.sso
        header = header_of(token)
        if unverified_issuer(token) != sso.oidc.issuer:
            raise refused("another issuer")
        discovery = await parts.provider.discovery()
        allowed = allowed_algorithms(discovery)
        if header.get("alg") not in allowed:
            raise refused("its algorithm")  # before anybody is asked for keys
        key_id = header.get("kid")
        keys = await parts.provider.keys(key_id if isinstance(key_id, str) else "")
        claims = parts.signed.get(token)
        if claims is None:
            claims = signed_claims(token, keys, allowed)
            parts.signed.put(token, claims, _SAME_SIGNATURE)
        is_good = check_claims(
            claims,
            issuer=sso.oidc.issuer,
            audiences=sso.audiences,
            without_audience=sso.oidc.skip_audience_without_one,
            now=self._clock().timestamp(),
        )
        return claims, is_good

    # Logging in

    async def begin(self, return_url: str, redirect_uri: str) -> Begun:
        """Where a browser goes to log in, and what it keeps meanwhile.

        Raises:
            SsoUnavailable, ProviderError
        """
        parts = self._needed()
        return begin(
            parts.provider.sso,
            await parts.provider.discovery(),
            return_url=return_url,
            redirect_uri=redirect_uri,
            secret_key=self._sessions.secret_key,
            random_text=lambda: secrets.token_urlsafe(32),
            now=self._clock().timestamp(),
        )

    def returned(self, state: str, sealed: str) -> Returned:
        """The login that a browser comes back from.

        Raises:
            BadState: it began none, or long ago.
        """
        return returned(state, sealed, self._sessions.secret_key, self._clock().timestamp())

    async def finish(self, code: str, state: Returned, redirect_uri: str) -> LoggedIn:
        """The session that a code stands for.

        Raises:
            SsoUnavailable
            ProviderError: the code is not taken, or no ID token came.
            InvalidToken: the ID token is not good.
        """
        parts = self._needed()
        tokens = await parts.provider.exchange(code, redirect_uri, state.verifier)
        if not tokens.id_token:
            raise NoIdToken
        claims, is_good = await self._verify(parts, tokens.id_token)
        if not is_good or claims.get("nonce", state.nonce) != state.nonce:
            raise refused("made for another login, or expired")
        subject = _subject(claims)
        parts.groups.forget(subject)
        if tokens.access_token and parts.groups.are_elsewhere(claims):
            parts.access.put(subject, tokens.access_token, tokens.expires_in or 3600.0)
        session = SsoSession(
            str(uuid4()),
            subject,
            int(self._clock().timestamp()),
            tokens.access_token if parts.groups.are_elsewhere(claims) else "",
            tokens.refresh_token,
        )
        log.info("logged in with SSO", extra={"user": subject})
        return LoggedIn(tokens.id_token, self._sealed(session), state.return_url)

    async def revoke(self, token: str, sealed: str) -> None:
        """Log out: neither the token nor what was sealed beside it is worth anything any more.

        Raises:
            InvalidToken: it was worth nothing already.
            KubeError: the revocation could not be stored.
        """
        claims = await self.claims_of(token)
        session = self._session(sealed, claims)
        if session is not None:
            length = self._sessions.session_seconds or 365 * 86400
            await self._sessions.shared.revoke(session.id, session.since + length)
        await self._sessions.revoke(claims, token)

    # Sealed sessions

    def _session(self, sealed: str, claims: Mapping[str, Any]) -> SsoSession | None:
        if not sealed:
            return None
        try:
            found = msgspec.json.decode(unseal(sealed, self._sessions.secret_key, SESSION), type=SsoSession)
        except (SealBroken, msgspec.DecodeError, AccessError):
            return None
        if found.subject != _subject(claims) or self._sessions.shared.is_revoked(found.id):
            return None
        return found

    def _sealed(self, session: SsoSession) -> str:
        if not session.access_token and not session.refresh_token:
            return ""
        return seal(msgspec.json.encode(session).decode(), self._sessions.secret_key, SESSION)

    def _wants_refresh(
        self, parts: "_Parts", claims: Mapping[str, Any], is_good: bool, session: SsoSession
    ) -> bool:
        now = self._clock().timestamp()
        limit = self._sessions.session_seconds
        if limit > 0 and now >= session.since + limit:
            return False
        threshold = parts.provider.sso.oidc.refresh_threshold
        return not is_good or (threshold > 0 and float(claims["exp"]) - now < threshold)

    async def _refresh(
        self, parts: "_Parts", session: SsoSession
    ) -> tuple[str, str, dict[str, Any], SsoSession] | None:
        """Fresh tokens; requests that come with the same refresh token at the same time get the same."""
        name = hashlib.sha256(session.refresh_token.encode()).hexdigest()
        async with parts.refreshing(name):
            known: tuple[str, str, dict[str, Any], SsoSession] | None = parts.refreshed.get(name)
            if known is not None:
                return known
            try:
                tokens = await parts.provider.refresh(session.refresh_token)
                claims, is_good = await self._verify(parts, tokens.id_token)
            except (ProviderError, InvalidToken) as error:
                log.info("an SSO session could not be refreshed: %s", error)
                return None
            if not is_good or _subject(claims) != session.subject:
                return None
            elsewhere = parts.groups.are_elsewhere(claims)
            fresh = msgspec.structs.replace(
                session,
                access_token=(tokens.access_token or session.access_token) if elsewhere else "",
                refresh_token=tokens.refresh_token or session.refresh_token,
            )
            found = (tokens.id_token, self._sealed(fresh), claims, fresh)
            parts.refreshed.put(name, found, _SAME_REFRESH)
            return found

    # Settings

    def _needed(self) -> "_Parts":
        parts = self._current()
        if parts is None:
            raise SsoUnavailable("SSO is not configured")
        return parts

    def _current(self) -> "_Parts | None":
        settings = self._settings.snapshot
        if settings is not self._read_from:
            self._read_from = settings
            sso, problems = read_sso(settings)
            if tuple(problems) != self._told:
                self._told = tuple(problems)
                for problem in problems:
                    log.warning("SSO: %s", problem)
            reach = self._reach(settings)
            if self._parts is not None and (sso, reach) != (self._parts.provider.sso, self._parts.reach):
                self._retire(self._parts)
                self._parts = None
            if sso is not None and self._parts is None:
                self._parts = _Parts(Provider(sso, reach, self._monotonic), reach, self._monotonic)
        return self._parts

    def _retire(self, parts: "_Parts") -> None:
        task = asyncio.get_running_loop().create_task(parts.provider.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _reach(self, settings: Settings) -> Reach:
        return Reach(
            dex=dex_address(settings),
            dex_strict=settings.params.server_dex_server_strict_tls,
            dex_ca=dex_ca(),
            azure_token_file=os.environ.get("AZURE_FEDERATED_TOKEN_FILE", ""),
            explains=settings.params.server_sso_debug,
        )


class NoIdToken(ProviderError):
    """The provider gave no ID token."""

    def __init__(self) -> None:
        super().__init__("token endpoint", "no id_token in token response")


class _Parts:
    """What belongs to one configuration."""

    def __init__(self, provider: Provider, reach: Reach, monotonic: Callable[[], float]):
        self.provider = provider
        self.reach = reach
        self.groups = Groups(provider, monotonic)
        self.access = Remembered(monotonic)
        self.signed = Remembered(monotonic, most=1000)
        self.refreshed = Remembered(monotonic, most=1000)
        self._refreshing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def refreshing(self, name: str) -> asyncio.Lock:
        """One refresh of a token at a time."""
        return self._refreshing.setdefault(name, asyncio.Lock())


def dex_address(settings: Settings) -> str:
    """Base URL of Dex inside of the cluster: ``--dex-server``, https unless it is plain."""
    address = settings.params.server_dex_server
    if "://" in address:
        return address.rstrip("/")
    return f"{'http' if settings.params.server_dex_server_plaintext else 'https'}://{address}"


def dex_ca() -> Path:
    """Where Dex's CA is mounted, for ``--dex-server-strict-tls``."""
    return Path(os.environ.get("ARGOCD_APP_CONF_PATH") or "/app/config") / "dex/tls/ca.crt"


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims.get("sub")
    return subject if isinstance(subject, str) else ""
