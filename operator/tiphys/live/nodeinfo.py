"""What the resource tree shows of an object beyond its name (health-and-resources.md 8).

Pure: one decoded object in, a :class:`~tiphys.live.records.NodeInfo` or ``None`` out. The reference
leaves the order of URLs and images open; here it is the order of the object, sorted where merged.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from tiphys.live.depth import NODE, POD
from tiphys.live.podinfo import pod_images, pod_items
from tiphys.live.quantities import millis
from tiphys.live.records import HostDetails, NodeInfo
from tiphys.resources.identity import GroupKind, Manifest
from tiphys.resources.messages.trees import (
    InfoItem,
    LoadBalancerIngress,
    ResourceNetworkingInfo,
    ResourceRef,
)

LINK_PREFIX = "link.argocd.argoproj.io/"
IGNORE_LINKS = "argocd.argoproj.io/ignore-default-links"
MANAGED_BY_URL = "argocd.argoproj.io/managed-by-url"
REVISIONS = ("deployment.kubernetes.io/revision", "rollout.argoproj.io/revision")
TRUE_TEXTS = frozenset({"1", "t", "T", "TRUE", "true", "True"})
GATEWAY = "gateway.networking.k8s.io"
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")


def describe(kind: GroupKind, manifest: Manifest, custom_labels: tuple[str, ...] = ()) -> NodeInfo | None:
    """What to show; ``None`` if there is nothing."""
    metadata = manifest.get("metadata") or {}
    annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    items: list[InfoItem] = []
    revision = _revision(manifest, annotations)
    if revision > 0:
        items.append(InfoItem(name="Revision", value=f"Rev:{revision}"))
    items.extend(InfoItem(name=name, value=labels[name]) for name in custom_labels if name in labels)
    links = _links(annotations)
    images: tuple[str, ...] = ()
    host = None
    networking = ResourceNetworkingInfo(external_urls=links) if links else None
    if kind == POD:
        items.extend(pod_items(manifest))
        images = pod_images(manifest)
        networking = ResourceNetworkingInfo(labels=labels, external_urls=links)
    elif kind == NODE:
        host, networking = _host(manifest, labels), None
    elif kind in _NETWORKING:
        networking = _NETWORKING[kind](manifest, links)
    if kind == ("argoproj.io", "Application") and annotations.get(MANAGED_BY_URL):
        items.append(InfoItem(name="managed-by-url", value=annotations[MANAGED_BY_URL]))
    if not items and not images and networking is None and host is None:
        return None
    return NodeInfo(tuple(items), images, networking, host)


def _revision(manifest: Manifest, annotations: Mapping[str, str]) -> int:
    for name in REVISIONS:
        if name in annotations:
            text = annotations[name] or ""
            return int(text) if _WHOLE_NUMBER.fullmatch(text) else 0
    value = manifest.get("revision")
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _links(annotations: Mapping[str, str]) -> tuple[str, ...]:
    found = []
    for name in sorted(annotations):
        if not name.startswith(LINK_PREFIX):
            continue
        value = annotations[name] or ""
        _, separator, url = value.partition("|")
        if not separator:
            url = value
        if url and not _is_web(url):
            continue
        found.append(value)
    return tuple(found)


def _is_web(url: str) -> bool:
    try:
        return urlsplit(url).scheme in ("http", "https")
    except ValueError:
        return False


def _host(manifest: Manifest, labels: Mapping[str, str]) -> HostDetails:
    status = manifest.get("status") or {}
    capacity = {name: millis(value) for name, value in (status.get("capacity") or {}).items()}
    return HostDetails(capacity, status.get("nodeInfo") or {}, dict(labels))


def _ingresses(manifest: Manifest) -> tuple[LoadBalancerIngress, ...]:
    balancer = (manifest.get("status") or {}).get("loadBalancer") or {}
    return tuple(
        LoadBalancerIngress(hostname=each["hostname"])
        if each.get("hostname")
        else LoadBalancerIngress(ip=each["ip"])
        for each in balancer.get("ingress") or ()
        if each.get("hostname") or each.get("ip")
    )


def _service(manifest: Manifest, links: tuple[str, ...]) -> ResourceNetworkingInfo:
    spec = manifest.get("spec") or {}
    ingress = _ingresses(manifest) if spec.get("type") == "LoadBalancer" else ()
    return ResourceNetworkingInfo(
        target_labels=spec.get("selector") or {}, ingress=ingress, external_urls=links
    )


def _ingress(manifest: Manifest, links: tuple[str, ...]) -> ResourceNetworkingInfo:
    metadata, spec = manifest.get("metadata") or {}, manifest.get("spec") or {}
    namespace = metadata.get("namespace") or ""
    balancers = _ingresses(manifest)
    targets: dict[ResourceRef, None] = {}
    urls: dict[str, None] = {}

    def target(backend: Any) -> None:
        if isinstance(backend, dict):
            name = backend.get("serviceName") or (backend.get("service") or {}).get("name")
            if name:
                targets[ResourceRef(kind="Service", namespace=namespace, name=name)] = None

    target(spec.get("backend"))  # defaultBackend is not read: the reference does not, either
    for rule in spec.get("rules") or ():
        first = balancers[0] if balancers else LoadBalancerIngress()
        host = rule.get("host") or first.hostname or first.ip
        secure = any(
            entry.get("secretName") or (host and entry.get("host") == host) for entry in spec.get("tls") or ()
        )
        for path in (rule.get("http") or {}).get("paths") or ():
            target(path.get("backend"))
            if host:
                suffix = str(path.get("path") or "").removesuffix("*")
                urls[f"{'https' if secure else 'http'}://{host}{suffix}"] = None
    return ResourceNetworkingInfo(
        target_refs=tuple(targets),
        ingress=balancers,
        external_urls=_with_generated(metadata, links, urls),
    )


def _with_generated(
    metadata: Mapping[str, Any], links: tuple[str, ...], urls: Mapping[str, None]
) -> tuple[str, ...]:
    if (metadata.get("annotations") or {}).get(IGNORE_LINKS) in TRUE_TEXTS:
        return links
    return tuple(dict.fromkeys([*links, *sorted(urls)]))


def _virtual_service(manifest: Manifest, links: tuple[str, ...]) -> ResourceNetworkingInfo:
    own = (manifest.get("metadata") or {}).get("namespace") or ""
    targets: dict[ResourceRef, None] = {}
    for http in (manifest.get("spec") or {}).get("http") or ():
        for route in http.get("route") or ():
            parts = str((route.get("destination") or {}).get("host") or "").split(".")
            if parts[0]:
                namespace = parts[1] if len(parts) > 1 else own
                targets[ResourceRef(kind="Service", namespace=namespace, name=parts[0])] = None
    return ResourceNetworkingInfo(target_refs=tuple(targets), external_urls=links)


def _service_entry(manifest: Manifest, links: tuple[str, ...]) -> ResourceNetworkingInfo | None:
    selector = ((manifest.get("spec") or {}).get("workloadSelector") or {}).get("labels")
    if not selector:
        return ResourceNetworkingInfo(external_urls=links) if links else None
    return ResourceNetworkingInfo(target_labels=selector, target_refs=(ResourceRef(kind="Pod"),))


def _route(manifest: Manifest, links: tuple[str, ...]) -> ResourceNetworkingInfo:
    own = (manifest.get("metadata") or {}).get("namespace") or ""
    spec = manifest.get("spec") or {}
    targets: dict[ResourceRef, None] = {}

    def add(reference: Mapping[str, Any], group: str, kind: str) -> None:
        targets[
            ResourceRef(
                group=reference.get("group", group),
                kind=reference.get("kind") or kind,
                namespace=reference.get("namespace") or own,
                name=reference.get("name") or "",
            )
        ] = None

    for reference in spec.get("parentRefs") or ():
        add(reference, GATEWAY, "Gateway")
    for rule in spec.get("rules") or ():
        for reference in rule.get("backendRefs") or ():
            add(reference, "", "Service")
    return ResourceNetworkingInfo(target_refs=tuple(targets), external_urls=links)


def _gateway(manifest: Manifest, links: tuple[str, ...]) -> ResourceNetworkingInfo:
    addresses = []
    for each in (manifest.get("status") or {}).get("addresses") or ():
        if each.get("value") and each.get("type") in (None, "", "Hostname", "IPAddress"):
            named = each.get("type") == "Hostname"
            addresses.append(
                LoadBalancerIngress(hostname=each["value"])
                if named
                else LoadBalancerIngress(ip=each["value"])
            )
    urls: dict[str, None] = {}
    for listener in (manifest.get("spec") or {}).get("listeners") or ():
        scheme = "https" if listener.get("protocol") in ("HTTPS", "TLS") else "http"
        port = listener.get("port")
        suffix = "" if not port or port == (443 if scheme == "https" else 80) else f":{port}"
        hostname = listener.get("hostname")
        hosts = (
            [hostname] if hostname and hostname != "*" else [each.hostname or each.ip for each in addresses]
        )
        for host in hosts:
            urls[f"{scheme}://{host}{suffix}"] = None
    return ResourceNetworkingInfo(
        ingress=tuple(addresses),
        external_urls=_with_generated(manifest.get("metadata") or {}, links, urls),
    )


_NETWORKING: Mapping[GroupKind, Callable[[Manifest, tuple[str, ...]], ResourceNetworkingInfo | None]] = {
    GroupKind("", "Service"): _service,
    GroupKind("extensions", "Ingress"): _ingress,
    GroupKind("networking.k8s.io", "Ingress"): _ingress,
    GroupKind("networking.istio.io", "VirtualService"): _virtual_service,
    GroupKind("networking.istio.io", "ServiceEntry"): _service_entry,
    **{
        GroupKind(GATEWAY, kind): _route
        for kind in ("HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute")
    },
    GroupKind(GATEWAY, "Gateway"): _gateway,
}
