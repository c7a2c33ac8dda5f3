"""Syncing as the service account that the project names (sync.md 7, 18.2)."""

from __future__ import annotations

from typing import Any

from tests.e2e.installed import setting
from tests.e2e.story import Story, conditions, config_map, results
from tests.e2e.test_projects import project
from tests.e2e.test_sync_options import data_of, drift, sync_and_wait

ON = {"application.sync.impersonation.enabled": "true"}


def accounts(name: str) -> list[dict[str, str]]:
    return [{"server": "*", "namespace": "*", "defaultServiceAccount": name}]


def grant(story: Story, account: str, *verbs: str) -> None:
    where = ("-n", story.namespace)
    story.kubectl("create", "serviceaccount", account, *where)
    story.kubectl("create", "role", account, *where, "--verb", ",".join(verbs), "--resource", "configmaps")
    story.kubectl(
        *("create", "rolebinding", account, *where, "--role", account),
        *("--serviceaccount", f"{story.namespace}:{account}"),
    )


def test_the_sync_has_the_rights_of_the_service_account(story: Story) -> None:
    story.commit({"app/a.yaml": config_map("a", {"key": "1"})})
    name = project(story)
    with setting(story.kubectl, ON):
        story.create_application(project=name)
        state = sync_and_wait(story, "Error")
        assert state["message"] == (
            "no matching service account found for destination server https://kubernetes.default.svc"
            f" and namespace {story.namespace}"
        )
        project(story, destinationServiceAccounts=accounts("weak"))
        grant(story, "weak", "get")
        state = sync_and_wait(story, "Failed")
        user = f"system:serviceaccount:{story.namespace}:weak"
        assert (
            f'User "{user}" cannot create resource "configmaps"' in results(state)["ConfigMap/a"]["message"]
        )
        project(story, destinationServiceAccounts=accounts("strong"))
        grant(story, "strong", "get", "create", "patch")
        sync_and_wait(story)
        story.wait_synced()


def test_server_side_diff_asks_as_the_service_account(story: Story) -> None:
    compared = {"annotations": {"argocd.argoproj.io/compare-options": "ServerSideDiff=true"}}
    spec: dict[str, Any] = {"project": project(story), "metadata": compared}
    story.commit({"app/a.yaml": config_map("a", {"key": "1"})})
    story.create_application(**spec)
    sync_and_wait(story)
    grant(story, "weak", "get")
    with setting(story.kubectl, ON):
        project(story, destinationServiceAccounts=accounts("weak"))
        drift(story, key="2")
        user = f"system:serviceaccount:{story.namespace}:weak"
        app = story.wait_condition("ComparisonError", f'User "{user}" cannot patch resource "configmaps"')
        assert all("controller" not in c["message"] for c in conditions(app))
        project(story, destinationServiceAccounts=[])
        story.wait_condition("UnknownError", "no matching service account found")
    story.wait("told again", lambda app: not conditions(app))
    assert data_of(story)["key"] == "2"
