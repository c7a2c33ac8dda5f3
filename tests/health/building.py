"""Short ways to write live objects."""

from typing import Any

from tiphys.resources.identity import Manifest

API_VERSIONS = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "ReplicaSet": "apps/v1",
    "Pod": "v1",
    "Service": "v1",
    "PersistentVolumeClaim": "v1",
    "Job": "batch/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "APIService": "apiregistration.k8s.io/v1",
    "Ingress": "networking.k8s.io/v1",
    "Workflow": "argoproj.io/v1alpha1",
}


def obj(
    kind: str, *, api_version: str = "", metadata: dict[str, Any] | None = None, **parts: Any
) -> Manifest:
    return {
        "apiVersion": api_version or API_VERSIONS[kind],
        "kind": kind,
        "metadata": {"name": "x", "namespace": "ns", "generation": 2, **(metadata or {})},
        **parts,
    }


def condition(type_: str, status: str = "True", reason: str = "", message: str = "") -> dict[str, str]:
    return {"type": type_, "status": status, "reason": reason, "message": message}
