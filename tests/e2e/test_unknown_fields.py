"""Applications of a newer definition: what we do not know survives every write of ours."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tests.controlplane.installation import KINDS, PLURALS, Operator
from tests.controlplane.kubectl import Kubectl
from tests.e2e.api import log_in
from tests.e2e.story import CONTROL_NAMESPACE, IN_CLUSTER, Story, config_map, operation_state, sync_status

CRD = "applications.argoproj.io"
WATCH = (
    "/apis/argoproj.io/v1alpha1/{plural}?watch=true&allowWatchBookmarks=true"
    "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
)
NEW: dict[str, Any] = {"ofTomorrow": {"list": [{"a": 1}], "text": "x"}}


@pytest.fixture(scope="module")
def newer_kinds(operator: Operator, control_plane: ControlPlane) -> Iterator[None]:
    """The definitions of our kinds take any field, as ones with more fields would."""
    kubectl = control_plane.kubectl
    anything = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    patch = [{"op": "replace", "path": "/spec/versions/0/schema", "value": anything}]
    with ExitStack() as stack:
        # Watches from before show what the old definition knows, until the API server ends them.
        watches = [stack.enter_context(_watch(kubectl, plural)) for plural in PLURALS]
        for plural in PLURALS:
            kubectl("patch", "crd", f"{plural}.argoproj.io", "--type=json", "-p", json.dumps(patch))
        for watch in watches:
            watch.communicate(timeout=60)
    operator.program.wait_until(operator.is_ready, seconds=20)
    yield
    kubectl("apply", "--server-side", "--force-conflicts", "-k", str(KINDS))


@contextmanager
def _watch(kubectl: Kubectl, plural: str) -> Iterator[subprocess.Popen[bytes]]:
    """A watch that stands; it ends by itself when the definition changes."""
    command = [
        kubectl.program,
        "--kubeconfig",
        kubectl.kubeconfig,
        "get",
        "--raw",
        WATCH.format(plural=plural),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as watch:
        try:
            assert watch.stdout is not None
            watch.stdout.readline()
            yield watch
        finally:
            watch.kill()


def test_what_we_do_not_know_survives(newer_kinds: None, story: Story) -> None:
    """Over syncs, histories, a normalised spec, conditions, refreshes and the deletion's finalizers."""
    story.commit({"app/one.yaml": config_map("one"), "more/two.yaml": config_map("two")})
    manifest = story.application(
        metadata={
            "finalizers": ["example.org/another", "resources-finalizer.argocd.argoproj.io"],
            "labels": {"example.org/label": "l"},
            "annotations": {"example.org/annotation": "a"},
        },
        syncPolicy={**story.automated(selfHeal=True, **NEW), **NEW},
        ignoreDifferences=[{"kind": "Secret", "jsonPointers": ["/data"], **NEW}],
        **NEW,
    )
    source = manifest["spec"].pop("source") | NEW
    manifest["spec"]["sources"] = [{**source, "helm": {}}, {**source, "path": "more"}]
    manifest["spec"]["destination"] |= NEW
    manifest["spec"]["project"] = ""
    status = {"sync": {"status": "", **NEW}, "health": {**NEW}, **NEW}
    old = {"id": 7, "revision": "e", "deployedAt": "2024-01-01T00:00:00Z", "source": source, **NEW}
    manifest["status"] = {**status, "history": [old]}
    story.kubectl("create", "-f", "-", stdin=json.dumps(manifest))
    try:
        story.wait_synced()
        story.commit({"app/one.yaml": config_map("one", {"key": "new"})})
        story.refresh("hard")
        app = story.wait("deployed again", lambda app: len(app["status"].get("history") or ()) == 3)
        app = story.wait_synced()
        spec = manifest["spec"]
        spec["project"] = "default"  # what a look normalises
        spec["sources"][0].pop("helm")
        assert app["spec"] == spec
        assert app["metadata"]["labels"] == manifest["metadata"]["labels"]
        assert app["metadata"]["annotations"] == manifest["metadata"]["annotations"]
        assert app["metadata"]["finalizers"] == manifest["metadata"]["finalizers"]
        assert app["status"]["history"][0] == old
        assert [entry["id"] for entry in app["status"]["history"]] == [7, 8, 9]
        for part in (app["status"], app["status"]["sync"], app["status"]["health"]):
            assert part["ofTomorrow"] == NEW["ofTomorrow"]
        assert operation_state(app)["phase"] == "Succeeded"
        story.kubectl("delete", CRD, story.name, "-n", story.control, "--wait=false")
        app = story.wait(
            "its own finalizer gone", lambda app: app["metadata"]["finalizers"] == ["example.org/another"]
        )
        assert app["spec"] == spec
        assert app["status"]["history"][0] == old
        assert story.object("configmap", "one") is None
    finally:
        patch = '{"metadata":{"finalizers":null}}'
        story.kubectl(
            *("patch", CRD, story.name, "-n", story.control, "--type=merge", "-p", patch), check=False
        )
        story.kubectl("delete", CRD, story.name, "-n", story.control, "--ignore-not-found")


def test_it_survives_the_api(newer_kinds: None, story: Story, operator: Operator) -> None:
    """Over Update, UpdateSpec, both kinds of Patch, Sync, Rollback, refreshes and the end of an operation."""
    api = log_in(operator, story.kubectl, CONTROL_NAMESPACE)
    story.commit({"app/one.yaml": config_map("one"), "more/two.yaml": config_map("two")})
    manifest = story.application(
        **NEW, ignoreDifferences=[{"kind": "Secret", "jsonPointers": ["/data"], **NEW}]
    )
    source = manifest["spec"].pop("source") | NEW
    manifest["spec"]["sources"] = [source, {**source, "path": "more"}]
    manifest["spec"]["destination"] |= NEW
    manifest["status"] = {"sync": {"status": "", **NEW}, "health": {**NEW}, **NEW}
    story.apply(manifest)
    app, spec = f"/api/v1/applications/{story.name}", manifest["spec"]
    story.wait("compared", sync_status)

    def unharmed() -> dict[str, Any]:
        stored = story.get()
        assert stored["spec"] == spec
        for part in (stored["status"], stored["status"]["sync"], stored["status"]["health"]):
            assert part["ofTomorrow"] == NEW["ofTomorrow"]
        return stored

    # what was read is written back, with a change: a client that knows no more than we do
    seen = api.done("GET", app)
    assert "ofTomorrow" not in json.dumps(seen["spec"])
    seen["spec"]["sources"][1]["targetRevision"] = spec["sources"][1]["targetRevision"] = "HEAD"
    seen["metadata"]["labels"] = {"team": "x"}
    api.done("PUT", app, seen)
    assert unharmed()["metadata"]["labels"] == {"team": "x"}
    seen["spec"]["revisionHistoryLimit"] = spec["revisionHistoryLimit"] = 5
    api.done("PUT", f"{app}/spec", seen["spec"])
    unharmed()
    spec["info"] = [{"name": "a", "value": "b"}]
    api.done("PATCH", app, {"patchType": "merge", "patch": json.dumps({"spec": {"info": spec["info"]}})})
    unharmed()
    spec["sources"].reverse()  # what we do not know goes with its item
    known = api.done("GET", app)["spec"]["sources"]
    patch = [{"op": "replace", "path": "/spec/sources", "value": known[::-1]}]
    api.done("PATCH", app, {"patchType": "json", "patch": json.dumps(patch)})
    unharmed()
    api.done("POST", f"{app}/sync", {"revisions": ["main", "main"], "sourcePositions": [1, 2]})
    story.wait_operation("Succeeded")
    api.done("GET", f"{app}?refresh=hard")
    unharmed()
    api.done("POST", f"{app}/rollback", {"id": 0})
    story.wait("rolled back", lambda app: len(app["status"].get("history") or ()) == 2)
    hook = {"argocd.argoproj.io/hook": "PreSync", "argocd.argoproj.io/hook-finalizer": ""}
    endless = {"pod.tiphys.test/outcome": "run"}
    story.commit({"app/wait.yaml": _pod("wait", {**hook, **endless})})
    api.done("POST", f"{app}/sync", {})
    story.wait("waiting", lambda app: "wait" in operation_state(app).get("message", ""))
    api.done("DELETE", f"{app}/operation")
    story.wait_operation("Failed")
    unharmed()
    api.done("DELETE", f"{app}?cascade=true")
    story.kubectl("wait", "--for=delete", f"{CRD}/{story.name}", "-n", story.control, "--timeout=30s")


def _pod(name: str, annotations: dict[str, str]) -> str:
    spec = {"containers": [{"name": "main", "image": "example.org/x:1"}], "restartPolicy": "Never"}
    metadata = {"name": name, "annotations": annotations}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def test_it_survives_in_projects_and_sets(newer_kinds: None, story: Story, operator: Operator) -> None:
    """Over Update and tokens of a project, and an ApplicationSet that is sent again."""
    api = log_in(operator, story.kubectl, CONTROL_NAMESPACE)
    role = {"name": "ci", "policies": [f"p, proj:{story.name}:ci, applications, get, {story.name}/*, allow"]}
    spec: dict[str, Any] = {
        "sourceRepos": ["*"],
        "destinations": [{"server": "*", "namespace": "*", **NEW}],
        "roles": [{**role, **NEW}],
        **NEW,
    }
    kind = {
        "apiVersion": "argoproj.io/v1alpha1",
        "metadata": {"name": story.name, "namespace": story.control},
    }
    project = {**kind, "kind": "AppProject", "spec": spec, "status": NEW}
    story.kubectl("create", "-f", "-", stdin=json.dumps(project))
    template = {
        "metadata": {"name": "x", **NEW},
        "spec": {
            "project": "default",
            "source": {"repoURL": "https://git.example/x", "path": "x", **NEW},
            "destination": {"server": IN_CLUSTER, "namespace": "x"},
        },
    }
    generators = [{"list": {"elements": [], **NEW}}]
    family = {
        **kind,
        "kind": "ApplicationSet",
        "spec": {"generators": generators, "template": template, **NEW},
    }
    story.kubectl("create", "-f", "-", stdin=json.dumps(family))
    try:
        path = f"/api/v1/projects/{story.name}"
        seen = api.done("GET", path)
        seen["spec"]["description"] = spec["description"] = "changed"
        api.done("PUT", path, {"project": seen})
        token = api.done("POST", f"{path}/roles/ci/token", {"id": "one"})
        assert token["token"]
        stored = story.kubectl.json("get", "appproject", story.name, "-n", story.control)
        assert [each.pop("id") for each in stored["spec"]["roles"][0].pop("jwtTokens")] == ["one"]
        assert stored["spec"] == spec
        assert stored["status"]["ofTomorrow"] == NEW["ofTomorrow"]

        seen = api.done("GET", f"/api/v1/applicationsets/{story.name}")
        seen["spec"]["goTemplate"] = family["spec"]["goTemplate"] = True
        again = {"metadata": {"name": story.name}, "spec": seen["spec"]}
        api.done("POST", "/api/v1/applicationsets?upsert=true", again)
        stored = story.kubectl.json("get", "applicationset", story.name, "-n", story.control)
        assert stored["spec"] == family["spec"]
    finally:
        for name in ("appproject", "applicationset"):
            story.kubectl("delete", name, story.name, "-n", story.control, "--ignore-not-found")
