"""The cluster of the demo: a local control plane, or one that a person names and agrees to.

A given cluster must not have our kinds or namespaces yet, since the end of the demo removes what its
beginning made, and an Argo CD that works there would fight with it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.repository import destinations
from tests.controlplane import ControlPlane
from tests.controlplane.installation import INSTALL, KINDS, NAMESPACE, install
from tests.controlplane.kubectl import Kubectl, KubectlFailed
from tests.controlplane.reporting import Reporter


class Refused(Exception):
    """The demo does not start; the text says why and what to do."""


@contextmanager
def local_cluster(folder: Path, binaries: Path, reporter: Reporter) -> Iterator[Kubectl]:
    """A control plane that lives as long as the block, with Tiphys' manifests applied."""
    with reporter.step("starting etcd, kube-apiserver, controllers, a fake node", "about 5 s") as step:
        plane = ControlPlane.start(folder, binaries, progress=step.update)
    with plane:
        with reporter.step("applying crds/ and manifests/"):
            install(plane.kubectl)
        yield plane.kubectl


@contextmanager
def given_cluster(
    kubeconfig: Path, folder: Path, binaries: Path, reporter: Reporter, *, agreed: bool
) -> Iterator[Kubectl]:
    """Somebody's cluster; all that the block makes there goes at its end.

    Raises:
        Refused: not agreed to, not reachable, or Tiphys' names are taken there.
    """
    if not kubeconfig.is_file():
        raise Refused(f"there is no kubeconfig {kubeconfig}")
    kubectl = Kubectl(binaries / "kubectl", kubeconfig.resolve(), folder)
    try:
        server = kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")
        taken = _taken(kubectl)
    except KubectlFailed as failure:
        raise Refused(f"the cluster of {kubeconfig} does not answer: {failure.message}") from failure
    if taken:
        raise Refused(
            f"{server} has {', '.join(taken)} already, and the demo would remove it at its end. "
            "Choose another cluster, or install Tiphys there as the README says."
        )
    if not agreed:
        ask(f"Install Tiphys and the demo applications on {server} (removed again at the end)?")
    try:
        with reporter.step(f"applying crds/ and manifests/ to {server}"):
            install(kubectl)
        yield kubectl
    finally:
        with reporter.step(f"removing the installation from {server}"):
            left = _delete(kubectl, "-n", NAMESPACE, "-k", str(INSTALL))
            left += _delete(kubectl, "namespace", *_namespaces())
        for why in left:
            reporter.say(f"left on {server}: {why}")


def remove_applications(kubectl: Kubectl, root: str, reporter: Reporter) -> None:
    """Delete the root application and wait until Tiphys took down all that it deployed."""
    with reporter.step("deleting the demo applications with all they deployed"):
        kubectl("delete", "application", root, "-n", NAMESPACE, "--timeout=90s", check=False)
        kubectl("delete", "applications", "--all", "-n", NAMESPACE, "--timeout=90s", check=False)


def _delete(kubectl: Kubectl, *what: str) -> list[str]:
    """Delete and wait a minute; what is still there then, as kubectl says it."""
    try:
        kubectl("delete", "--ignore-not-found", "--timeout=60s", *what)
    except KubectlFailed as failure:
        return [failure.message]
    return []


def _namespaces() -> list[str]:
    return [NAMESPACE, *destinations()]


def _taken(kubectl: Kubectl) -> list[str]:
    taken = [f"namespace {name}" for name in _namespaces() if kubectl.exists("namespace", name)]
    kinds = kubectl("get", "-k", str(KINDS), "--ignore-not-found", "-o", "name").split()
    return taken + kinds


def ask(question: str) -> None:
    """Go on only with a yes from a person at the terminal.

    Raises:
        Refused: anything else, or nobody is there.
    """
    if not sys.stdin.isatty():
        raise Refused(f"{question} Nobody is here to answer: say YES=1 on the make line.")
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise Refused("not agreed")
