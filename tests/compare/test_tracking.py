"""Tracking marks (sync.md 2): written, read, believed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compare.samples import sample
from tiphys.compare.tracking import (
    ANNOTATION_AND_LABEL,
    INSTALLATION_ANNOTATION,
    LABEL,
    LEGACY_LABEL,
    TRACKING_ANNOTATION,
    Tracking,
    TrackingError,
    parse_tracking_id,
    truncated_label,
)
from tiphys.resources.identity import ResourceKey

SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "ns"}}
ROLE = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "a:b"}}
CRD = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "x"}}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("app:/Service:ns/svc", ResourceKey("", "Service", "ns", "svc")),
        ("a_b:apps/Deployment:ns/d", ResourceKey("apps", "Deployment", "ns", "d")),
        ("app:g/ClusterRole:ns/system:x", ResourceKey("g", "ClusterRole", "ns", "system:x")),
        ("app", None),
        ("app:Service:ns/svc", None),
        ("app:/Service:svc", None),
        ("app:a/b/c:ns/svc", None),
    ],
)
def test_tracking_ids(text: str, key: ResourceKey | None) -> None:  # sync.md 2.2
    parsed = parse_tracking_id(text)
    assert (parsed.key if parsed else None) == key


@pytest.mark.parametrize(
    ("method", "manifest", "annotation", "label"),
    [
        ("annotation", SERVICE, "app:/Service:ns/s", None),
        ("", SERVICE, "app:/Service:ns/s", None),
        ("annotation", ROLE, "app:rbac.authorization.k8s.io/ClusterRole:dest/a:b", None),
        (ANNOTATION_AND_LABEL, SERVICE, "app:/Service:ns/s", "app"),
        (LABEL, SERVICE, None, "app"),
        ("annotation", CRD, None, None),
        ("annotation", {**SERVICE, "metadata": {"name": "s", "labels": None, "annotations": None}},
         "app:/Service:dest/s", None),
    ],
)  # fmt: skip
def test_stamp_and_read_back(method: str, manifest: Any, annotation: str | None, label: str | None) -> None:
    tracking = Tracking(method)
    stamped = tracking.stamp(manifest, "app", "dest")
    assert (stamped["metadata"].get("annotations") or {}).get(TRACKING_ANNOTATION) == annotation
    assert (stamped["metadata"].get("labels") or {}).get(tracking.label_key) == label
    assert tracking.app_instance(stamped) == ("app" if annotation or label else "")
    assert TRACKING_ANNOTATION not in str(manifest)  # the input is not changed


def test_installation_id_must_match_when_configured() -> None:  # sync.md 2.3
    ours, theirs, none = Tracking(installation_id="a"), Tracking(installation_id="b"), Tracking()
    stamped = ours.stamp(SERVICE, "app", "")
    assert stamped["metadata"]["annotations"][INSTALLATION_ANNOTATION] == "a"
    assert (ours.app_instance(stamped), theirs.app_instance(stamped)) == ("app", "")
    assert none.app_instance(stamped) == "app"
    assert INSTALLATION_ANNOTATION not in none.stamp(stamped, "app", "")["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("short", "short"), ("x" * 63, "x" * 63), ("x" * 70, "x" * 63), ("x" * 60 + "-._-abc", "x" * 60)],
)
def test_label_truncation(value: str, expected: str) -> None:  # sync.md 2.3
    assert truncated_label(value) == expected


def test_label_that_cannot_be_truncated() -> None:
    with pytest.raises(TrackingError, match="unable to truncate label"):
        truncated_label("-" * 70)


def test_values_that_are_no_text_are_refused() -> None:
    with pytest.raises(TrackingError, match="failed to get annotations from target object v1, Kind=Service"):
        Tracking().stamp({**SERVICE, "metadata": {"name": "s", "annotations": {"a": 1}}}, "app", "")


def test_legacy_label_goes_to_pod_templates() -> None:  # sync.md 2.3
    stamped = Tracking(LABEL, LEGACY_LABEL).stamp(sample("Deployment"), "app", "")
    assert stamped["spec"]["template"]["metadata"]["labels"][LEGACY_LABEL] == "app"
    assert LEGACY_LABEL not in stamped["spec"]["selector"]["matchLabels"]


@pytest.mark.parametrize(
    ("live", "tracking_id", "target", "expected"),
    [
        (ResourceKey("", "Service", "ns", "s"), "app:/Service:ns/s", None, True),
        (ResourceKey("", "Service", "ns", "copy"), "app:/Service:ns/s", None, False),
        (ResourceKey("", "Service", "other", "s"), "app:/Service:ns/s", None, False),
        (ResourceKey("g", "ClusterRole", "", "r"), "app:g/ClusterRole:dest/r", None, True),
        (ResourceKey("", "Service", "ns", "s"), "", None, True),
        (ResourceKey("", "Service", "ns", "s"), "nonsense", None, True),
        # the group moved: the target decides, not the old id
        (
            ResourceKey("networking.k8s.io", "Ingress", "ns", "i"),
            "app:extensions/Ingress:ns/i",
            ResourceKey("networking.k8s.io", "Ingress", "ns", "i"),
            True,
        ),
    ],
)
def test_self_reference(
    live: ResourceKey, tracking_id: str, target: ResourceKey | None, expected: bool
) -> None:  # sync.md 2.5
    assert Tracking().refers_to(live, tracking_id, target) is expected
    assert Tracking(LABEL).refers_to(live, tracking_id, target) is True


def test_migration_from_label_to_annotation() -> None:  # sync.md 2.6
    tracking = Tracking()
    target = tracking.stamp(SERVICE, "app", "")
    live = Tracking(LABEL).stamp(SERVICE, "app", "")
    migrated = tracking.migrate_live(live, target)
    assert migrated["metadata"]["annotations"] == target["metadata"]["annotations"]
    assert "labels" not in migrated["metadata"]
    other = tracking.stamp(live, "other", "")
    assert tracking.migrate_live(other, target)["metadata"]["annotations"] == other["metadata"]["annotations"]
