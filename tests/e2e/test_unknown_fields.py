"""Applications of a newer definition: what we do not know survives every write of ours."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tests.controlplane.installation import KINDS, Operator
from tests.e2e.story import Story, config_map, operation_state

CRD = "applications.argoproj.io"
WATCH = (
    "/apis/argoproj.io/v1alpha1/applications?watch=true&allowWatchBookmarks=true"
    "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
)
NEW: dict[str, Any] = {"ofTomorrow": {"list": [{"a": 1}], "text": "x"}}


@pytest.fixture
def newer_kind(operator: Operator, control_plane: ControlPlane) -> Iterator[None]:
    """The definition of Application takes any field, as one with more fields would."""
    kubectl = control_plane.kubectl
    anything = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    patch = [{"op": "replace", "path": "/spec/versions/0/schema", "value": anything}]
    # Watches from before show what the old definition knows, until the API server ends them.
    command = [kubectl.program, "--kubeconfig", kubectl.kubeconfig, "get", "--raw", WATCH]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as watch:
        try:
            assert watch.stdout is not None
            watch.stdout.readline()  # it stands
            kubectl("patch", "crd", CRD, "--type=json", "-p", json.dumps(patch))
            watch.communicate(timeout=60)
        finally:
            watch.kill()
    operator.program.wait_until(operator.is_ready, seconds=20)
    yield
    kubectl("apply", "--server-side", "--force-conflicts", "-k", str(KINDS))


def test_what_we_do_not_know_survives(newer_kind: None, story: Story) -> None:
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
