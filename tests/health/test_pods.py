"""Pods (health-and-resources.md 2.2)."""

from typing import Any

import pytest

from tests.health.building import condition, obj
from tiphys.health import assess

IGNORE = {"argocd.argoproj.io/ignore-restart-policy": "true"}
HOOK = {"argocd.argoproj.io/hook": "PreSync"}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"name": "c", "state": {"waiting": {"reason": reason, "message": message}}}


def ended(name: str = "c", code: int = 0, reason: str = "", message: str = "") -> dict[str, Any]:
    return {"name": name, "state": {"terminated": {"exitCode": code, "reason": reason, "message": message}}}


CRASHED = {"name": "c", "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1}}}
READY = [condition("Ready")]
CASES = [
    (
        "image error",
        "Always",
        {},
        {
            "phase": "Pending",
            "containerStatuses": [
                waiting("ErrImagePull", "a"),
                waiting("x"),
                waiting("ImagePullBackOff", "b"),
            ],
        },
        "Degraded",
        "a, b",
    ),
    (
        "ends with Error",
        "Always",
        {},
        {"phase": "Running", "containerStatuses": [waiting("CreateContainerConfigError", "m")]},
        "Degraded",
        "m",
    ),
    (
        "crash loop",
        "Always",
        {},
        {"phase": "Running", "containerStatuses": [waiting("CrashLoopBackOff", "m")]},
        "Degraded",
        "m",
    ),
    (
        "init containers do not count",
        "Always",
        {},
        {"phase": "Pending", "initContainerStatuses": [waiting("ErrImagePull", "a")]},
        "Progressing",
        "",
    ),
    (
        "waiting but meant to end",
        "Never",
        {},
        {"phase": "Pending", "containerStatuses": [waiting("ErrImagePull", "a")]},
        "Progressing",
        "",
    ),
    (
        "annotated as long running",
        "Never",
        IGNORE,
        {"phase": "Pending", "containerStatuses": [waiting("ErrImagePull", "a")]},
        "Degraded",
        "a",
    ),
    (
        "annotated hook",
        "Never",
        IGNORE | HOOK,
        {"phase": "Pending", "containerStatuses": [waiting("ErrImagePull", "a")]},
        "Progressing",
        "",
    ),
    ("pending", "Always", {}, {"phase": "Pending", "message": "m"}, "Progressing", "m"),
    ("succeeded", "Never", {}, {"phase": "Succeeded", "message": "m"}, "Healthy", "m"),
    (
        "failed with message",
        "Never",
        {},
        {"phase": "Failed", "message": "m", "containerStatuses": [ended(code=1)]},
        "Degraded",
        "m",
    ),
    (
        "failed, termination message",
        "Never",
        {},
        {"phase": "Failed", "containerStatuses": [ended(code=1, message="t")]},
        "Degraded",
        "t",
    ),
    (
        "failed, killed for memory",
        "Never",
        {},
        {"phase": "Failed", "containerStatuses": [ended(code=137, reason="OOMKilled")]},
        "Degraded",
        "OOMKilled",
    ),
    (
        "failed, exit code",
        "Never",
        {},
        {"phase": "Failed", "containerStatuses": [ended(), ended("d", 3)]},
        "Degraded",
        'container "d" failed with exit code 3',
    ),
    (
        "failed, init first",
        "Never",
        {},
        {"phase": "Failed", "initContainerStatuses": [ended("i", 4)], "containerStatuses": [ended("c", 3)]},
        "Degraded",
        'container "i" failed with exit code 4',
    ),
    ("failed, nothing known", "Never", {}, {"phase": "Failed"}, "Degraded", ""),
    ("ready", "Always", {}, {"phase": "Running", "conditions": READY, "message": "m"}, "Healthy", "m"),
    (
        "not ready",
        "Always",
        {},
        {"phase": "Running", "conditions": [condition("Ready", "False")]},
        "Progressing",
        "",
    ),
    (
        "crashed before",
        "Always",
        {},
        {"phase": "Running", "containerStatuses": [CRASHED], "message": "m"},
        "Degraded",
        "m",
    ),
    (
        "crashed before, ready",
        "Always",
        {},
        {"phase": "Running", "containerStatuses": [CRASHED], "conditions": READY},
        "Healthy",
        "",
    ),
    ("running, meant to end", "OnFailure", {}, {"phase": "Running", "conditions": READY}, "Progressing", ""),
    ("running, never restarted", "Never", {}, {"phase": "Running", "conditions": READY}, "Progressing", ""),
    ("running, annotated", "Never", IGNORE, {"phase": "Running", "conditions": READY}, "Healthy", ""),
    ("unknown phase", "Always", {}, {"phase": "Unknown", "message": "lost"}, "Unknown", "lost"),
    ("no phase", "Always", {}, {}, "Unknown", ""),
]


@pytest.mark.parametrize(
    ("policy", "annotations", "status", "code", "message"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_pod(
    policy: str, annotations: dict[str, str], status: dict[str, Any], code: str, message: str
) -> None:
    pod = obj("Pod", metadata={"annotations": annotations}, spec={"restartPolicy": policy}, status=status)
    health = assess(pod)
    assert health is not None
    assert (health.status, health.message, health.error) == (code, message, "")


@pytest.mark.parametrize(
    ("annotations", "hook"),
    [
        ({"argocd.argoproj.io/hook": "PreSync"}, True),
        ({"argocd.argoproj.io/hook": "Skip"}, False),
        ({"argocd.argoproj.io/hook": "Skip, PreSync"}, True),
        ({"argocd.argoproj.io/hook": "garbage"}, True),
        ({"helm.sh/hook": "pre-install"}, True),
        ({"helm.sh/hook": "crd-install"}, False),
        ({"helm.sh/hook": "crd-install,pre-install"}, True),
        ({}, False),
    ],
)
def test_who_is_a_hook(annotations: dict[str, str], hook: bool) -> None:  # sync.md 9.1
    status = {"phase": "Running", "conditions": READY}
    metadata = {"annotations": IGNORE | annotations}
    health = assess(obj("Pod", metadata=metadata, spec={"restartPolicy": "Never"}, status=status))
    assert health is not None
    assert health.status == ("Progressing" if hook else "Healthy")
