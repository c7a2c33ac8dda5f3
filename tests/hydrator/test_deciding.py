"""When an Application is hydrated, with whom, and how its stored state moves on (sources.md 21.2, 21.3)."""

from datetime import timedelta
from typing import Any

import pytest

from tests.hydrator.building import HYDRATOR, NOW, application, plain
from tiphys.hydrator.deciding import DryLook, decide, decide_by_revision, retry_in
from tiphys.hydrator.grouping import GroupKey, common_project, group_of, members
from tiphys.hydrator.statuses import begun, compared, failed, succeeded
from tiphys.resources.application import SourceHydratorStatus
from tiphys.resources.times import to_timestamp


def current(phase: str, **parts: Any) -> dict[str, Any]:
    age = parts.pop("age", 30)
    return {
        "phase": phase,
        "message": "",
        "startedAt": to_timestamp(NOW - timedelta(seconds=age + 1)),
        "finishedAt": to_timestamp(NOW - timedelta(seconds=age)),
        "sourceHydrator": HYDRATOR,
        **parts,
    }


OTHER = {**HYDRATOR, "syncSource": {"targetBranch": "env/prod", "path": "apps/a"}}


@pytest.mark.parametrize(
    ("parts", "needed", "why"),
    [
        pytest.param({}, True, "no previous hydrate operation", id="no currentOperation"),
        pytest.param(
            {
                "status": {"currentOperation": current("Hydrating", sourceHydrator=OTHER)},
                "annotations": {"hydrate": "hard"},
            },
            False,
            "hydration operation already in progress",
            id="Hydrating goes before all others",
        ),
        pytest.param(
            {
                "status": {"currentOperation": current("Failed", sourceHydrator=OTHER)},
                "annotations": {"hydrate": "hard"},
            },
            True,
            "hard hydrate requested",
            id="hard",
        ),
        pytest.param(
            {"status": {"currentOperation": current("Hydrated", sourceHydrator=OTHER)}},
            True,
            "spec.sourceHydrator differs",
            id="spec differs",
        ),
        pytest.param(
            {"status": {"currentOperation": current("Failed")}, "annotations": {"hydrate": "normal"}},
            True,
            "retrying previous failed hydration",
            id="Failed and requested",
        ),
        pytest.param(
            {"status": {"currentOperation": current("Failed", age=121), "lastComparedDryRevision": "x"}},
            True,
            "previous hydrate operation failed more than 2 minutes ago",
            id="Failed long ago",
        ),
        pytest.param(
            {"status": {"currentOperation": current("Failed", age=119)}},
            False,
            "previous hydrate operation failed",
            id="Failed just now, nothing to compare with",
        ),
        pytest.param(
            {"status": {"currentOperation": current("Failed", age=-3600)}},
            True,
            "previous hydrate operation failed more than 2 minutes ago",
            id="Failed in the future: the clock was set back",
        ),
    ],
)
def test_what_the_stored_state_says(parts: dict[str, Any], needed: bool, why: str) -> None:
    decision = decide(application(**parts), NOW)
    assert decision is not None
    assert (decision.needed, decision.why) == (needed, why)
    assert decision.in_progress is (why == "hydration operation already in progress")


def test_what_failed_may_be_cured() -> None:
    failing = application(status={"currentOperation": current("Failed")})
    decision = decide(failing, NOW, perhaps_cured=True)
    assert decision is not None
    assert (decision.needed, decision.why) == (True, "retrying previous failed hydration")
    fine = application(status={"currentOperation": current("Hydrated")})
    assert decide(fine, NOW, perhaps_cured=True) is None


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param({"status": {"currentOperation": current("Hydrated")}}, id="Hydrated"),
        pytest.param(
            {"status": {"currentOperation": current("Hydrated")}, "annotations": {"hydrate": "normal"}},
            id="Hydrated and requested",
        ),
        pytest.param(
            {"status": {"currentOperation": current("Failed"), "lastComparedDryRevision": "x"}},
            id="Failed with something to compare with",
        ),
    ],
)
def test_what_the_revision_decides(parts: dict[str, Any]) -> None:
    assert decide(application(**parts), NOW) is None


@pytest.mark.parametrize(
    ("look", "needed", "why"),
    [
        (DryLook.CHANGED, True, "new revision may have changes"),
        (DryLook.UNKNOWN, False, "cannot determine if hydration is needed"),
        (DryLook.SAME, False, "hydration not needed"),
    ],
)
def test_what_the_dry_repository_says(look: DryLook, needed: bool, why: str) -> None:
    decision = decide_by_revision(look)
    assert (decision.needed, decision.why) == (needed, why)


@pytest.mark.parametrize(
    ("phase", "age", "rest"),
    [("Failed", 30, 90.0), ("Failed", 121, -1.0), ("Hydrated", 1, 0.0), ("Failed", -600, 0.0)],
)
def test_when_it_is_tried_again(phase: str, age: int, rest: float) -> None:
    assert retry_in(application(status={"currentOperation": current(phase, age=age)}), NOW) == rest


# Groups (21.3) ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "same"),
    [
        pytest.param({"dry": {"path": "other"}}, True, id="another dry path"),
        pytest.param({"sync": {"path": "apps/b"}}, True, id="another path"),
        pytest.param({"dry": {"repoURL": "https://GIT.example/dry"}}, True, id="the same repository"),
        pytest.param({"sync": {"repoURL": "https://git.example/dry"}}, True, id="named once more"),
        pytest.param({"project": "other"}, True, id="another project"),
        pytest.param({"hydrate_to": "env/dev"}, True, id="hydrateTo names the sync branch"),
        pytest.param({"dry": {"targetRevision": "v1"}}, False, id="another dry revision"),
        pytest.param({"dry": {"repoURL": "https://git.example/o"}}, False, id="another dry repository"),
        pytest.param({"sync": {"repoURL": "https://git.example/o"}}, False, id="another repository"),
        pytest.param({"sync": {"targetBranch": "env/prod"}}, False, id="another branch"),
        pytest.param({"hydrate_to": "env/next"}, False, id="another hydrateTo"),
    ],
)
def test_who_shares_a_commit(parts: dict[str, Any], same: bool) -> None:
    assert (group_of(application("b", **parts)) == group_of(application("a"))) is same


def test_members_come_by_name_and_none_that_goes() -> None:
    apps = [
        application("b"),
        plain(),
        application("z", namespace="apps"),
        application("gone", deleting=True),
        application("c", sync={"targetBranch": "env/prod"}),
        application("a"),
    ]
    group = group_of(application())
    assert isinstance(group, GroupKey)
    assert [str(app.key) for app in members(group, apps)] == ["apps/z", "argocd/a", "argocd/b"]
    assert group_of(plain()) is None


def test_whose_credentials_count() -> None:
    assert common_project([application("a", project="p"), application("b", project="p")]) == "p"
    assert common_project([application("a", project="p"), application("b", project="q")]) == ""
    assert common_project([application("a", project="")]) == "default"


# The stored state ---------------------------------------------------------------------------

LATER = NOW + timedelta(seconds=7)


def test_an_operation_keeps_its_beginning() -> None:
    hydrator = application().spec.source_hydrator
    assert hydrator is not None
    first = begun(SourceHydratorStatus(), hydrator, NOW)
    assert begun(first, hydrator, LATER) is first
    done = succeeded(first, hydrator, "dry", "wet", LATER)
    assert done.current_operation is not None
    assert done.current_operation.started_at == to_timestamp(NOW)
    assert done.current_operation.finished_at == to_timestamp(LATER)
    assert (done.current_operation.phase, done.current_operation.message) == ("Hydrated", "")
    assert done.last_successful_operation is not None
    assert (done.last_successful_operation.dry_sha, done.last_successful_operation.hydrated_sha) == (
        "dry",
        "wet",
    )
    assert done.last_compared_dry_revision == "dry"
    again = begun(done, hydrator, LATER)
    assert again.current_operation is not None
    assert again.current_operation.started_at == to_timestamp(LATER)
    assert not again.current_operation.finished_at
    assert again.last_successful_operation == done.last_successful_operation


def test_a_failure_keeps_the_last_success() -> None:
    hydrator = application().spec.source_hydrator
    assert hydrator is not None
    good = succeeded(SourceHydratorStatus(), hydrator, "one", "wet", NOW)
    bad = failed(begun(good, hydrator, NOW), hydrator, "two", "no way", LATER)
    assert bad.current_operation is not None
    assert bad.current_operation.phase == "Failed"
    assert bad.current_operation.message == "Failed to hydrate: no way"
    assert bad.last_successful_operation == good.last_successful_operation
    assert bad.last_compared_dry_revision == "two"
    assert failed(good, hydrator, "", "no way", LATER).last_compared_dry_revision == "one"


def test_a_failure_of_a_compared_commit_rests() -> None:
    """It is not begun again at once for the commit that it failed at."""
    hydrator = application().spec.source_hydrator
    assert hydrator is not None
    status = compared(begun(SourceHydratorStatus(), hydrator, NOW), "two")
    assert failed(status, hydrator, "", "no way", LATER).last_compared_dry_revision == "two"
