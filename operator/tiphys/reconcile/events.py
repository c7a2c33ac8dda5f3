"""Kubernetes Events about our own kinds: what is said, and saying it (applications.md 24).

Only transitions make Events: they are the costliest part of a small sync (1.2 ms of the API server
each). Sending is done by one background task with a bounded buffer, so that a slow API server never
holds a reconcile; what does not fit is dropped and counted in the log.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Protocol

import msgspec

from tiphys.kube.errors import ApiError, ClusterUnreachable
from tiphys.resources.application import Application, OperationState
from tiphys.resources.identity import AppKey, Manifest
from tiphys.resources.meta import ObjectMeta
from tiphys.resources.times import to_timestamp
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

COMPONENT = "argocd-application-controller"
BUFFER = 10_000
_LONGEST_NAME = 253 - 17  # a dot and the stamp follow
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


class Involved(msgspec.Struct, frozen=True):
    """The object that an Event is about; the Event is posted to its namespace."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str = ""
    resource_version: str = ""

    @property
    def key(self) -> AppKey:
        """Namespace and name."""
        return AppKey(self.namespace, self.name)

    @classmethod
    def of(cls, thing: "OurKind") -> "Involved":
        """One of our own kinds."""
        metadata = thing.metadata
        return cls(
            thing.api_version,
            thing.kind,
            metadata.namespace,
            metadata.name,
            metadata.uid,
            metadata.resource_version,
        )


class OurKind(Protocol):
    """An Application, AppProject or ApplicationSet."""

    @property
    def api_version(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def metadata(self) -> ObjectMeta: ...


def event_manifest(
    involved: Involved,
    event: EventMessage,
    now: datetime,
    *,
    component: str = COMPONENT,
    annotations: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Manifest:
    """The Event object, but for its name, which :class:`EventQueue` makes unique."""
    moment = to_timestamp(now)
    metadata: Manifest = {"namespace": involved.namespace}
    if annotations:
        metadata["annotations"] = dict(annotations)
    if labels:
        metadata["labels"] = dict(labels)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": metadata,
        "involvedObject": {
            "apiVersion": involved.api_version,
            "kind": involved.kind,
            "namespace": involved.namespace,
            "name": involved.name,
            "uid": involved.uid,
            "resourceVersion": involved.resource_version,
        },
        "reason": event.reason,
        "message": event.message[:1024],
        "type": event.type,
        "count": 1,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "source": {"component": component},
    }


def destination_annotations(app: Application) -> dict[str, str]:
    """What every Event about an application carries."""
    destination = app.spec.destination
    return {"dest-server": destination.server, "dest-namespace": destination.namespace}


def event_name(name: str, stamp: int) -> str:
    """``<object>.<hexadecimal stamp>``; what no Event may be named after (``system:node``, a name that
    fills the limit) is made fit."""
    fit = re.sub(r"[^a-z0-9.-]", "-", name[:_LONGEST_NAME].lower()).strip(".-")
    return f"{fit or 'object'}.{stamp:x}"


class EventQueue:
    """Sends Events in the background.

    Args:
        post: posts the JSON of one Event of a namespace; its answer is not read.
        wanted: whether Events of this reason are sent (``--enable-k8s-event``).
        nanoseconds: a clock for unique names.
    """

    def __init__(
        self,
        post: Callable[[str, bytes], Awaitable[object]],
        wanted: Callable[[str], bool],
        nanoseconds: Callable[[], int],
    ):
        self._post = post
        self.wanted = wanted
        self._nanoseconds = nanoseconds
        self._buffer: asyncio.Queue[tuple[AppKey, bytes]] = asyncio.Queue(BUFFER)
        self._last_stamp = 0

    def put(self, involved: Involved, manifest: Manifest) -> None:
        """Queue an Event (:func:`event_manifest`) and name it; never waits."""
        self._last_stamp = max(self._last_stamp + 1, self._nanoseconds())
        manifest["metadata"]["name"] = event_name(involved.name, self._last_stamp)
        try:
            self._buffer.put_nowait((involved.key, msgspec.json.encode(manifest)))
        except asyncio.QueueFull:
            log.warning("event dropped, the buffer is full", extra={"object": str(involved.key)})

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
                log.warning("event not sent: %s", error, extra={"object": str(key)})
            finally:
                self._buffer.task_done()


class EventSender(EventQueue):
    """The controllers' Events about applications.

    Args:
        labels: those that the Events of an application carry (``resource.includeEventLabelKeys``).
    """

    def __init__(
        self,
        post: Callable[[str, bytes], Awaitable[object]],
        wanted: Callable[[str], bool],
        nanoseconds: Callable[[], int],
        labels: Callable[[Application], Mapping[str, str]] = lambda app: {},
    ):
        super().__init__(post, wanted, nanoseconds)
        self._labels = labels

    def emit(self, app: Application, events: Iterable[EventMessage], now: datetime) -> None:
        """Queue Events about ``app``; never waits."""
        told = [event for event in events if self.wanted(event.reason)]
        if not told:
            return
        involved = Involved.of(app)
        annotations, labels = destination_annotations(app), self._labels(app)
        for event in told:
            manifest = event_manifest(involved, event, now, annotations=annotations, labels=labels)
            self.put(involved, manifest)
