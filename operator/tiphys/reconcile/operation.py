"""A stored sync operation, advanced (applications.md 7, sync.md 16–17).

The operation is data: ``.operation`` and ``status.operationState`` of the Application. A pass reads
them, compares, lets the engine take steps as long as it makes progress, and stores the state again:
before anything is done, whenever it has to wait, and at the end together with the status that the
finished sync leads to. A pass that is killed anywhere is simply made again.
"""

from collections.abc import Sequence

import msgspec

from tiphys.projects.impersonation import ImpersonationError
from tiphys.projects.windows import can_sync, matching_windows
from tiphys.reconcile import conditions as kinds
from tiphys.reconcile.application import STATUS_TOO_LARGE
from tiphys.reconcile.clusters import ClusterNotReady
from tiphys.reconcile.conditions import describe
from tiphys.reconcile.elapsed import FINISHED, OPERATION
from tiphys.reconcile.ending import Pass, complete, newest
from tiphys.reconcile.loading import compare_now, load_desired
from tiphys.reconcile.local import manifests_of
from tiphys.reconcile.pairs import Comparison
from tiphys.reconcile.queue import Priority
from tiphys.reconcile.refresh import ASKED_NOW
from tiphys.reconcile.retrying import (
    COMPLETED,
    ERROR,
    FAILED,
    RUNNING,
    TERMINATING,
    TIMED_OUT,
    after_failure,
    remaining_time,
    retry_remaining,
    retrying,
    time_limit,
    with_changes,
)
from tiphys.reconcile.services import Services
from tiphys.reconcile.situation import Situation, SpecProblems, situate
from tiphys.reconcile.statuses import status_patch
from tiphys.reconcile.syncing import client_for, run_engine
from tiphys.reconcile.unexpected import FORESEEN, failure_of
from tiphys.reconcile.writing import TooLarge
from tiphys.resources.application import (
    Application,
    ApplicationSource,
    OperationState,
    SyncOperation,
    SyncOperationResult,
)
from tiphys.resources.semver import is_version
from tiphys.resources.times import from_timestamp
from tiphys.sources.git.refs import is_commit
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

SOON = 0.05  # seconds; for what has only to be stored before it goes on


async def advance(services: Services, app: Application, comparison: Comparison | None = None) -> Application:
    """Advance the operation of ``app`` as far as it goes without waiting.

    Args:
        comparison: made just now of this very application; it may serve.

    Raises:
        ClusterPending: the live state of the destination is still being read.
    """
    assert app.operation is not None
    now = services.clock()
    state = app.status.operation_state
    if state is None or state.phase in COMPLETED:
        begun_at = services.memory.begin(app, now)
        state = OperationState(operation=app.operation, phase=RUNNING, started_at=begun_at)
        app = await _store(services, app, state)
        services.memory.hold_until.pop(app.key, None)
    elif state.phase != TERMINATING and (pause := _held(services, app)) > 0:
        services.queue.add(app.key, Priority.OPERATION, after=pause)
        return app

    # Resume: a timeout, a retry that is due, or one to wait for.
    remaining = _remaining(services, app, state)
    if remaining is not None and remaining < 0:
        state = with_changes(state, phase=TERMINATING, message=TIMED_OUT)
        app = await _store(services, app, state)
    elif state.finished_at and state.phase != TERMINATING:
        pause = _until_retry(services, app, state)
        if pause > 0:
            services.queue.add(app.key, Priority.OPERATION, after=_until(pause, remaining))
            return app
        state = retrying(state)
        services.memory.elapsed.over(app.key, FINISHED)
        app = await _store(services, app, state)
        comparison = None

    begun = state
    try:
        done = await _pass(services, app, state, comparison)
    except TooLarge:
        return await complete(services, newest(services, app), _failed(begun, STATUS_TOO_LARGE), Pass(begun))
    except FORESEEN:
        raise
    except Exception as error:
        log.exception("an operation ends by a fault", extra={"app": str(app.key)})
        reached = newest(services, app).status.operation_state or begun
        done = Pass(_failed(reached, failure_of(error)))
    state = done.state
    app = newest(services, app)

    # A failed operation may be tried again.
    if state.phase in (FAILED, ERROR):
        state = after_failure(
            state,
            terminating=TERMINATING in (begun.phase, _stored_phase(app)),
            timed_out=begun.phase == TERMINATING and begun.message == TIMED_OUT,
            now=services.clock().astimezone(),  # its message tells the local time
        )
    if state.phase in COMPLETED:
        return await complete(services, app, state, done)
    try:
        app = await _store(services, app, state)
    except TooLarge:
        return await complete(services, app, _failed(state, STATUS_TOO_LARGE), done)
    pause = max(SOON, _until_retry(services, app, state)) if state.finished_at else done.wait
    remaining = _remaining(services, app, state)
    services.queue.add(app.key, Priority.OPERATION, after=_until(pause, remaining))
    return app


async def _pass(
    services: Services, app: Application, state: OperationState, comparison: Comparison | None
) -> Pass:
    """One pass over sync.md 16, from the project to the engine's result."""
    sync = state.operation.sync
    if sync is None:
        return Pass(_failed(state, "Invalid operation request: no operation specified"))
    situation = situate(services, app)
    if isinstance(situation, SpecProblems):
        text = describe(situation.found)
        if situation.of_project:
            text = f"Failed to load application project: {'; '.join(why for _, why in situation.found)}"
        return Pass(_failed(state, text))
    sources = sync.sources or ((sync.source,) if sync.source else app.spec.effective_sources())
    multiple = bool(sync.sources) or (not sync.source and app.spec.has_multiple_sources)
    if (recorded := state.sync_result) is None:
        # What is tried stands in the result from the beginning: automation goes by it (17.3).
        seed = SyncOperationResult(revision=sync.revision, revisions=sync.revisions)
        recorded = _result(seed, (), sources, multiple)
        state = with_changes(state, sync_result=recorded)
    if (blocked := _blocked(services, situation, state)) is not None:
        return Pass(blocked)
    try:
        handle = services.pool.get(situation.cluster, app.key)
    except ClusterNotReady as error:
        return Pass(_failed(state, f"Failed to get destination cluster: {error}"))

    pinned = _pinned(sync, recorded, len(sources), multiple)
    manifests = manifests_of(sync)
    if comparison is None or manifests or not _serves(comparison, app, sources, pinned):
        desired, found = await load_desired(
            services,
            situation,
            handle,
            sources=sources,
            revisions=pinned,
            max_age=None if _are_fixed(sources, pinned) else ASKED_NOW,
            no_cache=False,
            manifests=manifests,
        )
        comparison = await compare_now(services, situation, handle, desired, found)

    result = _result(recorded, comparison.revisions, sources, multiple)
    state = with_changes(state, sync_result=result)
    shared = [text for kind, text in comparison.found if kind == kinds.SHARED_RESOURCE_WARNING]
    if shared and "FailOnSharedResource=true" in (sync.sync_options or ()):
        state = with_changes(state, phase=FAILED, message=f"Shared resource found: {shared[0]}")
        return Pass(state, situation, handle, comparison)
    unjudged = (kinds.COMPARISON_ERROR, comparison.health.error)  # costs health, no sync
    errors = (kinds.COMPARISON_ERROR, kinds.INVALID_SPEC_ERROR)
    blocking = [each for each in comparison.found if each[0] in errors and each != unjudged]
    if blocking:
        return Pass(_failed(state, describe(blocking)), situation, handle, comparison)
    try:
        client = client_for(situation, handle, enforced=situation.settings.impersonation_enforced)
    except ImpersonationError as error:
        return Pass(_failed(state, str(error)), situation, handle, comparison)

    def terminated() -> bool:
        return _stored_phase(newest(services, app)) == TERMINATING

    async def persist(step: OperationState) -> None:
        await _store(services, newest(services, app), step)

    outcome = await run_engine(
        services, situation, handle, client, comparison, state, persist=persist, interrupted=terminated
    )
    state = outcome.state
    if state.phase == RUNNING and terminated():
        # Somebody asked for it while we worked.
        state = with_changes(state, phase=TERMINATING, message="operation is terminating")
        return Pass(state, situation, handle, comparison, wait=SOON)
    return Pass(state, situation, handle, comparison, wait=outcome.wait)


def _blocked(services: Services, situation: Situation, state: OperationState) -> OperationState | None:
    """The state of an operation that a sync window holds up; None: go on.

    Ending an operation is no sync: a window does not hold it up (docs/differences.md).
    """
    if state.phase != RUNNING:
        return None
    decision = can_sync(
        matching_windows(situation.project, situation.app),
        manual=not state.operation.initiated_by.automated,
        now=services.clock(),
        operation_start=from_timestamp(state.started_at),
    )
    if decision.allowed:
        return None
    text = "Sync operation blocked by sync window"
    return with_changes(state, message=f"{text}: {decision.error}" if decision.error else text)


def _result(
    recorded: SyncOperationResult,
    revisions: Sequence[str],
    sources: Sequence[ApplicationSource],
    multiple: bool,
) -> SyncOperationResult:
    """The result so far; later passes stay on its revisions."""
    result = msgspec.structs.replace(
        recorded,
        source=ApplicationSource() if multiple else sources[0],
        sources=tuple(sources) if multiple else (),
    )
    if not revisions:
        return result
    return msgspec.structs.replace(
        result,
        revision="" if multiple else revisions[0],
        revisions=tuple(revisions) if multiple else (),
    )


async def _store(services: Services, app: Application, state: OperationState) -> Application:
    """Write the state of the operation, if it differs."""
    status = msgspec.structs.replace(app.status, operation_state=state)
    changed = status_patch(app.status, status)
    return await services.writer.patch(app, {"status": changed} if changed else {})


def _held(services: Services, app: Application) -> float:
    """Seconds until the operation may go on to its next wave."""
    until, now = services.memory.hold_until.get(app.key), services.steady()
    if until is None:
        return 0.0
    if until <= now:
        del services.memory.hold_until[app.key]
    return until - now


def _remaining(services: Services, app: Application, state: OperationState) -> float | None:
    """Seconds until the operation has to end."""
    limit = time_limit(app.metadata.annotations, services.options.sync_timeout)
    return remaining_time(state, limit, services.since(app.key, OPERATION, state.started_at))


def _until_retry(services: Services, app: Application, state: OperationState) -> float:
    return retry_remaining(state, services.since(app.key, FINISHED, state.finished_at))


def _until(pause: float, remaining: float | None) -> float:
    """The pause, cut short by the sync timeout."""
    return pause if remaining is None else max(SOON, min(pause, remaining + SOON))


def _stored_phase(app: Application) -> str:
    state = app.status.operation_state
    return state.phase if state is not None else ""


def _pinned(sync: SyncOperation, result: SyncOperationResult, count: int, multiple: bool) -> tuple[str, ...]:
    """The revisions to use: those of an earlier pass, else the operation's. None unless there is one for
    each source: then those of the sources count (sync.md 3.1 step 3)."""
    found = (result.revisions or sync.revisions) if multiple else (result.revision or sync.revision,)
    return tuple(found) if len(found) == count else ("",) * count


def _are_fixed(sources: Sequence[ApplicationSource], revisions: Sequence[str]) -> bool:
    """Whether there is a revision for each source that cannot come to mean another state: no branch, tag
    or range."""
    return len(sources) == len(revisions) and all(
        is_version(revision) if source.chart else is_commit(revision)
        for source, revision in zip(sources, revisions, strict=True)
    )


def _serves(
    comparison: Comparison, app: Application, sources: Sequence[ApplicationSource], pinned: Sequence[str]
) -> bool:
    """Whether a comparison of the spec is the one this operation needs."""
    if tuple(sources) != app.spec.effective_sources():
        return False
    return tuple(pinned) == comparison.revisions


def _failed(state: OperationState, message: str) -> OperationState:
    return with_changes(state, phase=ERROR, message=message)
