"""Local accounts: what the settings say of them (api.md 11 "Accounts"), and changing them.

Reading is pure: ``argocd-cm`` names accounts and their capabilities, ``argocd-secret`` holds hashes,
times and tokens. An account whose settings cannot be read is switched off and the others work on (the
reference loses all of them). Changing writes the changed keys only, as a merge patch that is bound to
the version it was computed from, so that two replicas never lose each other's tokens.
"""

import asyncio
import base64
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from tiphys.access.errors import AccountError, AccountNotFound, StateConflict, TokenNotFound
from tiphys.kube.client import MERGE_PATCH, ClusterClient
from tiphys.kube.errors import Conflict
from tiphys.resources.identity import GVK, Manifest
from tiphys.resources.times import from_timestamp, to_timestamp
from tiphys.settings.model import Settings
from tiphys.settings.reading import data_of
from tiphys.settings.secrecy import redacted
from tiphys.settings.store import MAIN_SECRET, SettingsStore
from tiphys.settings.values import go_bool

ADMIN = "admin"
LOGIN, API_KEY = "login", "apiKey"
CAPABILITIES = (LOGIN, API_KEY)

SECRET = GVK("", "v1", "Secret")

ATTEMPTS = 5


class AccountToken(msgspec.Struct, frozen=True, omit_defaults=True):
    """A token of an account, as stored: id, issued, expires (Unix seconds; 0 never)."""

    id: str = ""
    iat: int = 0
    exp: int = 0


class Account(msgspec.Struct, frozen=True):
    """A local account.

    Attributes:
        password_changed: when, or None.
        tokens: newest first.
        problem: why the account is off although nobody switched it off.
    """

    name: str
    password_hash: str = ""
    password_changed: datetime | None = None
    is_enabled: bool = True
    capabilities: tuple[str, ...] = ()
    tokens: tuple[AccountToken, ...] = ()
    problem: str = ""

    def __repr__(self) -> str:
        return redacted(self, frozenset({"password_hash", "tokens"}))

    def can(self, capability: str) -> bool:
        """Whether the account has a capability."""
        return capability in self.capabilities

    def token(self, token_id: str) -> AccountToken | None:
        """One of its tokens."""
        return next((token for token in self.tokens if token.id == token_id), None)


def read_accounts(main: Mapping[str, str], secret: Mapping[str, str]) -> dict[str, Account]:
    """All accounts by name; ``admin`` is always among them.

    Args:
        main: data of ``argocd-cm``.
        secret: data of ``argocd-secret``.
    """
    capabilities: dict[str, tuple[str, ...]] = {ADMIN: (LOGIN,)}
    enabled: dict[str, str] = {}
    for key, value in main.items():
        parts = key.split(".")
        if parts[0] != "accounts" or len(parts) not in (2, 3):
            continue
        if len(parts) == 2:
            wanted = [word for part in value.split(",") if (word := part.strip()) in CAPABILITIES]
            capabilities[parts[1]] = tuple(dict.fromkeys((*capabilities.get(parts[1], ()), *wanted)))
        elif parts[2] == "enabled":
            enabled[parts[1]] = value
    if "admin.enabled" in main:
        enabled[ADMIN] = main["admin.enabled"]
    return {name: _account(name, has, enabled.get(name, ""), secret) for name, has in capabilities.items()}


def _account(name: str, capabilities: tuple[str, ...], enabled: str, secret: Mapping[str, str]) -> Account:
    prefix = key_prefix(name)
    problem = ""
    is_enabled = True
    if enabled:
        try:
            is_enabled = go_bool(enabled)
        except ValueError:
            is_enabled, problem = False, f"{prefix}.enabled: expected true or false"
    changed = None
    if text := secret.get(f"{prefix}.passwordMtime", "").strip():
        try:
            changed = from_timestamp(text)
        except ValueError:
            is_enabled, problem = False, f"{prefix}.passwordMtime: expected an RFC 3339 time"
    tokens: list[AccountToken] = []
    if text := secret.get(f"{prefix}.tokens", "").strip():
        try:
            tokens = (
                msgspec.json.decode(text.encode("utf-8", "replace"), type=list[AccountToken] | None) or []
            )
        except msgspec.DecodeError:
            # Without its list no token of the account counts; logging in still does.
            problem = f"{prefix}.tokens: expected a JSON list of tokens"
    return Account(
        name,
        secret.get(f"{prefix}.password", "").strip(),
        changed,
        is_enabled,
        capabilities,
        tuple(sorted(tokens, key=lambda token: (-token.iat, token.id))),
        problem,
    )


def key_prefix(name: str) -> str:
    """What keys of an account begin with: ``admin`` or ``accounts.<name>``."""
    return ADMIN if name == ADMIN else f"accounts.{name}"


class Accounts:
    """The accounts of the moment, and changing them."""

    def __init__(
        self,
        settings: SettingsStore,
        client: ClusterClient,
        namespace: str,
        clock: Callable[[], datetime],
    ):
        self._settings = settings
        self._client = client
        self._namespace = namespace
        self._clock = clock
        self._turn = asyncio.Lock()
        self._read_from: tuple[Any, Any] | None = None
        self._accounts: dict[str, Account] = {}

    def all(self) -> Mapping[str, Account]:
        """By name; read again after a change of the settings."""
        settings: Settings = self._settings.snapshot
        source = (settings.raw, settings.references.main)
        if (
            self._read_from is None
            or source[0] is not self._read_from[0]
            or source[1] is not self._read_from[1]
        ):
            self._accounts = read_accounts(*source)
            self._read_from = source
        return self._accounts

    def get(self, name: str) -> Account:
        """One account.

        Raises:
            AccountNotFound: there is none of this name.
        """
        account = self.all().get(name)
        if account is None:
            raise AccountNotFound(name)
        return account

    async def set_password(self, name: str, password_hash: str) -> None:
        """Store a new hash; every token issued before this second is worth nothing any more.

        Raises:
            AccountNotFound: there is none of this name.
        """
        prefix = key_prefix(self.get(name).name)
        stamp = to_timestamp(self._clock())
        await self._change(
            lambda data: {f"{prefix}.password": password_hash, f"{prefix}.passwordMtime": stamp}
        )

    async def add_token(self, name: str, token: AccountToken) -> None:
        """Store a token.

        Raises:
            AccountNotFound: there is none of this name.
            AccountError: the id is taken, or the account may have no tokens.
        """

        def change(data: Mapping[str, str]) -> dict[str, str | None]:
            account = self._of(name, data)
            if account.token(token.id) is not None:
                raise AccountError(f"account already has token with id '{token.id}'")
            if not account.can(API_KEY):
                raise AccountError(f"account '{name}' does not have {API_KEY} capability")
            return {f"{key_prefix(name)}.tokens": _tokens_text((*account.tokens, token))}

        await self._change(change)

    async def remove_token(self, name: str, token_id: str) -> None:
        """Forget a token; it is worth nothing from now on.

        Raises:
            AccountNotFound, TokenNotFound
        """

        def change(data: Mapping[str, str]) -> dict[str, str | None]:
            account = self._of(name, data)
            if account.token(token_id) is None:
                raise TokenNotFound(token_id)
            rest = tuple(token for token in account.tokens if token.id != token_id)
            return {f"{key_prefix(name)}.tokens": _tokens_text(rest) if rest else None}

        await self._change(change)

    def _of(self, name: str, data: Mapping[str, str]) -> Account:
        account = read_accounts(self._settings.snapshot.raw, data).get(name)
        if account is None:
            raise AccountNotFound(name)
        if f"{key_prefix(name)}.tokens" in account.problem:
            raise AccountError(account.problem)  # writing would destroy what somebody has to mend
        return account

    async def _change(self, change: Callable[[Mapping[str, str]], Mapping[str, str | None]]) -> None:
        """Read ``argocd-secret``, compute the new values (None deletes a key) and write them unless
        the Secret changed in between; then once more. In this process one after the other."""
        async with self._turn:
            for _ in range(ATTEMPTS):
                secret = await self._client.get(SECRET, self._namespace, MAIN_SECRET)
                values = change(data_of(secret))
                try:
                    answer = await self._client.patch(
                        SECRET, self._namespace, MAIN_SECRET, _patch(secret, values), MERGE_PATCH
                    )
                except Conflict:
                    continue
                self._settings.put(as_secret(answer))
                return
        raise StateConflict(f"Secret {MAIN_SECRET}")


def _tokens_text(tokens: tuple[AccountToken, ...]) -> str:
    return msgspec.json.encode(tokens).decode()


def _patch(secret: Manifest, values: Mapping[str, str | None]) -> Manifest:
    return {
        "metadata": {"resourceVersion": secret["metadata"]["resourceVersion"]},
        "data": {key: None if value is None else encoded(value) for key, value in values.items()},
    }


def encoded(value: str) -> str:
    """A value as the data of a Secret."""
    return base64.b64encode(value.encode("utf-8", "surrogateescape")).decode()


def as_secret(answer: Manifest) -> Manifest:
    """An answer of the API server with the kind the settings look for."""
    return answer if answer.get("kind") else {**answer, "kind": "Secret", "apiVersion": "v1"}
