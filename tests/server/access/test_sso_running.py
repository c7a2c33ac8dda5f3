"""SSO in the running process: configured while it runs, tokens that every service believes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.access.oidc.conftest import Provider, issuer, oidc_config, provider
from tests.access.oidc.idp import SECRET
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
    begun = await plain.until("/auth/login", lambda answer: answer.status == 303)
    state = begun.headers["Set-Cookie"].partition(";")[0]
    returned = urlsplit(await provider.authorize(begun.headers["Location"]))
    url = f"{plain.base}{returned.path}?{returned.query}"
    async with plain.session.get(url, headers={"Cookie": state}, allow_redirects=False) as done:
        assert (done.status, done.headers["Location"]) == (303, "/"), await done.text()
        token = done.cookies["argocd.token"].value
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
