"""What the tree shows of an object (health-and-resources.md 8)."""

from typing import Any

import pytest

from tiphys.live.depth import POD
from tiphys.live.nodeinfo import describe
from tiphys.live.podinfo import effective_requests, pod_items
from tiphys.live.quantities import millis
from tiphys.live.records import NodeInfo
from tiphys.resources.identity import GroupKind, Manifest
from tiphys.resources.messages.trees import LoadBalancerIngress, ResourceNetworkingInfo, ResourceRef


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("100m", 100),
        ("1", 1000),
        ("1.5", 1500),
        ("128Mi", 128 * 2**20 * 1000),
        ("1G", 10**12),
        ("1e3", 10**6),
        ("1E", 10**21),
        ("1u", 1),
        ("rubbish", 0),
        (2, 2000),
    ],
)
def test_quantities(text: object, value: int) -> None:
    assert millis(text) == value


def pod(
    spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **metadata: Any
) -> Manifest:
    return {"metadata": {"name": "p", **metadata}, "spec": spec or {}, "status": status or {}}


def container(name: str = "c", **state: Any) -> dict[str, Any]:
    return {"name": name, "ready": "running" in state, "restartCount": 2, "state": state}


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        pytest.param(pod(status={"phase": "Pending"}), "Pending", id="phase"),
        pytest.param(pod(status={"phase": "Failed", "reason": "Evicted"}), "Evicted", id="status-reason"),
        pytest.param(
            pod(
                status={
                    "phase": "Pending",
                    "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}],
                }
            ),
            "SchedulingGated",
            id="gated",
        ),
        pytest.param(
            pod(
                {"initContainers": [{"name": "i"}, {"name": "j"}]},
                {
                    "phase": "Pending",
                    "initContainerStatuses": [container("i", waiting={"reason": "PodInitializing"})],
                },
            ),
            "Init:0/2",
            id="init-waits",
        ),
        pytest.param(
            pod(
                status={"phase": "Pending", "initContainerStatuses": [container(terminated={"exitCode": 3})]}
            ),
            "Init:ExitCode:3",
            id="init-exit-code",
        ),
        pytest.param(
            pod(
                status={
                    "phase": "Pending",
                    "initContainerStatuses": [container(terminated={"exitCode": 1, "signal": 9})],
                }
            ),
            "Init:Signal:9",
            id="init-signal",
        ),
        pytest.param(
            pod(
                status={
                    "phase": "Running",
                    "containerStatuses": [container(waiting={"reason": "CrashLoopBackOff"})],
                }
            ),
            "CrashLoopBackOff",
            id="crash-loop",
        ),
        pytest.param(
            pod(
                status={
                    "phase": "Running",
                    "containerStatuses": [
                        container("done", terminated={"reason": "Completed", "exitCode": 0}),
                        container("runs", running={}),
                    ],
                }
            ),
            "Running",
            id="completed-beside-a-running-one",
        ),
        pytest.param(
            pod(status={"phase": "Running"}, deletionTimestamp="2026-01-01T00:00:00Z"),
            "Terminating",
            id="deleted",
        ),
        pytest.param(
            pod(status={"phase": "Succeeded"}, deletionTimestamp="2026-01-01T00:00:00Z"),
            "Succeeded",
            id="deleted-when-it-had-ended",
        ),
        pytest.param(
            pod(
                {"initContainers": [{"name": "i"}]},
                {
                    "phase": "Pending",
                    "initContainerStatuses": [container("i", waiting={"reason": "ErrImagePull"})],
                },
            ),
            "Init:ErrImagePull",
            id="init-cannot-start",
        ),
        pytest.param(
            pod(
                {"initContainers": [{"name": "side", "restartPolicy": "Always"}, {"name": "i"}]},
                {
                    "phase": "Pending",
                    "initContainerStatuses": [
                        {**container("side", running={}), "started": True},
                        container("i", running={}),
                    ],
                },
            ),
            "Init:1/2",
            id="init-after-a-sidecar",
        ),
        pytest.param(
            pod(
                {"initContainers": [{"name": "i"}]},
                {
                    "phase": "Running",
                    "conditions": [{"type": "Initialized", "status": "True"}],
                    "initContainerStatuses": [container("i", waiting={"reason": "PodInitializing"})],
                    "containerStatuses": [container(terminated={"exitCode": 2})],
                },
            ),
            "ExitCode:2",
            id="initialized-all-the-same",
        ),
        pytest.param(
            pod(
                status={
                    "phase": "Failed",
                    "containerStatuses": [
                        container("first", terminated={"exitCode": 1, "signal": 9}),
                        container("last", terminated={"reason": "OOMKilled", "exitCode": 137}),
                    ],
                }
            ),
            "Signal:9",
            id="from-last-to-first",
        ),
        pytest.param(
            pod(status={"phase": "Running", "reason": "NodeLost"}, deletionTimestamp="2026-01-01T00:00:00Z"),
            "Unknown",
            id="node-lost",
        ),
    ],
)
def test_pod_reason(manifest: Manifest, reason: str) -> None:
    assert pod_items(manifest)[0].value == reason


def test_pod_lines_come_in_order() -> None:
    manifest = pod(
        {
            "nodeName": "node-1",
            "initContainers": [{"name": "side", "restartPolicy": "Always", "image": "s"}, {"name": "i"}],
            "containers": [
                {"name": "c", "image": "a", "resources": {"requests": {"cpu": "100m", "memory": "1Mi"}}}
            ],
        },
        {"phase": "Running", "containerStatuses": [container(running={})]},
    )
    assert [(item.name, item.value) for item in pod_items(manifest)] == [
        ("Status Reason", "Running"),
        ("Node", "node-1"),
        ("Containers", "1/2"),
        ("Restart Count", "2"),
        ("cpu", "100"),
        ("memory", str(2**20 * 1000)),
    ]


def test_requests_follow_the_scheduler() -> None:
    def asks(cpu: str, **more: Any) -> dict[str, Any]:
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    manifest = pod(
        {
            "initContainers": [asks("50m", restartPolicy="Always"), asks("500m")],
            "containers": [asks("100m"), asks("200m")],
            "overhead": {"cpu": "10m"},
        }
    )
    assert effective_requests(manifest) == {"cpu": 560}  # the init step: 50 + 500, more than 350; + overhead
    assert effective_requests({"spec": {"resources": {"requests": {"cpu": "1"}}}}) == {"cpu": 1000}


SERVICE = GroupKind("", "Service")
INGRESS = GroupKind("networking.k8s.io", "Ingress")


def described(kind: GroupKind, **parts: Any) -> NodeInfo:
    info = describe(kind, {"metadata": {"name": "x", "namespace": "n", **parts.pop("metadata", {})}, **parts})
    assert info is not None
    return info


def networking(kind: GroupKind, **parts: Any) -> ResourceNetworkingInfo:
    found = described(kind, **parts).networking
    assert found is not None
    return found


def test_service_balancer_shows_only_for_its_type() -> None:
    status = {"loadBalancer": {"ingress": [{"ip": "1.2.3.4", "ports": []}]}}
    assert networking(SERVICE, spec={"selector": {"a": "b"}}, status=status) == ResourceNetworkingInfo(
        target_labels={"a": "b"}
    )
    shown = networking(SERVICE, spec={"type": "LoadBalancer"}, status=status)
    assert shown.ingress == (LoadBalancerIngress(ip="1.2.3.4"),)


def rule(host: str = "", *paths: str) -> dict[str, Any]:
    backends = [{"path": path, "backend": {"service": {"name": "svc"}}} for path in paths]
    return {"host": host, "http": {"paths": backends}}


def test_balancer_shows_its_name_before_its_address() -> None:
    entries = [{"ip": "1.1.1.1", "hostname": "lb"}, {"ip": "2.2.2.2"}, {"ports": []}]
    service = {"spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {"ingress": entries}}}
    info = describe(GroupKind("", "Service"), {"metadata": {"name": "a"}, **service})
    assert info is not None
    assert info.networking is not None
    assert info.networking.ingress == (
        LoadBalancerIngress(hostname="lb"),
        LoadBalancerIngress(ip="2.2.2.2"),
    )


@pytest.mark.parametrize(
    ("spec", "status", "urls"),
    [
        pytest.param({"rules": [rule("h", "/a*")]}, {}, ("http://h/a",), id="star-is-cut"),
        pytest.param(
            {"rules": [rule("h", "/")], "tls": [{"secretName": "s"}]}, {}, ("https://h/",), id="tls-secret"
        ),
        pytest.param(
            {"rules": [rule("h", "/")], "tls": [{"hosts": ["h"]}]}, {}, ("http://h/",), id="tls-hosts-only"
        ),
        pytest.param({"rules": [rule("", "/")]}, {}, (), id="no-host"),
        pytest.param(
            {"rules": [rule("", "/")]},
            {"loadBalancer": {"ingress": [{"hostname": "lb", "ip": "1.1.1.1"}]}},
            ("http://lb/",),
            id="host-of-the-balancer",
        ),
    ],
)
def test_ingress_urls(spec: dict[str, Any], status: dict[str, Any], urls: tuple[str, ...]) -> None:
    shown = networking(INGRESS, spec=spec, status=status)
    assert shown.external_urls == urls
    assert shown.target_refs == (ResourceRef(kind="Service", namespace="n", name="svc"),)


def test_links_join_and_defaults_can_be_switched_off() -> None:
    annotations = {
        "link.argocd.argoproj.io/a": "title|https://docs",
        "link.argocd.argoproj.io/bad": "javascript:alert(1)",
        "argocd.argoproj.io/ignore-default-links": "true",
    }
    shown = networking(INGRESS, metadata={"annotations": annotations}, spec={"rules": [rule("h", "/")]})
    assert shown.external_urls == ("title|https://docs",)


def test_gateway_urls() -> None:
    spec = {
        "listeners": [
            {"protocol": "HTTPS", "port": 443, "hostname": "a.example"},
            {"protocol": "HTTP", "port": 8080, "hostname": "*"},
        ]
    }
    status = {"addresses": [{"type": "IPAddress", "value": "1.1.1.1"}]}
    shown = networking(GroupKind("gateway.networking.k8s.io", "Gateway"), spec=spec, status=status)
    assert shown.external_urls == ("http://1.1.1.1:8080", "https://a.example")
    assert shown.ingress == (LoadBalancerIngress(ip="1.1.1.1"),)


def test_route_targets() -> None:
    spec = {
        "parentRefs": [{"name": "gw", "namespace": "infra"}],
        "rules": [{"backendRefs": [{"name": "svc", "port": 80}]}],
    }
    shown = networking(GroupKind("gateway.networking.k8s.io", "HTTPRoute"), spec=spec)
    assert shown.target_refs == (
        ResourceRef(group="gateway.networking.k8s.io", kind="Gateway", namespace="infra", name="gw"),
        ResourceRef(kind="Service", namespace="n", name="svc"),
    )


def test_virtual_service_targets() -> None:
    routes = [{"destination": {"host": host}} for host in ("one", "two.other.svc.cluster.local")]
    shown = networking(GroupKind("networking.istio.io", "VirtualService"), spec={"http": [{"route": routes}]})
    assert [(ref.namespace, ref.name) for ref in shown.target_refs] == [("n", "one"), ("other", "two")]


@pytest.mark.parametrize(
    ("annotations", "more", "items"),
    [
        pytest.param({"deployment.kubernetes.io/revision": "4"}, {}, ["Rev:4"], id="deployment"),
        pytest.param({"rollout.argoproj.io/revision": "5"}, {}, ["Rev:5"], id="rollout"),
        pytest.param(
            {"deployment.kubernetes.io/revision": "4", "rollout.argoproj.io/revision": "5"},
            {"revision": 6},
            ["Rev:4"],
            id="the-first-counts",
        ),
        pytest.param({"deployment.kubernetes.io/revision": "x"}, {"revision": 6}, [], id="no-number"),
        pytest.param({"deployment.kubernetes.io/revision": "1_0"}, {}, [], id="no-number-of-kubernetes"),
        pytest.param({}, {"revision": 6}, ["Rev:6"], id="controller-revision"),
        pytest.param({}, {"revision": 0}, [], id="none"),
        pytest.param({}, {"revision": "6"}, [], id="text"),
    ],
)
def test_revision(annotations: dict[str, str], more: dict[str, Any], items: list[str]) -> None:
    """health-and-resources.md 8.1."""
    info = describe(GroupKind("apps", "ReplicaSet"), {"metadata": {"annotations": annotations}, **more})
    assert [item.value for item in (info.items if info is not None else ())] == items


def test_the_address_of_who_manages_an_application() -> None:
    """health-and-resources.md 8.1: of Applications only."""
    manifest = {"metadata": {"annotations": {"argocd.argoproj.io/managed-by-url": "https://other"}}}
    info = describe(GroupKind("argoproj.io", "Application"), manifest)
    assert info is not None
    assert [(item.name, item.value) for item in info.items] == [("managed-by-url", "https://other")]
    assert describe(GroupKind("argoproj.io", "AppProject"), manifest) is None


LINK = {"annotations": {"link.argocd.argoproj.io/a": "https://docs"}}
POD_REF = ResourceRef(kind="Pod")


@pytest.mark.parametrize(
    ("kind", "parts", "wanted"),
    [
        pytest.param(
            GroupKind("networking.istio.io", "ServiceEntry"),
            {"metadata": LINK, "spec": {"workloadSelector": {"labels": {"a": "b"}}}},
            ResourceNetworkingInfo(target_labels={"a": "b"}, target_refs=(POD_REF,)),
            id="service-entry-drops-links",
        ),
        pytest.param(
            GroupKind("networking.istio.io", "ServiceEntry"),
            {"metadata": LINK, "spec": {}},
            ResourceNetworkingInfo(external_urls=("https://docs",)),
            id="service-entry-without-selector",
        ),
        pytest.param(
            GroupKind("extensions", "Ingress"),
            {
                "spec": {
                    "backend": {"serviceName": "first"},
                    "defaultBackend": {"service": {"name": "not-read"}},
                    "rules": [{"http": {"paths": [{"backend": {"serviceName": "second"}}]}}],
                }
            },
            ResourceNetworkingInfo(
                target_refs=tuple(
                    ResourceRef(kind="Service", namespace="n", name=name) for name in ("first", "second")
                )
            ),
            id="old-ingress",
        ),
        pytest.param(
            GroupKind("gateway.networking.k8s.io", "Gateway"),
            {
                "spec": {"listeners": [{"protocol": "TLS", "port": 8443}]},
                "status": {
                    "addresses": [
                        {"type": "Hostname", "value": "lb"},
                        {"value": "1.1.1.1"},
                        {"type": "NamedAddress", "value": "not-shown"},
                    ]
                },
            },
            ResourceNetworkingInfo(
                ingress=(LoadBalancerIngress(hostname="lb"), LoadBalancerIngress(ip="1.1.1.1")),
                external_urls=("https://1.1.1.1:8443", "https://lb:8443"),
            ),
            id="gateway-addresses",
        ),
        pytest.param(
            GroupKind("gateway.networking.k8s.io", "Gateway"),
            {
                "metadata": {"annotations": {"argocd.argoproj.io/ignore-default-links": "true"}},
                "spec": {"listeners": [{"protocol": "HTTP", "port": 80, "hostname": "h"}]},
            },
            ResourceNetworkingInfo(),
            id="gateway-without-generated",
        ),
        pytest.param(
            GroupKind("gateway.networking.k8s.io", "TLSRoute"),
            {
                "spec": {
                    "parentRefs": [{"group": "", "kind": "Service", "name": "mesh"}],
                    "rules": [{"backendRefs": [{"group": "x.io", "kind": "Pool", "name": "p"}]}],
                }
            },
            ResourceNetworkingInfo(
                target_refs=(
                    ResourceRef(kind="Service", namespace="n", name="mesh"),
                    ResourceRef(group="x.io", kind="Pool", namespace="n", name="p"),
                )
            ),
            id="route-of-other-kinds",
        ),
        pytest.param(
            POD,
            {"metadata": {"labels": {"a": "b"}, **LINK}},
            ResourceNetworkingInfo(labels={"a": "b"}, external_urls=("https://docs",)),
            id="pod",
        ),
        pytest.param(
            GroupKind("apps", "Deployment"),
            {"metadata": LINK},
            ResourceNetworkingInfo(external_urls=("https://docs",)),
            id="any-kind-has-links",
        ),
    ],
)
def test_networking(kind: GroupKind, parts: dict[str, Any], wanted: ResourceNetworkingInfo) -> None:
    """health-and-resources.md 8.3."""
    assert networking(kind, **parts) == wanted


def test_a_kubernetes_node_has_no_network() -> None:
    assert described(GroupKind("", "Node"), metadata=LINK).networking is None


def test_revision_and_labels() -> None:
    manifest = {
        "metadata": {"labels": {"team": "a"}, "annotations": {"deployment.kubernetes.io/revision": "4"}},
    }
    info = describe(GroupKind("apps", "Deployment"), manifest, ("team", "absent"))
    assert info is not None
    assert [(item.name, item.value) for item in info.items] == [("Revision", "Rev:4"), ("team", "a")]
    assert describe(GroupKind("apps", "Deployment"), {"metadata": {}}) is None
