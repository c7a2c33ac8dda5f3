"""kubectl with one kubeconfig and a clean environment, and kubeconfigs for other users."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any


class KubectlFailed(Exception):
    """kubectl's own words about what it could not do."""

    def __init__(self, arguments: tuple[str, ...], message: str) -> None:
        self.arguments = arguments
        self.message = message
        super().__init__(f"kubectl {' '.join(arguments)}: {message}")


class Kubectl:
    """Call it with kubectl's arguments; it answers what kubectl printed."""

    def __init__(self, program: Path, kubeconfig: Path, home: Path) -> None:
        self.kubeconfig = kubeconfig
        self.program = program
        self._environment = clean_environment(home)

    def __call__(self, *args: str, stdin: str | bytes | None = None, check: bool = True) -> str:
        """Run kubectl.

        Raises:
            KubectlFailed: it ended with an error (only if ``check``).
        """
        done = subprocess.run(
            [self.program, "--kubeconfig", self.kubeconfig, *args],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            env=self._environment,
            check=False,
        )
        if check and done.returncode != 0:
            raise KubectlFailed(args, done.stderr.decode(errors="replace").strip())
        return done.stdout.decode(errors="replace")

    def json(self, *args: str) -> Any:
        """The decoded answer of ``kubectl … -o json``."""
        return json.loads(self(*args, "-o", "json"))

    def exists(self, *args: str) -> bool:
        """Whether ``kubectl get`` finds the object."""
        return bool(self("get", *args, "--ignore-not-found", "-o", "name").strip())

    def service_account_token(self, namespace: str, name: str, *, hours: int = 24) -> str:
        """A token of a ServiceAccount, as its Pods would get it."""
        return self("create", "token", name, "-n", namespace, f"--duration={hours}h").strip()

    def kubeconfig_with_token(self, path: Path, token: str, *, namespace: str = "default") -> Path:
        """Write a kubeconfig of the same cluster that uses a bearer token, and return its path."""
        config = json.loads(self("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
        return write_kubeconfig(path, config["clusters"][0]["cluster"], {"token": token}, namespace=namespace)


def write_kubeconfig(
    path: Path, cluster: dict[str, Any], user: dict[str, str], *, namespace: str = "default"
) -> Path:
    """A kubeconfig of one context, readable by the owner only (JSON is YAML)."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": [{"name": "user", "user": user}],
        "contexts": [
            {"name": "local", "context": {"cluster": "local", "user": "user", "namespace": namespace}}
        ],
        "current-context": "local",
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(config, file, indent=1)
    return path


def base64_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def clean_environment(home: Path) -> dict[str, str]:
    """What started programs see: no proxy, no kubeconfig and no settings of the person's own."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
        "LANG": "C.UTF-8",
    }
