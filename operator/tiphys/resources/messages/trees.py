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
    """Part of ``ResourceNetworkingInfo``, ``ResourceNode``."""

    group: str = ""
    version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class InfoItem(ApiObject, frozen=True):
    """Part of ``ResourceNode``."""

    name: str = ""
    value: str = ""


class PortStatus(ApiObject, frozen=True):
    """Part of ``LoadBalancerIngress``."""

    port: int = always(int)
    protocol: str = always(str)
    error: str | None = None


class LoadBalancerIngress(ApiObject, frozen=True):
    """Part of ``ResourceNetworkingInfo``."""

    ip: str = ""
    hostname: str = ""
    ip_mode: str | None = None
    ports: tuple[PortStatus, ...] = ()


class ResourceNetworkingInfo(ApiObject, frozen=True):
    """Part of ``ResourceNode``."""

    target_labels: Mapping[str, str] = {}
    target_refs: tuple[ResourceRef, ...] = ()
    labels: Mapping[str, str] = {}
    ingress: tuple[LoadBalancerIngress, ...] = ()
    external_urls: tuple[str, ...] = ()


class ResourceNode(ResourceRef, frozen=True):
    """Part of ``ApplicationSetTree``, ``ApplicationTree``."""

    parent_refs: tuple[ResourceRef, ...] = ()
    info: tuple[InfoItem, ...] = ()
    networking_info: ResourceNetworkingInfo | None = None
    resource_version: str = ""
    images: tuple[str, ...] = ()
    health: HealthStatus | None = None
    created_at: Timestamp = NO_TIME


class ApplicationSetTree(ApiObject, frozen=True):
    """Answer of ``ApplicationSetService.ResourceTree``."""

    nodes: tuple[ResourceNode, ...] = ()


class ApplicationSetWatchEvent(ApiObject, frozen=True):
    """Answer of ``ApplicationSetService.Watch``."""

    type: str = always(str)
    application_set: ApplicationSet = always(ApplicationSet)


class HostResourceInfo(ApiObject, frozen=True):
    """Part of ``HostInfo``."""

    resource_name: str = ""
    requested_by_app: int = 0
    requested_by_neighbors: int = 0
    capacity: int = 0


class NodeSwapStatus(ApiObject, frozen=True):
    """Part of ``NodeSystemInfo``."""

    capacity: int | None = None


class NodeSystemInfo(ApiObject, frozen=True):
    """Part of ``HostInfo``."""

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
    """Part of ``ApplicationTree``."""

    name: str = ""
    resources_info: tuple[HostResourceInfo, ...] = ()
    system_info: NodeSystemInfo = always(NodeSystemInfo)
    labels: Mapping[str, str] = {}


class ApplicationTree(ApiObject, frozen=True):
    """Answer of ``ApplicationService.ResourceTree``, ``ApplicationService.WatchResourceTree``."""

    nodes: tuple[ResourceNode, ...] = ()
    orphaned_nodes: tuple[ResourceNode, ...] = ()
    hosts: tuple[HostInfo, ...] = ()
    shards_count: int = 0


class ApplicationWatchEvent(ApiObject, frozen=True):
    """Answer of ``ApplicationService.Watch``."""

    type: str = always(str)
    application: Application = always(Application)


class ResourceDiff(ApiObject, frozen=True):
    """See the fact sheet of its service."""

    group: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    target_state: str = ""
    live_state: str = ""
    diff: str = ""
    hook: bool = False
    normalized_live_state: str = ""
    predicted_live_state: str = ""
    resource_version: str = ""
    modified: bool = False
