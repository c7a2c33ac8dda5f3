"""Definitions that change while an application uses them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.controlplane.kubectl import Kubectl
from tests.e2e.story import Story, sync_status


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
