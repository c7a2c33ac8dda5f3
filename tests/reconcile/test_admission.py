"""Which Applications are worked on at all (applications.md 8, operations.md 1.9)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.controlplane import ControlPlane
from tests.live.misbehaving import Proxy
from tests.reconcile.test_decisions import application
from tests.server.resources.objects import config_map
from tests.server.resources.world import world
from tiphys.kube.client import MERGE_PATCH, ClusterClient
from tiphys.kube.connections import from_kubeconfig
from tiphys.reconcile.admission import is_left_alone
from tiphys.resources.identity import GVK, AppKey
from tiphys.settings.clusters import Cluster, Clusters
from tiphys.settings.model import Settings

SKIP = "argocd.argoproj.io/skip-reconcile"
SECRET = GVK("", "v1", "Secret")


@pytest.mark.parametrize(
    ("app", "cluster", "left_alone"),
    [
        pytest.param({}, {}, False, id="ours"),
        pytest.param({"annotations": {SKIP: "true"}}, {}, True, id="it-says-so-itself"),
        pytest.param({}, {SKIP: "true"}, True, id="its-cluster-says-so"),
        pytest.param({}, {SKIP: "false"}, False, id="its-cluster-does-not"),
        pytest.param(
            {"spec": {"destination": {"server": "https://nobody.example", "namespace": "x"}}},
            {SKIP: "true"},
            False,
            id="no-such-cluster-is-told-of",
        ),
    ],
)
def test_what_is_left_alone(app: dict[str, object], cluster: dict[str, str], left_alone: bool) -> None:
    own = Cluster(server="https://kubernetes.default.svc", name="in-cluster", annotations=cluster)
    settings = Settings(control_namespace="argocd", clusters=Clusters.of((own,)))
    assert is_left_alone(application(**app), settings) is left_alone


def test_other_namespaces_are_left_alone() -> None:
    assert is_left_alone(application(), Settings(control_namespace="elsewhere"))


@pytest.mark.controlplane
async def test_a_cluster_that_no_controller_manages(control_plane: ControlPlane, tmp_path: Path) -> None:
    async with (
        Proxy(from_kubeconfig(control_plane.kubeconfig)).running() as proxy,
        world(control_plane, tmp_path) as made,
    ):
        await made.client.create(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": "other",
                    "namespace": made.namespace,
                    "labels": {"argocd.argoproj.io/secret-type": "cluster"},
                    "annotations": {SKIP: "true"},
                },
                "stringData": {"name": "other", "server": proxy.url, "config": "{}"},
            }
        )
        await made.until(lambda: proxy.url in made.base.settings.snapshot.clusters.by_server)
        await made.commit({"app/a.yaml": config_map("left")})
        spec = {"destination": {"server": proxy.url, "namespace": made.place}}
        await made.client.create(made.application("left", "app", **spec))
        await made.client.create(made.application("beside", "app"))
        await made.wait_app("beside", lambda app: app.status.sync.status == "OutOfSync")
        assert made.app("left").status.sync.status == "", "leaves no status"
        assert made.controllers.services.pool.known(proxy.url) is None

        await _annotate(made.client, made.namespace, None)
        await made.wait_app("left", lambda app: app.status.sync.status == "OutOfSync")
        assert made.controllers.services.pool.known(proxy.url) is not None

        await _annotate(made.client, made.namespace, "true")
        await made.until(lambda: made.controllers.services.pool.known(proxy.url) is None)
        assert made.base.apps.get(AppKey(made.namespace, "left")) is not None


async def _annotate(client: ClusterClient, namespace: str, value: str | None) -> None:
    patch = {"metadata": {"annotations": {SKIP: value}}}
    await client.patch(SECRET, namespace, "other", patch, MERGE_PATCH)
