"""What a project permits."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from tests.controlplane.installation import Operator
from tests.e2e.installed import setting
from tests.e2e.story import (
    APPLICATIONS,
    CONTROL_NAMESPACE,
    Story,
    config_map,
    health_status,
    results,
    sync_status,
)

ANYTHING: dict[str, Any] = {
    "sourceRepos": ["*"],
    "destinations": [{"server": "*", "namespace": "*"}],
    "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
}


def project(story: Story, **spec: Any) -> str:
    name = f"{story.name}-project"
    story.apply(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": name, "namespace": CONTROL_NAMESPACE},
            "spec": {**ANYTHING, **spec},
        }
    )
    return name


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"sourceRepos": ["https://elsewhere.example/*"]}, "is not permitted in project"),
        (
            {"destinations": [{"server": "*", "namespace": "other"}]},
            "do not match any of the allowed destinations",
        ),
    ],
    ids=["repository", "destination"],
)
def test_what_is_not_permitted_is_a_condition(story: Story, spec: dict[str, Any], message: str) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(project=project(story, **spec), syncPolicy=story.automated())
    app = story.wait_condition("InvalidSpecError", message)
    assert (sync_status(app), health_status(app)) == ("Unknown", "Unknown")
    assert story.object("configmap", "one") is None


def test_a_missing_project(story: Story) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(project="absent")
    story.wait_condition("InvalidSpecError", "Application referencing project absent which does not exist")


@pytest.fixture
def theirs(new_story: Callable[[], Story]) -> Story:
    """A repository of others."""
    other = new_story()
    other.commit(
        {
            "app/theirs.yaml": config_map("theirs"),
            "app/hook.yaml": config_map("hook", annotations={"argocd.argoproj.io/hook": "PostDelete"}),
        }
    )
    return other


def test_an_operation_brings_no_source_that_is_not_permitted(story: Story, theirs: Story) -> None:
    """applications.md 6, 16: ``.operation`` is written by whoever may write Applications."""
    story.commit({"app/one.yaml": config_map("one")})
    name = project(story, sourceRepos=[f"file://{story.repository}"])
    story.create_application(project=name)
    story.wait("compared", sync_status)
    url = f"file://{theirs.repository}"
    why = f"InvalidSpecError: application repo {url} is not permitted in project '{name}'"
    source = {"repoURL": url, "path": "app", "targetRevision": "main"}
    for own in ({"source": source}, {"sources": [story.get()["spec"]["source"], source]}):
        story.sync(**own)
        assert story.wait_operation("Error")["message"] == why
    assert story.object("configmap", "theirs") is None
    assert story.get()["status"]["sync"]["status"] == "OutOfSync"


def test_a_deletion_renders_no_source_that_is_not_permitted(story: Story, theirs: Story) -> None:
    """applications.md 13.4, 16: its hooks would show what is in a repository of others."""
    story.commit({"app/one.yaml": config_map("one")})
    name = project(story, sourceRepos=[f"file://{story.repository}"])
    url = f"file://{theirs.repository}"
    finalizers = ["post-delete-finalizer.argocd.argoproj.io"]
    story.create_application(project=name, source={"repoURL": url}, metadata={"finalizers": finalizers})
    story.wait_condition("InvalidSpecError", "is not permitted in project")
    story.kubectl("delete", APPLICATIONS, story.name, "-n", CONTROL_NAMESPACE, "--wait=false")
    story.wait_condition("DeletionError", f"application repo {url} is not permitted in project '{name}'")
    assert story.object("configmap", "hook") is None


def test_a_project_stays_until_no_application_uses_it(story: Story) -> None:
    """applications.md 13.5."""
    story.commit({"app/one.yaml": config_map("one")})
    name = project(story)
    place = ("appproject", name, "-n", CONTROL_NAMESPACE)
    finalizers = {"metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]}}
    story.kubectl("patch", *place, "--type=merge", "-p", json.dumps(finalizers))
    other = f"{story.name}-moves"
    for each in (story.name, other):
        story.create_application(each, project=name)
        story.wait("compared", sync_status, name=each)
    story.kubectl("delete", *place, "--wait=false")
    story.kubectl("delete", APPLICATIONS, story.name, "-n", CONTROL_NAMESPACE, "--timeout=60s")
    assert story.kubectl.json("get", *place)["metadata"]["deletionTimestamp"]
    move = {"spec": {"project": "default"}}
    story.kubectl(
        "patch", APPLICATIONS, other, "-n", CONTROL_NAMESPACE, "--type=merge", "-p", json.dumps(move)
    )
    story.kubectl("wait", "--for=delete", *place, "--timeout=30s")


def test_a_denied_kind_fails_the_sync_and_names_it(story: Story) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    name = project(story, namespaceResourceBlacklist=[{"group": "", "kind": "ConfigMap"}])
    story.create_application(project=name)
    story.wait("compared", sync_status)
    story.sync()
    state = story.wait_operation("Failed")
    assert (
        results(state)["ConfigMap/one"]["message"]
        == f"resource :ConfigMap is not permitted in project {name}"
    )


def test_a_global_project_hands_down_its_rules(story: Story) -> None:
    """applications.md 20: to projects with its labels, as they are at each moment."""
    story.commit({"app/one.yaml": config_map("one")})
    name = project(story)
    above = f"{story.name}-above"
    rules: dict[str, Any] = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": above, "namespace": CONTROL_NAMESPACE},
        "spec": {"namespaceResourceBlacklist": [{"group": "", "kind": "ConfigMap"}]},
    }
    story.apply(rules)
    labels = {"matchExpressions": [{"key": "tier", "operator": "In", "values": [story.name]}]}
    chosen = [{"projectName": above, "labelSelector": labels}]
    label = ("label", "appproject", name, "-n", CONTROL_NAMESPACE)
    with setting(story.kubectl, {"globalProjects": json.dumps(chosen)}), ExitStack() as cleanup:
        story.create_application(project=name, syncPolicy=story.automated())
        story.wait_synced()
        cleanup.callback(story.kubectl, *label, "tier-")
        story.kubectl(*label, f"tier={story.name}")
        app = story.wait("forbidden", lambda app: sync_status(app) == "OutOfSync")
        assert [each["status"] for each in app["status"]["resources"]] == ["Unknown"]
        story.sync()
        story.wait("asked", lambda app: app["status"]["operationState"]["phase"] != "Succeeded")
        state = story.wait_operation("Failed")
        why = f"resource :ConfigMap is not permitted in project {name}"
        assert results(state)["ConfigMap/one"]["message"] == why
        story.apply({**rules, "spec": {"description": "nothing"}})
        story.wait_synced()


def test_a_narrowed_project_is_noticed_without_restart(story: Story) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    name = project(story)
    story.create_application(project=name, syncPolicy=story.automated())
    story.wait_synced()
    project(story, sourceRepos=["https://elsewhere.example/*"])
    story.wait_condition("InvalidSpecError", "is not permitted in project")


def test_a_deny_window_holds_the_sync_back(story: Story) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    window = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"]}
    story.create_application(project=project(story, syncWindows=[window]), syncPolicy=story.automated())
    story.wait("OutOfSync", lambda app: sync_status(app) == "OutOfSync")
    assert "operation" not in story.get()
    story.sync()
    story.wait(
        "blocked",
        lambda app: "blocked by sync window" in app["status"].get("operationState", {}).get("message", ""),
    )
    project(story, syncWindows=[])
    story.wait_operation("Succeeded")


def orphans(operator: Operator, story: Story) -> str:
    """The gauge of the story's Application; empty where there is none."""
    series = "argocd_app_orphaned_resources_count"
    for line in operator.metrics().splitlines():
        if line.startswith(f"{series}{{") and f'name="{story.name}"' in line:
            return line.rpartition(" ")[2]
    return ""


def test_orphans_are_counted_and_told_of(story: Story, operator: Operator) -> None:
    """health-and-resources.md 9.3: with what they own; in the metrics also where nobody is warned."""
    story.commit({"app/one.yaml": config_map("one")})
    ignore = [{"kind": "ConfigMap", "name": "x*"}]
    name = project(story, orphanedResources={"warn": True, "ignore": ignore})
    story.create_application(project=name, syncPolicy=story.automated())
    story.wait_synced()
    assert orphans(operator, story) == "0.0"
    assert not story.get()["status"].get("conditions")
    kubectl = story.kubectl
    for stray in ("stray", "x-ignored"):
        kubectl("create", "configmap", stray, "-n", story.namespace)
    story.wait_condition("OrphanedResourceWarning", "Application has 1 orphaned resources")
    owner = kubectl.json("get", "configmap", "stray", "-n", story.namespace)["metadata"]
    owned = {"apiVersion": "v1", "kind": "ConfigMap", "name": "stray", "uid": owner["uid"]}
    story.kubectl(
        "create", "-n", story.namespace, "-f", "-", stdin=config_map("owned", ownerReferences=[owned])
    )
    # a child tells nobody of itself; the next look sees it
    story.refresh()
    story.wait_condition("OrphanedResourceWarning", "Application has 2 orphaned resources")
    assert orphans(operator, story) == "2.0"
    project(story, orphanedResources={"warn": False, "ignore": ignore})
    story.wait("not warned", lambda app: not app["status"].get("conditions"))
    assert orphans(operator, story) == "2.0"
    kubectl("delete", "configmap", "stray", "-n", story.namespace)  # Kubernetes takes what it owns
    deadline = time.monotonic() + 20
    while orphans(operator, story) != "0.0":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    project(story)  # nobody looks for orphans any more
    while orphans(operator, story):
        assert time.monotonic() < deadline
        time.sleep(0.1)
