"""GET ``/terminal`` (api.md 14): who may is let in, and gets a shell over a websocket.

Off unless ``exec.enabled`` is ``true`` in ``argocd-cm``. Browsers send cookies with every websocket,
whichever page opens it: a page of another origin is refused. A token that is about to end is renewed with
the answer, so that the terminal begins with the fresh one.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from urllib.parse import urlsplit

import msgspec
from aiohttp import WSCloseCode, web

from tiphys.access.oidc.config import base_urls
from tiphys.kube.client import ClusterClient
from tiphys.server.api.calls import Call
from tiphys.server.guard import Guard
from tiphys.server.http.answers import plain
from tiphys.server.http.by_cookie import CookieLogin, CookieOptions, TokenChecker
from tiphys.server.http.options import ExtraRoute
from tiphys.server.http.refusals import Refused
from tiphys.server.state import State
from tiphys.server.terminal.admission import Admission, Ticket
from tiphys.server.terminal.asking import ENABLED, Wish, shells_of, wish_of
from tiphys.server.terminal.browser import MAX_FRAME_BYTES, Browser, Times
from tiphys.server.terminal.remote import program
from tiphys.server.terminal.session import Session
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

PATH = "/terminal"
CLOSE_SECONDS = 2.0


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
        self._login = CookieLogin(lambda: state.settings, checker, cookies)
        self._admission = Admission(state, guard, checker)
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
        caller = await self._login.caller_of(request)
        if not is_own_origin(request, self._state.settings.raw):
            raise Refused(403, "Forbidden")
        wish, call = wish_of(request.rel_url.query), Call(identity=caller.identity)
        self._admission.permit(call, wish)
        client = await self._admission.reach(call, wish)
        ticket = Ticket(wish, caller.token, caller.sealed)
        return _Admitted(wish, ticket, caller.identity.username, client, caller.cookies)

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
