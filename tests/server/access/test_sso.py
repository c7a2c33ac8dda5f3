"""Logging in and out through a provider, page by page (api.md 11 "/auth/logout", 12)."""

from __future__ import annotations

import html
import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import aiohttp
import msgspec
import pytest
from aiohttp import web

from tests.access.oidc.conftest import URL, Clock, Configured, Provider, clock, issuer, provider, sso
from tests.access.oidc.idp import CLIENT, SECRET
from tiphys.access.authenticator import STATE_COOKIE
from tiphys.access.oidc.config import read_oidc
from tiphys.access.oidc.flow import BAD_RETURN, is_allowed_return
from tiphys.server.api.invoke import Invoker
from tiphys.server.api.rpc import methods_of
from tiphys.server.http.app import build_app
from tiphys.server.http.options import HttpOptions
from tiphys.server.services.sessions import SessionService
from tiphys.server.sso.routes import NO_COOKIE, OAUTH_STATE, SsoOptions, SsoRoutes
from tiphys.settings.references import References

__all__ = ["clock", "issuer", "provider", "sso"]  # fixtures

HOST = urlsplit(URL).netloc


class Uncounted:
    def started(self, method: Any) -> None: ...
    def received(self, method: Any) -> None: ...
    def sent(self, method: Any) -> None: ...
    def handled(self, method: Any, code: Any, seconds: float) -> None: ...


class Browser(msgspec.Struct):
    """What keeps cookies, and follows no redirect by itself."""

    base: str
    http: aiohttp.ClientSession
    cookies: dict[str, str] = {}
    flags: dict[str, str] = {}
    seen: set[str] = set()

    async def visit(self, path: str, verb: str = "GET", **headers: str) -> tuple[int, str, str]:
        """Status, Location and text."""
        sent = {"Host": HOST, **headers}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        async with self.http.request(verb, self.base + path, headers=sent, allow_redirects=False) as answer:
            for cookie in answer.headers.getall("Set-Cookie", []):
                first, _, flags = cookie.partition("; ")
                name, _, value = first.partition("=")
                self.flags[name] = flags
                self.seen |= {value} if len(value) > 8 else set()
                if not value or "Max-Age=0" in flags:
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = value
            return answer.status, answer.headers.get("Location", ""), await answer.text()

    async def log_in(self, provider: Provider, name: str = "ann", back: str = "") -> tuple[int, str, str]:
        """All steps of a login; what the last one gives."""
        status, to, text = await self.visit(f"/auth/login?return_url={quote(back)}")
        assert status == 303, text
        returned = urlsplit(await provider.authorize(to, name))
        assert f"{returned.scheme}://{returned.netloc}{returned.path}" == f"{URL}/auth/callback"
        return await self.visit(f"/auth/callback?{returned.query}")

    async def who(self) -> dict[str, Any]:
        _, _, text = await self.visit("/api/v1/session/userinfo")
        found: dict[str, Any] = json.loads(text)
        return found


@pytest.fixture(autouse=True)
def nothing_secret_is_logged(
    browser: Browser, issuer: str, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    for value in (SECRET, *browser.seen):
        assert value not in caplog.text, value


@pytest.fixture
async def browser(sso: Configured) -> AsyncIterator[Browser]:
    settings = sso.access._settings
    pages = SsoRoutes(sso.access, settings, SsoOptions())
    options = HttpOptions(extra_routes=pages.routes())
    methods = list(methods_of(SessionService(sso.access.sessions)))
    app = build_app(methods, Invoker(sso.access.authenticator, Uncounted()), options)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        yield Browser(f"http://127.0.0.1:{runner.addresses[0][1]}", http, {}, {}, set())
    await runner.cleanup()
    await pages.close()


async def test_a_login_from_the_first_page_to_the_last(browser: Browser, provider: Provider) -> None:
    back = f"{URL}/applications?proj=x"
    status, to, _ = await browser.visit(f"/auth/login?return_url={quote(back)}")
    assert status == 303
    asked = {name: value for name, (value,) in parse_qs(urlsplit(to).query).items()}
    assert asked["scope"] == "openid profile email groups"
    assert (asked["client_id"], asked["response_type"]) == (CLIENT, "code")
    assert asked["redirect_uri"] == f"{URL}/auth/callback"
    assert "code_challenge" not in asked
    assert browser.flags[OAUTH_STATE] == "path=/; Max-Age=300; SameSite=lax; httpOnly; Secure"
    assert asked["state"] not in browser.cookies[OAUTH_STATE]
    returned = urlsplit(await provider.authorize(to))
    status, to, _ = await browser.visit(f"/auth/callback?{returned.query}")
    assert (status, to) == (303, back)
    assert browser.flags["argocd.token"] == "path=/; SameSite=lax; httpOnly; Secure"
    assert OAUTH_STATE not in browser.cookies
    assert await browser.who() == {
        "loggedIn": True,
        "username": "ann@example.com",
        "iss": provider.issuer,
        "groups": ["dev", "ops", "ann@example.com"],
    }
    assert (await provider.asked("token"))[0]["basic"] is True


async def test_pkce(browser: Browser, provider: Provider, sso: Configured) -> None:
    sso.use(enablePKCEAuthentication=True)
    status, _, text = await browser.log_in(provider)
    assert status == 303, text
    assert (await provider.asked("authorize"))[0]["code_challenge_method"] == "S256"
    assert len((await provider.asked("token"))[0]["code_verifier"]) >= 43


async def test_what_the_settings_add_to_a_login(browser: Browser, sso: Configured) -> None:
    sso.use(
        requestedScopes=["openid", "email"],
        requestedIDTokenClaims={"groups": {"essential": True}, "email": None},
        domainHint="example.com",
    )
    _, to, _ = await browser.visit("/auth/login")
    asked = {name: value for name, (value,) in parse_qs(urlsplit(to).query).items()}
    assert asked["scope"] == "openid email"
    assert json.loads(asked["claims"]) == {"id_token": {"groups": {"essential": True}, "email": None}}
    assert asked["domain_hint"] == "example.com"


async def test_a_secret_in_the_form_where_the_provider_wants_it_there(
    browser: Browser, provider: Provider
) -> None:
    await provider.behave(discovery={"token_endpoint_auth_methods_supported": ["client_secret_post"]})
    assert (await browser.log_in(provider))[0] == 303
    assert (await provider.asked("token"))[0]["basic"] is False


async def test_azure_workload_identity(
    browser: Browser, provider: Provider, sso: Configured, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "token").write_text("the-federated-token\n")
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "token"))
    sso.use(azure={"useWorkloadIdentity": True})
    assert (await browser.log_in(provider))[0] == 303
    asked = (await provider.asked("token"))[0]
    assert asked["client_assertion"] == "the-federated-token"
    assert asked["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.mark.parametrize(
    ("url", "is_allowed"),
    [
        ("", True),
        (URL, True),
        (f"{URL}/", True),
        (f"{URL}/a/b?c#d", True),
        ("https://more.example.com:8443/base/x", True),
        ("https://more.example.com:8443/base", True),
        ("https://more.example.com:8443/base/../x", False),
        ("https://more.example.com:8443/basement", False),
        ("https://more.example.com/base", False),
        ("http://cd.example.com/", False),
        ("https://cd.example.com.evil.com/", False),
        ("https://cd.example.com@evil.com/", False),
        ("https://evil.com/https://cd.example.com/", False),
        (r"https://cd.example.com\@evil.com/", False),
        ("https:cd.example.com", False),
        ("//cd.example.com/", False),
        ("/applications", False),
        ("javascript:alert(1)", False),
        (f"{URL}/\r\nSet-Cookie: a=b", False),
        (f" {URL}/", False),
        ("https://[", False),
    ],
)
def test_where_people_may_be_sent(url: str, is_allowed: bool) -> None:
    allowed = (URL, "https://more.example.com:8443/base")
    assert is_allowed_return(url, allowed) is is_allowed


async def test_nobody_is_sent_away(browser: Browser) -> None:
    status, to, text = await browser.visit("/auth/login?return_url=https://evil.com/")
    assert (status, to, text) == (400, "", f"{BAD_RETURN}\n")


async def test_an_additional_url_has_a_callback_of_its_own(browser: Browser, sso: Configured) -> None:
    sso.use(main={"additionalUrls": "- https://more.example.com"})
    _, to, _ = await browser.visit("/auth/login", Host="more.example.com")
    assert "redirect_uri=https%3A%2F%2Fmore.example.com%2Fauth%2Fcallback" in to


@pytest.mark.parametrize(
    ("query", "cookie", "text"),
    [
        pytest.param("error=denied&error_description=<b>", "", "denied: <b>", id="the provider says no"),
        pytest.param("code=x&state=y", "", "no cookie", id="no state kept"),
        pytest.param("code=x&state=y", "ab12", "invalid login state", id="garbage kept"),
        pytest.param("code=x&state=y", "own", "invalid state in the answer", id="another's state"),
        pytest.param("code=x", "own", "invalid state in the answer", id="no state"),
    ],
)
async def test_logins_that_this_browser_did_not_begin(
    browser: Browser, query: str, cookie: str, text: str
) -> None:
    if cookie == "own":
        await browser.visit("/auth/login")
    elif cookie:
        browser.cookies[OAUTH_STATE] = cookie
    status, _, told = await browser.visit(f"/auth/callback?{query}")
    assert status == 400
    assert html.escape(text) in told
    assert "argocd.token" not in browser.cookies


async def test_codes_and_answers_that_are_no_good(browser: Browser, provider: Provider) -> None:
    _, to, _ = await browser.visit("/auth/login")
    state = parse_qs(urlsplit(to).query)["state"][0]
    status, _, text = await browser.visit(f"/auth/callback?code=made-up&state={state}")
    assert (status, text) == (500, "failed to get token: token endpoint: HTTP 400, invalid_grant\n")
    await provider.behave(without=["id_token"])
    assert (await browser.log_in(provider))[0::2] == (500, "no id_token in token response\n")
    for wrong in ({"aud": "another"}, {"nonce": "another"}, {"iss": "https://evil"}):
        await provider.behave(claims=wrong)
        assert (await browser.log_in(provider))[0::2] == (500, "failed to verify the token\n")
    assert "argocd.token" not in browser.cookies


async def test_the_implicit_flow_ends_in_a_page(browser: Browser, provider: Provider) -> None:
    await provider.behave(discovery={"response_types_supported": ["id_token"]})
    _, to, _ = await browser.visit("/auth/login")
    assert "response_type=id_token" in to
    returned = urlsplit(await provider.authorize(to))
    assert not returned.query
    status, _, text = await browser.visit("/auth/callback")
    assert status == 200
    assert "location.hash" in text
    state = parse_qs(returned.fragment)["state"][0]
    status, _, text = await browser.visit(f"/auth/callback?state={state}")
    assert status == 200
    assert "argocd.token=" in text
    assert (await browser.visit("/auth/callback?state=another"))[0] == 400


# What comes after


async def test_groups_of_the_userinfo_endpoint(
    browser: Browser, provider: Provider, sso: Configured, clock: Clock
) -> None:
    sso.use(enableUserInfoGroups=True, userInfoPath="/userinfo", userInfoCacheExpiration="5m")
    await browser.log_in(provider)
    assert STATE_COOKIE in browser.cookies
    for _ in range(3):
        assert (await browser.who())["groups"] == ["from-userinfo", "ann@example.com"]
    assert len(await provider.asked("userinfo")) == 1
    await provider.behave(userinfo_jwt=True)
    await browser.log_in(provider)  # forgets what was known
    assert (await browser.who())["groups"] == ["from-userinfo", "ann@example.com"]
    await provider.behave(userinfo={"sub": "another"})
    await browser.log_in(provider)
    assert "loggedIn" not in await browser.who()


async def test_groups_need_the_access_token_of_a_login(
    browser: Browser, provider: Provider, sso: Configured
) -> None:
    sso.use(enableUserInfoGroups=True, userInfoPath="/userinfo")
    await browser.log_in(provider)
    token = browser.cookies["argocd.token"]
    sso.use(enableUserInfoGroups=True, userInfoPath="/userinfo", name="changed")  # as after a restart
    outcome = await sso.access.authenticator.authenticate({"token": (token,)})
    assert "no access token of a login is known" in outcome.problem
    assert (await browser.who())["loggedIn"] is True  # the browser has it with it


async def test_groups_of_azure_that_are_too_many(
    browser: Browser, provider: Provider, sso: Configured
) -> None:
    with pytest.raises(ValueError, match="graphApiEndpoint"):
        _read(graphApiEndpoint="https://evil.example.com")
    sso.use(azure={"enableUserGroupOverageClaim": True})
    config = sso.access.sso.config
    assert config is not None
    parts = sso.access.sso._current()
    assert parts is not None
    azure = msgspec.structs.replace(config.oidc.azure, graph_endpoint=provider.issuer)
    parts.provider.sso = msgspec.structs.replace(
        config, oidc=msgspec.structs.replace(config.oidc, azure=azure)
    )
    await browser.log_in(provider, "many")
    assert (await browser.who())["groups"] == ["from-graph", "many@example.com"]
    assert (await provider.asked("members"))[0]["body"] == {"securityEnabledOnly": False}


def _read(**azure: str) -> None:
    read_oidc(json.dumps({"issuer": "https://x", "clientID": "y", "azure": azure}), References())


async def test_an_expired_token_is_refreshed_until_the_session_is_over(
    browser: Browser, provider: Provider, clock: Clock
) -> None:
    await browser.log_in(provider)
    first = browser.cookies["argocd.token"]
    kept = browser.cookies[STATE_COOKIE]
    await provider.behave(lifetime=8 * 3600)
    clock.ahead = timedelta(hours=2)  # the token was good for one
    assert (await browser.who())["loggedIn"] is True
    assert browser.cookies["argocd.token"] != first
    assert browser.cookies[STATE_COOKIE] != kept  # the refresh token is good once
    assert len(await provider.asked("token")) == 1
    browser.cookies |= {"argocd.token": first, STATE_COOKIE: kept}  # a request sent before the answer
    assert (await browser.who())["loggedIn"] is True
    assert len(await provider.asked("token")) == 1
    clock.ahead = timedelta(hours=25)
    assert (await browser.who()) == {"iss": "sso"}


async def test_a_token_is_refreshed_before_its_end_when_asked_for(
    browser: Browser, provider: Provider, sso: Configured, clock: Clock
) -> None:
    sso.use(refreshTokenThreshold="10m")
    await browser.log_in(provider)
    first = browser.cookies["argocd.token"]
    assert (await browser.who())["loggedIn"] is True
    assert browser.cookies["argocd.token"] == first
    clock.ahead = timedelta(minutes=55)
    assert (await browser.who())["loggedIn"] is True
    assert browser.cookies["argocd.token"] != first


async def test_logging_out_revokes_and_goes_on_to_the_provider(
    browser: Browser, provider: Provider, sso: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[tuple[str, int]] = []

    async def revoke(token_id: str, expires: int) -> None:
        stored.append((token_id, expires))
        sso.access.sessions.shared._revoked[token_id] = expires

    monkeypatch.setattr(sso.access.sessions.shared, "revoke", revoke)
    sso.use(logoutURL="https://idp/logout?id_token_hint={{token}}&to={{logoutRedirectURL}}")
    await browser.log_in(provider)
    token = browser.cookies["argocd.token"]
    status, to, _ = await browser.visit("/auth/logout", "POST")
    assert (status, to) == (303, f"https://idp/logout?id_token_hint={token}&to={URL}")
    assert browser.cookies == {}
    assert len(stored) == 2  # the token, and what was kept beside it
    assert all(expires > time.time() for _, expires in stored)


async def test_logging_out_without_a_good_token(browser: Browser) -> None:
    assert (await browser.visit("/auth/logout"))[0::2] == (400, f"{NO_COOKIE}\n")
    bearer = await browser.visit("/auth/logout", Authorization="Bearer a.b.c")
    assert bearer[0] == 400  # only the cookie counts
    browser.cookies["argocd.token"] = "a.b.c"
    browser.cookies["argocd.token-1"] = "d"
    browser.cookies["other"] = "stays"
    assert (await browser.visit("/auth/logout"))[:2] == (303, URL)
    assert browser.cookies == {"other": "stays"}
    browser.cookies["argocd.token"] = "a.b.c"
    assert (await browser.visit("/auth/logout", Host="10.0.0.1:8080"))[1] == "http://10.0.0.1:8080/"


async def test_without_sso_there_are_no_pages_but_logout(browser: Browser, sso: Configured) -> None:
    sso.use(main={"oidc.config": ""})
    for path in ("/auth/login", "/auth/callback", "/api/dex/.well-known/openid-configuration"):
        assert (await browser.visit(path))[0] in (404, 401), path
    assert (await browser.visit("/auth/logout"))[0] == 400


async def test_a_local_session_near_its_end_is_renewed_in_its_cookie(
    browser: Browser, sso: Configured, clock: Clock
) -> None:
    old = sso.access.sessions.issue("admin:login", 3600, "one")
    browser.cookies["argocd.token"] = old
    assert (await browser.who())["username"] == "admin"
    assert browser.cookies["argocd.token"] == old
    clock.ahead = timedelta(minutes=56)
    assert (await browser.who())["username"] == "admin"
    fresh = browser.cookies["argocd.token"]
    assert fresh != old
    clock.ahead = timedelta(minutes=70)  # the old one is over, the fresh one is not
    assert (await browser.who())["username"] == "admin"
    browser.cookies["argocd.token"] = old
    assert "loggedIn" not in await browser.who()
