"""Built-in actions that a table line cannot say: those that create objects, and a switchover."""

from collections.abc import Callable
from datetime import UTC
from typing import Any

from tiphys.health.actions.editing import with_value, without_empty
from tiphys.health.actions.model import CREATE, EXECUTING, PATCH, ActionError, Call, Impacted
from tiphys.resources.identity import Manifest

Effect = Callable[[Manifest, Call], tuple[Impacted, ...]]

_WORKFLOWS = "argoproj.io/v1alpha1"
_INSTANCE = "workflows.argoproj.io/controller-instanceid"
"""Says which of several workflow controllers an object is for."""


def _owner(obj: Manifest) -> dict[str, Any]:
    metadata = obj["metadata"]
    found = {"apiVersion": obj.get("apiVersion"), "kind": obj.get("kind")}
    found |= {"name": metadata.get("name"), "uid": metadata.get("uid")}
    return {name: value for name, value in found.items() if value is not None}


def _metadata(obj: Manifest, name: str, template: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "labels": template.get("labels"), "annotations": template.get("annotations")}
    if obj["metadata"].get("namespace"):
        metadata["namespace"] = obj["metadata"]["namespace"]
    return {
        key: dict(value) if isinstance(value, dict) else value for key, value in metadata.items() if value
    }


def create_job(obj: Manifest, call: Call) -> tuple[Impacted, ...]:
    """``batch/CronJob``: a Job from its template, now."""
    template = without_empty((obj.get("spec") or {}).get("jobTemplate") or {})
    metadata = template.get("metadata") or {}
    metadata["name"] = f"{obj['metadata'].get('name', '')}-{call.now.astimezone(UTC):%y%m%d%H%M}"
    if obj["metadata"].get("namespace"):
        metadata["namespace"] = obj["metadata"]["namespace"]
    metadata.setdefault("annotations", {})["cronjob.kubernetes.io/instantiate"] = "manual"
    metadata["ownerReferences"] = [{**_owner(obj), "blockOwnerDeletion": True, "controller": True}]
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template.get("spec") or {}}
    return (Impacted(CREATE, job),)


def create_workflow(obj: Manifest, call: Call) -> tuple[Impacted, ...]:
    """``argoproj.io/CronWorkflow``: a Workflow of its specification, now.

    As in the reference, the template's finalizers stand beside the metadata, where the API server
    drops them.
    """
    spec = obj.get("spec") or {}
    template = spec.get("workflowMetadata") or {}
    when = call.now.astimezone(UTC)
    name = obj["metadata"].get("name", "")
    metadata = _metadata(obj, f"{name}-{when:%Y%m%d%H%M}", template)
    labels = metadata.setdefault("labels", {})
    labels["workflows.argoproj.io/cron-workflow"] = name
    instance = (obj["metadata"].get("labels") or {}).get(_INSTANCE)
    if instance is not None:
        labels[_INSTANCE] = instance
    metadata.setdefault("annotations", {})["workflows.argoproj.io/scheduled-time"] = (
        f"{when:%Y-%m-%dT%H:%M:%SZ}"
    )
    metadata["ownerReferences"] = [_owner(obj)]
    workflow = {
        "apiVersion": _WORKFLOWS,
        "kind": "Workflow",
        "metadata": metadata,
        "finalizers": list(template.get("finalizers") or ()),
        "spec": without_empty(spec.get("workflowSpec") or {}),
    }
    return (Impacted(CREATE, workflow),)


def create_workflow_of_template(obj: Manifest, call: Call) -> tuple[Impacted, ...]:
    """``argoproj.io/WorkflowTemplate``: a Workflow that refers to it."""
    name = obj["metadata"].get("name", "")
    metadata = _metadata(obj, f"{name}-{call.now.astimezone(UTC):%Y%m%d%H%M}", {})
    metadata["labels"] = {"workflows.argoproj.io/workflow-template": name}
    metadata["ownerReferences"] = [_owner(obj)]
    spec = {"workflowTemplateRef": {"name": name}}
    workflow = {"apiVersion": _WORKFLOWS, "kind": "Workflow", "metadata": metadata, "spec": spec}
    return (Impacted(CREATE, workflow),)


def promote_instance(obj: Manifest, call: Call) -> tuple[Impacted, ...]:
    """``postgresql.cnpg.io/Cluster``: another healthy instance becomes primary.

    Raises:
        ActionError: no healthy instance is the wanted one.
    """
    status = obj.get("status") or {}
    wanted = call.params.get("instance", "")
    healthy = (status.get("instancesStatus") or {}).get("healthy") or []
    primary = status.get("currentPrimary")
    if wanted == "any":  # the one after the primary, in a ring
        after = healthy.index(primary) + 1 if primary in healthy else 0
        found = healthy[after % len(healthy)] if healthy else None
    else:
        name = f"{obj['metadata'].get('name', '')}-{wanted}" if wanted.isdigit() else wanted
        found = name if name in healthy else None
    if found is None:
        raise ActionError(EXECUTING, f"Could not find a healthy instance matching the criteria: {wanted}")
    changed = obj
    for name, value in (
        ("targetPrimary", found),
        ("targetPrimaryTimestamp", f"{call.now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"),
        ("phase", "Switchover in progress"),
        ("phaseReason", f"Switching over to {found}"),
    ):
        changed = with_value(changed, ("status", name), value)
    return (Impacted(PATCH, changed),)


EFFECTS: dict[str, Effect] = {
    "create-job": create_job,
    "create-workflow": create_workflow,
    "create-workflow-of-template": create_workflow_of_template,
    "promote-instance": promote_instance,
}
"""The names by which the table refers to these."""
