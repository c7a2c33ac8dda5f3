"""The CRDs: generated equals committed, and a real API server takes them and what fits them."""

import copy
import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tests.resources.samples import samples
from tiphys.resources.schema import KINDS, CrdKind, crd, render

CRDS = Path(__file__).parents[2] / "crds"
SAMPLES = samples()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_committed_file_is_what_the_structs_say(kind: CrdKind) -> None:
    committed = (CRDS / kind.file_name).read_text()
    assert committed == render(kind), "run: python -m tiphys.resources.schema crds/"


def test_no_other_crd_is_there() -> None:
    assert {path.name for path in CRDS.glob("*-crd.yaml")} == {kind.file_name for kind in KINDS}


def _schema(kind: str, path: str = "") -> dict[str, Any]:
    """The schema at a path such as ``spec.sources[].helm``."""
    entry = next(entry for entry in KINDS if entry.kind == kind)
    schema = crd(entry)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for step in filter(None, path.replace("[]", ".[]").split(".")):
        schema = (
            schema["items"]
            if step == "[]"
            else (schema["additionalProperties"] if step == "*" else schema["properties"][step])
        )
    return schema  # type: ignore[no-any-return]


# applications.md 1, "required" lists; applicationset.md 1 and 3.
REQUIRED = [
    ("Application", "", "metadata spec"),
    ("Application", "spec", "destination project"),
    ("Application", "spec.source", "repoURL"),
    ("Application", "spec.sources[]", "repoURL"),
    ("Application", "spec.ignoreDifferences[]", "kind"),
    ("Application", "spec.info[]", "name value"),
    ("Application", "spec.source.kustomize.replicas[]", "count name"),
    ("Application", "spec.source.plugin.env[]", "name value"),
    ("Application", "spec.source.plugin.parameters[]", ""),
    ("Application", "spec.source.directory.jsonnet.extVars[]", "name value"),
    ("Application", "spec.source.directory.jsonnet.tlas[]", "name value"),
    ("Application", "spec.sourceHydrator", "drySource syncSource"),
    ("Application", "spec.sourceHydrator.drySource", "path repoURL targetRevision"),
    ("Application", "spec.sourceHydrator.syncSource", "path targetBranch"),
    ("Application", "spec.sourceHydrator.hydrateTo", "targetBranch"),
    ("Application", "operation", ""),
    ("Application", "operation.info[]", "name value"),
    ("Application", "operation.sync.resources[]", "kind name"),
    ("Application", "status", ""),
    ("Application", "status.conditions[]", "message type"),
    ("Application", "status.sync", "status"),
    ("Application", "status.sync.comparedTo", "destination"),
    ("Application", "status.history[]", "deployedAt id"),
    ("Application", "status.operationState", "operation phase startedAt"),
    ("Application", "status.operationState.syncResult", "revision"),
    ("Application", "status.operationState.syncResult.resources[]", "group kind name namespace version"),
    ("Application", "status.sourceHydrator.currentOperation", "message phase"),
    ("AppProject", "", "metadata spec"),
    ("AppProject", "spec", ""),
    ("AppProject", "spec.clusterResourceWhitelist[]", "group kind"),
    ("AppProject", "spec.namespaceResourceBlacklist[]", "group kind"),
    ("AppProject", "spec.destinationServiceAccounts[]", "defaultServiceAccount server"),
    ("AppProject", "spec.roles[]", "name"),
    ("AppProject", "spec.roles[].jwtTokens[]", "iat"),
    ("AppProject", "status.jwtTokensByRole.*.items[]", "iat"),
    ("AppProject", "spec.signatureKeys[]", "keyID"),
    ("AppProject", "spec.sourceIntegrity", "git"),
    ("AppProject", "spec.sourceIntegrity.git", "policies"),
    ("AppProject", "spec.sourceIntegrity.git.policies[]", "gpg repos"),
    ("AppProject", "spec.sourceIntegrity.git.policies[].gpg", "keys mode"),
    ("AppProject", "spec.sourceIntegrity.git.policies[].repos[]", "url"),
    ("ApplicationSet", "", "metadata spec"),
    ("ApplicationSet", "spec", "generators template"),
    ("ApplicationSet", "spec.template", "metadata spec"),
    ("ApplicationSet", "spec.template.spec", "destination project"),
    ("ApplicationSet", "spec.generators[].git.template", "metadata spec"),
    ("ApplicationSet", "spec.generators[].git", "repoURL revision"),
    ("ApplicationSet", "status.conditions[]", "message reason status type"),
    ("ApplicationSet", "status.applicationStatus[]", "application message status step targetRevisions"),
]


@pytest.mark.parametrize(("kind", "path", "names"), REQUIRED, ids=lambda value: value or "-")
def test_required_fields(kind: str, path: str, names: str) -> None:
    assert _schema(kind, path).get("required", []) == names.split()


CONSTRAINTS = [
    ("Application", "spec.source.helm.valuesObject", "x-kubernetes-preserve-unknown-fields", True),
    ("Application", "spec.source.kustomize.replicas[].count", "x-kubernetes-int-or-string", True),
    ("Application", "spec.sourceHydrator.syncSource.path", "minLength", 1),
    ("Application", "spec.sourceHydrator.syncSource.path", "pattern", "^.{2,}|[^./]$"),
    (
        "Application",
        "status.sourceHydrator.currentOperation.phase",
        "enum",
        ["Hydrating", "Failed", "Hydrated"],
    ),
    ("AppProject", "spec.description", "maxLength", 255),
    (
        "ApplicationSet",
        "spec.generators[].matrix.generators[].merge",
        "x-kubernetes-preserve-unknown-fields",
        True,
    ),
    ("ApplicationSet", "spec.generators[].list.elements[]", "x-kubernetes-preserve-unknown-fields", True),
    ("ApplicationSet", "spec.generators[].selector", "x-kubernetes-map-type", "atomic"),
    (
        "ApplicationSet",
        "spec.syncPolicy.applicationsSync",
        "enum",
        ["create-only", "create-update", "create-delete", "sync"],
    ),
]


@pytest.mark.parametrize(("kind", "path", "key", "value"), CONSTRAINTS)
def test_constraints(kind: str, path: str, key: str, value: object) -> None:
    assert _schema(kind, path)[key] == value


# Against the API server.


class Kubectl:
    """kubectl in a namespace of its own."""

    def __init__(self, plane: ControlPlane) -> None:
        self.namespace = f"resources-{uuid.uuid4().hex[:8]}"
        self._base = [str(plane.bin / "kubectl"), "--kubeconfig", str(plane.kubeconfig)]

    def __call__(self, *words: str, body: object = None, ok: bool = True) -> str:
        done = subprocess.run(
            [*self._base, "-n", self.namespace, *words],
            input=json.dumps(body) if body is not None else None,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode == 0) == ok, done.stderr
        return done.stdout if ok else done.stderr


@pytest.fixture(scope="module")
def kubectl(control_plane: ControlPlane) -> Iterator[Kubectl]:
    run = Kubectl(control_plane)
    run("create", "namespace", run.namespace)
    files = [word for kind in KINDS for word in ("-f", str(CRDS / kind.file_name))]
    run("apply", "--server-side", "--force-conflicts", *files)
    run("wait", "--for=condition=Established", "--timeout=30s", *files)
    yield run
    run("delete", "namespace", run.namespace, "--wait=false")


@pytest.mark.controlplane
@pytest.mark.parametrize("manifest", SAMPLES, ids=lambda m: m["metadata"]["name"])
def test_api_server_keeps_a_sample_as_it_is(kubectl: Kubectl, manifest: dict[str, Any]) -> None:
    kept = json.loads(kubectl("create", "--validate=strict", "-f", "-", "-o", "json", body=_free(manifest)))
    # ApplicationSet has a status subresource, the two others take a status at creation.
    for part in ("spec", "operation", *(["status"] if manifest["kind"] != "ApplicationSet" else [])):
        assert kept.get(part) == manifest.get(part)


def _free(manifest: dict[str, Any]) -> dict[str, Any]:
    """Without finalizers, so that the namespace can go."""
    copied = copy.deepcopy(manifest)
    copied["metadata"].pop("finalizers", None)
    return copied


MINIMAL: dict[str, Any] = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Application",
    "metadata": {"name": "refused"},
    "spec": {"project": "default", "destination": {}, "source": {"repoURL": "u"}},
}


@pytest.mark.controlplane
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"spec": {"project": "p", "destination": {}, "source": {"repoURL": 3}}}, "spec.source.repoURL"),
        ({"spec": {"project": "p"}}, "spec.destination: Required"),
        ({"spec": {"project": "p", "destination": {}, "sources": [{}]}}, "spec.sources[0].repoURL: Required"),
        (
            {"spec": {**MINIMAL["spec"], "syncPolicy": {"automated": {"prune": "yes"}}}},
            "spec.syncPolicy.automated.prune",
        ),
        (
            {
                "spec": {
                    "project": "p",
                    "destination": {},
                    "sourceHydrator": {
                        "drySource": {"repoURL": "u", "path": "p", "targetRevision": "r"},
                        "syncSource": {"targetBranch": "b", "path": "."},
                    },
                }
            },
            "spec.sourceHydrator.syncSource.path",
        ),
        (
            {
                "spec": {
                    **MINIMAL["spec"],
                    "source": {"repoURL": "u", "kustomize": {"replicas": [{"name": "a", "count": True}]}},
                }
            },
            "spec.source.kustomize.replicas[0].count",
        ),
        ({"status": {"reconciledAt": "yesterday"}}, "status.reconciledAt"),
    ],
    ids=["string", "required", "in-list", "boolean", "pattern", "int-or-string", "time"],
)
def test_api_server_refuses_a_wrong_type_with_its_path(
    kubectl: Kubectl, change: dict[str, Any], complaint: str
) -> None:
    error = kubectl("create", "--validate=false", "-f", "-", body=MINIMAL | change, ok=False)
    assert complaint in error


@pytest.mark.controlplane
def test_unknown_fields_are_pruned(kubectl: Kubectl) -> None:
    body = MINIMAL | {"metadata": {"name": "pruned"}, "spec": MINIMAL["spec"] | {"unknown": 1}}
    kept = json.loads(kubectl("create", "--validate=false", "-f", "-", "-o", "json", body=body))
    assert kept["spec"] == MINIMAL["spec"]


@pytest.mark.controlplane
def test_printer_columns_and_short_names(kubectl: Kubectl) -> None:
    # applications.md 1, "Printer columns"
    body = MINIMAL | {
        "metadata": {"name": "shown"},
        "status": {"sync": {"status": "Synced", "revision": "abc"}, "health": {"status": "Healthy"}},
    }
    kubectl("create", "-f", "-", body=body)
    assert kubectl("get", "app", "shown").splitlines()[0].split() == [
        "NAME",
        "SYNC",
        "STATUS",
        "HEALTH",
        "STATUS",
    ]
    wide = kubectl("get", "apps", "shown", "-o", "wide").splitlines()
    assert wide[0].split() == ["NAME", "SYNC", "STATUS", "HEALTH", "STATUS", "REVISION", "PROJECT"]
    assert wide[1].split() == ["shown", "Synced", "Healthy", "abc", "default"]
    for name in ("appproj", "appprojs", "appset", "appsets"):
        kubectl("get", name)


@pytest.mark.controlplane
def test_application_has_no_status_subresource(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", body=MINIMAL | {"metadata": {"name": "whole"}})
    patch = '{"status":{"sync":{"status":"Synced"}}}'
    error = kubectl("patch", "app", "whole", "--subresource=status", "--type=merge", "-p", patch, ok=False)
    assert "NotFound" in error or "not found" in error
    kubectl("patch", "app", "whole", "--type=merge", "-p", patch)
    assert kubectl("get", "app", "whole", "-o", "jsonpath={.status.sync.status}") == "Synced"
