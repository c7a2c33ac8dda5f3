"""A session near its end gets a fresh token with any answer (api.md 11 "Auto-renew"), live."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.controlplane import ControlPlane
from tests.server.conftest import unique_namespace
from tests.server.running import Running, running

pytestmark = pytest.mark.controlplane


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def api(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    """Sessions of four minutes: each is near its end from the beginning."""
    settings = {"users.session.duration": "4m", "accounts.script": "apiKey"}
    rbac = {"policy.csv": "g, script, role:readonly"}
    folder, namespace = tmp_path_factory.mktemp("renewal"), unique_namespace("renewal")
    async with running(control_plane, folder, namespace, settings=settings, rbac=rbac) as server:
        yield server


async def check(api: Running, fresh: str) -> None:
    """The fresh token is a new one with the same lifetime, and both are good."""
    old_claims, new_claims = claims(api.token), claims(fresh)
    assert fresh != api.token
    assert new_claims["jti"] != old_claims["jti"]
    assert new_claims["exp"] - new_claims["iat"] == old_claims["exp"] - old_claims["iat"] == 240
    assert new_claims["exp"] >= old_claims["exp"]
    assert new_claims["sub"] == old_claims["sub"] == "admin:login"
    for token in (api.token, fresh):
        assert (await api.get("/api/v1/session/userinfo", token=token)).json["username"] == "admin"


async def test_over_rest_as_cookie_and_header(api: Running) -> None:
    answer = await api.get("/api/v1/applications", headers={"Cookie": f"argocd.token={api.token}"}, token="")
    assert answer.status == 200
    cookie, *options = answer.headers["Set-Cookie"].split("; ")
    assert options == ["path=/", "SameSite=lax", "httpOnly"]
    fresh = cookie.removeprefix("argocd.token=")
    assert answer.headers["Grpc-Metadata-Renew-Token"] == fresh
    await check(api, fresh)


async def test_with_the_head_of_a_stream(api: Running) -> None:
    headers = {"Cookie": f"argocd.token={api.token}"}
    async with api.session.get(f"{api.base}/api/v1/stream/applications", headers=headers) as answer:
        await check(api, answer.cookies["argocd.token"].value)


@pytest.mark.parametrize("web", [False, True], ids=["grpc", "grpc-web"])
async def test_over_grpc_as_metadata(api: Running, web: bool) -> None:
    async with api.grpc(web=web) as client:
        await client.call("application.ApplicationService/List", {})
        await check(api, client.headers["renew-token"])


async def test_tokens_of_scripts_and_sessions_with_time_left_are_not_renewed(api: Running) -> None:
    made = await api.call("POST", "/api/v1/account/script/token", body={"expiresIn": 60})
    assert made.status == 200, made.text
    answer = await api.get("/api/v1/applications", token=made.json["token"])
    assert answer.status == 200
    assert "Set-Cookie" not in answer.headers
    assert not any("renew" in name.lower() for name in answer.headers)
    patch = json.dumps({"data": {"users.session.duration": "1h"}})
    await asyncio.to_thread(api.kubectl, "patch", "configmap", "argocd-cm", "--type=merge", "-p", patch)
    password = await asyncio.to_thread(api.admin_password)
    while claims(token := await api.login("admin", password))["exp"] - claims(token)["iat"] != 3600:
        pass
    answer = await api.get("/api/v1/applications", token=token)
    assert "Set-Cookie" not in answer.headers
