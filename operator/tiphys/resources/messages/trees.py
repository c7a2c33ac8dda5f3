"""What the API tells of live objects: the resource tree, differences, watch events."""

from collections.abc import Mapping

import msgspec

from tiphys.resources.application import Application
from tiphys.resources.applicationset import ApplicationSet
from tiphys.resources.meta import NO_TIME
from tiphys.resources.shape import ApiObject, always
from tiphys.resources.status import HealthStatus
from tiphys.resources.times import Timestamp


class ResourceRef(ApiObject, frozen=True):
    """Names an object of a cluster."""

    group: str = ""
    version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class InfoItem(ApiObject, frozen=True, gc=False):
    """A line about an object, such as the restarts of a pod."""

    name: str = ""
    value: str = ""


class PortStatus(ApiObject, frozen=True):
    """A port of a load balancer."""

    port: int = always(int)
    protocol: str = always(str)
    error: str | None = None


class LoadBalancerIngress(ApiObject, frozen=True):
    """An address of a load balancer."""

    ip: str = ""
    hostname: str = ""
    ip_mode: str | None = None
    ports: tuple[PortStatus, ...] = ()


class ResourceNetworkingInfo(ApiObject, frozen=True):
    """How traffic reaches or leaves an object."""

    target_labels: Mapping[str, str] = {}
    """Labels of the pods that it sends traffic to."""
    target_refs: tuple[ResourceRef, ...] = ()
    """Objects that it sends traffic to."""
    labels: Mapping[str, str] = {}
    """Labels of a pod."""
    ingress: tuple[LoadBalancerIngress, ...] = ()
    external_urls: tuple[str, ...] = ()


class ResourceNode(ResourceRef, frozen=True):
    """An object in the tree."""

    parent_refs: tuple[ResourceRef, ...] = ()
    """The objects that own it."""
    info: tuple[InfoItem, ...] = ()
    networking_info: ResourceNetworkingInfo | None = None
    resource_version: str = ""
    images: tuple[str, ...] = ()
    health: HealthStatus | None = None
    created_at: Timestamp = NO_TIME


class ApplicationSetTree(ApiObject, frozen=True):
    """The applications of a set."""

    nodes: tuple[ResourceNode, ...] = ()


class ApplicationSetWatchEvent(ApiObject, frozen=True):
    """A change of an ApplicationSet."""

    type: str = always(str)
    """``ADDED``, ``MODIFIED`` or ``DELETED``."""
    application_set: ApplicationSet = always(ApplicationSet)


class HostResourceInfo(ApiObject, frozen=True):
    """Use of a resource of a node, in milli-units."""

    resource_name: str = ""
    requested_by_app: int = 0
    """By pods of the application."""
    requested_by_neighbors: int = 0
    """By all other pods."""
    capacity: int = 0


class NodeSwapStatus(ApiObject, frozen=True):
    """Swap of a node."""

    capacity: int | None = None
    """Bytes."""


class NodeSystemInfo(ApiObject, frozen=True):
    """System of a node."""

    machine_id: str = always(str)
    system_uuid: str = msgspec.field(default_factory=str, name="systemUUID")
    boot_id: str = always(str)
    kernel_version: str = always(str)
    os_image: str = always(str)
    container_runtime_version: str = always(str)
    kubelet_version: str = always(str)
    kube_proxy_version: str = always(str)
    operating_system: str = always(str)
    architecture: str = always(str)
    swap: NodeSwapStatus | None = None


class HostInfo(ApiObject, frozen=True):
    """A node that pods of the application run on."""

    name: str = ""
    resources_info: tuple[HostResourceInfo, ...] = ()
    system_info: NodeSystemInfo = always(NodeSystemInfo)
    labels: Mapping[str, str] = {}


class ApplicationTree(ApiObject, frozen=True):
    """The live objects of an application and all that they own."""

    nodes: tuple[ResourceNode, ...] = ()
    orphaned_nodes: tuple[ResourceNode, ...] = ()
    """Objects in its namespace that no application manages."""
    hosts: tuple[HostInfo, ...] = ()
    shards_count: int = 0
    """Parts that the tree is stored in; always 0."""


class ApplicationWatchEvent(ApiObject, frozen=True):
    """A change of an application."""

    type: str = always(str)
    """``ADDED``, ``MODIFIED`` or ``DELETED``."""
    application: Application = always(Application)


class ResourceDiff(ApiObject, frozen=True):
    """Target and live state of an object, as JSON texts."""

    group: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    target_state: str = ""
    """What shall be; ``null`` for what is to be pruned."""
    live_state: str = ""
    """What is; ``null`` for what is missing."""
    diff: str = ""
    """Unused."""
    hook: bool = False
    """It is a hook."""
    normalized_live_state: str = ""
    """What is, without ignored and defaulted fields."""
    predicted_live_state: str = ""
    """What will be after a sync."""
    resource_version: str = ""
    modified: bool = False
    """A sync would change it."""
