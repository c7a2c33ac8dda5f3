"""Between a comparison and the sync engine: inputs for its steps, and its steps taken.

The engine steps as long as it makes progress; what its own writes left behind goes into the live
cache as it comes, so nothing waits for a watch event, and the event tells nothing new.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

import msgspec

from tiphys.compare.respect import respect_ignored
from tiphys.health.assessing import assess
from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import ApiError, ClusterUnreachable
from tiphys.projects.impersonation import impersonated_user
from tiphys.projects.permission import permits_destination, permits_kind
from tiphys.reconcile.clusters import ClusterHandle
from tiphys.reconcile.elapsed import OPERATION
from tiphys.reconcile.pairs import Comparison, Pair
from tiphys.reconcile.patience import patiently
from tiphys.reconcile.services import Memory, Services
from tiphys.reconcile.situation import Situation, rules_of
from tiphys.resources.application import Application, OperationState
from tiphys.resources.identity import GVK, Manifest, ResourceKey
from tiphys.resources.meta import NO_TIME
from tiphys.resources.times import Timestamp, from_timestamp
from tiphys.sync.cluster import ApiResourceLike
from tiphys.sync.inputs import Permission, SyncInputs, SyncPair

DELETION_APPROVED = "argocd.argoproj.io/deletion-approved"
MIGRATION_MANAGER = "argocd.argoproj.io/client-side-apply-migration-manager"
AT_ONCE = 0.01  # seconds; a shorter wait asks for the state to be persisted, not for time


class EngineOutcome(msgspec.Struct, frozen=True):
    """The state after the last step, and the seconds to wait for before the next (0: completed)."""

    state: OperationState
    wait: float


def client_for(situation: Situation, handle: ClusterHandle, *, enforced: bool) -> ClusterClient:
    """The client to write with: the project's service account where impersonation is on.

    Raises:
        ImpersonationError: no service account can be derived.
    """
    if not situation.settings.impersonation_enabled:
        return handle.client
    user = impersonated_user(situation.project, situation.app, situation.cluster.server, enforced=enforced)
    return handle.client.impersonating(user) if user else handle.client


async def run_engine(
    services: Services,
    situation: Situation,
    handle: ClusterHandle,
    client: ClusterClient,
    comparison: Comparison,
    state: OperationState,
    *,
    persist: Callable[[OperationState], Awaitable[None]],
    interrupted: Callable[[], bool],
) -> EngineOutcome:
    """Take steps until the operation completes or has to wait.

    Args:
        persist: stores the state where a step asks for it (:class:`tiphys.sync.inputs.StepResult`).
        interrupted: somebody asked to terminate the operation; looked at between two steps.
    """
    engine = services.engine(client)
    while True:
        inputs = await sync_inputs(services, situation, handle, comparison, state)
        act = engine.terminate if state.phase == "Terminating" else engine.step
        try:
            result = await act(inputs, state)
        finally:
            handle.cache.settle()
        state = result.state
        if result.wait is None:
            return EngineOutcome(state, 0.0)
        terminate = state.phase == "Running" and interrupted()
        if result.wait > AT_ONCE or terminate:
            if result.hold:
                services.memory.hold_until[situation.app.key] = services.steady() + result.wait
            return EngineOutcome(state, result.wait)
        if result.wait > 0:
            await persist(state)


async def sync_inputs(
    services: Services,
    situation: Situation,
    handle: ClusterHandle,
    comparison: Comparison,
    state: OperationState,
) -> SyncInputs:
    """Everything one step may know."""
    app = situation.app
    policy = app.spec.sync_policy
    sync = state.operation.sync
    respect = sync is not None and "RespectIgnoreDifferences=true" in (sync.sync_options or ())
    rules = rules_of(services, situation, server_side_diff=False) if respect else None
    pairs: list[SyncPair] = []
    for pair in comparison.pairs:
        target = pair.target.manifest() if pair.target else None
        live = await live_manifest(handle, pair)
        ignoring = pair.ignoring
        if rules is not None and target is not None and live is not None:
            target = await patiently(rules, partial(respect_ignored, target, live, rules))
            ignoring = False  # what differed is now the live object's own
        # After own writes the cache holds newer objects than the comparison saw.
        record = handle.cache.get(pair.key)
        same = (
            record is not None
            and pair.live is not None
            and record.resource_version == pair.live.resource_version
        )
        modified = pair.modified if same or record is None else None
        pairs.append(SyncPair(pair.key, target, live, modified, pair.self_referenced, ignoring))
    pairs.extend(await _made_meanwhile(handle, situation, {pair.key for pair in pairs}))
    metadata = policy.managed_namespace_metadata if policy else None
    revision = ""
    if state.sync_result is not None:
        revision = state.sync_result.revision or next(iter(state.sync_result.revisions), "")
    annotations = app.metadata.annotations or {}
    return SyncInputs(
        app=app.key,
        app_uid=app.metadata.uid,
        namespace=app.spec.destination.namespace,
        pairs=tuple(pairs),
        hooks=tuple(hook.manifest() for hook in comparison.hooks),
        now=services.clock(),
        revision=revision,
        permitted=permission(situation),
        assess=lambda manifest: assess(manifest, situation.settings.overrides),
        owned=lambda manifest: situation.tracking.app_instance(manifest) == situation.instance,
        age=lambda hook: hook_age(services, app, hook, state.started_at),
        deletion_approved_at=approved_at(services.memory, app, state.started_at),
        managed_namespace_metadata=metadata,
        namespace_live=_known_namespace(handle, app.spec.destination.namespace) if metadata is None else None,
        migration_manager=annotations.get(MIGRATION_MANAGER, ""),
        note=handle.cache.note_soon,
        gone=handle.cache.note_gone,
    )


async def _made_meanwhile(
    handle: ClusterHandle, situation: Situation, known: set[ResourceKey]
) -> list[SyncPair]:
    """Live hooks that the comparison did not see yet: made by earlier steps of this pass."""
    records = handle.cache.managed(situation.instance)
    found: list[SyncPair] = []
    for key, record in list(records.items()):
        if record.is_hook and key not in known:
            try:
                live = await handle.cache.manifest(key, record.gvk)
            except (ApiError, ClusterUnreachable):
                continue  # the engine asks itself and reports what it is told
            if live is not None:
                found.append(SyncPair(key, None, live))
    return found


def hook_age(services: Services, app: Application, hook: Manifest, since: Timestamp = NO_TIME) -> float:
    """Seconds since a hook was made; by another clock than ours, so no more than since ``since``."""
    metadata = hook.get("metadata") or {}
    made = metadata.get("creationTimestamp")
    if not made:
        return 0.0
    age = services.since(app.key, f"hook {metadata.get('uid')}", Timestamp(made))
    return min(age, services.since(app.key, OPERATION, since)) if since else age


async def live_manifest(handle: ClusterHandle, pair: Pair) -> Manifest | None:
    """The newest known live object of a pair, or None where there is none."""
    record = handle.cache.get(pair.key)
    if record is None:
        return None
    version = pair.target.gvk.version if pair.target else record.version
    gvk = GVK(pair.key.group, version, pair.key.kind)
    try:
        return await handle.cache.manifest(pair.key, gvk)
    except (ApiError, ClusterUnreachable):
        return None  # the engine asks itself and reports what it is told


def permission(situation: Situation) -> Permission:
    """Why the project forbids an object, or None (applications.md 7.2)."""
    project = situation.project
    name = project.metadata.name
    cluster = situation.cluster

    decided: dict[tuple[str, str, str], str | None] = {}

    def permitted(manifest: Manifest, resource: ApiResourceLike) -> str | None:
        if not resource.namespaced:
            return decide(manifest, resource)
        # No rule tells namespaced objects of one kind and namespace apart.
        namespace = (manifest.get("metadata") or {}).get("namespace") or ""
        place = (resource.group, resource.kind, namespace)
        if place not in decided:
            decided[place] = decide(manifest, resource)
        return decided[place]

    def decide(manifest: Manifest, resource: ApiResourceLike) -> str | None:
        metadata = manifest.get("metadata") or {}
        if not permits_kind(
            project,
            resource.group,
            resource.kind,
            namespaced=resource.namespaced,
            name=metadata.get("name") or "",
        ):
            return f"resource {resource.group}:{resource.kind} is not permitted in project {name}"
        namespace = metadata.get("namespace") or ""
        if resource.namespaced and not permits_destination(
            project,
            server=cluster.server,
            name=cluster.name,
            namespace=namespace,
            scoped_clusters=situation.settings.clusters.in_project(name),
        ):
            return f"namespace {namespace} is not permitted in project '{name}'"
        return None

    return permitted


def approved_at(memory: Memory, app: Application, begin: Timestamp) -> datetime | None:
    """When the user approved of deletions, counted as the operation's beginning is: who approves within
    the second that an operation is dated late by has approved of this one."""
    moment = approval_time((app.metadata.annotations or {}).get(DELETION_APPROVED, ""))
    return moment and moment + memory.dated_late(app.key, begin)


def approval_time(text: str) -> datetime | None:
    """The moment of the user's approval, if the annotation holds one."""
    try:
        return from_timestamp(text) if text else None
    except ValueError:
        return None


def _known_namespace(handle: ClusterHandle, name: str) -> Manifest | None:
    if not name:
        return None
    record = handle.cache.get(ResourceKey("", "Namespace", "", name))
    if record is None or record.deletion_timestamp:
        return None
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "uid": record.uid}}
