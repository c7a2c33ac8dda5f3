"""SSO in the running process: configured while it runs, tokens that every service believes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.access.oidc.conftest import Provider, issuer, oidc_config, provider
from tests.access.oidc.idp import CLIENT, SECRET
from tests.controlplane import ControlPlane
from tests.server.conftest import unique_namespace
from tests.server.running import Running, running

__all__ = ["issuer", "provider"]  # fixtures


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plain(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    folder = tmp_path_factory.mktemp("api")
    rbac = {"policy.csv": "g, dev, role:readonly", "scopes": "[groups]"}
    async with running(
        control_plane, folder, unique_namespace("sso"), rbac=rbac, secret={"oidc.secret": SECRET}
    ) as api:
        yield api


async def log_in(api: Running, provider: Provider) -> str:
    """The token that a browser has after its way over the provider."""
    begun = await api.until("/auth/login", lambda answer: answer.status == 303)
    state = begun.headers["Set-Cookie"].partition(";")[0]
    returned = urlsplit(await provider.authorize(begun.headers["Location"]))
    url = f"{api.base}{returned.path}?{returned.query}"
    async with api.session.get(url, headers={"Cookie": state}, allow_redirects=False) as done:
        assert (done.status, done.headers["Location"]) == (303, "/"), await done.text()
        return done.cookies["argocd.token"].value


async def test_sso_is_switched_on_and_used_without_a_restart(plain: Running, provider: Provider) -> None:
    assert (await plain.get("/auth/login")).status != 303
    config = {"url": plain.base, "oidc.config": oidc_config(provider.issuer)}
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm", "labels": {"app.kubernetes.io/part-of": "argocd"}},
        "data": config,
    }
    plain.apply(manifest)
    token = await log_in(plain, provider)
    shown = (await plain.get("/api/v1/settings", token="")).json["oidcConfig"]
    assert shown["issuer"] == provider.issuer
    assert SECRET not in str(shown)
    ann = plain.acting(token)
    assert (await ann.get("/api/v1/session/userinfo")).json["groups"] == ["dev", "ops"]
    assert (await ann.get("/api/v1/account/can-i/applications/get/any/app")).json == {"value": "yes"}
    assert (await ann.get("/api/v1/account/can-i/applications/sync/any/app")).json == {"value": "no"}
    out = await plain.get("/auth/logout", headers={"Cookie": f"argocd.token={token}"}, token="")
    assert (out.status, out.headers["Location"]) == (303, plain.base)
    refused = await ann.get("/api/v1/account/can-i/applications/get/any/app")
    assert refused.json["message"] == "invalid session: token is revoked, please re-login"


async def test_passwords_are_changed_by_who_logged_in_just_now(plain: Running, provider: Provider) -> None:
    """api.md 9: nobody asks such a caller for a password, so the token must be fresh."""
    data = {"url": plain.base, "oidc.config": oidc_config(provider.issuer), "accounts.cat": "login"}
    for name, given in (
        ("argocd-cm", data),
        ("argocd-rbac-cm", {"policy.csv": "g, dev, role:readonly\np, dev, accounts, update, cat, allow"}),
    ):
        patch = json.dumps({"data": given})
        await asyncio.to_thread(plain.kubectl, "patch", "configmap", name, "--type=merge", "-p", patch)

    async def change(age: int) -> tuple[int, str]:
        now = int(time.time())
        claims = {"iss": provider.issuer, "aud": CLIENT, "sub": "ann", "groups": ["dev"]}
        token = await provider.sign({**claims, "iat": now - age, "exp": now + 600, "jti": f"aged-{age}"})
        allowed = "/api/v1/account/can-i/accounts/update/cat"
        await plain.until(allowed, lambda answer: answer.text == '{"value":"yes"}', token=token)
        body = {"name": "cat", "newPassword": "long-enough"}
        answer = await plain.call("PUT", "/api/v1/account/password", body=body, token=token)
        return answer.status, answer.json.get("message", "")

    too_old = "SSO token is too old. Please use 'argocd relogin' to get a new token"
    assert await change(400) == (500, too_old)
    assert await change(10) == (200, "")
    await plain.login("cat", "long-enough")


async def test_pages_for_cookies_tell_missing_groups_from_bad_tokens(
    plain: Running, provider: Provider
) -> None:
    """api.md 14: the terminal says 401 ``Invalid session`` where the groups of a good token cannot be had."""
    config = oidc_config(provider.issuer, enableUserInfoGroups=True, userInfoPath="/userinfo")
    data = {"url": plain.base, "oidc.config": config, "exec.enabled": "true"}
    patch = json.dumps({"data": data})
    await asyncio.to_thread(plain.kubectl, "patch", "configmap", "argocd-cm", "--type=merge", "-p", patch)

    async def terminal(token: str) -> tuple[int, str]:
        answer = await plain.get("/terminal", headers={"Cookie": f"argocd.token={token}"}, token="")
        return answer.status, answer.text

    await plain.until("/terminal", lambda answer: answer.status == 400)
    token = await log_in(plain, provider)
    assert await terminal(token) == (400, "Missing required parameters\n")
    assert await terminal(token[:-8] + "AAAAAAAA") == (401, "Invalid token\n")
    # As on a replica that saw no login of this person: what the provider handed out beside it is gone.
    changed = oidc_config(
        provider.issuer, enableUserInfoGroups=True, userInfoPath="/userinfo", name="changed"
    )
    patch = json.dumps({"data": {"oidc.config": changed}})
    await asyncio.to_thread(plain.kubectl, "patch", "configmap", "argocd-cm", "--type=merge", "-p", patch)
    cookie = {"Cookie": f"argocd.token={token}"}
    refused = await plain.until("/terminal", lambda answer: answer.status == 401, headers=cookie, token="")
    assert refused.text == "Invalid session\n"
