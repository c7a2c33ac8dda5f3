"""Groups of applications that follow one revision, and which changed paths concern whom."""

from __future__ import annotations

import pytest

from tiphys.reconcile.desired import touches
from tiphys.reconcile.groups import GroupName, RevisionGroups
from tiphys.resources.identity import AppKey

MAIN = GroupName("https://git.example/r", "", "main", "")
NEXT = GroupName("https://git.example/r", "", "next", "")
A, B = AppKey("argocd", "a"), AppKey("argocd", "b")


def test_the_first_to_see_a_new_commit_learns_of_the_one_before() -> None:
    groups = RevisionGroups()
    assert groups.join(A, MAIN, "1") is None
    assert groups.join(B, MAIN, "1") is None
    assert groups.join(A, MAIN, "2") == "1"
    assert groups.join(B, MAIN, "2") is None
    assert groups.others(A, MAIN) == {B}


def test_who_follows_something_else_now_is_no_longer_told() -> None:
    groups = RevisionGroups()
    groups.join(A, MAIN, "1")
    groups.join(B, MAIN, "1")
    groups.join(B, NEXT, "7")
    groups.settle(B, {NEXT})
    assert groups.others(A, MAIN) == set()
    groups.join(B, NEXT, "8")
    assert groups.others(A, NEXT) == {B}


def test_nothing_is_kept_of_who_is_gone() -> None:
    groups = RevisionGroups()
    groups.join(A, MAIN, "1")
    groups.settle(A, {MAIN})
    groups.settle(A, set())
    assert len(groups) == 0
    groups.settle(A, {MAIN})  # a pass that ends after its application went
    groups.settle(A, set())
    assert len(groups) == 0


@pytest.mark.parametrize(
    ("changed", "reads", "expected"),
    [
        (["app/x.yaml"], ["app"], True),
        (["app/x.yaml"], ["app/x.yaml"], True),
        (["application/x.yaml"], ["app"], False),
        (["other/x"], ["app", "base"], False),
        (["anything"], [""], True),
        ([], [""], False),
    ],
)
def test_which_changes_touch_what_is_read(changed: list[str], reads: list[str], expected: bool) -> None:
    assert touches(changed, reads) is expected
