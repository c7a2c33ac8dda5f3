"""Where a token is looked for, and what becomes of it (api.md 11 "Finding and checking the token")."""

from collections.abc import Iterator, Mapping

import msgspec
import pytest

from tests.access.building import NOW, SECONDS, store, token
from tiphys.access.access import Access
from tiphys.access.authenticator import Metadata, find_token
from tiphys.settings.params import Params
from tiphys.settings.store import SettingsStore


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        pytest.param({}, "", id="nothing"),
        pytest.param({"token": ("garbage",), "authorization": ("Bearer a.b.c",)}, "garbage", id="as it is"),
        pytest.param({"token": ("",), "authorization": ("Bearer a.b.c",)}, "a.b.c", id="empty"),
        pytest.param({"authorization": ("Basic x", "Bearer x", "Bearer d.e.f")}, "d.e.f", id="each bearer"),
        pytest.param({"authorization": ("bearer a.b.c",)}, "", id="case counts"),
        pytest.param({"grpcgateway-cookie": ("a=b; argocd.token=g.h.i",)}, "g.h.i", id="cookie"),
        pytest.param({"grpcgateway-cookie": ("argocd.token=g",)}, "", id="cookie without dots"),
        pytest.param(
            {"grpcgateway-cookie": ("argocd.token-2=.c; argocd.token=3:a.; argocd.token-1=b",)},
            "a.b.c",
            id="chunks",
        ),
        pytest.param(
            {"grpcgateway-cookie": ("argocd.token=3:a.b.c; argocd.token-1=b",)}, "", id="chunk lost"
        ),
        pytest.param({"grpcgateway-cookie": ("argocd.token=999:a.b.c",)}, "", id="absurd count"),
    ],
)
def test_looking_for_the_token(metadata: Metadata, found: str) -> None:
    assert find_token(metadata) == found


def access_to(settings: SettingsStore) -> Access:
    return Access(settings, lambda name: None, lambda listener: lambda: None, None, "argocd", lambda: NOW)  # type: ignore[arg-type]


@pytest.fixture
def access() -> Iterator[Access]:
    made = access_to(store())
    yield made
    made.close()


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        pytest.param({}, "no session information", id="none"),
        pytest.param(
            {"token": ("x",)},
            "invalid session: token is malformed: token contains an invalid number of segments",
            id="garbage",
        ),
        pytest.param(
            {"token": (token(sub="eve:login"),)},
            "invalid session: account 'eve' does not exist",
            id="refused",
        ),
        pytest.param(
            {"token": (token(sub="ann", iss="https://idp"),)},
            "invalid session: failed to verify the token",
            id="SSO without SSO",
        ),
        pytest.param({":client-certificate": ("x",)}, "no session information", id="certificates are off"),
    ],
)
async def test_problems(access: Access, metadata: Mapping[str, tuple[str, ...]], problem: str) -> None:
    outcome = await access.authenticator.authenticate(metadata)
    assert outcome.problem == problem
    assert not outcome.identity.is_authenticated


async def test_a_good_token(access: Access) -> None:
    outcome = await access.authenticator.authenticate({"token": (token(sub="admin:login"),)})
    assert (outcome.problem, outcome.renewed_token) == ("", "")
    caller = outcome.identity
    assert (caller.user_id, caller.username, caller.issuer) == ("admin", "admin", "argocd")
    assert caller.is_authenticated
    assert access.enforcer.allows(caller, "applications", "delete", "any/app")


async def test_a_login_token_near_its_end_comes_with_a_fresh_one(access: Access) -> None:
    old = token(sub="admin:login", iat=SECONDS - 3500, nbf=SECONDS - 3500, exp=SECONDS + 100)
    outcome = await access.authenticator.authenticate({"token": (old,)})
    fresh = access.sessions.check(outcome.renewed_token).claims
    assert fresh["exp"] - fresh["iat"] == 3600
    assert (await access.authenticator.authenticate({"token": (old,)})).problem == ""


@pytest.mark.parametrize("metadata", [{}, {"token": ("garbage",)}], ids=["no token", "bad token"])
async def test_anonymous_access(metadata: Metadata) -> None:
    access = access_to(store({"users.anonymous.enabled": "true"}, rbac={"policy.default": "role:readonly"}))
    try:
        outcome = await access.authenticator.authenticate(metadata)
        assert outcome.problem == ""
        assert not outcome.identity.is_authenticated
        assert access.enforcer.allows(outcome.identity, "applications", "get", "a/b")
        assert not access.enforcer.allows(outcome.identity, "applications", "sync", "a/b")
    finally:
        access.close()


async def test_authentication_switched_off() -> None:
    params = msgspec.structs.replace(Params(), server_disable_auth=True)
    access = access_to(store(params=params))
    try:
        outcome = await access.authenticator.authenticate({"token": ("garbage",)})
        assert outcome.problem == ""
        assert access.enforcer.allows(outcome.identity, "exec", "create", "a/b")
    finally:
        access.close()
