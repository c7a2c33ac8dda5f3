"""The other built-in checks (health-and-resources.md 2.3) and the decision order (1.2)."""

import json
from typing import Any

import pytest

from tests.health.building import condition, obj
from tiphys.health import Health, assess
from tiphys.settings.model import ResourceOverride

HPA = "autoscaling.alpha.kubernetes.io/conditions"
LB = {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}


def conditions(*found: dict[str, str]) -> dict[str, Any]:
    return {"status": {"conditions": list(found)}}


CASES = [
    ("Job running", obj("Job"), "Progressing", ""),
    ("Job complete", obj("Job", **conditions(condition("Complete", message="done"))), "Healthy", "done"),
    (
        "Job complete, status not looked at",
        obj("Job", **conditions(condition("Complete", "False", message="m"))),
        "Healthy",
        "m",
    ),
    (
        "Job failed",
        obj("Job", **conditions(condition("Complete", message="c"), condition("Failed", message="f"))),
        "Degraded",
        "f",
    ),
    (
        "Job failed, then complete",
        obj("Job", **conditions(condition("Failed", message="f"), condition("Complete", message="c"))),
        "Degraded",
        "f",
    ),
    ("Job suspended", obj("Job", **conditions(condition("Suspended", message="s"))), "Suspended", "s"),
    (
        "Job resumed (quirk)",
        obj("Job", **conditions(condition("Suspended", "False", message="s"))),
        "Healthy",
        "s",
    ),
    ("Job other condition", obj("Job", **conditions(condition("SuccessCriteriaMet"))), "Progressing", ""),
    ("PVC lost", obj("PersistentVolumeClaim", status={"phase": "Lost"}), "Degraded", ""),
    ("PVC pending", obj("PersistentVolumeClaim", status={"phase": "Pending"}), "Progressing", ""),
    ("PVC bound", obj("PersistentVolumeClaim", status={"phase": "Bound"}), "Healthy", ""),
    ("PVC without phase", obj("PersistentVolumeClaim"), "Unknown", ""),
    ("Service", obj("Service", spec={"type": "ClusterIP"}), "Healthy", ""),
    ("Service without type", obj("Service"), "Healthy", ""),
    ("Service waiting", obj("Service", spec={"type": "LoadBalancer"}), "Progressing", ""),
    ("Service balanced", obj("Service", spec={"type": "LoadBalancer"}, status=LB), "Healthy", ""),
    ("Ingress waiting", obj("Ingress"), "Progressing", ""),
    ("Ingress empty list", obj("Ingress", status={"loadBalancer": {"ingress": []}}), "Progressing", ""),
    ("Ingress", obj("Ingress", status=LB), "Healthy", ""),
    (
        "Ingress entries not inspected",
        obj("Ingress", status={"loadBalancer": {"ingress": [{}]}}),
        "Healthy",
        "",
    ),
    ("Ingress of extensions", obj("Ingress", api_version="extensions/v1beta1", status=LB), "Healthy", ""),
    ("HPA new", obj("HorizontalPodAutoscaler"), "Progressing", "Waiting to Autoscale"),
    (
        "HPA able",
        obj("HorizontalPodAutoscaler", **conditions(condition("AbleToScale", message="ok"))),
        "Healthy",
        "ok",
    ),
    (
        "HPA limited",
        obj(
            "HorizontalPodAutoscaler",
            **conditions(condition("AbleToScale", "False"), condition("ScalingLimited", message="l")),
        ),
        "Healthy",
        "l",
    ),
    (
        "HPA active only",
        obj("HorizontalPodAutoscaler", **conditions(condition("ScalingActive"))),
        "Progressing",
        "Waiting to Autoscale",
    ),
    (
        "HPA v1 without annotation",
        obj("HorizontalPodAutoscaler", api_version="autoscaling/v1"),
        "Progressing",
        "Waiting to Autoscale",
    ),
    (
        "HPA v1",
        obj(
            "HorizontalPodAutoscaler",
            api_version="autoscaling/v1",
            metadata={
                "annotations": {HPA: json.dumps([{"Type": "AbleToScale", "STATUS": "True", "message": "m"}])}
            },
        ),
        "Healthy",
        "m",
    ),
    (
        "HPA v1 empty list",
        obj("HorizontalPodAutoscaler", api_version="autoscaling/v1", metadata={"annotations": {HPA: "[]"}}),
        "Progressing",
        "Waiting to Autoscale",
    ),
    ("APIService new", obj("APIService"), "Progressing", "Waiting to be processed"),
    (
        "APIService available",
        obj("APIService", **conditions(condition("Available", "True", "Passed", "all"))),
        "Healthy",
        "Passed: all",
    ),
    (
        "APIService unavailable",
        obj("APIService", **conditions(condition("Available", "False", "No", "why"))),
        "Progressing",
        "No: why",
    ),
    (
        "APIService beta",
        obj(
            "APIService",
            api_version="apiregistration.k8s.io/v1beta1",
            **conditions(condition("Available", "True", "P", "a")),
        ),
        "Healthy",
        "P: a",
    ),
    *(
        (
            f"HPA {type_} {reason}",
            obj(
                "HorizontalPodAutoscaler",
                **conditions(condition("AbleToScale"), condition(type_, "True", reason, "bad")),
            ),
            "Degraded",
            "bad",
        )
        for type_, reason in (
            ("AbleToScale", "FailedGetScale"),
            ("AbleToScale", "FailedUpdateScale"),
            ("ScalingActive", "FailedGetResourceMetric"),
            ("ScalingActive", "FailedGetObjectMetric"),
            ("ScalingActive", "FailedGetPodsMetric"),
            ("ScalingActive", "FailedGetExternalMetric"),
            ("ScalingActive", "FailedComputeMetricsReplicas"),
            ("ScalingActive", "InvalidSelector"),
        )
    ),
    *(
        (f"Workflow {phase}", obj("Workflow", status={"phase": phase, "message": "m"}), code, "m")
        for phase, code in (
            ("", "Progressing"),
            ("Pending", "Progressing"),
            ("Running", "Progressing"),
            ("Succeeded", "Healthy"),
            ("Failed", "Degraded"),
            ("Error", "Degraded"),
            ("Odd", "Unknown"),
        )
    ),
]


@pytest.mark.parametrize(("manifest", "code", "message"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_check(manifest: dict[str, Any], code: str, message: str) -> None:
    health = assess(manifest)
    assert health is not None
    assert (health.status, health.message, health.error) == (code, message, "")


ERRORS = [
    (
        obj("HorizontalPodAutoscaler", api_version="autoscaling/v2beta2"),
        "unsupported HPA GVK: autoscaling/v2beta2, Kind=HorizontalPodAutoscaler",
    ),
    (obj("Job", api_version="batch/v1beta1"), "unsupported Job GVK: batch/v1beta1, Kind=Job"),
    (obj("Pod", api_version="v2"), "unsupported Pod GVK: v2, Kind=Pod"),
    (
        obj("HorizontalPodAutoscaler", api_version="autoscaling/v1", metadata={"annotations": {HPA: "{"}}),
        "failed to convert conditions annotation to typed: ",
    ),
    (
        obj(
            "HorizontalPodAutoscaler",
            api_version="autoscaling/v1",
            metadata={"annotations": {HPA: '[{"type":1}]'}},
        ),
        "failed to convert conditions annotation to typed: ",
    ),
    (obj("Pod", status={"phase": 3}), "failed to convert unstructured Pod to typed: status.phase"),
]


@pytest.mark.parametrize(("manifest", "text"), ERRORS)
def test_errors_are_unknown_with_the_text(manifest: dict[str, Any], text: str) -> None:
    health = assess(manifest)
    assert health is not None
    assert health.status == "Unknown"
    assert health.message.startswith(text)
    assert health.error == health.message


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("v1", "ConfigMap"),
        ("argoproj.io/v1alpha1", "Application"),
        ("batch/v2", "Nothing"),
        ("x.io/v1", "Pod"),
    ],
)
def test_other_kinds_have_no_health(api_version: str, kind: str) -> None:  # 1.2 step 7, 1.5
    assert assess({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}}) is None


DELETED = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
SCRIPT = ResourceOverride(health_lua='return {status="Suspended", message=obj.kind}')
OTHER = ResourceOverride(health_lua='return {status="Degraded"}')
EMPTY = ResourceOverride(actions="x")


def test_deletion_beats_everything() -> None:  # 1.2 step 1
    health = assess(obj("Deployment", metadata=DELETED), {"apps/Deployment": SCRIPT})
    assert health == Health("Progressing", "Pending deletion")
    hook = DELETED | {"finalizers": ["argocd.argoproj.io/hook-finalizer"]}
    assert assess(obj("Job", metadata=hook, **conditions(condition("Complete")))) == Health("Healthy", "")


ORDER = [
    ("exact beats glob", "apps/v1", "Deployment", {"*": OTHER, "apps/Deployment": SCRIPT}, "Suspended"),
    ("glob beats built-in", "apps/v1", "Deployment", {"app*/*": SCRIPT}, "Suspended"),
    ("a star crosses dots and slashes", "a.b.c/v1", "X", {"*.c/*": SCRIPT}, "Suspended"),
    ("core kinds are written bare", "v1", "Service", {"Service": SCRIPT}, "Suspended"),
    ("*/* never means core kinds", "v1", "Service", {"*/*": SCRIPT}, "Healthy"),
    ("* means core kinds", "v1", "Service", {"*": SCRIPT}, "Suspended"),
    ("an override without script does not count", "v1", "Service", {"Service": EMPTY}, "Healthy"),
    ("exact without script, glob with", "v1", "Service", {"Service": EMPTY, "Serv*": SCRIPT}, "Suspended"),
    ("an invalid glob never matches", "v1", "Service", {"[": SCRIPT}, "Healthy"),
    (
        "of several globs the first sorted",
        "v1",
        "Service",
        {"S*": SCRIPT, "Z*": OTHER, "Se*": OTHER},
        "Suspended",
    ),
]


@pytest.mark.parametrize(
    ("api_version", "kind", "overrides", "code"), [c[1:] for c in ORDER], ids=[c[0] for c in ORDER]
)
def test_decision_order(
    api_version: str, kind: str, overrides: dict[str, ResourceOverride], code: str
) -> None:
    health = assess(obj(kind, api_version=api_version), overrides)
    assert health is not None
    assert health.status == code


def test_bundled_rules_stand_between_users_scripts_and_built_in_checks() -> None:  # 1.2 steps 4 and 5
    def bundled(manifest: dict[str, Any]) -> Health | None:
        return Health("Progressing", "bundled") if manifest["kind"] == "Service" else None

    service, deployment = obj("Service"), obj("Deployment", spec={"paused": True})
    assert assess(service, bundled=bundled) == Health("Progressing", "bundled")
    assert assess(service, {"Service": OTHER}, bundled=bundled) == Health("Degraded")
    assert assess(deployment, bundled=bundled) == Health("Suspended", "Deployment is paused")
