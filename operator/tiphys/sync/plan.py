"""The pure plan: from pairs, hooks and recorded results to the ordered tasks of an operation.

Built anew in every step (sync.md 10). What it cannot do stands beside the tasks as failures: an
unknown kind, an object the project forbids. ``apply`` and ``engine`` act on it; nothing here asks
the cluster: discovery is a snapshot, the Namespace of the destination is given.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

from msgspec import Struct

from tiphys.compare import hooks
from tiphys.resources.application import ResourceResult, SyncOperation
from tiphys.resources.identity import GVK, GroupKind, Manifest, ResourceKey, gvk_of, key_of
from tiphys.sync import messages
from tiphys.sync.cluster import ApiResourceLike, DiscoveryLike
from tiphys.sync.inputs import SyncInputs, SyncPair
from tiphys.sync.naming import is_unnamed, named_hook, named_object
from tiphys.sync.options import (
    OperationOptions,
    parse_options,
    prune_value,
    tolerates_missing_kind,
    uses_replace,
)
from tiphys.sync.ordering import assign_prune_waves, defined_group_kind, sort_tasks
from tiphys.sync.ownership import is_terminating, stamp_of, with_hook_marks
from tiphys.sync.tasks import Code, Outcome, Phase, Task

NAMESPACE_GVK = GVK("", "v1", "Namespace")


class Failure(Struct, frozen=True):
    """A task that must not run, and why."""

    task: Task
    message: str


class Plan(Struct, frozen=True):
    tasks: tuple[Task, ...]
    """In the order in which they run; failed ones among them."""
    failures: tuple[Failure, ...] = ()
    unknown_kinds: tuple[GVK, ...] = ()
    """Kinds that this discovery snapshot does not have; worth asking the server once."""


class NamespaceState(Enum):
    """What is known of the destination Namespace."""

    NOT_ASKED = "not asked"
    MISSING = "missing"
    EXISTS = "exists"


class NamespaceFacts(Struct, frozen=True):
    """Of the destination Namespace, gathered by the engine (sync.md 10.1)."""

    state: NamespaceState = NamespaceState.NOT_ASKED
    live: Manifest | None = None
    error: str = ""


def options_of(operation: SyncOperation) -> OperationOptions:
    """Options of a stored operation; no strategy means hooks (sync.md 16)."""
    strategy = operation.sync_strategy
    apply = strategy.apply if strategy is not None else None
    hook = strategy.hook if strategy is not None else None
    return parse_options(
        tuple(operation.sync_options or ()),
        force=bool((apply is not None and apply.force) or (hook is not None and hook.force)),
        strategy_apply=apply is not None,
        partial=bool(operation.resources),
        prune=operation.prune,
        dry_run=operation.dry_run,
    )


class Selection:
    """The objects that a resource list names; an empty list names everything (sync.md 16.8).

    Self-healing lists every object that differs, so this is asked for each pair of thousands.
    """

    def __init__(self, operation: SyncOperation) -> None:
        self._namespaces: dict[tuple[str, str, str], set[str]] = {}
        for item in operation.resources:
            self._namespaces.setdefault((item.group, item.kind, item.name), set()).add(item.namespace)

    def __contains__(self, key: ResourceKey) -> bool:
        if not self._namespaces:
            return True
        namespaces = self._namespaces.get((key.group, key.kind, key.name), ())
        return key.namespace in namespaces or "" in namespaces


def build_plan(
    inputs: SyncInputs,
    operation: SyncOperation,
    options: OperationOptions,
    discovery: DiscoveryLike,
    *,
    started_at: str,
    retry_count: int,
    recorded: Mapping[str, ResourceResult],
    namespace: NamespaceFacts,
) -> Plan:
    """Tasks with their previous results merged in, sorted, waves of prunes assigned."""
    selection = Selection(operation)
    tasks = [task for pair in inputs.pairs if (task := _pair_task(pair, selection, inputs.namespace))]
    live_by_name = _live_by_name(inputs)
    attempt = stamp_of(inputs.app_uid, started_at, retry_count, Phase.SYNC)
    tasks = _with_names(tasks, options, attempt, live_by_name)
    if options.hooks_enabled:
        tasks += _hook_tasks(inputs, started_at, retry_count, live_by_name)
    auto = namespace_task(inputs, options, namespace)
    if auto is not None:
        tasks.append(auto)

    kinds = defined_kinds(inputs)
    failures: list[Failure] = []
    unknown: dict[GVK, None] = {}
    for task in tasks:
        resource = discovery.resource(task.gvk)
        if resource is None:
            unknown[task.gvk] = None
            tolerated = task.target is not None and (
                tolerates_missing_kind(task.target, options) or task.gvk.group_kind in kinds
            )
            problem = discovery_problem(discovery, task.gvk)
            if tolerated and not _group_failed(discovery, task.gvk):
                task.skip_dry_run = True
                continue
            failures.append(Failure(task, problem))
            continue
        settle_namespace(task, resource)
        reason = inputs.permitted(task.manifest, resource)
        if reason is not None:
            failures.append(Failure(task, reason))
    if namespace.error and auto is not None:
        failures.append(Failure(auto, namespace.error))

    assign_prune_waves(tasks, options.prune_last)
    tasks = sort_tasks(tasks)
    for task in tasks:
        merge_result(task, recorded.get(task.result_key))
    return Plan(tuple(tasks), tuple(failures), tuple(unknown))


def merge_result(task: Task, result: ResourceResult | None) -> None:
    """Takes over what the operation recorded for the task so far (sync.md 10 step 8)."""
    if result is None:
        return
    task.status = Code(result.status) if result.status else None
    task.outcome = Outcome(result.hook_phase) if result.hook_phase else None
    task.message = result.message


def defined_kinds(inputs: SyncInputs) -> frozenset[GroupKind]:
    """Kinds whose CustomResourceDefinition is among the targets or hooks."""
    targets: Iterable[Manifest] = (pair.target for pair in inputs.pairs if pair.target is not None)
    found = set()
    for manifest in (*targets, *inputs.hooks):
        if manifest.get("kind") == "CustomResourceDefinition":
            found.add(GroupKind(*defined_group_kind(manifest)))
    return frozenset(found)


def discovery_problem(discovery: DiscoveryLike, gvk: GVK) -> str:
    """Why the kind is not there: unknown, or its API group does not answer."""
    failed = _group_failed(discovery, gvk)
    if failed:
        return f"failed to discover server resources for group version {gvk.api_version}: {failed}"
    return messages.unknown_kind(gvk, version_known=gvk.api_version in discovery.api_versions)


def _group_failed(discovery: DiscoveryLike, gvk: GVK) -> str:
    failed = discovery.failed_groups
    return failed.get(gvk.api_version) or failed.get(gvk.group) or ""


def _pair_task(pair: SyncPair, selection: Selection, namespace: str) -> Task | None:
    manifest = pair.target if pair.target is not None else pair.live
    if manifest is None or not pair.self_referenced or pair.key not in selection:
        return None
    if hooks.is_hook(manifest) or hooks.is_skipped(manifest):
        return None
    return Task(
        Phase.SYNC,
        pair.target,
        pair.live,
        modified=pair.modified,
        ignoring=pair.ignoring,
        default_namespace=namespace if pair.target is not None else "",
    )


_LiveByName = Mapping[tuple[str, str, str], Sequence[Manifest]]


def _live_by_name(inputs: SyncInputs) -> _LiveByName:
    found: dict[tuple[str, str, str], list[Manifest]] = {}
    for pair in inputs.pairs:
        if pair.live is not None:
            found.setdefault((pair.key.group, pair.key.kind, pair.key.name), []).append(pair.live)
    return found


def _live_of(task: Task, live_by_name: _LiveByName) -> Manifest | None:
    """The live object of a task's name, in its namespace or in none."""
    found = live_by_name.get((task.key.group, task.key.kind, task.key.name), ())
    return next((live for live in found if key_of(live).namespace in ("", task.key.namespace)), None)


def _with_names(
    tasks: Sequence[Task], options: OperationOptions, attempt: str, live_by_name: _LiveByName
) -> list[Task]:
    """The tasks, those to be created without a name under one of this attempt.

    What an earlier step made so may look like an object that no target wants (tracking by label): it
    is not pruned.
    """
    numbers: Counter[ResourceKey] = Counter()
    named: list[Task] = []
    for task in tasks:
        target = task.target
        if target is not None and is_unnamed(target) and uses_replace(target, None, options):
            numbers[task.key] += 1
            target = named_object(target, attempt, numbers[task.key])
            task = Task(task.phase, target, default_namespace=task.default_namespace)
            task.live = _live_of(task, live_by_name)
        named.append(task)
    if not numbers:
        return named
    made = {task.key for task in named if not task.is_prune}
    return [task for task in named if not task.is_prune or task.key not in made]


def _hook_tasks(
    inputs: SyncInputs, started_at: str, retry_count: int, live_by_name: _LiveByName
) -> list[Task]:
    """One task for each hook and phase, with the live object of that name (sync.md 10.2)."""
    numbers: Counter[tuple[ResourceKey, Phase]] = Counter()
    tasks: dict[str, Task] = {}
    for hook in inputs.hooks:
        for phase in map(Phase, hooks.sync_types(hook)):
            numbers[place := (key_of(named_hook(hook, phase, "", started_at)), phase)] += 1
            target = named_hook(hook, phase, inputs.revision, started_at, numbers[place])
            target = with_hook_marks(target, stamp_of(inputs.app_uid, started_at, retry_count, phase))
            task = Task(phase, target, is_hook=True, default_namespace=inputs.namespace)
            task.live = _live_of(task, live_by_name)
            tasks.setdefault(task.result_key, task)
    return list(tasks.values())


def settle_namespace(task: Task, resource: ApiResourceLike) -> None:
    """A namespaced target without namespace goes to the destination's."""
    target, namespace = task.target, task.default_namespace
    if target is None or not resource.namespaced or not namespace:
        return
    metadata = target.get("metadata") or {}
    if not metadata.get("namespace"):
        task.target = task.manifest = {**target, "metadata": {**metadata, "namespace": namespace}}


def namespace_task(inputs: SyncInputs, options: OperationOptions, facts: NamespaceFacts) -> Task | None:
    """The PreSync task of ``CreateNamespace=true``, when one is needed (sync.md 10.1)."""
    if not wants_namespace(inputs, options):
        return None
    metadata = inputs.managed_namespace_metadata
    if facts.state is NamespaceState.EXISTS and metadata is None:
        return None
    if facts.state is NamespaceState.NOT_ASKED and not facts.error:
        return None
    return Task(Phase.PRE_SYNC, auto_namespace_manifest(inputs), facts.live, auto_namespace=True)


def wants_namespace(inputs: SyncInputs, options: OperationOptions) -> bool:
    """Whether the destination Namespace is ours to make. One that the source contains makes itself, also
    where this sync leaves it out (a resource list); hooks are not considered (sync.md 23.8)."""
    if not options.create_namespace or not inputs.namespace:
        return False
    own = ("", "Namespace", inputs.namespace)
    return not any(
        pair.target is not None and (pair.key.group, pair.key.kind, pair.key.name) == own
        for pair in inputs.pairs
    )


def is_namespace_target(task: Task, namespace: str) -> bool:
    return (
        not task.is_hook
        and task.target is not None
        and (task.key.group, task.key.kind, task.key.name) == ("", "Namespace", namespace)
    )


def auto_namespace_manifest(inputs: SyncInputs) -> Manifest:
    """A bare Namespace, or one with exactly the managed metadata; no tracking metadata."""
    metadata: Manifest = {"name": inputs.namespace}
    managed = inputs.managed_namespace_metadata
    if managed is not None:
        if managed.labels:
            metadata["labels"] = dict(managed.labels)
        # overwrites a user's value: ownership of single keys needs server-side apply
        metadata["annotations"] = {
            **(managed.annotations or {}),
            "argocd.argoproj.io/sync-options": "ServerSideApply=true",
        }
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def other_version(discovery: DiscoveryLike, gvk: GVK) -> GVK | None:
    """Another version of the kind that the cluster has (sync.md 13.7)."""
    resource = discovery.preferred(gvk.group, gvk.kind)
    if resource is None or (resource.group, resource.version) == (gvk.group, gvk.version):
        return None
    return GVK(resource.group, resource.version, resource.kind)


def gvk_and_name(manifest: Manifest) -> tuple[GVK, str, str]:
    """What a request needs to name an object: kind, namespace, name."""
    metadata = manifest.get("metadata") or {}
    return gvk_of(manifest), metadata.get("namespace") or "", metadata.get("name") or ""


def awaits_confirmation(task: Task, options: OperationOptions, approved: bool) -> bool:
    """Whether the prune of this object waits for approval (sync.md 12.1.2)."""
    if approved or not task.is_prune or task.live is None or is_terminating(task.live):
        return False
    return prune_value(task.live, options) == "confirm"
