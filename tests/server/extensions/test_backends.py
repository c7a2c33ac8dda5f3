"""Extensions follow the settings (operations.md 1.1): what is broken is told once and changes nothing, what
did not change keeps its connections."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping

import pytest

from tests.access.building import KEY, config_map, secret, store
from tests.server.port.running import pair
from tiphys.server.extensions.backends import Backend, Backends
from tiphys.settings.params import Params
from tiphys.settings.store import SettingsStore

ONE = "services: [{url: 'https://one', headers: [{name: A, value: $token}]}]"
ON = Params(server_enable_proxy_extension=True)


@pytest.fixture
def settings() -> SettingsStore:
    return store({"extension.config.one": ONE}, {"token": "marmoset"}, params=ON)


@pytest.fixture
async def backends(settings: SettingsStore) -> AsyncIterator[Backends]:
    made = Backends(settings)
    yield made
    await made.close()


def change(settings: SettingsStore, data: Mapping[str, str]) -> None:
    settings.put(config_map("argocd-cm", data))


def connections(backends: Backends, name: str = "one") -> Backend:
    extension = backends.find(name)
    assert extension is not None
    return backends.backend(extension, extension.services[0])


async def test_what_is_broken_is_told_and_changes_nothing(
    settings: SettingsStore, backends: Backends, caplog: pytest.LogCaptureFixture
) -> None:
    before = backends.find("one")
    with caplog.at_level(logging.INFO):
        change(settings, {"extension.config.one": "services: []"})
        change(settings, {"extension.config.one": "services: []", "url": "https://another.example.org"})
        assert backends.find("one") == before
        assert backends.problem == "extension.config.one: no backend service configured for extension one"
        settings.put(secret("argocd-secret", {"server.secretkey": KEY, "token": "mar\nmoset"}))
        change(settings, {"extension.config.one": ONE})
        assert backends.find("one") == before
        settings.put(secret("argocd-secret", {"server.secretkey": KEY, "token": "squirrel"}))
    assert backends.problem == ""
    found = backends.find("one")
    assert found is not None
    assert found.services[0].headers[0].value == "squirrel"
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == [
        "proxy extensions: the last good settings stay in force: "
        "extension.config.one: no backend service configured for extension one",
        "proxy extensions: the last good settings stay in force: "
        "extension.config.one: the value of the header A has a line break or another control in it",
    ]
    assert "marmoset" not in caplog.text
    assert "squirrel" not in caplog.text


async def test_what_is_gone_is_gone(settings: SettingsStore, backends: Backends) -> None:
    """The reference keeps the last ones when the last key goes."""
    change(settings, {"url": "https://x"})
    assert (backends.find("one"), backends.problem) == (None, "")


async def test_connections_are_kept_until_their_way_changes(
    settings: SettingsStore, backends: Backends
) -> None:
    first = connections(backends)
    with first.using() as (session, _):
        change(settings, {"extension.config.one": ONE, "extension.config.two": ONE, "url": "https://x"})
        assert connections(backends) is first
        assert connections(backends, "two") is first
        change(settings, {"extension.config.one": f"keepAlive: 3s\n{ONE}"})
        second = connections(backends)
        assert second is not first
        settings.put(config_map("argocd-tls-certs-cm", {"one": pair().certificate}))
        assert connections(backends) is not second
        assert not session.closed
    await first.close()
    assert session.closed


async def test_nothing_is_read_while_it_is_off(caplog: pytest.LogCaptureFixture) -> None:
    backends = Backends(store({"extension.config.one": "services: []"}))
    assert (backends.find("one"), backends.problem, caplog.text) == (None, "", "")
    await backends.close()


async def test_the_switch_counts_at_once() -> None:
    off, on = Params(), Params(server_enable_proxy_extension=True)
    given = [on, off]
    settings = SettingsStore("argocd", off, reload_params=lambda data: (given.pop(0), []))
    change(settings, {"extension.config.one": ONE})
    backends = Backends(settings)
    assert backends.find("one") is None
    settings.put(config_map("argocd-cmd-params-cm", {"server.enable.proxy.extension": "true"}))
    assert backends.find("one") is not None
    settings.put(config_map("argocd-cmd-params-cm", {}))
    assert backends.find("one") is None
    await backends.close()


async def test_connections_above_the_limit_are_closed_behind_their_request(backends: Backends) -> None:
    backend = Backend(connections(backends).way)
    limit = backend.way.transport.max_idle
    entered = [backend.using() for _ in range(limit + 2)]
    assert [each.__enter__()[1] for each in entered] == [False] * limit + [True] * 2
    for each in entered:
        each.__exit__(None, None, None)
    with backend.using() as (_, is_last):
        assert not is_last
    await backend.close()
