"""Write ``operator/tiphys/compare/kind_schemas.json`` from an API server's OpenAPI document.

    kubectl get --raw /openapi/v2 > openapi.json
    python tools/generate_kind_schemas.py openapi.json

The table says of every built-in kind what comparing and client-side apply need and JSON itself
does not tell: which lists are keyed by what (for strategic merge and for server-side apply, whose
answers differ), which maps are atomic, where quantities, bytes and times stand, which fields sit
behind feature gates, and whether ``status`` is a subresource. Custom kinds that happen to be
installed on the server are left out.

OpenAPI does not carry the values that the API server fills in; ``DEFAULTS`` names those that are
the same always, whatever stands beside them (two lookups depend on ``kind``: ``BY_KIND``).
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).parent.parent / "operator" / "tiphys" / "compare" / "kind_schemas.json"
BUILT_IN = re.compile(r"io\.k8s\.(api\.|apiextensions-apiserver\.|apimachinery\.|kube-aggregator\.)")
SHORT = (
    ("io.k8s.api.", ""),
    ("io.k8s.apimachinery.pkg.apis.", ""),
    ("io.k8s.apiextensions-apiserver.pkg.apis.", ""),
    ("io.k8s.kube-aggregator.pkg.apis.", ""),
)
SPECIAL = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "q",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "x",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "t",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "t",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Duration": "t",
}
SCALARS = {"string": "s", "integer": "i", "number": "n", "boolean": "b"}

_RBAC = "rbac.authorization.k8s.io"
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_CONTAINER = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
_WEBHOOK = {
    "matchPolicy": "Equivalent",
    "timeoutSeconds": 10,
    "failurePolicy": "Fail",
    "namespaceSelector": {},
    "objectSelector": {},
}
DEFAULTS: dict[str, dict[str, Any]] = {
    "core.v1.ContainerPort": {"protocol": "TCP"},
    "core.v1.ServicePort": {"protocol": "TCP"},
    "core.v1.EndpointPort": {"protocol": "TCP"},
    "networking.v1.NetworkPolicyPort": {"protocol": "TCP"},
    "core.v1.ObjectFieldSelector": {"apiVersion": "v1"},
    "core.v1.Container": _CONTAINER,
    "core.v1.EphemeralContainer": _CONTAINER,
    "core.v1.Probe": _PROBE,
    "core.v1.HTTPGetAction": {"path": "/", "scheme": "HTTP"},
    "core.v1.GRPCAction": {"service": ""},
    "core.v1.ConfigMapVolumeSource": {"defaultMode": 420},
    "core.v1.SecretVolumeSource": {"defaultMode": 420},
    "core.v1.ProjectedVolumeSource": {"defaultMode": 420},
    "core.v1.DownwardAPIVolumeSource": {"defaultMode": 420},
    "core.v1.ServiceAccountTokenProjection": {"expirationSeconds": 3600},
    "core.v1.HostPathVolumeSource": {"type": ""},
    "core.v1.PersistentVolumeClaim": {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "status": {"phase": "Pending"},
    },
    "core.v1.PersistentVolumeClaimSpec": {"volumeMode": "Filesystem"},
    "core.v1.PodSpec": {
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    },
    "core.v1.ServiceSpec": {"sessionAffinity": "None", "type": "ClusterIP"},
    "apps.v1.DeploymentSpec": {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
    },
    "apps.v1.DeploymentStrategy": {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    },
    "apps.v1.RollingUpdateDeployment": {"maxSurge": "25%", "maxUnavailable": "25%"},
    "apps.v1.StatefulSetSpec": {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
    },
    "apps.v1.DaemonSetSpec": {
        "revisionHistoryLimit": 10,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
    },
    "batch.v1.CronJobSpec": {
        "concurrencyPolicy": "Allow",
        "suspend": False,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
    },
    "autoscaling.v2.HorizontalPodAutoscalerSpec": {"minReplicas": 1},
    "rbac.v1.RoleRef": {"apiGroup": _RBAC},
    "admissionregistration.v1.RuleWithOperations": {"scope": "*"},
    "admissionregistration.v1.ServiceReference": {"port": 443},
    "admissionregistration.v1.ValidatingWebhook": _WEBHOOK,
    "admissionregistration.v1.MutatingWebhook": {**_WEBHOOK, "reinvocationPolicy": "Never"},
    "scheduling.v1.PriorityClass": {"preemptionPolicy": "PreemptLowerPriority"},
    "storage.v1.StorageClass": {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
}
BY_KIND = {"rbac.v1.Subject": {"apiGroup": {"User": _RBAC, "Group": _RBAC}}}


def short(name: str) -> str:
    for prefix, instead in SHORT:
        if name.startswith(prefix):
            return instead + name[len(prefix) :]
    return name


class Table:
    def __init__(self, document: dict[str, Any]):
        self.definitions = document["definitions"]
        self.types: dict[str, Any] = {}

    def spec(self, schema: dict[str, Any], *, gated: bool = False) -> Any:
        """A field's shape: one letter, or ``[letter, argument, attributes]``."""
        attributes: dict[str, Any] = {}
        if gated:
            attributes["g"] = 1
        for strategy in (schema.get("x-kubernetes-patch-strategy") or "").split(","):
            if strategy == "retainKeys":
                attributes["rk"] = 1
            elif strategy:
                attributes["p"] = strategy
        if "x-kubernetes-patch-merge-key" in schema:
            attributes["mk"] = schema["x-kubernetes-patch-merge-key"]
        if schema.get("x-kubernetes-map-type") == "atomic":
            attributes["a"] = 1
        reference = schema.get("$ref", "").removeprefix("#/definitions/")
        if reference:
            code, argument = self.reference(reference)
        elif schema.get("type") == "array":
            code, argument = "l", self.spec(schema["items"])
            kind = schema.get("x-kubernetes-list-type", "atomic")
            if kind == "map":
                attributes["k"] = schema["x-kubernetes-list-map-keys"]
            elif kind == "set":
                attributes["e"] = 1
        elif "additionalProperties" in schema:
            code, argument = "m", self.spec(schema["additionalProperties"])
        elif schema.get("format") == "byte":
            code, argument = "y", None
        elif schema.get("format") == "int-or-string":
            code, argument = "x", None
        else:
            code, argument = SCALARS.get(schema.get("type", ""), "j"), None
        if attributes:
            return [code, argument, attributes]
        return code if argument is None else [code, argument]

    def reference(self, name: str) -> tuple[str, Any]:
        if name in SPECIAL:
            return SPECIAL[name], None
        definition = self.definitions[name]
        if not definition.get("properties"):
            if definition.get("type") in SCALARS:
                return SCALARS[definition["type"]], None
            return "j", None
        self.add(name)
        return "r", short(name)

    def add(self, name: str) -> None:
        key = short(name)
        if key in self.types:
            return
        definition = self.definitions[name]
        entry: dict[str, Any] = {}
        self.types[key] = entry
        if definition.get("x-kubernetes-map-type") == "atomic":
            entry["a"] = 1
        if key in DEFAULTS:
            entry["d"] = DEFAULTS[key]
        if key in BY_KIND:
            entry["dk"] = BY_KIND[key]
        entry["f"] = {}
        for field, schema in definition["properties"].items():
            text = schema.get("description", "").lower()
            gated = "alpha" in text or "feature gate" in text or "featuregate" in text
            if field == "managedFields" and key.endswith("ObjectMeta"):
                entry["f"][field] = "j"
            else:
                entry["f"][field] = self.spec(schema, gated=gated)


def main() -> None:
    document = json.loads(Path(sys.argv[1]).read_text())
    with_status = set()
    for path, methods in document["paths"].items():
        kind = (methods.get("get") or {}).get("x-kubernetes-group-version-kind")
        if path.endswith("/status") and kind:
            with_status.add((kind["group"], kind["version"], kind["kind"]))
    table = Table(document)
    kinds = {}
    for name, definition in document["definitions"].items():
        gvks = definition.get("x-kubernetes-group-version-kind") or []
        properties = definition.get("properties") or {}
        metadata = (properties.get("metadata") or {}).get("$ref", "")
        if len(gvks) != 1 or not BUILT_IN.match(name) or not metadata.endswith(".ObjectMeta"):
            continue
        gvk = gvks[0]
        has_status = (gvk["group"], gvk["version"], gvk["kind"]) in with_status
        if has_status:
            properties["status"] = {}  # never applied: its types need no place in the table
        kinds["/".join(filter(None, (gvk["group"], gvk["version"], gvk["kind"])))] = [
            short(name),
            int(has_status),
        ]
        table.add(name)
    unknown = sorted((set(DEFAULTS) | set(BY_KIND)) - set(table.types))
    if unknown:
        raise SystemExit(f"defaults for types the server does not have: {unknown}")
    version = document["info"]["version"]
    OUTPUT.write_text(
        json.dumps(
            {
                "version": version,
                "kinds": dict(sorted(kinds.items())),
                "types": dict(sorted(table.types.items())),
            },
            separators=(",", ":"),
        )
        + "\n"
    )
    print(f"{OUTPUT.name}: {len(kinds)} kinds, {len(table.types)} types of {version}")  # noqa: T201


if __name__ == "__main__":
    main()
