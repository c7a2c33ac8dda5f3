"""Clocks that are set while the controllers work, on the real API server (issue 4 part 9): nothing is
synced twice, nothing waits for a time that never comes, and sync windows follow the clock."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tests.e2e.story import Story, config_map, operation_state, results, sync_status
from tests.e2e.test_deadlines import HOOK, endless
from tests.reconcile.clocks import Clocks, controllers
from tiphys.reconcile.retrying import SYNC_TIMEOUT
from tiphys.resources.times import from_timestamp
from tiphys.sync.deadlines import HOOK_TIMEOUT

pytestmark = [pytest.mark.controlplane, pytest.mark.timeout(120)]

CONTROL = "argocd-clocks"
HOUR = 3600.0
JUMPS = [
    pytest.param(timedelta(days=1), id="a day ahead"),
    pytest.param(timedelta(hours=-1), id="an hour back"),
]
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture(scope="module", autouse=True)
def running(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory, clocks: Clocks
) -> Iterator[None]:
    with controllers(control_plane, tmp_path_factory.mktemp("clocks"), CONTROL, clocks):
        yield


@pytest.fixture
def story(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Story]:
    name = f"clocks-{os.getpid()}-{next(_numbers)}"
    made = Story(control_plane.kubectl, tmp_path / "repository", name, CONTROL)
    yield made
    made.clean_up()


def looked(story: Story) -> dict[str, Any]:
    """The Application once a whole pass was made over it."""
    story.refresh()
    story.refresh()  # its pass begins after the end of the first one's
    return story.get()


@pytest.mark.parametrize("jump", JUMPS)
def test_what_is_synced_is_not_synced_again(story: Story, clocks: Clocks, jump: timedelta) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(syncPolicy=story.automated(selfHeal=True))
    before = operation_state(story.wait_synced())
    clocks.jump(jump)
    app = looked(story)
    assert operation_state(app) == before
    assert [entry["id"] for entry in app["status"]["history"]] == [0]

    revision = story.commit({"app/one.yaml": config_map("one", {"key": "new"})})
    story.refresh()
    app = story.wait_synced(revision)
    assert [entry["id"] for entry in app["status"]["history"]] == [0, 1]
    begun = from_timestamp(operation_state(app)["startedAt"])
    assert abs((begun - clocks.now()).total_seconds()) < 60
    assert operation_state(looked(story)) == operation_state(app)

    drift = '{"data":{"key":"drifted"}}'
    story.kubectl("patch", "configmap", "one", "-n", story.namespace, "--type=merge", "-p", drift)
    story.wait_object("configmap", "one", lambda found: found and found["data"]["key"] == "new")
    assert operation_state(story.wait_synced())["operation"]["sync"]["autoHealAttemptsCount"] == 1


@pytest.mark.parametrize("jump", JUMPS)
def test_operations_that_begin_in_the_same_second_again(
    story: Story, clocks: Clocks, jump: timedelta
) -> None:
    """A clock that is set to and fro: hooks are told apart by the beginning of their operation."""
    hook = config_map("hook", annotations={HOOK: "PreSync"})
    story.commit({"app/hook.yaml": hook, "app/one.yaml": config_map("one")})
    story.create_application()
    story.wait("compared", lambda app: sync_status(app) == "OutOfSync")
    begun, hooks = [], []
    for step in (timedelta(), jump, -jump):
        clocks.jump(step)
        story.sync()
        state = story.wait_operation("Succeeded")
        begun.append(state["startedAt"])
        live = story.object("configmap", "hook")
        assert live is not None
        hooks.append(live["metadata"]["uid"])
    assert len(set(begun)) == len(set(hooks)) == 3


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("what", ["the sync", "the hook"])
def test_a_deadline_counts_what_passes(story: Story, clocks: Clocks, jump: timedelta, what: str) -> None:
    of_hook = {HOOK_TIMEOUT: "1h"} if what == "the hook" else {}
    of_app = {SYNC_TIMEOUT: "1h"} if what == "the sync" else {}
    story.commit({"app/hook.yaml": endless("hook", **{HOOK: "PreSync", **of_hook})})
    story.create_application(metadata={"annotations": of_app})
    story.sync()
    story.wait(
        "waiting for the hook",
        lambda app: "waiting for completion of hook" in operation_state(app).get("message", ""),
    )
    uid = (story.object("job", "hook") or {})["metadata"]["uid"]
    clocks.jump(jump)
    clocks.passes(HOUR / 2)
    assert operation_state(looked(story))["phase"] == "Running"
    assert (story.object("job", "hook") or {})["metadata"]["uid"] == uid
    clocks.passes(HOUR / 2)
    story.annotate(refresh="normal")
    state = story.wait_operation("Failed")
    if what == "the sync":
        assert state["message"] == "Operation terminated, triggered by controller sync timeout"
    else:
        assert f"({HOOK_TIMEOUT})" in results(state)["Job/hook"]["message"]
    story.wait_object("job", "hook", lambda found: found is None)


@pytest.mark.parametrize("jump", JUMPS)
def test_a_retry_is_made_once_when_its_pause_is_over(story: Story, clocks: Clocks, jump: timedelta) -> None:
    story.commit({"app/one.yaml": config_map("one", namespace="nowhere")})
    story.create_application()
    story.wait("compared", lambda app: sync_status(app) == "OutOfSync")
    retry = {"limit": 2, "backoff": {"duration": "1h", "factor": 1, "maxDuration": "2h"}}
    operation = {"sync": {"syncStrategy": {"hook": {}}}, "retry": retry}
    story.apply(story.application(operation=operation))

    def retried(count: int) -> None:
        story.wait(
            f"retry {count} announced",
            lambda app: (
                operation_state(app).get("retryCount") == count
                and f"Retrying attempt #{count} at" in operation_state(app)["message"]
            ),
        )

    retried(1)
    clocks.jump(jump)
    clocks.passes(HOUR / 2)
    state = operation_state(looked(story))
    assert (state["phase"], state["retryCount"]) == ("Running", 1)
    clocks.passes(HOUR / 2)
    story.annotate(refresh="normal")
    retried(2)
    clocks.jump(-jump)
    assert operation_state(looked(story))["retryCount"] == 2
    clocks.passes(HOUR)
    story.annotate(refresh="normal")
    state = story.wait_operation("Failed")
    assert state["message"].endswith(" (retried 2 times).")


@pytest.mark.parametrize("jump", JUMPS)
def test_windows_follow_the_clock(story: Story, clocks: Clocks, jump: timedelta) -> None:
    """What is denied now is not after the jump, and is again when the clock is set right."""
    now = clocks.now()
    window = {
        "kind": "deny",
        "schedule": f"{now.minute} {now.hour} {now.day} {now.month} *",
        "duration": "30m",
        "applications": ["*"],
    }
    spec = {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]}
    project = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": story.name, "namespace": CONTROL},
        "spec": {**spec, "syncWindows": [window]},
    }
    story.apply(project)
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(project=story.name)
    story.sync()
    story.wait("blocked", lambda app: "blocked by sync window" in operation_state(app).get("message", ""))
    assert story.object("configmap", "one") is None
    clocks.jump(jump)
    story.annotate(refresh="normal")
    story.wait_operation("Succeeded")
    clocks.jump(-jump)
    story.sync()
    story.wait("blocked", lambda app: "blocked by sync window" in operation_state(app).get("message", ""))
    history = story.get()["status"]["history"]
    assert [entry["id"] for entry in history] == [0]
    story.apply({**project, "spec": spec})
    story.wait_operation("Succeeded")
