"""What templates of deep links may see (health-and-resources.md 13.1)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.reconcile.test_decisions import application
from tests.server.resources.objects import secret
from tests.server.resources.world import World
from tiphys.access.identity import NOBODY, UNRESTRICTED, Identity
from tiphys.resources.messages.application import ApplicationResourceRequest, ListAppLinksRequest
from tiphys.resources.project import decode as project_of
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import ApiFailure, Code
from tiphys.server.guard import Guard
from tiphys.server.links.data import LinkObjects, cluster_object, managed_by_url, project_object
from tiphys.server.services.applications.access import AppAccess
from tiphys.server.services.applications.resources.reaching import Reaching
from tiphys.server.services.applications.writing import AppWriter
from tiphys.settings.clusters import Cluster, ClusterConfig


@pytest.mark.parametrize(
    ("annotation", "default", "expected"),
    [
        ("https://other.example/argocd", "https://own.example", "https://other.example/argocd"),
        ("http://other.example", "", "http://other.example"),
        ("javascript:alert(1)", "https://own.example", "https://own.example"),
        ("https://", "", ""),
        ("http://[bad", "https://own.example", "https://own.example"),
        ("", "https://own.example", "https://own.example"),
    ],
)
def test_who_manages_an_application(annotation: str, default: str, expected: str) -> None:
    app = application(annotations={"argocd.argoproj.io/managed-by-url": annotation})
    assert managed_by_url(app, default) == expected


def test_nothing_of_how_a_cluster_is_reached() -> None:
    cluster = Cluster(
        server="https://a.example",
        name="a",
        namespaces=("x",),
        project="p",
        shard=0,
        labels={"env": "test"},
        config=ClusterConfig(bearer_token="hush", password="hush"),
    )
    assert cluster_object(cluster) == {
        "server": "https://a.example",
        "name": "a",
        "namespaces": ["x"],
        "shard": 0,
        "project": "p",
        "labels": {"env": "test"},
    }


def test_nothing_of_the_tokens_of_a_project() -> None:
    project = project_of(
        {
            "metadata": {"name": "p"},
            "spec": {"description": "ours"},
            "status": {"jwtTokensByRole": {"r": {"items": [{"iat": 1, "id": "token-id"}]}}},
        }
    )
    found = project_object(project)
    assert found["spec"]["description"] == "ours"
    assert "token-id" not in json.dumps(found)


class Nobody:
    """An enforcer that permits nothing."""

    def allows(self, identity: Identity, resource: str, action: str, name: str) -> bool:
        return False

    def permits(self, identity: Identity, resource: str, action: str) -> Any:
        return lambda name: False


def links_of(world: World) -> LinkObjects:
    state, guard = world.state(), Guard(Nobody())
    access = AppAccess(state, guard)
    return LinkObjects(state, Reaching(state, guard, access, AppWriter(state, access)))


@pytest.mark.controlplane
async def test_objects_of_links(resources: World) -> None:
    await resources.commit({"linked/a.yaml": secret("linked", {"key": "hush-hush"})})
    await resources.create_app("linked")
    links, call = links_of(resources), Call(identity=UNRESTRICTED)
    found = await links.application(call, ListAppLinksRequest(name="linked"))
    assert set(found) == {"app", "application", "cluster"}
    assert found["app"]["spec"]["project"] == "default"
    assert found["cluster"]["name"] == "in-cluster"
    request = ApplicationResourceRequest(
        name="linked", namespace=resources.place, kind="Secret", resource_name="linked", version="v1"
    )
    found = await links.resource(call, request)
    assert set(found) == {"app", "application", "cluster", "project", "resource"}
    assert found["resource"]["data"] == {"key": "++++++++"}
    assert "aHVzaC1odXNo" not in json.dumps(found)
    for refused in (links.application(Call(identity=NOBODY), ListAppLinksRequest(name="linked")),):
        with pytest.raises(ApiFailure) as failed:
            await refused
        assert failed.value.code is Code.PERMISSION_DENIED
