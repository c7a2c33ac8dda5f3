"""Odd requests to the pages of SSO: refused in words, never with a trace (issue 5, "What bad input gets")."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from yarl import URL as Url

from tests.access.oidc.conftest import URL, Clock, Provider, clock, issuer, provider, sso
from tests.server.access.test_sso import HOST, Browser, browser

__all__ = ["browser", "clock", "issuer", "provider", "sso"]  # fixtures


@pytest.mark.parametrize("verb", ["GET", "POST", "HEAD", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        "/auth/callback?code=%00&state=%ff",
        f"/auth/callback?code=a&state={'a' * 7000}",
        "/auth/callback?error=%3Cscript%3Ealert(1)%3C/script%3E",
        "/auth/callback?state=%0d%0aSet-Cookie:a=b",
        "/auth/callback?code=a&code=b&state=c&state=d",
        "/auth/callback?",
        "/auth/callback?%",
        "/auth/login?return_url=%",
        "/auth/login?return_url=%00",
        f"/auth/login?return_url={URL}%0d%0aSet-Cookie:a=b",
        f"/auth/login?return_url={URL}/%ff%fe",
        f"/auth/login?return_url={URL}{'/a' * 3000}",
        f"/auth/login?return_url={URL}&return_url=https://evil.com",
        "/auth/logout?x=%ff",
        "/auth/logout/",
        "/auth/login/../callback",
    ],
)
@pytest.mark.parametrize(
    "cookies",
    [
        {},
        {"argocd.oauthstate": "A" * 4000, "argocd.token": "99:a.b.c", "argocd.token-sso": "x"},
        {"argocd.token": "..", "argocd.token-1": "", "argocd.oauthstate": "%00"},
    ],
    ids=["no cookies", "garbage", "empty parts"],
)
async def test_odd_requests(browser: Browser, verb: str, path: str, cookies: dict[str, str]) -> None:
    headers = {"Host": HOST}
    if cookies:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    url = Url(browser.base + path, encoded=True)
    async with browser.http.request(verb, url, headers=headers, allow_redirects=False) as answer:
        text = await answer.text(errors="replace")
        set_names = [each.partition("=")[0] for each in answer.headers.getall("Set-Cookie", [])]
        to = answer.headers.get("Location", "")
    assert answer.status < 500, text
    assert "Traceback" not in text
    assert "<script>alert" not in text
    assert "a" not in set_names
    assert not to.startswith("https://evil.com")


async def test_a_guessed_state_is_none(browser: Browser) -> None:
    await browser.visit("/auth/login")
    sealed = browser.cookies["argocd.oauthstate"]
    assert "https" not in sealed
    status, _, text = await browser.visit("/auth/callback?code=x&state=guess")
    assert (status, text) == (
        400,
        "invalid state in the answer of the identity provider; please log in again\n",
    )


async def test_a_login_ends_within_minutes(browser: Browser, provider: Provider, clock: Clock) -> None:
    _, to, _ = await browser.visit("/auth/login")
    returned = urlsplit(await provider.authorize(to))
    clock.ahead = timedelta(seconds=301)
    status, _, text = await browser.visit(f"/auth/callback?{returned.query}")
    assert (status, text) == (400, "the login took too long; please log in again\n")
    clock.ahead = timedelta()
    assert (await browser.visit(f"/auth/callback?{returned.query}"))[0] == 303
