"""Deleting Applications: with and without their resources."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.e2e.story import (
    APPLICATIONS,
    CONTROL_NAMESPACE,
    Story,
    config_map,
    operation_state,
    sync_status,
)
from tests.e2e.test_hooks_and_waves import job
from tests.e2e.test_projects import project
from tests.e2e.test_races import job as endless_job
from tests.e2e.test_races import terminate, wait_running

RESOURCES = "resources-finalizer.argocd.argoproj.io"


@pytest.fixture
def cleanup() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def delete(story: Story) -> None:
    story.kubectl("delete", APPLICATIONS, story.name, "-n", CONTROL_NAMESPACE, "--timeout=60s")


@pytest.mark.parametrize("finalizer", [RESOURCES, f"{RESOURCES}/background", f"{RESOURCES}/foreground"])
def test_cascade_deletes_the_resources(story: Story, finalizer: str) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(metadata={"finalizers": [finalizer]}, syncPolicy=story.automated())
    story.wait_synced()
    delete(story)
    assert story.object("configmap", "one") is None


def test_without_finalizer_the_resources_stay(story: Story) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(syncPolicy=story.automated())
    story.wait_synced()
    delete(story)
    assert story.object("configmap", "one")


def test_delete_false_protects_an_object(story: Story) -> None:
    kept = config_map("kept", annotations={"argocd.argoproj.io/sync-options": "Delete=false"})
    story.commit({"app/one.yaml": config_map("one"), "app/kept.yaml": kept})
    story.create_application(metadata={"finalizers": [RESOURCES]}, syncPolicy=story.automated())
    story.wait_synced()
    delete(story)
    assert story.object("configmap", "one") is None
    assert story.object("configmap", "kept")


def test_a_post_delete_hook_runs_after_the_resources_went(story: Story) -> None:
    story.commit({"app/one.yaml": config_map("one"), "app/last.yaml": job("last", "PostDelete")})
    story.create_application(metadata={"finalizers": [RESOURCES]}, syncPolicy=story.automated())
    app = story.wait_synced()
    assert "post-delete-finalizer.argocd.argoproj.io" in app["metadata"]["finalizers"]
    assert story.object("job", "last") is None
    delete(story)
    assert story.object("configmap", "one") is None
    last = story.object("job", "last")
    assert last is not None
    assert last["status"]["succeeded"] == 1


def test_what_becomes_of_delete_hooks(story: Story) -> None:
    """applications.md 13.4: those before are objects as all others; without a policy those after stay."""

    def hook(kind: str, **more: str) -> str:
        annotations = {"argocd.argoproj.io/hook": kind, **more}
        return config_map(f"{kind}-{len(more)}".lower(), annotations=annotations)

    policy = {"argocd.argoproj.io/hook-delete-policy": "HookSucceeded"}
    story.commit(
        {
            "app/one.yaml": config_map("one"),
            "app/before.yaml": hook("PreDelete"),
            "app/after.yaml": hook("PostDelete"),
            "app/done.yaml": hook("PostDelete", **policy),
        }
    )
    story.create_application(metadata={"finalizers": [RESOURCES]}, syncPolicy=story.automated())
    story.wait_synced()
    delete(story)
    left = {name: story.object("configmap", name) for name in ("one", "predelete-0", "postdelete-1")}
    assert left == dict.fromkeys(left)
    assert story.object("configmap", "postdelete-0")


def test_what_is_not_permitted_any_more_is_not_seen_and_survives(story: Story) -> None:
    """applications.md 13.3, 16."""
    hidden = "apiVersion: v1\nkind: Secret\nmetadata: {name: hidden}\n"
    story.commit({"app/one.yaml": config_map("one"), "app/hidden.yaml": hidden})
    name = project(story)
    story.create_application(
        project=name, metadata={"finalizers": [RESOURCES]}, syncPolicy=story.automated(prune=True)
    )
    story.wait_synced()
    project(story, namespaceResourceBlacklist=[{"group": "", "kind": "Secret"}])
    revision = story.commit({"app/hidden.yaml": None})
    story.refresh()
    app = story.wait_synced(revision)
    assert [each["name"] for each in app["status"]["resources"]] == ["one"]
    delete(story)
    assert story.object("configmap", "one") is None
    assert story.object("secret", "hidden")


def test_a_deletion_waits_for_the_end_of_the_operation(story: Story) -> None:
    """applications.md 7.1, 7.3: until somebody ends it."""
    story.commit({"app/one.yaml": config_map("one"), "app/stuck.yaml": endless_job("stuck")})
    story.create_application(metadata={"finalizers": [RESOURCES]})
    story.wait("compared", sync_status)
    story.sync()
    wait_running(story)
    story.kubectl("delete", APPLICATIONS, story.name, "-n", CONTROL_NAMESPACE, "--wait=false")
    story.refresh()  # whatever was to be done about the deletion is done when this is answered
    app = story.get()
    assert (operation_state(app)["phase"], app["metadata"]["finalizers"]) == ("Running", [RESOURCES])
    terminate(story)
    story.kubectl("wait", "--for=delete", APPLICATIONS, story.name, "-n", CONTROL_NAMESPACE, "--timeout=60s")


def test_an_unreachable_cluster_does_not_lose_the_application(story: Story) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(
        metadata={"finalizers": [RESOURCES]},
        destination={"server": IN_CLUSTER_DEAD, "namespace": story.namespace},
    )
    story.kubectl("apply", "-n", CONTROL_NAMESPACE, "-f", "-", stdin=DEAD_CLUSTER)
    try:
        story.wait_condition("ComparisonError", "Failed to load live state")
        story.sync()
        state = story.wait_operation("Error")
        assert state["syncResult"]["source"] == story.get()["spec"]["source"]
        assert state["message"].startswith(f"Failed to get destination cluster: cluster {IN_CLUSTER_DEAD}: ")
        story.kubectl("delete", APPLICATIONS, story.name, "-n", CONTROL_NAMESPACE, "--wait=false")
        app = story.wait_condition("DeletionError", IN_CLUSTER_DEAD)
        assert RESOURCES in app["metadata"]["finalizers"]
        place = ("-n", CONTROL_NAMESPACE, f"--field-selector=involvedObject.name={story.name}")
        events = story.kubectl.json("get", "events", *place)["items"]
        told = {event["reason"]: (event["type"], event["message"]) for event in events}
        kind, message = told["StatusRefreshed"]
        assert kind == "Warning"
        assert message.startswith("Unable to delete application resources: ")
        assert told["OperationCompleted"][1] == f"Sync operation to  failed: {state['message']}"
    finally:
        story.kubectl("delete", "secret", "dead-cluster", "-n", CONTROL_NAMESPACE)


IN_CLUSTER_DEAD = "https://127.0.0.1:1"
DEAD_CLUSTER = f"""\
apiVersion: v1
kind: Secret
metadata:
  name: dead-cluster
  labels:
    argocd.argoproj.io/secret-type: cluster
stringData:
  name: dead
  server: {IN_CLUSTER_DEAD}
  config: '{{"bearerToken": "none", "tlsClientConfig": {{"insecure": true}}}}'
"""


@pytest.mark.parametrize("kind", ["PreDelete", "PostDelete"])
def test_a_deletion_may_do_no_more_than_a_sync(story: Story, kind: str) -> None:
    """applications.md 13.4, 16: a delete hook in a namespace of others is not made."""
    hook = {"argocd.argoproj.io/hook": kind}
    name = f"{story.name}-last"
    files = {
        "app/one.yaml": config_map("one"),
        "app/last.yaml": config_map(name, namespace="kube-system", annotations=hook),
    }
    story.commit(files)
    own = [{"server": "*", "namespace": story.namespace}]
    story.create_application(
        project=project(story, destinations=own),
        metadata={"finalizers": [RESOURCES]},
        syncPolicy=story.automated(),
    )
    story.wait_synced()
    story.kubectl("delete", APPLICATIONS, story.name, "-n", CONTROL_NAMESPACE, "--wait=false")
    story.wait_condition("DeletionError", "namespace kube-system is not permitted in project")
    assert bool(story.object("configmap", "one")) is (kind == "PreDelete")
    found = ("get", "configmap", name, "-n", "kube-system", "--ignore-not-found", "-o", "name")
    assert not story.kubectl(*found).strip()
    story.commit({"app/last.yaml": None})
    delete(story)
    assert not story.kubectl(*found).strip()
    assert story.object("configmap", "one") is None


def test_an_application_that_manages_itself_and_others(story: Story) -> None:
    """applications.md 23: it waits for its children and they for their resources; nobody for itself."""
    metadata = {"finalizers": [RESOURCES]}
    parent = story.application(metadata=metadata, syncPolicy=story.automated())
    child = story.application(
        f"{story.name}-child", source={"path": "child"}, metadata=metadata, syncPolicy=story.automated()
    )
    story.commit(
        {
            "app/parent.json": json.dumps(parent),
            "app/child.json": json.dumps(child),
            "app/one.yaml": config_map("one"),
            "child/two.yaml": config_map("two"),
        }
    )
    story.apply(parent)
    story.wait_synced()
    story.wait_synced(name=child["metadata"]["name"])
    delete(story)
    assert story.object("configmap", "one") is None
    assert story.object("configmap", "two") is None


def test_a_destination_that_is_not_permitted_any_more(story: Story, cleanup: ExitStack) -> None:
    """applications.md 13.3, 16: of what has no namespace nothing goes or is made there."""
    role = f"{story.name}-role"
    cleanup.callback(story.kubectl, "delete", "clusterrole", role, f"{role}-hook", "--ignore-not-found")
    hook = {"argocd.argoproj.io/hook": "PostDelete"}
    cluster_role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": []}
    story.commit(
        {
            "app/one.yaml": config_map("one"),
            "app/role.json": json.dumps({**cluster_role, "metadata": {"name": role}}),
            "app/hook.json": json.dumps(
                {**cluster_role, "metadata": {"name": f"{role}-hook", "annotations": hook}}
            ),
        }
    )
    name = project(story)
    story.create_application(project=name, metadata={"finalizers": [RESOURCES]}, syncPolicy=story.automated())
    story.wait_synced()
    project(story, destinations=[{"server": "https://elsewhere.example", "namespace": "*"}])
    story.wait_condition("InvalidSpecError", "do not match any of the allowed destinations")
    story.kubectl("delete", APPLICATIONS, story.name, "-n", CONTROL_NAMESPACE, "--wait=false")
    story.wait_condition("DeletionError", "do not match any of the allowed destinations")
    assert story.object("configmap", "one")
    story.kubectl("get", "clusterrole", role)
    assert not story.kubectl("get", "clusterrole", f"{role}-hook", "--ignore-not-found", "-o", "name").strip()
