"""What ``/healthz`` says (api.md 1, operations.md 4.8): clusters in use with ``?full=true``, and the end."""

from __future__ import annotations

import msgspec
import pytest

from tiphys.app.health import ApiHealth
from tiphys.resources.application import Application, decode
from tiphys.resources.identity import Manifest
from tiphys.settings.params import Params
from tiphys.settings.store import SettingsStore

BROKEN, GOOD = "https://broken.example.org", "https://good.example.org"


def cluster(name: str, server: str, config: str) -> Manifest:
    labels = {"argocd.argoproj.io/secret-type": "cluster"}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": "argocd",
            "uid": name,
            "resourceVersion": "1",
            "labels": labels,
        },
        "data": {
            key: msgspec.json.encode(value.encode()).decode().strip('"')  # base64
            for key, value in {"name": name, "server": server, "config": config}.items()
        },
    }


def app(server: str) -> Application:
    return decode(
        {
            "metadata": {"name": "one", "namespace": "argocd"},
            "spec": {"project": "default", "destination": {"server": server, "namespace": "x"}},
        }
    )


@pytest.fixture
def settings() -> SettingsStore:
    store = SettingsStore("argocd", Params())
    store.put(cluster("broken", BROKEN, '{"password": "hunter2"'))
    store.put(cluster("good", GOOD, "{}"))
    return store


@pytest.mark.parametrize(
    ("missing", "servers", "full", "well"),
    [
        pytest.param("", [GOOD, BROKEN], False, True, id="not-asked"),
        pytest.param("", [GOOD], True, True, id="a-broken-one-that-nobody-uses"),
        pytest.param("", [], True, True, id="no-applications"),
        pytest.param("", ["https://unknown.example.org"], True, True, id="a-cluster-that-is-not-there"),
        pytest.param("", [GOOD, BROKEN], True, False, id="a-broken-one-in-use"),
        pytest.param("watch of applications", [], False, False, id="a-watch-is-down"),
    ],
)
async def test_health(
    settings: SettingsStore, missing: str, servers: list[str], full: bool, well: bool
) -> None:
    health = ApiHealth(lambda: missing, lambda: settings.snapshot, [app(server) for server in servers])
    said = await health(full)
    assert (said == "") is well, said
    assert "hunter2" not in said


async def test_leaving(settings: SettingsStore) -> None:
    health = ApiHealth(lambda: "", lambda: settings.snapshot, ())
    assert await health(False) == ""
    health.leave()
    assert await health(False) == await health(True) == "terminating"
