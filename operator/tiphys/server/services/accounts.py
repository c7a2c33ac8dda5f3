"""``AccountService``: local accounts, their passwords and tokens, and what a caller may do (api.md 9, 11)."""

from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

from tiphys.access.accounts import Account as StoredAccount
from tiphys.access.accounts import Accounts, AccountToken
from tiphys.access.errors import (
    AccountError,
    AccountNotFound,
    LoginRefused,
    StateConflict,
    TokenNotFound,
    UsernameTooLong,
)
from tiphys.access.identity import LOCAL_ISSUER
from tiphys.access.passwords import check_pattern
from tiphys.access.rbac.compiled import PROJECT_SCOPED, is_project_subject
from tiphys.access.rbac.words import ACTIONS, RESOURCES
from tiphys.access.sessions import Sessions
from tiphys.access.switches import rollback_is_separate
from tiphys.resources.messages.account import (
    Account,
    AccountsList,
    CanIRequest,
    CanIResponse,
    CreateTokenRequest,
    CreateTokenResponse,
    DeleteTokenRequest,
    EmptyResponse,
    GetAccountRequest,
    ListAccountRequest,
    Token,
    UpdatePasswordRequest,
    UpdatePasswordResponse,
)
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import ApiFailure, Code, invalid_argument, not_found, unknown
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.guard import Guard
from tiphys.settings.model import Settings

MINUTES_OF_SSO = 5
LONGEST_ID = 256


class AccountService:
    """See the module.

    Args:
        settings: the settings of the moment.
    """

    package, service = "account", "AccountService"

    def __init__(
        self,
        guard: Guard,
        accounts: Accounts,
        sessions: Sessions,
        settings: Callable[[], Settings],
        clock: Callable[[], datetime],
    ):
        self._guard = guard
        self._accounts = accounts
        self._sessions = sessions
        self._settings = settings
        self._clock = clock

    @rpc("CanI", Route("GET", "/api/v1/account/can-i/{resource}/{action}/{subresource=**}"))
    async def can_i(self, call: Call, request: CanIRequest) -> CanIResponse:
        """``yes`` or ``no``; words that are no resource or action are refused (so ``update/…`` is)."""
        for word, known in ((request.action, ACTIONS), (request.resource, RESOURCES)):
            if word not in known:
                raise invalid_argument(f"[{' '.join(known)}] does not contain {word}")
        settings = self._settings()
        action, name = request.action, request.subresource
        if action == "rollback" and not rollback_is_separate(settings.raw):
            action = "sync"
        if request.resource in PROJECT_SCOPED:
            parts = name.split("/")
            if len(parts) == 3 and parts[1] == settings.control_namespace:
                name = f"{parts[0]}/{parts[2]}"
        is_allowed = self._guard.allows(call, request.resource, action, name)
        return CanIResponse(value="yes" if is_allowed else "no")

    @rpc("UpdatePassword", Route("PUT", "/api/v1/account/password", "*"), quiet=True)
    async def update_password(self, call: Call, request: UpdatePasswordRequest) -> UpdatePasswordResponse:
        """Local callers prove that they know their own password, SSO callers that they logged in just
        now; whoever changes another's password needs the right to."""
        caller = call.identity
        is_local = caller.issuer == LOCAL_ISSUER
        target = request.name or caller.user_id
        if target != caller.user_id or not is_local:
            self._guard.enforce(call, "accounts", "update", request.name)
        if is_local:
            if not request.name and is_project_subject(caller.user_id):
                raise invalid_argument(
                    f'password can only be changed for local users, not user "{caller.user_id}"'
                )
            try:
                await self._sessions.verify_password(caller.user_id, request.current_password)
            except (LoginRefused, UsernameTooLong):
                raise invalid_argument("current password does not match") from None
        elif not caller.is_unrestricted:
            age = self._clock().timestamp() - (caller.issued_at or 0)
            if age > MINUTES_OF_SSO * 60:
                raise unknown("SSO token is too old. Please use 'argocd relogin' to get a new token")
        with _told():
            check_pattern(request.new_password, self._settings().raw.get("passwordPattern", ""))
            self._accounts.get(target)
            await self._accounts.set_password(
                target, await self._sessions.passwords.hash(request.new_password)
            )
        return UpdatePasswordResponse()

    @rpc("ListAccounts", Route("GET", "/api/v1/account"))
    async def list_accounts(self, call: Call, request: ListAccountRequest) -> AccountsList:
        """Those the caller may see, by name."""
        may_see = self._guard.permits(call, "accounts", "get")
        accounts = self._accounts.all()
        return AccountsList(
            items=tuple(
                _shown(accounts[name])
                for name in sorted(accounts)
                if self._is_own(call, name) or may_see(name)
            )
        )

    @rpc("GetAccount", Route("GET", "/api/v1/account/{name}"))
    async def get_account(self, call: Call, request: GetAccountRequest) -> Account:
        """One account."""
        self._enforce(call, "get", request.name)
        with _told():
            return _shown(self._accounts.get(request.name))

    @rpc("CreateToken", Route("POST", "/api/v1/account/{name}/token", "*"), quiet=True)
    async def create_token(self, call: Call, request: CreateTokenRequest) -> CreateTokenResponse:
        """A token for scripts; it is shown once, and only its id is stored."""
        self._enforce(call, "update", request.name)
        if request.expires_in < 0:
            raise invalid_argument("expiresIn must not be negative")
        if len(request.id) > LONGEST_ID:
            raise invalid_argument(f"id is too long ({LONGEST_ID} characters max)")
        token_id = request.id or str(uuid4())
        issued = int(self._clock().timestamp())
        expires = issued + request.expires_in if request.expires_in else 0
        with _told():
            self._accounts.get(request.name)
            text = self._sessions.issue(f"{request.name}:apiKey", request.expires_in, token_id)
            await self._accounts.add_token(request.name, AccountToken(token_id, issued, expires))
        return CreateTokenResponse(token=text)

    @rpc("DeleteToken", Route("DELETE", "/api/v1/account/{name}/token/{id}"))
    async def delete_token(self, call: Call, request: DeleteTokenRequest) -> EmptyResponse:
        """A token is worth nothing any more."""
        self._enforce(call, "update", request.name)
        with _told():
            await self._accounts.remove_token(request.name, request.id)
        return EmptyResponse()

    def _is_own(self, call: Call, name: str) -> bool:
        return call.identity.issuer == LOCAL_ISSUER and call.identity.user_id == name

    def _enforce(self, call: Call, action: str, name: str) -> None:
        if not self._is_own(call, name):
            self._guard.enforce(call, "accounts", action, name)


class _told:
    """Errors of accounts as failures of the API."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (AccountNotFound, TokenNotFound)):
            raise not_found(str(error)) from None
        if isinstance(error, StateConflict):
            raise ApiFailure(Code.ABORTED, str(error)) from None
        if isinstance(error, AccountError):
            raise unknown(str(error)) from None


def _shown(account: StoredAccount) -> Account:
    return Account(
        name=account.name,
        enabled=account.is_enabled,
        capabilities=account.capabilities,
        tokens=tuple(
            Token(id=token.id, issued_at=token.iat, expires_at=token.exp) for token in account.tokens
        ),
    )
