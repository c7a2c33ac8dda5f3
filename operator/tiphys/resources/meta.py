"""Metadata that every Kubernetes object has, as far as we read it.

``managedFields`` is not among it: it is larger than the rest of an Application together, and
whoever needs it (the proof of Synced) reads it from the object's bytes.
"""

from collections.abc import Mapping

from tiphys.resources.shape import ApiObject, Mandatory, always
from tiphys.resources.times import Timestamp

NO_TIME = Timestamp("")
"""An instant that is not set (and not written)."""


def no_time() -> Timestamp:
    """Factory of :data:`NO_TIME` for fields that are always written."""
    return NO_TIME


class OwnerReference(ApiObject, frozen=True):
    """Names the object that owns another one."""

    api_version: Mandatory[str] = always(str)
    kind: Mandatory[str] = always(str)
    name: Mandatory[str] = always(str)
    uid: Mandatory[str] = always(str)
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(ApiObject, frozen=True):
    """``metadata`` of an object."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    self_link: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: Timestamp = NO_TIME
    deletion_timestamp: Timestamp = NO_TIME
    deletion_grace_period_seconds: int | None = None
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()


class ListMeta(ApiObject, frozen=True):
    """``metadata`` of a list of objects."""

    self_link: str = ""
    resource_version: str = ""
    continue_: str = ""
    remaining_item_count: int | None = None


class LabelSelectorRequirement(ApiObject, frozen=True):
    """One requirement of a label selector: ``key operator values``."""

    key: Mandatory[str] = always(str)
    operator: Mandatory[str] = always(str)
    values: tuple[str, ...] = ()


class LabelSelector(ApiObject, frozen=True):
    """Selects by labels; the empty selector selects everything."""

    match_labels: Mapping[str, str] = {}
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.match_labels and not self.match_expressions


class GroupKindItem(ApiObject, frozen=True):
    """A group and a kind, each possibly a pattern."""

    group: Mandatory[str] = always(str)
    kind: Mandatory[str] = always(str)
