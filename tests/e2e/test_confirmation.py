"""Objects that go only when somebody said so (sync.md 12.1, 15, 19; applications.md 11.2, 13.3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.story import APPLICATIONS, Story, config_map, operation_state, results, sync_status
from tests.e2e.test_sync_options import OPTIONS, sync_and_wait

FINALIZER = "resources-finalizer.argocd.argoproj.io"


def approve(story: Story, ago: float = 0.0) -> None:
    """What ``argocd app confirm-deletion`` writes."""
    moment = datetime.now(UTC) - timedelta(seconds=ago)
    story.annotate(**{"deletion-approved": moment.strftime("%Y-%m-%dT%H:%M:%SZ")})


def asked(app: dict[str, Any]) -> dict[str, bool]:
    return {r["name"]: r.get("requiresDeletionConfirmation", False) for r in app["status"]["resources"]}


def wait_for_message(story: Story, text: str) -> None:
    story.wait(text, lambda app: operation_state(app).get("message", "") == text)


def look_twice(story: Story) -> None:
    """Two looks were made after this began, so what was to be done was done."""
    story.refresh()
    story.refresh()


@pytest.mark.parametrize(
    ("spec", "own", "protected"),
    [
        pytest.param([], {"a": "Delete=confirm"}, {"a": True, "b": False}, id="of-one-object"),
        pytest.param(["Delete=confirm"], {}, {"a": True, "b": True}, id="of-the-application"),
        pytest.param(
            ["Delete=confirm"], {"a": "Delete=true"}, {"a": False, "b": True}, id="object-beats-application"
        ),
        pytest.param([], {"b": "Prune=confirm"}, {"a": False, "b": True}, id="by-its-prune-option"),
    ],
)
def test_a_deletion_waits_until_it_is_approved(
    story: Story, spec: list[str], own: dict[str, str], protected: dict[str, bool]
) -> None:
    def manifest(name: str) -> str:
        return config_map(name, annotations={OPTIONS: own[name]} if name in own else {"note": "plain"})

    story.commit({f"app/{name}.yaml": manifest(name) for name in ("a", "b")})
    story.create_application(metadata={"finalizers": [FINALIZER]}, syncPolicy={"syncOptions": spec})
    sync_and_wait(story)
    story.wait("what asks", lambda app: asked(app) == protected)
    approve(story, ago=1000)  # before the deletion: of something else
    story.kubectl("delete", APPLICATIONS, story.name, "-n", story.control, "--wait=false")
    look_twice(story)
    for name in ("a", "b"):  # one that asks holds all
        found = story.object("configmap", name)
        assert found is not None
        assert "deletionTimestamp" not in found["metadata"]
    assert not story.get()["status"].get("conditions")
    story.annotate(**{"deletion-approved": "yes"})  # no time
    look_twice(story)
    assert story.object("configmap", "a") is not None
    approve(story)
    story.kubectl(
        "wait", "--for=delete", f"{APPLICATIONS}/{story.name}", "-n", story.control, "--timeout=60s"
    )
    assert (story.object("configmap", "a"), story.object("configmap", "b")) == (None, None)


@pytest.mark.parametrize(
    ("options", "own", "message"),
    [
        pytest.param([], {"b": "Prune=confirm"}, "/ConfigMap/b", id="of-one-object"),
        pytest.param(
            ["Prune=confirm"],
            {"d": "Prune=true"},
            "/ConfigMap/b and 1 more resources",
            id="of-the-operation",
        ),
    ],
)
def test_a_prune_waits_until_it_is_approved(
    story: Story, options: list[str], own: dict[str, str], message: str
) -> None:
    names = ("a", "b", "c", "d")
    files: dict[str, str | None] = {
        f"app/{name}.yaml": config_map(
            name, annotations={OPTIONS: own[name]} if name in own else {"note": "plain"}
        )
        for name in names
    }
    story.commit(files)
    story.create_application(syncPolicy={"syncOptions": options})
    sync_and_wait(story)
    story.commit({f"app/{name}.yaml": None for name in "bcd"} | {"app/new.yaml": config_map("new")})
    approve(story, ago=1000)  # of an earlier operation
    story.sync(prune=True, syncOptions=options)
    wait_for_message(story, f"waiting for pruning confirmation of {message}")
    look_twice(story)
    assert operation_state(story.get())["phase"] == "Running"
    assert all(story.object("configmap", name) for name in "bcd")
    assert story.object("configmap", "new") is None  # the whole wave waits (sync.md 23.1)
    approve(story)
    state = story.wait_operation("Succeeded")
    assert state["message"] in ("successfully synced (all tasks run)", "successfully synced (no more tasks)")
    found = results(state)
    assert {
        (found[f"ConfigMap/{name}"]["status"], found[f"ConfigMap/{name}"]["message"]) for name in "bcd"
    } == {("Pruned", "pruned")}
    story.wait("Synced", lambda app: sync_status(app) == "Synced")
    assert [name for name in names if story.object("configmap", name)] == ["a"]


def test_an_automatic_sync_waits_as_well(story: Story) -> None:
    story.commit({"app/a.yaml": config_map("a"), "app/b.yaml": config_map("b")})
    story.create_application(
        syncPolicy={**story.automated(prune=True), "syncOptions": ["Prune=confirm"]},
    )
    story.wait_synced()
    story.commit({"app/b.yaml": None})
    story.refresh()
    wait_for_message(story, "waiting for pruning confirmation of /ConfigMap/b")
    approve(story)
    story.wait_synced()
    story.wait_object("configmap", "b", lambda found: found is None)
