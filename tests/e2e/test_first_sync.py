"""From a commit to a healthy application."""

from __future__ import annotations

from tests.e2e.story import Story, config_map, operation_state, results


def test_a_plain_directory_becomes_synced_and_healthy(story: Story) -> None:
    revision = story.commit({"app/one.yaml": config_map("one")})
    story.create_application(syncPolicy=story.automated())
    app = story.wait_synced(revision)
    found = story.object("configmap", "one")
    assert found is not None
    assert found["data"] == {"key": "value"}
    tracking = found["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"]
    assert tracking == f"{story.name}:/ConfigMap:{story.namespace}/one"
    state = operation_state(app)
    assert state["phase"] == "Succeeded"
    assert state["message"] == "successfully synced (all tasks run)"
    assert results(state)["ConfigMap/one"]["message"] == "configmap/one created"
    assert [entry["id"] for entry in app["status"]["history"]] == [0]


def test_kubectl_get_applications_shows_sync_and_health(story: Story) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(syncPolicy=story.automated())
    story.wait_synced()
    table = story.kubectl("get", "applications", story.name, "-n", "argocd")
    header, line = table.splitlines()
    assert header.split() == ["NAME", "SYNC", "STATUS", "HEALTH", "STATUS"]
    assert line.split() == [story.name, "Synced", "Healthy"]


def test_without_automation_it_waits_out_of_sync_until_somebody_syncs(story: Story) -> None:
    revision = story.commit({"app/one.yaml": config_map("one")})
    story.create_application()
    app = story.wait(
        "compared", lambda app: app.get("status", {}).get("sync", {}).get("status") == "OutOfSync"
    )
    assert app["status"]["health"]["status"] == "Missing"
    assert story.object("configmap", "one") is None
    story.sync()
    state = story.wait_operation("Succeeded")
    assert state["syncResult"]["revision"] == revision
    story.wait_synced(revision)


def test_a_new_commit_is_rolled_out_after_a_refresh(story: Story) -> None:
    story.commit({"app/one.yaml": config_map("one", {"key": "old"})})
    story.create_application(syncPolicy=story.automated())
    story.wait_synced()
    revision = story.commit({"app/one.yaml": config_map("one", {"key": "new"})})
    story.refresh()
    app = story.wait_synced(revision)
    found = story.object("configmap", "one")
    assert found is not None
    assert found["data"] == {"key": "new"}
    assert results(operation_state(app))["ConfigMap/one"]["message"] == "configmap/one configured"


def test_drift_is_healed_only_with_self_heal(story: Story) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(syncPolicy=story.automated(selfHeal=True))
    story.wait_synced()
    patch = '{"data":{"key":"drifted"}}'
    story.kubectl("patch", "configmap", "one", "-n", story.namespace, "--type=merge", "-p", patch)
    story.wait_object("configmap", "one", lambda found: found and found["data"]["key"] == "value")
    story.wait_synced()


def test_kopf_leaves_no_trace(story: Story) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(syncPolicy=story.automated())
    app = story.wait_synced()
    assert "finalizers" not in app["metadata"]
    assert not any("kopf" in key for key in app["metadata"].get("annotations", {}))
    assert "kopf" not in app["status"]
