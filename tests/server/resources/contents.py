"""What is in the repository of the site: a folder for each test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.server.resources.objects import config_map, deployment, secret, service

HOOK = {"argocd.argoproj.io/hook": "PreSync", "argocd.argoproj.io/hook-delete-policy": "HookFailed"}

FILES: Mapping[str, Mapping[str, Any] | str] = {
    "tree/web.yaml": deployment("tree-web", replicas=1),
    "tree/service.yaml": service("tree-web"),
    "tree/hook.yaml": config_map("tree-hook", annotations=HOOK),
    "missing/a.yaml": config_map("never"),
    "objects/open.yaml": config_map("open-map", {"a": "1"}),
    "objects/shut.yaml": config_map("shut-map", {"a": "1"}),
    "objects/secret.yaml": secret("hidden", {"key": "hush-hush"}, annotations={"private/note": "hush-note"}),
    "deletes/a.yaml": config_map("open-plain"),
    "deletes/b.yaml": deployment("deletes-web", replicas=1),
    "actions/web.yaml": deployment("actions-web", replicas=1),
    "actions/map.yaml": config_map("actions-map"),
    "events/web.yaml": deployment("events-web", replicas=1),
    "manifests/a.yaml": config_map("first"),
    "manifests/b.yaml": secret("second", {"key": "hush-hush"}),
    "second/a.yaml": config_map("third"),
    "broken/a.yaml": "apiVersion: v1\nkind: ConfigMap\n",
    "chart/Chart.yaml": "apiVersion: v2\nname: small\nversion: 1.0.0\n",
    "chart/templates/a.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n"
        "data: {v: {{ .Values.v | quote }}}\n"
    ),
    "chart/values.yaml": "v: one\n",
    "diffs-nosy/a.yaml": config_map("extension-apiserver-authentication", namespace="kube-system"),
    "diffs/a.yaml": config_map("diffs-map", {"a": "1"}),
    "diffs/b.yaml": secret("diffs-secret", {"key": "hush-hush"}),
    "logs/web.yaml": deployment("logs-web", replicas=2),
    "tenants/a.yaml": deployment("tenants-web", replicas=1),
    "switch/a.yaml": config_map("switch-map"),
}
