"""Accounts out of the settings, and changing them in Kubernetes (api.md 11 "Accounts")."""

import asyncio
import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from tests.access.building import NOW, SECONDS, hashed, secret, store
from tiphys.access.accounts import SECRET, Accounts, AccountToken, read_accounts
from tiphys.access.errors import AccountError, AccountNotFound, TokenNotFound
from tiphys.access.passwords import check_pattern
from tiphys.kube.client import ClusterClient
from tiphys.settings.reading import data_of


@pytest.mark.parametrize(
    ("main", "name", "enabled", "capabilities"),
    [
        pytest.param({}, "admin", True, ("login",), id="admin is built in"),
        pytest.param({"admin.enabled": "false"}, "admin", False, ("login",), id="admin off"),
        pytest.param({"accounts.admin": "apiKey"}, "admin", True, ("login", "apiKey"), id="admin with keys"),
        pytest.param(
            {"accounts.a": "login , apiKey,what"}, "a", True, ("login", "apiKey"), id="unknown words"
        ),
        pytest.param({"accounts.a": ""}, "a", True, (), id="no capabilities"),
        pytest.param({"accounts.a": "login", "accounts.a.enabled": "F"}, "a", False, ("login",), id="off"),
        pytest.param(
            {"accounts.a": "login", "accounts.a.enabled": "no"}, "a", False, ("login",), id="unreadable"
        ),
    ],
)
def test_accounts_of_the_settings(
    main: Mapping[str, str], name: str, enabled: bool, capabilities: tuple[str, ...]
) -> None:
    account = read_accounts(main, {})[name]
    assert (account.is_enabled, account.capabilities) == (enabled, capabilities)


def test_names_with_dots_are_no_accounts() -> None:
    assert list(read_accounts({"accounts.a.b": "login", "accounts.a.b.enabled": "true"}, {})) == ["admin"]


def test_one_unreadable_account_costs_itself_only() -> None:
    main = {"accounts.a": "login", "accounts.b": "login, apiKey"}
    data = {"accounts.a.passwordMtime": "yesterday", "accounts.b.tokens": "{", "admin.tokens": "null"}
    found = read_accounts(main, data)
    assert (found["a"].is_enabled, found["a"].problem) == (
        False,
        "accounts.a.passwordMtime: expected an RFC 3339 time",
    )
    assert (found["b"].is_enabled, found["b"].tokens) == (True, ())
    assert found["admin"].problem == ""


def test_what_stands_in_the_secret() -> None:
    data = {
        "admin.password": " $2a$hash\n",
        "admin.passwordMtime": "2026-01-31T13:00:00+01:00",
        "admin.tokens": '[{"id":"old","iat":1},{"id":"new","iat":2,"exp":9}]',
    }
    admin = read_accounts({}, data)["admin"]
    assert admin.password_changed == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert [token.id for token in admin.tokens] == ["new", "old"]
    assert "$2a$" not in repr(admin)
    assert "new" not in repr(admin)


@pytest.mark.parametrize(
    ("password", "pattern", "is_good"),
    [
        ("12345678", "", True),
        ("1234567", "", False),
        ("x" * 33, "", False),
        ("abc1", "[0-9]", True),  # searched, not matched
        ("abc", "[0-9]", False),
        ("\ud800" * 8, "", False),
    ],
)
def test_patterns_of_passwords(password: str, pattern: str, is_good: bool) -> None:
    if is_good:
        check_pattern(password, pattern)
    else:
        with pytest.raises(AccountError, match="new password does not match"):
            check_pattern(password, pattern)


def test_a_pattern_that_is_none_is_told() -> None:
    with pytest.raises(AccountError, match="passwordPattern is no regular expression"):
        check_pattern("12345678", "(")


MAIN = {"accounts.ann": "apiKey"}


async def accounts(client: ClusterClient, namespace: str) -> Accounts:
    settings = store(MAIN, namespace=namespace)
    return Accounts(settings, client, namespace, lambda: NOW)


async def stored(client: ClusterClient, namespace: str) -> dict[str, str]:
    return data_of({**await client.get(SECRET, namespace, "argocd-secret"), "kind": "Secret"})


@pytest.mark.controlplane
async def test_changes_write_what_changed_and_are_read_at_once(client: ClusterClient, namespace: str) -> None:
    await client.create(secret("argocd-secret", {"other": "stays"}, namespace))
    ours = await accounts(client, namespace)
    await ours.set_password("ann", hashed("x"))
    assert ours.get("ann").password_changed == NOW
    await ours.add_token("ann", AccountToken("one", SECONDS, 0))
    await ours.add_token("ann", AccountToken("two", SECONDS + 1, SECONDS + 60))
    found = await stored(client, namespace)
    assert sorted(found) == [
        "accounts.ann.password",
        "accounts.ann.passwordMtime",
        "accounts.ann.tokens",
        "other",
    ]
    assert found["accounts.ann.passwordMtime"] == "2026-01-31T12:00:00Z"
    assert json.loads(found["accounts.ann.tokens"]) == [
        {"id": "one", "iat": SECONDS},
        {"id": "two", "iat": SECONDS + 1, "exp": SECONDS + 60},
    ]
    for token_id in ("one", "two"):
        await ours.remove_token("ann", token_id)
    assert "accounts.ann.tokens" not in await stored(client, namespace)
    assert ours.get("ann").tokens == ()


@pytest.mark.controlplane
async def test_replicas_do_not_lose_each_others_tokens(client: ClusterClient, namespace: str) -> None:
    await client.create(secret("argocd-secret", {}, namespace))
    replicas = [await accounts(client, namespace) for _ in range(3)]
    await asyncio.gather(
        *(each.add_token("ann", AccountToken(f"t{n}", SECONDS)) for n, each in enumerate(replicas))
    )
    found = json.loads((await stored(client, namespace))["accounts.ann.tokens"])
    assert {each["id"] for each in found} == {"t0", "t1", "t2"}


@pytest.mark.controlplane
async def test_changes_that_cannot_be(client: ClusterClient, namespace: str) -> None:
    data = {"accounts.ann.tokens": '[{"id":"one","iat":1}]', "admin.tokens": "{broken"}
    await client.create(secret("argocd-secret", data, namespace))
    ours = await accounts(client, namespace)
    with pytest.raises(AccountError, match="account already has token with id 'one'"):
        await ours.add_token("ann", AccountToken("one", 1))
    with pytest.raises(AccountError, match=r"admin\.tokens: expected a JSON list of tokens"):
        await ours.add_token("admin", AccountToken("x", 1))
    with pytest.raises(AccountNotFound):
        await ours.set_password("dan", "x")
    with pytest.raises(TokenNotFound):
        await ours.remove_token("ann", "gone")
    assert (
        base64.b64encode(b"{broken").decode()
        == (await client.get(SECRET, namespace, "argocd-secret"))["data"]["admin.tokens"]
    )
