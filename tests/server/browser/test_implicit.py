"""The implicit flow, whose last step is a page of ours that runs in the browser (api.md 12)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from tests.access.oidc.conftest import Provider, issuer, oidc_config, provider
from tests.access.oidc.idp import SECRET
from tests.controlplane import ControlPlane
from tests.server.browser.test_browser import USERINFO, log_in_with_sso
from tests.server.conftest import unique_namespace
from tests.server.running import running

__all__ = ["issuer", "provider"]  # fixtures


async def test_the_page_keeps_a_token_that_was_made_for_this_login(
    control_plane: ControlPlane, tmp_path: Path, browser: webdriver.Chrome, provider: Provider
) -> None:
    await provider.behave(discovery={"response_types_supported": ["id_token"]})
    async with running(
        control_plane, tmp_path / "api", unique_namespace("implicit"), secret={"oidc.secret": SECRET}
    ) as api:
        base = api.base.replace("127.0.0.1", "localhost")
        config = {"url": base, "oidc.config": oidc_config(provider.issuer)}
        api.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "argocd-cm", "labels": {"app.kubernetes.io/part-of": "argocd"}},
                "data": config,
            }
        )
        await api.until("/auth/login", lambda answer: answer.status == 303)
        await provider.behave(
            discovery={"response_types_supported": ["id_token"]}, claims={"nonce": "another"}
        )
        await asyncio.to_thread(be_refused, browser, base)
        await provider.behave(discovery={"response_types_supported": ["id_token"]})
        await asyncio.to_thread(log_in_with_sso, browser, base)


def be_refused(browser: webdriver.Chrome, base: str) -> None:
    browser.get(f"{base}/auth/login")
    WebDriverWait(browser, 30).until(lambda driver: "made for another login" in driver.page_source)
    kept: Any = browser.get_cookie("argocd.token")
    assert kept is None
    browser.get(f"{base}/swagger-ui")
    assert browser.execute_async_script(USERINFO) == {}
