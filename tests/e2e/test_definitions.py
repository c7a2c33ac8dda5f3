"""Definitions that change while an application uses them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.controlplane.kubectl import Kubectl
from tests.e2e.story import APPLICATIONS, Story, sync_status


def definition(group: str, **fields: Any) -> dict[str, Any]:
    """A definition of kind Gear whose spec has these fields."""
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"gears.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "gears", "kind": "Gear"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }


@pytest.fixture
def define(story: Story) -> Any:
    """Applies a definition of the story's own group; it goes at the end."""
    kubectl: Kubectl = story.kubectl
    group = f"{story.name}.example.org"

    def apply(**fields: Any) -> str:
        kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(definition(group, **fields)))
        kubectl("wait", "--for=condition=Established", f"crd/gears.{group}", "--timeout=30s")
        return group

    yield apply
    kubectl("delete", "crd", f"gears.{group}", "--wait=false", check=False)


def test_what_the_api_server_makes_of_an_object_is_asked_again(
    story: Story, define: Callable[..., str]
) -> None:
    """A field that the definition did not know was dropped, so the object was as wanted; when the
    definition learns of the field, it is not any more, and nobody has to ask for a refresh."""
    group = define(size={"type": "integer"})
    gear = {
        "apiVersion": f"{group}/v1",
        "kind": "Gear",
        "metadata": {"name": "gear"},
        "spec": {"size": 1, "colour": "red"},
    }
    story.commit({"app/gear.yaml": yaml.safe_dump(gear)})
    story.create_application()
    story.sync()
    story.wait_operation("Succeeded")
    story.wait("Synced", lambda app: sync_status(app) == "Synced")
    define(size={"type": "integer"}, colour={"type": "string"})
    story.wait("OutOfSync by itself", lambda app: sync_status(app) == "OutOfSync")


def test_an_object_nested_too_deeply_costs_its_own_application_only(
    story: Story, new_story: Callable[[], Story], define: Callable[..., str]
) -> None:
    """The API server takes more levels than can be decoded; the others of the kind go on."""
    group = define(size={"type": "integer"}, any={"x-kubernetes-preserve-unknown-fields": True})
    other = new_story()

    def gear(size: int) -> str:
        head = {"apiVersion": f"{group}/v1", "kind": "Gear", "metadata": {"name": "gear"}}
        return yaml.safe_dump({**head, "spec": {"size": size}})

    for each in (story, other):
        each.commit({"app/gear.yaml": gear(1)})
        each.create_application(syncPolicy=each.automated())
        each.wait_synced()
    deep = '{"a":' * 1500 + "1" + "}" * 1500
    path = f"/apis/{group}/v1/namespaces/{story.namespace}/gears/gear"
    live = json.loads(story.kubectl("get", "--raw", path))
    live["spec"]["any"] = "HERE"
    story.kubectl("replace", "--raw", path, "-f", "-", stdin=json.dumps(live).replace('"HERE"', deep))
    text = f"{group}/Gear/{story.namespace}/gear: the object is nested too deeply to be read"
    story.wait_condition("ComparisonError", text)
    other.commit({"app/gear.yaml": gear(2)})
    other.refresh()
    app = other.wait_synced()
    assert not app["status"].get("conditions")
    other.kubectl("delete", f"gears.{group}", "gear", "-n", other.namespace)  # the watch lives
    other.wait("without its gear", lambda app: sync_status(app) == "OutOfSync")
    finalizers = '{"metadata":{"finalizers":["resources-finalizer.argocd.argoproj.io"]}}'
    place = (APPLICATIONS, story.name, "-n", story.control)
    story.kubectl("patch", *place, "--type=merge", "-p", finalizers)
    story.kubectl("delete", *place, "--wait=false")
    story.wait_condition("DeletionError", text)  # it might be one to keep
    story.kubectl("delete", f"gears.{group}", "gear", "-n", story.namespace)
    story.kubectl("wait", "--for=delete", *place, "--timeout=60s")
