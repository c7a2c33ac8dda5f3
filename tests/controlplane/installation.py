"""Tiphys in a cluster as a user has it: our kinds, our manifests, and the rights of its ServiceAccount.

``make run``, the end-to-end tests and the benchmarks use it alike: ``install`` applies a
kustomization, ``Operator.start`` runs ``tiphys run`` as a process here with a token of the
ServiceAccount that the manifests made, so that a missing rule of RBAC shows. The operator finds
helm and kustomize first in its PATH and keeps its caches in a folder of its own.
"""

from __future__ import annotations

import os
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.controlplane.kubectl import Kubectl, KubectlFailed, clean_environment
from tests.controlplane.processes import Program, free_ports

ROOT = Path(__file__).resolve().parents[2]
KINDS = ROOT / "crds"
PLURALS = ("applications", "applicationsets", "appprojects")
# The cluster-wide install without its Pod: the process that stands for it runs here.
INSTALL = ROOT / "demo" / "install"
NAMESPACE = "argocd"
SERVICE_ACCOUNT = "argocd-application-controller"


def install(kubectl: Kubectl, kustomization: Path = INSTALL, *, namespace: str = NAMESPACE) -> None:
    """Apply a kustomization of manifests/ that has our kinds, and wait until they are served."""
    if not kubectl.exists("namespace", namespace):
        kubectl("create", "namespace", namespace)
    kubectl("apply", "--server-side", "--force-conflicts", "-n", namespace, "-k", str(kustomization))
    wait_until_served(kubectl)


def wait_until_served(kubectl: Kubectl, *, seconds: float = 30) -> None:
    """Wait until our kinds are served."""
    # Not `kubectl wait`: it stumbles over a definition so new that it has no conditions yet.
    names = [f"crd/{plural}.argoproj.io" for plural in PLURALS]
    limit = time.monotonic() + seconds
    while True:
        items = kubectl.json("get", *names)["items"]
        conditions = [(item.get("status") or {}).get("conditions") or () for item in items]
        if all(
            any(c["type"] == "Established" and c["status"] == "True" for c in each) for each in conditions
        ):
            return
        if time.monotonic() > limit:
            raise KubectlFailed(("get", *names), f"not established within {seconds:.0f} s: {conditions}")
        time.sleep(0.2)


class Operator:
    """One running ``tiphys run``."""

    def __init__(self, program: Program, metrics_url: str, api_address: str = "") -> None:
        self.program = program
        self.metrics_url = metrics_url
        self.api_address = api_address

    @classmethod
    def start(
        cls,
        kubectl: Kubectl,
        binaries: Path,
        folder: Path,
        *,
        namespace: str = NAMESPACE,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        name: str = "tiphys",
        role: str = "",
        seconds: float = 30,
    ) -> Operator:
        """Start it under its ServiceAccount and return when it says that it is ready.

        ``folder`` gets its kubeconfig, log, pid file and caches. ``role`` is the only one that runs;
        without it all do.

        Raises:
            ProgramFailed: it ended or was not ready; with the end of its log.
        """
        folder = folder.resolve()
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        kubeconfig = folder / f"{name}.kubeconfig"
        token = kubectl.service_account_token(namespace, SERVICE_ACCOUNT)
        kubectl.kubeconfig_with_token(kubeconfig, token, namespace=namespace)
        port, api_port = free_ports(2)
        clean = clean_environment(folder)
        clean |= {
            "PATH": f"{binaries}{os.pathsep}{clean['PATH']}",
            "TMPDIR": str(folder / "tmp"),
            "PYTHONUNBUFFERED": "1",
        }
        command = [
            str(Path(sys.executable).with_name("tiphys")),
            "run",
            f"--kubeconfig={kubeconfig}",
            f"--namespace={namespace}",
            *_ports(role, port, api_port),
            *arguments,
        ]
        program = Program.start(name, command, folder=folder, env=clean | dict(environment or {}))
        operator = cls(program, f"http://127.0.0.1:{port}", f"127.0.0.1:{api_port}")
        try:
            program.wait_until(operator.is_ready, seconds=seconds)
        except BaseException:
            program.kill()
            raise
        return operator

    def is_ready(self) -> bool:
        """Whether its /readyz says so."""
        try:
            with urllib.request.urlopen(f"{self.metrics_url}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def metrics(self) -> str:
        """The text of its metrics endpoint."""
        with urllib.request.urlopen(f"{self.metrics_url}/metrics", timeout=10) as answer:
            body: bytes = answer.read()
        return body.decode()

    def stop(self, *, seconds: float = 10) -> int:
        """SIGTERM; the exit code."""
        return self.program.stop(seconds=seconds)

    def kill(self) -> None:
        """SIGKILL to it and its children."""
        self.program.kill()


def _ports(role: str, metrics: int, api: int) -> list[str]:
    """Flags for the listeners of a role; ``metrics`` is where ``/readyz`` is, too."""
    controller = [f"--controller-metrics-port={metrics}"]
    if role == "controller":
        return [f"--role={role}", *controller]
    if role == "server":
        return [f"--role={role}", f"--server-metrics-port={metrics}", f"--port={api}"]
    return [*controller, "--server-metrics-port=0", f"--port={api}"]
