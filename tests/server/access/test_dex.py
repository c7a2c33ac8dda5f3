"""The way to Dex, and a login through it (api.md 12), against a stand-in behind the proxy.

Dex is an OpenID provider at a path: the provider of the tests, put under ``/api/dex``, is one, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

import aiohttp
import msgspec
import pytest
from aiohttp import web

from tests.access.building import KEY, store
from tests.access.oidc.idp import Idp
from tests.server.access.test_sso import URL, Browser, Uncounted
from tiphys.access.access import Access
from tiphys.access.oidc import config as sso_config
from tiphys.server.api.invoke import Invoker
from tiphys.server.api.rpc import methods_of
from tiphys.server.http.app import build_app
from tiphys.server.http.options import HttpOptions
from tiphys.server.services.sessions import SessionService
from tiphys.server.sso.routes import SsoOptions, SsoRoutes
from tiphys.settings.params import Params


class Dex:
    """What Dex got, and the provider at its path."""

    def __init__(self) -> None:
        self.idp = Idp()
        self.idp.issuer = f"{URL}/api/dex"
        self.got: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.address = ""
        self.stop: Callable[[], Awaitable[None]]

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/api/dex/echo{rest:.*}", self.echo)
        app.router.add_get("/api/dex/fail", self.fail)
        app.add_subapp("/api/dex", self.idp.app())
        return app

    async def echo(self, request: web.Request) -> web.Response:
        self.got.append(request)
        self.bodies.append(await request.read())
        headers = {"X-Dex": "yes", "Set-Cookie": "dex=1", "Connection": "close"}
        return web.Response(status=202, text="hello", headers=headers)

    async def fail(self, request: web.Request) -> web.Response:
        return web.Response(status=500, text="a trace of internals")


@pytest.fixture
async def dex() -> AsyncIterator[Dex]:
    made = Dex()
    runner = web.AppRunner(made.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.address = f"127.0.0.1:{runner.addresses[0][1]}"
    made.stop = runner.cleanup
    yield made
    await runner.cleanup()


@pytest.fixture
async def browser(dex: Dex, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Browser]:
    params = msgspec.structs.replace(
        Params(), server_dex_server=dex.address, server_dex_server_plaintext=True
    )
    main = {
        "url": URL,
        "dex.config": "connectors: [{type: mock, id: m, name: M}]",
        "dex.auth.connectorId": "m",
    }
    settings = store(main, params=params)
    access = Access(
        settings,
        lambda name: None,
        lambda listener: lambda: None,
        None,  # type: ignore[arg-type]
        "argocd",
        lambda: datetime.now(UTC),
    )
    pages = SsoRoutes(access, settings, SsoOptions(href="/cd/"))
    methods = list(methods_of(SessionService(access.sessions)))
    options = HttpOptions(extra_routes=pages.routes())
    runner = web.AppRunner(build_app(methods, Invoker(access.authenticator, Uncounted()), options))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        yield Browser(f"http://127.0.0.1:{runner.addresses[0][1]}", http, {}, {}, set())
    await runner.cleanup()
    await pages.close()
    await access.sso.close()
    access.close()


async def test_requests_pass_through(browser: Browser, dex: Dex) -> None:
    browser.cookies = {"argocd.token": "a.b.c", "dex-session": "1", "argocd.token-sso": "x"}
    status, _, text = await browser.visit(
        "/api/dex/echo/a%2Fb?c=d%20e",
        "POST",
        Authorization="Bearer dex",
        Connection="x-secret",
        **{"X-Secret": "1"},
    )
    assert (status, text) == (202, "hello")
    assert browser.flags["dex"] == ""
    (got,) = dex.got
    assert got.rel_url.raw_path_qs == "/api/dex/echo/a%2Fb?c=d%20e"
    assert got.headers["Cookie"] == "dex-session=1"
    assert got.headers["Authorization"] == "Bearer dex"
    assert got.headers["X-Forwarded-Host"] == urlsplit(URL).netloc
    assert "X-Secret" not in got.headers


async def test_bodies_pass_and_large_ones_do_not(browser: Browser, dex: Dex) -> None:
    url = f"{browser.base}/api/dex/echo"
    async with browser.http.post(url, data=b"x" * 1000) as answer:
        assert answer.status == 202
    assert dex.bodies == [b"x" * 1000]
    async with browser.http.post(url, data=b"x" * 2_000_000) as answer:
        assert answer.status == 413


async def test_failures_of_dex_end_at_the_login_page(browser: Browser) -> None:
    status, to, text = await browser.visit("/api/dex/fail")
    assert (status, to, text) == (303, "/cd/login?has_sso_error=true", "")


async def test_dex_that_is_away(browser: Browser, dex: Dex) -> None:
    await dex.stop()
    async with asyncio.timeout(10):
        status, _, text = await browser.visit("/api/dex/echo")
    assert (status, text) == (502, "Dex cannot be reached\n")


async def test_a_login_through_dex(browser: Browser, dex: Dex, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = sso_config.dex_client_secret(KEY)
    monkeypatch.setattr("tests.access.oidc.idp.CLIENT", "argo-cd")
    monkeypatch.setattr("tests.access.oidc.idp.SECRET", secret)
    status, to, _ = await browser.visit("/auth/login")
    assert status == 303
    assert to.startswith(f"{URL}/api/dex/authorize?")
    assert "connector_id=m" in to
    _, back, _ = await browser.visit(to.removeprefix(URL))  # the browser comes through the proxy
    returned = urlsplit(back)
    status, to, text = await browser.visit(f"{returned.path}?{returned.query}")
    assert (status, to) == (303, "/cd/"), text
    assert (await browser.who())["groups"] == ["dev", "ops"]
