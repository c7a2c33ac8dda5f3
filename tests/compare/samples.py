"""Realistic objects for differential tests, as people write them (not normalised)."""

from __future__ import annotations

import copy
from typing import Any

import yaml

GROUP = "compare.tiphys.test"

_OBJECTS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}, creationTimestamp: null}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  strategy: {type: RollingUpdate}
  template:
    metadata: {labels: {app: web, tier: front}, creationTimestamp: null, annotations: {a: b}}
    spec:
      hostNetwork: false
      nodeSelector: {disk: ssd}
      initContainers:
      - {name: init, image: "busybox:1", command: [sh, -c, "true"]}
      containers:
      - name: web
        image: nginx:1.27
        args: ["-g", "daemon off;"]
        ports: [{containerPort: 80, name: http}, {containerPort: 443, name: https, protocol: TCP}]
        env:
        - {name: A, value: "1"}
        - {name: B, value: ""}
        - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: S, valueFrom: {secretKeyRef: {name: s, key: k, optional: true}}}
        envFrom: [{configMapRef: {name: conf}}]
        resources: {requests: {cpu: 1000m, memory: 1024Mi}, limits: {cpu: 2, memory: 2Gi}}
        readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 5}
        volumeMounts: [{name: conf, mountPath: /etc/conf, readOnly: true}, {name: tmp, mountPath: /tmp}]
        securityContext: {runAsNonRoot: true, capabilities: {drop: [ALL]}}
      - {name: sidecar, image: "envoy:1", resources: {}}
      tolerations: [{key: a, operator: Exists, effect: NoSchedule}]
      affinity:
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
          - {weight: 1, podAffinityTerm: {topologyKey: zone, labelSelector: {matchLabels: {app: web}}}}
      topologySpreadConstraints:
      - maxSkew: 1
        topologyKey: zone
        whenUnsatisfiable: ScheduleAnyway
        labelSelector: {matchLabels: {app: web}}
      imagePullSecrets: [{name: pull}]
      volumes:
      - {name: conf, configMap: {name: conf}}
      - {name: tmp, emptyDir: {sizeLimit: 1024Mi}}
      - {name: all, projected: {sources: [{secret: {name: s}}, {serviceAccountToken: {path: token}}]}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}, {name: https, port: 443, targetPort: 8443, protocol: TCP}]
---
apiVersion: v1
kind: Service
metadata: {name: dns}
spec:
  selector: {app: dns}
  clusterIP: None
  ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 1
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 10
      containers: [{name: db, image: "postgres:17", volumeMounts: [{name: data, mountPath: /data}]}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1024Mi}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      hostNetwork: true
      containers:
      - name: agent
        image: agent:1
        ports: [{containerPort: 53, protocol: UDP, name: u}, {containerPort: 53, protocol: TCP, name: t}]
        env: [{name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
      volumes: [{name: root, hostPath: {path: /}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: {nginx/x: "y"}}
spec:
  ingressClassName: nginx
  tls: [{hosts: [a.example], secretName: tls}]
  rules:
  - host: a.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: conf, annotations: {}}
data: {a: "1", b: "<tag> & more", c: ""}
---
apiVersion: v1
kind: Secret
metadata: {name: s}
type: Opaque
data: {a: aGVsbG8=}
stringData: {b: world}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: np}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {a: b}}}], ports: [{port: 80}, {port: 53, protocol: UDP}]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: rb}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}
subjects: [{kind: User, name: u}, {kind: ServiceAccount, name: sa, namespace: default}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: r}
rules: [{apiGroups: [""], resources: [pods], verbs: [get, list]}]
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  maxReplicas: 5
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  metrics:
  - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}
  - {type: Resource, resource: {name: memory, target: {type: AverageValue, averageValue: 1024Mi}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: "1073741824"}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: sa, labels: null}
imagePullSecrets: [{name: pull}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: cj}
spec:
  schedule: "*/5 * * * *"
  jobTemplate:
    spec:
      backoffLimit: 2
      template:
        spec:
          restartPolicy: Never
          containers: [{name: c, image: "c:1", resources: {requests: {cpu: 0.1}}}]
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: rq}
spec: {hard: {cpu: "1000m", memory: 1.5Gi, pods: 10}}
---
apiVersion: compare.tiphys.test/v1
kind: Widget
metadata: {name: w, finalizers: [a.example/x]}
spec:
  size: 3
  ratio: 0.5
  mode: fast
  cpu: 1000m
  parts: [{name: a, value: 1}, {name: b, value: 2, note: x}]
  tags: [x, y]
  steps: [{run: one}, {run: two}]
  nested: {deep: {x: y}}
---
apiVersion: compare.tiphys.test/v1
kind: Blob
metadata: {name: b}
spec: {a: {b: [1, 2, {c: d}]}, n: null, e: {}, l: [], f: 1.0, t: true}
"""

_STRING: dict[str, Any] = {"type": "string"}
_WIDGET = {
    "size": {"type": "integer"},
    "ratio": {"type": "number"},
    "mode": {"type": "string", "default": "slow"},
    "cpu": {"x-kubernetes-int-or-string": True},
    "maybe": {"type": "string", "nullable": True},
    "parts": {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": _STRING,
                "value": {"type": "integer"},
                "note": _STRING,
                "kind": {"type": "string", "default": "plain"},
            },
        },
    },
    "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": _STRING},
    "steps": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"run": _STRING, "timeout": {"type": "integer", "default": 5}},
        },
    },
    "nested": {
        "type": "object",
        "properties": {"deep": {"type": "object", "additionalProperties": _STRING}},
    },
}


def _crd(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    plural = kind.lower() + "s"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {
                                "spec": spec,
                                "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                            },
                        }
                    },
                }
            ],
        },
    }


CRDS = [
    _crd("Widget", {"type": "object", "properties": _WIDGET}),
    _crd("Blob", {"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
]


def objects(namespace: str) -> list[dict[str, Any]]:
    """Fresh copies of all samples in a namespace."""
    made = []
    for item in yaml.safe_load_all(_OBJECTS):
        item["metadata"]["namespace"] = namespace
        made.append(copy.deepcopy(item))
    return made


def renamed(manifest: dict[str, Any], number: int) -> dict[str, Any]:
    """A copy under a name of its own, so that nothing of an earlier one is in its way."""
    made = copy.deepcopy(manifest)
    made["metadata"]["name"] += f"-{number}"
    return made


def sample(kind: str, name: str = "", namespace: str = "ns") -> dict[str, Any]:
    """One sample by kind."""
    return next(
        item
        for item in objects(namespace)
        if item["kind"] == kind and (not name or item["metadata"]["name"] == name)
    )
