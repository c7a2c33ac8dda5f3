"""Health of what runs, as the played node lets it end, and of the Application as the worst of it
(health-and-resources.md 1, 2)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.installed import setting
from tests.e2e.story import APPLICATIONS, Story, conditions, config_map, health_status, sync_status
from tests.e2e.test_changes import Kind, kind

__all__ = ["kind"]  # a fixture


def workload(kind: str, outcome: str = "", **spec: Any) -> str:
    """A Deployment or Job whose Pod ends as the annotation says (tests/controlplane/stages.yaml)."""
    pod: dict[str, Any] = {
        "metadata": {
            "labels": {"app": "web"},
            "annotations": {"pod.tiphys.test/outcome": outcome} if outcome else {},
        },
        "spec": {"containers": [{"name": "main", "image": "example.org/web:1"}]},
    }
    if kind == "Job":
        pod["spec"]["restartPolicy"] = "Never"
        spec = {"backoffLimit": 0, **spec}
    else:
        spec = {"selector": {"matchLabels": {"app": "web"}}, **spec}
    version = "batch/v1" if kind == "Job" else "apps/v1"
    manifest = {"apiVersion": version, "kind": kind, "metadata": {"name": "web"}}
    return json.dumps({**manifest, "spec": {"template": pod, **spec}})


@pytest.mark.parametrize(
    ("manifest", "health"),
    [
        pytest.param(workload("Deployment"), "Healthy", id="2 Deployment available"),
        pytest.param(workload("Deployment", "pending"), "Progressing", id="2 Deployment rolling out"),
        pytest.param(workload("Deployment", paused=True), "Suspended", id="2 Deployment paused"),
        pytest.param(workload("Job"), "Healthy", id="2 Job complete"),
        pytest.param(workload("Job", "fail"), "Degraded", id="2 Job failed"),
        pytest.param(workload("Job", suspend=True), "Suspended", id="2 Job suspended"),
    ],
)
def test_the_worst_of_its_resources(story: Story, manifest: str, health: str) -> None:
    story.commit({"app/web.yaml": manifest, "app/one.yaml": config_map("one")})
    story.create_application(syncPolicy=story.automated())
    app = story.wait_synced(health=health)
    assert "health" not in next(each for each in app["status"]["resources"] if each["kind"] == "ConfigMap")
    line = story.kubectl("get", APPLICATIONS, story.name, "-n", story.control, "--no-headers")
    assert line.split()[1:3] == ["Synced", health]


WILD = [
    pytest.param("while true do end", "context deadline exceeded", id="without end"),
    pytest.param('local s = "x" while true do s = s .. s end', "", id="takes all memory"),
    pytest.param("return obj.spec.teeth", "", id="no health"),
    pytest.param("return obj.no.such.field", "attempt to index", id="fails"),
]


@pytest.mark.parametrize(("script", "why"), WILD)
def test_a_script_of_the_users_that_runs_wild(story: Story, kind: Kind, script: str, why: str) -> None:
    """health-and-resources.md 1.2, 1.3: health of what it judges is Unknown, with the reason."""
    kind.define(v1=True)
    story.commit({"app/cog.yaml": kind.cog("v1", 8), "plain/two.yaml": TWO})
    story.create_application(syncPolicy=story.automated())
    story.wait_synced()
    with setting(story.kubectl, {f"resource.customizations.health.{kind.group}_Cog": script}):
        story.refresh()
        text = 'failed to get resource health for "Cog" with name "cog"'
        app = story.wait_condition("ComparisonError", f"error setting app health: {text}")
        assert why in conditions(app)[0]["message"]
        assert (sync_status(app), health_status(app)) == ("Synced", "Unknown")
        # syncs go on, and so do others
        revision = story.commit({"app/one.yaml": config_map("one")})
        story.refresh()
        story.wait(
            "synced", lambda app: app["status"]["operationState"]["syncResult"]["revision"] == revision
        )
        story.wait_object("configmap", "one", bool)
        other = f"{story.name}-other"
        story.create_application(other, source={"path": "plain"}, syncPolicy=story.automated())
        story.wait_synced(name=other)
    assert not conditions(story.wait_synced())


TWO = config_map("two")


def test_it_follows_what_runs(story: Story) -> None:
    """Without a commit and without a refresh: a rollout that ends, and an object that goes."""
    story.commit({"app/web.yaml": workload("Deployment", "pending"), "app/one.yaml": config_map("one")})
    story.create_application()
    story.sync()
    story.wait_synced(health="Progressing")
    annotations = {"pod.tiphys.test/outcome": None}
    patch = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    story.kubectl(
        "patch", "deployment", "web", "-n", story.namespace, "--type=merge", "-p", json.dumps(patch)
    )
    story.wait("Healthy", lambda app: health_status(app) == "Healthy")
    # what is missing shows as OutOfSync; the Application is Missing when nothing of it is left
    story.kubectl("delete", "deployment", "web", "-n", story.namespace)
    app = story.wait("OutOfSync", lambda app: sync_status(app) == "OutOfSync")
    assert health_status(app) == "Healthy"
    story.kubectl("delete", "configmap", "one", "-n", story.namespace)
    story.wait("Missing", lambda app: health_status(app) == "Missing")
