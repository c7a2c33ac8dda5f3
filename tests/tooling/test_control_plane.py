"""The control plane does what the other tests rely on: Pods run, Jobs finish or fail, namespaces go."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import pytest

from tests.controlplane import ControlPlane

pytestmark = pytest.mark.controlplane


@pytest.fixture(scope="module")
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    name = f"plane-{uuid.uuid4().hex[:8]}"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--timeout=60s")


def workload(kind: str, name: str, outcome: str = "") -> str:
    pod = {
        "metadata": {
            "labels": {"app": name},
            "annotations": {"pod.tiphys.test/outcome": outcome} if outcome else {},
        },
        "spec": {"containers": [{"name": "main", "image": "example.com/nothing:1"}]},
    }
    spec: dict[str, object] = {"template": pod}
    if kind == "Job":
        pod["spec"]["restartPolicy"] = "Never"  # type: ignore[index]
        spec["backoffLimit"] = 0
    else:
        spec |= {"replicas": 2, "selector": {"matchLabels": {"app": name}}}
    version = "batch/v1" if kind == "Job" else "apps/v1"
    return json.dumps({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec})


def test_a_deployment_becomes_available(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl("apply", "-n", namespace, "-f", "-", stdin=workload("Deployment", "web"))
    control_plane.kubectl("rollout", "status", "-n", namespace, "deployment/web", "--timeout=60s")


@pytest.mark.parametrize(("outcome", "condition"), [("", "Complete"), ("fail", "Failed")])
def test_a_job_ends_as_its_annotation_says(
    control_plane: ControlPlane, namespace: str, outcome: str, condition: str
) -> None:
    control_plane.kubectl(
        "apply", "-n", namespace, "-f", "-", stdin=workload("Job", f"task{outcome}", outcome)
    )
    control_plane.kubectl(
        "wait", "-n", namespace, f"job/task{outcome}", f"--for=condition={condition}", "--timeout=60s"
    )


def test_the_server_names_its_version(control_plane: ControlPlane) -> None:
    assert json.loads(control_plane.get("/version"))["gitVersion"].startswith("v1.")
