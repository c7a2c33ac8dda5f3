"""A real Kubernetes control plane on loopback ports, for tests, benchmarks and ``make run``.

``versions`` says which programs and which versions; ``building`` gets them into the user's
cache folder; ``certificates`` makes the keys; ``processes`` starts, watches and stops programs;
``plane`` puts it together: etcd, kube-apiserver, kube-controller-manager, kube-scheduler and
kwok, which plays the kubelet of one fake node, so that Pods run and Jobs finish (``stages.yaml``).

Nothing in here knows Tiphys; the operator is just another client of the API server.
"""

from tests.controlplane.plane import ControlPlane

__all__ = ["ControlPlane"]
