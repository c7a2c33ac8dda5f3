"""The apps kinds, row by row (health-and-resources.md 2.1)."""

from typing import Any

import pytest

from tests.health.building import condition, obj
from tiphys.health import assess

OBSERVED = {"observedGeneration": 2}


def status(**fields: Any) -> dict[str, Any]:
    return {**OBSERVED, **fields}


DEPLOYMENTS = [
    ("paused", {"paused": True}, {}, "Suspended", "Deployment is paused"),
    (
        "not observed",
        {},
        {"observedGeneration": 1},
        "Progressing",
        "Waiting for rollout to finish: observed deployment generation less than desired generation",
    ),
    (
        "never observed",
        {},
        {},
        "Progressing",
        "Waiting for rollout to finish: observed deployment generation less than desired generation",
    ),
    (
        "deadline, status not looked at",
        {},
        status(conditions=[condition("Progressing", "False", "ProgressDeadlineExceeded")]),
        "Degraded",
        'Deployment "x" exceeded its progress deadline',
    ),
    (
        "other reason",
        {"replicas": 0},
        status(conditions=[condition("Progressing", "True", "NewReplicaSetAvailable")]),
        "Healthy",
        "",
    ),
    (
        "updating",
        {"replicas": 3},
        status(updatedReplicas=1),
        "Progressing",
        "Waiting for rollout to finish: 1 out of 3 new replicas have been updated...",
    ),
    (
        "old ones",
        {"replicas": 1},
        status(updatedReplicas=1, replicas=3),
        "Progressing",
        "Waiting for rollout to finish: 2 old replicas are pending termination...",
    ),
    (
        "not available",
        {"replicas": 2},
        status(updatedReplicas=2, replicas=2, availableReplicas=1),
        "Progressing",
        "Waiting for rollout to finish: 1 of 2 updated replicas are available...",
    ),
    ("healthy", {"replicas": 2}, status(updatedReplicas=2, replicas=2, availableReplicas=2), "Healthy", ""),
    ("no replicas in spec", {}, status(), "Healthy", ""),
]
STATEFUL_SETS = [
    ("never observed", {}, {}, "Progressing", "Waiting for statefulset spec update to be observed..."),
    (
        "not observed",
        {},
        {"observedGeneration": 1},
        "Progressing",
        "Waiting for statefulset spec update to be observed...",
    ),
    (
        "not ready",
        {"replicas": 3},
        status(readyReplicas=1),
        "Progressing",
        "Waiting for 2 pods to be ready...",
    ),
    (
        "partition",
        {"replicas": 3, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}},
        status(readyReplicas=3, updatedReplicas=1),
        "Progressing",
        "Waiting for partitioned roll out to finish: 1 out of 2 new pods have been updated...",
    ),
    (
        "partition done",
        {"replicas": 3, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}},
        status(readyReplicas=3, updatedReplicas=2),
        "Healthy",
        "partitioned roll out complete: 2 new pods have been updated...",
    ),
    (
        "block without partition",
        {"replicas": 3, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {}}},
        status(readyReplicas=3, updatedReplicas=1),
        "Healthy",
        "partitioned roll out complete: 1 new pods have been updated...",
    ),
    (
        "on delete",
        {"replicas": 3, "updateStrategy": {"type": "OnDelete"}},
        status(readyReplicas=3),
        "Healthy",
        "statefulset has 3 ready pods",
    ),
    (
        "revisions differ",
        {"replicas": 1, "updateStrategy": {"type": "RollingUpdate"}},
        status(readyReplicas=1, updatedReplicas=0, currentRevision="a", updateRevision="b"),
        "Progressing",
        "waiting for statefulset rolling update to complete 0 pods at revision b...",
    ),
    (
        "complete",
        {"replicas": 1},
        status(readyReplicas=1, currentReplicas=1, currentRevision="a", updateRevision="a"),
        "Healthy",
        "statefulset rolling update complete 1 pods at revision a...",
    ),
]
DAEMON_SETS = [
    (
        "not observed",
        {},
        {},
        "Progressing",
        "Waiting for rollout to finish: observed daemon set generation less than desired generation",
    ),
    (
        "on delete",
        {"updateStrategy": {"type": "OnDelete"}},
        status(updatedNumberScheduled=1, desiredNumberScheduled=3),
        "Healthy",
        "daemon set 1 out of 3 new pods have been updated",
    ),
    (
        "updating",
        {},
        status(updatedNumberScheduled=1, desiredNumberScheduled=3),
        "Progressing",
        'Waiting for daemon set "x" rollout to finish: 1 out of 3 new pods have been updated...',
    ),
    (
        "not available",
        {},
        status(updatedNumberScheduled=3, desiredNumberScheduled=3, numberAvailable=2),
        "Progressing",
        'Waiting for daemon set "x" rollout to finish: 2 of 3 updated pods are available...',
    ),
    (
        "healthy",
        {},
        status(updatedNumberScheduled=3, desiredNumberScheduled=3, numberAvailable=3),
        "Healthy",
        "",
    ),
]
REPLICA_SETS = [
    (
        "not observed",
        {},
        {},
        "Progressing",
        "Waiting for rollout to finish: observed replica set generation less than desired generation",
    ),
    (
        "failure",
        {},
        status(conditions=[condition("ReplicaFailure", "True", "R", "quota")]),
        "Degraded",
        "quota",
    ),
    (
        "past failure",
        {"replicas": 0},
        status(conditions=[condition("ReplicaFailure", "False", "R", "quota")]),
        "Healthy",
        "",
    ),
    (
        "not available",
        {"replicas": 2},
        status(availableReplicas=1),
        "Progressing",
        "Waiting for rollout to finish: 1 out of 2 new replicas are available...",
    ),
    ("healthy", {"replicas": 2}, status(availableReplicas=2), "Healthy", ""),
]
CASES = [
    (kind, *case)
    for kind, cases in (
        ("Deployment", DEPLOYMENTS),
        ("StatefulSet", STATEFUL_SETS),
        ("DaemonSet", DAEMON_SETS),
        ("ReplicaSet", REPLICA_SETS),
    )
    for case in cases
]


@pytest.mark.parametrize(
    ("kind", "spec", "status", "code", "message"),
    [(case[0], *case[2:]) for case in CASES],
    ids=[f"{case[0]} {case[1]}" for case in CASES],
)
def test_row(kind: str, spec: dict[str, Any], status: dict[str, Any], code: str, message: str) -> None:
    health = assess(obj(kind, spec=spec, status=status))
    assert health is not None
    assert (health.status, health.message, health.error) == (code, message, "")


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"])
def test_other_versions_are_errors(kind: str) -> None:  # health-and-resources.md 2
    health = assess(obj(kind, api_version="apps/v1beta1"))
    assert health is not None
    assert (health.status, health.message) == (
        "Unknown",
        f"unsupported {kind} GVK: apps/v1beta1, Kind={kind}",
    )
    assert health.error == health.message


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        ({"spec": {"replicas": "3"}}, "spec.replicas: expected integer, not string"),
        ({"spec": []}, "spec: expected object, not array"),
        ({"status": status(conditions={})}, "status.conditions: expected array, not object"),
        ({"status": status(conditions=["x"])}, "status.conditions[0]: expected object, not string"),
        ({"spec": {"paused": "true"}}, "spec.paused: expected boolean, not string"),
        ({"spec": {"replicas": 1.5}}, "spec.replicas: expected integer, not number"),
        ({"spec": {"replicas": True}}, "spec.replicas: expected integer, not boolean"),
    ],
)
def test_a_field_of_the_wrong_type_fails_the_assessment(parts: dict[str, Any], path: str) -> None:
    health = assess(obj("Deployment", **parts))
    assert health is not None
    assert health.status == "Unknown"
    assert health.message == f"failed to convert unstructured Deployment to typed: {path}"


def test_nulls_read_as_absent() -> None:
    health = assess(obj("Deployment", spec=None, status={"observedGeneration": 2, "conditions": None}))
    assert health is not None
    assert health.status == "Healthy"
