"""The resource tree of the API, and its sum (health-and-resources.md 9).

Pure over the store: roots in, nodes out, sorted by ``group/kind/namespace/name``. An object is
walked once, however many owners it has; cycles end there.
"""

from collections.abc import Callable, Iterable

import msgspec

from tiphys.live.depth import NODE, POD
from tiphys.live.records import InfoItem, LiveObject, Networking
from tiphys.live.store import Store
from tiphys.resources.identity import GVK, ResourceKey

APPLICATION = ("argoproj.io", "Application")
HOST_RESOURCES = ("cpu", "memory", "storage")


class ResourceRef(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Names an object in the tree."""

    group: str = ""
    version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class NodeHealth(msgspec.Struct, frozen=True, omit_defaults=True):
    """Health as a node shows it."""

    status: str = ""
    message: str = ""


class ResourceNode(ResourceRef, frozen=True, rename="camel", omit_defaults=True):
    """One object of the tree."""

    parent_refs: tuple[ResourceRef, ...] = ()
    info: tuple[InfoItem, ...] = ()
    networking_info: Networking | None = None
    resource_version: str = ""
    images: tuple[str, ...] = ()
    health: NodeHealth | None = None
    created_at: str = ""

    @property
    def key(self) -> ResourceKey:
        return ResourceKey(self.group, self.kind, self.namespace, self.name)


class Summary(msgspec.Struct, frozen=True):
    """What the objects of an application show together (9.5), sorted."""

    external_urls: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    is_app_of_apps: bool = False


class HostResource(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Use of one resource on a host, in milli-units."""

    resource_name: str = ""
    requested_by_app: int = 0
    requested_by_neighbors: int = 0
    capacity: int = 0


class Host(msgspec.Struct, frozen=True, rename="camel"):
    """A Kubernetes node that runs Pods of the tree (9.4)."""

    name: str
    system_info: dict[str, object]
    resources_info: tuple[HostResource, ...] = ()
    labels: dict[str, str] = {}


def walk(
    store: Store, roots: Iterable[ResourceKey], permitted: Callable[[LiveObject], bool]
) -> list[LiveObject]:
    """The roots that exist, and all their descendants, each once."""
    seen: dict[ResourceKey, LiveObject] = {}
    waiting = [record for key in roots if (record := store.get(key)) is not None]
    while waiting:
        record = waiting.pop()
        if record.key in seen or not permitted(record):
            continue
        seen[record.key] = record
        waiting.extend(store.children(record))
    return list(seen.values())


def resource_tree(
    store: Store, roots: Iterable[ResourceKey], permitted: Callable[[LiveObject], bool]
) -> list[ResourceNode]:
    """Nodes of the walk, sorted."""
    nodes = [node_of(store, record) for record in walk(store, roots, permitted)]
    nodes.sort(key=lambda node: str(node.key))
    return nodes


def node_of(store: Store, record: LiveObject) -> ResourceNode:
    """One object as a node."""
    info = record.info
    parents = []
    for owner in record.owners:
        parent = store.parent(record, owner)
        parents.append(
            ResourceRef(
                group=owner.group,
                version=parent.version if parent is not None else "",
                kind=owner.kind,
                namespace=parent.key.namespace if parent is not None else "",
                name=owner.name,
                uid=owner.uid or (parent.uid if parent is not None else ""),
            )
        )
    health = record.health
    return ResourceNode(
        group=record.key.group,
        version=record.version,
        kind=record.key.kind,
        namespace=record.key.namespace,
        name=record.key.name,
        uid=record.uid,
        parent_refs=tuple(parents),
        info=info.items if info is not None else (),
        networking_info=info.networking if info is not None else None,
        resource_version=record.resource_version,
        images=info.images if info is not None else (),
        health=NodeHealth(health.status, health.message) if health is not None else None,
        created_at=record.created_at,
    )


def missing_node(key: ResourceKey, gvk: GVK) -> ResourceNode:
    """A managed item without live state (9.2)."""
    return ResourceNode(
        group=key.group,
        version=gvk.version,
        kind=key.kind,
        namespace=key.namespace,
        name=key.name,
        health=NodeHealth("Missing"),
    )


def summarize(store: Store, roots: Iterable[ResourceKey]) -> Summary:
    """URLs and images of the walk."""
    urls: set[str] = set()
    images: set[str] = set()
    nested = False
    for record in walk(store, roots, lambda _: True):
        nested = nested or (record.key.group, record.key.kind) == APPLICATION
        info = record.info
        if info is not None:
            images.update(info.images)
            if info.networking is not None:
                urls.update(info.networking.external_urls)
    return Summary(tuple(sorted(urls)), tuple(sorted(images)), nested)


def hosts(store: Store, nodes: Iterable[ResourceNode], allowed_labels: frozenset[str]) -> list[Host]:
    """The hosts of the tree's Pods, sorted by name (9.4)."""
    own = {node.key for node in nodes if (node.group, node.kind) == POD}
    own_by_host: dict[str, dict[str, int]] = {}
    others_by_host: dict[str, dict[str, int]] = {}
    for pod in store.of_kind(POD):
        items = {item.name: item.value for item in pod.info.items} if pod.info is not None else {}
        name = items.get("Node", "")
        if not name:
            continue
        sums = own_by_host.setdefault(name, {}) if pod.key in own else others_by_host.setdefault(name, {})
        for resource in HOST_RESOURCES:
            sums[resource] = sums.get(resource, 0) + int(items.get(resource) or 0)
    found = []
    for name in sorted(own_by_host):
        record = store.get(ResourceKey(NODE.group, NODE.kind, "", name))
        details = record.info.host if record is not None and record.info is not None else None
        if details is None:
            continue
        resources = tuple(
            HostResource(
                each,
                own_by_host[name].get(each, 0),
                others_by_host.get(name, {}).get(each, 0),
                details.capacity[each],
            )
            for each in HOST_RESOURCES
            if details.capacity.get(each, 0) > 0
        )
        labels = {key: value for key, value in details.labels.items() if key in allowed_labels}
        found.append(Host(name, dict(details.system_info), resources, labels))
    return found
