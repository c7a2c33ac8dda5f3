"""``argocd cluster add`` and ``rm`` with everything that they do in the cluster itself, ``rotate-auth`` of
such a cluster, and a deployment there; ``repo``, ``cert`` and ``proj`` with flags that other tests have not
(api.md 16)."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.server.cli.conftest import Shell
from tests.server.cli.test_app_commands import APP, create, delete, get, sync
from tests.server.grpc.client import CallFailed
from tests.server.running import Running
from tiphys.server.port.certificates import generate

pytestmark = pytest.mark.controlplane

CLUSTERS = "cluster.ClusterService/"
MANAGER = "argocd-manager"


def make_manager(api: Running, role: str) -> str:
    """What ``cluster add`` creates with the kubeconfig: an account, its rights, and a token that lives on."""
    namespace = api.namespace
    account = {"kind": "ServiceAccount", "name": MANAGER, "namespace": namespace}
    every = [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ]
    rbac = "rbac.authorization.k8s.io"
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": MANAGER}},
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": role}, "rules": every},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"{role}-binding"},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": role},
            "subjects": [account],
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/service-account-token",
            "metadata": {
                "name": f"{MANAGER}-long-lived-token",
                "annotations": {"kubernetes.io/service-account.name": MANAGER},
            },
        },
    ]
    for each in objects:
        api.kubectl("create", "-f", "-", stdin=json.dumps(each))
    name = f"{MANAGER}-long-lived-token"
    api.kubectl("wait", f"secret/{name}", "--for=jsonpath={.data.token}", "--timeout=60s")
    reference = {"secrets": [{"name": name}]}
    api.kubectl("patch", "serviceaccount", MANAGER, "--type=merge", "-p", json.dumps(reference))
    return api.secret(name)["token"]


def remove_manager(api: Running, role: str) -> None:
    """What ``cluster rm`` removes with the kubeconfig."""
    for kind, name in (
        ("clusterrolebinding", f"{role}-binding"),
        ("clusterrole", role),
        ("secret", f"{MANAGER}-long-lived-token"),
        ("serviceaccount", MANAGER),
    ):
        api.kubectl("delete", kind, name, "--ignore-not-found")


async def test_cluster_add_deploy_rotate_rm(shell: Shell) -> None:
    api = shell.api
    await shell.begin()
    role = f"{MANAGER}-{api.namespace}-{'web' if shell.web else 'grpc'}"
    server = api.plane.server.replace("127.0.0.1", "localhost")
    token = await asyncio.to_thread(make_manager, api, role)
    try:
        config = {"bearerToken": token, "tlsClientConfig": {"caData": api.plane.ca_file.read_bytes()}}
        cluster = {"server": server, "name": role, "config": config, "labels": {"stage": "test"}}
        made = await shell.client.call(f"{CLUSTERS}Create", {"cluster": cluster, "upsert": False})
        assert made["info"]["connectionState"]["status"] == "Successful"
        assert not made["config"].get("bearerToken")
        assert token not in json.dumps(made, default=str)
        by_name = {"id": {"type": "name", "value": role}}
        shown = await shell.client.call(f"{CLUSTERS}Get", by_name)
        assert shown["labels"] == {"stage": "test"}

        name = await create(shell, destination={"name": role, "namespace": api.namespace})
        app = await sync(shell, name)
        assert app["status"]["operationState"]["phase"] == "Succeeded"
        assert app["status"]["sync"]["status"] == "Synced"

        assert await shell.client.call(f"{CLUSTERS}RotateAuth", {"server": server}) == {}
        app = await get(shell, name, refresh="hard")
        assert app["status"]["sync"]["status"] == "Synced"
        await delete(shell, name)

        shown = await shell.client.call(f"{CLUSTERS}Get", {"server": server})
        assert await shell.client.call(f"{CLUSTERS}Delete", {"server": shown["server"]}) == {}
        with pytest.raises(CallFailed, match="code = PermissionDenied desc = permission denied"):
            await shell.client.call(f"{CLUSTERS}Get", by_name)
    finally:
        await asyncio.to_thread(remove_manager, api, role)


async def test_cluster_add_with_a_wrong_token(shell: Shell) -> None:
    """Stored only if it answers."""
    api = shell.api
    server = api.plane.server.replace("127.0.0.1", "localhost")
    config = {"bearerToken": "open-sesame", "tlsClientConfig": {"caData": api.plane.ca_file.read_bytes()}}
    cluster = {"server": server, "name": "wrong", "config": config}
    with pytest.raises(CallFailed) as failed:
        await shell.client.call(f"{CLUSTERS}Create", {"cluster": cluster})
    assert "open-sesame" not in failed.value.message
    listed = await shell.client.call(f"{CLUSTERS}List", {})
    assert server not in [each["server"] for each in listed["items"]]


async def test_cert_add_tls(shell: Shell) -> None:
    service = "certificate.CertificateService/"
    pem = generate("argocd", datetime.now(UTC)).certificate
    name = f"tls-{shell.web}.example".lower()
    item = {"serverName": name, "certType": "https", "certData": pem.encode()}
    request = {"certificates": {"items": [item]}, "upsert": False}
    await shell.client.call(f"{service}CreateCertificate", request)
    query = {"hostNamePattern": name, "certType": "https"}
    (found,) = (await shell.client.call(f"{service}ListCertificates", query))["items"]
    assert found["certInfo"].startswith("CN=") or "O=" in found["certInfo"]
    removed = await shell.client.call(f"{service}DeleteCertificate", query)
    assert [each["serverName"] for each in removed["items"]] == [name]


async def test_repo_of_a_project(shell: Shell) -> None:
    """``repo add --project``, ``repo get --project``, ``repo list --refresh hard``, ``repo rm --project``."""
    service = "repository.RepositoryService/"
    project = f"owner-{shell.web}".lower()
    await shell.client.call(
        "project.ProjectService/Create", {"project": {"metadata": {"name": project}, "spec": {}}}
    )
    repo = {"repo": shell.repository, "project": project}
    access = {"repo": shell.repository, "project": project}
    await shell.client.call(f"{service}ValidateAccess", access)
    made = await shell.client.call(f"{service}CreateRepository", {"repo": repo, "upsert": False})
    assert made["repo"] == shell.repository
    which = {"repo": shell.repository, "appProject": project}
    assert (await shell.client.call(f"{service}Get", which))["project"] == project
    listed = await shell.client.call(f"{service}ListRepositories", {"forceRefresh": True})
    (found,) = [each for each in listed["items"] if each.get("project") == project]
    assert found["connectionState"]["status"] == "Successful"
    await shell.client.call(f"{service}DeleteRepository", which)
    await shell.client.call("project.ProjectService/Delete", {"name": project})


async def test_proj_create_upsert_and_delete_in_use(shell: Shell) -> None:
    """``proj create --upsert``, and what ``proj delete`` says while an Application refers to it."""
    service = "project.ProjectService/"
    name = f"busy-{shell.web}".lower()
    spec = {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]}
    body = {"project": {"metadata": {"name": name}, "spec": spec}}
    await shell.client.call(f"{service}Create", body)
    await shell.client.call(f"{service}Create", body)
    changed = {"project": {"metadata": {"name": name}, "spec": spec | {"description": "new"}}}
    with pytest.raises(CallFailed) as failed:
        await shell.client.call(f"{service}Create", changed)
    assert failed.value.message == (
        "existing project spec is different; use upsert flag to force update; "
        'difference in keys "Spec.Description"'
    ) or failed.value.message.startswith("existing project spec is different; use upsert flag")
    written = await shell.client.call(f"{service}Create", changed | {"upsert": True})
    assert written["spec"]["description"] == "new"
    app = await create(shell, project=name)
    with pytest.raises(CallFailed) as failed:
        await shell.client.call(f"{service}Delete", {"name": name})
    assert (failed.value.code, failed.value.message) == (
        "InvalidArgument",
        "project is referenced by 1 applications",
    )
    await shell.client.call(f"{APP}Delete", {"name": app, "cascade": False})
    await shell.client.call(f"{service}Delete", {"name": name})
