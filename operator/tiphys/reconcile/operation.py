"""A stored sync operation, advanced (applications.md 7, sync.md 16–17).

The operation is data: ``.operation`` and ``status.operationState`` of the Application. A pass reads
them, compares, lets the engine take steps as long as it makes progress, and stores the state again:
before anything is done, whenever it has to wait, and at the end together with the status that the
finished sync leads to. A pass that is killed anywhere is simply made again.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from tiphys.projects.impersonation import ImpersonationError, impersonated_user
from tiphys.projects.windows import can_sync, matching_windows
from tiphys.reconcile import conditions as kinds
from tiphys.reconcile.application import Look, compare_now, load_desired, with_comparison
from tiphys.reconcile.autosync import COMPLETED, retry_delay
from tiphys.reconcile.clusters import ClusterHandle, ClusterNotReady
from tiphys.reconcile.comparison import Comparison
from tiphys.reconcile.conditions import describe
from tiphys.reconcile.durations import DurationError
from tiphys.reconcile.events import EventMessage, sync_completed, transition
from tiphys.reconcile.picture import labels_of
from tiphys.reconcile.queue import Priority
from tiphys.reconcile.refresh import Level
from tiphys.reconcile.services import Services
from tiphys.reconcile.situation import Situation, SpecProblems, situate
from tiphys.reconcile.statuses import status_patch, with_history
from tiphys.reconcile.syncing import run_engine
from tiphys.resources.application import (
    Application,
    ApplicationSource,
    ApplicationStatus,
    Operation,
    OperationState,
    SyncOperation,
    SyncOperationResult,
)
from tiphys.resources.times import from_timestamp, to_timestamp
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

RUNNING, TERMINATING, FAILED, ERROR, SUCCEEDED = "Running", "Terminating", "Failed", "Error", "Succeeded"
RECHECK = 30.0  # seconds until a waiting operation is looked at without any event


class Pass(msgspec.Struct, frozen=True):
    """The end of one pass: the state to store, and what it was based on."""

    state: OperationState
    situation: Situation | None = None
    handle: ClusterHandle | None = None
    comparison: Comparison | None = None
    wait: float = RECHECK


async def advance(services: Services, app: Application, look: Look | None = None) -> Application:
    """Advance the operation of ``app`` as far as it goes without waiting.

    Args:
        look: the look just made of this very application, whose comparison may serve.
    """
    assert app.operation is not None
    now = services.clock()
    hold = services.memory.hold_until.get(app.key)
    if hold is not None:
        if hold > now:
            services.queue.add(app.key, Priority.OPERATION, after=(hold - now).total_seconds())
            return app
        del services.memory.hold_until[app.key]
    state = app.status.operation_state
    if state is None or state.phase in COMPLETED:
        state = OperationState(operation=app.operation, phase=RUNNING, started_at=to_timestamp(now))
        app = await _store(services, app, state)
        look = None

    # Resume: a timeout, a retry that is due, or one to wait for.
    timed_out = False
    limit = services.options.sync_timeout
    if state.phase != TERMINATING:
        if limit > 0 and now - from_timestamp(state.started_at) > timedelta(seconds=limit):
            timed_out = True
            state = _with(state, phase=TERMINATING, message="operation is terminating due to timeout")
            app = await _store(services, app, state)
        elif state.finished_at:
            remaining = _retry_remaining(state, now)
            if remaining > 0:
                services.queue.add(app.key, Priority.OPERATION, after=remaining)
                return app
            state = _retrying(state)
            app = await _store(services, app, state)
            look = None

    done = await _pass(services, app, state, look)
    state = done.state
    app = services.apps.get(app.key) or app  # steps may have been persisted meanwhile

    # A failed operation may be tried again.
    if state.phase in (FAILED, ERROR) and app.status.operation_state is not None:
        terminating = app.status.operation_state.phase == TERMINATING
        state = _after_failure(state, terminating, timed_out, services.clock())
    if state.phase in COMPLETED:
        return await _complete(services, app, state, done)
    app = await _store(services, app, state)
    wait = done.wait
    if state.finished_at:
        wait = max(0.05, _retry_remaining(state, services.clock()))
    services.queue.add(app.key, Priority.OPERATION, after=wait)
    return app


async def _pass(services: Services, app: Application, state: OperationState, look: Look | None) -> Pass:
    """One pass over sync.md 16, from the project to the engine's result."""
    sync = state.operation.sync
    if sync is None:
        return Pass(_failed(state, "Invalid operation request: no operation specified"))
    situation = situate(services, app)
    if isinstance(situation, SpecProblems):
        return Pass(_failed(state, describe(situation.found)))

    windows = matching_windows(situation.project, app)
    decision = can_sync(
        windows,
        manual=not state.operation.initiated_by.automated,
        now=services.clock(),
        operation_start=from_timestamp(state.started_at),
    )
    if not decision.allowed:
        if state.phase == RUNNING:
            text = "Sync operation blocked by sync window"
            state = _with(state, message=f"{text}: {decision.error}" if decision.error else text)
        return Pass(state)

    try:
        handle = await services.pool.get(situation.cluster)
    except ClusterNotReady as error:
        return Pass(_failed(state, f"Failed to get destination cluster: {error}"))

    sources = sync.sources or ((sync.source,) if sync.source else app.spec.effective_sources())
    recorded = state.sync_result
    pinned = _pinned(sync, recorded, len(sources))
    comparison = look.comparison if look is not None else None
    if comparison is None or not _serves(comparison, app, sources, pinned):
        desired, found = await load_desired(
            services,
            situation,
            handle,
            sources=sources,
            revisions=pinned,
            fresh=not all(pinned),
            no_cache=False,
        )
        comparison = await compare_now(services, situation, handle, desired, found)

    # Later passes stay on these revisions.
    multiple = bool(sync.sources) or (not sync.source and app.spec.has_multiple_sources)
    result = recorded or SyncOperationResult()
    if comparison.revisions:
        result = msgspec.structs.replace(
            result,
            revision="" if multiple else comparison.revisions[0],
            revisions=comparison.revisions if multiple else (),
        )
    result = msgspec.structs.replace(
        result,
        source=ApplicationSource() if multiple else sources[0],
        sources=sources if multiple else (),
    )
    state = _with(state, sync_result=result)

    shared = [text for kind, text in comparison.found if kind == kinds.SHARED_RESOURCE_WARNING]
    if shared and "FailOnSharedResource=true" in (sync.sync_options or ()):
        state = _with(state, phase=FAILED, message=f"Shared resource found: {shared[0]}")
        return Pass(state, situation, handle, comparison)
    blocking = [c for c in comparison.found if c[0] in (kinds.COMPARISON_ERROR, kinds.INVALID_SPEC_ERROR)]
    if blocking:
        return Pass(_failed(state, describe(blocking)), situation, handle, comparison)

    client = handle.client
    if situation.settings.impersonation_enabled:
        try:
            user = impersonated_user(
                situation.project,
                app,
                situation.cluster.server,
                enforced=situation.settings.impersonation_enforced,
            )
        except ImpersonationError as error:
            return Pass(_failed(state, str(error)), situation, handle, comparison)
        client = client.impersonating(user) if user else client

    async def persist(step: OperationState) -> None:
        await _store(services, services.apps.get(app.key) or app, step)

    outcome = await run_engine(services, situation, handle, client, comparison, state, persist)
    state = outcome.state
    if state.phase == RUNNING:
        # Somebody may have asked to terminate while we worked.
        fresh = services.apps.get(app.key)
        stored = fresh.status.operation_state if fresh else None
        if stored is not None and stored.phase == TERMINATING:
            state = _with(state, phase=TERMINATING, message="operation is terminating")
            return Pass(state, situation, handle, comparison, wait=0.05)
    return Pass(state, situation, handle, comparison, wait=outcome.wait)


async def _complete(services: Services, app: Application, state: OperationState, done: Pass) -> Application:
    """Store the end of an operation, together with the status it leads to."""
    now = services.clock()
    state = _with(state, finished_at=to_timestamp(now))
    status = msgspec.structs.replace(app.status, operation_state=state)
    sync = state.operation.sync
    messages: list[EventMessage] = [sync_completed(state)]
    dry_run = bool(sync and sync.dry_run)
    if state.phase == SUCCEEDED and sync is not None and not dry_run and not sync.resources:
        status = with_history(app, status, now)
    if done.situation is not None and done.handle is not None and not dry_run:
        status = await _compared_again(services, done, status)
        messages.extend(
            [
                *transition("sync", app.status.sync.status, status.sync.status),
                *transition("health", app.status.health.status, status.health.status, status.health.message),
            ]
        )
    body: dict[str, Any] = {"status": status_patch(app.status, status), "operation": None}
    written = await services.writer.patch(app, body)
    services.events.emit(written, messages, now)
    services.metrics.sync_completed(
        labels_of(services, written), phase=state.phase, dry_run=dry_run, seconds=_seconds_between(state)
    )
    automated = state.operation.initiated_by.automated
    if not dry_run:
        services.ask(app.key, Level.LATEST if automated else Level.FORCE, Priority.CHANGE)
    done_with = state.sync_result or SyncOperationResult()
    log.info(
        "operation %s: %s",
        state.phase,
        state.message,
        extra={"revision": done_with.revision or ",".join(done_with.revisions), "operation": "sync"},
    )
    return written


async def _compared_again(services: Services, done: Pass, status: ApplicationStatus) -> ApplicationStatus:
    """The status right after the sync, from what its own writes left behind."""
    situation, handle = done.situation, done.handle
    assert situation is not None
    assert handle is not None
    app = msgspec.structs.replace(situation.app, status=status)
    situation = msgspec.structs.replace(situation, app=app)
    state = status.operation_state
    result = state.sync_result if state else None
    if result is None:
        return status
    desired, found = await load_desired(
        services,
        situation,
        handle,
        sources=app.spec.effective_sources(),
        revisions=result.revisions or (result.revision,) if _same_sources(app, result) else (),
        fresh=False,
        no_cache=False,
    )
    comparison = await compare_now(services, situation, handle, desired, found)
    return with_comparison(services, situation, handle, status, comparison)


async def _store(services: Services, app: Application, state: OperationState) -> Application:
    """Write the state of the operation, if it differs."""
    status = msgspec.structs.replace(app.status, operation_state=state)
    changed = status_patch(app.status, status)
    return await services.writer.patch(app, {"status": changed} if changed else {})


def _pinned(sync: SyncOperation, result: SyncOperationResult | None, count: int) -> tuple[str, ...]:
    """The revisions to use: those of an earlier pass, else the operation's, else none."""
    if result is not None and (result.revisions or result.revision):
        return result.revisions or (result.revision,)
    if sync.revisions or sync.revision:
        return sync.revisions or (sync.revision,)
    return ("",) * count


def _serves(
    comparison: Comparison, app: Application, sources: Sequence[ApplicationSource], pinned: Sequence[str]
) -> bool:
    """Whether a comparison of the spec is the one this operation needs."""
    if tuple(sources) != app.spec.effective_sources():
        return False
    return tuple(pinned) == comparison.revisions


def _same_sources(app: Application, result: SyncOperationResult) -> bool:
    return (result.sources or (result.source,)) == app.spec.effective_sources()


def _with(state: OperationState, **changes: Any) -> OperationState:
    return msgspec.structs.replace(state, **changes)


def _failed(state: OperationState, message: str) -> OperationState:
    return _with(state, phase=ERROR, message=message)


def _retry_remaining(state: OperationState, now: datetime) -> float:
    """Seconds until the retry that the state announces."""
    try:
        delay = retry_delay(state.operation.retry, state.retry_count - 1)
    except DurationError:
        return 0.0
    return delay - (now - from_timestamp(state.finished_at)).total_seconds()


def _retrying(state: OperationState) -> OperationState:
    """The state at the begin of a retry (applications.md 7.4)."""
    operation: Operation = state.operation
    text = f"Retrying operation. Attempt #{state.retry_count}"
    if operation.retry.refresh and operation.sync is not None:
        text = f"Retrying operation with latest revisions. Attempt #{state.retry_count}"
        sync = msgspec.structs.replace(operation.sync, revision="", revisions=())
        operation = msgspec.structs.replace(operation, sync=sync)
    return _with(state, operation=operation, message=text, finished_at="", sync_result=None)


def _after_failure(
    state: OperationState, terminating: bool, timed_out: bool, now: datetime
) -> OperationState:
    """Retry or give up (applications.md 7.2 step 6, 7.4)."""
    retry = state.operation.retry
    limit = retry.limit
    if not terminating and not timed_out and (limit < 0 or state.retry_count < limit):
        try:
            delay = retry_delay(retry, state.retry_count)
        except DurationError as error:
            return _with(state, phase=ERROR, message=f"{state.message} (failed to retry: {error})")
        count = state.retry_count + 1
        at = (now + timedelta(seconds=delay)).strftime("%I:%M%p").lstrip("0")
        return _with(
            state,
            phase=RUNNING,
            finished_at=to_timestamp(now),
            retry_count=count,
            message=f"{state.message}. Retrying attempt #{count} at {at}.",
        )
    message = state.message
    if timed_out:
        message += ", triggered by controller sync timeout"
    if state.retry_count > 0:
        message += f" (retried {state.retry_count} times)."
    return _with(state, message=message)


def _seconds_between(state: OperationState) -> float:
    if not state.finished_at or not state.started_at:
        return 0.0
    return (from_timestamp(state.finished_at) - from_timestamp(state.started_at)).total_seconds()
