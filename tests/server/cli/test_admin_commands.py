"""``argocd admin …`` and what ``--core`` does with Kubernetes: Tiphys' objects are what they look for, and
what they write counts (api.md 16; operations.md 5.4, 6.1, 6.3)."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import pytest_asyncio
import yaml

from tests.controlplane import ControlPlane
from tests.controlplane.installation import ROOT
from tests.gitservers import GitRepo
from tests.server.cli import kubernetes as kube
from tests.server.cli.conftest import CONFIG_MAP, SERVER
from tests.server.conftest import unique_namespace
from tests.server.running import Running, running

pytestmark = pytest.mark.controlplane

REFRESH = "argocd.argoproj.io/refresh"
POLICY = "p, role:deployer, applications, sync, */*, allow\ng, robot, role:deployer\n"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def place(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Running, GitRepo]]:
    """Everything running as installed, with the ConfigMaps that an installation has."""
    folder = tmp_path_factory.mktemp("admin")
    repository = GitRepo(folder / "repository")
    repository.commit({"guestbook/a.yaml": CONFIG_MAP % "blue"})
    settings = {"accounts.robot": "apiKey", "timeout.reconciliation": "0s"}
    namespace = unique_namespace("admin")
    async with running(
        control_plane, folder / "cache", namespace, settings=settings, rbac={"policy.csv": POLICY}
    ) as api:
        for name in kube.CONFIG_MAPS[2:]:
            api.kubectl("create", "configmap", name)
        yield api, repository


@pytest.fixture
def api(place: tuple[Running, GitRepo]) -> Running:
    return place[0]


def application(api: Running, url: str, name: str, **more: Any) -> dict[str, Any]:
    """``admin app generate-spec`` prints such a manifest."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": f"{name}-{api.namespace}"},
        "spec": {
            "project": "default",
            "source": {"repoURL": url, "path": "guestbook", "targetRevision": "main"},
            "destination": {"server": SERVER, "namespace": api.namespace},
        },
        **more,
    }


async def sync_status(api: Running, name: str, wanted: str) -> dict[str, Any]:
    path = f"/api/v1/applications/{name}"

    def has_it(answer: Any) -> bool:
        app = answer.json if answer.status == 200 else {}
        return bool("operation" not in app and app.get("status", {}).get("sync", {}).get("status") == wanted)

    found: dict[str, Any] = (await api.until(path, has_it)).json
    return found


def test_an_installation_has_what_export_reads() -> None:
    """``admin export`` and ``admin settings`` end with an error when one of these is missing."""
    documents = yaml.safe_load_all((ROOT / "manifests/base/config.yaml").read_text())
    found = {each["metadata"]["name"]: each["metadata"]["labels"] for each in documents}
    assert {*kube.CONFIG_MAPS, "argocd-secret", "argocd-notifications-cm"} <= found.keys()
    assert {labels["app.kubernetes.io/part-of"] for labels in found.values()} == {"argocd"}


def test_port_forward_finds_the_pods() -> None:
    """``--port-forward --server-name …`` (docs/cli.md): by this label, to this port."""
    (workload,) = yaml.safe_load_all((ROOT / "manifests/base/workload.yaml").read_text())
    template = workload["spec"]["template"]
    name = template["metadata"]["labels"]["app.kubernetes.io/name"]
    ports = [port["containerPort"] for port in template["spec"]["containers"][0]["ports"]]
    assert 8080 in ports
    assert f"--server-name {name}`" in (ROOT / "docs/cli.md").read_text()


async def test_initial_password(api: Running) -> None:
    secret = kube.read(api, "secret", "argocd-initial-admin-secret")
    password = kube.text_of(secret, "password")
    assert await api.login("admin", password)


def test_settings(api: Running) -> None:
    """``admin settings validate --load-cluster-settings``, ``--core``: informers for what has the label; the
    accounts' passwords are bcrypt, the key for sessions and a certificate are there."""
    names = {each["metadata"]["name"] for each in kube.listed(api, "configmap", "-l", kube.PART_OF)}
    assert "argocd-cm" in names
    secrets = kube.listed(api, "secret", "-l", kube.PART_OF)
    own = next(each for each in secrets if each["metadata"]["name"] == "argocd-secret")
    password = kube.text_of(kube.read(api, "secret", "argocd-initial-admin-secret"), "password")
    assert bcrypt.checkpw(password.encode(), kube.text_of(own, "admin.password").encode())
    assert kube.text_of(own, "admin.passwordMtime").endswith("Z")
    assert kube.text_of(own, "server.secretkey")


async def test_rbac_can_and_the_server_agree(api: Running) -> None:
    """``admin settings rbac can`` decides from the ConfigMap what the server decides from the same one."""
    policy = kube.read(api, "configmap", "argocd-rbac-cm")["data"]["policy.csv"]
    assert policy == POLICY
    token = (await api.call("POST", "/api/v1/account/robot/token", body={})).json["token"]
    for action, wanted in (("sync", "yes"), ("delete", "no")):
        path = f"/api/v1/account/can-i/applications/{action}/default%2Fx"
        assert (await api.acting(token).get(path)).json == {"value": wanted}


async def test_export_and_import(place: tuple[Running, GitRepo]) -> None:
    """What was exported comes back after it was lost: objects, their status, Secrets and settings; Tiphys
    takes it up where it was, and workloads have not been touched."""
    api, repository = place
    app = application(api, repository.url, "kept")
    name = app["metadata"]["name"]
    other = application(api, repository.url, "later")
    project = {"metadata": {"name": "restored"}, "spec": {"sourceRepos": ["*"], "description": "kept"}}
    for path, body in (
        ("projects", {"project": project}),
        ("repositories", {"repo": "https://git.example.com/kept", "username": "ada", "password": "x"}),
        ("repocreds", {"url": "https://git.example.com", "username": "ada", "password": "x"}),
        ("applications", {key: app[key] for key in ("metadata", "spec")}),
        (f"applications/{name}/sync", {"prune": True}),
    ):
        answer = await api.call("POST", f"/api/v1/{path}", body=body)
        if path != "repositories":  # which nobody can reach
            assert answer.status == 200, answer.text
    api.apply(kube.secret_spec("repo-kept", "repository", {"url": repository.url, "type": "git"}))
    synced = await sync_status(api, name, "Synced")
    uid = kube.read(api, "configmap", "guestbook-settings")["metadata"]["uid"]

    documents = kube.export(api)
    kinds = [(each["kind"], each["metadata"]["name"]) for each in documents]
    assert kinds[:4] == [("ConfigMap", each) for each in kube.CONFIG_MAPS]
    assert ("AppProject", "restored") in kinds
    assert ("Application", name) in kinds
    assert len([kind for kind, _ in kinds if kind == "Secret"]) >= 3
    assert kube.import_(api, documents) == []  # nothing differs

    api.apply(other)
    bare = json.dumps({"metadata": {"finalizers": None}})
    api.kubectl("patch", "application", name, "--type", "merge", "-p", bare)
    api.kubectl("delete", "application", name)
    api.kubectl("delete", "appproject", "restored")
    api.kubectl("delete", "secret", "-l", kube.LABEL)
    api.kubectl("patch", "configmap", "argocd-cm", "--type", "merge", "-p", '{"data": {"url": "https://no"}}')
    await api.until("/api/v1/settings", lambda answer: answer.json.get("url") == "https://no")

    said = kube.import_(api, documents, prune=True)
    assert {
        f"Application {name} created",
        "AppProject restored created",
        "ConfigMap argocd-cm updated",
    } <= set(said)
    assert f"Application {other['metadata']['name']} pruned" in said
    restored = await sync_status(api, name, "Synced")
    assert restored["status"]["history"] == synced["status"]["history"]
    assert restored["status"]["operationState"] == synced["status"]["operationState"]
    assert kube.read(api, "configmap", "guestbook-settings")["metadata"]["uid"] == uid
    await api.until("/api/v1/settings", lambda answer: "url" not in answer.json)
    project_path = "/api/v1/projects/restored"
    found = await api.until(project_path, lambda answer: answer.status == 200)
    assert found.json["spec"]["description"] == "kept"
    repos = (await api.get("/api/v1/repositories")).json["items"]
    assert repository.url in [each["repo"] for each in repos]
    creds = (await api.get("/api/v1/repocreds")).json["items"]
    assert "https://git.example.com" in [each["url"] for each in creds]


async def test_an_operation_of_an_import_is_not_run_again(place: tuple[Running, GitRepo]) -> None:
    """``status`` says that it is over: an Application that comes back does not sync by itself."""
    api, repository = place
    app = application(api, repository.url, "moved")
    name = app["metadata"]["name"]
    api.apply(app)
    await sync_status(api, name, "OutOfSync")
    documents = [each for each in kube.export(api) if each["metadata"]["name"] == name]
    api.kubectl("delete", "application", name)
    kube.import_(api, documents)
    found = await sync_status(api, name, "OutOfSync")
    assert "operationState" not in found["status"]


async def test_cluster_generate_spec_kubeconfig_namespaced_mode(api: Running) -> None:
    server = api.plane.server.replace("127.0.0.1", "localhost")
    config = {"tlsClientConfig": {"caData": _base64(api.plane.ca_file)}}
    content = {"name": "spec", "server": server, "config": json.dumps(config)}
    api.apply(kube.secret_spec("cluster-spec", "cluster", content))
    path = "/api/v1/clusters/spec?id.type=name"
    assert (await api.until(path, lambda answer: answer.status == 200)).json["server"] == server
    # kubeconfig: what the Secret holds is all that is needed
    stored = kube.read(api, "secret", "cluster-spec")
    assert json.loads(kube.text_of(stored, "config")) == config
    assert kube.text_of(stored, "server") == server
    # enable-namespaced-mode writes the namespaces that the cluster's Applications use, disable- clears them
    for namespaces, resources in ((api.namespace, "true"), ("", "")):
        stored = kube.read(api, "secret", "cluster-spec")
        stored["stringData"] = {"namespaces": namespaces, "clusterResources": resources}
        kube.replace(api, stored)
        wanted = [namespaces] if namespaces else None

        def has(answer: Any, wanted: list[str] | None = wanted) -> bool:
            return bool(answer.json.get("namespaces") == wanted)

        found = (await api.until(path, has)).json
        assert found.get("clusterResources", False) is bool(resources)


async def test_cluster_namespaces(place: tuple[Running, GitRepo]) -> None:
    """Which namespaces Applications use on which cluster follows from the Applications alone."""
    api, repository = place
    api.apply(application(api, repository.url, "placed"))
    used = {
        (each["spec"]["destination"]["server"], each["spec"]["destination"]["namespace"])
        for each in kube.listed(api, "applications.argoproj.io")
    }
    assert (SERVER, api.namespace) in used


async def test_proj_generate_spec_and_update_role_policy(api: Running) -> None:
    """The latter edits the policies of roles in all projects, with the version that it read."""
    role = {"name": "ci", "policies": ["p, proj:spec:ci, applications, get, spec/*, allow"]}
    project = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": "spec"},
        "spec": {"sourceRepos": ["*"], "roles": [role]},
    }
    api.apply(project)
    await api.until("/api/v1/projects/spec", lambda answer: answer.status == 200)
    body = {"project": "spec", "role": "ci", "expiresIn": 3600}
    made = await api.call("POST", "/api/v1/projects/spec/roles/ci/token", body=body)
    token = made.json["token"]
    can = "/api/v1/account/can-i/applications/sync/spec%2Fx"
    assert (await api.acting(token).get(can)).json == {"value": "no"}
    for each in kube.listed(api, "appprojects.argoproj.io"):
        for found in each["spec"].get("roles", ()):
            found["policies"].append(
                f"p, proj:{each['metadata']['name']}:{found['name']}, applications, sync, "
                f"{each['metadata']['name']}/*, allow"
            )
            kube.replace(api, each)
    await api.acting(token).until(can, lambda answer: answer.json == {"value": "yes"})


async def test_repo_generate_spec(api: Running) -> None:
    url = "https://git.example.com/spec"
    api.apply(kube.secret_spec("repo-spec", "repository", {"url": url, "type": "git", "username": "ada"}))

    def has(answer: Any) -> bool:
        return url in [each["repo"] for each in answer.json["items"] or ()]

    await api.until("/api/v1/repositories", has)


async def test_core_refresh_and_sync(place: tuple[Running, GitRepo]) -> None:
    """The API server inside ``--core`` asks for a refresh by annotation and waits until it is gone, and
    writes the operation; both are answered by the controller, which needs to know nothing of it."""
    api, repository = place
    app = application(api, repository.url, "core")
    name = app["metadata"]["name"]
    api.apply(app)
    annotation = {"metadata": {"annotations": {REFRESH: "normal"}}}
    api.kubectl("patch", "application", name, "--type", "merge", "-p", json.dumps(annotation))

    def is_refreshed(answer: Any) -> bool:
        app = answer.json if answer.status == 200 else {}
        asked = REFRESH in app.get("metadata", {}).get("annotations", {})
        return bool(app.get("status", {}).get("sync")) and not asked

    await api.until(f"/api/v1/applications/{name}", is_refreshed)
    operation = {
        "operation": {
            "initiatedBy": {"username": ""},
            "sync": {"revision": repository.head(), "syncStrategy": {"hook": {}}},
            "retry": {},
        }
    }
    api.kubectl("patch", "application", name, "--type", "merge", "-p", json.dumps(operation))
    found = await sync_status(api, name, "Synced")
    assert found["status"]["operationState"]["phase"] == "Succeeded"


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
