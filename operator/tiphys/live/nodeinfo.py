"""What the resource tree shows of an object beyond its name (health-and-resources.md 8).

Pure: one decoded object in, a :class:`~tiphys.live.records.NodeInfo` or ``None`` out. The reference
leaves the order of URLs and images open; here it is the order of the object, sorted where merged.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from tiphys.live.depth import NODE, POD
from tiphys.live.podinfo import pod_images, pod_items
from tiphys.live.quantities import millis
from tiphys.live.records import HostDetails, InfoItem, Networking, NetworkTarget, NodeInfo
from tiphys.resources.identity import GroupKind, Manifest

LINK_PREFIX = "link.argocd.argoproj.io/"
IGNORE_LINKS = "argocd.argoproj.io/ignore-default-links"
MANAGED_BY_URL = "argocd.argoproj.io/managed-by-url"
REVISIONS = ("deployment.kubernetes.io/revision", "rollout.argoproj.io/revision")
TRUE_TEXTS = frozenset({"1", "t", "T", "TRUE", "true", "True"})
GATEWAY = "gateway.networking.k8s.io"


def describe(kind: GroupKind, manifest: Manifest, custom_labels: tuple[str, ...] = ()) -> NodeInfo | None:
    """What to show; ``None`` if there is nothing."""
    metadata = manifest.get("metadata") or {}
    annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    items: list[InfoItem] = []
    revision = _revision(manifest, annotations)
    if revision > 0:
        items.append(InfoItem("Revision", f"Rev:{revision}"))
    items.extend(InfoItem(name, labels[name]) for name in custom_labels if name in labels)
    links = _links(annotations)
    images: tuple[str, ...] = ()
    host = None
    networking = Networking(external_urls=links) if links else None
    if kind == POD:
        items.extend(pod_items(manifest))
        images = pod_images(manifest)
        networking = Networking(labels=labels, external_urls=links)
    elif kind == NODE:
        host, networking = _host(manifest, labels), None
    elif kind in _NETWORKING:
        networking = _NETWORKING[kind](manifest, links)
    if kind == ("argoproj.io", "Application") and annotations.get(MANAGED_BY_URL):
        items.append(InfoItem("managed-by-url", annotations[MANAGED_BY_URL]))
    if not items and not images and networking is None and host is None:
        return None
    return NodeInfo(tuple(items), images, networking, host)


def _revision(manifest: Manifest, annotations: Mapping[str, str]) -> int:
    for name in REVISIONS:
        if annotations.get(name):
            try:
                return int(annotations[name])
            except ValueError:
                return 0
    value = manifest.get("revision")
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _links(annotations: Mapping[str, str]) -> tuple[str, ...]:
    found = []
    for name in sorted(annotations):
        if not name.startswith(LINK_PREFIX):
            continue
        value = annotations[name]
        _, separator, url = value.partition("|")
        if not separator:
            url = value
        if url and urlsplit(url).scheme not in ("http", "https"):
            continue
        found.append(value)
    return tuple(found)


def _host(manifest: Manifest, labels: Mapping[str, str]) -> HostDetails:
    status = manifest.get("status") or {}
    capacity = {name: millis(value) for name, value in (status.get("capacity") or {}).items()}
    return HostDetails(capacity, status.get("nodeInfo") or {}, dict(labels))


def _ingresses(manifest: Manifest) -> tuple[dict[str, Any], ...]:
    balancer = (manifest.get("status") or {}).get("loadBalancer") or {}
    return tuple(
        {name: each[name] for name in ("ip", "hostname") if each.get(name)}
        for each in balancer.get("ingress") or ()
    )


def _service(manifest: Manifest, links: tuple[str, ...]) -> Networking:
    spec = manifest.get("spec") or {}
    ingress = _ingresses(manifest) if spec.get("type") == "LoadBalancer" else ()
    return Networking(target_labels=spec.get("selector") or {}, ingress=ingress, external_urls=links)


def _ingress(manifest: Manifest, links: tuple[str, ...]) -> Networking:
    metadata, spec = manifest.get("metadata") or {}, manifest.get("spec") or {}
    namespace = metadata.get("namespace") or ""
    balancers = _ingresses(manifest)
    targets: dict[NetworkTarget, None] = {}
    urls: dict[str, None] = {}

    def target(backend: Any) -> None:
        if isinstance(backend, dict):
            name = backend.get("serviceName") or (backend.get("service") or {}).get("name")
            if name:
                targets[NetworkTarget("", "Service", namespace, name)] = None

    target(spec.get("backend"))  # defaultBackend is not read: the reference does not, either
    for rule in spec.get("rules") or ():
        first = balancers[0] if balancers else {}
        host = rule.get("host") or first.get("hostname") or first.get("ip") or ""
        secure = any(
            entry.get("secretName") or (host and entry.get("host") == host) for entry in spec.get("tls") or ()
        )
        for path in (rule.get("http") or {}).get("paths") or ():
            target(path.get("backend"))
            if host:
                suffix = str(path.get("path") or "").removesuffix("*")
                urls[f"{'https' if secure else 'http'}://{host}{suffix}"] = None
    return Networking(
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


def _virtual_service(manifest: Manifest, links: tuple[str, ...]) -> Networking:
    own = (manifest.get("metadata") or {}).get("namespace") or ""
    targets: dict[NetworkTarget, None] = {}
    for http in (manifest.get("spec") or {}).get("http") or ():
        for route in http.get("route") or ():
            parts = str((route.get("destination") or {}).get("host") or "").split(".")
            if parts[0]:
                namespace = parts[1] if len(parts) > 1 else own
                targets[NetworkTarget("", "Service", namespace, parts[0])] = None
    return Networking(target_refs=tuple(targets), external_urls=links)


def _service_entry(manifest: Manifest, links: tuple[str, ...]) -> Networking | None:
    selector = ((manifest.get("spec") or {}).get("workloadSelector") or {}).get("labels")
    if not selector:
        return Networking(external_urls=links) if links else None
    return Networking(target_labels=selector, target_refs=(NetworkTarget(kind="Pod"),))


def _route(manifest: Manifest, links: tuple[str, ...]) -> Networking:
    own = (manifest.get("metadata") or {}).get("namespace") or ""
    spec = manifest.get("spec") or {}
    targets: dict[NetworkTarget, None] = {}

    def add(reference: Mapping[str, Any], group: str, kind: str) -> None:
        targets[
            NetworkTarget(
                reference.get("group", group),
                reference.get("kind") or kind,
                reference.get("namespace") or own,
                reference.get("name") or "",
            )
        ] = None

    for reference in spec.get("parentRefs") or ():
        add(reference, GATEWAY, "Gateway")
    for rule in spec.get("rules") or ():
        for reference in rule.get("backendRefs") or ():
            add(reference, "", "Service")
    return Networking(target_refs=tuple(targets), external_urls=links)


def _gateway(manifest: Manifest, links: tuple[str, ...]) -> Networking:
    addresses = []
    for each in (manifest.get("status") or {}).get("addresses") or ():
        field = "hostname" if each.get("type") == "Hostname" else "ip"
        if each.get("value") and each.get("type") in (None, "", "Hostname", "IPAddress"):
            addresses.append({field: each["value"]})
    urls: dict[str, None] = {}
    for listener in (manifest.get("spec") or {}).get("listeners") or ():
        scheme = "https" if listener.get("protocol") in ("HTTPS", "TLS") else "http"
        port = listener.get("port")
        suffix = "" if not port or port == (443 if scheme == "https" else 80) else f":{port}"
        hostname = listener.get("hostname")
        hosts = [hostname] if hostname and hostname != "*" else [next(iter(a.values())) for a in addresses]
        for host in hosts:
            urls[f"{scheme}://{host}{suffix}"] = None
    return Networking(
        ingress=tuple(addresses),
        external_urls=_with_generated(manifest.get("metadata") or {}, links, urls),
    )


_NETWORKING: Mapping[GroupKind, Callable[[Manifest, tuple[str, ...]], Networking | None]] = {
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
