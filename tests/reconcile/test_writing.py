"""Writing to Applications, against a real API server: who is met by a patch, and what its answer tells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tiphys.kube.client import ClusterClient
from tiphys.kube.connections import from_kubeconfig
from tiphys.reconcile.concern import after_own_write
from tiphys.reconcile.stores import Store
from tiphys.reconcile.writing import APPLICATION, ApplicationWriter, Stale, TooLarge, Vanished
from tiphys.resources.application import Application, decode

pytestmark = pytest.mark.controlplane
NAMESPACE = "writing"
CRDS = Path(__file__).resolve().parents[2] / "crds"


class Desk:
    """A writer with its store, one Application, and a second client for everybody else."""

    def __init__(self, plane: ControlPlane, client: ClusterClient):
        self.kubectl = plane.kubectl
        self.store: Store[Application] = Store(decode)
        self.writer = ApplicationWriter(client, self.store)
        self.writer.on_written = self._written
        self.concerns: list[bool] = []

    def _written(self, before: Application, body: Mapping[str, Any], after: Application) -> None:
        self.concerns.append(after_own_write(before, body, after) is not None)

    def create(self) -> Application:
        manifest = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": "a", "namespace": NAMESPACE},
            "spec": {
                "project": "default",
                "source": {"repoURL": "https://git.example/r", "path": "p"},
                "destination": {"server": "https://kubernetes.default.svc"},
            },
        }
        self.kubectl("create", "-f", "-", stdin=json.dumps(manifest))
        return self.read()

    def read(self) -> Application:
        found = self.kubectl.json("get", "applications.argoproj.io", "a", "-n", NAMESPACE)
        self.store.put(found)
        return decode(found)

    def edit(self, patch: str) -> None:
        self.kubectl("patch", "applications.argoproj.io", "a", "-n", NAMESPACE, "--type=merge", "-p", patch)

    def remove(self) -> None:
        self.kubectl("delete", "applications.argoproj.io", "a", "-n", NAMESPACE, "--ignore-not-found")


@pytest.fixture(scope="module")
def kinds(control_plane: ControlPlane) -> None:
    kubectl = control_plane.kubectl
    if not kubectl.exists("crd", "applications.argoproj.io"):
        kubectl("apply", "--server-side", "-k", str(CRDS))
        kubectl("wait", "--for=condition=Established", "crd/applications.argoproj.io", "--timeout=20s")
    kubectl("create", "namespace", NAMESPACE, check=False)


@pytest.fixture
async def desk(control_plane: ControlPlane, kinds: None) -> Any:
    client = ClusterClient(from_kubeconfig(control_plane.kubeconfig))
    desk = Desk(control_plane, client)
    desk.remove()
    yield desk
    desk.remove()
    await client.close()


async def test_another_application_of_the_same_name_is_not_written(desk: Desk) -> None:
    first = desk.create()
    desk.remove()
    second = desk.create()
    with pytest.raises(Vanished):
        await desk.writer.patch(first, {"status": {"sync": {"status": "Synced"}}})
    now = desk.read()
    assert now.metadata.resource_version == second.metadata.resource_version
    held = desk.store.get(now.key)
    assert held is not None
    assert held.metadata.uid == second.metadata.uid


async def test_a_deleted_application_is_gone_from_the_store(desk: Desk) -> None:
    app = desk.create()
    desk.remove()
    with pytest.raises(Vanished):
        await desk.writer.patch(app, {"status": {"sync": {"status": "Synced"}}})
    assert desk.store.get(app.key) is None


async def test_an_edit_made_just_before_our_patch_survives_and_is_noticed(desk: Desk) -> None:
    app = desk.create()
    desk.edit('{"operation":{"sync":{}}}')
    written = await desk.writer.patch(app, {"status": {"sync": {"status": "Synced"}}})
    assert written.operation is not None
    assert written.status.sync.status == "Synced"
    written = await desk.writer.patch(written, {"status": {"sync": {"status": "OutOfSync"}}})
    assert desk.concerns == [True, False]


async def test_a_guarded_patch_is_refused_after_an_edit(desk: Desk) -> None:
    app = desk.create()
    desk.edit('{"metadata":{"annotations":{"argocd.argoproj.io/refresh":"normal"}}}')
    with pytest.raises(Stale):
        await desk.writer.patch(app, {"operation": {"sync": {}}}, guard=True)
    held = desk.store.get(app.key)
    assert held is not None
    assert held.metadata.annotations == {"argocd.argoproj.io/refresh": "normal"}


async def test_a_status_beyond_the_limit_is_told_from_other_errors(desk: Desk) -> None:
    app = desk.create()
    condition = {"type": "ComparisonError", "message": "x" * 2_000_000}
    with pytest.raises(TooLarge):
        await desk.writer.patch(app, {"status": {"conditions": [condition]}})
    assert (await desk.writer.client.get(APPLICATION, NAMESPACE, "a")).get("status") is None
