"""Syncs that wait for what never comes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.e2e.story import APPLICATIONS, Story, config_map, operation_state, results
from tests.e2e.test_hooks_and_waves import JOB

HOOK = "argocd.argoproj.io/hook"
WAVE = "argocd.argoproj.io/sync-wave"
ENDLESS = {"pod.tiphys.test/outcome": "run"}
PENDING = {"pod.tiphys.test/outcome": "pending"}


def endless(name: str, kind: str = "Job", **annotations: str) -> str:
    """A hook whose Pod never ends."""
    pod = {
        "restartPolicy": "Never",
        "containers": [{"name": "main", "image": "example.org/job:1"}],
    }
    manifest: dict[str, Any] = json.loads(json.dumps(JOB))
    if kind == "Pod":
        manifest = {"apiVersion": "v1", "kind": "Pod", "spec": pod}
        annotations |= ENDLESS
    else:
        manifest["spec"]["template"]["metadata"]["annotations"] = ENDLESS
    manifest["metadata"] = {"name": name, "annotations": annotations}
    return yaml.safe_dump(manifest)


def wait_for_message(story: Story, text: str) -> None:
    story.wait(text, lambda app: operation_state(app).get("message", "") == text)


@pytest.mark.parametrize(("kind", "group"), [("Job", "batch"), ("Pod", "")])
def test_a_hook_has_the_time_that_it_says(story: Story, kind: str, group: str) -> None:
    hook = endless("first", kind, **{HOOK: "PreSync", "tiphys.io/hook-timeout": "3s"})
    story.commit({"app/hook.yaml": hook, "app/one.yaml": config_map("one")})
    story.create_application()
    story.sync()
    wait_for_message(story, f"waiting for completion of hook {group}/{kind}/first")
    state = story.wait_operation("Failed")
    assert state["message"] == "one or more synchronization tasks completed unsuccessfully"
    found = results(state)[f"{kind}/first"]
    assert (found["hookPhase"], found["message"]) == (
        "Failed",
        "did not end within 3s (tiphys.io/hook-timeout)",
    )
    story.wait_object(kind.lower(), "first", lambda live: live is None)
    assert story.object("configmap", "one") is None


@pytest.mark.parametrize("waits", ["for a hook", "for health"])
def test_a_sync_has_the_time_that_its_application_says(story: Story, waits: str) -> None:
    if waits == "for a hook":
        files = {"app/first.yaml": endless("first", **{HOOK: "Sync"})}
        message = "waiting for completion of hook batch/Job/first"
    else:
        pod = yaml.safe_load(endless("first", "Pod"))
        pod["metadata"]["annotations"] = PENDING
        later = config_map("later", annotations={WAVE: "1"})
        files = {"app/first.yaml": yaml.safe_dump(pod), "app/later.yaml": later}
        message = "waiting for healthy state of /Pod/first"
    story.commit(files)
    story.create_application(metadata={"annotations": {"tiphys.io/sync-timeout": "1h"}})
    story.sync()
    wait_for_message(story, message)
    annotation = "tiphys.io/sync-timeout=4s"  # what it says counts as soon as it says so
    story.kubectl("annotate", APPLICATIONS, story.name, "-n", story.control, "--overwrite", annotation)
    state = story.wait_operation("Failed")
    assert state["message"] == "Operation terminated, triggered by controller sync timeout"
    first = story.object("job" if waits == "for a hook" else "pod", "first")
    assert first is None or waits == "for health" or first["metadata"].get("deletionTimestamp")
    assert story.object("configmap", "later") is None
