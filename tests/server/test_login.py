"""Logging in, end to end: from the first start's password to a token that the API believes."""

from __future__ import annotations

from tests.server.running import Running


async def test_admin_of_the_first_start_logs_in(api: Running) -> None:
    answer = await api.get("/api/v1/session/userinfo")
    assert answer.status == 200
    assert answer.json == {"loggedIn": True, "username": "admin", "iss": "argocd"}


async def test_nobody_learns_only_the_version(api: Running) -> None:
    known = (await api.get("/api/version")).json
    assert known["Version"].startswith("v3.6.0+tiphys")
    assert "Platform" in known
    unknown = (await api.get("/api/version", token="")).json
    assert list(unknown) == ["Version"]


async def test_wrong_password(api: Running) -> None:
    answer = await api.call("POST", "/api/v1/session", body={"username": "admin", "password": "no"}, token="")
    assert answer.status == 401
    assert answer.json == {
        "error": "Invalid username or password",
        "code": 16,
        "message": "Invalid username or password",
    }
