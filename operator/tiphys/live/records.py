"""The record of one live object, and the notice that it changed.

A record is what is kept for every object of a cluster, so its size is the size of the product:
about half a kilobyte for an object that belongs to nobody. What only some objects have (owners,
body, health, things to show) is in ``details``, absent for most. Records are immutable; a change is
a new record.
"""

import zlib
from typing import Any

import msgspec
import orjson

from tiphys.health.model import Health
from tiphys.resources.identity import GVK, Manifest, ResourceKey
from tiphys.resources.messages.trees import InfoItem, ResourceNetworkingInfo


class Owner(msgspec.Struct, frozen=True, gc=False):
    """An owner reference, real or inferred. ``uid`` is empty where only the name is known."""

    group: str
    kind: str
    name: str
    uid: str = ""


class HostDetails(msgspec.Struct, frozen=True):
    """What is kept of a Node for the host view (health-and-resources.md 9.4)."""

    capacity: dict[str, int]
    """Resource → milli-units."""
    system_info: dict[str, Any]
    labels: dict[str, str]


class NodeInfo(msgspec.Struct, frozen=True):
    """What the resource tree shows of an object beyond its name."""

    items: tuple[InfoItem, ...] = ()
    images: tuple[str, ...] = ()
    networking: ResourceNetworkingInfo | None = None
    host: HostDetails | None = None


class Details(msgspec.Struct, frozen=True):
    """What only some objects have."""

    owners: tuple[Owner, ...] = ()
    body: bytes = b""
    compressed: bool = False
    health: Health | None = None
    sync_wave: int = 0
    is_hook: bool = False
    tracking_id: str = ""
    ignore_extraneous: bool = False
    ignore_health: bool = False
    carried_instance: str = ""
    """The instance written on the object, also where an inferred owner makes it no root."""
    update_digest: int = 0
    """Hash of what counts as a change (health-and-resources.md 7.3); 0: everything counts."""
    info: NodeInfo | None = None
    templates: tuple[str, ...] = ()
    """Names of a StatefulSet's claim templates."""
    serves: tuple[GVK, ...] = ()
    """What a CRD, or the APIService of another server (without a kind), promises to serve."""
    established: bool = False
    unreadable: str = ""
    """Why the object could not be decoded, though it had to be."""


NO_DETAILS = Details()


class LiveObject(msgspec.Struct, frozen=True, gc=False):
    """One object of a cluster.

    Attributes:
        version: API version as watched (the server's preferred one).
        app_instance: the application instance of a root object, else ``""`` (an object with owners
            has none of its own).
        created_at, deletion_timestamp: RFC 3339 text, ``""`` if not set.
    """

    key: ResourceKey
    version: str
    uid: str
    resource_version: str
    created_at: str = ""
    deletion_timestamp: str = ""
    app_instance: str = ""
    details: Details = NO_DETAILS

    @property
    def gvk(self) -> GVK:
        return GVK(self.key.group, self.version, self.key.kind)

    @property
    def owners(self) -> tuple[Owner, ...]:
        return self.details.owners

    @property
    def is_root(self) -> bool:
        """No owner, real or inferred."""
        return not self.details.owners

    @property
    def health(self) -> Health | None:
        return self.details.health

    @property
    def sync_wave(self) -> int:
        return self.details.sync_wave

    @property
    def is_hook(self) -> bool:
        return self.details.is_hook

    @property
    def tracking_id(self) -> str:
        """Text of the tracking annotation, ``""`` without one."""
        return self.details.tracking_id

    @property
    def ignore_extraneous(self) -> bool:
        """``compare-options: IgnoreExtraneous``: without a target it does not make OutOfSync."""
        return self.details.ignore_extraneous

    @property
    def ignore_health(self) -> bool:
        """``ignore-healthcheck: "true"``: does not count in the application's health."""
        return self.details.ignore_health

    @property
    def unreadable(self) -> str:
        """Why nothing but the metadata is known of the object, ``""`` as a rule."""
        return self.details.unreadable

    @property
    def info(self) -> NodeInfo | None:
        return self.details.info

    @property
    def body(self) -> bytes | None:
        """Compact JSON as read from the server, without other managers' noise; only of objects that
        carry an application instance, and of CRDs."""
        details = self.details
        if not details.body:
            return None
        return zlib.decompress(details.body) if details.compressed else details.body

    def manifest(self) -> Manifest | None:
        """The decoded body; a new dict each time."""
        body = self.body
        return None if body is None else orjson.loads(body)


class Change(msgspec.Struct, frozen=True):
    """An object came (``old is None``), changed or went (``new is None``).

    Attributes:
        server: the cluster, as the settings name it.
        app_instance: the application it belongs to, itself or through its owners; ``""``: to none.
        is_root: it carries the instance itself (a managed object), not through owners.
    """

    server: str
    key: ResourceKey
    old: LiveObject | None
    new: LiveObject | None
    app_instance: str
    is_root: bool


def is_later(version: str, than: str) -> bool:
    """Whether a resourceVersion is surely later than another one of the same kind."""
    return version.isdigit() and than.isdigit() and int(version) > int(than)


def is_stale(version: str, held: str) -> bool:
    """Whether ``version`` brings nothing over ``held``: the same or surely earlier."""
    return version == held or is_later(held, version)
