"""The controllers' end: answers about live objects for API servers in other processes.

Requests name an Application by namespace and name; what is known of it here counts. Everything is JSON;
``/inside/changes`` is a line for each change until the client leaves, and an empty line now and then.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from aiohttp import web

from tiphys.reconcile.stores import Store
from tiphys.resources.application import Application
from tiphys.resources.identity import AppKey, ResourceKey
from tiphys.server.inside.tokens import is_valid
from tiphys.server.state import Live

HEARTBEAT = 15.0


class InsideService:
    """See the module.

    Args:
        secret_key: ``server.secretkey`` as it is now.
    """

    def __init__(
        self,
        live: Live,
        apps: Store[Application],
        secret_key: Callable[[], str],
        clock: Callable[[], datetime],
    ):
        self._live = live
        self._apps = apps
        self._secret_key = secret_key
        self._clock = clock

    def app(self) -> web.Application:
        """The application to serve."""
        app = web.Application(middlewares=[self._admit], client_max_size=4 << 20)
        app.router.add_post("/inside/tree", self._tree)
        app.router.add_post("/inside/managed-resources", self._managed_resources)
        app.router.add_get("/inside/changes", self._changes)
        app.router.add_get("/inside/cluster", self._cluster)
        return app

    @web.middleware
    async def _admit(self, request: web.Request, handler: Any) -> web.StreamResponse:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not is_valid(token, self._secret_key(), self._clock()):
            raise web.HTTPUnauthorized
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _tree(self, request: web.Request) -> web.Response:
        app = self._application(request)
        return _json(await self._live.tree(app) if app is not None else None)

    async def _managed_resources(self, request: web.Request) -> web.Response:
        app = self._application(request)
        keys = _keys(await request.read())
        found = await self._live.managed_resources(app, keys=keys) if app is not None else None
        return _json(found)

    async def _cluster(self, request: web.Request) -> web.Response:
        return _json(await self._live.cluster_info(request.query.get("server", "")))

    async def _changes(self, request: web.Request) -> web.StreamResponse:
        changes = self._live.changes(_key(request))
        response = web.StreamResponse()
        await response.prepare(request)
        following = asyncio.ensure_future(anext(changes))
        try:
            while True:
                done, _ = await asyncio.wait({following}, timeout=HEARTBEAT)
                if done:
                    following.result()
                    following = asyncio.ensure_future(anext(changes))
                await response.write(b"changed\n" if done else b"\n")
        except StopAsyncIteration:
            return response
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await changes.aclose()  # type: ignore[attr-defined]

    def _application(self, request: web.Request) -> Application | None:
        return self._apps.get(_key(request))


def _key(request: web.Request) -> AppKey:
    try:
        return AppKey(request.query["namespace"], request.query["name"])
    except KeyError:
        raise web.HTTPBadRequest(text="namespace and name must be given") from None


def _keys(body: bytes) -> Sequence[ResourceKey] | None:
    try:
        return msgspec.json.decode(body, type=tuple[ResourceKey, ...]) if body else None
    except msgspec.DecodeError:
        raise web.HTTPBadRequest(text="the keys cannot be read") from None


def _json(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
