"""manifests/ on the real API server: they apply, they have the names people rely on, and the
ServiceAccount may do what the product needs and nothing beside it (operations.md 5.1–5.3)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tests.controlplane.installation import INSTALL, NAMESPACE, ROOT, SERVICE_ACCOUNT, install
from tests.controlplane.kubectl import KubectlFailed

pytestmark = pytest.mark.controlplane

USER = f"system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}"


@pytest.fixture(scope="module")
def installed(control_plane: ControlPlane) -> ControlPlane:
    install(control_plane.kubectl)
    return control_plane


@pytest.mark.parametrize(
    "what",
    [
        "configmap/argocd-cm",
        "configmap/argocd-cmd-params-cm",
        "configmap/argocd-rbac-cm",
        "configmap/argocd-ssh-known-hosts-cm",
        "configmap/argocd-tls-certs-cm",
        "configmap/argocd-gpg-keys-cm",
        "configmap/argocd-notifications-cm",
        "secret/argocd-secret",
        "secret/argocd-notifications-secret",
        "serviceaccount/argocd-application-controller",
        "statefulset/argocd-application-controller",
        "service/argocd-metrics",
        "service/argocd-server",
        "service/argocd-server-metrics",
        "role/argocd-application-controller",
        "rolebinding/argocd-application-controller",
        "clusterrole/argocd-application-controller",
        "clusterrolebinding/argocd-application-controller",
        "networkpolicy/argocd-application-controller-network-policy",
    ],
)
def test_names_that_users_of_the_reference_have(installed: ControlPlane, what: str) -> None:
    found = installed.kubectl.json("get", what, "-n", NAMESPACE)
    assert found["metadata"]["labels"]["app.kubernetes.io/part-of"] == "argocd"


@pytest.mark.parametrize("kind", ["applications", "applicationsets", "appprojects"])
def test_the_kinds_are_served(installed: ControlPlane, kind: str) -> None:
    installed.kubectl("get", f"{kind}.argoproj.io", "-A")


# (verb, resource, namespace; empty: all) → may it? The cluster-wide install.
RIGHTS = [
    ("list", "secrets", NAMESPACE, True),
    ("watch", "configmaps", NAMESPACE, True),
    ("patch", "secrets", NAMESPACE, True),
    ("create", "configmaps", NAMESPACE, True),
    ("patch", "applications.argoproj.io", NAMESPACE, True),
    ("create", "events", NAMESPACE, True),
    ("create", "deployments.apps", "", True),
    ("create", "pods/exec", "", True),
    ("get", "pods/exec", "", True),
    ("get", "pods/log", "", True),
    ("delete", "customresourcedefinitions.apiextensions.k8s.io", "", True),
    ("escalate", "clusterroles.rbac.authorization.k8s.io", "", True),
    ("impersonate", "serviceaccounts", "", True),
    ("impersonate", "users", "", False),
    ("impersonate", "groups", "", False),
    ("deletecollection", "pods", "", False),
    ("approve", "signers.certificates.k8s.io", "", False),
]


@pytest.mark.parametrize(
    ("verb", "resource", "namespace", "allowed"), RIGHTS, ids=lambda value: str(value) or "all"
)
def test_rights_of_the_cluster_install(
    installed: ControlPlane, verb: str, resource: str, namespace: str, allowed: bool
) -> None:
    where = ["-n", namespace] if namespace else ["-A"]
    answer = installed.kubectl("auth", "can-i", verb, resource, *where, f"--as={USER}", check=False)
    assert answer.strip() == ("yes" if allowed else "no")


def test_non_resource_urls_are_not_granted(installed: ControlPlane) -> None:
    answer = installed.kubectl("auth", "can-i", "get", "/metrics", f"--as={USER}", check=False)
    assert answer.strip() == "no"


def test_applying_again_changes_nothing(installed: ControlPlane) -> None:
    before = installed.kubectl.json("get", "configmap,secret,statefulset,service", "-n", NAMESPACE)
    install(installed.kubectl)
    after = installed.kubectl.json("get", "configmap,secret,statefulset,service", "-n", NAMESPACE)
    versions = [_versions(before), _versions(after)]
    assert versions[0] == versions[1]


def _versions(answer: dict[str, Any]) -> dict[str, str]:
    return {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in answer["items"]}


def test_the_namespace_install_has_no_cluster_wide_object(binaries: Path, installed: ControlPlane) -> None:
    text = installed.kubectl("kustomize", str(ROOT / "manifests" / "namespace-install"))
    kinds = {line.removeprefix("kind: ") for line in text.splitlines() if line.startswith("kind: ")}
    assert not {kind for kind in kinds if kind.startswith("Cluster") or kind == "CustomResourceDefinition"}
    installed.kubectl("apply", "--dry-run=server", "--server-side", "-n", "default", "-f", "-", stdin=text)


def test_a_pod_meets_the_restricted_profile(installed: ControlPlane) -> None:
    """The strictest Pod Security Standard admits the Pod as it stands in the manifests."""
    name = "tiphys-restricted"
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    namespace["metadata"]["labels"] = {"pod-security.kubernetes.io/enforce": "restricted"}  # type: ignore[index]
    installed.kubectl("apply", "-f", "-", stdin=json.dumps(namespace))
    template = installed.kubectl.json("get", "statefulset/argocd-application-controller", "-n", NAMESPACE)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "tiphys"},
        "spec": template["spec"]["template"]["spec"] | {"serviceAccountName": "default"},
    }
    pod["spec"].pop("serviceAccount", None)
    try:
        installed.kubectl("wait", "serviceaccount/default", "-n", name, "--for=create", "--timeout=30s")
        installed.kubectl("apply", "--dry-run=server", "-n", name, "-f", "-", stdin=json.dumps(pod))
        broken = json.loads(json.dumps(pod))
        broken["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
        with pytest.raises(KubectlFailed, match="allowPrivilegeEscalation"):
            installed.kubectl("apply", "--dry-run=server", "-n", name, "-f", "-", stdin=json.dumps(broken))
    finally:
        installed.kubectl("delete", "namespace", name, "--wait=false")


def test_the_demo_install_differs_by_its_pod_and_its_pace(installed: ControlPlane) -> None:
    text = installed.kubectl("kustomize", str(INSTALL))
    assert "replicas: 0" in text
    assert "timeout.reconciliation: 3s" in text
