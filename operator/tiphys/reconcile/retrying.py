"""When an operation ends too late or badly: time limits, retries and their pauses (applications.md 7.4).

Pure: a stored state and a moment go in, the next state or the seconds to wait come out. Phase
``Running`` with ``finishedAt`` means "waits for its retry".
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from tiphys.reconcile.durations import DurationError, parse_duration
from tiphys.resources.application import Operation, OperationState, RetryStrategy
from tiphys.resources.meta import NO_TIME
from tiphys.resources.times import Timestamp, to_timestamp

RUNNING, TERMINATING, FAILED, ERROR, SUCCEEDED = "Running", "Terminating", "Failed", "Error", "Succeeded"
COMPLETED = frozenset({FAILED, ERROR, SUCCEEDED})
SYNC_TIMEOUT = "tiphys.io/sync-timeout"
"""Annotation of Applications: a Go duration or seconds; 0: as long as it takes."""
TIMED_OUT = "operation is terminating due to timeout"

BACKOFF_DURATION = 5.0
BACKOFF_FACTOR = 2
BACKOFF_CAP = 180.0
HASTY = 4
"""So many retries may follow each other without a pause; those after them wait a second at least."""
LONGEST = 366 * 86400.0  # seconds; no pause is longer, whatever a back-off without a cap amounts to


def growing(duration: float, factor: float, exponent: int, cap: float) -> float:
    """``min(duration × factor^exponent, cap)`` in seconds; a cap of 0 or less is none."""
    limit = min(cap, LONGEST) if cap > 0 else LONGEST
    try:
        return max(0.0, min(limit, duration * float(factor) ** exponent))
    except OverflowError:
        return limit


def retry_delay(retry: RetryStrategy | None, attempt: int) -> float:
    """Seconds to wait before retry ``attempt`` (0 is the first). The reference prints this pause
    but waits one factor longer; we wait what we print. A back-off that comes to nothing (``0s``, a factor
    of 0) may not keep a worker busy for ever (docs/differences.md).

    Raises:
        DurationError: a back-off text that is no duration.
    """
    backoff = retry.backoff if retry else None
    duration, cap, factor = BACKOFF_DURATION, BACKOFF_CAP, BACKOFF_FACTOR
    if backoff is not None:
        if backoff.duration:
            duration = parse_duration(backoff.duration)
        if backoff.max_duration:
            cap = parse_duration(backoff.max_duration)
        if backoff.factor is not None:
            factor = backoff.factor
    return max(growing(duration, factor, attempt, cap), 0.0 if attempt < HASTY else 1.0)


def retry_remaining(state: OperationState, waited: float) -> float:
    """Seconds until the retry that the state announces; 0 or less: it is due.

    Args:
        waited: seconds since ``finishedAt``.
    """
    try:
        delay = retry_delay(state.operation.retry, state.retry_count - 1)
    except DurationError:
        return 0.0
    return delay - waited


def retrying(state: OperationState) -> OperationState:
    """The state at the begin of a retry."""
    operation = state.operation
    text = f"Retrying operation. Attempt #{state.retry_count}"
    if operation.retry.refresh and operation.sync is not None:
        text = f"Retrying operation with latest revisions. Attempt #{state.retry_count}"
        sync = msgspec.structs.replace(operation.sync, revision="", revisions=())
        operation = msgspec.structs.replace(operation, sync=sync)
    return with_changes(state, operation=operation, message=text, finished_at=NO_TIME, sync_result=None)


def after_failure(
    state: OperationState, *, terminating: bool, timed_out: bool, now: datetime
) -> OperationState:
    """Retry or give up (applications.md 7.2 step 6, 7.4)."""
    retry = state.operation.retry
    if not terminating and not timed_out and (retry.limit < 0 or state.retry_count < retry.limit):
        try:
            delay = retry_delay(retry, state.retry_count)
        except DurationError as error:
            return with_changes(state, phase=ERROR, message=f"{state.message} (failed to retry: {error})")
        count = state.retry_count + 1
        at = (now + timedelta(seconds=delay)).strftime("%I:%M%p").lstrip("0")
        return with_changes(
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
    return with_changes(state, message=message)


def belongs_to(state: OperationState, operation: Operation) -> bool:
    """Whether a state is that of the stored operation (a retry with ``refresh`` changes its copy)."""
    if state.operation == operation:
        return True
    return operation.retry.refresh and retrying(with_changes(state, operation=operation)).operation == (
        state.operation
    )


def remaining_time(state: OperationState, limit: float, elapsed: float) -> float | None:
    """Seconds until the sync timeout, retries included; None: there is none (any more).

    Args:
        elapsed: seconds since ``startedAt``.
    """
    if limit <= 0 or state.phase == TERMINATING:
        return None
    return limit - elapsed


def time_limit(annotations: Mapping[str, str] | None, default: float) -> float:
    """Seconds that a sync of an application may take; 0: any. Its annotation beats the parameter; one
    that cannot be read is none (docs/differences.md)."""
    text = (annotations or {}).get(SYNC_TIMEOUT, "")
    try:
        return parse_duration(text) if text else default
    except DurationError:
        return default


def start_of(used: Collection[str], now: datetime) -> Timestamp:
    """``startedAt`` of an operation that begins now, where other operations of the application began
    at ``used``.

    Hooks are told apart by it (``sync.ownership``), so no two operations may share it, whether they
    begin in one second or the clock was set back in between: the later one begins a second later.
    """
    begin = now.replace(microsecond=0)
    while to_timestamp(begin) in used:
        begin += timedelta(seconds=1)
    return to_timestamp(begin)


def with_changes(state: OperationState, **changes: Any) -> OperationState:
    """The state with some fields replaced."""
    return msgspec.structs.replace(state, **changes)
