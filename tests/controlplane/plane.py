"""One control plane: its folder, its programs, its administrator's kubeconfig.

A plane lives in one folder (``pki/``, ``etcd/``, ``logs/``, ``pids/``, ``kubeconfig``,
``plane.json``) and listens on loopback ports that were free at its start. Two ways to hold one:

* ``with ControlPlane.start(folder, binaries) as plane``: owned; it ends with its owner.
* ``ControlPlane.attach(folder)``: somebody else (``python -m tests.controlplane up``) keeps it.

``plane.json`` keeps each program's command, so that tests can stop one program, look at what the
operator does then, and start it again on the same port (``stop_program``, ``start_program``).
etcd does not sync to disk and there is no kubelet: kwok plays one node (see ``stages.yaml``).
"""

from __future__ import annotations

import datetime
import json
import ssl
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.controlplane.certificates import Authority, KeyPair, new_key, private_key_pem, public_key_pem
from tests.controlplane.kubectl import Kubectl, base64_text, clean_environment, write_kubeconfig
from tests.controlplane.processes import Program, free_ports, is_running, stop_by_pid_file

NODE = "fake"
CLUSTER_IPS = "10.96.0.0/16"
FIRST_CLUSTER_IP = "10.96.0.1"
STAGES = Path(__file__).with_name("stages.yaml")

# In the order of their start; stopped the other way round.
ORDER = ("etcd", "apiserver", "kcm", "sched", "kwok")
_NOT_NEEDED = (
    "node-lifecycle-controller",
    "node-ipam-controller",
    "cloud-node-lifecycle-controller",
    "node-route-controller",
    "service-lb-controller",
    "bootstrap-signer-controller",
    "token-cleaner-controller",
    "ttl-controller",
    "persistentvolume-attach-detach-controller",
    "horizontal-pod-autoscaler-controller",
)


def _nothing(_: str) -> None:
    """The default of ``progress``: say nothing."""


class ControlPlane:
    """A running control plane; ``kubeconfig`` is its administrator's."""

    def __init__(self, folder: Path, description: dict[str, Any]) -> None:
        self.folder = folder
        self.kubeconfig = folder / "kubeconfig"
        self.ca_file = folder / "pki" / "ca.crt"
        self.bin = Path(description["bin"])
        self.server: str = description["server"]
        self.kubectl = Kubectl(self.bin / "kubectl", self.kubeconfig, folder)
        self._commands: dict[str, list[str]] = description["commands"]
        self._programs: dict[str, Program] = {}
        self._owned = False

    @classmethod
    def attach(cls, folder: Path) -> ControlPlane:
        """The plane that another process keeps in ``folder``."""
        return cls(folder, json.loads((folder / "plane.json").read_text()))

    @classmethod
    def start(
        cls,
        folder: Path,
        binaries: Path,
        *,
        owned: bool = True,
        progress: Callable[[str], None] = _nothing,
    ) -> ControlPlane:
        """Make keys in ``folder``, start everything and return when Pods can run.

        ``owned`` planes die with this process; others outlive it until ``down``.

        Raises:
            ProgramFailed: names the program and the end of its log.
        """
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        description = _prepare(folder, binaries.resolve())
        plane = cls(folder, description)
        plane._owned = owned
        try:
            progress("etcd and kube-apiserver")
            plane.start_program("etcd")
            plane.start_program("apiserver")
            plane._programs["apiserver"].wait_until(plane.is_ready, seconds=120)
            progress("controllers, scheduler and a node that plays Pods")
            for name in ("kcm", "sched", "kwok"):
                plane.start_program(name)
            plane._add_node()
        except BaseException:
            plane.stop()
            raise
        return plane

    def __enter__(self) -> ControlPlane:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- programs -------------------------------------------------------------------------

    def start_program(self, name: str) -> None:
        """Start one of ``ORDER`` with its command of ``plane.json``; does not wait for it."""
        self._programs[name] = Program.start(
            name,
            self._commands[name],
            folder=self.folder,
            env=clean_environment(self.folder),
            owned=self._owned,
        )

    def stop_program(self, name: str, *, kill: bool = False) -> None:
        program = self._programs.pop(name, None)
        if program is None:
            stop_by_pid_file(self.folder / "pids" / f"{name}.pid")
        elif kill:
            program.kill()
        else:
            program.stop()

    def wait_ready(self, *, seconds: float = 60) -> None:
        """Wait until a started API server says that it is ready."""
        self._programs["apiserver"].wait_until(self.is_ready, seconds=seconds)

    def stop(self) -> None:
        """End everything; the folder stays."""
        for name in reversed(ORDER):
            # Nothing is worth waiting for: the data is thrown away with the folder.
            self.stop_program(name, kill=name in self._programs)

    def pid(self, name: str) -> int:
        return int((self.folder / "pids" / f"{name}.pid").read_text())

    def is_alive(self) -> bool:
        """Whether all programs run and the API server says it is ready."""
        try:
            return all(is_running(self.pid(name)) for name in ORDER) and self.is_ready()
        except (OSError, ValueError):
            return False

    def is_ready(self) -> bool:
        try:
            return self.get("/readyz", seconds=2) == b"ok"
        except OSError:
            return False

    # -- access -----------------------------------------------------------------------------

    def get(self, path: str, *, seconds: float = 30) -> bytes:
        """GET a path of the API server as administrator; OSError for every failure."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        context.load_cert_chain(self.folder / "pki" / "admin.crt", self.folder / "pki" / "admin.key")
        with urllib.request.urlopen(self.server + path, timeout=seconds, context=context) as answer:
            body: bytes = answer.read()
        return body

    def _add_node(self) -> None:
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": NODE,
                "labels": {"kubernetes.io/os": "linux", "kubernetes.io/hostname": NODE, "type": "kwok"},
            },
        }
        self.kubectl("apply", "-f", "-", stdin=json.dumps(node))
        # Admission marks every new node; the controller that would lift the mark is left out.
        self.kubectl("taint", "node", NODE, "node.kubernetes.io/not-ready-", check=False)
        self.kubectl("wait", "node", NODE, "--for=condition=Ready", "--timeout=60s")
        self.kubectl("wait", "serviceaccount/default", "-n", "default", "--for=create", "--timeout=60s")


def _prepare(folder: Path, binaries: Path) -> dict[str, Any]:
    """Keys, kubeconfig and ``plane.json``; nothing runs yet."""
    pki = folder / "pki"
    pki.mkdir(exist_ok=True, mode=0o700)
    authority = Authority("tiphys-control-plane", datetime.datetime.now(datetime.UTC))
    account_key = new_key()
    (pki / "ca.crt").write_bytes(authority.certificate)
    (pki / "service-account.key").write_bytes(private_key_pem(account_key))
    (pki / "service-account.pub").write_bytes(public_key_pem(account_key))
    hosts = ["localhost", "127.0.0.1", FIRST_CLUSTER_IP, "kubernetes", "kubernetes.default.svc"]
    _write_pair(pki, "apiserver", authority.server("kube-apiserver", hosts))
    admin = authority.client("administrator", ("system:masters",))
    _write_pair(pki, "admin", admin)

    etcd_port, peer_port, port, kwok_port = free_ports(4)
    server = f"https://127.0.0.1:{port}"
    kubeconfig = write_kubeconfig(
        folder / "kubeconfig",
        {"server": server, "certificate-authority-data": base64_text(authority.certificate)},
        {
            "client-certificate-data": base64_text(admin.certificate),
            "client-key-data": base64_text(admin.key),
        },
    )
    etcd = binaries / "etcd"
    if not etcd.exists():
        etcd = binaries / "server"  # as the Go client names it after its package
    commands = {
        "etcd": [
            str(etcd),
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{etcd_port}",
            f"--advertise-client-urls=http://127.0.0.1:{etcd_port}",
            f"--listen-peer-urls=http://127.0.0.1:{peer_port}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer_port}",
            f"--initial-cluster=default=http://127.0.0.1:{peer_port}",
            "--unsafe-no-fsync",
            "--quota-backend-bytes=8589934592",
            "--log-level=warn",
        ],
        "apiserver": [
            str(binaries / "kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{etcd_port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={port}",
            f"--tls-cert-file={pki / 'apiserver.crt'}",
            f"--tls-private-key-file={pki / 'apiserver.key'}",
            f"--client-ca-file={pki / 'ca.crt'}",
            f"--service-account-key-file={pki / 'service-account.pub'}",
            f"--service-account-signing-key-file={pki / 'service-account.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-cluster-ip-range={CLUSTER_IPS}",
            "--authorization-mode=Node,RBAC",
            "--endpoint-reconciler-type=none",
            "--allow-privileged=true",
            "--v=1",
        ],
        "kcm": [
            str(binaries / "kube-controller-manager"),
            f"--kubeconfig={kubeconfig}",
            "--bind-address=127.0.0.1",
            "--secure-port=0",
            "--leader-elect=false",
            f"--service-account-private-key-file={pki / 'service-account.key'}",
            f"--root-ca-file={pki / 'ca.crt'}",
            "--controllers=*," + ",".join("-" + name for name in _NOT_NEEDED),
            "--v=1",
        ],
        "sched": [
            str(binaries / "kube-scheduler"),
            f"--kubeconfig={kubeconfig}",
            "--bind-address=127.0.0.1",
            "--secure-port=0",
            "--leader-elect=false",
            "--v=1",
        ],
        "kwok": [
            str(binaries / "kwok"),
            f"--kubeconfig={kubeconfig}",
            "--manage-all-nodes=true",
            f"--config={STAGES}",
            "--node-ip=127.0.0.1",
            "--cidr=10.244.0.1/16",
            "--node-lease-duration-seconds=0",
            f"--server-address=127.0.0.1:{kwok_port}",
        ],
    }
    description = {"bin": str(binaries), "server": server, "commands": commands}
    (folder / "plane.json").write_text(json.dumps(description, indent=1))
    return description


def _write_pair(folder: Path, name: str, pair: KeyPair) -> None:
    (folder / f"{name}.crt").write_bytes(pair.certificate)
    (folder / f"{name}.key").write_bytes(pair.key)
