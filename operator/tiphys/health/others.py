"""Built-in checks of the other kinds (health-and-resources.md 2.3), quirks included."""

import json
from typing import Any

from tiphys.health.model import DEGRADED, HEALTHY, PROGRESSING, SUSPENDED, UNKNOWN, Health
from tiphys.health.reading import Fields

HPA_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"

_CONDITION_KEYS = ("type", "status", "reason", "message")

_HPA_DEGRADED = {
    "AbleToScale": frozenset({"FailedGetScale", "FailedUpdateScale"}),
    "ScalingActive": frozenset(
        {
            "FailedGetResourceMetric",
            "FailedGetObjectMetric",
            "FailedGetPodsMetric",
            "FailedGetExternalMetric",
            "FailedComputeMetricsReplicas",
            "InvalidSelector",
        }
    ),
}


class ConversionError(Exception):
    """The conditions of an HPA v1 stand in an annotation that is no JSON list of objects."""


def job(obj: Fields) -> Health:
    """``batch/v1`` Job: types of conditions count, the status only for ``Suspended``."""
    failed = complete = suspended = False
    message = failure = ""
    for condition in obj.inner("status").items("conditions"):
        match condition.text("type"):
            case "Failed":
                failed = complete = True
                failure = condition.text("message")
            case "Complete":
                complete = True
                message = condition.text("message")
            case "Suspended":
                complete = True
                message = condition.text("message")
                if condition.text("status") == "True":
                    suspended = True
    if not complete:
        return Health(PROGRESSING, message)
    if failed:
        return Health(DEGRADED, failure)
    return Health(SUSPENDED if suspended else HEALTHY, message)


def persistent_volume_claim(obj: Fields) -> Health:
    """``v1`` PersistentVolumeClaim, by phase."""
    phases = {"Lost": DEGRADED, "Pending": PROGRESSING, "Bound": HEALTHY}
    return Health(phases.get(obj.inner("status").text("phase"), UNKNOWN))


def service(obj: Fields) -> Health:
    """``v1`` Service: only load balancers can be unready."""
    if obj.inner("spec").text("type") != "LoadBalancer":
        return Health(HEALTHY)
    return _load_balancer(obj)


def ingress(obj: Fields) -> Health:
    """Ingress of any version."""
    return _load_balancer(obj)


def _load_balancer(obj: Fields) -> Health:
    entries = obj.inner("status").inner("loadBalancer").length("ingress")
    return Health(HEALTHY if entries else PROGRESSING)


def api_service(obj: Fields) -> Health:
    """``apiregistration.k8s.io`` APIService, by its first ``Available`` condition."""
    for condition in obj.inner("status").items("conditions"):
        if condition.text("type") == "Available":
            code = HEALTHY if condition.text("status") == "True" else PROGRESSING
            return Health(code, f"{condition.text('reason')}: {condition.text('message')}")
    return Health(PROGRESSING, "Waiting to be processed")


def workflow(obj: Fields) -> Health:
    """``argoproj.io`` Workflow, by phase."""
    status = obj.inner("status")
    phases = {
        "": PROGRESSING,
        "Pending": PROGRESSING,
        "Running": PROGRESSING,
        "Succeeded": HEALTHY,
        "Failed": DEGRADED,
        "Error": DEGRADED,
    }
    return Health(phases.get(status.text("phase"), UNKNOWN), status.text("message"))


def autoscaler_v2(obj: Fields) -> Health:
    """``autoscaling/v2`` HorizontalPodAutoscaler."""
    conditions = obj.inner("status").items("conditions")
    return _autoscaler([{key: condition.text(key) for key in _CONDITION_KEYS} for condition in conditions])


def autoscaler_v1(obj: Fields) -> Health:
    """``autoscaling/v1``, whose conditions stand in an annotation (keys in any case).

    Raises:
        ConversionError: the annotation cannot be read.
    """
    text = obj.inner("metadata").texts("annotations").get(HPA_CONDITIONS, "")
    if not text:
        return _autoscaler([])
    try:
        decoded = json.loads(text)
    except ValueError as error:
        raise ConversionError(str(error)) from None
    if decoded is None:
        decoded = []
    if not isinstance(decoded, list) or not all(isinstance(entry, dict) for entry in decoded):
        raise ConversionError("expected a list of objects")
    return _autoscaler([_condition(entry) for entry in decoded])


def _condition(entry: dict[str, Any]) -> dict[str, str]:
    found = dict.fromkeys(_CONDITION_KEYS, "")
    for key, value in entry.items():
        if key.lower() in found and value is not None:
            if not isinstance(value, str):
                raise ConversionError(f"{key}: expected text")
            found[key.lower()] = value
    return found


def _autoscaler(conditions: list[dict[str, str]]) -> Health:
    for condition in conditions:
        if condition["reason"] in _HPA_DEGRADED.get(condition["type"], ()):
            return Health(DEGRADED, condition["message"])
    for condition in conditions:
        if condition["type"] in ("AbleToScale", "ScalingLimited") and condition["status"] == "True":
            return Health(HEALTHY, condition["message"])
    return Health(PROGRESSING, "Waiting to Autoscale")
