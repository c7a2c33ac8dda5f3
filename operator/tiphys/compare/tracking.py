"""Which application an object belongs to, as written on the object itself (sync.md 2).

A ``Tracking`` is a value made from three settings (method, label key, installation id). It stamps
targets before they are compared and applied, and reads the stamp back from live objects. A stamp
that was copied to another object by some controller names an identity which is not that object's
own: such an object is "not self-referenced" and gets no status and is never pruned (sync.md 2.5).
"""

import re
from typing import Any, NamedTuple, Protocol

from msgspec import Struct

from tiphys.resources.identity import (
    GVK,
    GroupKind,
    Manifest,
    ResourceKey,
    annotations_of,
    gvk_of,
    key_of,
    labels_of,
)

TRACKING_ANNOTATION = "argocd.argoproj.io/tracking-id"
INSTALLATION_ANNOTATION = "argocd.argoproj.io/installation-id"
DEFAULT_LABEL = "app.kubernetes.io/instance"
LEGACY_LABEL = "applications.argoproj.io/app-name"

ANNOTATION, LABEL, ANNOTATION_AND_LABEL = "annotation", "label", "annotation+label"
MAX_LABEL = 63

CRD = GroupKind("apiextensions.k8s.io", "CustomResourceDefinition")
_BAD_END = re.compile(r"[^a-zA-Z0-9]+\Z")
_LABELLED_TEMPLATES = {
    GroupKind("apps", "Deployment"),
    GroupKind("apps", "ReplicaSet"),
    GroupKind("apps", "StatefulSet"),
    GroupKind("apps", "DaemonSet"),
    GroupKind("extensions", "Deployment"),
    GroupKind("extensions", "ReplicaSet"),
    GroupKind("extensions", "StatefulSet"),
    GroupKind("extensions", "DaemonSet"),
    GroupKind("batch", "Job"),
}
_SELECTOR_FROM_TEMPLATE = {("apps", "v1beta1"), ("extensions", "v1beta1")}


class TrackingError(ValueError):
    """An object cannot be stamped: its labels or annotations are no text, or a name cannot be a label."""


class TrackingId(NamedTuple):
    """A parsed tracking id: the instance that owns an object, and the object's identity."""

    instance: str
    key: ResourceKey


class TrackedRecord(Protocol):
    """What a record of a live object must have to be judged without its manifest.

    ``tracking_id`` is the text of the tracking annotation, or ``""``.
    """

    @property
    def key(self) -> ResourceKey: ...

    @property
    def tracking_id(self) -> str: ...


def format_tracking_id(instance: str, key: ResourceKey) -> str:
    """``<instance>:<group>/<kind>:<namespace>/<name>`` (sync.md 2.2)."""
    return f"{instance}:{key.group}/{key.kind}:{key.namespace}/{key.name}"


def parse_tracking_id(text: str) -> TrackingId | None:
    """The parts of a tracking id; ``None`` when it has another form (read as untracked).

    Names may contain ``:`` (RBAC), so the text is cut at the first two colons only (sync.md 2.2).
    """
    parts = text.split(":", 2)
    if len(parts) != 3:
        return None
    kind, name = parts[1].split("/"), parts[2].split("/")
    if len(kind) != 2 or len(name) != 2:
        return None
    return TrackingId(parts[0], ResourceKey(kind[0], kind[1], name[0], name[1]))


def truncated_label(value: str) -> str:
    """A label of at most 63 bytes that ends alphanumeric (sync.md 2.3); short values are unchanged."""
    raw = value.encode()
    if len(raw) <= MAX_LABEL:
        return value
    cut = _BAD_END.sub("", raw[:MAX_LABEL].decode(errors="replace"))
    if not cut:
        raise TrackingError(
            "failed to set app instance label: unable to truncate label to not end with a special character"
        )
    return cut


class Tracking(Struct, frozen=True):
    """How objects are marked as an application's own.

    Attributes:
        method: ``annotation``, ``label`` or ``annotation+label``; anything else acts as ``annotation``.
        label_key: key of the label, for the methods that write one.
        installation_id: tells several installations apart; empty when not configured.
    """

    method: str = ANNOTATION
    label_key: str = DEFAULT_LABEL
    installation_id: str = ""

    def app_instance(self, manifest: Manifest) -> str:
        """The instance name an object is tracked by; ``""`` when it is not tracked (sync.md 2.1, 2.3)."""
        metadata = manifest.get("metadata") or {}
        annotations = metadata.get("annotations") or {}
        if self.installation_id and annotations.get(INSTALLATION_ANNOTATION) != self.installation_id:
            return ""
        if self.method == LABEL:
            value = (metadata.get("labels") or {}).get(self.label_key)
            return value if isinstance(value, str) else ""
        text = annotations.get(TRACKING_ANNOTATION)
        if not text or not isinstance(text, str):
            return ""
        parsed = parse_tracking_id(text)
        return parsed.instance if parsed else ""

    def tracking_id(self, manifest: Manifest) -> str:
        """The text of the tracking annotation, for records that are kept without their manifest."""
        return str(annotations_of(manifest).get(TRACKING_ANNOTATION) or "")

    def stamp(self, manifest: Manifest, instance: str, destination_namespace: str) -> Manifest:
        """A copy that carries the tracking marks; CRDs stay without any (sync.md 2.3).

        Raises:
            TrackingError: labels or annotations are no maps of text, or the label cannot be made.
        """
        if not self.label_key or not instance or gvk_of(manifest).group_kind == CRD:
            return manifest
        return self.stamp_always(manifest, instance, destination_namespace)

    def stamp_always(self, manifest: Manifest, instance: str, destination_namespace: str) -> Manifest:
        """As :meth:`stamp`, CRDs too (an object whose namespace was changed, sync.md 2.3 and 3.2)."""
        gvk = gvk_of(manifest)
        metadata: dict[str, Any] = dict(manifest.get("metadata") or {})
        stamped: Manifest = {**manifest, "metadata": metadata}
        annotations = _texts(manifest, metadata, "annotations")
        if self.method != LABEL:
            key = key_of(manifest)
            if not key.namespace:
                key = key._replace(namespace=destination_namespace)
            annotations[TRACKING_ANNOTATION] = format_tracking_id(instance, key)
        if self.installation_id:
            annotations[INSTALLATION_ANNOTATION] = self.installation_id
        else:
            annotations.pop(INSTALLATION_ANNOTATION, None)
        if annotations or metadata.get("annotations"):
            metadata["annotations"] = annotations
        if self.method in (LABEL, ANNOTATION_AND_LABEL):
            value = instance if self.method == LABEL else truncated_label(instance)
            labels = _texts(manifest, metadata, "labels")
            labels[self.label_key] = value
            metadata["labels"] = labels
            if self.label_key == LEGACY_LABEL:
                _stamp_template(stamped, gvk, self.label_key, value)
        return stamped

    def unstamp(self, manifest: Manifest) -> Manifest:
        """A copy without tracking marks, for manifests that are committed (sync.md 2.3, last item)."""
        metadata = dict(manifest.get("metadata") or {})
        for field, keys in (
            ("annotations", () if self.method == LABEL else (TRACKING_ANNOTATION, INSTALLATION_ANNOTATION)),
            ("labels", (DEFAULT_LABEL,) if self.method in (LABEL, ANNOTATION_AND_LABEL) else ()),
        ):
            if isinstance(metadata.get(field), dict) and keys:
                kept = {key: value for key, value in metadata[field].items() if key not in keys}
                if kept:
                    metadata[field] = kept
                else:
                    del metadata[field]
        return {**manifest, "metadata": metadata}

    def is_self_referenced(self, live: Manifest | None, target: Manifest | None) -> bool:
        """Whether the marks on ``live`` are meant for it (sync.md 2.5)."""
        if live is None or self.method == LABEL:
            return True
        return self.refers_to(
            key_of(live), self.tracking_id(live), key_of(target) if target is not None else None
        )

    def is_self_referenced_record(self, live: TrackedRecord, target: ResourceKey | None) -> bool:
        """:meth:`is_self_referenced` of a record instead of a manifest."""
        return self.refers_to(live.key, live.tracking_id, target)

    def refers_to(self, live: ResourceKey, tracking_id: str, target: ResourceKey | None) -> bool:
        """Whether a live object is the one that its target, or else its own tracking id, names.

        A target decides before the id, so an object whose API group moved stays an
        application's own. An unset method knows no id and believes every object without target.
        """
        if self.method == LABEL:
            return True
        wanted = target
        if wanted is None:
            parsed = parse_tracking_id(tracking_id) if self.method else None
            if parsed is None:
                return True
            wanted = parsed.key
        return (live.namespace == wanted.namespace or not live.namespace) and (
            live.name,
            live.group,
            live.kind,
        ) == (wanted.name, wanted.group, wanted.kind)

    def migrate_live(self, live: Manifest, target: Manifest) -> Manifest:
        """Live as if it had been stamped by this method, where only the method changed (sync.md 2.6).

        An object that still carries the label of an older method gets the missing tracking id of its
        target, and loses the label when the target has none. A different id is never overwritten: an
        object that moved to another application must show as a difference.
        """
        if self.method == LABEL or not self.method or gvk_of(live).group_kind == CRD:
            return live
        if self.label_key not in labels_of(live):
            return live
        metadata = dict(live["metadata"])
        wanted = annotations_of(target).get(TRACKING_ANNOTATION)
        if wanted and not annotations_of(live).get(TRACKING_ANNOTATION):
            metadata["annotations"] = {**annotations_of(live), TRACKING_ANNOTATION: wanted}
        if self.label_key not in labels_of(target):
            metadata["labels"] = {k: v for k, v in labels_of(live).items() if k != self.label_key}
            if not metadata["labels"]:
                del metadata["labels"]
        return {**live, "metadata": metadata}


def _texts(manifest: Manifest, metadata: Manifest, field: str) -> dict[str, Any]:
    """A copy of labels or annotations; null counts as none, values must be text (sync.md 2.3)."""
    values = metadata.get(field)
    if values is None:
        return {}
    name = f"{_gvk_text(gvk_of(manifest))} {metadata.get('namespace') or ''}/{metadata.get('name') or ''}"
    if not isinstance(values, dict):
        raise TrackingError(
            f"failed to get {field} from target object {name}: .metadata.{field} is no map of text"
        )
    for key, value in values.items():
        if not isinstance(value, str) and value is not None:
            raise TrackingError(
                f"failed to get {field} from target object {name}: .metadata.{field} accessor error: "
                f"contains non-string value in the map under key {key!r}: {value!r} is no text"
            )
    return dict(values)


def _gvk_text(gvk: GVK) -> str:
    return f"{gvk.api_version}, Kind={gvk.kind}"


def _stamp_template(stamped: Manifest, gvk: GVK, label: str, value: str) -> None:
    """The legacy label also goes to pod templates (sync.md 2.3); changes copies only."""
    spec = stamped.get("spec")
    if gvk.group_kind not in _LABELLED_TEMPLATES or not isinstance(spec, dict):
        return
    template = dict(spec.get("template") or {})
    metadata = dict(template.get("metadata") or {})
    before = metadata.get("labels") or {}
    metadata["labels"] = {**before, label: value}
    template["metadata"] = metadata
    spec = {**spec, "template": template}
    if (gvk.group, gvk.version) in _SELECTOR_FROM_TEMPLATE and not spec.get("selector"):
        own = {key: text for key, text in before.items() if key != label}
        if own:
            spec["selector"] = {"matchLabels": own}
    stamped["spec"] = spec
