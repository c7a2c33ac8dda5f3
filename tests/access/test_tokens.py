"""The check of local tokens, step by step in its order (api.md 11 "JWT issued by the server")."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.access.building import KEY, NOW, SECONDS, project, store, stored_tokens, token
from tiphys.access.access import Access
from tiphys.access.accounts import read_accounts
from tiphys.access.errors import InvalidToken
from tiphys.access.tokens import (
    LocalToken,
    check_local,
    issue,
    renewal_lifetime,
    unverified_issuer,
    verified_claims,
)
from tiphys.resources.identity import ResourceKey

MAIN = {
    "accounts.ann": "login, apiKey",
    "accounts.ben": "login",
    "accounts.off": "login",
    "accounts.off.enabled": "false",
    "accounts.bad": "login",
    "accounts.bad.enabled": "perhaps",
}
SECRET = {
    "accounts.ann.tokens": stored_tokens("known"),
    "accounts.ben.passwordMtime": "2026-01-31T12:00:00.9Z",
}
PROJECTS = {
    "web": project(
        "web",
        {"name": "ci", "policies": []},
        tokens={"ci": {"items": [{"iat": SECONDS, "id": "t1"}, {"iat": SECONDS - 5}]}},
    )
}


def check(text: str, revoked: tuple[str, ...] = ()) -> LocalToken:
    claims = verified_claims(text, KEY, float(SECONDS))
    return check_local(
        claims,
        project=PROJECTS.get,
        account=read_accounts(MAIN, SECRET).get,
        is_revoked=revoked.__contains__,
    )


@pytest.mark.parametrize(
    ("claims", "account", "capability"),
    [
        pytest.param({"sub": "ann:login"}, "ann", "login", id="login"),
        pytest.param({"sub": "ann:apiKey", "jti": "known"}, "ann", "apiKey", id="api key"),
        pytest.param({"sub": "ann", "jti": "known"}, "ann", "apiKey", id="11.3 no suffix"),
        pytest.param({"sub": "ann:x", "jti": "known"}, "ann", "apiKey", id="11.3 unknown suffix"),
        pytest.param({"sub": "admin:login"}, "admin", "login", id="admin is built in"),
        pytest.param({"sub": "ben:login"}, "ben", "login", id="11.8 same second as the change"),
        pytest.param({"sub": "ann:login", "exp": None}, "ann", "login", id="without an end"),
        pytest.param({"sub": "proj:web:ci", "jti": "t1"}, "proj:web:ci", "", id="11.2 by id"),
        pytest.param(
            {"sub": "proj:web:ci", "jti": None, "iat": SECONDS - 5}, "proj:web:ci", "", id="11.2 by iat"
        ),
    ],
)
def test_good_tokens(claims: Mapping[str, Any], account: str, capability: str) -> None:
    found = check(token(**claims))
    assert found.claims["sub"] == account
    assert found.capability == capability


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        pytest.param({"exp": SECONDS}, "token has invalid claims: token is expired", id="11.1 expired"),
        pytest.param(
            {"nbf": SECONDS + 1}, "token has invalid claims: token is not valid yet", id="11.1 not yet"
        ),
        pytest.param({"iat": None}, "token does not have iat claim", id="11.1 no iat"),
        pytest.param(
            {"exp": "soon"},
            "token has invalid claims: invalid type for claim: exp is invalid",
            id="11.1 exp is text",
        ),
        pytest.param(
            {"sub": "proj:web:ci", "jti": "gone", "iat": 7},
            "JWT token for role 'ci' issued at '7' does not exist in project 'web'",
            id="11.2 token deleted",
        ),
        pytest.param(
            {"sub": "proj:web:qa"}, "role 'qa' does not exist in project 'web'", id="11.2 role deleted"
        ),
        pytest.param({"sub": "proj:x:ci"}, 'appproject.argoproj.io "x" not found', id="11.2 project deleted"),
        pytest.param({"sub": "eve:login"}, "account 'eve' does not exist", id="11.4 no account"),
        pytest.param({"sub": None}, "account '' does not exist", id="11.4 no subject"),
        pytest.param({"sub": "off:login"}, "account off is disabled", id="11.4 off"),
        pytest.param({"sub": "bad:login"}, "account bad is disabled", id="11.4 unreadable setting"),
        pytest.param(
            {"sub": "ben:apiKey"}, "account ben does not have 'apiKey' capability", id="11.4 capability"
        ),
        pytest.param(
            {"sub": "ann:login", "jti": None},
            "token does not have a unique identifier (jti claim) and cannot be validated",
            id="11.5 no jti",
        ),
        pytest.param(
            {"sub": "ann:login", "jti": "out"}, "token is revoked, please re-login", id="11.6 revoked"
        ),
        pytest.param(
            {"sub": "ann:apiKey", "jti": "other"},
            "account ann does not have token with id other",
            id="11.7 deleted",
        ),
        pytest.param(
            {"sub": "ben:login", "iat": SECONDS - 1},
            "account password has changed since token issued",
            id="11.8 password changed",
        ),
    ],
)
def test_refused_tokens(claims: Mapping[str, Any], reason: str) -> None:
    with pytest.raises(InvalidToken) as refused:
        check(token(**{"sub": "ann:login", **claims}), revoked=("out",))
    assert str(refused.value) == reason


def test_other_signatures_are_refused() -> None:
    for text in (token("another-key-of-more-than-32-bytes-length"), token() + "x"):
        with pytest.raises(InvalidToken, match="token signature is invalid: signature is invalid"):
            verified_claims(text, KEY, float(SECONDS))


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_every_hmac_is_taken(algorithm: str) -> None:
    assert check(token(algorithm=algorithm, sub="ann:login"))


def test_no_other_algorithm_is_taken() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    unsigned = _segments({"alg": "none"}, {"iss": "argocd", "sub": "admin:login", "iat": SECONDS}) + "."
    for text in (token(key, algorithm="RS256"), unsigned, unsigned.replace("none", "NONE")):  # type: ignore[arg-type]
        with pytest.raises(InvalidToken, match=r"unexpected signing method|malformed"):
            verified_claims(text, KEY, float(SECONDS))


def _segments(*parts: object) -> str:
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts
    )


GARBAGE = [
    "",
    ".",
    "..",
    "a.b.c",
    "a.b",
    "a.b.c.d",
    "\0.\0.\0",
    "é.é.é",
    "." * 100_000,
    "a" * 100_000,
    _segments([], []) + ".x",
    _segments({"alg": {}}, {"iss": "argocd"}) + ".x",
    _segments({"alg": "HS256"}, []) + ".x",
    _segments({"alg": "HS256", "crit": ["x"]}, {"iss": "argocd"}) + ".x",
]


def both_checks(text: str) -> None:
    unverified_issuer(text)
    verified_claims(text, KEY, float(SECONDS))


@pytest.mark.parametrize("text", GARBAGE, ids=lambda text: repr(text[:12]))
def test_garbage_is_no_token(text: str) -> None:
    with pytest.raises(InvalidToken):
        both_checks(text)


def test_deep_claims_do_no_harm() -> None:
    deep = "[" * 50_000 + "]" * 50_000
    text = _segments({"alg": "HS256"}) + "." + base64.urlsafe_b64encode(deep.encode()).decode() + ".x"
    with pytest.raises(InvalidToken):
        unverified_issuer(text)


def test_what_is_issued_is_what_the_reference_issues() -> None:
    text = issue(KEY, "ann:login", now=SECONDS, lifetime=60, token_id="u")
    assert verified_claims(text, KEY, float(SECONDS)) == {
        "iss": "argocd",
        "sub": "ann:login",
        "iat": SECONDS,
        "nbf": SECONDS,
        "exp": SECONDS + 60,
        "jti": "u",
    }
    assert "exp" not in verified_claims(issue(KEY, "a", now=SECONDS, lifetime=0, token_id="u"), KEY, SECONDS)


@pytest.mark.parametrize(
    ("capability", "left", "lifetime"),
    [("login", 299, 3600), ("login", 300, 0), ("login", 0, 0), ("apiKey", 10, 0), ("", 10, 0)],
)
def test_login_tokens_are_renewed_at_their_end(capability: str, left: int, lifetime: int) -> None:
    claims = {"iat": SECONDS + left - 3600, "exp": SECONDS + left}
    assert renewal_lifetime(claims, capability, SECONDS) == lifetime


def test_tokens_without_a_key_are_refused() -> None:
    settings = store()
    access = Access(settings, PROJECTS.get, lambda listener: lambda: None, None, "argocd", lambda: NOW)  # type: ignore[arg-type]
    try:
        settings.delete(_main_secret())
        with pytest.raises(InvalidToken, match=r"server\.secretkey is missing"):
            access.sessions.check(token(sub="admin:login"))
    finally:
        access.close()


def _main_secret() -> Any:
    return ResourceKey("", "Secret", "argocd", "argocd-secret")
