"""The texts that people and scripts read in operations and their results (sync.md 12–14).

Only wording lives here: which text is due is decided where the situation is known. The wording is
the reference's, to the letter.
"""

from collections.abc import Iterable, Sequence

from tiphys.compare.threeway import LAST_APPLIED
from tiphys.resources.identity import GVK, Manifest, ResourceKey, key_of
from tiphys.sync.tasks import Task

ALL_TASKS_RUN = "successfully synced (all tasks run)"
NO_MORE_TASKS = "successfully synced (no more tasks)"
TASKS_INVALID = "one or more synchronization tasks are not valid"
DRY_RUN_FAILED = "one or more objects failed to apply (dry run)"
APPLY_FAILED = "one or more objects failed to apply"
TASKS_UNSUCCESSFUL = "one or more synchronization tasks completed unsuccessfully"
NAMESPACE_FAILED = "the namespace failed to apply"
TASKS_RUNNING = "one or more tasks are running"
TERMINATED = "Operation terminated"
TERMINATION_ERRORS = "Operation termination had errors"
TASK_TERMINATED = "Terminated"

REQUIRES_PRUNING = "ignored (requires pruning)"
NO_PRUNE = "ignored (no prune)"
NOT_OURS = "ignored (no prune): another application's by now"
PRUNED = "pruned"
PRUNED_DRY_RUN = "pruned (dry run)"

COMPLETION_OF_HOOK = "completion of hook"
HEALTHY_STATE_OF = "healthy state of"
DELETION_OF_HOOK = "deletion of hook"
DELETION_OF = "deletion of"
PRUNING_CONFIRMATION_OF = "pruning confirmation of"


def waiting(tasks: Sequence[Task], *, deletion: bool = False, confirmation: bool = False) -> str:
    """``operationState.message`` while Running (sync.md 14.1).

    With ``confirmation`` the tasks are only those whose pruning awaits approval. An empty set
    gives an empty text.
    """
    if not tasks:
        return ""
    hooks = [task for task in tasks if task.is_hook]
    first = hooks[0] if hooks else tasks[0]
    if confirmation:
        reason, first = PRUNING_CONFIRMATION_OF, tasks[0]
    elif deletion:
        reason = DELETION_OF_HOOK if hooks else DELETION_OF
    else:
        reason = COMPLETION_OF_HOOK if hooks else HEALTHY_STATE_OF
    text = f"waiting for {reason} {first.display}"
    if len(tasks) > 1:
        noun = "hooks" if len(hooks) == len(tasks) else "resources"
        text += f" and {len(tasks) - 1} more {noun}"
    return text


def with_causes(text: str, causes: Iterable[str]) -> str:
    """``text: a; b`` with the distinct causes sorted (sync.md 11 step 0)."""
    distinct = sorted({cause for cause in causes if cause})
    return f"{text}: {'; '.join(distinct)}" if distinct else text


def with_reason(text: str, causes: Iterable[str]) -> str:
    """``text, reason: a,b`` with the distinct causes in the order in which they stand.

    The reference leaves the order to chance (sync.md 23.7); ours is stable.
    """
    distinct = list(dict.fromkeys(cause for cause in causes if cause))
    return f"{text}, reason: {','.join(distinct)}" if distinct else text


def object_name(gvk: GVK, name: str) -> str:
    """``deployment.apps/x``, ``configmap/x``: how kubectl prints an object."""
    kind = gvk.kind.lower()
    return f"{kind}.{gvk.group}/{name}" if gvk.group else f"{kind}/{name}"


def applied(gvk: GVK, name: str, verb: str, *, dry_run: bool = False, warnings: Sequence[str] = ()) -> str:
    """Success message of one object, warnings behind it (sync.md 13.5)."""
    text = f"{object_name(gvk, name)} {verb}{' (dry run)' if dry_run else ''}"
    if warnings:
        text += ". " + "\n".join(f"Warning: {warning}" for warning in warnings)
    return text


def missing_last_applied(plural: str, name: str) -> str:
    """Warning for an object that was not made by an apply (sync.md 13.5).

    The name of the command is empty in the reference, hence the double blanks.
    """
    return (
        f"resource {plural}/{name} is missing the {LAST_APPLIED} annotation which is required by  apply. "
        " apply should only be used on resources created declaratively by either  create --save-config"
        " or  apply. The missing annotation will be patched automatically."
    )


def being_deleted(name: str) -> str:
    return f"Detected changes to resource {name} which is currently being deleted."


def missing_object(key: ResourceKey) -> str:
    return f"Resource {key.group}/{key.kind}/{key.name} is missing, it might have been deleted"


def waiting_for_deletion(manifest: Manifest) -> str:
    """Interim message of an object that is made again once the old one has left."""
    key = key_of(manifest)
    return f"waiting for {DELETION_OF} {key.group}/{key.kind}/{key.name}"


def unknown_kind(gvk: GVK, *, version_known: bool) -> str:
    """Discovery errors (sync.md 10 step 6)."""
    if version_known:
        return f'{gvk.kind}.{gvk.group} "" not found' if gvk.group else f'{gvk.kind} "" not found'
    return (
        f"failed to discover server resources for group version {gvk.api_version}:"
        " the server could not find the requested resource"
    )


def augment(message: str, gvk: GVK, key: ResourceKey, installed: GVK | None) -> str:
    """Help added to messages of resource entries (sync.md 13.7).

    ``installed`` is another version or group of the same kind that the cluster has, if any.
    """
    if "the server could not find the requested resource" in message:
        where = f"{gvk.group}/{gvk.kind} for requested resource {key.namespace}/{key.name}."
        if installed is not None:
            return (
                f'The Kubernetes API could not find version "{gvk.version}" of {where} Version'
                f' "{installed.version}" of {installed.group}/{installed.kind} is installed on the'
                " destination cluster."
            )
        return (
            f"The Kubernetes API could not find {where} Make sure the"
            f' "{gvk.kind}" CRD is installed on the destination cluster.'
        )
    too_long = "metadata.annotations: Too long: "
    # the wording before and since Kubernetes 1.32
    limits = ("must have at most 262144 bytes", "may not be more than 262144 bytes")
    if any(too_long + limit in message for limit in limits) and "-Additional Info" not in message:
        return (
            f"{message}\n-Additional Info: This error usually means that you are trying to add a large"
            " resource on client side. Consider using Server-side apply or syncing with replace enabled."
            " Note: Syncing with Replace enabled is potentially destructive as it may cause resource"
            " deletion and re-creation."
        )
    return message


def images_of(manifest: Manifest) -> tuple[str, ...]:
    """Images of the containers of a Pod, a Pod template or a Job template, in order; those of init containers
    are not told (sync.md 12.3)."""
    spec = manifest.get("spec")
    while isinstance(spec, dict):
        if isinstance(spec.get("containers"), list):
            break
        spec = next(
            (
                inner.get("spec")
                for inner in (spec.get("template"), spec.get("jobTemplate"))
                if isinstance(inner, dict)
            ),
            None,
        )
    if not isinstance(spec, dict):
        return ()
    return tuple(
        container["image"]
        for container in spec["containers"]
        if isinstance(container, dict) and isinstance(container.get("image"), str)
    )
