"""The resource tree of the API, and its sum (health-and-resources.md 9).

Pure over the store: roots in, nodes out, sorted by ``group/kind/namespace/name``. An object is
walked once, however many owners it has; cycles end there.
"""

from collections.abc import Callable, Iterable

import msgspec

from tiphys.health.model import MISSING
from tiphys.live.depth import NODE, POD
from tiphys.live.records import LiveObject
from tiphys.live.store import Store
from tiphys.resources.identity import ResourceKey
from tiphys.resources.messages.trees import (
    HostInfo,
    HostResourceInfo,
    NodeSystemInfo,
    ResourceNode,
    ResourceRef,
)
from tiphys.resources.status import ApplicationSummary, HealthStatus
from tiphys.resources.times import Timestamp

APPLICATION = ("argoproj.io", "Application")
HOST_RESOURCES = ("cpu", "memory", "storage")


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
    nodes.sort(key=node_order)
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
        health=HealthStatus(status=health.status, message=health.message) if health is not None else None,
        created_at=Timestamp(record.created_at),
    )


def missing_node(key: ResourceKey, version: str) -> ResourceNode:
    """A managed item without live state (9.2)."""
    return ResourceNode(
        group=key.group,
        version=version,
        kind=key.kind,
        namespace=key.namespace,
        name=key.name,
        health=HealthStatus(status=MISSING),
    )


def key_of_node(node: ResourceRef) -> ResourceKey:
    """The key of what a node stands for."""
    return ResourceKey(node.group, node.kind, node.namespace, node.name)


def node_order(node: ResourceRef) -> str:
    """How nodes are sorted (9.6)."""
    return f"{node.group}/{node.kind}/{node.namespace}/{node.name}"


def summarize(
    store: Store, roots: Iterable[ResourceKey], permitted: Callable[[LiveObject], bool]
) -> ApplicationSummary:
    """URLs and images of the walk (9.5)."""
    urls: set[str] = set()
    images: set[str] = set()
    nested = False
    for record in walk(store, roots, permitted):
        nested = nested or (record.key.group, record.key.kind) == APPLICATION
        info = record.info
        if info is not None:
            images.update(info.images)
            if info.networking is not None:
                urls.update(info.networking.external_urls)
    return ApplicationSummary(
        external_urls=tuple(sorted(urls)), images=tuple(sorted(images)), is_app_of_apps=nested
    )


def hosts(store: Store, nodes: Iterable[ResourceNode], allowed_labels: frozenset[str]) -> list[HostInfo]:
    """The hosts of the tree's Pods, sorted by name (9.4); without Pods nothing is looked at."""
    own = {key for node in nodes if (node.group, node.kind) == POD and (key := key_of_node(node))}
    names = {name for key in own if (pod := store.get(key)) is not None and (name := _host_of(pod))}
    if not names:
        return []
    by_app: dict[str, dict[str, int]] = {name: {} for name in names}
    by_neighbors: dict[str, dict[str, int]] = {name: {} for name in names}
    for pod in store.of_kind(POD):
        name = _host_of(pod)
        if name not in names or pod.info is None:
            continue
        sums = (by_app if pod.key in own else by_neighbors)[name]
        for item in pod.info.items:
            # A label that is shown (resource.customLabels) may have any name and any value.
            if item.name in HOST_RESOURCES and item.value.isascii() and item.value.isdigit():
                sums[item.name] = sums.get(item.name, 0) + int(item.value)
    found = []
    for name in sorted(names):
        record = store.get(ResourceKey(NODE.group, NODE.kind, "", name))
        details = record.info.host if record is not None and record.info is not None else None
        if details is None:
            continue
        resources = tuple(
            HostResourceInfo(
                resource_name=each,
                requested_by_app=by_app[name].get(each, 0),
                requested_by_neighbors=by_neighbors[name].get(each, 0),
                capacity=details.capacity[each],
            )
            for each in HOST_RESOURCES
            if details.capacity.get(each, 0) > 0
        )
        found.append(
            HostInfo(
                name=name,
                resources_info=resources,
                system_info=msgspec.convert(details.system_info, NodeSystemInfo),
                labels={key: value for key, value in details.labels.items() if key in allowed_labels},
            )
        )
    return found


def _host_of(pod: LiveObject) -> str:
    """The Kubernetes node a Pod runs on, ``""``: none yet."""
    if pod.info is None:
        return ""
    return next((item.value for item in reversed(pod.info.items) if item.name == "Node"), "")
