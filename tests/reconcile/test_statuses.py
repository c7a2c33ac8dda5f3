"""What a look and an operation write into a status (applications.md 4, 5; health-and-resources.md 1.4)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.reconcile.test_decisions import application
from tiphys.reconcile.conditions import set_conditions
from tiphys.reconcile.statuses import with_health, with_history
from tiphys.resources.application import ApplicationCondition, ApplicationStatus
from tiphys.resources.times import Timestamp

THEN, NOW = Timestamp("2026-01-01T00:00:00Z"), datetime(2026, 1, 2, tzinfo=UTC)
NEW = Timestamp("2026-01-02T00:00:00Z")
OLD = {"status": "Degraded", "message": "Caused by a", "lastTransitionTime": THEN}


def status(**fields: Any) -> ApplicationStatus:
    return application(status=fields).status


@pytest.mark.parametrize(
    ("before", "code", "inline", "wanted"),
    [
        pytest.param(OLD, "Healthy", False, ("Healthy", "Caused by b", NEW), id="1.4 a transition"),
        pytest.param(OLD, "Degraded", False, ("Degraded", "Caused by a", THEN), id="1.4 of the last one"),
        pytest.param(OLD, "Degraded", True, ("Degraded", "Caused by b", THEN), id="1.4 inline: of now"),
        pytest.param(OLD, "Healthy", True, ("Healthy", "Caused by b", NEW), id="1.4 inline, a transition"),
        pytest.param({}, "Missing", False, ("Missing", "Caused by b", NEW), id="4 the first"),
        pytest.param(
            {"status": "Unknown", "lastTransitionTime": THEN},
            "Unknown",
            False,
            ("Unknown", "", THEN),
            id="10.3 unchanged Unknown keeps its time",
        ),
    ],
)
def test_health(before: dict[str, str], code: str, inline: bool, wanted: tuple[str, str, str]) -> None:
    source = "" if inline or not before else "appTree"
    given = status(health=before, resourceHealthSource=source)
    found = with_health(given, code, "Caused by b", NOW, inline=inline)
    assert (found.health.status, found.health.message, found.health.last_transition_time) == wanted
    assert found.resource_health_source == ("" if inline else "appTree")


def test_health_that_is_stored_elsewhere_from_now_on() -> None:
    """The message is that of now, the time that of the transition."""
    found = with_health(status(health=OLD), "Degraded", "Caused by b", NOW)
    assert (found.health.message, found.health.last_transition_time) == ("Caused by b", THEN)


DONE = {
    "operation": {"sync": {}, "initiatedBy": {"username": "ada"}},
    "phase": "Succeeded",
    "startedAt": THEN,
    "syncResult": {"revision": "new", "source": {"repoURL": "r"}},
}


@pytest.mark.parametrize(
    ("limit", "stored", "wanted"),
    [
        pytest.param(None, [], [0], id="begins with 0"),
        pytest.param(None, [0, 7], [0, 7, 8], id="the next after the last"),
        pytest.param(None, list(range(10)), list(range(1, 11)), id="ten by default"),
        pytest.param(2, [3, 4, 5], [5, 6], id="as many as the spec says"),
        pytest.param(0, [3, 4], [], id="none"),
        pytest.param(-1, [3, 4], [], id="none at all"),
    ],
)
def test_history(limit: int | None, stored: list[int], wanted: list[int]) -> None:
    """applications.md 4."""
    entries = [{"id": each, "revision": "old", "deployedAt": THEN} for each in stored]
    spec = {} if limit is None else {"revisionHistoryLimit": limit}
    app = application(spec=spec, status={"operationState": DONE, "history": entries})
    history = with_history(app, app.status, NOW).history or ()
    assert [each.id for each in history] == wanted
    if wanted:
        last = history[-1]
        assert (last.revision, last.deployed_at, last.deploy_started_at) == ("new", NEW, THEN)
        assert (last.initiated_by.username, last.source.repo_url) == ("ada", "r")


def condition(kind: str, message: str, at: str = THEN) -> ApplicationCondition:
    return ApplicationCondition(type=kind, message=message, last_transition_time=Timestamp(at))


SPEC = frozenset({"InvalidSpecError"})


@pytest.mark.parametrize(
    ("stored", "found", "wanted"),
    [
        pytest.param(
            [],
            [("InvalidSpecError", "b"), ("InvalidSpecError", "a")],
            [("a", NEW), ("b", NEW)],
            id="several of one type, sorted",
        ),
        pytest.param(
            [condition("InvalidSpecError", "a"), condition("InvalidSpecError", "b")],
            [("InvalidSpecError", "a"), ("InvalidSpecError", "b")],
            [("a", THEN), ("b", NEW)],
            id="only the first of a type keeps its time",
        ),
        pytest.param(
            [condition("DeletionError", "stays"), condition("InvalidSpecError", "goes")],
            [],
            [("stays", THEN)],
            id="what is not evaluated stays",
        ),
        pytest.param(
            [condition("SyncError", "old")],
            [("SyncError", "new")],
            [("new", NEW), ("old", THEN)],
            id="what is found counts, evaluated or not",
        ),
    ],
)
def test_conditions(
    stored: list[ApplicationCondition], found: list[tuple[str, str]], wanted: list[tuple[str, str]]
) -> None:
    """applications.md 5."""
    updated = set_conditions(stored, found, SPEC, NEW)
    assert [(each.message, each.last_transition_time) for each in updated] == wanted
