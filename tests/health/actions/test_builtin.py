"""Every built-in action: when it is offered, and what it changes (health-and-resources.md 5.5)."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tiphys.health.actions import ActionError, Impacted, discover_actions, merge_patch, run_action
from tiphys.health.actions.builtin import _actions, kinds, number
from tiphys.resources.identity import GroupKind, Manifest

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
STAMP = "2026-03-04T05:06:07Z"


def obj(name: str, fields: str = "") -> Manifest:
    group, _, kind = name.rpartition("/")
    made: Manifest = {"apiVersion": f"{group}/v1", "kind": kind, **yaml.safe_load("{" + fields + "}")}
    return {**made, "metadata": {"name": "x", "namespace": "ns", "uid": "u", **made.get("metadata", {})}}


def rows(table: str) -> list[Any]:
    lines = (Path(__file__).parent / "cases" / f"{table}.txt").read_text().splitlines()[1:]
    split = [tuple(part.strip() for part in line.split(" |")) for line in lines]
    return [pytest.param(*row, id=" ".join(row[:2])) for row in split]


@pytest.mark.parametrize(("name", "fields", "expected"), rows("offered"))
def test_offered(name: str, fields: str, expected: str) -> None:
    found = {f"{'-' * action.disabled}{action.name}" for action in discover_actions(obj(name, fields))}
    assert found == set(expected.split())


@pytest.mark.parametrize(("name", "fields", "call", "patch"), rows("patches"))
def test_patches(name: str, fields: str, call: str, patch: str) -> None:
    action, *given = call.split()
    manifest = obj(name, fields)
    (impacted,) = run_action(manifest, action, dict(pair.split("=") for pair in given), now=NOW)
    assert impacted.operation == "patch"
    expected = yaml.safe_load(patch if patch.startswith("{") else "{" + patch + "}")
    assert merge_patch(manifest, impacted.manifest) == expected


@pytest.mark.parametrize(("name", "fields", "call", "text"), rows("errors"))
def test_errors(name: str, fields: str, call: str, text: str) -> None:
    action, *given = call.split()
    with pytest.raises(ActionError) as raised:
        run_action(obj(name, fields), action, dict(pair.split("=") for pair in given), now=NOW)
    assert str(raised.value) == text


OWNER = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "x", "uid": "u"}


def test_create_job() -> None:
    containers = "[{name: c, env: [], resources: {}}]"
    own = "labels: {a: b}, annotations: {}, finalizers: [f], creationTimestamp: null, name: other"
    template = f"metadata: {{{own}}}, spec: {{template: {{spec: {{containers: {containers}}}}}}}"
    manifest = obj("batch/CronJob", f"spec: {{jobTemplate: {{{template}}}}}")
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "x-2603040506",
            "namespace": "ns",
            "labels": {"a": "b"},
            "finalizers": ["f"],
            "annotations": {"cronjob.kubernetes.io/instantiate": "manual"},
            "ownerReferences": [{**OWNER, "blockOwnerDeletion": True, "controller": True}],
        },
        "spec": {"template": {"spec": {"containers": [{"name": "c"}]}}},
    }
    assert run_action(manifest, "create-job", now=NOW) == (Impacted("create", job),)


def test_create_workflow() -> None:
    fields = "spec: {workflowMetadata: {annotations: {a: b}, finalizers: [f]}, workflowSpec: {entrypoint: e}}"
    (impacted,) = run_action(obj("argoproj.io/CronWorkflow", fields), "create-workflow", now=NOW)
    assert impacted.operation == "create"
    workflow = impacted.manifest
    assert (workflow["kind"], workflow["spec"]) == ("Workflow", {"entrypoint": "e"})
    metadata = workflow["metadata"]
    assert metadata["name"] == "x-202603040506"
    assert metadata["labels"] == {"workflows.argoproj.io/cron-workflow": "x"}
    assert metadata["annotations"] == {"a": "b", "workflows.argoproj.io/scheduled-time": STAMP}
    assert metadata["ownerReferences"][0]["uid"] == "u"
    assert ("finalizers" in metadata, workflow["finalizers"]) == (False, ["f"])


def test_a_workflow_goes_to_the_controller_of_its_cron_workflow() -> None:
    instance = "workflows.argoproj.io/controller-instanceid"
    manifest = obj("argoproj.io/CronWorkflow", f"metadata: {{labels: {{{instance}: two}}}}, spec: {{}}")
    (impacted,) = run_action(manifest, "create-workflow", now=NOW)
    assert impacted.manifest["metadata"]["labels"][instance] == "two"


def test_create_workflow_of_a_template() -> None:
    (impacted,) = run_action(obj("argoproj.io/WorkflowTemplate"), "create-workflow", now=NOW)
    assert impacted.manifest["spec"] == {"workflowTemplateRef": {"name": "x"}}
    assert impacted.manifest["metadata"]["labels"] == {"workflows.argoproj.io/workflow-template": "x"}


def test_descriptions() -> None:
    found = {action.name: action for action in discover_actions(obj("apps/Deployment"))}
    assert found["scale"].icon_class == "fa fa-fw fa-plus-circle"
    assert [param.name for param in found["scale"].params] == ["replicas"]
    (promote,) = discover_actions(obj("numaflow.numaproj.io/InterStepBufferService"))
    assert promote.icon_class == "fa-solid fa-fw fa-forward"
    (toggle,) = discover_actions(obj("argoproj.io/Application", "spec: {syncPolicy: {automated: {}}}"))
    assert toggle.display_name == "Disable Auto-Sync"
    (toggle,) = discover_actions(obj("argoproj.io/Application"))
    assert toggle.display_name == "Enable Auto-Sync"


@pytest.mark.parametrize(
    ("name", "action", "icon", "display"),
    [
        ("apps/Deployment", "pause", "fa fa-fw fa-pause-circle", ""),
        ("batch/CronJob", "create-job", "fa fa-fw fa-plus", "Create Job"),
        ("argoproj.io/CronWorkflow", "create-workflow", "fa fa-fw fa-plus", "Create Workflow"),
        ("argoproj.io/WorkflowTemplate", "create-workflow", "", ""),
        ("argoproj.io/Rollout", "restart", "", "Restart Pods"),
        ("keda.sh/ScaledJob", "pause", "fa fa-fw fa-pause-circle", ""),
        ("keda.sh/ScaledObject", "paused-replicas", "fa fa-fw fa-pause-circle", ""),
        ("keda.sh/ScaledObject", "resume", "fa fa-fw fa-play-circle", ""),
        ("numaflow.numaproj.io/InterStepBufferService", "force-promote", "fa-solid fa-fw fa-forward", ""),
        ("numaflow.numaproj.io/MonoVertex", "force-promote", "fa-solid fa-fw fa-forward", "Force Promote"),
        ("numaflow.numaproj.io/Pipeline", "unpause-fast", "fa-solid fa-fw fa-play", "Unpause (fast)"),
        ("numaplane.numaproj.io/MonoVertexRollout", "pause", "fa-solid fa-fw fa-pause", ""),
        (
            "numaplane.numaproj.io/PipelineRollout",
            "disallow-data-loss",
            "fa-solid fa-fw fa-lock",
            "Disallow Data Loss",
        ),
        ("postgresql.cnpg.io/Cluster", "promote", "fa fa-fw fa-angles-up", "Promote Replica to Primary"),
        ("postgresql.cnpg.io/Cluster", "suspend", "fa fa-fw fa-pause", "Suspend Reconciliation"),
        ("promoter.argoproj.io/PullRequest", "merge", "fa fa-fw fa-code-merge", "Merge PR"),
    ],
)  # health-and-resources.md 5.5
def test_appearance(name: str, action: str, icon: str, display: str) -> None:
    found = {each.name: each for each in discover_actions(obj(name))}
    assert (found[action].icon_class, found[action].display_name) == (icon, display)


def test_the_object_is_not_changed() -> None:
    manifest = obj("apps/Deployment", "spec: {template: {metadata: {annotations: {a: b}}}}")
    before = obj("apps/Deployment", "spec: {template: {metadata: {annotations: {a: b}}}}")
    run_action(manifest, "restart", now=NOW)
    assert manifest == before


def test_all_actions_are_there() -> None:
    runnable = [a for kind in kinds() for a in _actions(kind).values() if a.execute is not None]
    assert len(kinds()) == 36
    assert len(runnable) == 93
    assert GroupKind("apps", "Deployment") in kinds()


@pytest.mark.parametrize(
    ("text", "value"), [("6", 6), (" 6.5 ", 6.5), ("1.0e2", 100), ("0x1f", 31), ("1e5", None), ("", None)]
)
def test_numbers_as_lua_reads_them(text: str, value: float | None) -> None:
    assert number(text) == value
