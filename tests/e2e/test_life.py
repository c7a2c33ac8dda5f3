"""Limits and endings of an Application's life: time, size, stored health, grace, deletion.

Limits are those of an operator of its own; the rest is told with the session's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.controlplane import ControlPlane
from tests.controlplane.installation import Operator
from tests.e2e.beside import operator_beside
from tests.e2e.installed import setting
from tests.e2e.story import (
    APPLICATIONS,
    Story,
    conditions,
    config_map,
    operation_state,
    results,
    sync_status,
)
from tests.e2e.test_deletion import RESOURCES
from tests.e2e.test_hooks_and_waves import job
from tests.e2e.test_impersonation import ON, accounts, grant
from tests.e2e.test_projects import project
from tests.e2e.test_races import job as endless_job
from tests.e2e.test_races import patch
from tests.gitservers import HttpGitServer

pytestmark = pytest.mark.timeout(180)

CONTROL = "argocd-life"
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "main", "image": "example.org/web:1"}]},
        },
    },
}


@pytest.fixture(scope="module")
def limited_operator(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    environment = {
        "ARGOCD_APPLICATION_CONTROLLER_SYNC_TIMEOUT": "3",
        "ARGOCD_APPLICATION_CONTROLLER_PERSIST_RESOURCE_HEALTH": "true",
        "ARGOCD_REPO_ERROR_GRACE_PERIOD_SECONDS": "600",
        "ARGOCD_RECONCILIATION_TIMEOUT": "1s",
        "ARGOCD_RECONCILIATION_JITTER": "0s",
    }
    folder = tmp_path_factory.mktemp("limited")
    with operator_beside(control_plane, folder, CONTROL, environment=environment) as running:
        yield running


@pytest.fixture
def limited(limited_operator: Operator, control_plane: ControlPlane, tmp_path: Path) -> Iterator[Story]:
    name = f"life-{abs(hash(str(tmp_path))) % 10**6}"
    story = Story(control_plane.kubectl, tmp_path / "repository", name, CONTROL)
    yield story
    story.clean_up()


def delete(story: Story) -> None:
    story.kubectl("delete", APPLICATIONS, story.name, "-n", story.control, "--wait=false")


def wait_gone(story: Story) -> None:
    name = f"{APPLICATIONS}/{story.name}"
    story.kubectl("wait", "--for=delete", name, "-n", story.control, "--timeout=60s")


def test_a_sync_that_takes_too_long_is_ended_and_not_tried_again(limited: Story) -> None:
    # applications.md 7.2: --sync-timeout counts from the start, retries included
    limited.commit({"app/hook.yaml": endless_job("first"), "app/one.yaml": config_map("one")})
    limited.create_application()
    operation = {"sync": {"syncStrategy": {"hook": {}}}, "retry": {"limit": 3}}
    body = json.dumps({"operation": operation})
    limited.kubectl("patch", APPLICATIONS, limited.name, "-n", CONTROL, "--type=merge", "-p", body)
    state = limited.wait_operation("Failed")
    assert state["message"] == "Operation terminated, triggered by controller sync timeout"
    assert "retryCount" not in state
    assert limited.object("configmap", "one") is None
    limited.wait_object("job", "first", lambda found: found is None)


def test_health_of_resources_is_stored_when_asked_for(limited: Story) -> None:
    # applications.md 4, 26: --persist-resource-health
    limited.commit({"app/web.yaml": yaml.safe_dump(DEPLOYMENT), "app/one.yaml": config_map("one")})
    limited.create_application()
    app = limited.wait("compared", lambda app: sync_status(app) == "OutOfSync")
    assert {r["kind"]: r["health"]["status"] for r in app["status"]["resources"]} == {
        "Deployment": "Missing",
        "ConfigMap": "Missing",
    }
    limited.sync()
    app = limited.wait_synced()
    assert "resourceHealthSource" not in app["status"]
    stored = {r["kind"]: (r.get("health") or {}).get("status") for r in app["status"]["resources"]}
    assert stored == {"Deployment": "Healthy", "ConfigMap": None}


def test_a_repository_that_does_not_answer_is_given_time(limited: Story, limited_operator: Operator) -> None:
    # applications.md 11.1: swallowed at the levels 1 and 2 within the grace period, never at 3
    limited.commit({"app/one.yaml": config_map("one")})
    with HttpGitServer(limited.repository.parent) as server:
        url = f"{server.url}/{limited.repository.name}"
        limited.create_application(source={"repoURL": url}, syncPolicy=limited.automated())
        limited.wait_synced()
        hidden = limited.repository.rename(limited.repository.with_name("hidden"))

        def was_swallowed() -> bool:
            told = (json.loads(line) for line in limited_operator.program.log_file.read_text().splitlines())
            return any(
                "within the grace period" in line["msg"] and limited.name in json.dumps(line) for line in told
            )

        limited_operator.program.wait_until(was_swallowed, seconds=30)
        app = limited.get()
        assert sync_status(app) == "Synced"
        assert not conditions(app)
        limited.refresh()
        app = limited.wait_condition("ComparisonError", "Failed to load target state")
        assert sync_status(app) == "Unknown"
        hidden.rename(limited.repository)
        assert not conditions(limited.wait_synced())


def test_results_too_large_to_be_stored_do_not_hold_the_operation(story: Story) -> None:
    # docs/differences.md; the object of an Application may have 1.5 MiB
    count = 150
    names = [f"{'long-name-' * 12}{number}" for number in range(count)]
    story.commit({f"app/{number}.yaml": config_map(name) for number, name in enumerate(names)})
    filling = {"name": "filling", "value": "x" * 1_490_000}
    story.create_application(info=[filling])
    app = story.wait("compared", lambda app: sync_status(app) == "OutOfSync")
    room = 1_572_864 - len(json.dumps(app, separators=(",", ":")))
    filling["value"] += "x" * (room - 30_000)
    story.create_application(info=[filling])
    story.sync()
    state = story.wait_operation("Succeeded")
    assert state["message"].endswith(f"(the results of {count} resources are too large to be stored)")
    assert not results(state)
    assert all(story.object("configmap", name) for name in (names[0], names[-1]))
    assert not conditions(story.wait_synced())  # without the results it fits


def test_a_history_too_large_to_be_stored_ends_the_operation_with_an_error(story: Story) -> None:
    # applications.md 4; the object of an Application may have 1.5 MiB, its history holds its sources
    story.commit({"app/one.yaml": config_map("one")})
    large = {"directory": {"jsonnet": {"extVars": [{"name": "unused", "value": "x" * 100_000}]}}}
    story.create_application(source=large, revisionHistoryLimit=1000)
    app = story.wait("compared", lambda app: sync_status(app) == "OutOfSync")
    room = 1_572_864 - len(json.dumps(app, separators=(",", ":"))) - 100_000  # for the operation's result
    entry = {"id": 0, "deployedAt": "2026-01-02T03:04:05Z", "revision": "x" * (room - 50_000)}
    full = json.dumps({"status": {"history": [entry]}})
    where = ("patch", APPLICATIONS, story.name, "-n", "argocd", "--type=merge", "--patch-file=/dev/stdin")
    story.kubectl(*where, stdin=full)
    story.sync()
    state = story.wait_operation("Error")
    assert state["message"].startswith("failed to record sync to history: ")
    assert "too large" in state["message"]
    assert results(state)["ConfigMap/one"]["status"] == "Synced"
    app = story.wait_synced()
    assert [entry["id"] for entry in app["status"]["history"]] == [0]
    patch(story, {"status": {"history": None}})
    story.sync()
    story.wait_operation("Succeeded")


def test_the_deletion_has_the_rights_of_the_service_account(story: Story) -> None:
    # applications.md 13.3, 19
    story.commit({"app/a.yaml": config_map("a")})
    name = project(story)
    story.create_application(project=name, metadata={"finalizers": [RESOURCES]}, syncPolicy=story.automated())
    story.wait_synced()
    with setting(story.kubectl, ON):
        project(story, destinationServiceAccounts=accounts("no{account}"))
        delete(story)
        story.wait_condition(
            "DeletionError",
            "cannot apply impersonation: error deriving service account to impersonate: default",
        )
        grant(story, "weak", "get")
        project(story, destinationServiceAccounts=accounts("weak"))
        user = f"system:serviceaccount:{story.namespace}:weak"
        app = story.wait_condition("DeletionError", f'User "{user}" cannot delete resource "configmaps"')
        assert len(conditions(app)) == 1
        assert story.object("configmap", "a")
        grant(story, "strong", "get", "delete")
        project(story, destinationServiceAccounts=accounts("strong"))
        wait_gone(story)
    assert story.object("configmap", "a") is None


def test_a_failed_pre_delete_hook_is_mended_in_git(story: Story) -> None:
    # applications.md 13.4 and 26: "recovers after a Git fix plus refresh"
    story.commit({"app/a.yaml": config_map("a"), "app/hook.yaml": job("before", "PreDelete", fails=True)})
    story.create_application(metadata={"finalizers": [RESOURCES]}, syncPolicy=story.automated())
    story.wait_synced()
    delete(story)
    story.wait_condition("DeletionError", f"PreDelete hook(s) failed: {story.namespace}/before")
    assert story.object("configmap", "a")
    story.commit({"app/hook.yaml": job("before", "PreDelete")})
    story.annotate(refresh="normal")
    wait_gone(story)
    assert story.object("configmap", "a") is None


def test_an_unrelated_commit_is_no_reason_to_undo_drift(story: Story) -> None:
    # applications.md 11.3, 12: without self-heal, also after a refresh that shows the new commit
    first = story.commit({"app/a.yaml": config_map("a", {"key": "git"})})
    story.create_application(syncPolicy=story.automated())
    story.wait_synced(first)
    body = json.dumps({"data": {"key": "changed"}})
    story.kubectl("patch", "configmap", "a", "-n", story.namespace, "--type=merge", "-p", body)
    story.wait("drifted", lambda app: sync_status(app) == "OutOfSync")
    second = story.commit({"elsewhere/b.yaml": config_map("b")})
    story.refresh()
    app = story.wait("shown", lambda app: app["status"]["sync"]["revision"] == second)
    assert sync_status(app) == "OutOfSync"
    assert "operation" not in app
    assert operation_state(app)["syncResult"]["revision"] == first
    third = story.commit({"app/a.yaml": config_map("a", {"key": "git", "more": "1"})})
    story.refresh()
    story.wait_synced(third)
