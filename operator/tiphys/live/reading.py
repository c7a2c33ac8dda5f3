"""From the server's JSON to records.

Every object is decoded once into a view of its metadata (msgspec skips the rest at the speed of
scanning). Only if it is managed, or may appear in somebody's tree, it is decoded a second time,
wholly, for its body, health and what to show. Names of namespaces and the like are shared between
records.
"""

import sys
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
import orjson

from tiphys.compare import hooks
from tiphys.compare.tracking import TRACKING_ANNOTATION
from tiphys.health.model import Health, failed
from tiphys.kube.discovery import ApiResource
from tiphys.kube.nesting import MARK, TOO_DEEP, cut
from tiphys.live.depth import (
    ALWAYS_DEEP,
    CRD,
    CSV,
    ENDPOINTS,
    METADATA_KINDS,
    SECRET,
    SHALLOW_KINDS,
    STATEFUL_SETS,
)
from tiphys.live.nodeinfo import describe
from tiphys.live.promises import promises
from tiphys.live.records import NO_DETAILS, Details, LiveObject, NodeInfo, Owner
from tiphys.live.views import (
    EVENTS,
    PAGES,
    RAW_EVENTS,
    RAW_PAGES,
    SECRET_EVENTS,
    SECRET_PAGES,
    EventView,
    ListMeta,
    MetaView,
    ObjectView,
    SecretEventView,
    SecretView,
)
from tiphys.resources.identity import GroupKind, Manifest, ResourceKey, split_api_version
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

COMPRESS_BYTES = 16_384
"""Bodies above this size are kept compressed (CRDs with their schemas, dashboards)."""

IGNORE_HEALTH_ANNOTATION = "argocd.argoproj.io/ignore-healthcheck"
IGNORE_UPDATES_ANNOTATION = "argocd.argoproj.io/ignore-resource-updates"
OLM_GROUP_ANNOTATION = "olm.operatorGroup"


class Tracking(Protocol):
    """The part of ``compare.tracking.Tracking`` that is needed here."""

    def app_instance(self, manifest: Manifest, /) -> str: ...


class Reading(msgspec.Struct, frozen=True):
    """What reading depends on.

    Attributes:
        assess: health of an object, or ``None`` if its kind has none.
        update_digest: hash of what counts as a change of a tracked or annotated object, 0 where
            everything counts.
        custom_labels: label keys shown in the tree (``resource.customLabels``).
    """

    tracking: Tracking
    assess: Callable[[Manifest], Health | None]
    update_digest: Callable[[GroupKind, Manifest, bool], int] = lambda _kind, _manifest, _tracked: 0
    custom_labels: tuple[str, ...] = ()


class KindReader:
    """Makes records of one kind."""

    def __init__(self, resource: ApiResource, reading: Reading) -> None:
        self.resource = resource
        self.kind = resource.group_kind
        self.metadata_only = self.kind in METADATA_KINDS
        self._reading = reading
        self._always_deep = self.kind in ALWAYS_DEEP
        self._owned_deep = self.kind not in SHALLOW_KINDS and not self.metadata_only
        self._is_secret = self.kind == SECRET

    def event(self, line: bytes) -> EventView | SecretEventView:
        """Type and metadata of a watch event."""
        decoder = SECRET_EVENTS if self._is_secret else EVENTS
        try:
            return decoder.decode(line)
        except RecursionError:
            return decoder.decode(cut(line))

    def event_record(self, event: EventView | SecretEventView, line: bytes) -> LiveObject:
        """The record of an event's object."""
        view = event.object
        instance, tracked = self._instance(view)
        whole, unreadable = None, ""
        if self._needs_whole(view, instance, tracked):
            try:
                whole = _whole(RAW_EVENTS.decode(line).object)
            except RecursionError:
                whole = None
            unreadable = "" if whole is not None else TOO_DEEP
        return self._record(view, instance, tracked, whole, unreadable)

    def page(self, body: bytes) -> "Page":
        """Version and metadata of a page."""
        decoder: Any = SECRET_PAGES if self._is_secret else PAGES
        try:
            view = decoder.decode(body)
        except RecursionError:
            body = cut(body)
            view = decoder.decode(body)
            return Page(view.metadata, view.items or [], body, is_cut=True)
        return Page(view.metadata, view.items or [], body)

    def page_records(self, page: "Page", known: Callable[[MetaView], bool]) -> "PageRecords":
        """The records of a page, made as they are taken; objects that are ``known`` are left out."""
        return PageRecords(self, page, known)

    def manifest_record(self, manifest: Manifest) -> LiveObject:
        """The record of a decoded object (the answer to a write)."""
        view = msgspec.convert(manifest, SecretView if self._is_secret else ObjectView)
        instance, tracked = self._instance(view)
        whole = dict(manifest) if self._needs_whole(view, instance, tracked) else None
        return self._record(view, instance, tracked, whole)

    def _instance(self, view: ObjectView) -> tuple[str, bool]:
        """The instance the object carries as a root, and whether it is tracked at all."""
        meta = view.metadata
        if not meta.annotations and not meta.labels:
            return "", False
        found = self._reading.tracking.app_instance(
            {
                "apiVersion": self.resource.api_version,
                "kind": self.resource.kind,
                "metadata": {
                    "name": meta.name,
                    "namespace": meta.namespace,
                    "labels": meta.labels or {},
                    "annotations": meta.annotations or {},
                },
            }
        )
        return ("" if meta.owner_references else found), bool(found)

    def _needs_whole(self, view: ObjectView, instance: str, tracked: bool) -> bool:
        if self.metadata_only:
            return False
        return bool(
            instance
            or self._always_deep
            or tracked
            or (self._owned_deep and view.metadata.owner_references)
            or (view.metadata.annotations and _wants_digest(view.metadata.annotations))
        )

    def _record(
        self,
        view: ObjectView,
        instance: str,
        tracked: bool,
        whole: dict[str, Any] | None,
        unreadable: str = "",
    ) -> LiveObject:
        meta = view.metadata
        resource = self.resource
        namespace = sys.intern(meta.namespace)
        owners = self._owners(view)
        details = NO_DETAILS
        if whole is not None or owners or tracked:
            details = self._details(whole, meta, owners, instance, tracked)
        if unreadable:
            health = failed(unreadable)
            details = msgspec.structs.replace(details, unreadable=unreadable, health=health)
        if owners:
            instance = ""  # an inferred owner counts, too
        return LiveObject(
            key=ResourceKey(resource.group, resource.kind, namespace, meta.name),
            version=resource.version,
            uid=meta.uid,
            resource_version=meta.resource_version,
            created_at=meta.creation_timestamp or "",
            deletion_timestamp=meta.deletion_timestamp or "",
            app_instance=sys.intern(instance) if instance else "",
            details=details,
        )

    def _details(
        self,
        whole: dict[str, Any] | None,
        meta: MetaView,
        owners: tuple[Owner, ...],
        instance: str,
        tracked: bool,
    ) -> Details:
        annotations = meta.annotations or {}
        wave, is_hook, ignores_extraneous = 0, False, False
        if not hooks.MARKS.isdisjoint(annotations):
            marks: Manifest = {"metadata": {"annotations": annotations}}
            wave, is_hook = hooks.wave(marks), hooks.is_hook(marks)
            ignores_extraneous = hooks.ignores_extraneous(marks)
        details = Details(
            owners=owners,
            sync_wave=wave,
            is_hook=is_hook,
            tracking_id=annotations.get(TRACKING_ANNOTATION) or "",
            ignore_extraneous=ignores_extraneous,
            ignore_health=annotations.get(IGNORE_HEALTH_ANNOTATION) == "true",
            carried_instance=instance,
        )
        if whole is None:
            return details
        # Items of lists do not name their kind.
        whole["apiVersion"], whole["kind"] = self.resource.api_version, self.resource.kind
        strip_managed_fields(whole)
        body, compressed, unreadable = b"", False, ""
        if instance or self.kind == CRD:
            try:
                body = orjson.dumps(whole)
            except TypeError:
                unreadable = TOO_DEEP
            if len(body) > COMPRESS_BYTES:
                body, compressed = zlib.compress(body, 1), True
            # A copy: what orjson returns holds its whole work buffer, ten times the size.
            body = bytes(memoryview(body))
        templates: tuple[str, ...] = ()
        if self.kind in STATEFUL_SETS:
            claims = (whole.get("spec") or {}).get("volumeClaimTemplates") or ()
            templates = tuple(str((claim.get("metadata") or {}).get("name") or "") for claim in claims)
        serves, established = promises(self.kind, whole)
        return msgspec.structs.replace(
            details,
            body=body,
            compressed=compressed,
            health=self._health(whole),
            update_digest=self._digest(whole, annotations, tracked),
            info=self._info(whole),
            templates=templates,
            serves=serves,
            established=established,
            unreadable=unreadable,
        )

    # Tenants write objects, and kinds without a schema hold anything: an object that cannot be
    # understood costs itself its health or what is shown of it, never the others of its kind.

    def _health(self, whole: dict[str, Any]) -> Health | None:
        try:
            return self._reading.assess(whole)
        except Exception as error:
            return failed(f"the object cannot be assessed: {type(error).__name__}: {error}")

    def _digest(self, whole: dict[str, Any], annotations: dict[str, str | None], tracked: bool) -> int:
        if not tracked and not _wants_digest(annotations):
            return 0
        try:
            return self._reading.update_digest(self.kind, whole, tracked)
        except Exception:
            return 0  # every update counts

    def _info(self, whole: dict[str, Any]) -> NodeInfo | None:
        try:
            return describe(self.kind, whole, self._reading.custom_labels)
        except Exception as error:
            log.debug("nothing to show of an object of %s: %s", self.resource.label, error)
            return None

    def _owners(self, view: ObjectView) -> tuple[Owner, ...]:
        """Owner references, and the inferred ones that the object itself tells
        (health-and-resources.md 6.6)."""
        meta = view.metadata
        if meta.owner_references:
            return tuple(
                Owner(
                    sys.intern(split_api_version(each.api_version)[0]),
                    sys.intern(each.kind),
                    each.name,
                    each.uid,
                )
                for each in meta.owner_references
            )
        if self.kind == ENDPOINTS:
            return (Owner("", "Service", meta.name),)
        annotations = meta.annotations or {}
        if self.kind == CSV and annotations.get(OLM_GROUP_ANNOTATION):
            return (Owner(CSV.group, "OperatorGroup", annotations[OLM_GROUP_ANNOTATION] or ""),)
        if isinstance(view, SecretView) and view.type == "kubernetes.io/service-account-token":
            name = annotations.get("kubernetes.io/service-account.name")
            uid = annotations.get("kubernetes.io/service-account.uid")
            if name and uid:
                return (Owner("", "ServiceAccount", name, uid),)
        return ()


class Page(msgspec.Struct, frozen=True):
    """A page of a list: metadata of its objects, and the JSON they stand in."""

    metadata: ListMeta
    items: Sequence[ObjectView]
    body: bytes
    is_cut: bool = False
    """What is nested too deeply was cut out of the body."""


class PageRecords:
    """Iterates over the records of one page; the wholes are found by a second scan only if one is
    needed."""

    def __init__(self, reader: KindReader, page: Page, known: Callable[[MetaView], bool]) -> None:
        self._reader = reader
        self._views = page.items
        self._page = page
        self._known = known
        self._raws: list[msgspec.Raw] | None = None

    def slice(self, start: int, count: int) -> list[LiveObject]:
        """Records of the objects ``start`` to ``start + count``."""
        reader = self._reader
        made = []
        for index in range(start, min(start + count, len(self._views))):
            view = self._views[index]
            if self._known(view.metadata):
                continue
            instance, tracked = reader._instance(view)
            whole, unreadable = None, ""
            if reader._needs_whole(view, instance, tracked):
                if self._raws is None:
                    self._raws = RAW_PAGES.decode(self._page.body).items or []
                raw = self._raws[index]
                if not self._page.is_cut or MARK not in bytes(raw):
                    whole = _whole(raw)
                unreadable = "" if whole is not None else TOO_DEEP
            made.append(reader._record(view, instance, tracked, whole, unreadable))
        return made

    def __len__(self) -> int:
        return len(self._views)


def _whole(raw: msgspec.Raw) -> dict[str, Any] | None:
    """The decoded object; None where it is nested too deeply to be read."""
    try:
        found: dict[str, Any] = orjson.loads(memoryview(raw))
    except orjson.JSONDecodeError:
        return None
    return found


def strip_managed_fields(whole: dict[str, Any]) -> None:
    """Drop from ``metadata.managedFields`` what no verdict needs, in place.

    Kept: who manages what outside the status (the proof of equality walks our own entry, its memo
    looks into the others, ignore rules may name any manager). Dropped: times, and the field trees of
    entries for the status subresource.
    """
    metadata = whole.get("metadata")
    if not isinstance(metadata, dict) or not metadata.get("managedFields"):
        return
    entries = metadata["managedFields"]
    kept = []
    for entry in entries:
        drop = ("time", "fieldsV1", "fieldsType") if entry.get("subresource") == "status" else ("time",)
        kept.append({name: value for name, value in entry.items() if name not in drop})
    whole["metadata"] = {**metadata, "managedFields": kept}


def _wants_digest(annotations: dict[str, str | None]) -> bool:
    return IGNORE_UPDATES_ANNOTATION in annotations
