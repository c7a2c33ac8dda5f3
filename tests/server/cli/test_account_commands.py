"""``argocd login``, ``relogin``, ``logout`` and ``account …``: their calls in order (api.md 16)."""

from __future__ import annotations

import pytest

from tests.server.cli.conftest import Shell
from tests.server.grpc.client import CallFailed, Client

pytestmark = pytest.mark.controlplane

CREATE = "session.SessionService/Create"
WHO = "session.SessionService/GetUserInfo"


def somebody(shell: Shell, token: str) -> Client:
    return shell.api.grpc(web=shell.web, token=token)


async def test_login_and_get_user_info(shell: Shell) -> None:
    async with somebody(shell, "") as client:
        assert "Version" in await client.call("version.VersionService/Version")
        assert not (await client.call(WHO)).get("loggedIn")
        password = shell.api.admin_password()
        token = (await client.call(CREATE, {"username": "admin", "password": password}))["token"]
    async with somebody(shell, token) as client:
        assert await client.call(WHO) == {"loggedIn": True, "username": "admin", "iss": "argocd"}


async def test_login_with_a_wrong_password(shell: Shell) -> None:
    async with somebody(shell, "") as client:
        with pytest.raises(CallFailed) as failed:
            await client.call(CREATE, {"username": "admin", "password": "wrong"})
        assert (failed.value.code, failed.value.message) == (
            "Unauthenticated",
            "Invalid username or password",
        )


async def test_login_by_sso_asks_the_settings_first(shell: Shell) -> None:
    async with somebody(shell, "") as client:
        answer = await client.call("cluster.SettingsService/Get")
        assert "oidcConfig" not in answer
        assert "dexConfig" not in answer or not answer["dexConfig"].get("connectors")


async def test_without_a_login(shell: Shell) -> None:
    async with somebody(shell, "") as client:
        with pytest.raises(CallFailed, match="code = Unauthenticated desc = no session information"):
            await client.call("application.ApplicationService/List")


async def test_account_list_and_get(shell: Shell) -> None:
    await shell.begin()
    listed = await shell.client.call("account.AccountService/ListAccounts")
    assert {item["name"] for item in listed["items"]} == {"admin", "robot"}
    await shell.client.call(WHO)
    got = await shell.client.call("account.AccountService/GetAccount", {"name": "admin"})
    assert got["name"] == "admin"
    assert got["enabled"]
    assert got["capabilities"] == ["login"]


async def test_account_can_i(shell: Shell) -> None:
    await shell.begin()
    request = {"resource": "applications", "action": "sync", "subresource": "default/guestbook"}
    assert await shell.client.call("account.AccountService/CanI", request) == {"value": "yes"}
    async with somebody(shell, await _robot(shell)) as client:
        assert await client.call("account.AccountService/CanI", request) == {"value": "no"}


async def test_account_generate_and_delete_token(shell: Shell) -> None:
    await shell.begin()
    token_id = f"pipeline-{shell.web}"
    token = await _robot(shell, token_id)
    async with somebody(shell, token) as client:
        assert (await client.call(WHO))["username"] == "robot"
    got = await shell.client.call("account.AccountService/GetAccount", {"name": "robot"})
    assert token_id in [each["id"] for each in got["tokens"]]
    await shell.client.call("account.AccountService/DeleteToken", {"name": "robot", "id": token_id})
    async with somebody(shell, token) as client:
        with pytest.raises(CallFailed, match="Unauthenticated"):
            await client.call("account.AccountService/ListAccounts")


async def test_account_update_password(shell: Shell) -> None:
    await shell.begin()
    admin = shell.api.admin_password()
    name = (await shell.client.call(WHO))["username"]
    assert name == "admin"
    password = f"robot-password-{shell.web}"
    request = {"name": "robot", "currentPassword": admin, "newPassword": password}
    await shell.client.call("account.AccountService/UpdatePassword", request)
    async with somebody(shell, "") as client:
        answer = await client.call(CREATE, {"username": "robot", "password": password})
        assert answer["token"]
    with pytest.raises(CallFailed, match="code = InvalidArgument"):
        await shell.client.call(
            "account.AccountService/UpdatePassword", request | {"currentPassword": "wrong"}
        )


async def test_logout(shell: Shell) -> None:
    """An HTTP request with the cookie, whatever the transport of calls; afterwards the token is dead."""
    async with somebody(shell, "") as client:
        request = {"username": "admin", "password": shell.api.admin_password()}
        token = (await client.call(CREATE, request))["token"]
    answer = await shell.api.call(
        "POST", "/auth/logout", token="", headers={"Cookie": f"argocd.token={token}"}
    )
    assert answer.status in (200, 303)
    async with somebody(shell, token) as client:
        with pytest.raises(CallFailed, match="Unauthenticated"):
            await client.call("account.AccountService/ListAccounts")


async def _robot(shell: Shell, token_id: str = "") -> str:
    request = {"name": "robot", "expiresIn": 3600, "id": token_id}
    answer = await shell.client.call("account.AccountService/CreateToken", request)
    token: str = answer["token"]
    return token
