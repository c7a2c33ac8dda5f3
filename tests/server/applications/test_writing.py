"""Writing an Application while others do, against a real API server (api.md 8.2, "up to 10 tries")."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
import pytest
import pytest_asyncio

from tests.controlplane import ControlPlane
from tests.server.conftest import unique_namespace
from tests.server.running import install_kinds
from tiphys.access.rbac.enforcer import Enforcer
from tiphys.kube.client import ClusterClient
from tiphys.kube.connections import from_kubeconfig
from tiphys.reconcile.stores import Store
from tiphys.reconcile.unknown import unknown_of
from tiphys.resources.application import Application, decode
from tiphys.server.api.failures import ApiFailure, Code
from tiphys.server.guard import Guard
from tiphys.server.services.applications.access import AppAccess
from tiphys.server.services.applications.writing import TRIES, AppWriter, edit
from tiphys.server.state import State
from tiphys.settings.params import Params
from tiphys.settings.store import SettingsStore

pytestmark = pytest.mark.controlplane


class Desk(msgspec.Struct, eq=False):
    """A writer, the store that it keeps in step, and kubectl for the others."""

    writer: AppWriter
    apps: Store[Application]
    client: ClusterClient
    kubectl: Callable[..., str]
    namespace: str

    async def create(self, name: str) -> Application:
        manifest = await self.client.create(
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Application",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": {"project": "p", "destination": {}},
            }
        )
        self.apps.put(manifest)
        return decode(manifest)

    def disturb(self, name: str, number: int) -> None:
        patch = json.dumps({"metadata": {"annotations": {"others": str(number)}}})
        arguments = ("patch", "applications.argoproj.io", name, "--type=merge", "-p", patch)
        self.kubectl("-n", self.namespace, *arguments)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def desk(control_plane: ControlPlane) -> AsyncIterator[Desk]:
    namespace = unique_namespace("writing")
    install_kinds(control_plane)
    control_plane.kubectl("create", "namespace", namespace)
    client = ClusterClient(from_kubeconfig(control_plane.kubeconfig))
    apps: Store[Application] = Store(decode, unknown_of)
    missing = cast(Any, None)  # writing reaches none of these
    state = State(
        namespace=namespace,
        client=client,
        settings_store=SettingsStore(namespace, Params()),
        apps=apps,
        projects=missing,
        appsets=missing,
        connect=missing,
        live=missing,
        git=missing,
        renderer=missing,
        clock=lambda: datetime.now(UTC),
    )
    access = AppAccess(state, Guard(Enforcer(lambda name: None)))
    yield Desk(AppWriter(state, access), apps, client, control_plane.kubectl, namespace)
    await client.close()
    control_plane.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.mark.parametrize("disturbances", [0, 1, TRIES - 1])
async def test_what_others_write_in_between_stays(desk: Desk, disturbances: int) -> None:
    name = f"between-{disturbances}"
    asked = 0

    def decide(app: Application) -> dict[str, Any]:
        nonlocal asked
        asked += 1
        if asked <= disturbances:
            desk.disturb(name, asked)
        return edit(app, labels={"mine": "yes"})

    written = await desk.writer.change(await desk.create(name), decide)
    assert asked == disturbances + 1
    assert written.metadata.labels == {"mine": "yes"}
    annotations = {"others": str(disturbances)} if disturbances else {}
    assert (written.metadata.annotations or {}) == annotations
    assert desk.apps.get(written.key) is written  # the writer's next read shows it


async def test_after_ten_tries_it_is_given_up(desk: Desk) -> None:
    asked = 0

    def decide(app: Application) -> dict[str, Any]:
        nonlocal asked
        asked += 1
        desk.disturb("restless", asked)
        return edit(app, labels={"mine": "yes"})

    with pytest.raises(ApiFailure) as failure:
        await desk.writer.change(await desk.create("restless"), decide)
    assert asked == TRIES
    assert failure.value.code is Code.INTERNAL
    assert failure.value.message == "Failed to update application. Too many conflicts"


@pytest.mark.parametrize("replaced", [False, True], ids=["gone", "another-of-its-name"])
async def test_what_vanished_is_not_found(desk: Desk, replaced: bool) -> None:
    name = f"vanishing-{replaced}".lower()
    app = await desk.create(name)
    desk.kubectl("-n", desk.namespace, "delete", "applications.argoproj.io", name)
    if replaced:
        await desk.create(name)
    with pytest.raises(ApiFailure) as failure:
        await desk.writer.change(app, lambda current: edit(current, labels={"mine": "yes"}))
    assert failure.value.code is Code.NOT_FOUND
    assert failure.value.message == f'applications.argoproj.io "{name}" not found'


async def test_nothing_to_change_is_no_request(desk: Desk) -> None:
    app = await desk.create("still")
    assert await desk.writer.change(app, lambda current: edit(current, labels={})) is app
