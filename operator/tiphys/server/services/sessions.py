"""``SessionService``: logging in with a password, and who am I (api.md 9, 11)."""

from collections.abc import Callable

from tiphys.access.errors import LoginRefused, UsernameTooLong
from tiphys.access.sessions import REFUSED, Sessions
from tiphys.resources.messages.session import (
    GetUserInfoRequest,
    GetUserInfoResponse,
    SessionCreateRequest,
    SessionDeleteRequest,
    SessionResponse,
)
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import invalid_argument, unauthenticated
from tiphys.server.api.rpc import Route, rpc

TOKEN_GIVEN = "token-based session creation no longer supported. please upgrade argocd cli to v0.7+"


class SessionService:
    """Sessions; nothing here asks who calls, so callers without credentials are let in.

    Args:
        count: told of each login by password whether it succeeded (``argocd_login_request_total``).
    """

    package, service = "session", "SessionService"

    def __init__(self, sessions: Sessions, count: Callable[[bool], None] = lambda success: None):
        self._sessions = sessions
        self._count = count

    @rpc("GetUserInfo", Route("GET", "/api/v1/session/userinfo"), tolerant=True)
    async def get_user_info(self, call: Call, request: GetUserInfoRequest) -> GetUserInfoResponse:
        """Never fails; ``loggedIn`` is false without a good token."""
        caller = call.identity
        return GetUserInfoResponse(
            logged_in=caller.is_authenticated,
            username=caller.username,
            iss=caller.issuer,
            groups=caller.groups,
        )

    @rpc("Create", Route("POST", "/api/v1/session", "*"), tolerant=True, quiet=True)
    async def create(self, call: Call, request: SessionCreateRequest) -> SessionResponse:
        """The table of api.md 11 "Login endpoint", in its order."""
        with_password = False
        try:
            with self._sessions.at_once():
                if request.token:
                    raise unauthenticated(TOKEN_GIVEN)
                if not request.username or not request.password:
                    raise unauthenticated("no credentials supplied")
                with_password = True
                token = await self._sessions.login(request.username, request.password)
        except UsernameTooLong as error:
            self._count(False)
            raise invalid_argument(str(error)) from None
        except LoginRefused as error:
            if with_password or str(error) == REFUSED:
                self._count(False)
            raise unauthenticated(str(error)) from None
        self._count(True)
        return SessionResponse(token=token)

    @rpc("Delete", Route("DELETE", "/api/v1/session"), tolerant=True, quiet=True)
    async def delete(self, call: Call, request: SessionDeleteRequest) -> SessionResponse:
        """Does nothing, as in the reference: browsers log out at ``/auth/logout``."""
        return SessionResponse()
