"""A second operator beside the session's, in a namespace of its own, with a configuration of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.controlplane import ControlPlane
from tests.controlplane.installation import INSTALL, SERVICE_ACCOUNT, Operator, install

NAMESPACED = ("ServiceAccount", "Role", "RoleBinding", "ConfigMap", "Secret")


def install_beside(plane: ControlPlane, namespace: str) -> None:
    """What the manifests put into the control-plane namespace, in another one, with the same rights."""
    kubectl = plane.kubectl
    install(kubectl)
    objects = [each for each in yaml.safe_load_all(kubectl("kustomize", str(INSTALL))) if each]
    chosen = [each for each in objects if each["kind"] in NAMESPACED]
    for each in chosen:
        each["metadata"]["namespace"] = namespace
        for subject in each.get("subjects") or ():
            subject["namespace"] = namespace
    chosen.append(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": namespace},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": SERVICE_ACCOUNT,
            },
            "subjects": [{"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": namespace}],
        }
    )
    if not kubectl.exists("namespace", namespace):
        kubectl("create", "namespace", namespace)
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump_all(chosen))


@contextmanager
def operator_beside(
    plane: ControlPlane,
    folder: Path,
    namespace: str,
    *,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Operator]:
    """Install it, start it, and stop it at the end."""
    install_beside(plane, namespace)
    running = Operator.start(
        plane.kubectl,
        plane.bin,
        folder,
        namespace=namespace,
        arguments=arguments,
        environment={"ARGOCD_SYNC_WAVE_DELAY": "0", **(environment or {})},
    )
    try:
        yield running
    finally:
        running.stop()
