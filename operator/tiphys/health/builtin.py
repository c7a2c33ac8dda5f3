"""Which built-in check a kind has (health-and-resources.md 2): one table, one interpreter.

A kind is found by group and kind; a version the check does not know is an error of the
assessment, as is an object whose fields have the wrong types.
"""

from collections.abc import Callable, Mapping

import msgspec

from tiphys.health import others, workloads
from tiphys.health.hooks import is_hook
from tiphys.health.model import Health, failed
from tiphys.health.pods import pod
from tiphys.health.reading import FieldError, Fields
from tiphys.resources.identity import GVK, GroupKind, Manifest


class Check(msgspec.Struct, frozen=True):
    """How a kind is assessed: its name in messages, and a function for each version (``*``: any)."""

    name: str
    versions: Mapping[str, Callable[[Fields], Health]]


_ANY = "*"
_INGRESS = Check("Ingress", {_ANY: others.ingress})

CHECKS: Mapping[GroupKind, Check] = {
    GroupKind("apps", "Deployment"): Check("Deployment", {"v1": workloads.deployment}),
    GroupKind("apps", "StatefulSet"): Check("StatefulSet", {"v1": workloads.stateful_set}),
    GroupKind("apps", "ReplicaSet"): Check("ReplicaSet", {"v1": workloads.replica_set}),
    GroupKind("apps", "DaemonSet"): Check("DaemonSet", {"v1": workloads.daemon_set}),
    GroupKind("", "Service"): Check("Service", {"v1": others.service}),
    GroupKind("", "PersistentVolumeClaim"): Check(
        "PersistentVolumeClaim", {"v1": others.persistent_volume_claim}
    ),
    GroupKind("batch", "Job"): Check("Job", {"v1": others.job}),
    GroupKind("autoscaling", "HorizontalPodAutoscaler"): Check(
        "HPA", {"v1": others.autoscaler_v1, "v2": others.autoscaler_v2}
    ),
    GroupKind("apiregistration.k8s.io", "APIService"): Check(
        "APIService", {"v1": others.api_service, "v1beta1": others.api_service}
    ),
    GroupKind("extensions", "Ingress"): _INGRESS,
    GroupKind("networking.k8s.io", "Ingress"): _INGRESS,
    GroupKind("argoproj.io", "Workflow"): Check("Workflow", {_ANY: others.workflow}),
}

_POD = GroupKind("", "Pod")


def builtin(manifest: Manifest, gvk: GVK) -> Health | None:
    """The built-in verdict, ``None`` when the kind has none; never raises for a bad object."""
    if gvk.group_kind == _POD:
        check = Check("Pod", {"v1": lambda fields: pod(fields, is_hook=is_hook(manifest))})
    else:
        found = CHECKS.get(gvk.group_kind)
        if found is None:
            return None
        check = found
    assess = check.versions.get(gvk.version) or check.versions.get(_ANY)
    if assess is None:
        return failed(f"unsupported {check.name} GVK: {gvk.api_version}, Kind={gvk.kind}")
    try:
        return assess(Fields(manifest))
    except FieldError as error:
        return failed(f"failed to convert unstructured {check.name} to typed: {error}")
    except others.ConversionError as error:
        return failed(f"failed to convert conditions annotation to typed: {error}")
