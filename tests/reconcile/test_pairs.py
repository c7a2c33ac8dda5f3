"""Which live objects are looked at (sync.md 3.5)."""

import pytest

from tiphys.live.records import LiveObject
from tiphys.reconcile.pairs import without_twins
from tiphys.resources.identity import ResourceKey

NEW = ResourceKey("networking.k8s.io", "Ingress", "ns", "a")
OLD = ResourceKey("extensions", "Ingress", "ns", "a")
OTHER = ResourceKey("", "Service", "ns", "a")
UIDS = {NEW: "1", OLD: "1", OTHER: "2"}


@pytest.mark.parametrize(
    ("targeted", "kept"),
    [
        pytest.param({NEW}, {NEW, OTHER}, id="the wanted one stays"),
        pytest.param({OLD}, {OLD, OTHER}, id="whichever group it is wanted in"),
        pytest.param({NEW, OLD}, {NEW, OLD, OTHER}, id="wanted twice"),
        pytest.param(set(), {OLD, OTHER}, id="one is pruned when none is wanted"),
    ],
)
def test_one_object_in_two_api_groups(targeted: set[ResourceKey], kept: set[ResourceKey]) -> None:
    live = {key: LiveObject(key, "v1", uid, "5") for key, uid in UIDS.items()}
    assert set(without_twins(live, targeted)) == kept


def test_objects_without_uid_are_no_twins() -> None:
    live = {key: LiveObject(key, "v1", "", "5") for key in UIDS}
    assert without_twins(live, ()) == live
