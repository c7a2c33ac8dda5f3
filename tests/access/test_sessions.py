"""Logging in, being locked out, logging out: on one replica and on two (api.md 11)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from tests.access.building import KEY, NOW, hashed, secret, store
from tiphys.access.access import Access
from tiphys.access.accounts import SECRET, Accounts
from tiphys.access.errors import InvalidToken, LoginRefused, UsernameTooLong
from tiphys.access.failures import Failures, failed
from tiphys.access.sessions import Sessions
from tiphys.access.shared import NAME, SharedSessions, Stored, read_stored
from tiphys.kube.client import MERGE_PATCH, ClusterClient
from tiphys.kube.errors import NotFound
from tiphys.settings.params import Params
from tiphys.settings.reading import data_of
from tiphys.settings.store import SettingsStore

MAIN = {
    "accounts.ann": "login",
    "accounts.robot": "apiKey",
    "accounts.off": "login",
    "accounts.off.enabled": "false",
}
PASSWORD = "correct horse"
NONE = Failures(0, 0)
SECRETS = {f"accounts.{name}.password": hashed(PASSWORD) for name in ("ann", "robot", "off")}


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def sessions(settings: SettingsStore, client: Any, namespace: str, clock: Clock, sleep: Any) -> Sessions:
    accounts = Accounts(settings, client, namespace, clock)
    return Sessions(settings, client, namespace, clock, accounts, lambda name: None, sleep=sleep)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def alone(clock: Clock, no_pause: Any) -> Iterator[Sessions]:
    made = sessions(store(MAIN, SECRETS), None, "argocd", clock, no_pause)
    yield made
    made.passwords.close()


@pytest.mark.parametrize(
    ("name", "password", "text"),
    [
        pytest.param("ann", "wr0ng-one", "Invalid username or password", id="wrong password"),
        pytest.param("eve", PASSWORD, "Invalid username or password", id="unknown user"),
        pytest.param("off", "wr0ng-one", "Invalid username or password", id="disabled, wrong password"),
        pytest.param("off", PASSWORD, "Account off is disabled", id="disabled"),
        pytest.param("robot", PASSWORD, "Account robot does not have login capability", id="no login"),
        pytest.param("admin", PASSWORD, "Invalid username or password", id="admin without a hash"),
        pytest.param("ann", PASSWORD + "\0", "Invalid username or password", id="NUL"),
        pytest.param("ann", "x" * 1000, "Invalid username or password", id="long password"),
    ],
)
async def test_refused_logins(
    alone: Sessions, name: str, password: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(LoginRefused) as refused:
        await alone.login(name, password)
    assert str(refused.value) == text
    for hidden in (password, SECRETS["accounts.ann.password"]):
        assert hidden not in caplog.text
        assert hidden not in repr(refused.value)


async def test_a_login_gives_a_token_for_a_day(alone: Sessions) -> None:
    claims = alone.check(await alone.login("ann", PASSWORD)).claims
    assert (claims["sub"], claims["exp"] - claims["iat"]) == ("ann", 86400)


async def test_names_that_are_too_long_are_refused(alone: Sessions) -> None:
    with pytest.raises(UsernameTooLong, match=r"Username is too long \(32 bytes max\)"):
        await alone.login("ä" * 17, "x")


async def test_five_failures_lock_for_five_minutes(alone: Sessions, clock: Clock) -> None:
    for _ in range(5):
        with pytest.raises(LoginRefused):
            await alone.login("ann", "wr0ng-one")
    with pytest.raises(LoginRefused, match="Invalid username or password"):
        await alone.login("ann", PASSWORD)  # blocked, and not counted
    clock.now = NOW + timedelta(seconds=299)
    with pytest.raises(LoginRefused):
        await alone.login("ann", PASSWORD)
    clock.now = NOW + timedelta(seconds=300)
    assert await alone.login("ann", PASSWORD)


async def test_many_guesses_at_once_are_no_way_around_the_limit(alone: Sessions) -> None:
    guesses = [*(alone.login("ann", "wr0ng-one") for _ in range(20)), alone.login("ann", PASSWORD)]
    outcomes = await asyncio.gather(*guesses, return_exceptions=True)
    assert all(isinstance(each, LoginRefused) for each in outcomes)
    assert alone.shared.book["ann"].count == 5


async def test_right_passwords_at_once_are_all_taken(alone: Sessions) -> None:
    assert all(await asyncio.gather(*(alone.login("ann", PASSWORD) for _ in range(8))))


async def test_a_success_clears_failures(alone: Sessions) -> None:
    for _ in range(2):
        for _ in range(4):
            with pytest.raises(LoginRefused):
                await alone.login("ann", "wr0ng-one")
        assert await alone.login("ann", PASSWORD)
    assert alone.shared.book == {}


async def test_unknown_names_take_no_memory(alone: Sessions) -> None:
    for number in range(3):
        with pytest.raises(LoginRefused):
            await alone.login(f"eve-{number}", "wr0ng-one")
    assert alone.shared.book == {}


async def test_too_many_logins_at_once(clock: Clock) -> None:
    hold = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await hold.wait()

    settings = store(
        MAIN,
        SECRETS,
        params=msgspec.structs.replace(Params(), server_max_concurrent_logins=4, server_replicas=2),
    )
    made = sessions(settings, None, "argocd", clock, sleep)

    async def login() -> str:
        with made.at_once():
            return await made.login("ann", PASSWORD)

    try:
        running = [asyncio.create_task(login()) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(LoginRefused, match="Invalid username or password"):
            await login()
        hold.set()
        assert all(await asyncio.gather(*running))
    finally:
        made.passwords.close()


# With Kubernetes: what replicas share


Replica = Callable[[], Awaitable[Access]]


@pytest.fixture
async def replica(
    client: ClusterClient, namespace: str, clock: Clock, no_pause: Any
) -> AsyncIterator[Replica]:
    """Starts replicas, each with settings and a watch of its own."""
    made: list[tuple[Access, asyncio.Task[None]]] = []
    await client.create(secret("argocd-secret", SECRETS | {"server.secretkey": KEY}, namespace))

    async def start() -> Access:
        settings = store(MAIN, SECRETS, namespace=namespace)
        access = Access(settings, lambda name: None, lambda listener: lambda: None, client, namespace, clock)
        access.sessions._sleep = no_pause
        await access.start()
        made.append((access, asyncio.create_task(access.run())))
        return access

    yield start
    for access, run in made:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        access.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what a watch brings."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - a watch of the replica makes it true
            await asyncio.sleep(0.02)


@pytest.mark.controlplane
async def test_a_logout_counts_everywhere_and_after_a_restart(
    client: ClusterClient, namespace: str, replica: Replica
) -> None:
    one, two = await replica(), await replica()
    text = await one.sessions.login("ann", PASSWORD)
    other = await one.sessions.login("ann", PASSWORD)
    claims = two.sessions.check(text).claims
    await one.sessions.revoke(claims)
    with pytest.raises(InvalidToken, match="token is revoked, please re-login"):
        one.sessions.check(text)
    restarted = await replica()
    with pytest.raises(InvalidToken, match="token is revoked, please re-login"):
        restarted.sessions.check(text)
    await until(lambda: two.sessions.shared.is_revoked(claims["jti"]))
    assert two.sessions.check(other)
    found = str(await client.get(SECRET, namespace, NAME)) + str(await stored(client, namespace))
    assert claims["jti"] not in found
    assert text not in found


@pytest.mark.controlplane
async def test_revocations_of_replicas_do_not_lose_each_other(
    client: ClusterClient, namespace: str, replica: Replica, clock: Clock
) -> None:
    end = int(NOW.timestamp()) + 60
    accesses = [await replica() for _ in range(3)]
    await asyncio.gather(
        *(access.sessions.shared.revoke(f"id-{n}", end) for n, access in enumerate(accesses))
    )
    last = await replica()
    assert all(last.sessions.shared.is_revoked(f"id-{n}") for n in range(3))
    clock.now = NOW + timedelta(seconds=61)
    await last.sessions.shared.revoke("new", end + 600)
    assert len((await stored(client, namespace)).revoked) == 1  # what has expired is gone


@pytest.mark.controlplane
async def test_failures_count_on_all_replicas(replica: Replica) -> None:
    one, two = await replica(), await replica()
    for access in (one, two, one, two, one):
        with pytest.raises(LoginRefused):
            await access.sessions.login("ann", "wr0ng-one")
    await until(lambda: all(access.sessions.shared.book.get("ann", NONE).count == 5 for access in (one, two)))
    for access in (one, two):
        with pytest.raises(LoginRefused):
            await access.sessions.login("ann", PASSWORD)
    restarted = await replica()
    with pytest.raises(LoginRefused):
        await restarted.sessions.login("ann", PASSWORD)


@pytest.mark.controlplane
async def test_an_account_is_unlocked_by_removing_the_key(
    client: ClusterClient, namespace: str, replica: Replica
) -> None:
    one = await replica()
    for _ in range(5):
        with pytest.raises(LoginRefused):
            await one.sessions.login("ann", "wr0ng-one")
    async with asyncio.timeout(30):
        while (await stored(client, namespace)).failed.get("ann", NONE).count < 5:  # noqa: ASYNC110 - stored by the replica
            await asyncio.sleep(0.02)
    await client.patch(SECRET, namespace, NAME, {"data": {"failedLogins": None}}, MERGE_PATCH)
    await until(lambda: one.sessions.shared.book == {})
    assert await one.sessions.login("ann", PASSWORD)


class EventsFirst:
    """A client whose writes reach the watch before their answer reaches the writer."""

    def __init__(self, client: ClusterClient) -> None:
        self._client = client
        self.taken: Callable[[Any], None] = print

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def create(self, *args: Any) -> Any:
        return self._first(await self._client.create(*args))

    async def patch(self, *args: Any) -> Any:
        return self._first(await self._client.patch(*args))

    def _first(self, written: Any) -> Any:
        self.taken(written)
        return written


@pytest.mark.controlplane
async def test_a_failure_counts_once_when_its_event_comes_before_its_answer(
    client: ClusterClient, namespace: str
) -> None:
    early: Any = EventsFirst(client)
    shared = SharedSessions(early, namespace, lambda: NOW, dict)
    counts: list[int] = []

    def take(written: Any) -> None:
        shared.take(written)
        counts.append(shared.book["ann"].count)
        if len(counts) == 1:
            shared.change_book(lambda book: failed(book, "ann", NOW.timestamp(), most=10))
            counts.append(shared.book["ann"].count)

    early.taken = take
    running = asyncio.create_task(shared.run())
    shared.change_book(lambda book: failed(book, "ann", NOW.timestamp(), most=10))
    await until(lambda: len(counts) == 3)
    assert counts == [1, 2, 2]
    await until(lambda: shared.book["ann"].count == 2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.controlplane
async def test_what_was_logged_out_stays_so_when_the_secret_is_deleted(
    client: ClusterClient, namespace: str, replica: Replica
) -> None:
    one = await replica()
    await one.sessions.shared.revoke("gone", int(NOW.timestamp()) + 60)
    await client.delete(SECRET, namespace, NAME, propagation_policy="Background")
    async with asyncio.timeout(30):
        while not (await stored(client, namespace)).revoked:  # noqa: ASYNC110 - stored by the replica
            await asyncio.sleep(0.02)
    assert one.sessions.shared.is_revoked("gone")
    later = await replica()
    assert later.sessions.shared.is_revoked("gone")


async def stored(client: ClusterClient, namespace: str) -> Stored:
    try:
        return read_stored(data_of({**await client.get(SECRET, namespace, NAME), "kind": "Secret"}))
    except NotFound:
        return Stored()


def test_a_broken_secret_is_nothing() -> None:
    assert read_stored({"revoked": "{", "failedLogins": "[1]"}) == read_stored({})
