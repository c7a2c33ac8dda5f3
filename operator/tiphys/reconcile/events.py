"""Kubernetes Events about applications: what is said, and saying it (applications.md 24).

Only transitions make Events: they are the costliest part of a small sync (1.2 ms of the API server
each). Sending is done by one background task with a bounded buffer, so that a slow API server never
holds a reconcile; what does not fit is dropped and counted in the log.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime

import msgspec

from tiphys.kube.errors import ApiError, ClusterUnreachable
from tiphys.resources.application import Application, OperationState
from tiphys.resources.identity import AppKey, Manifest
from tiphys.resources.times import to_timestamp
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

COMPONENT = "argocd-application-controller"
BUFFER = 10_000
SENDERS = 4


class EventMessage(msgspec.Struct, frozen=True):
    """One thing worth telling; ``type`` is ``Normal`` or ``Warning``."""

    reason: str
    message: str
    type: str = "Normal"


def transition(what: str, old: str, new: str, detail: str = "") -> list[EventMessage]:
    """The Event of a changed sync or health status, if it changed."""
    if old == new:
        return []
    suffix = f" ({detail})" if detail else ""
    return [EventMessage("ResourceUpdated", f"Updated {what} status: {old} -> {new}{suffix}")]


def sync_started(revisions: Iterable[str]) -> EventMessage:
    """An automated sync was begun."""
    return EventMessage("OperationStarted", f"Initiated automated sync to '{', '.join(revisions)}'")


def sync_completed(state: OperationState) -> EventMessage:
    """An operation ended, well or not."""
    sync = state.operation.sync
    words = ["Partial sync operation" if sync and sync.resources else "Sync operation"]
    if state.sync_result is not None:
        words.append(f"to {state.sync_result.revision}")
    if state.phase == "Succeeded":
        return EventMessage("OperationCompleted", " ".join([*words, "succeeded"]))
    return EventMessage("OperationCompleted", " ".join([*words, f"failed: {state.message}"]), "Warning")


def event_manifest(
    app: Application, event: EventMessage, now: datetime, stamp: int, labels: Mapping[str, str] | None = None
) -> Manifest:
    """The Event object; ``stamp`` (nanoseconds) makes its name unique."""
    metadata = app.metadata
    moment = to_timestamp(now)
    manifest: Manifest = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata.name}.{stamp:x}",
            "namespace": metadata.namespace,
            "annotations": {
                "dest-server": app.spec.destination.server,
                "dest-namespace": app.spec.destination.namespace,
            },
        },
        "involvedObject": {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "namespace": metadata.namespace,
            "name": metadata.name,
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
        },
        "reason": event.reason,
        "message": event.message[:1024],
        "type": event.type,
        "count": 1,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "source": {"component": COMPONENT},
    }
    if labels:
        manifest["metadata"]["labels"] = dict(labels)
    return manifest


class EventSender:
    """Sends Events in the background.

    Args:
        post: posts the JSON of one Event of a namespace; its answer is not read.
        wanted: whether Events of this reason are sent (``--enable-k8s-event``).
        nanoseconds: a clock for unique names.
        labels: those that the Events of an application carry (``resource.includeEventLabelKeys``).
    """

    def __init__(
        self,
        post: Callable[[str, bytes], Awaitable[object]],
        wanted: Callable[[str], bool],
        nanoseconds: Callable[[], int],
        labels: Callable[[Application], Mapping[str, str]] = lambda app: {},
    ):
        self._post = post
        self._wanted = wanted
        self._nanoseconds = nanoseconds
        self._labels = labels
        self._buffer: asyncio.Queue[tuple[AppKey, bytes]] = asyncio.Queue(BUFFER)
        self._last_stamp = 0

    def emit(self, app: Application, events: Iterable[EventMessage], now: datetime) -> None:
        """Queue Events about ``app``; never waits."""
        for event in events:
            if not self._wanted(event.reason):
                continue
            self._last_stamp = max(self._last_stamp + 1, self._nanoseconds())
            try:
                manifest = event_manifest(app, event, now, self._last_stamp, self._labels(app))
                self._buffer.put_nowait((app.key, msgspec.json.encode(manifest)))
            except asyncio.QueueFull:
                log.warning("event dropped, the buffer is full", extra={"app": str(app.key)})

    async def flush(self) -> None:
        """Wait until everything queued was sent."""
        await self._buffer.join()

    async def run(self) -> None:
        """Send until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(SENDERS):
                tasks.create_task(self._send())

    async def _send(self) -> None:
        while True:
            key, body = await self._buffer.get()
            try:
                await self._post(key.namespace, body)
            except (ApiError, ClusterUnreachable) as error:
                log.warning("event not sent: %s", error, extra={"app": str(key)})
            finally:
                self._buffer.task_done()
