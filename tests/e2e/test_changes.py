"""What changes while an application uses it, without a restart: its cluster's name, its kind, the version
of its kind. (Credentials: ``test_clusters``, ``test_repositories``; projects: ``test_projects``.)"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import yaml

from tests.controlplane import ControlPlane
from tests.e2e.installed import secret
from tests.e2e.story import Story, conditions, config_map, operation_state, sync_status
from tests.e2e.test_clusters import bearer, deployer, other_url


@pytest.fixture
def cleanup() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_cluster_is_renamed(story: Story, control_plane: ControlPlane, cleanup: ExitStack) -> None:
    """The object that it is stored in stays, so nothing is forgotten in between."""
    old, new = f"{story.name}-old", f"{story.name}-new"
    data = {
        "name": old,
        "server": other_url(control_plane),
        "namespaces": story.namespace,
        "config": bearer(control_plane, deployer(story)),
    }
    place = cleanup.enter_context(ExitStack())
    place.enter_context(secret(story.kubectl, f"cluster-{story.name}", "cluster", data))
    story.commit({"app/one.yaml": config_map("one")})
    by_server = f"{story.name}-by-server"
    story.create_application(
        by_server,
        source={"path": "other"},
        destination={"server": data["server"], "namespace": story.namespace},
    )
    story.create_application(
        destination={"name": old, "namespace": story.namespace}, syncPolicy=story.automated()
    )
    story.wait_synced()
    patch = json.dumps({"stringData": {"name": new}})
    story.kubectl(
        "patch", "secret", f"cluster-{story.name}", "-n", story.control, "--type=merge", "-p", patch
    )
    story.wait_condition("InvalidSpecError", f"there are no clusters with this name: {old}")
    assert story.object("configmap", "one"), "nothing is deleted because its cluster has another name"
    spec = {"spec": {"destination": {"name": new, "namespace": story.namespace}}}
    place_of_app = ("applications.argoproj.io", story.name, "-n", story.control)
    story.kubectl("patch", *place_of_app, "--type=merge", "-p", json.dumps(spec))
    assert not conditions(story.wait_synced())
    # who names it by its server does not notice
    assert "InvalidSpecError" not in {each["type"] for each in conditions(story.get(by_server))}


class Kind:
    """A definition of kind Cog in a group of the story's own."""

    def __init__(self, story: Story):
        self.story = story
        self.group = f"{story.name}.example.org"
        self.name = f"cogs.{self.group}"

    def define(self, **served: bool) -> None:
        """Versions and whether each is served; the last one is stored."""
        schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
        manifest = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": self.name},
            "spec": {
                "group": self.group,
                "scope": "Namespaced",
                "names": {"plural": "cogs", "kind": "Cog"},
                "versions": [
                    {"name": name, "served": is_served, "storage": name == list(served)[-1], "schema": schema}
                    for name, is_served in served.items()
                ],
            },
        }
        kubectl = self.story.kubectl
        kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(manifest))
        kubectl("wait", "--for=condition=Established", f"crd/{self.name}", "--timeout=30s")

    def remove(self) -> None:
        self.story.kubectl("delete", "crd", self.name, "--ignore-not-found", "--timeout=30s", check=False)

    def cog(self, version: str, teeth: int) -> str:
        manifest: dict[str, Any] = {
            "apiVersion": f"{self.group}/{version}",
            "kind": "Cog",
            "metadata": {"name": "cog"},
            "spec": {"teeth": teeth},
        }
        return yaml.safe_dump(manifest)


@pytest.fixture
def kind(story: Story) -> Iterator[Kind]:
    made = Kind(story)
    yield made
    made.remove()


def told(app: dict[str, Any]) -> str:
    return "\n".join([operation_state(app).get("message", ""), *(c["message"] for c in conditions(app))])


def test_a_version_is_no_longer_served(story: Story, kind: Kind) -> None:
    kind.define(v1=True)
    story.commit({"app/cog.yaml": kind.cog("v1", 8)})
    retry = {"limit": 9, "refresh": True, "backoff": {"duration": "1s", "maxDuration": "2s"}}
    story.create_application(syncPolicy={"automated": {}, "retry": retry})
    story.wait_synced()
    # Deprecated: both are served, the newer one is stored and preferred.
    kind.define(v1=True, v2=True)
    story.refresh()
    story.wait_synced()
    # Gone: what Git holds cannot be made any more, and that is said; the object stays.
    kind.define(v1=False, v2=True)
    story.commit({"app/cog.yaml": kind.cog("v1", 9)})
    story.refresh()
    # by the comparison that asks for the object, or by the sync that it lets begin before
    asked = f'no matches for kind "Cog" in version "{kind.group}/v1"'
    begun = f"failed to discover server resources for group version {kind.group}/v1"
    story.wait(
        "told that the version is not there", lambda app: any(word in told(app) for word in (asked, begun))
    )
    assert story.object(kind.name, "cog"), "nothing is deleted because its version is not served"
    revision = story.commit({"app/cog.yaml": kind.cog("v2", 10)})
    story.refresh()
    assert not conditions(story.wait_synced(revision))
    found = story.object(kind.name, "cog")
    assert found is not None
    assert found["spec"] == {"teeth": 10}
    # and its watch lives
    story.kubectl("delete", kind.name, "cog", "-n", story.namespace)
    story.wait("OutOfSync", lambda app: sync_status(app) == "OutOfSync")


def test_a_kind_goes_and_comes_back(story: Story, kind: Kind) -> None:
    kind.define(v1=True)
    story.commit({"app/cog.yaml": kind.cog("v1", 8), "app/one.yaml": config_map("one")})
    story.create_application(syncPolicy=story.automated(selfHeal=True))
    story.wait_synced()
    kind.remove()
    story.wait("noticed", lambda app: sync_status(app) != "Synced")
    assert story.object("configmap", "one"), "what is of other kinds stays"
    kind.define(v1=True)
    story.wait_synced()
    found = story.object(kind.name, "cog")
    assert found is not None
    assert found["spec"] == {"teeth": 8}
