"""Built-in checks of the ``apps`` kinds: first matching row wins (health-and-resources.md 2.1).

Each function reads a typed view of one object (``reading.py``) and returns its health.
"""

from tiphys.health.model import DEGRADED, HEALTHY, PROGRESSING, SUSPENDED, Health
from tiphys.health.reading import Fields


def _waiting(text: str) -> Health:
    return Health(PROGRESSING, f"Waiting for {text}")


def deployment(obj: Fields) -> Health:
    """``apps/v1`` Deployment."""
    metadata, spec, status = obj.inner("metadata"), obj.inner("spec"), obj.inner("status")
    replicas = spec.optional_number("replicas")
    updated = status.number("updatedReplicas")
    total, available = status.number("replicas"), status.number("availableReplicas")
    if spec.flag("paused"):
        return Health(SUSPENDED, "Deployment is paused")
    if metadata.number("generation") > status.number("observedGeneration"):
        return _waiting("rollout to finish: observed deployment generation less than desired generation")
    progressing = next((c for c in status.items("conditions") if c.text("type") == "Progressing"), None)
    if progressing is not None and progressing.text("reason") == "ProgressDeadlineExceeded":
        return Health(DEGRADED, f'Deployment "{metadata.text("name")}" exceeded its progress deadline')
    if replicas is not None and updated < replicas:
        return _waiting(f"rollout to finish: {updated} out of {replicas} new replicas have been updated...")
    if total > updated:
        return _waiting(f"rollout to finish: {total - updated} old replicas are pending termination...")
    if available < updated:
        return _waiting(f"rollout to finish: {available} of {updated} updated replicas are available...")
    return Health(HEALTHY)


def stateful_set(obj: Fields) -> Health:
    """``apps/v1`` StatefulSet."""
    spec, status = obj.inner("spec"), obj.inner("status")
    observed = status.number("observedGeneration")
    replicas = spec.optional_number("replicas")
    ready, updated = status.number("readyReplicas"), status.number("updatedReplicas")
    strategy = spec.inner("updateStrategy")
    if observed == 0 or obj.inner("metadata").number("generation") > observed:
        return _waiting("statefulset spec update to be observed...")
    if replicas is not None and ready < replicas:
        return _waiting(f"{replicas - ready} pods to be ready...")
    if strategy.text("type") == "RollingUpdate" and strategy.has("rollingUpdate"):
        partition = strategy.inner("rollingUpdate").optional_number("partition")
        if replicas is not None and partition is not None and updated < replicas - partition:
            return _waiting(
                f"partitioned roll out to finish: {updated} out of {replicas - partition} "
                "new pods have been updated..."
            )
        return Health(HEALTHY, f"partitioned roll out complete: {updated} new pods have been updated...")
    if strategy.text("type") == "OnDelete":
        return Health(HEALTHY, f"statefulset has {ready} ready pods")
    current, update = status.text("currentRevision"), status.text("updateRevision")
    if update != current:
        return Health(
            PROGRESSING,
            f"waiting for statefulset rolling update to complete {updated} pods at revision {update}...",
        )
    pods = status.number("currentReplicas")
    return Health(HEALTHY, f"statefulset rolling update complete {pods} pods at revision {current}...")


def daemon_set(obj: Fields) -> Health:
    """``apps/v1`` DaemonSet."""
    metadata, status = obj.inner("metadata"), obj.inner("status")
    name, desired = metadata.text("name"), status.number("desiredNumberScheduled")
    updated, available = status.number("updatedNumberScheduled"), status.number("numberAvailable")
    if metadata.number("generation") > status.number("observedGeneration"):
        return _waiting("rollout to finish: observed daemon set generation less than desired generation")
    if obj.inner("spec").inner("updateStrategy").text("type") == "OnDelete":
        return Health(HEALTHY, f"daemon set {updated} out of {desired} new pods have been updated")
    if updated < desired:
        return _waiting(
            f'daemon set "{name}" rollout to finish: {updated} out of {desired} new pods have been updated...'
        )
    if available < desired:
        return _waiting(
            f'daemon set "{name}" rollout to finish: {available} of {desired} updated pods are available...'
        )
    return Health(HEALTHY)


def replica_set(obj: Fields) -> Health:
    """``apps/v1`` ReplicaSet."""
    status = obj.inner("status")
    replicas = obj.inner("spec").optional_number("replicas")
    available = status.number("availableReplicas")
    if obj.inner("metadata").number("generation") > status.number("observedGeneration"):
        return _waiting("rollout to finish: observed replica set generation less than desired generation")
    for condition in status.items("conditions"):
        if condition.text("type") == "ReplicaFailure" and condition.text("status") == "True":
            return Health(DEGRADED, condition.text("message"))
    if replicas is not None and available < replicas:
        return _waiting(f"rollout to finish: {available} out of {replicas} new replicas are available...")
    return Health(HEALTHY)
