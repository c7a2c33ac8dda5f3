"""Retries, time limits and what is remembered between passes (applications.md 7.2, 7.4)."""

from datetime import timedelta, timezone
from typing import Any

import msgspec
import pytest

from tests.reconcile.test_decisions import NOW, application
from tiphys.reconcile.autosync import already_attempted
from tiphys.reconcile.elapsed import Elapsed
from tiphys.reconcile.events import sync_completed, sync_started
from tiphys.reconcile.refresh import Level
from tiphys.reconcile.retrying import (
    LONGEST,
    SYNC_TIMEOUT,
    TIMED_OUT,
    after_failure,
    belongs_to,
    growing,
    remaining_time,
    retry_remaining,
    retrying,
    start_of,
    time_limit,
)
from tiphys.reconcile.services import Memory
from tiphys.resources.application import (
    Backoff,
    Operation,
    OperationState,
    RetryStrategy,
    SyncOperation,
    SyncOperationResource,
    SyncOperationResult,
)
from tiphys.resources.identity import AppKey
from tiphys.resources.times import Timestamp, to_timestamp

KEY = AppKey("argocd", "a")


def state(phase: str = "Failed", *, limit: int = 2, count: int = 0, **changes: Any) -> OperationState:
    listed = (SyncOperationResource(kind="ConfigMap", name="c"),) if changes.pop("partial", False) else ()
    operation = Operation(
        sync=SyncOperation(revision="abc", resources=listed),
        retry=RetryStrategy(limit=limit, **changes.pop("retry", {})),
    )
    changes.setdefault("sync_result", SyncOperationResult(revision=changes.pop("revision", "abc")))
    return OperationState(
        operation=operation,
        phase=phase,
        message="it broke",
        started_at=to_timestamp(NOW - timedelta(seconds=60)),
        retry_count=count,
        **changes,
    )


@pytest.mark.parametrize(
    ("failed", "flags", "phase", "message"),
    [
        pytest.param(
            state(), {}, "Running", "it broke. Retrying attempt #1 at 3:04AM.", id="7.4: the first retry"
        ),
        pytest.param(
            state(count=1), {}, "Running", "it broke. Retrying attempt #2 at 3:04AM.", id="the second"
        ),
        pytest.param(state(count=2), {}, "Failed", "it broke (retried 2 times).", id="7.2: given up"),
        pytest.param(state(limit=0), {}, "Failed", "it broke", id="no retries wanted"),
        pytest.param(
            state(limit=-1, count=99),
            {},
            "Running",
            "it broke. Retrying attempt #100 at 3:07AM.",
            id="for ever",
        ),
        pytest.param(state(), {"terminating": True}, "Failed", "it broke", id="7.3: none after terminate"),
        pytest.param(
            state(count=1),
            {"terminating": True, "timed_out": True},
            "Failed",
            "it broke, triggered by controller sync timeout (retried 1 times).",
            id="7.2: time-out",
        ),
    ],
)
def test_after_a_failure(failed: OperationState, flags: dict[str, bool], phase: str, message: str) -> None:
    given = {"terminating": False, "timed_out": False, **flags}
    after = after_failure(failed, **given, now=NOW)
    assert (after.phase, after.message) == (phase, message)
    assert bool(after.finished_at) is (phase == "Running")


def test_a_retry_waits_what_it_prints() -> None:
    waiting = after_failure(state(), terminating=False, timed_out=False, now=NOW)
    assert retry_remaining(waiting, 0.0) == 5.0
    again = after_failure(state(count=1), terminating=False, timed_out=False, now=NOW)
    assert retry_remaining(again, 3.0) == 7.0


def test_a_retry_without_refresh_stays_with_its_revision() -> None:  # 14.1
    waiting = after_failure(state(), terminating=False, timed_out=False, now=NOW)
    again = retrying(waiting)
    assert again.message == "Retrying operation. Attempt #1"
    assert again.operation == waiting.operation
    assert (again.phase, again.finished_at, again.sync_result) == ("Running", "", None)


def test_a_back_off_that_is_no_duration_ends_the_operation() -> None:  # 14.2
    broken = state(retry={"backoff": Backoff(duration="soon")})
    ended = after_failure(broken, terminating=False, timed_out=False, now=NOW)
    assert (ended.phase, ended.message) == (
        "Error",
        "it broke (failed to retry: unable to parse soon as a duration)",
    )


def test_the_time_of_the_next_attempt_is_local() -> None:  # 14.2
    here = NOW.astimezone(timezone(timedelta(hours=9, minutes=30)))
    waiting = after_failure(state(), terminating=False, timed_out=False, now=here)
    assert waiting.message == "it broke. Retrying attempt #1 at 12:34PM."
    assert waiting.finished_at == to_timestamp(NOW)


@pytest.mark.parametrize(
    ("ended", "event"),
    [
        pytest.param(state("Succeeded"), "Sync operation to abc succeeded", id="well"),
        pytest.param(state("Failed"), "Sync operation to abc failed: it broke", id="not well"),
        pytest.param(state("Succeeded", partial=True), "Partial sync operation to abc succeeded", id="part"),
        pytest.param(
            state("Error", partial=True), "Partial sync operation to abc failed: it broke", id="bad"
        ),
        pytest.param(state("Succeeded", revision=""), "Sync operation to  succeeded", id="many sources"),
    ],
)
def test_the_event_of_an_end(ended: OperationState, event: str) -> None:  # 14.4
    told = sync_completed(ended)
    assert (told.reason, told.message) == ("OperationCompleted", event)
    assert told.type == ("Normal" if ended.phase == "Succeeded" else "Warning")


def test_the_event_of_an_automated_sync() -> None:  # 14.4
    told = sync_started(("a", "b"))
    assert (told.reason, told.message) == ("OperationStarted", "Initiated automated sync to 'a, b'")


def test_a_retry_with_refresh_forgets_the_revision_and_is_still_the_same_operation() -> None:
    waiting = after_failure(state(retry={"refresh": True}), terminating=False, timed_out=False, now=NOW)
    again = retrying(waiting)
    assert again.message == "Retrying operation with latest revisions. Attempt #1"
    assert again.operation.sync is not None
    assert again.operation.sync.revision == ""
    assert (again.finished_at, again.sync_result) == ("", None)
    assert belongs_to(again, waiting.operation)


def test_a_replaced_operation_is_another_one() -> None:
    running = state("Running")
    other = msgspec.structs.replace(running.operation, sync=SyncOperation(revision="def"))
    assert belongs_to(running, running.operation)
    assert not belongs_to(running, other)


@pytest.mark.parametrize(
    ("factor", "exponent", "cap", "expected"),
    [
        pytest.param(2, 3, 0.0, 40.0, id="no cap"),
        pytest.param(2, 63, 180.0, 180.0, id="capped"),
        pytest.param(10**12, 10**6, 0.0, LONGEST, id="beyond all numbers"),
        pytest.param(-2, 1, 180.0, 0.0, id="never negative"),
    ],
)
def test_growing_pauses(factor: float, exponent: int, cap: float, expected: float) -> None:
    assert growing(5.0, factor, exponent, cap) == expected


def test_the_time_limit_counts_from_the_start_and_not_while_terminating() -> None:
    assert remaining_time(state("Running"), 90.0, 60.0) == 30.0
    assert remaining_time(state("Running"), 0.0, 60.0) is None
    assert remaining_time(state("Terminating"), 90.0, 60.0) is None
    assert TIMED_OUT == "operation is terminating due to timeout"  # sync.md 14.2


def test_a_look_asked_for_later_keeps_its_level_until_then() -> None:
    memory = Memory()
    memory.request_at(KEY, Level.LATEST, 105.0)
    memory.request(KEY, Level.TREE)
    assert memory.requested(KEY, 100.0) is Level.TREE
    memory.take(KEY)
    assert memory.requested(KEY, 104.0) is None
    assert memory.requested(KEY, 105.0) is Level.LATEST


def test_a_dry_run_is_no_attempt() -> None:
    source = {"repoURL": "https://git.example/r", "path": "p", "targetRevision": "main"}

    def tried(dry_run: bool) -> bool:
        operation = {"sync": {"revision": "abc", "dryRun": dry_run}}
        result = {"revision": "abc", "source": source}
        last = {
            "operation": operation,
            "phase": "Succeeded",
            "syncResult": result,
            "startedAt": to_timestamp(NOW),
        }
        return already_attempted(application(status={"operationState": last}), ("abc",))

    assert tried(False)
    assert not tried(True)


@pytest.mark.parametrize(
    ("used", "begin"),
    [
        pytest.param([], 0, id="the first"),
        pytest.param([-60], 0, id="another one long ago"),
        pytest.param([0], 1, id="one in the same second"),
        pytest.param([0, 1], 2, id="the third in one second"),
        pytest.param([3600], 0, id="a clock that was ahead"),
        pytest.param([3600, 0, 1, 3], 2, id="a clock that was set back to where others began"),
    ],
)
def test_no_two_operations_begin_at_once(used: list[int], begin: int) -> None:
    # hooks are told apart by startedAt (sync.ownership)
    def at(seconds: int) -> Timestamp:
        return to_timestamp(NOW + timedelta(seconds=seconds))

    moment = NOW + timedelta(milliseconds=700)
    assert start_of({at(seconds) for seconds in used}, moment) == at(begin)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(None, 60), ("", 60), ("10m", 600), ("90", 90), ("0", 0), ("soon", 60), ("-1s", -1)],
)
def test_the_time_limit_of_one_application(text: str | None, seconds: float) -> None:
    annotations = None if text is None else {SYNC_TIMEOUT: text}
    assert time_limit(annotations, 60.0) == seconds


class Clocks:
    """A wall clock and a steady one."""

    def __init__(self) -> None:
        self.wall, self.steady = NOW.timestamp(), 1000.0
        self.elapsed = Elapsed()

    def since(self, moment: Timestamp, what: str = "operation") -> float:
        return self.elapsed.since(KEY, what, moment, wall=self.wall, steady=self.steady)


@pytest.mark.parametrize("step", [-86400.0, -30.0, 0.0, 30.0, 86400.0])
def test_a_wait_is_as_long_as_it_is_whatever_the_clock_does(step: float) -> None:  # issue 4 part 9
    clocks, moment = Clocks(), to_timestamp(NOW - timedelta(seconds=20))
    assert clocks.since(moment) == 20.0
    clocks.wall += step  # somebody sets it
    clocks.steady += 5.0
    assert clocks.since(moment) == 25.0
    assert clocks.since(to_timestamp(NOW), "finished") == max(0.0, step)


def test_a_wait_after_a_restart_is_never_longer_than_from_its_beginning() -> None:
    clocks, ahead = Clocks(), to_timestamp(NOW + timedelta(days=1))
    assert clocks.since(ahead) == 0.0  # the clock was set back while nobody looked
    clocks.steady += 7.0
    assert clocks.since(ahead) == 7.0
    assert clocks.since(to_timestamp(NOW)) == 0.0  # another operation
    clocks.elapsed.forget(KEY)
    assert clocks.since(ahead) == 0.0


def test_what_ends_again_in_a_second_of_the_same_name_is_counted_anew() -> None:
    clocks, moment = Clocks(), to_timestamp(NOW)
    assert clocks.since(moment, "finished") == 0.0
    clocks.steady += 3600.0  # the pause passes, and the clock is set back by as much
    assert clocks.since(moment, "finished") == 3600.0
    clocks.elapsed.over(KEY, "finished")
    assert clocks.since(moment, "finished") == 0.0
    clocks.elapsed.over(KEY, "never seen")
