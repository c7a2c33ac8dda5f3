"""Operations that are paused, and such that newer commits overtake (applications.md 7.4, 8, 14)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.story import APPLICATIONS, Story, config_map, operation_state, results, sync_status
from tests.e2e.test_races import job, patch, terminate, wait_running

SKIP = "argocd.argoproj.io/skip-reconcile"
BAD = config_map("one", {"no key!": "x"})


def pause(story: Story, value: str) -> None:
    story.kubectl("annotate", APPLICATIONS, story.name, "-n", story.control, "--overwrite", f"{SKIP}={value}")


def witness(story: Story) -> None:
    """Another application was looked at twice since, so ours had its chance, too."""
    name = f"{story.name}-witness"
    story.create_application(name)
    for kind in ("normal", "hard"):
        story.kubectl(
            *("annotate", APPLICATIONS, name, "-n", story.control, "--overwrite"),
            f"argocd.argoproj.io/refresh={kind}",
        )
        story.wait(
            "looked at",
            lambda app: (
                sync_status(app)
                and "argocd.argoproj.io/refresh" not in app["metadata"].get("annotations", {})
            ),
            name=name,
        )


def test_an_operation_pauses_with_its_application(story: Story) -> None:
    story.commit({"app/hook.yaml": job("first"), "app/one.yaml": config_map("one")})
    story.create_application()
    story.sync()
    wait_running(story)
    pause(story, "true")
    terminate(story)
    story.annotate(refresh="normal")
    witness(story)
    app = story.get()
    assert "operation" in app
    assert operation_state(app)["phase"] == "Terminating"
    assert app["metadata"]["annotations"]["argocd.argoproj.io/refresh"] == "normal"
    hook = story.object("job", "first")
    assert hook is not None
    assert "deletionTimestamp" not in hook["metadata"]
    pause(story, "false")
    assert story.wait_operation("Failed")["message"] == "Operation terminated"
    story.wait_object("job", "first", lambda found: found is None)
    story.wait("refreshed", lambda app: "argocd.argoproj.io/refresh" not in app["metadata"]["annotations"])


def test_what_is_asked_of_a_paused_application_is_done_afterwards(story: Story) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    finalizer = "resources-finalizer.argocd.argoproj.io"
    story.create_application(metadata={"annotations": {SKIP: "true"}, "finalizers": [finalizer]})
    story.sync()
    witness(story)
    app = story.get()
    assert "operation" in app
    assert not operation_state(app)
    pause(story, "no boolean")  # as if it were not there
    story.wait_operation("Succeeded")
    assert story.object("configmap", "one") is not None
    pause(story, "1")
    story.kubectl("delete", APPLICATIONS, story.name, "-n", story.control, "--wait=false")
    witness(story)
    assert story.get()["metadata"]["finalizers"] == [finalizer]
    assert story.object("configmap", "one") is not None
    pause(story, "0")
    name = f"{APPLICATIONS}/{story.name}"
    story.kubectl("wait", "--for=delete", name, "-n", story.control, "--timeout=60s")
    assert story.object("configmap", "one") is None


def begin(story: Story, revision: str, **retry: Any) -> None:
    """A sync to this commit, as the API stores it: branches are resolved by then."""
    sync = {"revision": revision, "syncStrategy": {"hook": {}}}
    operation = {"sync": sync, "retry": {"backoff": {"duration": "1s"}, **retry}}
    patch(story, {"operation": operation})
    story.wait("tried", lambda app: operation_state(app).get("retryCount", 0) >= 1)


def test_a_newer_commit_takes_over_where_the_retries_say_so(story: Story) -> None:
    bad = story.commit({"app/one.yaml": BAD})
    story.create_application()
    begin(story, bad, limit=-1, refresh=True)
    good = story.commit({"app/one.yaml": config_map("one")})
    state = story.wait_operation("Succeeded")
    assert bad != good == state["syncResult"]["revision"]
    assert state["retryCount"] >= 1
    assert "revision" not in state["operation"]["sync"]
    assert [entry["revision"] for entry in story.get()["status"]["history"]] == [good]
    story.wait_synced(good)


@pytest.mark.parametrize("automated", [False, True], ids=["by-hand", "automatic"])
def test_else_retries_stay_with_their_commit_and_a_new_sync_follows(story: Story, automated: bool) -> None:
    bad = story.commit({"app/one.yaml": BAD})
    retry = {"limit": 2, "backoff": {"duration": "1s"}}
    if automated:
        story.create_application(syncPolicy={**story.automated(), "retry": retry})
        story.wait("tried", lambda app: operation_state(app).get("retryCount", 0) >= 1)
    else:
        story.create_application()
        begin(story, bad, limit=2)
    good = story.commit({"app/one.yaml": config_map("one")})
    story.refresh()
    app = story.wait(
        "given up",
        lambda app: operation_state(app).get("phase") == "Failed" or "history" in app["status"],
    )
    if automated:
        state = story.wait_operation("Succeeded")
        assert state["syncResult"]["revision"] == good
        assert "retryCount" not in state
        return
    state = operation_state(app)
    assert state["syncResult"]["revision"] == bad
    assert state["message"].endswith(" (retried 2 times).")
    assert results(state)["ConfigMap/one"]["status"] == "SyncFailed"


def test_a_branch_or_tag_that_is_named_is_asked_for(story: Story) -> None:  # sync.md 16 step 4
    """What was pushed a moment ago counts, though the repository was asked shortly before."""
    commits = [story.commit({"app/one.yaml": config_map("one", {"key": str(n)})}) for n in range(3)]
    story.create_application()
    story.wait("compared", sync_status)
    for name, commit in (("branch", commits[0]), ("branch", commits[1]), ("v1", commits[2])):
        story.git("branch" if name == "branch" else "tag", "-f", name, commit)
        story.sync(revision=name)
        state = story.wait_operation("Succeeded")
        assert state["operation"]["sync"]["revision"] == name
        assert state["syncResult"]["revision"] == commit


@pytest.mark.parametrize("given", [{"revisions": 1}, {"revision": 0}, {"revisions": 2}])
def test_revisions_count_if_there_is_one_for_each_source(story: Story, given: dict[str, int]) -> None:
    """sync.md 3.1 step 3: else all sources are synced at what their spec says."""
    old = story.commit({name: config_map(name[0], {"key": "old"}) for name in ("a/a.yaml", "b/b.yaml")})
    new = story.commit({name: config_map(name[0], {"key": "new"}) for name in ("a/a.yaml", "b/b.yaml")})
    manifest = story.application()
    source = manifest["spec"].pop("source")
    manifest["spec"]["sources"] = [{**source, "path": path} for path in ("a", "b")]
    story.apply(manifest)
    ((field, count),) = given.items()
    story.sync(**{field: [old] * count if count else old})
    state = story.wait_operation("Succeeded")
    expected = old if count == 2 else new
    assert state["syncResult"]["revisions"] == [expected] * 2
    for name in ("a", "b"):
        found = story.object("configmap", name)
        assert found is not None
        assert found["data"] == {"key": "old" if count == 2 else "new"}


def test_two_operations_of_one_second_each_run_their_hook(story: Story) -> None:
    """Hooks are told apart by the operation that made them."""
    hook = config_map("hook", annotations={"argocd.argoproj.io/hook": "PreSync"})
    story.commit({"app/hook.yaml": hook, "app/one.yaml": config_map("one")})
    story.create_application()
    seen: dict[str, str] = {}
    for _ in range(4):
        story.sync()
        state = story.wait(
            "done", lambda app: "operation" not in app and operation_state(app).get("finishedAt")
        )
        found = story.object("configmap", "hook")
        assert found is not None
        seen[operation_state(state)["startedAt"]] = found["metadata"]["uid"]
        assert operation_state(state)["phase"] == "Succeeded", json.dumps(operation_state(state))
        assert operation_state(state)["finishedAt"] >= operation_state(state)["startedAt"]
        deployed = state["status"]["history"][-1]
        assert deployed["deployedAt"] >= deployed["deployStartedAt"]
    assert len(set(seen.values())) == len(seen) == 4
