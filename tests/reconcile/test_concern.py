"""What a changed Application means for our work, as tables (applications.md 8)."""

from typing import Any

import pytest

from tests.reconcile.test_decisions import SOURCE, application
from tiphys.reconcile.concern import after_own_write, concern
from tiphys.reconcile.queue import Priority
from tiphys.reconcile.refresh import Level
from tiphys.reconcile.stores import is_newer
from tiphys.resources.meta import ObjectMeta

REFRESH = {"argocd.argoproj.io/refresh": "normal"}
SYNC: dict[str, Any] = {"sync": {"revision": "abc"}}
RUNNING = {"operationState": {"operation": SYNC, "phase": "Running", "startedAt": "2026-01-02T03:00:00Z"}}
TERMINATING = {"operationState": {**RUNNING["operationState"], "phase": "Terminating"}}
AUTOMATED = {"syncPolicy": {"automated": {}}}
HEALING = {"syncPolicy": {"automated": {"selfHeal": True}}}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param({}, {"status": {"health": {"status": "Healthy"}}}, None, id="our own status"),
        pytest.param({}, {"annotations": REFRESH}, (Priority.USER, None), id="refresh asked for"),
        pytest.param({}, {"operation": SYNC}, (Priority.USER, None), id="operation asked for"),
        pytest.param({"operation": SYNC}, {}, None, id="operation taken off"),
        pytest.param(
            {"operation": SYNC},
            {"operation": {"sync": {"revision": "def"}}},
            (Priority.USER, None),
            id="operation replaced",
        ),
        pytest.param({}, {"deleting": True}, (Priority.USER, None), id="deleted"),
        pytest.param({"status": RUNNING}, {"status": TERMINATING}, (Priority.USER, None), id="terminated"),
        pytest.param({"status": TERMINATING}, {"status": TERMINATING}, None, id="terminating still"),
        pytest.param(
            {}, {"spec": {"project": "other"}}, (Priority.USER, Level.RECENT), id="project changed: looked at"
        ),
        pytest.param(
            {}, {"spec": AUTOMATED}, (Priority.USER, Level.LATEST), id="8: automated sync newly enabled"
        ),
        pytest.param(
            {"spec": AUTOMATED}, {"spec": HEALING}, (Priority.USER, Level.LATEST), id="8: selfHeal enabled"
        ),
        pytest.param({"spec": HEALING}, {"spec": {}}, (Priority.USER, Level.RECENT), id="automation off"),
        pytest.param(
            {},
            {"annotations": {"argocd.argoproj.io/compare-options": "ServerSideDiff=true"}},
            (Priority.USER, Level.RECENT),
            id="compare options changed",
        ),
        pytest.param(
            {},
            {"annotations": {"link.argocd.argoproj.io/wiki": "https://wiki.example"}},
            (Priority.USER, Level.TREE),
            id="a link for the summary",
        ),
    ],
)
def test_concern(old: Any, new: Any, expected: tuple[Priority, Level | None] | None) -> None:
    found = concern(application(**old), application(**new))
    assert (found and (found.priority, found.level)) == expected


@pytest.mark.parametrize(
    ("before", "body", "after", "concerned"),
    [
        pytest.param({}, {"status": {"sync": {"status": "OutOfSync"}}}, {}, False, id="only what we wrote"),
        pytest.param({}, {"status": {}}, {"operation": SYNC}, True, id="a user asked for a sync meanwhile"),
        pytest.param({}, {"operation": SYNC}, {"operation": SYNC}, False, id="our own operation"),
        pytest.param({"operation": SYNC}, {"operation": None}, {}, False, id="our own end of it"),
        pytest.param(
            {"operation": SYNC}, {"operation": None}, {"operation": SYNC}, True, id="asked for again at once"
        ),
        pytest.param(
            {"annotations": REFRESH},
            {"metadata": {"annotations": {"argocd.argoproj.io/refresh": None}}},
            {},
            False,
            id="the answered refresh",
        ),
        pytest.param({}, {"status": {}}, {"annotations": REFRESH}, True, id="a refresh asked for meanwhile"),
        pytest.param(
            {},
            {"status": {}},
            {"spec": {"source": {**SOURCE, "path": "other"}}},
            True,
            id="the spec edited meanwhile",
        ),
        pytest.param(
            {"status": RUNNING},
            {"status": {"operationState": {"message": "waiting"}}},
            {"status": TERMINATING},
            True,
            id="terminated meanwhile",
        ),
        pytest.param(
            {"status": RUNNING},
            {"status": {"operationState": {"phase": "Terminating"}}},
            {"status": TERMINATING},
            False,
            id="our own time-out",
        ),
    ],
)
def test_edits_of_others_in_the_answer_to_an_own_write(
    before: Any, body: Any, after: Any, concerned: bool
) -> None:
    assert (after_own_write(application(**before), body, application(**after)) is not None) is concerned


@pytest.mark.parametrize(
    ("version", "uid", "newer"),
    [
        pytest.param("7", "a", True, id="later"),
        pytest.param("5", "a", False, id="the same"),
        pytest.param("4", "a", False, id="earlier"),
        pytest.param("7", "b", True, id="another object that took its place"),
        pytest.param("4", "b", False, id="a late event of the object whose place it took"),
        pytest.param("x", "b", True, id="versions that are no numbers"),
    ],
)
def test_which_of_two_states_is_newer(version: str, uid: str, newer: bool) -> None:
    held = ObjectMeta(name="a", uid="a", resource_version="5")
    assert is_newer({"uid": uid, "resourceVersion": version}, held) is newer
