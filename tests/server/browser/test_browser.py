"""What a browser makes of the API: sessions in cookies, redirects of SSO, the page about the API."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.access.oidc.conftest import Provider, issuer, oidc_config, provider
from tests.access.oidc.idp import SECRET
from tests.controlplane import ControlPlane
from tests.server.conftest import unique_namespace
from tests.server.running import Running, running

__all__ = ["issuer", "provider"]  # fixtures

LOG_IN = """
const done = arguments[arguments.length - 1];
fetch('api/v1/session', {
  method: 'POST',
  headers: {'Content-Type': 'application/json'},
  body: JSON.stringify({username: 'admin', password: arguments[0]}),
}).then(answer => done(answer.status), error => done(String(error)));
"""
USERINFO = """
const done = arguments[arguments.length - 1];
fetch('/api/v1/session/userinfo').then(answer => answer.json()).then(done, error => done(String(error)));
"""


@pytest.mark.parametrize("insecure", [True, False], ids=["plain", "tls"])
async def test_logging_in_with_a_password(
    control_plane: ControlPlane, tmp_path: Path, browser: webdriver.Chrome, insecure: bool
) -> None:
    async with running(
        control_plane, tmp_path / "api", unique_namespace("browser"), insecure=insecure
    ) as api:
        password = await asyncio.to_thread(api.admin_password)
        await asyncio.to_thread(log_in_and_out, browser, api.base, password, secure=not insecure)


def log_in_and_out(browser: webdriver.Chrome, base: str, password: str, *, secure: bool) -> None:
    browser.get(f"{base}/swagger-ui")
    assert browser.execute_async_script(USERINFO) == {}
    assert browser.execute_async_script(LOG_IN, password) == 200
    cookie: Any = browser.get_cookie("argocd.token")
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["secure"]) == (True, "Lax", secure)
    assert browser.execute_async_script(USERINFO)["username"] == "admin"
    browser.get(f"{base}/auth/logout")
    assert browser.get_cookie("argocd.token") is None
    browser.get(f"{base}/swagger-ui")
    assert browser.execute_async_script(USERINFO) == {}


async def test_the_page_about_the_api(api: Running, browser: webdriver.Chrome) -> None:
    await asyncio.to_thread(read_the_page, browser, api.base)


def read_the_page(browser: webdriver.Chrome, base: str) -> None:
    browser.get(f"{base}/swagger-ui")
    WebDriverWait(browser, 30).until(
        lambda driver: "/api/v1/applications" in driver.find_element(By.TAG_NAME, "body").text
    )
    severe = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert [entry for entry in severe if "favicon" not in entry["message"]] == []


async def test_logging_in_with_sso(
    control_plane: ControlPlane, tmp_path: Path, browser: webdriver.Chrome, provider: Provider
) -> None:
    async with running(
        control_plane, tmp_path / "api", unique_namespace("browser"), secret={"oidc.secret": SECRET}
    ) as api:
        # A cookie of the identity provider's host is none of ours: give the API a host of its own.
        base = api.base.replace("127.0.0.1", "localhost")
        api.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "argocd-cm", "labels": {"app.kubernetes.io/part-of": "argocd"}},
                "data": {"url": base, "oidc.config": oidc_config(provider.issuer)},
            }
        )
        await api.until("/auth/login", lambda answer: answer.status == 303)
        await asyncio.to_thread(log_in_with_sso, browser, base)


def log_in_with_sso(browser: webdriver.Chrome, base: str) -> None:
    browser.get(f"{base}/auth/login?return_url={base}/swagger-ui")
    WebDriverWait(browser, 30).until(lambda driver: urlsplit(driver.current_url).path == "/swagger-ui")
    assert browser.current_url.startswith(base)
    info = browser.execute_async_script(USERINFO)
    assert info["loggedIn"]
    assert info["groups"] == ["dev", "ops"]
