"""Which tokens of an identity provider are believed (api.md 12)."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.access.oidc.conftest import Clock, Configured, Provider
from tests.access.oidc.idp import CLIENT

FAILED = "invalid session: failed to verify the token"


def claims(issuer: str, **changed: Any) -> dict[str, Any]:
    now = int(time.time())
    usual = {
        "iss": issuer,
        "sub": "id-ann",
        "aud": CLIENT,
        "iat": now,
        "exp": now + 600,
        "email": "ann@example.com",
        "groups": ["dev"],
    }
    return {name: value for name, value in {**usual, **changed}.items() if value is not None}


async def problem(sso: Configured, token: str) -> str:
    return (await sso.access.authenticator.authenticate({"token": (token,)})).problem


@pytest.mark.parametrize("key", ["rsa", "ec", "ed"])
async def test_good_tokens_of_every_kind_of_key(sso: Configured, provider: Provider, key: str) -> None:
    token = await provider.sign(claims(sso.issuer), key)
    outcome = await sso.access.authenticator.authenticate({"token": (token,)})
    assert outcome.problem == ""
    caller = outcome.identity
    assert (caller.user_id, caller.username, caller.issuer) == ("id-ann", "ann@example.com", sso.issuer)
    assert caller.groups == ("dev", "ann@example.com")  # the claims that scopes name


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"aud": "another"}, id="wrong audience"),
        pytest.param({"aud": ["x", "y"]}, id="wrong audiences"),
        pytest.param({"aud": None}, id="no audience"),
        pytest.param({"aud": {"a": 1}}, id="unreadable audience"),
        pytest.param({"exp": 1}, id="expired"),
        pytest.param({"exp": None}, id="no end"),
        pytest.param({"exp": "never"}, id="unreadable end"),
        pytest.param({"nbf": int(time.time()) + 4000}, id="not valid yet"),
        pytest.param({"iss": "https://evil.example.com"}, id="wrong issuer"),
        pytest.param({"iss": None}, id="no issuer"),
    ],
)
async def test_wrong_claims(sso: Configured, provider: Provider, changed: dict[str, Any]) -> None:
    token = await provider.sign({**claims(sso.issuer, **changed)})
    assert await problem(sso, token) == FAILED


async def test_one_of_several_audiences_suffices(sso: Configured, provider: Provider) -> None:
    assert await problem(sso, await provider.sign(claims(sso.issuer, aud=["x", CLIENT]))) == ""
    sso.use(cliClientID="cli")
    assert await problem(sso, await provider.sign(claims(sso.issuer, aud="cli"))) == ""
    sso.use(allowedAudiences=["only"])
    assert await problem(sso, await provider.sign(claims(sso.issuer, aud=CLIENT))) == FAILED
    assert await problem(sso, await provider.sign(claims(sso.issuer, aud="only"))) == ""
    sso.use(skipAudienceCheckWhenTokenHasNoAudience=True)
    assert await problem(sso, await provider.sign(claims(sso.issuer, aud=None))) == ""
    assert await problem(sso, await provider.sign(claims(sso.issuer, aud="another"))) == FAILED


async def test_an_expired_token_names_the_way_to_log_in(sso: Configured, provider: Provider) -> None:
    token = await provider.sign(claims(sso.issuer, exp=int(time.time()) - 1))
    outcome = await sso.access.authenticator.authenticate({"token": (token,)})
    assert outcome.identity.claims == {"iss": "sso"}
    assert not outcome.identity.is_authenticated


async def forged(kind: str, sso: Configured, provider: Provider) -> str:
    payload = claims(sso.issuer, sub="admin")
    header = {"kid": "rsa"}
    if kind == "alg none":
        return jwt.encode(payload, None, algorithm="none", headers=header)
    if kind == "another RSA key":
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return jwt.encode(payload, key, algorithm="RS256", headers=header)
    if kind == "RSA key id, EC signature":
        return jwt.encode(payload, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", headers=header)
    if kind == "algorithm not offered":
        return await provider.sign(payload, alg="RS512")
    if kind == "unknown key id":
        return await provider.sign(payload, kid="gone")
    async with aiohttp.ClientSession() as http, http.get(f"{sso.issuer}/keys") as answer:
        public = jwt.PyJWK.from_dict(next(k for k in (await answer.json())["keys"] if k["kid"] == "rsa")).key
    if kind == "key confusion":  # the public key as the secret of an HMAC
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return _hmac_signed(payload, pem)
    good = await provider.sign(payload)
    if kind == "changed payload":
        head, _, tail = good.split(".")
        return f"{head}.{_part({**payload, 'sub': 'other'})}.{tail}"
    assert kind == "no signature"
    return good.rpartition(".")[0] + "."


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _hmac_signed(payload: dict[str, Any], key: bytes) -> str:
    import hashlib
    import hmac

    text = f"{_part({'alg': 'HS256', 'kid': 'rsa'})}.{_part(payload)}"
    signature = hmac.new(key, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    "kind",
    [
        "alg none",
        "another RSA key",
        "RSA key id, EC signature",
        "algorithm not offered",
        "unknown key id",
        "key confusion",
        "changed payload",
        "no signature",
    ],
)
async def test_forged_tokens(sso: Configured, provider: Provider, kind: str) -> None:
    assert await problem(sso, await forged(kind, sso, provider)) == FAILED


async def test_a_token_without_a_key_id_is_tried_with_every_key(sso: Configured, provider: Provider) -> None:
    assert await problem(sso, await provider.sign(claims(sso.issuer), "ec", kid=None)) == ""


async def test_made_up_tokens_do_not_turn_us_against_the_provider(
    sso: Configured, provider: Provider
) -> None:
    for number in range(5):
        assert await problem(sso, await provider.sign(claims(sso.issuer), kid=f"no-{number}")) == FAILED
        assert await problem(sso, _hmac_signed(claims("https://other"), b"x")) == FAILED
    assert len(await provider.asked("keys")) == 1
    assert len(await provider.asked("discovery")) == 1


async def test_an_unreachable_provider_is_asked_once_in_a_while(sso: Configured) -> None:
    sso.issuer = "http://127.0.0.1:9"
    sso.use()
    token = _hmac_signed(claims(sso.issuer), b"x")
    for _ in range(3):
        assert await problem(sso, token) == FAILED


async def test_a_provider_that_calls_itself_otherwise_is_not_believed(
    sso: Configured, provider: Provider
) -> None:
    await provider.behave(discovery={"issuer": "https://other.example.com"})
    assert await problem(sso, await provider.sign(claims(sso.issuer))) == FAILED


async def test_a_symmetric_algorithm_of_the_provider_is_never_used(
    sso: Configured, provider: Provider
) -> None:
    await provider.behave(discovery={"id_token_signing_alg_values_supported": ["HS256", "none"]})
    assert await problem(sso, await forged("key confusion", sso, provider)) == FAILED
    assert await problem(sso, await provider.sign(claims(sso.issuer))) == ""  # RS256 is the default


async def test_without_sso_no_token_of_others_is_believed(
    sso: Configured, provider: Provider, clock: Clock
) -> None:
    token = await provider.sign(claims(sso.issuer))
    sso.use(main={"oidc.config": ""})
    assert await problem(sso, token) == FAILED
