"""Options of a sync that nobody else tells about, with the operator running (sync.md 5.5, 8.3, 10.1, 15,
16)."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
import yaml

from tests.e2e.story import (
    APPLICATIONS,
    Story,
    conditions,
    config_map,
    operation_state,
    results,
    sync_status,
)

OPTIONS = "argocd.argoproj.io/sync-options"
HOOK = "argocd.argoproj.io/hook"
DATA_IGNORED = [{"kind": "ConfigMap", "name": "a", "jsonPointers": ["/data/tuned"]}]


def drift(story: Story, **data: str) -> None:
    story.kubectl(
        "patch", "configmap", "a", "-n", story.namespace, "--type=merge", "-p", json.dumps({"data": data})
    )


def data_of(story: Story, name: str = "a") -> dict[str, str]:
    found = story.object("configmap", name)
    assert found is not None
    return dict(found["data"])


def sync_and_wait(story: Story, phase: str = "Succeeded", **sync: Any) -> dict[str, Any]:
    """The state of an operation that was begun here; times have seconds only, so its info tells it."""
    mark = uuid.uuid4().hex
    story.wait("idle", lambda app: "operation" not in app)
    operation = {"info": [{"name": "mark", "value": mark}], "sync": {"syncStrategy": {"hook": {}}, **sync}}
    patch = json.dumps({"operation": {"initiatedBy": {"username": "ada"}, **operation}})
    story.kubectl("patch", APPLICATIONS, story.name, "-n", story.control, "--type=merge", "-p", patch)
    story.wait("begun", lambda app: mark in json.dumps(operation_state(app).get("operation")))
    return story.wait_operation(phase)


@pytest.mark.parametrize("apply", ["ServerSideApply=false", "ServerSideApply=true"], ids=["client", "server"])
def test_ignored_fields_are_written_unless_they_are_to_be_respected(story: Story, apply: str) -> None:
    story.commit({"app/a.yaml": config_map("a", {"tuned": "git", "fixed": "1"})})
    story.create_application(ignoreDifferences=DATA_IGNORED, syncPolicy={"syncOptions": [apply]})
    sync_and_wait(story, syncOptions=[apply])
    drift(story, tuned="live")
    story.refresh()
    assert sync_status(story.get()) == "Synced"
    sync_and_wait(story, syncOptions=[apply, "ApplyOutOfSyncOnly=true"])
    assert data_of(story)["tuned"] == "live"
    sync_and_wait(story, syncOptions=[apply, "RespectIgnoreDifferences=true"])
    assert data_of(story) == {"tuned": "live", "fixed": "1"}
    sync_and_wait(story, syncOptions=[apply])
    assert data_of(story) == {"tuned": "git", "fixed": "1"}


def test_a_missing_namespace_is_an_invalid_spec(story: Story) -> None:
    story.commit({"app/a.yaml": config_map("a")})
    story.create_application(destination={"server": "https://kubernetes.default.svc"})
    text = "Namespace for a /v1, Kind=ConfigMap is missing."
    story.wait_condition("InvalidSpecError", text)
    state = sync_and_wait(story, "Error")
    assert state["message"] == f"InvalidSpecError: {text}"


def test_a_shared_resource_may_fail_the_sync(story: Story) -> None:
    story.commit({"app/a.yaml": config_map("a")})
    story.create_application()
    sync_and_wait(story)
    other = f"{story.name}-other"
    story.create_application(
        other,
        syncPolicy={"automated": {}, "retry": {"limit": 0}, "syncOptions": ["FailOnSharedResource=true"]},
    )
    warning = f"ConfigMap/a is part of applications argocd/{other} and {story.name}"
    app = story.wait(
        "failed",
        lambda app: operation_state(app).get("phase") == "Failed" and "operation" not in app,
        name=other,
    )
    assert operation_state(app)["message"] == f"Shared resource found: {warning}"
    assert [c["message"] for c in conditions(app) if c["type"] == "SharedResourceWarning"] == [warning]


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ({"apiVersion": "v1", "kind": "Secret"}, "resource :Secret is not permitted in project {project}"),
        (
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": []},
            "resource rbac.authorization.k8s.io:ClusterRole is not permitted in project {project}",
        ),
        (
            {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "elsewhere"},
            "namespace elsewhere is not permitted in project '{project}'",
        ),
    ],
    ids=["a namespaced kind", "a cluster-scoped kind", "a namespace"],
)
@pytest.mark.parametrize("hook", [False, True], ids=["resource", "hook"])
def test_what_the_project_forbids_ends_the_sync_before_it_begins(
    story: Story, found: dict[str, Any], text: str, hook: bool
) -> None:  # 10 step 7, 11 step 0, 18.1
    project = f"{story.name}-project"
    destination = {"server": "https://kubernetes.default.svc", "namespace": story.namespace}
    story.apply(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": project, "namespace": story.control},
            "spec": {
                "sourceRepos": ["*"],
                "destinations": [destination],
                "namespaceResourceBlacklist": [{"group": "", "kind": "Sec*"}],
            },
        }
    )
    found = dict(found)
    metadata = {"name": story.name, "annotations": {HOOK: "PostSync"} if hook else {}}
    if namespace := found.pop("namespace", ""):
        metadata["namespace"] = namespace
    story.commit(
        {"app/a.yaml": config_map("a"), "app/b.yaml": yaml.safe_dump({**found, "metadata": metadata})}
    )
    story.create_application(project=project)
    state = sync_and_wait(story, "Failed")
    told = text.format(project=project)
    assert state["message"] == f"one or more synchronization tasks are not valid: {told}"
    (entry,) = results(state).values()
    assert (entry["status"], entry["message"]) == ("SyncFailed", told)
    assert story.object("configmap", "a") is None
    story.kubectl("delete", "appproject", project, "-n", story.control)


def test_a_partial_sync_runs_no_hooks_and_leaves_no_history(story: Story) -> None:
    story.commit(
        {
            "app/a.yaml": config_map("a"),
            "app/b.yaml": config_map("b"),
            "app/hook.yaml": config_map("hook", annotations={HOOK: "PreSync"}),
        }
    )
    story.create_application()
    state = sync_and_wait(story, resources=[{"kind": "ConfigMap", "name": "b"}])
    assert list(results(state)) == ["ConfigMap/b"]
    assert story.object("configmap", "a") is None
    assert story.object("configmap", "hook") is None
    app = story.get()
    assert "history" not in app["status"]
    assert sync_status(app) == "OutOfSync"


def test_a_namespace_with_metadata_is_made_kept_and_not_pruned(story: Story) -> None:
    target = f"{story.name}-made"
    story.commit({"app/a.yaml": config_map("a")})
    metadata = {"labels": {"team": "blue"}, "annotations": {"note": "1"}}
    spec: dict[str, Any] = {
        "destination": {"server": "https://kubernetes.default.svc", "namespace": target},
        "syncPolicy": {"syncOptions": ["CreateNamespace=true"], "managedNamespaceMetadata": metadata},
    }
    story.create_application(**spec)
    try:
        state = sync_and_wait(story, prune=True, syncOptions=["CreateNamespace=true"])
        assert results(state)[f"Namespace/{target}"]["message"] == f"namespace/{target} serverside-applied"
        assert results(state)[f"Namespace/{target}"]["syncPhase"] == "PreSync"
        assert state["syncResult"]["managedNamespaceMetadata"] == metadata
        made = story.kubectl.json("get", "namespace", target)["metadata"]
        assert made["labels"]["team"] == "blue"
        assert made["annotations"] == {"note": "1", OPTIONS: "ServerSideApply=true"}
        spec["syncPolicy"]["managedNamespaceMetadata"]["labels"] = {"team": "red"}
        story.create_application(**spec)
        story.wait("OutOfSync", lambda app: sync_status(app) == "OutOfSync")
        sync_and_wait(story, prune=True, syncOptions=["CreateNamespace=true"])
        assert story.kubectl.json("get", "namespace", target)["metadata"]["labels"]["team"] == "red"
        story.wait_synced()
    finally:
        story.kubectl("delete", "namespace", target, "--wait=false", "--ignore-not-found")


@pytest.mark.parametrize("scope", ["Namespaced", "Cluster"])
def test_a_definition_and_its_object_in_one_sync(story: Story, scope: str) -> None:
    group = f"{story.name}.example.com"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }
    widget = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}}
    story.commit({"app/all.yaml": yaml.safe_dump_all([widget, definition])})
    # in the background: the collector that ends a deletion in the foreground learns of new kinds late
    policy = {"automated": {"prune": True}, "syncOptions": ["PrunePropagationPolicy=background"]}
    story.create_application(syncPolicy=policy)
    try:
        app = story.wait_synced()
        found = results(operation_state(app))
        assert found["Widget/w"]["message"] == f"widget.{group}/w created"
        # the definition stays as it is untracked, what is gone from Git goes
        story.commit({"app/all.yaml": yaml.safe_dump_all([definition])})
        story.refresh()
        story.wait_synced()
        story.wait(
            "the widget gone",
            lambda app: (
                not story.kubectl("get", f"widgets.{group}", "-A", "--ignore-not-found", "-o", "name").strip()
            ),
        )
    finally:
        story.kubectl("delete", "crd", f"widgets.{group}", "--wait=false", "--ignore-not-found")


@pytest.mark.parametrize("apply", ["ServerSideApply=false", "ServerSideApply=true"], ids=["client", "server"])
def test_another_version_than_the_watched_one(story: Story, apply: str) -> None:
    def scaler(most: int) -> str:
        return yaml.safe_dump(
            {
                "apiVersion": "autoscaling/v1",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "h"},
                "spec": {
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
                    "minReplicas": 1,
                    "maxReplicas": most,
                    "targetCPUUtilizationPercentage": 60,
                },
            }
        )

    policy = {"automated": {"prune": True, "allowEmpty": True}, "syncOptions": [apply]}
    story.commit({"app/h.yaml": scaler(3), "app/a.yaml": config_map("a")})
    story.create_application(syncPolicy=policy)
    story.wait("Synced", lambda app: sync_status(app) == "Synced" and "operation" not in app)
    entry = next(r for r in story.get()["status"]["resources"] if r["kind"] == "HorizontalPodAutoscaler")
    assert (entry["version"], entry["status"]) == ("v1", "Synced")
    commit = story.commit({"app/h.yaml": scaler(4)})
    story.refresh()
    story.wait(
        "synced again",
        lambda app: sync_status(app) == "Synced" and app["status"]["sync"].get("revision") == commit,
    )
    found = story.object("hpa", "h")
    assert found is not None
    assert found["spec"]["maxReplicas"] == 4
    story.commit({"app/h.yaml": None})
    story.refresh()
    story.wait_object("hpa", "h", lambda found: found is None)


def test_an_object_too_large_for_client_side_apply(story: Story) -> None:
    def large(fill: str) -> str:
        return config_map("a", {"key": fill * 300_000}, annotations={OPTIONS: "ServerSideApply=true"})

    story.commit({"app/a.yaml": large("x")})
    story.create_application(syncPolicy=story.automated(selfHeal=True))
    story.wait_synced()
    commit = story.commit({"app/a.yaml": large("y")})
    story.refresh()
    story.wait_synced(commit)
    assert data_of(story)["key"][:1] == "y"
    assert results(sync_and_wait(story, dryRun=True))["ConfigMap/a"]["message"] == (
        "configmap/a unchanged (dry run)"
    )


def test_waiting_for_confirmation_or_for_a_retry_can_be_ended(story: Story) -> None:
    def wait_and_end(message: str, told: str) -> None:
        story.wait(message, lambda app: message in operation_state(app).get("message", ""))
        patch = json.dumps({"status": {"operationState": {"phase": "Terminating"}}})
        story.kubectl("patch", APPLICATIONS, story.name, "-n", story.control, "--type=merge", "-p", patch)
        assert story.wait_operation("Failed")["message"] == told

    story.commit({"app/a.yaml": config_map("a"), "app/b.yaml": config_map("b")})
    story.create_application()
    sync_and_wait(story)
    story.commit({"app/b.yaml": None})
    story.kubectl("annotate", "configmap", "b", "-n", story.namespace, f"{OPTIONS}=Prune=confirm")
    story.sync(prune=True)
    wait_and_end("waiting for pruning confirmation of /ConfigMap/b", "Operation terminated")
    assert story.object("configmap", "b") is not None
    # it would be asked for without pruning, too (sync.md 23.1)
    story.kubectl("annotate", "configmap", "b", "-n", story.namespace, f"{OPTIONS}-")
    story.commit({"app/a.yaml": config_map("a", {"no key!": "x"})})
    body = {"operation": {"sync": {}, "retry": {"limit": 2, "backoff": {"duration": "5m"}}}}
    story.kubectl(
        "patch", APPLICATIONS, story.name, "-n", story.control, "--type=merge", "-p", json.dumps(body)
    )
    wait_and_end("Retrying attempt #1 at", "Operation terminated (retried 1 times).")
