"""In which order tasks run (sync.md 9.2).

Phase, wave, rank of the kind, name; then a Namespace moves before the first object in it and a
CustomResourceDefinition before the first object of its kind. Prunes take the waves of their live
objects in reverse. Pure: lists of tasks in, sorted lists out (waves of prunes are set on them).
"""

from collections.abc import Callable, Iterable, Sequence

from tiphys.compare.hooks import sync_options
from tiphys.sync.tasks import PHASE_ORDER, Phase, Task

_KINDS = (
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
)

KIND_RANKS = {kind: rank for rank, kind in enumerate(_KINDS, start=-len(_KINDS))}
"""−35…−1; kinds that are not listed rank 0 and come last."""


def kind_rank(kind: str) -> int:
    return KIND_RANKS.get(kind, 0)


def sort_tasks(tasks: Iterable[Task]) -> list[Task]:
    """Tasks in the order in which they run, dependencies adjusted."""
    ordered = sorted(
        tasks, key=lambda t: (PHASE_ORDER[t.order_phase], t.wave, kind_rank(t.key.kind), t.key.name)
    )
    _move_before_dependents(ordered, _namespace_name, lambda task: task.key.namespace)
    _move_before_dependents(ordered, _defined_kind, lambda task: f"{task.key.group}/{task.key.kind}")
    return ordered


def _namespace_name(task: Task) -> str:
    return task.key.name if task.target and (task.key.group, task.key.kind) == ("", "Namespace") else ""


def _defined_kind(task: Task) -> str:
    if not task.target or task.key.kind != "CustomResourceDefinition":
        return ""
    return "/".join(defined_group_kind(task.target))


def defined_group_kind(crd: dict[str, object]) -> tuple[str, str]:
    """Group and kind that a CustomResourceDefinition defines; empty text for a malformed one."""
    spec = crd.get("spec")
    if not isinstance(spec, dict) or not isinstance(spec.get("names"), dict):
        return "", ""
    return str(spec.get("group") or ""), str(spec["names"].get("kind") or "")


def _move_before_dependents(
    tasks: list[Task], provides: Callable[[Task], str], needs: Callable[[Task], str]
) -> None:
    """Moves each provider right before its first dependent and gives it that one's phase and wave.

    Only ever earlier: a provider that already stands before its dependents stays where it is.
    """
    providers = [(task, provides(task)) for task in tasks]
    providers = [(task, name) for task, name in providers if name.strip("/")]
    if not providers:
        return
    for task, name in providers:
        position = tasks.index(task)
        for earlier in range(position):
            other = tasks[earlier]
            if other.target is not None and other is not task and needs(other) == name:
                del tasks[position]
                tasks.insert(earlier, task)
                task.phase_override = other.order_phase
                task.wave_override = other.wave
                break


def assign_prune_waves(tasks: Sequence[Task], prune_last: bool) -> None:
    """Sets the waves of prune tasks: reversed, or after everything with ``PruneLast``.

    The distinct waves of prunes are swapped symmetrically; creations keep theirs. Objects with
    PruneLast do not take part in the swap's result, but their wave does take part in the swap:
    that is what the vectors of sync.md 21.1 show.
    """
    prunes = [task for task in tasks if task.is_prune]
    if not prunes:
        return
    waves = sorted({task.own_wave for task in prunes})
    swapped = dict(zip(waves, reversed(waves), strict=True))
    for task in prunes:
        task.wave_override = swapped[task.own_wave]
    last = max((task.wave for task in tasks if task.order_phase is Phase.SYNC), default=0)
    last = max(last, 0) + 1
    for task in prunes:
        if prune_last or (task.live is not None and sync_options(task.live).has("PruneLast=true")):
            task.wave_override = last


def is_multi_step(tasks: Sequence[Task]) -> bool:
    """Whether first and last task differ in phase or wave (sync.md 9.3)."""
    if not tasks:
        return False
    first, last = tasks[0], tasks[-1]
    return (first.order_phase, first.wave) != (last.order_phase, last.wave)


def first_wave(tasks: Sequence[Task]) -> tuple[list[Task], list[Task]]:
    """Splits sorted tasks into those of the first phase and wave, and the rest."""
    if not tasks:
        return [], []
    head = (tasks[0].order_phase, tasks[0].wave)
    now = [task for task in tasks if (task.order_phase, task.wave) == head]
    later = [task for task in tasks if (task.order_phase, task.wave) != head]
    return now, later
