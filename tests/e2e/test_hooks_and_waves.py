"""Phases, waves and hooks of a sync."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.e2e.story import Story, config_map, results

JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "spec": {
        "backoffLimit": 0,
        "template": {
            "metadata": {},
            "spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "main", "image": "example.org/job:1"}],
            },
        },
    },
}


def job(name: str, hook: str, *, fails: bool = False, policy: str = "", wave: int = 0) -> str:
    """The YAML of a Job that is a hook; kwok ends its Pod well or not."""
    annotations = {"argocd.argoproj.io/hook": hook, "argocd.argoproj.io/sync-wave": str(wave)}
    if policy:
        annotations["argocd.argoproj.io/hook-delete-policy"] = policy
    manifest = json.loads(json.dumps(JOB))
    manifest["metadata"] = {"name": name, "annotations": annotations}
    if fails:
        manifest["spec"]["template"]["metadata"]["annotations"] = FAILS
    return yaml.safe_dump(manifest)


# The annotation that makes the played node end a Pod with an error (tests/controlplane/stages.yaml).
FAILS = {"pod.tiphys.test/outcome": "fail"}


def test_presync_runs_before_and_postsync_after(story: Story) -> None:
    story.commit(
        {
            "app/before.yaml": job("before", "PreSync"),
            "app/one.yaml": config_map("one"),
            "app/after.yaml": job("after", "PostSync"),
        }
    )
    story.create_application()
    story.sync()
    state = story.wait_operation("Succeeded")
    found = results(state)
    assert found["Job/before"]["hookType"] == "PreSync"
    assert found["Job/before"]["hookPhase"] == "Succeeded"
    assert found["Job/after"]["hookPhase"] == "Succeeded"
    before, one, after = (
        story.object("job", "before"),
        story.object("configmap", "one"),
        story.object("job", "after"),
    )
    assert before
    assert one
    assert after
    times = [item["metadata"]["creationTimestamp"] for item in (before, one, after)]
    assert times == sorted(times)


@pytest.mark.parametrize("policy", ["", "HookSucceeded"])
def test_a_hook_that_is_done_at_once_is_held_by_nobody(story: Story, policy: str) -> None:
    """The whole first sync may be one pass, whose comparison saw no hook."""
    annotations = {"argocd.argoproj.io/hook": "PreSync"}
    if policy:
        annotations["argocd.argoproj.io/hook-delete-policy"] = policy
    files = {"app/one.yaml": config_map("one"), "app/note.yaml": config_map("note", annotations=annotations)}
    story.commit(files)
    story.create_application()
    story.sync()
    story.wait_operation("Succeeded")
    note = story.object("configmap", "note")
    if policy:
        assert note is None
    else:
        assert note is not None
        assert not note["metadata"].get("finalizers")


def test_a_failed_presync_hook_stops_the_sync(story: Story) -> None:
    story.commit({"app/before.yaml": job("before", "PreSync", fails=True), "app/one.yaml": config_map("one")})
    story.create_application()
    story.sync()
    state = story.wait_operation("Failed")
    assert state["message"].startswith("one or more synchronization tasks completed unsuccessfully")
    assert results(state)["Job/before"]["hookPhase"] == "Failed"
    assert story.object("configmap", "one") is None


def test_a_hook_with_policy_hook_succeeded_is_deleted(story: Story) -> None:
    story.commit(
        {
            "app/before.yaml": job("before", "PreSync", policy="HookSucceeded"),
            "app/one.yaml": config_map("one"),
        }
    )
    story.create_application()
    story.sync()
    story.wait_operation("Succeeded")
    story.wait_object("job", "before", lambda found: found is None)


def test_a_sync_fail_hook_runs_when_the_sync_fails(story: Story) -> None:
    bad = yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "bad"},
            "spec": {"ports": [{"port": 99999999}]},
        }
    )
    story.commit({"app/bad.yaml": bad, "app/failed.yaml": job("failed", "SyncFail")})
    story.create_application()
    story.sync()
    state = story.wait_operation("Failed")
    assert "Service/bad" in results(state)
    assert results(state)["Job/failed"]["hookPhase"] == "Succeeded"


def test_a_later_wave_waits_for_the_health_of_an_earlier_one(story: Story) -> None:
    deployment = yaml.safe_dump(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "main", "image": "example.org/web:1"}]},
                },
            },
        }
    )
    later = config_map("later", annotations={"argocd.argoproj.io/sync-wave": "1"})
    story.commit({"app/web.yaml": deployment, "app/later.yaml": later})
    story.create_application(syncPolicy=story.automated())
    app = story.wait_synced()
    web = story.object("deployment", "web")
    assert web is not None
    assert web["status"]["availableReplicas"] == 1
    assert app["status"]["summary"]["images"] == ["example.org/web:1"]
