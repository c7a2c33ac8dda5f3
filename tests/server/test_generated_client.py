"""A whole story told by a REST client that nobody here wrote: ``argocd-python-client`` of PyPI, generated
from the reference's OpenAPI document."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from argocd_python_client import ApiClient, ApiException, Configuration
from argocd_python_client.apis import (
    ApplicationServiceApi,
    ClusterServiceApi,
    ProjectServiceApi,
    RepositoryServiceApi,
    SessionServiceApi,
    VersionServiceApi,
)
from argocd_python_client.models import (
    ApplicationApplicationRollbackRequest,
    ApplicationApplicationSyncRequest,
    ProjectProjectCreateRequest,
    SessionSessionCreateRequest,
    V1alpha1Application,
    V1alpha1ApplicationDestination,
    V1alpha1ApplicationSource,
    V1alpha1ApplicationSpec,
    V1alpha1AppProject,
    V1alpha1AppProjectSpec,
    V1alpha1Repository,
    V1alpha1SyncPolicy,
    V1GroupKind,
    V1ObjectMeta,
)

from demo.repository import Repository
from tests.server.running import Running

SECONDS = 60.0
# The generated models say that int64 is text, which the reference's answers are not.
LOOSE: dict[str, Any] = {"_check_return_type": False}


async def test_a_whole_story(api: Running, tmp_path: Path) -> None:
    password = await asyncio.to_thread(api.admin_password)
    repository = Repository.create(tmp_path / "repository")
    await asyncio.to_thread(tell, api.base, password, repository, f"{api.namespace}-apps")


def tell(base: str, password: str, repository: Repository, namespace: str) -> None:
    with ApiClient(Configuration(host=base)) as anonymous:
        request = SessionSessionCreateRequest(username="admin", password=password)
        token = SessionServiceApi(anonymous).session_service_create(request).token
    with ApiClient(Configuration(host=base)) as client:
        client.set_default_header("Authorization", f"Bearer {token}")
        # Every request but GET must say it, deletions too (api.md 1).
        client.set_default_header("Content-Type", "application/json")
        assert plain(VersionServiceApi(client).version_service_version(**LOOSE))["Version"].startswith("v3.")
        repositories = RepositoryServiceApi(client)
        repositories.repository_service_create_repository(V1alpha1Repository(repo=repository.url), **LOOSE)
        listed = plain(repositories.repository_service_list_repositories(**LOOSE))
        assert [each["repo"] for each in listed["items"]] == [repository.url]
        assert listed["items"][0]["connectionState"]["status"] == "Successful"
        clusters = plain(ClusterServiceApi(client).cluster_service_list(**LOOSE))
        assert [each["server"] for each in clusters["items"]] == ["https://kubernetes.default.svc"]
        ProjectServiceApi(client).project_service_create(project(repository.url, namespace), **LOOSE)

        apps = ApplicationServiceApi(client)
        made = plain(apps.application_service_create(application(repository.url, namespace), **LOOSE))
        assert made["spec"]["project"] == "team"
        first = sync(apps)
        repository.folder.joinpath("plain", "more.yaml").write_text(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n"
        )
        repository.commit("More")
        second = sync(apps)
        assert first["status"]["sync"]["revision"] != second["status"]["sync"]["revision"]

        tree = plain(apps.application_service_resource_tree("guestbook", **LOOSE))
        kinds = {node["kind"] for node in tree["nodes"]}
        assert {"Deployment", "ReplicaSet", "Pod", "ConfigMap"} <= kinds
        managed = plain(apps.application_service_managed_resources("guestbook", **LOOSE))
        assert "more" in [item["name"] for item in managed["items"]]
        log = apps.application_service_pod_logs2(
            "guestbook", kind="Deployment", group="apps", _preload_content=False
        )
        assert all("content" in json.loads(line)["result"] for line in log.data.splitlines())

        history = second["status"]["history"]
        assert len(history) == 2
        # The document says that an id is text; the reference takes a number only.
        request = ApplicationApplicationRollbackRequest(name="guestbook", id=str(history[0]["id"]))
        with pytest.raises(ApiException, match="400"):
            apps.application_service_rollback("guestbook", request, **LOOSE)
        rolled_back(client, history[0]["id"])
        before = history[0]["revision"]
        wait(apps, lambda app: app["status"]["operationState"]["syncResult"]["revision"] == before)

        apps.application_service_delete("guestbook", **LOOSE)
        wait(apps, lambda app: app is None)


def plain(model: Any) -> Any:
    """A generated model as the JSON that it was read from."""
    if hasattr(model, "attribute_map"):
        names = model.attribute_map
        return {names.get(name, name): plain(value) for name, value in model._data_store.items()}
    if isinstance(model, dict):
        return {name: plain(value) for name, value in model.items()}
    return [plain(each) for each in model] if isinstance(model, list) else model


def project(repository: str, namespace: str) -> ProjectProjectCreateRequest:
    return ProjectProjectCreateRequest(
        project=V1alpha1AppProject(
            metadata=V1ObjectMeta(name="team"),
            spec=V1alpha1AppProjectSpec(
                source_repos=[repository],
                cluster_resource_whitelist=[V1GroupKind(group="", kind="Namespace")],
                destinations=[
                    V1alpha1ApplicationDestination(
                        server="https://kubernetes.default.svc", namespace=namespace
                    )
                ],
            ),
        )
    )


def application(repository: str, namespace: str) -> V1alpha1Application:
    return V1alpha1Application(
        metadata=V1ObjectMeta(name="guestbook", finalizers=["resources-finalizer.argocd.argoproj.io"]),
        spec=V1alpha1ApplicationSpec(
            project="team",
            source=V1alpha1ApplicationSource(repo_url=repository, path="plain", target_revision="main"),
            destination=V1alpha1ApplicationDestination(
                server="https://kubernetes.default.svc", namespace=namespace
            ),
            sync_policy=V1alpha1SyncPolicy(sync_options=["CreateNamespace=true"]),
        ),
    )


def sync(apps: ApplicationServiceApi) -> Any:
    """Sync, and wait until it is healthy at the newest revision."""
    apps.application_service_sync("guestbook", ApplicationApplicationSyncRequest(prune=True), **LOOSE)

    def done(app: Any) -> bool:
        state = app["status"].get("operationState") or {}
        return (
            "operation" not in app
            and state.get("phase") == "Succeeded"
            and app["status"]["sync"]["status"] == "Synced"
            and app["status"]["health"]["status"] == "Healthy"
        )

    return wait(apps, done)


def rolled_back(client: ApiClient, number: int) -> None:
    """As a script does it: the id is a number."""
    answer = client.call_api(
        "/api/v1/applications/{name}/rollback",
        "POST",
        {"name": "guestbook"},
        header_params={"Content-Type": "application/json"},
        body={"name": "guestbook", "id": number},
        _preload_content=False,
        _return_http_data_only=True,
    )
    assert answer.status == 200


def wait(apps: ApplicationServiceApi, wanted: Any) -> Any:
    limit = time.monotonic() + SECONDS
    while True:
        listed = plain(apps.application_service_list(**LOOSE))
        app = next(
            (each for each in listed.get("items") or () if each["metadata"]["name"] == "guestbook"), None
        )
        if app is not None and app["metadata"].get("deletionTimestamp") is None:
            app = plain(apps.application_service_get("guestbook", refresh="normal", **LOOSE))
        if wanted(app):
            return app
        assert time.monotonic() < limit, json.dumps(app, default=str)[:3000]
        time.sleep(0.2)
