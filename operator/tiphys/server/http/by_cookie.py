"""Pages that browsers call by themselves know the caller by the cookie alone (api.md 14): the terminal and
proxy extensions.

    request ──cookie──▶ token ──checker──▶ who calls, and the cookies of a token that was renewed

Anonymous access does not count here, as in the reference. A token that is about to end is renewed with the
answer: what SSO refreshes once cannot be refreshed by the next request.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
from aiohttp import web

from tiphys.access.authenticator import STATE_COOKIE, join_chunks, read_cookies
from tiphys.access.identity import UNRESTRICTED, Authentication, Identity
from tiphys.server.http.cookies import TooManyCookies, session_cookies
from tiphys.server.http.refusals import Refused
from tiphys.settings.model import Settings
from tiphys.settings.secrecy import redacted


class TokenChecker(Protocol):
    """What is asked of ``access.authenticator.Authenticator``."""

    async def check(self, token: str, sealed: str = "") -> Authentication: ...


class CookieOptions(Protocol):
    """The part of ``HttpOptions`` that cookies need."""

    @property
    def href(self) -> str: ...
    @property
    def secure_cookies(self) -> bool: ...
    @property
    def max_cookies(self) -> int: ...


class CookieCaller(msgspec.Struct, frozen=True):
    """Who calls.

    Attributes:
        token, sealed: what to check again later; empty: authentication is switched off.
        cookies: ``Set-Cookie`` headers for the answer.
    """

    identity: Identity
    token: str = ""
    sealed: str = ""
    cookies: Sequence[str] = ()

    def __repr__(self) -> str:
        return redacted(self, frozenset({"token", "sealed", "cookies"}))


class CookieLogin:
    """See the module.

    Args:
        settings: as they are now.
    """

    def __init__(self, settings: Callable[[], Settings], checker: TokenChecker, options: CookieOptions):
        self._settings = settings
        self._checker = checker
        self._options = options

    async def caller_of(self, request: web.Request) -> CookieCaller:
        """Who calls.

        Raises:
            Refused: 400 there is no token; 401 it is not good, or the groups of its owner cannot be had.
        """
        if self._settings().params.server_disable_auth:
            return CookieCaller(UNRESTRICTED)
        cookies = read_cookies("; ".join(request.headers.getall("Cookie", ())))
        token, sealed = join_chunks(cookies), join_chunks(cookies, STATE_COOKIE)
        if not token:
            raise Refused(400, "Auth cookie not found")
        found = await self._checker.check(token, sealed)
        if found.problem:
            raise Refused(401, "Invalid session" if found.lacks_groups else "Invalid token")
        if not found.renewed_token:
            return CookieCaller(found.identity, token, sealed)
        fresh = self._renewed(found)
        return CookieCaller(found.identity, found.renewed_token, found.renewed_state or sealed, fresh)

    def _renewed(self, found: Authentication) -> list[str]:
        options = self._options
        try:
            return session_cookies(
                found.renewed_token,
                found.renewed_state,
                options.href,
                secure=options.secure_cookies,
                max_chunks=options.max_cookies,
            )
        except TooManyCookies as error:
            raise Refused(500, str(error)) from None
