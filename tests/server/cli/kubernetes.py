"""What ``argocd admin`` and ``--core`` do with Kubernetes, and nothing else: the same reads and writes of the
same objects, made with kubectl (api.md 16; operations.md 5.4, 6.1, 6.3).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from tests.server.running import Running

LABEL = "argocd.argoproj.io/secret-type"
MANAGED = "managed-by"
PART_OF = "app.kubernetes.io/part-of=argocd"
CONFIG_MAPS = ("argocd-cm", "argocd-rbac-cm", "argocd-ssh-known-hosts-cm", "argocd-tls-certs-cm")
KINDS = ("appprojects.argoproj.io", "applications.argoproj.io", "applicationsets.argoproj.io")
Object = dict[str, Any]


def read(api: Running, kind: str, name: str) -> Object:
    """GET one."""
    found: Object = json.loads(api.kubectl("get", kind, name, "-o", "json"))
    return found


def listed(api: Running, kind: str, *arguments: str) -> list[Object]:
    """A list of the control plane's namespace."""
    found: list[Object] = json.loads(api.kubectl("get", kind, *arguments, "-o", "json"))["items"]
    return found


def text_of(secret: Object, key: str) -> str:
    return base64.b64decode(secret["data"][key]).decode()


def replace(api: Running, item: Object) -> None:
    """PUT, with the version that was read."""
    api.kubectl("replace", "-f", "-", stdin=json.dumps(item))


def export(api: Running) -> list[Object]:
    """``admin export``: ConfigMaps (a missing one is fatal), Secrets by their marks, our kinds."""
    found = [read(api, "configmap", name) for name in CONFIG_MAPS]
    found += [each for each in listed(api, "secret") if _is_exported(each)]
    for kind in KINDS:
        found += listed(api, kind)
    return [_portable(each) for each in found]


def _is_exported(secret: Object) -> bool:
    metadata = secret["metadata"]
    return (
        metadata["name"] == "argocd-secret"
        or LABEL in metadata.get("labels", {})
        or any(key.split("/")[-1] == MANAGED for key in metadata.get("annotations", {}))
    )


def _portable(item: Object) -> Object:
    kept = ("name", "labels", "annotations", "finalizers")
    metadata = {key: item["metadata"][key] for key in kept if key in item["metadata"]}
    content = ("data", "type", "spec", "status", "operation", "apiVersion", "kind")
    return {"metadata": metadata} | {key: item[key] for key in content if key in item}


def import_(api: Running, documents: Iterable[Object], *, prune: bool = False) -> list[str]:
    """``admin import``: creates what is missing, writes what differs onto the version that is there; with
    ``prune`` deletes what no document names, Applications without their finalizers. Tells what it did."""
    said = []
    wanted = {(each["kind"], each["metadata"]["name"]): each for each in documents}
    there = {(each["kind"], each["metadata"]["name"]) for each in export(api)} if prune else set()
    for (kind, name), document in wanted.items():
        found = api.kubectl("get", kind, name, "-o", "json", "--ignore-not-found")
        if not found:
            api.kubectl("create", "-f", "-", stdin=json.dumps(document))
            said.append(f"{kind} {name} created")
        elif _portable(json.loads(found)) != document:
            live = json.loads(found)
            live |= {key: value for key, value in document.items() if key != "metadata"}
            live["metadata"] |= document["metadata"]
            replace(api, live)
            said.append(f"{kind} {name} updated")
    for kind, name in sorted(there - wanted.keys()):
        if kind == "Application":
            bare = {"metadata": {"finalizers": None}}
            api.kubectl("patch", kind, name, "--type", "merge", "-p", json.dumps(bare))
        api.kubectl("delete", kind, name)
        said.append(f"{kind} {name} pruned")
    return said


def secret_spec(name: str, kind: str, content: Mapping[str, str]) -> Object:
    """What ``admin cluster generate-spec`` and ``admin repo generate-spec`` print."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "labels": {LABEL: kind},
            "annotations": {"managed-by": "argocd.argoproj.io"},
        },
        "type": "Opaque",
        "stringData": dict(content),
    }
