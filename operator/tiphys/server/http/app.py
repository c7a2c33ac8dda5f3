"""The HTTP side of the API put together: which part answers a path (api.md 1).

One handler for all: aiohttp's own router would decode and normalise paths in ways the API does not mean.
Order of choice: the root path is taken off; exact ``/api/badge`` and the exact further routes; gRPC-web by
its content type; the API's methods and the documents by their paths; the UI's files last.
"""

from collections.abc import Sequence

from aiohttp import web

from tiphys.server.api.invoke import Invoker
from tiphys.server.api.rpc import Method
from tiphys.server.http.answers import plain
from tiphys.server.http.badge import BadgeHandler
from tiphys.server.http.documents import Documents
from tiphys.server.http.gateway import Gateway
from tiphys.server.http.options import ExtraRoute, HttpOptions
from tiphys.server.http.routing import BadPath, decoded_path
from tiphys.server.http.static import StaticFiles

GRPC_WEB = "application/grpc-web+proto"


def build_app(methods: Sequence[Method], invoker: Invoker, options: HttpOptions) -> web.Application:
    """The application for all HTTP/1.1 connections of the port."""
    pages = _Pages(methods, invoker, options)
    app = web.Application()
    app.on_response_prepare.append(_without_server)
    app.router.add_route("*", r"/{path:[\s\S]*}", pages.handle)
    return app


async def _without_server(_: web.Request, response: web.StreamResponse) -> None:
    """No answer names the software behind it, as in the reference."""
    response.headers.popall("Server", None)


class _Pages:
    """See the module."""

    def __init__(self, methods: Sequence[Method], invoker: Invoker, options: HttpOptions):
        self._options = options
        self._root = f"/{options.root_path.strip('/')}" if options.root_path.strip("/") else ""
        self._gateway = Gateway(methods, invoker, options)
        self._documents = Documents(options)
        self._badge = BadgeHandler(options.badge)
        self._files = StaticFiles(options)
        self._exact = {route.path: route for route in options.extra_routes if not route.prefix}
        self._prefixes = [route for route in options.extra_routes if route.prefix]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The answer to any request."""
        raw_path = request.rel_url.raw_path
        if self._root:
            if raw_path == "/healthz":
                return await self._documents.healthz(request)
            if not raw_path.startswith(f"{self._root}/"):
                if raw_path == self._root:
                    return web.Response(status=301, headers={"Location": f"{self._root}/"})
                return plain(404, "404 page not found")
            raw_path = raw_path[len(self._root) :]
        try:
            path = decoded_path(raw_path)
        except BadPath:
            return plain(400, "Bad Request")
        if path == "/api/badge":
            return await self._badge.handle(request)
        extra = self._extra(path)
        if extra is not None:
            return await extra.handler(request)
        if self._options.grpc_web is not None and request.headers.get("Content-Type") == GRPC_WEB:
            return await self._options.grpc_web(request)
        if path.startswith("/api/"):
            return await self._gateway.handle(request, raw_path)
        document = await self._documents.handle(request, path)
        if document is not None:
            return document
        return await self._files.handle(request, raw_path)

    def _extra(self, path: str) -> ExtraRoute | None:
        route = self._exact.get(path)
        if route is not None and route.enabled():
            return route
        for route in self._prefixes:
            if path.startswith(route.path) and route.enabled():
                return route
        return None
