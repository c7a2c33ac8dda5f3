"""Tokens of roles (applications.md 18) and source integrity (applications.md 22)."""

from typing import Any

import msgspec
import pytest

from tests.projects.building import project
from tiphys.projects.integrity import IntegrityError, Verification, verification_of
from tiphys.projects.tokens import TokenError, find_token, normalize_tokens
from tiphys.resources.project import AppProject, AppProjectStatus, JWTToken, JWTTokens
from tiphys.resources.shape import to_json


def with_tokens(spec: list[dict[str, Any]], status: dict[str, list[JWTToken]]) -> AppProject:
    by_role = {role: JWTTokens(items=tuple(tokens)) for role, tokens in status.items()}
    return msgspec.structs.replace(
        project(roles=[{"name": "ci", "jwtTokens": spec}]),
        status=AppProjectStatus(jwt_tokens_by_role=by_role),
    )


def test_tokens_are_joined_by_id_newest_first() -> None:
    given = with_tokens([{"iat": 1}, {"iat": 3, "id": "c"}], {"ci": [JWTToken(iat=2, id="b")], "gone": []})
    found = to_json(normalize_tokens(given))
    tokens = [{"iat": 3, "id": "c"}, {"iat": 2, "id": "b"}, {"iat": 1, "id": "1"}]
    assert found["spec"]["roles"][0]["jwtTokens"] == tokens
    assert found["status"]["jwtTokensByRole"] == {"ci": {"items": tokens}}


def test_normal_tokens_stay_the_same_object() -> None:
    normal = normalize_tokens(with_tokens([{"iat": 1}], {}))
    assert normalize_tokens(normal) is normal


def test_finding_tokens() -> None:
    given = with_tokens([], {"ci": [JWTToken(iat=2, id="b"), JWTToken(iat=1, id="1")]})
    assert find_token(given, "ci", issued_at=9, token_id="b").iat == 2
    assert find_token(given, "ci", issued_at=1, token_id="unknown").id == "1"
    assert find_token(given, "ci", issued_at=2).id == "b"
    with pytest.raises(TokenError):  # it was another one of this second, and is revoked
        find_token(given, "ci", issued_at=2, token_id="a")
    with pytest.raises(TokenError, match="role 'x' does not exist in project 'shop'"):
        find_token(given, "x", issued_at=1)
    with pytest.raises(
        TokenError, match="JWT token for role 'ci' issued at '7' does not exist in project 'shop'"
    ):
        find_token(given, "ci", issued_at=7)


URL = "https://git.example.com/shop"
KEY = "4AEE18F83AFDEB23"


def policy(mode: str, *urls: str) -> dict[str, Any]:
    return {"repos": [{"url": url} for url in urls], "gpg": {"mode": mode, "keys": ["1" * 24 + KEY.lower()]}}


def integrity(*policies: dict[str, Any]) -> dict[str, Any]:
    return {"sourceIntegrity": {"git": {"policies": list(policies)}}}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, None),
        ({"signatureKeys": [{"keyID": KEY}]}, Verification("head", (KEY,))),
        (integrity(policy("strict", "*")), Verification("strict", (KEY,))),
        (integrity(policy("none", "*")), None),
        (integrity(policy("head", "https://other/*")), None),
        (integrity(policy("head", "*", f"!{URL}")), None),
        (integrity(policy("head", f"!{URL}x")), None),  # nothing but negative claims nothing
        (integrity(policy("head", URL), policy("strict", "*", f"!{URL}")), Verification("head", (KEY,))),
        ({"signatureKeys": [{"keyID": KEY}], **integrity(policy("none", "*"))}, None),
        ({"signatureKeys": [{"keyID": KEY}], **integrity()}, None),
    ],
)
def test_what_is_verified(spec: dict[str, Any], expected: Verification | None) -> None:
    assert verification_of(project(**spec), URL) == expected


def test_several_policies_are_refused() -> None:
    given = project(**integrity(policy("head", "*"), policy("strict", "https://*")))
    with pytest.raises(IntegrityError) as caught:
        verification_of(given, URL)
    assert str(caught.value) == f"multiple (2) git source integrity policies found for repo URL: {URL}"
