"""Built-in check of Pods (health-and-resources.md 2.2).

A Pod that is meant to run for long (restart policy ``Always``, or the annotation that says so)
is judged by its containers; one that is meant to end, by its phase.
"""

from collections.abc import Iterator

from tiphys.health.model import DEGRADED, HEALTHY, PROGRESSING, UNKNOWN, Health
from tiphys.health.reading import Fields

IGNORE_RESTART_POLICY = "argocd.argoproj.io/ignore-restart-policy"


def pod(obj: Fields, *, is_hook: bool) -> Health:
    """``v1`` Pod; the annotation does not count for hooks."""
    status = obj.inner("status")
    message = status.text("message")
    policy = obj.inner("spec").text("restartPolicy")
    annotated = obj.inner("metadata").texts("annotations").get(IGNORE_RESTART_POLICY) == "true"
    long_running = policy == "Always" or (annotated and not is_hook)
    containers = status.items("containerStatuses")
    if long_running:
        stuck = [waiting.text("message") for waiting in _stuck(containers)]
        if stuck:
            return Health(DEGRADED, ", ".join(stuck))
    match status.text("phase"):
        case "Pending":
            return Health(PROGRESSING, message)
        case "Succeeded":
            return Health(HEALTHY, message)
        case "Failed":
            everything = [*status.items("initContainerStatuses"), *containers]
            return Health(DEGRADED, message or _failure(everything))
        case "Running" if long_running:
            return Health(_running(status, containers), message)
        case "Running" if policy in ("OnFailure", "Never"):
            return Health(PROGRESSING, message)
    return Health(UNKNOWN, message)


def _stuck(containers: list[Fields]) -> Iterator[Fields]:
    for container in containers:
        waiting = container.inner("state").inner("waiting")
        reason = waiting.text("reason")
        if reason.startswith("Err") or reason.endswith(("Error", "BackOff")):
            yield waiting


def _failure(containers: list[Fields]) -> str:
    for container in containers:
        terminated = container.inner("state").inner("terminated")
        if text := terminated.text("message"):
            return text
        if terminated.text("reason") == "OOMKilled":
            return "OOMKilled"
        if code := terminated.number("exitCode"):
            return f'container "{container.text("name")}" failed with exit code {code}'
    return ""


def _running(status: Fields, containers: list[Fields]) -> str:
    ready = any(
        condition.text("type") == "Ready" and condition.text("status") == "True"
        for condition in status.items("conditions")
    )
    if ready:
        return HEALTHY
    crashed = any(container.inner("lastState").has("terminated") for container in containers)
    return DEGRADED if crashed else PROGRESSING
