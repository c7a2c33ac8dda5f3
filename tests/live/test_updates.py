"""Which updates count (health-and-resources.md 7.3)."""

from typing import Any

import pytest

from tiphys.live.updates import UpdateDigest, without
from tiphys.resources.identity import GroupKind, Manifest
from tiphys.settings.model import CompareOptions, IgnoreRules, ResourceOverride

KIND = GroupKind("apps", "Deployment")


def manifest(**parts: Any) -> Manifest:
    metadata = {"name": "a", "resourceVersion": "1", **parts.pop("metadata", {})}
    return {"kind": "Deployment", "metadata": metadata, "spec": {"replicas": 1}, **parts}


def same(digest: UpdateDigest, one: Manifest, two: Manifest) -> bool:
    return digest(KIND, one, True) == digest(KIND, two, True) != 0


@pytest.mark.parametrize(
    ("overrides", "changed", "is_same"),
    [
        pytest.param({}, manifest(metadata={"resourceVersion": "2", "generation": 3}), True, id="versions"),
        pytest.param({}, manifest(status={"x": 1}), True, id="status-by-default"),
        pytest.param({}, manifest(spec={"replicas": 2}), False, id="spec"),
        pytest.param(
            {
                "apps/Deployment": ResourceOverride(
                    ignore_differences=IgnoreRules(json_pointers=("/spec/replicas",))
                )
            },
            manifest(spec={"replicas": 2}),
            True,
            id="ignore-differences-count",
        ),
        pytest.param(
            {
                "*/*": ResourceOverride(
                    ignore_resource_updates=IgnoreRules(json_pointers=("/metadata/labels/a~1b",))
                )
            },
            manifest(metadata={"labels": {"a/b": "x"}}),
            False,
            id="emptied-parent-stays",
        ),
        pytest.param(
            {
                "ap*/*": ResourceOverride(
                    ignore_resource_updates=IgnoreRules(jq_path_expressions=(".spec.replicas",))
                )
            },
            manifest(spec={"replicas": 2}),
            True,
            id="jq-and-globs",
        ),
        pytest.param(
            {
                "{batch,apps}/{Job,Deploy*}": ResourceOverride(
                    ignore_resource_updates=IgnoreRules(json_pointers=("/spec/replicas",))
                )
            },
            manifest(spec={"replicas": 2}),
            True,
            id="globs-of-the-settings",
        ),
    ],
)
def test_rules(overrides: dict[str, ResourceOverride], changed: Manifest, is_same: bool) -> None:
    assert same(UpdateDigest(overrides, CompareOptions()), manifest(), changed) is is_same


def test_status_counts_when_asked_for() -> None:
    options = CompareOptions(ignore_differences_on_resource_updates=False)
    assert not same(UpdateDigest({}, options), manifest(), manifest(status={"x": 1}))
    off = CompareOptions(ignore_resource_status_field="none")
    assert not same(UpdateDigest({}, off), manifest(), manifest(status={"x": 1}))


def test_only_some_objects_are_eligible() -> None:
    digest = UpdateDigest({}, CompareOptions())
    annotation = {"argocd.argoproj.io/ignore-resource-updates": "true"}
    assert digest(KIND, manifest(), False) == 0
    assert digest(KIND, manifest(metadata={"annotations": annotation}), False) != 0
    assert digest(GroupKind("argoproj.io", "Application"), manifest(), False) != 0
    assert UpdateDigest({}, CompareOptions(), enabled=False)(KIND, manifest(), True) == 0


def test_without_leaves_the_original() -> None:
    original = {"a": [{"b": 1, "c": 2}]}
    assert without(original, ("a", "0", "b")) == {"a": [{"c": 2}]}
    assert original == {"a": [{"b": 1, "c": 2}]}
    assert without(original, ("a", "7", "b")) is original


def test_a_jq_rule_that_never_ends_ignores_nothing() -> None:
    endless = IgnoreRules(jq_path_expressions=('.spec[range(1; infinite) | select(. < 0) | "x"]',))
    rules = {"*/*": ResourceOverride(ignore_resource_updates=endless)}
    digest = UpdateDigest(rules, CompareOptions(), jq_timeout=lambda: 0.1)
    assert not same(digest, manifest(), manifest(spec={"replicas": 2}))
    assert same(digest, manifest(), manifest())


def test_a_changed_time_limit_of_jq_counts_at_once() -> None:  # sync.md 1.4
    slow = IgnoreRules(jq_path_expressions=(".spec.replicas | select([range(300000)] | length > 0)",))
    limits = [0.0001]
    rules = {"*/*": ResourceOverride(ignore_resource_updates=slow)}
    digest = UpdateDigest(rules, CompareOptions(), jq_timeout=lambda: limits[-1])
    changed = manifest(spec={"replicas": 2})
    for _ in range(4):  # late, and left out in the end
        assert not same(digest, manifest(spec={"replicas": 1}), changed)
    limits.append(60.0)
    assert same(digest, manifest(spec={"replicas": 1}), changed)
