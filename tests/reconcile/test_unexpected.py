"""A fault of ours shows in the Application, without anything that the fault's text may hold."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
import pytest
import pytest_asyncio

from tests.controlplane import ControlPlane
from tests.controlplane.installation import install
from tests.reconcile.test_triggers import controller
from tiphys.kube.client import ClusterClient
from tiphys.kube.connections import from_kubeconfig
from tiphys.reconcile.events import EventSender
from tiphys.reconcile.operation import advance
from tiphys.reconcile.options import options_of
from tiphys.reconcile.stores import Store
from tiphys.reconcile.unexpected import tell
from tiphys.reconcile.writing import ApplicationWriter
from tiphys.resources.application import Application, decode
from tiphys.resources.identity import GVK

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest_asyncio.fixture
async def place(control_plane: ControlPlane) -> AsyncIterator[tuple[ClusterClient, str]]:
    """A client and a namespace of its own."""
    install(control_plane.kubectl)
    client = ClusterClient(from_kubeconfig(control_plane.kubeconfig))
    name = f"unexpected-{uuid.uuid4().hex[:8]}"
    await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield client, name
    await client.delete(GVK("", "v1", "Namespace"), "", name, propagation_policy="Background")
    await client.close()


async def made(place: tuple[ClusterClient, str], **more: Any) -> tuple[Store[Application], Application]:
    client, namespace = place
    answer = await client.create(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": "app", "namespace": namespace},
            "spec": {"project": "default", "destination": {}, "source": {"repoURL": "file:///nowhere"}},
            **more,
        }
    )
    store: Store[Application] = Store(decode)
    _, app = store.put(answer)
    assert app is not None
    return store, app


async def test_an_unforeseen_failure_is_told_once(place: tuple[ClusterClient, str]) -> None:
    store, app = await made(place)
    writer = ApplicationWriter(place[0], store)
    await tell(writer, app, ValueError("s3cret-word"), NOW)
    told = store.get(app.key)
    assert told is not None
    (condition,) = told.status.conditions
    assert condition.type == "UnknownError"
    assert "internal error (ValueError)" in condition.message
    assert "s3cret-word" not in condition.message
    assert told.status.sync.status == "Unknown"
    await tell(writer, told, ValueError("again"), NOW)
    again = store.get(app.key)
    assert again is not None
    assert again.metadata.resource_version == told.metadata.resource_version, "nothing to write"


class Broken:
    """Projects that cannot even be asked for."""

    def get(self, key: object) -> Any:
        raise ZeroDivisionError(f"s3cret-word of {key}")


@pytest.mark.parametrize("retries", [0, 1])
async def test_an_operation_ends_by_it(place: tuple[ClusterClient, str], retries: int) -> None:
    """sync.md 17.1: else it would hold the application, and its deletion, for ever."""
    operation = {"sync": {"revision": "abc"}, "retry": {"limit": retries, "backoff": {"duration": "0s"}}}
    store, app = await made(place, operation=operation)
    parts = controller()._s
    services = msgspec.structs.replace(
        parts,
        apps=store,
        projects=cast(Any, Broken()),
        writer=ApplicationWriter(place[0], store),
        events=cast(Any, EventSender(cast(Any, None), lambda reason: False, lambda: 0)),
        live_options=lambda: options_of(parts.settings),
    )
    for _ in range(retries + 1):
        app = await advance(services, app)
    state = app.status.operation_state
    assert state is not None
    assert app.operation is None
    assert state.phase == "Error"
    text = "internal error (ZeroDivisionError): the log of the application controller has the details"
    assert state.message == text + (" (retried 1 times)." if retries else "")
