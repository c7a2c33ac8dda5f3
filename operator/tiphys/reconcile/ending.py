"""The end of an operation: its state, the status it leads to, and the history, in one write."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import msgspec

from tiphys.reconcile import conditions as kinds
from tiphys.reconcile.application import STATUS_TOO_LARGE, status_transitions
from tiphys.reconcile.assembling import conditions_into, with_comparison
from tiphys.reconcile.clusters import ClusterHandle
from tiphys.reconcile.events import sync_completed
from tiphys.reconcile.loading import compare_now, load_desired
from tiphys.reconcile.local import local_manifests
from tiphys.reconcile.pairs import Comparison
from tiphys.reconcile.picture import labels_of
from tiphys.reconcile.queue import Priority
from tiphys.reconcile.refresh import Level
from tiphys.reconcile.retrying import ERROR, SUCCEEDED, belongs_to, with_changes
from tiphys.reconcile.services import Services
from tiphys.reconcile.situation import Situation, situate
from tiphys.reconcile.statuses import status_patch, with_history
from tiphys.reconcile.writing import Stale, TooLarge, Vanished
from tiphys.resources.application import Application, ApplicationStatus, OperationState, SyncOperationResult
from tiphys.resources.times import from_timestamp, to_timestamp
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

RECHECK = 30.0  # seconds until a waiting operation is looked at without any event
LONGEST_MESSAGE = 4096  # characters, where there is no room for more
ATTEMPTS = 5  # to store the end of an operation while others write


class Pass(msgspec.Struct, frozen=True):
    """The end of one pass: the state to store, and what it was based on."""

    state: OperationState
    situation: Situation | None = None
    handle: ClusterHandle | None = None
    comparison: Comparison | None = None
    wait: float = RECHECK


async def complete(services: Services, app: Application, state: OperationState, done: Pass) -> Application:
    """Store the end of an operation, together with the status it leads to.

    The stored operation goes only if it is the one that ended: whoever put another in its place
    meanwhile gets that one, too.
    """
    now = services.clock()
    # dated late as its beginning is: nothing ends before it began
    ended_at = now + services.memory.dated_late(app.key, state.started_at)
    state = with_changes(state, finished_at=to_timestamp(ended_at))
    sync = state.operation.sync
    dry_run = bool(sync and sync.dry_run)
    for attempt in range(ATTEMPTS):
        status = msgspec.structs.replace(app.status, operation_state=state)
        if state.phase == SUCCEEDED and sync is not None and not dry_run and not sync.resources:
            status = with_history(app, status, ended_at)
        body: dict[str, Any] = {}
        if app.operation is not None and belongs_to(state, app.operation):
            body["operation"] = None
        try:
            if done.situation is None or done.handle is None or dry_run:
                written, state = await _write_end(services, app, status, body)
                break
            situation = situate(services, app)
            answering: AbstractContextManager[None] = nullcontext()
            if isinstance(situation, Situation) and situation.cluster == done.situation.cluster:
                # The objects that it wrote asked for a look each; this is it.
                answering = services.memory.answering(app.key, Level.RECENT)
            else:  # its project or destination is another by now; that asked for a look, too
                situation = msgspec.structs.replace(done.situation, app=app)
            with answering:
                status = await _compared_again(services, situation, done.handle, status)
                written, state = await _write_end(services, app, status, body)
            break
        except Stale:
            if attempt + 1 == ATTEMPTS:
                raise
            app = newest(services, app)
    services.events.emit(written, [sync_completed(state), *status_transitions(app.status, status)], now)
    services.metrics.sync_completed(
        labels_of(services, written), phase=state.phase, dry_run=dry_run, seconds=_seconds_between(state)
    )
    services.memory.hold_until.pop(app.key, None)
    services.memory.elapsed.forget(app.key)
    automated = state.operation.initiated_by.automated
    if not dry_run and not (automated and _is_settled(written)):
        services.ask(app.key, Level.LATEST if automated else Level.FORCE, Priority.CHANGE)
    elif written.operation is not None:
        services.queue.add(app.key, Priority.USER)
    ended = state.sync_result or SyncOperationResult()
    revision = ended.revision or ",".join(ended.revisions)
    fields = {"app": str(app.key), "operation": "sync", "revision": revision}
    log.info("operation %s: %s", state.phase, state.message, extra=fields)
    return written


async def _write_end(
    services: Services, app: Application, status: ApplicationStatus, body: dict[str, Any]
) -> tuple[Application, OperationState]:
    """One guarded write, and the state that it stored; what does not fit is left out, and the message
    says so."""
    found = [(kinds.UNKNOWN_ERROR, STATUS_TOO_LARGE)]
    told = conditions_into(app.status, found, frozenset({kinds.UNKNOWN_ERROR}), services)
    why = ""
    for make in endings(told, status):
        ended = make(why)
        assert ended.operation_state is not None
        try:
            full = {**body, "status": status_patch(app.status, ended)}
            return await services.writer.patch(app, full, guard=True), ended.operation_state
        except TooLarge as error:
            why = error.why
    raise TooLarge(app.key, why)


def endings(
    told: ApplicationStatus, status: ApplicationStatus
) -> Iterator[Callable[[str], ApplicationStatus]]:
    """The ways to store the end of an operation, from the whole ``status`` to the least of it.

    Each is made with the API server's reason for refusing the one before. If it is the history that does
    not fit, the operation ends with an Error (applications.md 4): nobody could roll back to it.

    Args:
        told: the status before the end, with the condition that something does not fit.
    """
    state, replace = status.operation_state, msgspec.structs.replace
    assert state is not None
    recorded = status.history == told.history

    def unrecorded(why: str) -> OperationState:
        return with_changes(state, phase=ERROR, message=f"failed to record sync to history: {why}")

    def least(why: str) -> OperationState:
        bare = without_results(state if recorded else unrecorded(why))
        return with_changes(bare, sync_result=None)

    yield lambda why: status
    yield lambda why: replace(told, operation_state=without_results(state), history=status.history)
    if not recorded:
        yield lambda why: replace(status, operation_state=unrecorded(why), history=told.history)
        yield lambda why: replace(told, operation_state=without_results(unrecorded(why)))
    yield lambda why: replace(told, operation_state=least(why))


def without_results(state: OperationState) -> OperationState:
    """The state of an operation whose results are too many to be stored; a message that quotes thousands
    of them is cut."""
    result, message = state.sync_result or SyncOperationResult(), state.message
    if len(message) > LONGEST_MESSAGE:
        message = message[:LONGEST_MESSAGE] + "…"
    text = f"{message} (the results of {len(result.resources)} resources are too large to be stored)"
    return with_changes(state, message=text, sync_result=msgspec.structs.replace(result, resources=()))


async def _compared_again(
    services: Services, situation: Situation, handle: ClusterHandle, status: ApplicationStatus
) -> ApplicationStatus:
    """The status right after the sync, from what its own writes left behind.

    It is compared with what the spec asks for, which may be another revision than was synced.
    """
    app = msgspec.structs.replace(situation.app, status=status)
    situation = msgspec.structs.replace(situation, app=app)
    desired, found = await load_desired(
        services,
        situation,
        handle,
        sources=app.spec.effective_sources(),
        revisions=(),
        max_age=None,
        no_cache=False,
        manifests=local_manifests(app),
    )
    comparison = await compare_now(services, situation, handle, desired, found)
    return with_comparison(services, situation, handle, status, comparison)


def newest(services: Services, app: Application) -> Application:
    """This Application as it is known now; steps may have been persisted meanwhile.

    Raises:
        Vanished: it is gone, or another one has its name.
    """
    held = services.apps.get(app.key)
    if held is None or held.metadata.uid != app.metadata.uid:
        raise Vanished(str(app.key))
    return held


def _seconds_between(state: OperationState) -> float:
    if not state.finished_at or not state.started_at:
        return 0.0
    return max(0.0, (from_timestamp(state.finished_at) - from_timestamp(state.started_at)).total_seconds())


def _is_settled(app: Application) -> bool:
    """The comparison that ended the operation left nothing that another look could change."""
    synced = app.status.sync.status == "Synced"
    return synced and all(condition.type != kinds.SYNC_ERROR for condition in app.status.conditions)
