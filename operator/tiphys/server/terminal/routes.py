"""GET ``/terminal`` (api.md 14): who may is let in, and gets a shell over a websocket.

Off unless ``exec.enabled`` is ``true`` in ``argocd-cm``. Browsers send cookies with every websocket,
whichever page opens it: a page of another origin is refused. A token that is about to end is renewed with
the answer, so that the terminal begins with the fresh one.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol
from urllib.parse import urlsplit

import msgspec
from aiohttp import WSCloseCode, web

from tiphys.access.authenticator import STATE_COOKIE, join_chunks, read_cookies
from tiphys.access.identity import UNRESTRICTED, Authentication
from tiphys.access.oidc.config import base_urls
from tiphys.kube.client import ClusterClient
from tiphys.server.api.calls import Call
from tiphys.server.guard import Guard
from tiphys.server.http.answers import plain
from tiphys.server.http.cookies import TOKEN_COOKIE, TooManyCookies, token_cookies
from tiphys.server.http.options import ExtraRoute
from tiphys.server.state import State
from tiphys.server.terminal.admission import Admission, Ticket, TokenChecker
from tiphys.server.terminal.asking import ENABLED, Wish, shells_of, wish_of
from tiphys.server.terminal.browser import MAX_FRAME_BYTES, Browser, Times
from tiphys.server.terminal.refusals import Refused
from tiphys.server.terminal.remote import program
from tiphys.server.terminal.session import Session
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

PATH = "/terminal"
CLOSE_SECONDS = 2.0


class CookieOptions(Protocol):
    """The part of ``HttpOptions`` that cookies need."""

    @property
    def href(self) -> str: ...
    @property
    def secure_cookies(self) -> bool: ...
    @property
    def max_cookies(self) -> int: ...


class _Admitted(msgspec.Struct, frozen=True, eq=False):
    wish: Wish
    ticket: Ticket
    user: str
    client: ClusterClient
    cookies: Sequence[str]


class TerminalRoutes:
    """See the module."""

    def __init__(
        self,
        state: State,
        guard: Guard,
        checker: TokenChecker,
        cookies: CookieOptions,
        times: Times = Times(),  # noqa: B008 (frozen)
    ):
        self._state = state
        self._checker = checker
        self._admission = Admission(state, guard, checker)
        self._cookies = cookies
        self._times = times

    def routes(self) -> Sequence[ExtraRoute]:
        """For ``build_app``'s ``extra_routes``."""
        return (ExtraRoute(PATH, self.handle),)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The websocket, or why there is none."""
        if self._state.settings.raw.get(ENABLED) != "true":
            return web.Response(status=404)
        try:
            admitted = await self._admit(request)
        except Refused as refused:
            return plain(refused.status, refused.text)
        socket = web.WebSocketResponse(
            autoping=False, compress=False, max_msg_size=MAX_FRAME_BYTES, timeout=CLOSE_SECONDS
        )
        if request.method != "GET" or not socket.can_prepare(request):
            return plain(400, "Failed to start terminal session")
        for cookie in admitted.cookies:
            socket.headers.add("Set-Cookie", cookie)
        await socket.prepare(request)
        await self._serve(request, socket, admitted)
        return socket

    async def _admit(self, request: web.Request) -> _Admitted:
        """Raises Refused."""
        ticket, call, fresh = await self._authenticate(request)
        if not is_own_origin(request, self._state.settings.raw):
            raise Refused(403, "Forbidden")
        wish = wish_of(request.rel_url.query)
        self._admission.permit(call, wish)
        client = await self._admission.reach(call, wish)
        ticket = msgspec.structs.replace(ticket, wish=wish)
        return _Admitted(wish, ticket, call.identity.username, client, fresh)

    async def _authenticate(self, request: web.Request) -> tuple[Ticket, Call, Sequence[str]]:
        """Who calls, by the cookie alone; and cookies to set. Raises Refused."""
        nothing = Wish("", "", "", "", "", "")
        if self._state.settings.params.server_disable_auth:
            return Ticket(nothing), Call(identity=UNRESTRICTED), ()
        cookies = read_cookies("; ".join(request.headers.getall("Cookie", ())))
        token, sealed = join_chunks(cookies), join_chunks(cookies, STATE_COOKIE)
        if not token:
            raise Refused(400, "Auth cookie not found")
        found = await self._checker.check(token, sealed)
        if found.problem:
            raise Refused(401, "Invalid token")
        fresh: Sequence[str] = ()
        if found.renewed_token:
            fresh = self._renewed(found)
            token, sealed = found.renewed_token, found.renewed_state or sealed
        return Ticket(nothing, token, sealed), Call(identity=found.identity), fresh

    def _renewed(self, found: Authentication) -> list[str]:
        named = {TOKEN_COOKIE: found.renewed_token}
        if found.renewed_state:
            named[STATE_COOKIE] = found.renewed_state
        options = self._cookies
        try:
            return [
                cookie
                for name, value in named.items()
                for cookie in token_cookies(
                    value,
                    options.href,
                    secure=options.secure_cookies,
                    max_chunks=options.max_cookies,
                    name=name,
                )
            ]
        except TooManyCookies as error:
            raise Refused(500, str(error)) from None

    async def _serve(self, request: web.Request, socket: web.WebSocketResponse, admitted: _Admitted) -> None:
        wish = admitted.wish
        said = {
            "user": admitted.user,
            "application": f"{wish.app_namespace}/{wish.app}",
            "pod": f"{wish.namespace}/{wish.pod}",
            "container": wish.container,
        }
        session = Session(
            Browser(socket, self._times),
            partial(program, admitted.client, wish.namespace, wish.pod, wish.container),
            partial(self._admission.standing, admitted.ticket),
            shells_of(self._state.settings.raw, wish.shell),
            self._times,
        )
        log.info("terminal opened", extra=said)
        code: int = WSCloseCode.GOING_AWAY
        try:
            code = await session.run()
        finally:
            log.info("terminal closed", extra=said)
            await close(request, socket, code)


async def close(request: web.Request, socket: web.WebSocketResponse, code: int) -> None:
    """Say good-bye; a client that does not listen is cut off."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS + 1):
            await socket.close(code=code)
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()


def is_own_origin(request: web.Request, raw: Mapping[str, str]) -> bool:
    """Whether the page that opens a websocket is ours: it has the address of the request (or the one
    that a proxy was asked for), or one of ``url`` and ``additionalUrls``. Programs say no origin."""
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    url, more = base_urls(raw)
    own = {urlsplit(each).netloc.lower() for each in (url, *more)}
    own |= {request.headers.get(name, "").lower() for name in ("Host", "X-Forwarded-Host")}
    try:
        host = urlsplit(origin).netloc.lower()
    except ValueError:
        return False
    return host != "" and host in own
