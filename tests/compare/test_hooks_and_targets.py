"""Hooks (sync.md 9.1), options (1.1) and the preparation of targets (3.1, 3.2, findings)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.compare.samples import objects, sample
from tiphys.compare import hooks
from tiphys.compare.normalize import normalize
from tiphys.compare.quantities import canonical_quantity
from tiphys.compare.targets import PreparedTargets, TargetError, prepare_targets
from tiphys.compare.tracking import TRACKING_ANNOTATION, Tracking

ARGO, HELM = hooks.HOOK, hooks.HELM_HOOK


def pod(name: str = "p", **annotations: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": dict(annotations)},
    }


def annotated(annotations: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "annotations": annotations}}


@pytest.mark.parametrize(
    ("annotations", "is_hook", "types", "skipped"),
    [
        ({}, False, (), False),
        ({ARGO: "PreSync"}, True, ("PreSync",), False),
        ({ARGO: " PreSync , PostSync,PreSync"}, True, ("PreSync", "PostSync"), False),
        ({ARGO: "Skip"}, False, ("Skip",), True),
        ({ARGO: "Skip,PreSync"}, True, ("Skip", "PreSync"), False),
        ({ARGO: "garbage"}, True, (), False),
        ({ARGO: "garbage", HELM: "post-install"}, True, ("PostSync",), False),
        ({HELM: "pre-install,pre-upgrade"}, True, ("PreSync",), False),
        ({HELM: "crd-install"}, False, (), False),
        ({HELM: "test"}, True, (), False),
        ({HELM: "pre-delete"}, True, ("PreDelete",), False),
        ({ARGO: "presync"}, True, (), False),
    ],
)
def test_recognition(
    annotations: dict[str, str], is_hook: bool, types: tuple[str, ...], skipped: bool
) -> None:
    manifest = annotated(annotations)
    assert hooks.is_hook(manifest) is is_hook
    assert hooks.hook_types(manifest) == types
    assert hooks.is_skipped(manifest) is skipped
    assert hooks.is_ignored(manifest) is (is_hook and not types)


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, ("BeforeHookCreation",)),
        ({hooks.HOOK_DELETE_POLICY: "HookSucceeded"}, ("HookSucceeded",)),
        ({hooks.HOOK_DELETE_POLICY: "x"}, ("BeforeHookCreation",)),
        (
            {hooks.HOOK_DELETE_POLICY: "HookFailed", hooks.HELM_DELETE_POLICY: "hook-succeeded,hook-failed"},
            ("HookFailed", "HookSucceeded"),
        ),
    ],
)
def test_delete_policies(annotations: dict[str, str], expected: tuple[str, ...]) -> None:
    assert hooks.delete_policies(annotated(annotations)) == expected


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, 0),
        ({hooks.SYNC_WAVE: "-3"}, -3),
        ({hooks.SYNC_WAVE: "+2"}, 2),
        ({hooks.SYNC_WAVE: " 2"}, 0),
        ({hooks.SYNC_WAVE: "x", hooks.HELM_WEIGHT: "7"}, 7),
        ({hooks.SYNC_WAVE: "1", hooks.HELM_WEIGHT: "7"}, 1),
    ],
)
def test_waves(annotations: dict[str, str], expected: int) -> None:
    assert hooks.wave(annotated(annotations)) == expected


def test_options() -> None:  # sync.md 1.1
    options = hooks.sync_options(
        annotated({hooks.SYNC_OPTIONS: " Prune=false, Replace=true,,Prune=x,Replace=true"})
    )
    assert options == ("Prune=false", "Replace=true", "Prune=x")
    assert options.has("Replace=true")
    assert not options.has("replace=true")
    assert options.value("Prune") == "false"
    assert options.value("Delete") is None


def prepare(manifests: list[dict[str, Any]], **changes: Any) -> PreparedTargets:
    known = {"ClusterRole": False, "CustomResourceDefinition": False, "Pod": True}
    arguments: dict[str, Any] = {
        "is_namespaced": lambda group, kind: known.get(kind),
        "destination_namespace": "dest",
        "tracking": Tracking(),
        "instance": "app",
        "is_excluded": lambda group, kind: kind == "Lease",
        **changes,
    }
    return prepare_targets(manifests, **arguments)


def test_namespaces_and_tracking() -> None:  # sync.md 3.2, 2.3
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    prepared = prepare(
        [
            pod(),
            {"apiVersion": "r/v1", "kind": "ClusterRole", "metadata": {"name": "c", "namespace": "x"}},
            {"apiVersion": "x/v1", "kind": "Unknown", "metadata": {"name": "u"}},
            {**crd, "metadata": {"name": "plain"}},
            {**crd, "metadata": {"name": "moved", "namespace": "x"}},
        ]
    )
    ids = [
        (target.key.namespace, target.manifest()["metadata"].get("annotations", {}).get(TRACKING_ANNOTATION))
        for target in prepared.targets
    ]
    assert ids == [
        ("dest", "app:/Pod:dest/p"),
        ("", "app:r/ClusterRole:dest/c"),
        ("dest", "app:x/Unknown:dest/u"),
        ("", None),
        ("", "app:apiextensions.k8s.io/CustomResourceDefinition:dest/moved"),
    ]


def test_repeated_and_excluded_objects_are_told() -> None:  # sync.md 3.1, 3.2
    generated = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "g-"}}
    lease = {"apiVersion": "c/v1", "kind": "Lease", "metadata": {"name": "l"}}
    prepared = prepare([pod(a="first"), pod(a="last"), generated, generated, lease])
    assert [t.manifest()["metadata"].get("annotations", {}).get("a") for t in prepared.targets] == [
        "last",
        None,
        None,
    ]
    assert prepared.conditions == (
        ("RepeatedResourceWarning", "Resource /Pod/dest/p appeared 2 times among application resources."),
        ("ExcludedResourceWarning", "Resource c/Lease l is excluded in the settings"),
    )


def test_a_namespace_that_nobody_gave_is_told() -> None:  # sync.md 8.3
    role = {"apiVersion": "r/v1", "kind": "ClusterRole", "metadata": {"name": "c"}}
    unknown = {"apiVersion": "x/v1", "kind": "Unknown", "metadata": {"name": "u"}}
    lease = {"apiVersion": "c/v1", "kind": "Lease", "metadata": {"name": "l"}}
    found = prepare([pod(), role, unknown, lease], destination_namespace="").conditions
    assert [text for kind, text in found if kind == "InvalidSpecError"] == [
        "Namespace for p /v1, Kind=Pod is missing."
    ]


def test_hooks_are_split_from_targets() -> None:  # sync.md 3.1 step 9, 3.5
    named = {
        "plain": {},
        "skip": {ARGO: "Skip"},
        "pre": {ARGO: "PreSync"},
        "both": {ARGO: "PreDelete,Sync"},
        "gone": {ARGO: "PostDelete"},
        "ignored": {HELM: "test"},
    }
    prepared = prepare(
        [{**pod(name), "metadata": {"name": name, "annotations": a}} for name, a in named.items()]
    )
    assert [target.key.name for target in prepared.targets] == ["plain", "skip"]
    assert [target.key.name for target in prepared.hooks] == ["pre", "both"]
    assert [target.key.name for target in prepared.delete_hooks] == ["gone"]


def test_errors_name_the_object() -> None:
    with pytest.raises(
        TargetError, match="failed to set app instance label on resource Pod/p: failed to get"
    ):
        prepare([{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "annotations": {"a": 1}}}])


def test_digest_is_of_the_content() -> None:
    one, other = prepare([pod(a="1")]).targets[0], prepare([pod(a="2")]).targets[0]
    assert one.digest != other.digest
    assert one.digest == prepare([pod(a="1")]).targets[0].digest


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("1000m", "1"), ("1024Mi", "1Gi"), ("2147483648", "2147483648"), ("0.1", "100m"), (2, "2"),
        ("1.5Gi", "1536Mi"), ("1000", "1k"), ("1e3", "1e3"), ("0.5Ki", "512"), ("1E", "1E"), (0.5, "500m"),
        ("0.0000000001", "1n"), ("-1000m", "-1"), ("5E3", "5e3"), ("nonsense", "nonsense"), (None, None),
    ],
)  # fmt: skip
def test_quantities(given: Any, stored: Any) -> None:  # findings: normalisation
    assert canonical_quantity(given) == stored


def test_normalisation_of_built_in_kinds() -> None:
    deployment = normalize(sample("Deployment"))
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"] == {
        "requests": {"cpu": "1", "memory": "1Gi"},
        "limits": {"cpu": "2", "memory": "2Gi"},
    }
    assert "creationTimestamp" not in str(deployment)
    assert normalize({**deployment, "status": {"replicas": 1}}) == deployment


def test_normalisation_of_secrets() -> None:  # sync.md 4.3
    secret = normalize(
        {**sample("Secret"), "stringData": {"a": "new", "n": 1}, "data": {"a": "YQ==", "z": None}}
    )
    assert secret["data"] == {"a": "bmV3", "n": 1, "z": ""}
    assert "stringData" not in secret


def test_normalisation_leaves_custom_kinds_alone() -> None:
    blob = sample("Blob")
    assert normalize(blob) == blob


def test_normalisation_changes_no_input_and_is_stable() -> None:
    for written in objects("ns"):
        before = copy.deepcopy(written)
        once = normalize(written)
        assert written == before
        assert normalize(once) == once
