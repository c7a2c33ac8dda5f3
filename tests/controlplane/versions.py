"""Which programs make up the control plane, in which versions, and where each can come from.

One table: ``building`` interprets it, the cache folder is keyed by it, and the Dockerfile's
arguments are compared with it by a test. Go module versions of the Kubernetes programs stand in
``modules/kubernetes/go.mod`` and must agree with the versions here.
"""

from __future__ import annotations

from dataclasses import dataclass

KUBERNETES = "1.36.3"
ETCD = "3.6.8"
KWOK = "0.8.0"
HELM = "4.2.4"
KUSTOMIZE = "5.8.1"


@dataclass(frozen=True)
class Program:
    """One executable.

    ``package`` is the Go package whose build gives it; ``module_folder`` names the folder under
    ``modules/`` whose ``go.mod`` pins it (empty: ``go install package@version``). ``download`` is
    the published address with ``{os}`` and ``{arch}``; ``member`` is the file's place in the
    archive (empty: the address is the program itself). ``stamps`` are linker variables that make
    the program name its version, which others read.
    """

    name: str
    version: str
    package: str
    download: str
    member: str = ""
    module_folder: str = ""
    built_as: str = ""
    stamps: tuple[str, ...] = ()
    version_args: tuple[str, ...] = ("--version",)


def _kubernetes_stamps() -> tuple[str, ...]:
    major, minor, _ = KUBERNETES.split(".")
    return tuple(
        f"{package}.{name}={value}"
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        for name, value in (("gitVersion", "v" + KUBERNETES), ("gitMajor", major), ("gitMinor", minor))
    )


def _kubernetes(name: str) -> Program:
    return Program(
        name=name,
        version=KUBERNETES,
        package=f"k8s.io/kubernetes/cmd/{name}",
        download=f"https://dl.k8s.io/release/v{KUBERNETES}/bin/{{os}}/{{arch}}/{name}",
        module_folder="kubernetes",
        stamps=_kubernetes_stamps(),
        version_args=("version", "--client") if name == "kubectl" else ("--version",),
    )


PROGRAMS: tuple[Program, ...] = (
    Program(
        name="etcd",
        version=ETCD,
        package="go.etcd.io/etcd/server/v3",
        download=(
            f"https://github.com/etcd-io/etcd/releases/download/v{ETCD}/etcd-v{ETCD}-{{os}}-{{arch}}.tar.gz"
        ),
        member=f"etcd-v{ETCD}-{{os}}-{{arch}}/etcd",
        module_folder="kubernetes",
        built_as="server",
    ),
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    _kubernetes("kubectl"),
    Program(
        name="kwok",
        version=KWOK,
        package="sigs.k8s.io/kwok/cmd/kwok",
        download=f"https://github.com/kubernetes-sigs/kwok/releases/download/v{KWOK}/kwok-{{os}}-{{arch}}",
        stamps=(f"sigs.k8s.io/kwok/pkg/consts.Version=v{KWOK}",),
    ),
    Program(
        name="helm",
        version=HELM,
        package="helm.sh/helm/v4/cmd/helm",
        download=f"https://get.helm.sh/helm-v{HELM}-{{os}}-{{arch}}.tar.gz",
        member="{os}-{arch}/helm",
        stamps=(
            f"helm.sh/helm/v4/internal/version.version=v{HELM}",
            "helm.sh/helm/v4/pkg/chart/common.k8sVersionMajor=1",
            "helm.sh/helm/v4/pkg/chart/common.k8sVersionMinor=36",
        ),
        version_args=("version", "--short"),
    ),
    Program(
        name="kustomize",
        version=KUSTOMIZE,
        package="sigs.k8s.io/kustomize/kustomize/v5",
        download=(
            "https://github.com/kubernetes-sigs/kustomize/releases/download/kustomize%2Fv"
            f"{KUSTOMIZE}/kustomize_v{KUSTOMIZE}_{{os}}_{{arch}}.tar.gz"
        ),
        member="kustomize",
        stamps=(f"sigs.k8s.io/kustomize/api/provenance.version=v{KUSTOMIZE}",),
        version_args=("version",),
    ),
)
