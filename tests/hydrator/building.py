"""Applications with a hydrator, for tables."""

from datetime import UTC, datetime
from typing import Any

from tiphys.resources.application import Application, decode
from tiphys.resources.project import AppProject
from tiphys.resources.project import decode as decode_project

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DRY = {"repoURL": "https://git.example/Dry.git", "targetRevision": "main", "path": "p"}
SYNC = {"targetBranch": "env/dev", "path": "apps/a"}
HYDRATOR: dict[str, Any] = {"drySource": DRY, "syncSource": SYNC}


def application(name: str = "a", **parts: Any) -> Application:
    """``dry``, ``sync``, ``hydrate_to``, ``annotations``, ``status``, ``project``: what a case is about."""
    hydrator = {"drySource": {**DRY, **parts.get("dry", {})}, "syncSource": {**SYNC, **parts.get("sync", {})}}
    if "hydrate_to" in parts:
        hydrator["hydrateTo"] = {"targetBranch": parts["hydrate_to"]}
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": parts.get("namespace", "argocd"),
        "annotations": {
            f"argocd.argoproj.io/{key}": value for key, value in parts.get("annotations", {}).items()
        },
    }
    if parts.get("deleting"):
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return decode(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": metadata,
            "spec": {
                "project": parts.get("project", "default"),
                "destination": {"server": "https://kubernetes.default.svc", "namespace": "demo"},
                "sourceHydrator": hydrator,
            },
            "status": {"sourceHydrator": parts.get("status", {})},
        }
    )


def plain() -> Application:
    """One without a hydrator."""
    return decode(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": "plain", "namespace": "argocd"},
            "spec": {"project": "default", "destination": {}, "source": {"repoURL": DRY["repoURL"]}},
        }
    )


def project(*repositories: str) -> AppProject:
    """One that permits these repositories; none named: all."""
    return decode_project(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": "default", "namespace": "argocd"},
            "spec": {"sourceRepos": list(repositories) or ["*"]},
        }
    )
