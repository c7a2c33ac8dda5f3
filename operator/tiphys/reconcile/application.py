"""One look at one application, told from top to bottom (design section 3, applications.md 10).

``look`` compares and writes the status; if automatic sync is due it stores the operation in the
same write and hands the comparison on, so that ``operation`` can begin at once. Each step that
fails sets its condition and ends the look there.
"""

from datetime import datetime
from typing import Any

import msgspec

from tiphys.compare.hooks import hook_types
from tiphys.projects.validate import normalize_spec
from tiphys.projects.windows import can_sync, matching_windows
from tiphys.reconcile import conditions as kinds
from tiphys.reconcile.assembling import conditions_into, with_comparison, with_tree
from tiphys.reconcile.autosync import AutoSync, decide_auto_sync, synced_revisions
from tiphys.reconcile.clusters import ClusterHandle, ClusterNotReady
from tiphys.reconcile.desired import (
    stored_revisions,
)
from tiphys.reconcile.elapsed import FINISHED
from tiphys.reconcile.events import EventMessage, sync_started, transition
from tiphys.reconcile.finalizers import with_delete_hook_finalizers
from tiphys.reconcile.loading import compare_now, desired_request, load_desired
from tiphys.reconcile.local import local_manifests
from tiphys.reconcile.pairs import OUT_OF_SYNC, UNKNOWN, Comparison
from tiphys.reconcile.queue import Priority
from tiphys.reconcile.refresh import (
    REFRESH_ANNOTATION,
    REFRESH_TIMESTAMP_ANNOTATION,
    Level,
    Refresh,
)
from tiphys.reconcile.retrying import RUNNING
from tiphys.reconcile.services import Services
from tiphys.reconcile.situation import Situation, SpecProblems, situate
from tiphys.reconcile.statuses import compared_to, merge_patch, status_patch, with_health
from tiphys.reconcile.writing import TooLarge
from tiphys.resources.application import (
    Application,
    ApplicationStatus,
    OperationState,
    to_json,
)
from tiphys.resources.times import to_timestamp
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

STATUS_TOO_LARGE = (
    "Application status exceeds the Kubernetes resource size limit and could not be persisted. "
    "The displayed status may be stale. Reduce the number of managed resources, set "
    "ApplyOutOfSyncOnly=true, lower spec.revisionHistoryLimit, or split the Application."
)


class Look(msgspec.Struct, frozen=True):
    """What a look left written; the operation that follows may build on its comparison."""

    app: Application
    comparison: Comparison | None = None


async def look(services: Services, app: Application, refresh: Refresh) -> Look:
    """Compare ``app``, decide automatic sync, write what changed.

    Raises:
        ClusterPending: the live state of the destination is still being read; nothing was written.
    """
    now = services.clock()

    # Load and validate; a problem of spec or permission is a condition and ends the look.
    situation = situate(services, app)
    if isinstance(situation, SpecProblems):
        status = conditions_into(app.status, situation.found, kinds.SPEC_TYPES, services)
        return Look(await write_look(services, app, _unknown(status, now), refresh, now))

    # The live state of the destination.
    try:
        handle = services.pool.get(situation.cluster, app.key)
    except ClusterNotReady as error:
        found = [(kinds.COMPARISON_ERROR, f"Failed to load live state: {error}")]
        status = conditions_into(app.status, found, kinds.SPEC_TYPES | kinds.COMPARISON_TYPES, services)
        sync = msgspec.structs.replace(status.sync, status=UNKNOWN, compared_to=compared_to(app))
        status = with_health(msgspec.structs.replace(status, sync=sync), UNKNOWN, "", now)
        return Look(await write_look(services, app, status, refresh, now))

    if refresh.level == Level.TREE and app.status.reconciled_at:
        status = with_tree(services, situation, handle, app.status)
        return Look(await write_look(services, app, status, refresh, now))

    # The desired state: revisions, manifests, targets.
    desired, found = await load_desired(
        services,
        situation,
        handle,
        sources=app.spec.effective_sources(),
        revisions=stored_revisions(app) if refresh.level <= Level.RECENT else (),
        max_age=refresh.max_age,
        no_cache=refresh.hard,
        manifests=local_manifests(app),
    )
    if desired is None and _within_grace(services, app, refresh):
        log.info("repository error within the grace period", extra={"app": str(app.key)})
        return Look(app)

    # Compare, object by object.
    comparison = await compare_now(services, situation, handle, desired, found, no_cache=refresh.hard)

    # Automatic sync, where its windows permit it.
    auto = await _auto_sync(services, situation, handle, comparison)
    if auto is not None and auto.retry_after is not None:
        services.ask(app.key, Level.LATEST, Priority.TIMER, after=auto.retry_after)

    # One status, one write.
    status = with_comparison(services, situation, handle, app.status, comparison)
    if auto is not None:
        errors = [(kinds.SYNC_ERROR, auto.error)] if auto.error else []
        status = conditions_into(status, errors, frozenset({kinds.SYNC_ERROR}), services)
    written = await write_look(services, app, status, refresh, now, comparison=comparison, auto=auto)
    return Look(written, comparison)


async def write_look(
    services: Services,
    app: Application,
    status: ApplicationStatus,
    refresh: Refresh,
    started: datetime,
    *,
    comparison: Comparison | None = None,
    auto: AutoSync | None = None,
) -> Application:
    """Write what differs, in one patch; tell transitions as Events.

    Args:
        started: when the look began; becomes ``reconciledAt``.
        comparison: None where the look ended before one (then ``reconciledAt`` stays).
    """
    body: dict[str, Any] = {}
    operation = auto.operation if auto is not None else None
    messages = status_transitions(app.status, status)
    if operation is not None:
        # The started operation goes into the same write as the status that asked for it.
        begun = services.memory.begin(app, services.clock())
        state = OperationState(operation=operation, phase=RUNNING, started_at=begun)
        status = msgspec.structs.replace(status, operation_state=state)
        body["operation"] = to_json(operation)
        revisions = operation.sync.revisions or (operation.sync.revision,) if operation.sync else ()
        messages.append(sync_started(revisions))
    if metadata := _metadata_patch(app, comparison):
        body["metadata"] = metadata
    spec = normalize_spec(app.spec)
    if comparison is not None and spec != app.spec:
        body["spec"] = merge_patch(to_json(app.spec), to_json(spec))
    guard = bool(body)  # what is not status was decided for exactly this state
    compared = comparison is not None and refresh.level >= Level.LATEST
    changed = status_patch(app.status, status)
    dated = compared or (comparison is not None and not app.status.reconciled_at)
    # A look that found nothing new writes nothing, not even its time (docs/differences.md).
    if dated and (changed or body) and (moment := to_timestamp(started)) != app.status.reconciled_at:
        changed["reconciledAt"] = moment
    if changed:
        body["status"] = changed
    if not body:
        return app
    try:
        written = await services.writer.patch(app, body, guard=guard)
    except TooLarge:
        found = [(kinds.UNKNOWN_ERROR, STATUS_TOO_LARGE)]
        fallback = conditions_into(app.status, found, frozenset({kinds.UNKNOWN_ERROR}), services)
        small = {"status": status_patch(app.status, fallback), "metadata": body.get("metadata")}
        return await services.writer.patch(app, {k: v for k, v in small.items() if v}, guard=guard)
    services.events.emit(written, messages, services.clock())
    return written


def status_transitions(old: ApplicationStatus, new: ApplicationStatus) -> list[EventMessage]:
    """The Events of changed sync and health."""
    return [
        *transition("sync", old.sync.status, new.sync.status),
        *transition("health", old.health.status, new.health.status, new.health.message),
    ]


def _metadata_patch(app: Application, comparison: Comparison | None) -> dict[str, Any]:
    """Takes off the answered request for a refresh; fits the finalizers to the delete hooks."""
    asked = {REFRESH_ANNOTATION, REFRESH_TIMESTAMP_ANNOTATION}.intersection(app.metadata.annotations or {})
    patch: dict[str, Any] = {}
    if REFRESH_ANNOTATION in asked:
        patch["annotations"] = dict.fromkeys(sorted(asked))
    if comparison is None or comparison.failed or app.metadata.deletion_timestamp:
        return patch
    present = tuple(app.metadata.finalizers or ())
    types = {
        kind for hook in (*comparison.hooks, *comparison.delete_hooks) for kind in hook_types(hook.manifest())
    }
    wanted = with_delete_hook_finalizers(present, pre="PreDelete" in types, post="PostDelete" in types)
    if wanted != present:
        patch["finalizers"] = list(wanted)
    return patch


def _unknown(status: ApplicationStatus, now: datetime) -> ApplicationStatus:
    """Sync and health Unknown without a message (applications.md 10.2 step 1)."""
    status = msgspec.structs.replace(status, sync=msgspec.structs.replace(status.sync, status=UNKNOWN))
    status = with_health(status, UNKNOWN, "", now)
    return msgspec.structs.replace(status, health=msgspec.structs.replace(status.health, message=""))


def _within_grace(services: Services, app: Application, refresh: Refresh) -> bool:
    """At levels 1 and 2 an error of the repository's side is held back for the grace period.

    Only where there is a comparison to keep; what is wrong with the content shows at once.
    """
    first = services.memory.first_error.get(app.key)
    if refresh.level >= Level.FORCE or first is None or app.status.sync.status in ("", UNKNOWN):
        return False
    return services.steady() - first <= services.options.repo_error_grace


async def _auto_sync(
    services: Services, situation: Situation, handle: ClusterHandle, comparison: Comparison
) -> AutoSync | None:
    """The automatic sync verdict; None while a window forbids it (SyncError stays as it is)."""
    app = situation.app
    now = services.clock()
    windows = matching_windows(situation.project, app)
    if not can_sync(windows, manual=False, now=now).allowed:
        return None
    state = app.status.operation_state or OperationState()
    return decide_auto_sync(
        app,
        sync_status=comparison.sync_status,
        resources=comparison.resources,
        revisions=comparison.revisions,
        backoff=services.options.backoff,
        since_end=services.since(app.key, FINISHED, state.finished_at) if state.finished_at else 0.0,
        unchanged=await _is_unchanged(services, situation, handle, comparison),
    )


async def _is_unchanged(
    services: Services, situation: Situation, handle: ClusterHandle, comparison: Comparison
) -> bool:
    """Whether the commits since the last sync changed nothing that this application reads.

    Asked only where the automatic sync depends on it: drift, under automation, at other revisions.
    """
    app = situation.app
    policy = app.spec.sync_policy
    automated = policy.automated if policy else None
    synced = synced_revisions(app)
    if automated is None or automated.enabled is False or app.operation is not None:
        return False
    if comparison.sync_status != OUT_OF_SYNC or not synced or synced == comparison.revisions:
        return False
    if not all(comparison.revisions):
        return False
    request = await desired_request(
        situation,
        handle,
        sources=app.spec.effective_sources(),
        revisions=(),
        max_age=None,
        no_cache=False,
    )
    return await services.desired.is_unchanged(request, synced)
