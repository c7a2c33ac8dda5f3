"""The Kubernetes version as a label of a cluster's Secret (health-and-resources.md 11)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.resources.objects import config_map
from tests.server.resources.world import World
from tiphys.live.cluster import CacheState
from tiphys.reconcile.inspecting.labelling import ASKED, VERSION, VersionLabels, wanted_label
from tiphys.resources.identity import GVK
from tiphys.settings.clusters import Cluster

SERVER = "https://kubernetes.default.svc"


def cluster(labels: dict[str, str], secret: str = "one") -> Cluster:
    return Cluster(SERVER, labels=labels, secret_name=secret)


def state(**parts: Any) -> CacheState:
    fields: dict[str, Any] = {
        "server": SERVER,
        "version": "v1.35.0",
        "resources": 1,
        "kinds": 1,
        "synced_at": 1.0,
        "error": "",
    }
    return CacheState(**{**fields, **parts})


@pytest.mark.parametrize(
    ("found", "seen", "wanted"),
    [
        pytest.param(cluster({ASKED: "true"}), state(), "v1.35.0", id="asked"),
        pytest.param(cluster({ASKED: "true", VERSION: "v1.34.2"}), state(), "v1.35.0", id="upgraded"),
        pytest.param(cluster({ASKED: "true", VERSION: "v1.35.0"}), state(), "", id="right"),
        pytest.param(cluster({}), state(), "", id="not-asked"),
        pytest.param(cluster({ASKED: "false"}), state(), "", id="declined"),
        pytest.param(cluster({ASKED: "true"}, ""), state(), "", id="no-secret"),
        pytest.param(cluster({ASKED: "true"}), state(error="away"), "", id="unreachable"),
        pytest.param(cluster({ASKED: "true"}), state(synced_at=None), "", id="never-synced"),
    ],
)
def test_wanted_label(found: Cluster, seen: CacheState, wanted: str) -> None:
    assert wanted_label(found, seen) == wanted


@pytest.mark.controlplane
async def test_the_secret_is_labelled_and_stays_right(resources: World) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "own-cluster",
            "namespace": resources.namespace,
            "labels": {"argocd.argoproj.io/secret-type": "cluster", ASKED: "true", VERSION: "v1.2.3"},
        },
        "stringData": {"server": SERVER, "name": "in-cluster", "config": "{}"},
    }
    await resources.commit({"labelled/a.yaml": config_map("labelled")})
    await resources.client.create(secret)
    await resources.create_app("labelled")
    store, pool = resources.base.settings, resources.controllers.services.pool
    await resources.until(lambda: store.snapshot.clusters.get(SERVER).secret_name, "the Secret is read")
    await resources.until(
        lambda: any(each.cluster.secret_name and each.ready for each in pool), "the cluster is followed"
    )
    labels = VersionLabels(pool, resources.base.client, store, resources.namespace, lambda: 10.0)
    await labels.look()
    version = next(each for each in pool).cache.state.version
    kept = await resources.client.get(GVK("", "v1", "Secret"), resources.namespace, "own-cluster")
    assert kept["metadata"]["labels"][VERSION] == version
    assert store.snapshot.clusters.get(SERVER).labels[VERSION] == version  # at once, by the answer
    await labels.look()  # nothing more to write
    again = await resources.client.get(GVK("", "v1", "Secret"), resources.namespace, "own-cluster")
    assert again["metadata"]["resourceVersion"] == kept["metadata"]["resourceVersion"]
