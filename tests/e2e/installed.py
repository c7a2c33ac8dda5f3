"""Objects of the installation that stories change, and installations beside the session's.

``setting`` changes keys of a ConfigMap for the length of a block, ``secret`` makes a labelled Secret
for the length of a block. ``install_elsewhere`` installs a second Tiphys with a control-plane
namespace of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.controlplane.installation import ROOT, SERVICE_ACCOUNT
from tests.controlplane.kubectl import Kubectl
from tests.e2e.story import CONTROL_NAMESPACE

CONTROLLER_ROLE = "argocd-application-controller"


@contextmanager
def setting(
    kubectl: Kubectl, data: Mapping[str, str], *, name: str = "argocd-cm", namespace: str = CONTROL_NAMESPACE
) -> Iterator[None]:
    """Keys of a ConfigMap as given inside the block, and as before after it."""
    before = kubectl.json("get", "configmap", name, "-n", namespace).get("data") or {}
    patch_config_map(kubectl, name, dict(data), namespace=namespace)
    try:
        yield
    finally:
        patch_config_map(kubectl, name, {key: before.get(key) for key in data}, namespace=namespace)


def patch_config_map(
    kubectl: Kubectl, name: str, data: Mapping[str, str | None], *, namespace: str = CONTROL_NAMESPACE
) -> None:
    """Change (or with None remove) keys."""
    body = json.dumps({"data": dict(data)})
    kubectl("patch", "configmap", name, "-n", namespace, "--type=merge", "-p", body)


@contextmanager
def secret(
    kubectl: Kubectl, name: str, kind: str, data: Mapping[str, str], *, namespace: str = CONTROL_NAMESPACE
) -> Iterator[None]:
    """A Secret of a type (``repository``, ``cluster``, …) inside the block."""
    put_secret(kubectl, name, kind, data, namespace=namespace)
    try:
        yield
    finally:
        kubectl("delete", "secret", name, "-n", namespace, "--ignore-not-found")


def put_secret(
    kubectl: Kubectl, name: str, kind: str, data: Mapping[str, str], *, namespace: str = CONTROL_NAMESPACE
) -> None:
    """Make or replace a labelled Secret."""
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"argocd.argoproj.io/secret-type": kind},
        },
        "stringData": dict(data),
    }
    kubectl("delete", "secret", name, "-n", namespace, "--ignore-not-found")
    kubectl("create", "-f", "-", stdin=json.dumps(manifest))


def install_elsewhere(
    kubectl: Kubectl, folder: Path, namespace: str, *, cluster_wide: bool, settings: Mapping[str, str]
) -> None:
    """Install into a namespace of its own; our kinds must be there already.

    ``cluster_wide`` binds the ServiceAccount to the ClusterRole that the session's install made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    base = os.path.relpath(ROOT / "manifests" / "namespace-install", folder.resolve())
    overlay: dict[str, Any] = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": namespace,
        "resources": [base],
        "replicas": [{"name": SERVICE_ACCOUNT, "count": 0}],
        "patches": [
            {
                "patch": yaml.safe_dump(
                    {
                        "apiVersion": "v1",
                        "kind": "ConfigMap",
                        "metadata": {"name": "argocd-cm"},
                        "data": dict(settings),
                    }
                )
            }
        ],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    kubectl("create", "namespace", namespace)
    kubectl("apply", "--server-side", "-k", str(folder))
    if cluster_wide:
        kubectl(
            *("create", "clusterrolebinding", namespace, f"--clusterrole={CONTROLLER_ROLE}"),
            f"--serviceaccount={namespace}:{SERVICE_ACCOUNT}",
        )


def uninstall_elsewhere(kubectl: Kubectl, namespace: str) -> None:
    """Remove what :func:`install_elsewhere` made, without waiting."""
    kubectl("delete", "clusterrolebinding", namespace, "--ignore-not-found", "--wait=false")
    kubectl("delete", "namespace", namespace, "--wait=false", "--ignore-not-found")
