"""Operations that are dated late, and which approvals count for them (sync.md 15, docs/differences.md)."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from tests.reconcile.test_decisions import NOW, application
from tiphys.reconcile.services import Memory
from tiphys.reconcile.syncing import DELETION_APPROVED, approved_at
from tiphys.resources.times import Timestamp, from_timestamp, to_timestamp


def at(seconds: float) -> Timestamp:
    return to_timestamp(NOW + timedelta(seconds=seconds))


class Beginnings:
    """An application whose operations begin, seconds after NOW."""

    def __init__(self, *, stored: str = "", history: Iterable[float] = ()) -> None:
        status: dict[str, Any] = {"history": [{"deployStartedAt": at(each)} for each in history]}
        if stored:
            status["operationState"] = {"phase": "Succeeded", "startedAt": stored}
        self.app = application(status=status)
        self.memory = Memory()

    def begin(self, seconds: float) -> Timestamp:
        return self.memory.begin(self.app, NOW + timedelta(seconds=seconds))

    def late(self, begin: Timestamp) -> float:
        return self.memory.dated_late(self.app.key, begin).total_seconds()

    def approves(self, seconds: float, begin: Timestamp) -> bool:
        """Whether an approval of this moment counts for the operation."""
        approval = application(annotations={DELETION_APPROVED: at(seconds)})
        moment = approved_at(self.memory, approval, begin)
        assert moment is not None
        return moment >= from_timestamp(begin)


@pytest.mark.parametrize(
    ("beginnings", "late"),
    [
        pytest.param([0], 0, id="the first"),
        pytest.param([0.7], 0, id="parts of a second are no lateness"),
        pytest.param([0.1, 0.9], 1, id="two in one second"),
        pytest.param([0.1, 0.2, 0.3], 2, id="three in one second"),
        pytest.param([0.1, 0.2, 1.0], 1, id="the second that the one before was dated to"),
        pytest.param([0.1, 0.2, 2.0], 0, id="caught up"),
        pytest.param([3600, 0], 0, id="a clock that was set back"),
        pytest.param([0, 3600, 0.5], 1, id="a clock that was set back to where another began"),
    ],
)
def test_by_how_much_an_operation_is_dated_late(beginnings: list[float], late: float) -> None:
    app = Beginnings()
    began = [app.begin(each) for each in beginnings][-1]
    assert app.late(began) == late
    assert from_timestamp(began) == (NOW + timedelta(seconds=beginnings[-1] + late)).replace(microsecond=0)
    assert app.approves(int(beginnings[-1]), began), "within the second of the beginning"
    assert not app.approves(int(beginnings[-1]) - 1, began), "an approval of something else"


@pytest.mark.parametrize(
    ("before", "late"),
    [
        pytest.param({"stored": at(0)}, 1, id="the stored operation"),
        pytest.param({"history": [0, 1]}, 2, id="two of the history"),
        pytest.param({"stored": at(1), "history": [0]}, 2, id="both"),
        pytest.param({"stored": at(5), "history": [-5]}, 0, id="neither"),
    ],
)
def test_what_is_stored_counts_after_a_restart(before: dict[str, Any], late: float) -> None:
    app = Beginnings(**before)
    assert app.late(app.begin(0)) == late


def test_of_an_operation_that_an_earlier_process_began_nothing_is_known() -> None:
    app = Beginnings()
    assert app.late(at(0)) == 0
    app.begin(0)
    app.begin(0)
    assert app.late(at(0)) == 0, "only of the last one"
    assert app.late(at(1)) == 1
    app.memory.forget(app.app.key)
    assert app.late(at(1)) == 0


@pytest.mark.parametrize("text", ["", "yes", "2026-13-01T00:00:00Z"])
def test_an_annotation_that_holds_no_moment_approves_of_nothing(text: str) -> None:
    app = application(annotations={DELETION_APPROVED: text})
    assert approved_at(Memory(), app, at(0)) is None
