"""What is left of the end of an operation that is too large to be stored (applications.md 4)."""

import msgspec
import pytest

from tests.reconcile.test_decisions import NOW, application
from tests.reconcile.test_retrying import state
from tiphys.reconcile.ending import LONGEST_MESSAGE, endings
from tiphys.reconcile.statuses import with_history
from tiphys.resources.application import ApplicationStatus, ResourceResult, SyncOperationResult, SyncStatus

RESULT = SyncOperationResult(revision="abc", resources=(ResourceResult(kind="ConfigMap", name="c"),))
LEFT_OUT = " (the results of 1 resources are too large to be stored)"
NOT_RECORDED = "failed to record sync to history: etcdserver: request is too large"
BEFORE = ApplicationStatus(sync=SyncStatus(status="OutOfSync"))


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        pytest.param(
            "Succeeded",
            [
                ("Synced", "Succeeded", "it broke", 1, 1),
                ("OutOfSync", "Succeeded", "it broke" + LEFT_OUT, 0, 1),
                ("Synced", "Error", NOT_RECORDED, 1, 0),
                ("OutOfSync", "Error", NOT_RECORDED + LEFT_OUT, 0, 0),
                ("OutOfSync", "Error", NOT_RECORDED + LEFT_OUT, None, 0),
            ],
            id="one for the history",
        ),
        pytest.param(
            "Failed",
            [
                ("Synced", "Failed", "it broke", 1, 0),
                ("OutOfSync", "Failed", "it broke" + LEFT_OUT, 0, 0),
                ("OutOfSync", "Failed", "it broke" + LEFT_OUT, None, 0),
            ],
            id="one that leaves it alone",
        ),
    ],
)
def test_each_ending_is_smaller_than_the_one_before(phase: str, expected: list[object]) -> None:
    ended = state(phase, sync_result=RESULT)
    status = msgspec.structs.replace(BEFORE, operation_state=ended, sync=SyncStatus(status="Synced"))
    if phase == "Succeeded":
        status = with_history(application(), status, NOW)
    found = []
    for make in endings(BEFORE, status):
        smaller = make("etcdserver: request is too large")
        of = smaller.operation_state
        assert of is not None
        results = None if of.sync_result is None else len(of.sync_result.resources)
        found.append((smaller.sync.status, of.phase, of.message, results, len(smaller.history or ())))
    assert found == expected


def test_a_message_that_quotes_thousands_of_failures_is_cut() -> None:
    message = "one or more objects failed to apply, reason: " + ",".join(f"{n} is bad" for n in range(10_000))
    ended = msgspec.structs.replace(state("Failed", sync_result=RESULT), message=message)
    whole, *smaller = endings(BEFORE, msgspec.structs.replace(BEFORE, operation_state=ended))
    found = [each.operation_state.message for make in (whole, *smaller) if (each := make("")).operation_state]
    assert found[0] == message
    assert found[1:] == [message[:LONGEST_MESSAGE] + "…" + LEFT_OUT] * 2
