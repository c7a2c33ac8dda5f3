"""``/extensions/<name>/…`` (api.md 14): a request's way from the door to a service.

    who calls (cookie) ──▶ what is asked (path, headers) ──▶ may they? ──▶ which service ──▶ pass it on

Off unless ``server.enable.proxy.extension`` is set; then the path is as if it did not exist. Requests that
got as far as a service are counted with what the client was answered.
"""

import time
from collections.abc import Callable, Sequence

from aiohttp import web

from tiphys.server.extensions.admission import Admission
from tiphys.server.extensions.asking import PREFIX, Wish, wish_of
from tiphys.server.extensions.backends import Backends
from tiphys.server.extensions.headers import Sent, checked_headers, forwarded_headers
from tiphys.server.extensions.proxy import Forward, pass_on
from tiphys.server.extensions.websocket import is_websocket, join
from tiphys.server.guard import Guard
from tiphys.server.http.answers import plain
from tiphys.server.http.bodies import BodyProblem
from tiphys.server.http.by_cookie import CookieCaller, CookieLogin, TokenChecker
from tiphys.server.http.gateway import closing
from tiphys.server.http.options import ExtraRoute, HttpOptions
from tiphys.server.http.refusals import Refused
from tiphys.server.state import State
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

Count = Callable[[str, int, float], None]
"""Name of the extension, status of the answer, seconds."""


class ExtensionRoutes:
    """See the module; ``close`` when the server ends."""

    def __init__(self, state: State, guard: Guard, checker: TokenChecker, options: HttpOptions, count: Count):
        self._state = state
        self._admission = Admission(state, guard)
        self._checker = checker
        self._login = CookieLogin(lambda: state.settings, checker, options)
        self._options = options
        self._count = count
        self._backends = Backends(state.settings_store)
        self._root = f"/{options.root_path}" if options.root_path else ""

    def routes(self) -> Sequence[ExtraRoute]:
        """For ``build_app``'s ``extra_routes``."""
        return (ExtraRoute(PREFIX, self.handle, prefix=True, enabled=self._is_on),)

    async def close(self) -> None:
        """Close connections."""
        await self._backends.close()

    def _is_on(self) -> bool:
        return self._state.settings.params.server_enable_proxy_extension

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The service's answer, or why there is none."""
        try:
            caller = await self._login.caller_of(request)
            raw_path = request.rel_url.raw_path[len(self._root) :]
            wish = wish_of(request.method, raw_path, request.headers)
            forward = self._forward(request, wish, caller)
        except Refused as refused:
            return closing(plain(refused.status, refused.text), request)
        begin, status = time.monotonic(), 0
        try:
            answer = await self._answered(request, wish, caller, forward)
            status = answer.status
            return answer
        finally:
            # Who left before there was an answer is counted as what a proxy tells others in its place.
            self._count(wish.extension, status or 502, time.monotonic() - begin)

    async def _answered(
        self, request: web.Request, wish: Wish, caller: CookieCaller, forward: Forward
    ) -> web.StreamResponse:
        if is_websocket(request):
            return await join(request, forward, lambda: self._may_go_on(caller, wish))
        try:
            return await pass_on(request, forward)
        except BodyProblem as problem:
            return closing(plain(problem.status, problem.text), request)

    def _forward(self, request: web.Request, wish: Wish, caller: CookieCaller) -> Forward:
        """Raises Refused."""
        verdict = self._admission.permit(caller.identity, wish)
        if verdict.app is None:
            said = {"extension": wish.extension, "user": caller.identity.username}
            log.info("unauthorized extension request: %s", verdict.why, extra=said)
            raise Refused(401, "Unauthorized extension request")
        extension = self._backends.find(wish.extension)
        if extension is None:
            raise Refused(404, "Extension not found")
        destination = verdict.app.spec.destination
        service = extension.service_for(destination.name, destination.server)
        if service is None:
            log.error(
                "no service of the extension is for the destination", extra={"extension": extension.name}
            )
            raise Refused(400, "invalid extension")
        query = request.rel_url.raw_query_string
        return Forward(
            backend=self._backends.backend(extension, service),
            target=(wish.rest or "/") + (f"?{query}" if query else ""),
            headers=forwarded_headers(
                request.headers,
                checked_headers(
                    wish, self._state.namespace, caller.identity, destination.name, destination.server
                ),
                [(each.name, each.value) for each in service.headers],
                Sent(request.host, request.scheme, (request.remote or "").removeprefix("::ffff:")),
                length=request.content_length if request.can_read_body else None,
            ),
            cookies=caller.cookies,
            body_seconds=self._options.body_seconds,
            write_seconds=self._options.write_seconds,
        )

    async def _may_go_on(self, caller: CookieCaller, wish: Wish) -> bool:
        """Whether the caller still has the token and the rights."""
        identity = caller.identity
        if caller.token:
            found = await self._checker.check(caller.token, caller.sealed)
            if found.problem:
                return False
            identity = found.identity
        return self._is_on() and self._admission.permit(identity, wish).app is not None
