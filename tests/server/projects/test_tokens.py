"""Tokens of a project's roles (api.md 9 "Project", 11; applications.md 18)."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from tests.server.projects.house import House
from tiphys.resources.identity import AppKey
from tiphys.server.services.projects.starting import normalize_all_tokens

SERVICE = "ProjectService"


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


async def problem(shop: House, token: str) -> str:
    """Why the token is not accepted; empty when it is."""
    outcome = await shop.access.authenticator.authenticate({"authorization": (f"Bearer {token}",)})
    return outcome.problem


async def test_a_token_lives_its_life(shop: House) -> None:
    await shop.project("tokens", roles=[{"name": "ci"}])
    request = {"project": "tokens", "role": "ci", "expiresIn": 3600, "id": "build"}
    token = (await shop.call(f"{SERVICE}/CreateToken", request))["token"]
    claims = claims_of(token)
    assert (claims["sub"], claims["iss"], claims["jti"]) == ("proj:tokens:ci", "argocd", "build")
    assert claims["exp"] == claims["iat"] + 3600

    read = await shop.call(f"{SERVICE}/Get", {"name": "tokens"})
    entry = {"iat": claims["iat"], "exp": claims["exp"], "id": "build"}
    assert read["status"] == {"jwtTokensByRole": {"ci": {"items": [entry]}}}
    assert read["spec"]["roles"][0]["jwtTokens"] == [entry]
    assert await problem(shop, token) == ""

    assert await shop.refused(f"{SERVICE}/CreateToken", request) == (
        "InvalidArgument",
        "Token id 'build' has been used. ",
    )
    assert await shop.call(f"{SERVICE}/DeleteToken", {"project": "tokens", "role": "ci", "id": "build"}) == {}
    assert "does not exist in project 'tokens'" in await problem(shop, token)
    read = await shop.call(f"{SERVICE}/Get", {"name": "tokens"})
    assert "jwtTokens" not in read["spec"]["roles"][0]
    assert [(event["reason"], event["message"]) for event in await shop.events("tokens")] == [
        ("ResourceCreated", "admin created token"),
        ("ResourceDeleted", "admin deleted token"),
    ]


async def test_a_token_without_id_and_end(shop: House) -> None:
    await shop.project("endless", roles=[{"name": "ci"}])
    token = (await shop.call(f"{SERVICE}/CreateToken", {"project": "endless", "role": "ci"}))["token"]
    claims = claims_of(token)
    assert "exp" not in claims
    assert len(claims["jti"]) == 36
    request = {"project": "endless", "role": "ci", "iat": claims["iat"]}
    await shop.call(f"{SERVICE}/DeleteToken", request)
    assert await problem(shop, token) != ""


async def test_tokens_of_one_second_are_told_apart(shop: House) -> None:
    """What was revoked is not another one that was made at the same moment."""
    await shop.project("twins", roles=[{"name": "ci"}])
    tokens: dict[str, str] = {}
    while True:  # two within a second, sooner or later
        pair = [f"t{len(tokens)}", f"t{len(tokens) + 1}"]
        for token_id in pair:
            request = {"project": "twins", "role": "ci", "id": token_id}
            tokens[token_id] = (await shop.call(f"{SERVICE}/CreateToken", request))["token"]
        gone, kept = (tokens[each] for each in pair)
        if claims_of(gone)["iat"] == claims_of(kept)["iat"]:
            break
    moment = claims_of(gone)["iat"]
    for _ in range(2):  # the second time there is none of this id, and the other one stays
        request = {"project": "twins", "role": "ci", "id": pair[0], "iat": moment}
        await shop.call(f"{SERVICE}/DeleteToken", request)
        assert "does not exist in project 'twins'" in await problem(shop, gone)
        assert await problem(shop, kept) == ""


async def test_an_end_in_the_past_is_no_token_without_end(shop: House) -> None:
    await shop.project("past", roles=[{"name": "ci"}])
    request = {"project": "past", "role": "ci", "expiresIn": -1}
    answer = await shop.refused(f"{SERVICE}/CreateToken", request)
    assert answer == ("InvalidArgument", "expiresIn must not be negative")


async def test_what_is_not_there(shop: House) -> None:
    await shop.project("empty", roles=[{"name": "ci"}])
    assert await shop.refused(f"{SERVICE}/CreateToken", {"project": "empty", "role": "no"}) == (
        "NotFound",
        "project 'empty' does not have role 'no'",
    )
    for role in ("no", "ci"):
        request = {"project": "empty", "role": role, "iat": 1}
        assert await shop.call(f"{SERVICE}/DeleteToken", request) == {}
    for method in ("CreateToken", "DeleteToken"):
        request = {"project": "nowhere", "role": "ci"}
        assert await shop.refused(f"{SERVICE}/{method}", request) == (
            "NotFound",
            'appprojects.argoproj.io "nowhere" not found',
        )
    assert await shop.events("empty") == []


@pytest.mark.parametrize("group", ["builders", '"a, b"'])
async def test_a_member_of_a_group_of_the_role(shop: House, group: str) -> None:
    name = f"member-{len(group)}"
    await shop.project(name, roles=[{"name": "ci", "groups": [group]}, {"name": "other"}])
    member = shop.user("member", groups=[group.strip('"')])
    token = (await shop.call(f"{SERVICE}/CreateToken", {"project": name, "role": "ci"}, by=member))["token"]
    assert claims_of(token)["sub"] == f"proj:{name}:ci"
    code, _ = await shop.refused(f"{SERVICE}/CreateToken", {"project": name, "role": "other"}, by=member)
    assert code == "PermissionDenied"
    request = {"project": name, "role": "ci", "iat": claims_of(token)["iat"]}
    assert await shop.call(f"{SERVICE}/DeleteToken", request, by=member) == {}
    assert await problem(shop, token) != ""


async def test_at_the_start_tokens_are_brought_into_order(shop: House) -> None:
    await shop.project("restored", roles=[{"name": "ci", "jwtTokens": [{"iat": 1_700_000_000}]}])
    await shop.project("in-order", roles=[{"name": "ci"}])
    before = shop.state.projects.get(AppKey(shop.namespace, "in-order"))
    await normalize_all_tokens(shop.state)
    held = shop.state.projects.get(AppKey(shop.namespace, "restored"))
    assert held is not None
    entry = held.status.jwt_tokens_by_role["ci"].items[0]
    assert (entry.iat, entry.id) == (1_700_000_000, "1700000000")
    assert shop.state.projects.get(AppKey(shop.namespace, "in-order")) is before
