"""A fault of ours shows in the Application, without anything that the fault's text may hold."""

import uuid
from datetime import UTC, datetime

from tests.controlplane import ControlPlane
from tests.controlplane.installation import install
from tiphys.kube.client import ClusterClient
from tiphys.kube.connections import from_kubeconfig
from tiphys.reconcile.stores import Store
from tiphys.reconcile.unexpected import tell
from tiphys.reconcile.writing import ApplicationWriter
from tiphys.resources.application import Application, decode
from tiphys.resources.identity import GVK

NOW = datetime(2026, 1, 2, tzinfo=UTC)


async def test_an_unforeseen_failure_is_told_once(control_plane: ControlPlane) -> None:
    install(control_plane.kubectl)
    client = ClusterClient(from_kubeconfig(control_plane.kubeconfig))
    name = f"unexpected-{uuid.uuid4().hex[:8]}"
    namespace = GVK("", "v1", "Namespace")
    await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        made = await client.create(
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Application",
                "metadata": {"name": "app", "namespace": name},
                "spec": {"project": "default", "destination": {}, "source": {"repoURL": "file:///nowhere"}},
            }
        )
        store: Store[Application] = Store(decode)
        _, app = store.put(made)
        assert app is not None
        writer = ApplicationWriter(client, store)
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
    finally:
        await client.delete(namespace, "", name, propagation_policy="Background")
        await client.close()
