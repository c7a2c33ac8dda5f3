"""What the resource tree shows of a Pod (health-and-resources.md 8.2)."""

from collections.abc import Iterable
from typing import Any

from tiphys.live.quantities import millis
from tiphys.resources.messages.trees import InfoItem

_Pod = dict[str, Any]


def pod_items(pod: _Pod) -> list[InfoItem]:
    """Status Reason, Node, Containers, Restart Count, cpu, memory: in this order."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    reason, ready, restarts = _reason(pod, spec, status)
    total = len(spec.get("containers") or ()) + sum(map(_restartable, spec.get("initContainers") or ()))
    items = [InfoItem(name="Status Reason", value=reason)] if reason else []
    items.append(InfoItem(name="Node", value=spec.get("nodeName") or ""))
    items.append(InfoItem(name="Containers", value=f"{ready}/{total}"))
    if restarts > 0:
        items.append(InfoItem(name="Restart Count", value=str(restarts)))
    if status.get("phase") not in ("Succeeded", "Failed"):
        requests = effective_requests(pod)
        items.extend(
            InfoItem(name=name, value=str(requests[name])) for name in ("cpu", "memory") if name in requests
        )
    return items


def pod_images(pod: _Pod) -> tuple[str, ...]:
    """Images of containers and init containers, unique."""
    spec = pod.get("spec") or {}
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    return tuple(dict.fromkeys(each.get("image") or "" for each in containers))


def _restartable(container: dict[str, Any]) -> bool:
    return container.get("restartPolicy") == "Always"


def _condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    for condition in status.get("conditions") or ():
        if condition.get("type") == kind:
            return dict(condition)
    return {}


def _ended(terminated: dict[str, Any], prefix: str) -> str:
    if terminated.get("reason"):
        return prefix + str(terminated["reason"])
    if terminated.get("signal"):
        return f"{prefix}Signal:{terminated['signal']}"
    return f"{prefix}ExitCode:{terminated.get('exitCode', 0)}"


def _reason(pod: _Pod, spec: dict[str, Any], status: dict[str, Any]) -> tuple[str, int, int]:
    """Status reason, ready containers, restarts."""
    reason = status.get("reason") or status.get("phase") or ""
    if _condition(status, "PodScheduled").get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    ready = restarts = 0
    inits = spec.get("initContainers") or ()
    restartable = {each.get("name") for each in inits if _restartable(each)}
    initializing = False
    for index, container in enumerate(status.get("initContainerStatuses") or ()):
        restarts += container.get("restartCount") or 0
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting") or {}
        if terminated is not None and (terminated.get("exitCode") or 0) == 0:
            continue
        if container.get("name") in restartable and container.get("started"):
            ready += bool(container.get("ready"))
            continue
        if terminated is not None:
            reason = _ended(terminated, "Init:")
        elif waiting.get("reason") and waiting["reason"] != "PodInitializing":
            reason = f"Init:{waiting['reason']}"
        else:
            reason = f"Init:{index}/{len(inits)}"
        initializing = True
        break
    if not initializing or _condition(status, "Initialized").get("status") == "True":
        running = False
        for container in reversed(status.get("containerStatuses") or ()):
            restarts += container.get("restartCount") or 0
            state = container.get("state") or {}
            terminated, waiting = state.get("terminated"), state.get("waiting") or {}
            if waiting.get("reason"):
                reason = waiting["reason"]
            elif terminated is not None:
                reason = _ended(terminated, "")
            elif container.get("ready") and state.get("running") is not None:
                running = True
                ready += 1
        if reason == "Completed" and running:
            reason = "Running"
    if (pod.get("metadata") or {}).get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            reason = "Unknown"
        elif status.get("phase") not in ("Succeeded", "Failed"):
            reason = "Terminating"
    return str(reason), ready, restarts


def effective_requests(pod: _Pod) -> dict[str, int]:
    """What the scheduler counts, by resource, in milli-units."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    allocated = {
        each.get("name"): each.get("allocatedResources") or {}
        for each in status.get("containerStatuses") or ()
    }
    running: dict[str, int] = {}
    for container in spec.get("containers") or ():
        own = _requests(container)
        for name, value in allocated.get(container.get("name"), {}).items():
            own[name] = max(own.get(name, 0), millis(value))
        _add(running, own.items())
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        own = _requests(container)
        if _restartable(container):
            _add(running, own.items())
            _add(sidecars, own.items())
            step = dict(sidecars)
        else:
            step = dict(sidecars)
            _add(step, own.items())
        for name, value in step.items():
            peak[name] = max(peak.get(name, 0), value)
    for name, value in peak.items():
        running[name] = max(running.get(name, 0), value)
    running.update(_requests(spec))  # pod-level resources stand for the sum
    _add(running, ((name, millis(value)) for name, value in (spec.get("overhead") or {}).items()))
    return running


def _requests(holder: dict[str, Any]) -> dict[str, int]:
    requests = (holder.get("resources") or {}).get("requests") or {}
    return {name: millis(value) for name, value in requests.items()}


def _add(total: dict[str, int], values: Iterable[tuple[str, int]]) -> None:
    for name, value in values:
        total[name] = total.get(name, 0) + value
