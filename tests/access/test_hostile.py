"""Whatever callers send, the outcome is a refusal, quickly and in words (issue 5, "What bad input gets")."""

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.access.building import KEY, NOW, hashed, store, token
from tiphys.access.access import Access
from tiphys.access.accounts import read_accounts
from tiphys.access.authenticator import join_chunks, read_cookies
from tiphys.access.identity import Authentication
from tiphys.access.passwords import Passwords
from tiphys.access.rbac.enforcer import Enforcer
from tiphys.access.rbac.policy import PolicyError, read_policy
from tiphys.server.http.cookies import token_cookies


class Loop:
    """Access, and a loop for the many examples of a test."""

    def __init__(self, runner: asyncio.Runner):
        main = {"url": "https://cd", "oidc.config": "{issuer: 'http://127.0.0.1:9', clientID: x}"}
        self._runner = runner
        self.access = Access(
            store(main),
            lambda name: None,
            lambda listener: lambda: None,
            None,
            "argocd",
            lambda: NOW,  # type: ignore[arg-type]
        )

    def authenticate(self, **metadata: str) -> Authentication:
        given = {name.replace("_", "-"): (value,) for name, value in metadata.items()}
        return self._runner.run(self.access.authenticator.authenticate(given))


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    with asyncio.Runner() as runner:
        made = Loop(runner)
        yield made
        runner.run(made.access.sso.close())
        made.access.close()


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
headers = st.fixed_dictionaries(
    {}, optional={"alg": st.sampled_from(["HS256", "none", "RS256"]) | values, "kid": values}
)
payloads = st.fixed_dictionaries(
    {},
    optional={
        name: st.sampled_from(["argocd", "http://127.0.0.1:9", "admin:login", "proj:a:b"]) | values
        for name in ("iss", "sub", "iat", "exp", "nbf", "jti", "aud", "federated_claims", "groups")
    },
)
jwts = st.builds(
    lambda *parts: ".".join(parts),
    headers.map(part),
    payloads.map(part),
    st.text(max_size=8) | st.just(part(b"x" * 32)),
)
texts = st.text(max_size=60) | jwts


@given(texts, st.sampled_from(["token", "authorization", "grpcgateway_cookie"]))
@example("a" * 70_000, "token")
@example(".".join(["a" * 40_000] * 3), "token")
def test_no_token_raises(loop: Loop, text: str, place: str) -> None:
    before = {"token": "", "authorization": "Bearer ", "grpcgateway_cookie": "argocd.token="}
    outcome = loop.authenticate(**{place: before[place] + text})
    assert outcome.problem.startswith(("invalid session: ", "no session information"))
    assert not outcome.identity.is_authenticated


@given(payloads)
def test_claims_of_our_own_signature_raise_nothing_either(loop: Loop, claims: dict[str, Any]) -> None:
    signed = jwt.api_jws.encode(json.dumps({"iss": "argocd", **claims}).encode(), KEY, algorithm="HS256")
    loop.authenticate(token=signed)


@given(st.text(max_size=200))
@example("argocd.token=" + "9" * 5000 + ":x")
@example("argocd.token=2:" + "a" * 100_000)
@example(";" * 10_000)
def test_no_cookie_raises(header: str) -> None:
    join_chunks(read_cookies(header))


@given(st.text("abc.-_", min_size=1, max_size=30_000))
@example("a" * 30_000)
def test_tokens_come_back_from_their_cookies(text: str) -> None:
    cookies = token_cookies(text, "/", secure=True)
    assert all(len(cookie.encode()) <= 4093 for cookie in cookies)
    header = "; ".join(cookie.partition("; ")[0] for cookie in reversed(cookies))
    assert join_chunks(read_cookies(header)) == text


@given(st.text(max_size=80), st.text(max_size=20))
def test_no_policy_raises_anything_else(text: str, pattern: str) -> None:
    try:
        read_policy(text)
    except PolicyError:
        pass
    made = Enforcer(lambda name: None)
    for mode in ("glob", "regex"):
        made.use({"policy.csv": text, "policy.matchMode": mode, "policy.default": pattern, "scopes": text})
        made.use(
            {"policy.csv": f'p, a, b, c, "{pattern}", allow'.replace("\n", " "), "policy.matchMode": mode}
        )


@given(
    st.dictionaries(
        st.text(max_size=20) | st.sampled_from(["accounts.a", "accounts.a.enabled", "admin.enabled"]),
        st.text(max_size=20),
    ),
    st.dictionaries(
        st.sampled_from(["admin.tokens", "admin.passwordMtime", "accounts.a.tokens"]), st.text(max_size=20)
    ),
)
def test_no_setting_of_accounts_raises(main: dict[str, str], data: dict[str, str]) -> None:
    assert "admin" in read_accounts(main, data)


def test_a_token_of_another_installation_is_none(loop: Loop) -> None:
    text = token(
        "another-signing-key-of-more-than-sixty-four-bytes-so-that-nobody-warns-us", sub="admin:login"
    )
    outcome = loop.authenticate(token=text)
    assert outcome.problem == "invalid session: token signature is invalid: signature is invalid"


async def test_hashes_that_are_none_and_passwords_that_are_odd() -> None:
    passwords = Passwords()
    try:
        for stored in ("", "x", "$2b$10$short", "\ud800", "$2b$31$" + "a" * 53):
            assert not await asyncio.wait_for(passwords.check("x", stored), 20)
        good = hashed("x" * 72)
        assert await passwords.check("x" * 72, good)
        assert not await passwords.check("\ud800", good)
    finally:
        passwords.close()
