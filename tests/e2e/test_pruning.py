"""Objects that are no longer in Git."""

from __future__ import annotations

import pytest

from tests.e2e.story import APPLICATIONS, Story, config_map, results, sync_status


def test_automated_pruning(story: Story) -> None:
    story.commit({"app/one.yaml": config_map("one"), "app/two.yaml": config_map("two")})
    story.create_application(syncPolicy=story.automated(prune=True))
    story.wait_synced()
    revision = story.commit({"app/two.yaml": None})
    story.refresh()
    story.wait_object("configmap", "two", lambda found: found is None)
    app = story.wait_synced(revision)
    assert [r["name"] for r in app["status"]["resources"]] == ["one"]


def test_without_prune_the_object_stays_and_shows_requires_pruning(story: Story) -> None:
    story.commit({"app/one.yaml": config_map("one"), "app/two.yaml": config_map("two")})
    story.create_application(syncPolicy=story.automated())
    story.wait_synced()
    story.commit({"app/two.yaml": None})
    story.refresh()
    app = story.wait("OutOfSync", lambda app: sync_status(app) == "OutOfSync")
    two = next(r for r in app["status"]["resources"] if r["name"] == "two")
    assert two["requiresPruning"] is True
    story.sync()
    state = story.wait_operation("Succeeded")
    assert results(state)["ConfigMap/two"]["status"] == "PruneSkipped"
    assert results(state)["ConfigMap/two"]["message"] == "ignored (requires pruning)"
    assert story.object("configmap", "two")


@pytest.mark.parametrize("hook", [False, True], ids=["alone", "beside a hook that stays"])
def test_everything_gone_from_git_wipes_nothing_without_allow_empty(story: Story, hook: bool) -> None:
    left = config_map("hook", annotations={"argocd.argoproj.io/hook": "PreSync"})
    story.commit({"app/one.yaml": config_map("one"), "app/hook.yaml": left if hook else ""})
    story.create_application(syncPolicy=story.automated(prune=True))
    story.wait_synced()
    story.commit({"app/one.yaml": None, "app/hook.yaml": None, "app/README.md": "nothing here"})
    story.refresh()
    app = story.wait_condition("SyncError", "auto-sync will wipe out all resources")
    assert story.object("configmap", "one")
    # a live hook has no sync status, but is as extraneous as the rest (sync.md 8.3)
    marks = {r["name"]: (r.get("hook"), r.get("requiresPruning")) for r in app["status"]["resources"]}
    assert marks == {"one": (None, True), **({"hook": (True, True)} if hook else {})}


def test_prune_false_on_the_object_protects_it(story: Story) -> None:
    kept = config_map("two", annotations={"argocd.argoproj.io/sync-options": "Prune=false"})
    story.commit({"app/one.yaml": config_map("one"), "app/two.yaml": kept})
    story.create_application(syncPolicy=story.automated())
    story.wait_synced()
    story.commit({"app/two.yaml": None})
    story.refresh()
    story.sync(prune=True)
    state = story.wait_operation("Succeeded")
    assert results(state)["ConfigMap/two"]["message"] == "ignored (no prune)"
    assert story.object("configmap", "two")


@pytest.mark.parametrize("option", ["ServerSideApply=false", "ServerSideApply=true"])
def test_objects_that_move_to_another_application_survive(story: Story, option: str) -> None:
    """One commit: the one application prunes what the other applies, at the same moment."""
    other = f"{story.name}-other"
    moving = {f"{n}.yaml": config_map(f"m{n}") for n in range(8)}
    stay = {"app/stay.yaml": config_map("stay"), "other/stay.yaml": config_map("own")}
    story.commit({**stay, **{f"app/{name}": text for name, text in moving.items()}})
    policy = {**story.automated(prune=True), "syncOptions": [option]}
    story.create_application(syncPolicy=policy)
    story.create_application(other, source={"path": "other"}, syncPolicy=policy)
    story.wait_synced()
    story.wait_synced(name=other)
    files: dict[str, str | None] = {f"app/{name}": None for name in moving}
    commit = story.commit({**files, **{f"other/{name}": text for name, text in moving.items()}})
    both = ("annotate", APPLICATIONS, "-n", story.control, story.name, other)
    story.kubectl(*both, "argocd.argoproj.io/refresh=normal")
    story.wait_synced(commit)
    story.wait_synced(commit, name=other)
    for number in range(8):
        found = story.object("configmap", f"m{number}")
        assert found is not None
        assert "deletionTimestamp" not in found["metadata"]
        tracking = found["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"]
        assert tracking.startswith(f"{other}:")
