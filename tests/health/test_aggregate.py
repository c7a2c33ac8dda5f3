"""From resources to the Application (health-and-resources.md 1.1, 1.3)."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.health import AppHealth, Health, HealthItem, aggregate, is_worse
from tiphys.health.model import CODES, failed
from tiphys.resources.identity import ResourceKey


def item(
    code: str | None,
    name: str = "x",
    *,
    key: ResourceKey | None = None,
    live: bool = True,
    skip: bool = False,
    ignored: bool = False,
) -> HealthItem:
    health = None if code is None else Health(code)
    return HealthItem(key or ResourceKey("apps", "Deployment", "ns", name), True, live, skip, health, ignored)


CHILD = ResourceKey("argoproj.io", "Application", "argocd", "child")
CORE = ResourceKey("", "Pod", "ns", "p")
CLUSTER = ResourceKey("rbac.authorization.k8s.io", "ClusterRole", "", "r")

CASES = [
    ("no resources", [], "Healthy", ""),
    ("hooks only", [item("Degraded", skip=True)], "Healthy", ""),
    ("healthy", [item("Healthy"), item(None)], "Healthy", ""),
    (
        "worst wins",
        [item("Suspended", "a"), item("Degraded", "b"), item("Progressing", "c")],
        "Degraded",
        "Caused by apps/Deployment:ns/b",
    ),
    (
        "equal ones are causes",
        [item("Progressing", "a"), item("Progressing", "b")],
        "Progressing",
        "Caused by apps/Deployment:ns/a, apps/Deployment:ns/b",
    ),
    (
        "three named, the others counted",
        [item("Unknown", n) for n in "abcde"],
        "Unknown",
        "Caused by apps/Deployment:ns/a, apps/Deployment:ns/b, apps/Deployment:ns/c and 2 more",
    ),
    (
        "a core kind and a cluster-scoped one",
        [item("Degraded", key=CORE), item("Degraded", key=CLUSTER)],
        "Degraded",
        "Caused by Pod:ns/p, rbac.authorization.k8s.io/ClusterRole:r",
    ),
    ("absent does not count while others are live", [item(None), item("Missing", live=False)], "Healthy", ""),
    ("all absent", [item("Missing", live=False), item("Missing", live=False)], "Missing", ""),
    ("all absent, without health", [item(None, live=False)], "Missing", ""),
    (
        "a live hook does not make the app live",
        [item("Healthy", skip=True), item("Missing", live=False)],
        "Missing",
        "",
    ),
    (
        "a script that says Missing counts",
        [item("Missing", "m")],
        "Missing",
        "Caused by apps/Deployment:ns/m",
    ),
    (
        "ignored counts as existing only",
        [item("Degraded", ignored=True), item("Missing", live=False)],
        "Healthy",
        "",
    ),
    ("a child that is Missing", [item("Missing", key=CHILD)], "Healthy", ""),
    ("a child that is Unknown", [item("Unknown", key=CHILD)], "Healthy", ""),
    (
        "a child that is Degraded",
        [item("Degraded", key=CHILD)],
        "Degraded",
        "Caused by argoproj.io/Application:argocd/child",
    ),
    (
        "an empty code never worsens",
        [item("Suspended", "s"), item("")],
        "Suspended",
        "Caused by apps/Deployment:ns/s",
    ),
    ("an unknown code never worsens", [item("Sleepy")], "Healthy", ""),
]


@pytest.mark.parametrize(("items", "code", "message"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_aggregate(items: list[HealthItem], code: str, message: str) -> None:
    assert aggregate(items) == AppHealth(code, message)


def test_the_first_error_becomes_the_condition() -> None:
    key = ResourceKey("apps", "Deployment", "ns", "a")
    items = [
        HealthItem(key, True, True, False, failed("boom")),
        HealthItem(key, True, True, False, failed("later")),
    ]
    found = aggregate(items)
    assert found.status == "Unknown"
    assert found.error == (
        "error setting app health: failed to get resource health for "
        '"Deployment" with name "a" in namespace "ns": boom'
    )


def test_the_order_of_codes() -> None:  # 1.1
    for better, worse in itertools.pairwise(CODES):
        assert is_worse(better, worse)
        assert not is_worse(worse, better)
        assert not is_worse(better, better)
    assert not is_worse("Healthy", "")
    assert not is_worse("Healthy", "Nonsense")


@given(st.lists(st.sampled_from(CODES)))
def test_the_result_is_the_worst_of_what_counts(codes: list[str]) -> None:
    expected = max(codes, key=CODES.index, default="Healthy")
    assert aggregate([item(code) for code in codes]).status == expected


def test_json_leaves_out_what_is_empty() -> None:
    assert Health().to_json() == {}
    assert Health("Healthy").to_json() == {"status": "Healthy"}
    assert failed("x").to_json() == {"status": "Unknown", "message": "x"}
