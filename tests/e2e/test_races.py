"""People and the operator at the same application at the same time: nothing asked for is lost."""

from __future__ import annotations

import json
import subprocess

import yaml

from tests.controlplane.installation import Operator
from tests.e2e.story import Story, conditions, config_map, operation_state, results, sync_status
from tests.e2e.test_running import samples

APPLICATIONS = "applications.argoproj.io"


def job(name: str, **annotations: str) -> str:
    """A hook that never ends by itself: its Pod is for no node."""
    return yaml.safe_dump(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "annotations": {"argocd.argoproj.io/hook": "PreSync", **annotations}},
            "spec": {
                "backoffLimit": 0,
                "template": {
                    "spec": {
                        "restartPolicy": "Never",
                        "nodeSelector": {"nowhere": "true"},
                        "containers": [{"name": "main", "image": "busybox"}],
                    }
                },
            },
        }
    )


def patch(story: Story, body: object) -> None:
    story.kubectl("patch", APPLICATIONS, story.name, "-n", "argocd", "--type=merge", "-p", json.dumps(body))


def wait_running(story: Story) -> None:
    story.wait(
        "waiting for the hook",
        lambda app: (
            operation_state(app).get("phase") == "Running"
            and "waiting for completion of hook" in operation_state(app).get("message", "")
        ),
    )


def terminate(story: Story) -> None:
    patch(story, {"status": {"operationState": {"phase": "Terminating"}}})


def test_an_application_recreated_during_its_sync_starts_from_nothing(story: Story) -> None:
    story.commit({"app/hook.yaml": job("first"), "app/one.yaml": config_map("one")})
    story.create_application()
    story.sync()
    wait_running(story)
    story.kubectl("delete", APPLICATIONS, story.name, "-n", "argocd")
    hook = story.wait_object("job", "first", lambda found: not (found or {})["metadata"].get("finalizers"))
    assert hook is not None, "it stays, but nothing holds it any more"
    story.git("rm", "-q", "app/hook.yaml")
    revision = story.commit({})
    story.create_application()
    app = story.wait("compared anew", lambda app: sync_status(app) == "OutOfSync")
    assert "operationState" not in app["status"]
    story.sync()
    state = story.wait_operation("Succeeded")
    assert state["syncResult"]["revision"] == revision


def test_an_operation_put_in_the_place_of_a_running_one_is_made_after_it(story: Story) -> None:
    story.commit({"app/hook.yaml": job("first"), "app/one.yaml": config_map("one")})
    story.create_application()
    story.sync()
    wait_running(story)
    patch(story, {"operation": {"sync": {"syncStrategy": {"hook": None, "apply": {}}}}})
    terminate(story)
    state = story.wait_operation("Succeeded")
    assert state["operation"]["sync"]["syncStrategy"] == {"apply": {}}
    assert set(results(state)) == {"ConfigMap/one"}


def test_a_terminated_hook_goes_and_a_window_does_not_hold_that_up(story: Story) -> None:
    project = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": story.name, "namespace": "argocd"},
        "spec": {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]},
    }
    story.apply(project)
    story.commit({"app/hook.yaml": job("first"), "app/one.yaml": config_map("one")})
    story.create_application(project=story.name)
    story.sync()
    wait_running(story)
    window = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"]}
    story.apply({**project, "spec": {**project["spec"], "syncWindows": [window]}})  # type: ignore[dict-item]
    terminate(story)
    state = story.wait_operation("Failed")
    assert state["message"] == "Operation terminated"
    story.wait_object("job", "first", lambda found: found is None)
    story.sync()
    story.wait("blocked", lambda app: "blocked by sync window" in operation_state(app).get("message", ""))
    story.apply(project)
    wait_running(story)
    terminate(story)
    story.wait_operation("Failed")
    story.kubectl("delete", "appprojects.argoproj.io", story.name, "-n", "argocd")
    story.wait_condition("InvalidSpecError", f"project {story.name} which does not exist")


def test_an_edit_in_the_instant_of_a_status_write_is_not_overlooked(story: Story) -> None:
    for name in ("a", "b", "c", "d"):
        story.commit({f"{name}/one.yaml": config_map(f"from-{name}")})
    story.create_application(source={"path": "a"})
    for name in ("b", "c", "d", "a", "b", "c", "d"):
        patch(story, {"spec": {"source": {"path": name}}})
        story.wait(
            f"compared with {name}",
            lambda app, name=name: (
                [r["name"] for r in app.get("status", {}).get("resources", ())] == [f"from-{name}"]
            ),
        )


def test_refreshes_asked_for_in_a_row_are_all_answered(story: Story) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application()
    for number in range(5):
        revision = story.commit({"app/one.yaml": config_map("one", {"number": str(number)})})
        story.annotate(refresh="normal")
        story.annotate(refresh="hard")
        story.wait(
            "compared with the newest commit",
            lambda app, revision=revision: (
                app.get("status", {}).get("sync", {}).get("revision") == revision
                and "argocd.argoproj.io/refresh" not in app["metadata"].get("annotations", {})
            ),
        )


def test_self_heal_goes_on_after_its_pause(story: Story) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(syncPolicy=story.automated(selfHeal=True))
    story.wait_synced()
    for attempt in (1, 2):
        drift = '{"data":{"key":"drifted"}}'
        story.kubectl("patch", "configmap", "one", "-n", story.namespace, "--type=merge", "-p", drift)
        story.wait_object("configmap", "one", lambda found: found and found["data"]["key"] == "value")
        app = story.wait_synced()
        assert operation_state(app)["operation"]["sync"]["autoHealAttemptsCount"] == attempt
        assert [entry["id"] for entry in app["status"]["history"]] == [0]


def test_manifests_sent_with_the_operation_stand_in_for_the_repository(story: Story) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application()
    story.wait("compared", lambda app: sync_status(app) == "OutOfSync")
    story.sync(manifests=[config_map("one", {"key": "local"})])
    state = story.wait_operation("Succeeded")
    assert results(state)["ConfigMap/one"]["message"] == "configmap/one created"
    app = story.wait_synced()
    assert not app["status"]["sync"].get("revision")
    story.refresh()
    assert sync_status(story.get()) == "Synced"
    story.sync(manifests=["kind: [broken"])
    state = story.wait_operation("Error")
    assert "Failed to load local manifests: " in state["message"]
    story.sync()
    story.wait_operation("Succeeded")
    found = story.object("configmap", "one")
    assert found is not None
    assert found["data"] == {"key": "value"}


def test_a_sync_to_another_revision_leaves_the_application_out_of_sync(story: Story) -> None:
    old = story.commit({"app/one.yaml": config_map("one", {"key": "old"})})
    new = story.commit({"app/one.yaml": config_map("one", {"key": "new"})})
    story.create_application()
    story.wait("compared", lambda app: sync_status(app) == "OutOfSync")
    story.sync(revision=old)
    state = story.wait_operation("Succeeded")
    assert state["syncResult"]["revision"] == old
    app = story.get()
    assert (sync_status(app), app["status"]["sync"]["revision"]) == ("OutOfSync", new)
    assert app["status"]["history"][-1]["revision"] == old


def test_a_dry_run_changes_nothing_and_is_no_attempt(story: Story) -> None:
    revision = story.commit({"app/one.yaml": config_map("one")})
    story.create_application()
    story.wait("compared", lambda app: sync_status(app) == "OutOfSync")
    story.sync(dryRun=True)
    state = story.wait_operation("Succeeded")
    assert results(state)["ConfigMap/one"]["message"].endswith("(dry run)")
    assert story.object("configmap", "one") is None
    assert "history" not in story.get()["status"]
    patch(story, {"spec": {"syncPolicy": {"automated": {}}}})
    story.wait_synced(revision)


def looks(operator: Operator) -> float | None:
    """How often the operator has worked on an Application; None while one waits or is worked on."""
    queue = "app_reconciliation_queue"

    def value(name: str) -> float:
        return next(value for labels, value in samples(operator, name) if labels["name"] == queue)

    if value("workqueue_depth") or value("workqueue_unfinished_work_seconds"):
        return None
    return value("workqueue_work_duration_seconds_count")


def test_a_manual_sync_costs_two_writes_and_a_look_at_rest_none(story: Story, operator: Operator) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application()
    story.wait("compared", lambda app: sync_status(app) == "OutOfSync")
    kubectl = [str(story.kubectl.program), f"--kubeconfig={story.kubectl.kubeconfig}"]
    command = ["get", APPLICATIONS, story.name, "-n", "argocd", "--watch", "-o"]
    show = "jsonpath={.metadata.resourceVersion}{'\\n'}"
    with subprocess.Popen([*kubectl, *command, show], stdout=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        assert watch.stdout.readline()  # the state before: the watch stands
        story.sync()
        story.wait_operation("Succeeded")
        app = story.wait_synced()
        operator.program.wait_until(lambda: looks(operator) is not None, seconds=30)
        before = looks(operator) or 0
        # A live change that changes nothing for the application.
        metadata = {"metadata": {"labels": {"mine": "yes"}}}
        args = ("configmap", "one", "-n", story.namespace, "--type=merge", "-p", json.dumps(metadata))
        story.kubectl("patch", *args)
        operator.program.wait_until(lambda: (looks(operator) or 0) > before, seconds=30)
        assert story.get() == app
        patch(story, metadata)
        last = story.get()["metadata"]["resourceVersion"]
        versions = [line.strip() for line in iter(watch.stdout.readline, f"{last}\n")]
        watch.terminate()
    assert versions[-1] == app["metadata"]["resourceVersion"]
    assert len(versions) == 3, "the user's patch, the begin, the end"


def test_a_broken_project_ends_the_operation_with_the_reason(story: Story) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(project="nowhere")
    story.wait_condition("InvalidSpecError", "project nowhere which does not exist")
    story.sync()
    state = story.wait_operation("Error")
    assert state["message"].startswith("Failed to load application project: ")
    app = story.get()
    assert [c["type"] for c in conditions(app)] == ["InvalidSpecError"]
    assert sync_status(app) == "Unknown"
