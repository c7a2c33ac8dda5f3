"""The API of the process that also runs the controllers, with the rights of its ServiceAccount.

What each call does is tested in `tests/server`; here everything that it stores, reads or starts in
Kubernetes is done once with no more rights than the manifests give (operations.md 5.2).
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.controlplane import ControlPlane
from tests.controlplane.installation import Operator
from tests.controlplane.kubectl import Kubectl
from tests.e2e.api import Api, escaped, log_in, secret_of
from tests.e2e.installed import setting
from tests.e2e.story import CONTROL_NAMESPACE, IN_CLUSTER, Story, config_map
from tests.e2e.test_clusters import bearer, deployer, other_url
from tests.sources.gpg.people import people

HOST_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"


@pytest.fixture(scope="module")
def api(operator: Operator, control_plane: ControlPlane) -> Api:
    return log_in(operator, control_plane.kubectl, CONTROL_NAMESPACE)


def test_sessions_are_counted_and_revoked(api: Api, story: Story, operator: Operator) -> None:
    """In the Secret `tiphys-sessions`, which the process makes."""
    wrong = {"username": "admin", "password": "wrong"}
    assert api.call("POST", "/api/v1/session", wrong, Authorization="").status == 401
    other = log_in(operator, story.kubectl, CONTROL_NAMESPACE)
    assert other.done("GET", "/api/v1/session/userinfo")["loggedIn"] is True
    assert other.call("GET", "/auth/logout", Cookie=f"argocd.token={other.token}").status == 303
    refused = other.call("GET", "/api/v1/applications")
    assert (refused.status, "revoked" in refused.text) == (401, True)
    assert "revoked" in secret_of(story.kubectl, CONTROL_NAMESPACE, "tiphys-sessions")
    assert api.done("GET", "/api/v1/session/userinfo")["username"] == "admin"


PROJECT = {
    "sourceRepos": ["*"],
    "destinations": [{"server": "*", "namespace": "*"}],
    "roles": [{"name": "ci"}],
}
STORED: list[tuple[str, str, Any, str, str]] = [
    # what is made (path and body), where it stands then, and which path takes it away
    (
        "credential templates",
        "repocreds",
        {"url": "https://git.example/rights", "username": "ada", "password": "s3cret-word"},
        "secrets -l argocd.argoproj.io/secret-type=repo-creds",
        f"repocreds/{escaped('https://git.example/rights')}",
    ),
    (
        "certificates",
        "certificates",
        {
            "items": [
                {
                    "serverName": "rights.example",
                    "certType": "ssh",
                    "certSubType": "ssh-ed25519",
                    "certData": base64.b64encode(HOST_KEY.encode()).decode(),
                }
            ]
        },
        "configmap/argocd-ssh-known-hosts-cm",
        "certificates?hostNamePattern=rights.example",
    ),
    (
        "projects",
        "projects",
        {"project": {"metadata": {"name": "rights"}, "spec": PROJECT}},
        "appprojects",
        "projects/rights",
    ),
    (
        "sets of applications",
        "applicationsets",
        {
            "metadata": {"name": "rights"},
            "spec": {
                "generators": [{"list": {"elements": []}}],
                "template": {
                    "metadata": {"name": "x"},
                    "spec": {
                        "project": "default",
                        "source": {"repoURL": "https://git.example/x", "path": "x"},
                        "destination": {"server": IN_CLUSTER, "namespace": "x"},
                    },
                },
            },
        },
        "applicationsets",
        "applicationsets/rights",
    ),
]


def comes_and_goes(api: Api, kubectl: Kubectl, path: str, body: Any, place: str, gone: str) -> None:
    def there() -> bool:
        found = kubectl.json("get", *place.split(), "-n", CONTROL_NAMESPACE)
        return "rights" in json.dumps(found) + "".join(map(_decoded, _items(found)))

    assert not there()
    api.done("POST", f"/api/v1/{path}", body)
    try:
        assert there()
    finally:
        api.done("DELETE", f"/api/v1/{gone}")
    assert not there()


@pytest.mark.parametrize(
    ("path", "body", "place", "gone"), [row[1:] for row in STORED], ids=[row[0] for row in STORED]
)
def test_what_is_stored(path: str, body: Any, place: str, gone: str, api: Api, story: Story) -> None:
    comes_and_goes(api, story.kubectl, path, body, place, gone)


def test_repositories_and_clusters(api: Api, story: Story, control_plane: ControlPlane) -> None:
    """Both are tried before they are stored."""
    story.commit({"app/one.yaml": config_map("one")})
    url = f"file://{story.repository}"
    label = "secrets -l argocd.argoproj.io/secret-type"
    repository = {"repo": url, "username": "rights", "password": "s3cret-word"}
    place = f"repositories/{escaped(url)}"
    comes_and_goes(api, story.kubectl, "repositories", repository, f"{label}=repository", place)
    server = other_url(control_plane)
    config = json.loads(bearer(control_plane, deployer(story)))
    cluster = {"server": server, "name": "rights", "namespaces": [story.namespace], "config": config}
    place = f"clusters/{escaped(server)}"
    comes_and_goes(api, story.kubectl, "clusters", cluster, f"{label}=cluster", place)


def _items(found: dict[str, Any]) -> list[dict[str, Any]]:
    return list(found.get("items", [found]))


def _decoded(item: dict[str, Any]) -> str:
    if item["kind"] != "Secret":
        return ""
    return "".join(base64.b64decode(value).decode() for value in (item.get("data") or {}).values())


def test_keys_of_signers(api: Api, story: Story) -> None:
    with people("Rights") as (person,):
        made = api.done("POST", "/api/v1/gpgkeys", {"keyData": person.public})
        assert [each["keyID"] for each in made["created"]["items"]] == [person.key_id]
        held = story.kubectl.json("get", "configmap", "argocd-gpg-keys-cm", "-n", CONTROL_NAMESPACE)
        assert person.key_id in held["data"]
        api.done("DELETE", f"/api/v1/gpgkeys?keyID={person.key_id}")


def test_tokens_of_accounts_and_of_projects(api: Api, story: Story) -> None:
    with setting(story.kubectl, {"accounts.rights": "apiKey"}):
        _until(lambda: api.call("GET", "/api/v1/account/rights").status == 200)
        token = api.done("POST", "/api/v1/account/rights/token", {"id": "one"})["token"]
        assert token not in json.dumps(secret_of(story.kubectl, CONTROL_NAMESPACE, "argocd-secret"))
        api.done("DELETE", "/api/v1/account/rights/token/one")
    name = f"rights-{story.name}"
    api.done("POST", "/api/v1/projects", {"project": {"metadata": {"name": name}, "spec": PROJECT}})
    assert api.done("POST", f"/api/v1/projects/{name}/roles/ci/token", {"id": "one"})["token"]
    project = story.kubectl.json("get", "appproject", name, "-n", CONTROL_NAMESPACE)
    assert [each["id"] for each in project["status"]["jwtTokensByRole"]["ci"]["items"]] == ["one"]
    api.done("DELETE", f"/api/v1/projects/{name}")


@pytest.fixture
def web(api: Api, story: Story) -> Iterator[Story]:
    """An Application with a Deployment and a ConfigMap, made and synced through the API."""
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "main", "image": "example.org/web:1"}]},
            },
        },
    }
    story.commit({"app/web.yaml": yaml.safe_dump(deployment), "app/one.yaml": config_map("one")})
    manifest = story.application()
    api.done("POST", "/api/v1/applications", {"metadata": {"name": story.name}, "spec": manifest["spec"]})
    api.done("POST", f"/api/v1/applications/{story.name}/sync", {})
    story.wait_synced()
    yield story
    api.call("DELETE", f"/api/v1/applications/{story.name}?cascade=false")


def test_what_is_done_with_an_application(api: Api, web: Story) -> None:
    app = f"/api/v1/applications/{web.name}"
    patch = {"patch": '{"metadata":{"labels":{"team":"x"}}}', "patchType": "merge"}
    assert api.done("PATCH", app, patch)["metadata"]["labels"] == {"team": "x"}
    nodes = api.done("GET", f"{app}/resource-tree")["nodes"]
    pod = next(each["name"] for each in nodes if each["kind"] == "Pod")
    assert [e["reason"] for e in api.done("GET", f"{app}/events")["items"]]
    where = f"namespace={web.namespace}&version=v1"
    config = f"{app}/resource?{where}&group=&kind=ConfigMap&resourceName=one"
    assert '"key":"value"' in api.done("GET", config)["manifest"].replace(" ", "")
    change = '{"data":{"key":"patched"}}'
    patched = api.call("POST", f"{config}&patchType=application/merge-patch%2Bjson", change)
    assert patched.status == 200, patched.text
    found = web.object("configmap", "one")
    assert found is not None
    assert found["data"] == {"key": "patched"}
    restart = f"{app}/resource/actions/v2"
    deployment = {"namespace": web.namespace, "group": "apps", "version": "v1", "kind": "Deployment"}
    api.done("POST", restart, {**deployment, "resourceName": "web", "action": "restart"})
    found = web.object("deployment", "web")
    assert found is not None
    assert "kubectl.kubernetes.io/restartedAt" in found["spec"]["template"]["metadata"]["annotations"]
    # No kubelet keeps this Pod's log; whether it may be read is decided before that shows.
    log = api.call("GET", f"{app}/logs?podName={pod}&namespace={web.namespace}&container=main")
    assert "forbidden" not in log.text.lower()
    api.done("DELETE", f"{config}&force=false")
    web.wait_object("configmap", "one", lambda found: found is None)
    api.done("POST", f"{app}/sync", {"prune": False})
    web.wait_synced()
    api.done("POST", f"{app}/rollback", {"id": 0})
    web.wait_operation("Succeeded")
    api.done("DELETE", f"{app}?cascade=true")
    web.wait_object("deployment", "web", lambda found: found is None)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
