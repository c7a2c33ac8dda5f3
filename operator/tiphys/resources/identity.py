"""What names a Kubernetes object: kinds, keys, and where they are read from a manifest.

Everything that passes objects between rooms passes either a ``Manifest`` (the decoded JSON of
one object, treated as immutable unless its owner says otherwise) or one of these small tuples.
"""

from typing import Any, NamedTuple, NewType, TypeAlias

Manifest: TypeAlias = dict[str, Any]
"""The decoded JSON of one Kubernetes object."""

Uid = NewType("Uid", str)
"""``metadata.uid`` of an object."""


class GroupKind(NamedTuple):
    """API group (``""`` is the core group) and kind."""

    group: str
    kind: str

    def __str__(self) -> str:
        return f"{self.group}/{self.kind}" if self.group else self.kind


class GVK(NamedTuple):
    """API group, version and kind."""

    group: str
    version: str
    kind: str

    @property
    def group_kind(self) -> GroupKind:
        return GroupKind(self.group, self.kind)

    @property
    def api_version(self) -> str:
        """As written in ``apiVersion``: ``v1``, ``apps/v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version


class ResourceKey(NamedTuple):
    """Names one object in one cluster; ``namespace`` is ``""`` for cluster-scoped objects."""

    group: str
    kind: str
    namespace: str
    name: str

    @property
    def group_kind(self) -> GroupKind:
        return GroupKind(self.group, self.kind)

    def __str__(self) -> str:
        """``group/kind/namespace/name``, the form that conditions and logs use."""
        return f"{self.group}/{self.kind}/{self.namespace}/{self.name}"


class AppKey(NamedTuple):
    """Names one Application (or another of our own namespaced kinds)."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    def instance(self, control_namespace: str) -> str:
        """The instance name written to managed objects (``sync.md`` 2.1): ``name`` in the
        control-plane namespace, else ``namespace_name``."""
        if not self.namespace or self.namespace == control_namespace:
            return self.name
        return f"{self.namespace}_{self.name}"

    @classmethod
    def from_instance(cls, instance: str, control_namespace: str) -> "AppKey":
        """Inverse of :meth:`instance` (namespaces hold no ``_``)."""
        namespace, separator, name = instance.partition("_")
        return cls(namespace, name) if separator else cls(control_namespace, instance)


def split_api_version(api_version: str) -> tuple[str, str]:
    """``apps/v1`` → ``("apps", "v1")``, ``v1`` → ``("", "v1")``."""
    group, separator, version = api_version.rpartition("/")
    return (group, version) if separator else ("", version)


def gvk_of(manifest: Manifest) -> GVK:
    """Group, version and kind of a manifest; missing parts are empty strings."""
    group, version = split_api_version(manifest.get("apiVersion") or "")
    return GVK(group, version, manifest.get("kind") or "")


def key_of(manifest: Manifest) -> ResourceKey:
    """The key of a manifest; missing parts are empty strings."""
    group, _ = split_api_version(manifest.get("apiVersion") or "")
    metadata = manifest.get("metadata") or {}
    return ResourceKey(
        group, manifest.get("kind") or "", metadata.get("namespace") or "", metadata.get("name") or ""
    )


def annotations_of(manifest: Manifest) -> dict[str, str]:
    """``metadata.annotations`` (never ``None``; not a copy)."""
    return (manifest.get("metadata") or {}).get("annotations") or {}


def labels_of(manifest: Manifest) -> dict[str, str]:
    """``metadata.labels`` (never ``None``; not a copy)."""
    return (manifest.get("metadata") or {}).get("labels") or {}
