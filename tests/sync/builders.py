"""Small manifests and inputs for the tests of this room."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tiphys.health.model import Health
from tiphys.resources.application import (
    Operation,
    OperationState,
    SyncOperation,
    SyncOperationResult,
)
from tiphys.resources.identity import AppKey, Manifest, key_of
from tiphys.resources.times import Timestamp
from tiphys.sync.inputs import SyncInputs, SyncPair
from tiphys.sync.tasks import Phase, Task

STARTED = Timestamp("2026-01-31T12:00:00Z")
NOW = datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)
OPTIONS = "argocd.argoproj.io/sync-options"
WAVE = "argocd.argoproj.io/sync-wave"
HOOK = "argocd.argoproj.io/hook"
POLICY = "argocd.argoproj.io/hook-delete-policy"


def manifest(
    kind: str,
    name: str = "",
    *,
    api: str = "v1",
    namespace: str = "",
    annotations: Mapping[str, str] | None = None,
    **fields: Any,
) -> Manifest:
    metadata: dict[str, Any] = {"name": name} if name else {}
    if namespace:
        metadata["namespace"] = namespace
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **fields}


def config(name: str, data: Mapping[str, str] | None = None, **more: Any) -> Manifest:
    return manifest("ConfigMap", name, data=dict(data or {"key": "value"}), **more)


def crd(group: str, kind: str) -> Manifest:
    plural = kind.lower() + "s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    spec = {
        "group": group,
        "scope": "Namespaced",
        "names": {"kind": kind, "plural": plural},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
    }
    return manifest("CustomResourceDefinition", f"{plural}.{group}", api="apiextensions.k8s.io/v1", spec=spec)


def create_task(kind: str, name: str = "x", wave: int = 0, phase: Phase = Phase.SYNC, **more: Any) -> Task:
    return Task(phase, manifest(kind, name, annotations={WAVE: str(wave)}, **more))


def prune_task(name: str, wave: int, options: str = "") -> Task:
    live = manifest("ConfigMap", name, annotations={WAVE: str(wave), OPTIONS: options})
    return Task(Phase.SYNC, None, live)


def pair(target: Manifest | None, live: Manifest | None = None, modified: bool | None = None) -> SyncPair:
    key = key_of(target if target is not None else live or {})
    return SyncPair(key, target, live, modified)


def inputs(pairs: Sequence[SyncPair] = (), hooks: Sequence[Manifest] = (), **more: Any) -> SyncInputs:
    defaults: dict[str, Any] = {
        "app": AppKey("argocd", "app"),
        "app_uid": "uid-1",
        "namespace": "dest",
        "now": NOW,
        "revision": "0123456789abcdef",
        "permitted": lambda manifest, resource: None,
        "assess": lambda manifest: None,
    }
    return SyncInputs(pairs=tuple(pairs), hooks=tuple(hooks), **{**defaults, **more})


def state(**sync: Any) -> OperationState:
    return OperationState(
        operation=Operation(sync=SyncOperation(**sync)),
        phase="Running",
        sync_result=SyncOperationResult(revision="0123456789abcdef"),
        started_at=STARTED,
    )


def health(status: str, message: str = "") -> Health:
    return Health(status, message)
