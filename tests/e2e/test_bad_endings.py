"""Objects and namespaces that do not leave: what waits says for what, and others go on."""

from __future__ import annotations

import json

import pytest

from tests.e2e.neighbours import Neighbour
from tests.e2e.story import APPLICATIONS, Story, conditions, config_map, operation_state, results

pytestmark = pytest.mark.timeout(120)

FINALIZER = {"finalizers": ["example.org/never"]}


def release(story: Story, kind: str, name: str) -> None:
    """Take the finalizers off: the cure."""
    patch = json.dumps({"metadata": {"finalizers": None}})
    story.kubectl("patch", kind, name, "-n", story.namespace, "--type=merge", "-p", patch)


def test_a_pruned_object_whose_finalizer_never_leaves(story: Story, neighbour: Neighbour) -> None:
    story.commit({"app/stay.yaml": config_map("stay"), "app/stuck.yaml": config_map("stuck", **FINALIZER)})
    story.create_application()
    story.sync()
    story.wait_operation("Succeeded")
    later = config_map("later", annotations={"argocd.argoproj.io/sync-wave": "1"})
    story.commit({"app/stuck.yaml": None, "app/later.yaml": later})
    story.sync(prune=True)
    app = story.wait(
        "waiting for the deletion",
        lambda app: "waiting for deletion of /ConfigMap/stuck" in operation_state(app).get("message", ""),
    )
    assert operation_state(app)["phase"] == "Running"
    neighbour.still_syncs()
    stuck = story.object("configmap", "stuck")
    assert stuck is not None
    assert stuck["metadata"]["deletionTimestamp"]
    release(story, "configmap", "stuck")
    state = story.wait_operation("Succeeded")
    assert results(state)["ConfigMap/later"]["status"] == "Synced"
    story.wait_synced()


def test_waiting_for_it_can_be_ended(story: Story, neighbour: Neighbour) -> None:
    story.commit({"app/stay.yaml": config_map("stay"), "app/stuck.yaml": config_map("stuck", **FINALIZER)})
    story.create_application()
    story.sync()
    story.wait_operation("Succeeded")
    later = config_map("later", annotations={"argocd.argoproj.io/sync-wave": "1"})
    story.commit({"app/stuck.yaml": None, "app/later.yaml": later})
    story.sync(prune=True)
    story.wait("waiting", lambda app: "waiting for" in operation_state(app).get("message", ""))
    patch = '{"status":{"operationState":{"phase":"Terminating"}}}'
    story.kubectl("patch", APPLICATIONS, story.name, "-n", story.control, "--type=merge", "-p", patch)
    state = story.wait_operation("Failed")
    assert "Operation terminated" in state["message"]
    assert story.object("configmap", "later") is None
    release(story, "configmap", "stuck")
    neighbour.still_syncs()


def test_an_application_whose_object_does_not_leave(story: Story, neighbour: Neighbour) -> None:
    story.commit({"app/stuck.yaml": config_map("stuck", **FINALIZER), "app/free.yaml": config_map("free")})
    story.create_application(
        metadata={"finalizers": ["resources-finalizer.argocd.argoproj.io"]}, syncPolicy=story.automated()
    )
    story.wait_synced()
    story.kubectl("delete", APPLICATIONS, story.name, "-n", story.control, "--wait=false")
    story.wait_object("configmap", "stuck", lambda found: found and "deletionTimestamp" in found["metadata"])
    story.wait_object("configmap", "free", lambda found: found is None)
    neighbour.still_syncs()
    assert story.get()["metadata"]["finalizers"], "the Application waits for its object"
    release(story, "configmap", "stuck")
    story.kubectl(
        "wait", "--for=delete", f"{APPLICATIONS}/{story.name}", "-n", story.control, "--timeout=20s"
    )


def test_a_namespace_being_deleted(story: Story, neighbour: Neighbour) -> None:
    """Nothing can be made in it: the result says so, and the sync goes through when it is made anew."""
    story.kubectl("apply", "-n", story.namespace, "-f", "-", stdin=config_map("guard", **FINALIZER))
    story.kubectl("delete", "namespace", story.namespace, "--wait=false")
    story.commit({"app/one.yaml": config_map("one")})
    retry = {"limit": -1, "backoff": {"duration": "1s", "factor": 1}}
    policy = {"automated": {}, "syncOptions": ["CreateNamespace=true"], "retry": retry}
    story.create_application(syncPolicy=policy)
    app = story.wait(
        "refused",
        lambda app: "being terminated" in json.dumps(results(operation_state(app)).get("ConfigMap/one", "")),
    )
    message = results(operation_state(app))["ConfigMap/one"]["message"]
    assert f"namespace {story.namespace} because it is being terminated" in message
    neighbour.still_syncs()
    release(story, "configmap", "guard")
    assert not conditions(story.wait_synced())
    assert story.object("configmap", "one")
