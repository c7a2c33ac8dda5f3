"""Logging in with a password, and the sessions that come of it (api.md 11).

Every check of credentials takes a random 500 to 1000 ms, whatever comes out, and costs one hash.
Names are told apart from passwords by nothing: refusals are one sentence. Only a right password is
told that its account is switched off.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import uuid4

from tiphys.access.accounts import LOGIN, Account, Accounts
from tiphys.access.errors import AccessError, InvalidToken, LoginRefused, UsernameTooLong
from tiphys.access.failures import Book, Failures, cleared, current, failed, is_blocked
from tiphys.access.passwords import Passwords
from tiphys.access.shared import SharedSessions
from tiphys.access.tokens import LocalToken, check_local, issue, renewal_lifetime, verified_claims
from tiphys.kube.client import ClusterClient
from tiphys.resources.project import AppProject
from tiphys.settings.store import SettingsStore
from tiphys.settings.values import duration
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

REFUSED = "Invalid username or password"
LONGEST_NAME = 32
"""Bytes of a user name."""

DEFAULT_SESSION = 86400.0


class SecretKeyMissing(AccessError):
    """``argocd-secret`` has no ``server.secretkey`` (yet)."""

    def __init__(self) -> None:
        super().__init__("server.secretkey is missing")


class Sessions:
    """Issues and checks local tokens.

    Args:
        project: the AppProject of a name, for tokens of its roles.
        sleep, jitter: how to wait, and a random number of [0, 1); tests give their own.
    """

    def __init__(
        self,
        settings: SettingsStore,
        client: ClusterClient,
        namespace: str,
        clock: Callable[[], datetime],
        accounts: Accounts,
        project: Callable[[str], AppProject | None],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = lambda: secrets.randbelow(10**6) / 10**6,
    ):
        self._settings = settings
        self._clock = clock
        self._accounts = accounts
        self._project = project
        self._sleep = sleep
        self._jitter = jitter
        self.passwords = Passwords()
        self.shared = SharedSessions(client, namespace, clock, self._still_matters)
        self._logins = 0

    # Logging in

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """A login within the limit of logins at once (per replica).

        Raises:
            LoginRefused: too many.
        """
        params = self._settings.snapshot.params
        limit = params.server_max_concurrent_logins
        if limit > 0 and params.server_replicas > 0:
            limit = max(1, limit // params.server_replicas)
            if self._logins >= limit:
                raise LoginRefused(REFUSED)
        self._logins += 1
        try:
            yield
        finally:
            self._logins -= 1

    async def login(self, username: str, password: str) -> str:
        """A token for a right name and password.

        Raises:
            UsernameTooLong, LoginRefused
        """
        account = await self.verify_password(username, password)
        if not account.can(LOGIN):
            raise LoginRefused(f"Account {username} does not have login capability")
        log.info("logged in with a password", extra={"user": username})
        return self.issue(f"{username}:{LOGIN}", self.session_seconds, str(uuid4()))

    async def verify_password(self, username: str, password: str) -> Account:
        """The account whose password this is; counted, limited and padded.

        Raises:
            UsernameTooLong, LoginRefused
        """
        if len(username.encode("utf-8", "surrogatepass")) > LONGEST_NAME:
            raise UsernameTooLong(LONGEST_NAME)
        pause = asyncio.ensure_future(self._sleep(0.5 + 0.5 * self._jitter()))
        try:
            return await self._verify(username, password)
        finally:
            await pause

    async def _verify(self, username: str, password: str) -> Account:
        account = self._accounts.all().get(username)
        was_blocked = self._is_blocked(username)
        # The hash is made in any case, so that under load nobody is answered faster than others; and
        # many guesses at once are no way around the limit: it is looked at again after it.
        is_right = await self.passwords.check(password, account.password_hash if account else "")
        now = self._clock().timestamp()
        if was_blocked or self._is_blocked(username):
            log.warning("login refused: too many failures", extra={"user": username})
            raise LoginRefused(REFUSED)
        if account is None or not is_right:
            if account is not None:
                most = self._settings.snapshot.params.server_session_max_cache_size
                self.shared.change_book(
                    lambda book: failed(self._still_matters(book), username, now, most=most)
                )
            raise LoginRefused(REFUSED)
        if username in self.shared.book:
            self.shared.change_book(lambda book: cleared(book, username))
        if not account.is_enabled:
            raise LoginRefused(f"Account {username} is disabled")
        return account

    def _is_blocked(self, username: str) -> bool:
        params = self._settings.snapshot.params
        return is_blocked(
            self.shared.book,
            username,
            self._clock().timestamp(),
            limit=params.server_session_max_failures,
            window=params.server_session_failure_window,
        )

    def _still_matters(self, book: Book) -> dict[str, Failures]:
        return current(
            book,
            self._clock().timestamp(),
            window=self._settings.snapshot.params.server_session_failure_window,
            names=self._accounts.all().__contains__,
        )

    # Tokens

    @property
    def session_seconds(self) -> int:
        """``users.session.duration``; a text that is no duration counts as a day."""
        text = self._settings.snapshot.raw.get("users.session.duration", "")
        try:
            return int(duration(text) if text else DEFAULT_SESSION)
        except ValueError:
            log.warning("setting not taken over: argocd-cm users.session.duration: no duration")
            return int(DEFAULT_SESSION)

    @property
    def secret_key(self) -> str:
        """``server.secretkey``.

        Raises:
            SecretKeyMissing: nobody made one yet.
        """
        key = self._settings.snapshot.references.main.get("server.secretkey", "")
        if not key:
            raise SecretKeyMissing
        return key

    def issue(self, subject: str, lifetime: int, token_id: str) -> str:
        """A token with our signature; ``lifetime`` in seconds, 0 for ever (also for API keys and
        project tokens, which their owners store).

        Raises:
            SecretKeyMissing: nobody made one yet.
        """
        now = int(self._clock().timestamp())
        return issue(self.secret_key, subject, now=now, lifetime=lifetime, token_id=token_id)

    def check(self, token: str) -> LocalToken:
        """What a token of ours is worth now (api.md 11).

        Raises:
            InvalidToken: with the reason.
        """
        try:
            claims = verified_claims(token, self.secret_key, self._clock().timestamp())
        except SecretKeyMissing as error:
            raise InvalidToken(str(error)) from None
        return check_local(
            claims,
            project=self._project,
            account=self._accounts.all().get,
            is_revoked=self.shared.is_revoked,
        )

    def renewed(self, token: LocalToken) -> str:
        """A fresh token with the same lifetime in place of one that ends soon, else ``""``."""
        lifetime = renewal_lifetime(token.claims, token.capability, self._clock().timestamp())
        if lifetime <= 0:
            return ""
        return self.issue(f"{token.claims['sub']}:{LOGIN}", lifetime, str(uuid4()))

    async def revoke(self, claims: Mapping[str, Any], token: str = "") -> None:
        """Make a session worthless on all replicas until it would expire; one without an end is not
        revoked, as in the reference."""
        expires = claims.get("exp")
        token_id = revocation_id(claims, token)
        if isinstance(expires, int | float) and token_id and expires > self._clock().timestamp():
            await self.shared.revoke(token_id, int(expires))


def revocation_id(claims: Mapping[str, Any], token: str) -> str:
    """What names a token when it is revoked: ``jti``, else ``uti`` (Azure), else the hash of the
    access token, else a digest of the token itself."""
    for name in ("jti", "uti", "at_hash"):
        value = claims.get(name)
        if isinstance(value, str) and value:
            return value
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest() if token else ""
