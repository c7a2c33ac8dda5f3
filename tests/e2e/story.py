"""A user's story: a Git repository, an Application, and what kubectl shows of them."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.controlplane.kubectl import Kubectl

CONTROL_NAMESPACE = "argocd"
IN_CLUSTER = "https://kubernetes.default.svc"
APPLICATIONS = "applications.argoproj.io"
PATIENCE = 30.0


def config_map(name: str, data: Mapping[str, str] | None = None, **metadata: Any) -> str:
    """The YAML of a ConfigMap."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, **metadata},
            "data": dict(data or {"key": "value"}),
        }
    )


class Story:
    """See the module. ``name`` is also the destination namespace and the Application's name;
    ``control`` the namespace of the operator that looks after it."""

    def __init__(self, kubectl: Kubectl, repository: Path, name: str, control: str = CONTROL_NAMESPACE):
        self.kubectl = kubectl
        self.repository = repository
        self.name = name
        self.namespace = name
        self.control = control
        self._apps: list[tuple[str, str]] = []
        repository.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "Ada")
        self.git("config", "user.email", "ada@example.org")
        kubectl("create", "namespace", name)

    # The repository

    def git(self, *arguments: str) -> str:
        """Run git in the repository."""
        return subprocess.run(
            ["git", *arguments], cwd=self.repository, check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit(self, files: Mapping[str, str | None], message: str = "change") -> str:
        """Write (or with None remove) files, commit, and answer the commit."""
        for name, content in files.items():
            path = self.repository / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    # The Application

    def application(self, name: str = "", *, namespace: str = "", **spec: Any) -> dict[str, Any]:
        """The manifest of an Application of this repository; keyword arguments replace spec fields.

        ``metadata`` and ``operation`` among them go where they belong.
        """
        metadata = {
            "name": name or self.name,
            "namespace": namespace or self.control,
            **spec.pop("metadata", {}),
        }
        operation = spec.pop("operation", None)
        source = {"repoURL": f"file://{self.repository}", "targetRevision": "main", "path": "app"}
        manifest = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": metadata,
            "spec": {
                "project": "default",
                "source": {**source, **spec.pop("source", {})},
                "destination": {"server": IN_CLUSTER, "namespace": self.namespace},
                **spec,
            },
        }
        if operation is not None:
            manifest["operation"] = operation
        return manifest

    def apply(self, manifest: Mapping[str, Any]) -> None:
        """kubectl apply (server-side, so that the status stays alone)."""
        metadata = manifest["metadata"]
        if manifest["kind"] == "Application":
            self._apps.append((metadata["namespace"], metadata["name"]))
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(manifest))

    def create_application(self, name: str = "", **spec: Any) -> None:
        """Apply an Application of this repository."""
        self.apply(self.application(name, **spec))

    def automated(self, **flags: Any) -> dict[str, Any]:
        """A syncPolicy that syncs by itself."""
        return {"automated": flags}

    def get(self, name: str = "", namespace: str = "") -> dict[str, Any]:
        """The Application as it is now."""
        return dict(
            self.kubectl.json("get", APPLICATIONS, name or self.name, "-n", namespace or self.control)
        )

    def annotate(self, **annotations: str) -> None:
        """Annotate the Application; ``refresh="hard"`` and the like."""
        pairs = [f"argocd.argoproj.io/{key}={value}" for key, value in annotations.items()]
        self.kubectl("annotate", APPLICATIONS, self.name, "-n", self.control, "--overwrite", *pairs)

    def refresh(self, kind: str = "normal") -> None:
        """Ask for a refresh and wait until it was made."""
        self.annotate(refresh=kind)
        self.wait("refreshed", lambda app: not _annotations(app).get("argocd.argoproj.io/refresh"))

    def sync(self, **sync: Any) -> None:
        """Start a sync operation as ``kubectl patch`` users do."""
        operation = {
            "operation": {"initiatedBy": {"username": "ada"}, "sync": {"syncStrategy": {"hook": {}}, **sync}}
        }
        self.kubectl(
            "patch",
            APPLICATIONS,
            self.name,
            "-n",
            self.control,
            "--type=merge",
            "-p",
            json.dumps(operation),
        )

    def wait(
        self,
        what: str,
        condition: Callable[[dict[str, Any]], Any],
        *,
        name: str = "",
        namespace: str = "",
        seconds: float = PATIENCE,
    ) -> dict[str, Any]:
        """The Application as soon as ``condition`` holds for it."""
        deadline = time.monotonic() + seconds
        app: dict[str, Any] = {}
        while time.monotonic() < deadline:
            app = self.get(name, namespace)
            if condition(app):
                return app
            time.sleep(0.1)  # kubectl get until it is so: what a user's script does, too
        raise AssertionError(f"not {what} within {seconds:.0f} s: {json.dumps(app.get('status'), indent=1)}")

    def wait_synced(self, revision: str = "", *, name: str = "", health: str = "Healthy") -> dict[str, Any]:
        """Wait for Synced (at ``revision``) and the health."""
        return self.wait(
            f"Synced and {health} at {revision or 'any revision'}",
            lambda app: (
                sync_status(app) == "Synced"
                and health_status(app) == health
                and revision in ("", app["status"]["sync"].get("revision"))
                and "operation" not in app
            ),
            name=name,
        )

    def wait_operation(self, phase: str, *, seconds: float = PATIENCE) -> dict[str, Any]:
        """Wait until the last operation ended in ``phase``; its operationState."""
        app = self.wait(
            f"operation {phase}",
            lambda app: (
                "operation" not in app
                and operation_state(app).get("phase") in ("Succeeded", "Failed", "Error")
            ),
            seconds=seconds,
        )
        state = operation_state(app)
        assert state["phase"] == phase, json.dumps(state, indent=1)
        return state

    def wait_condition(
        self, kind: str, text: str, *, name: str = "", seconds: float = PATIENCE
    ) -> dict[str, Any]:
        """Wait for a condition of a type whose message contains ``text``."""
        return self.wait(
            f"condition {kind} with {text!r}",
            lambda app: any(c["type"] == kind and text in c["message"] for c in conditions(app)),
            name=name,
            seconds=seconds,
        )

    # The destination

    def object(self, kind: str, name: str) -> dict[str, Any] | None:
        """An object of the destination namespace, or None."""
        text = self.kubectl("get", kind, name, "-n", self.namespace, "--ignore-not-found", "-o", "json")
        return json.loads(text) if text.strip() else None

    def wait_object(
        self,
        kind: str,
        name: str,
        condition: Callable[[dict[str, Any] | None], Any],
        seconds: float = PATIENCE,
    ) -> dict[str, Any] | None:
        """An object of the destination namespace as soon as ``condition`` holds for it."""
        deadline = time.monotonic() + seconds
        found: dict[str, Any] | None = None
        while time.monotonic() < deadline:
            found = self.object(kind, name)
            if condition(found):
                return found
            time.sleep(0.1)
        raise AssertionError(f"{kind}/{name} is {json.dumps(found, indent=1)}")

    def clean_up(self) -> None:
        """Remove what the story made, without waiting for cascades."""
        for namespace, name in self._apps:
            text = self.kubectl(
                "get", APPLICATIONS, name, "-n", namespace, "--ignore-not-found", "-o", "name"
            )
            if text.strip():
                patch = '{"metadata":{"finalizers":null},"operation":null}'
                self.kubectl(
                    "patch", APPLICATIONS, name, "-n", namespace, "--type=merge", "-p", patch, check=False
                )
                self.kubectl("delete", APPLICATIONS, name, "-n", namespace, "--wait=false", check=False)
        self.kubectl("delete", "namespace", self.namespace, "--wait=false", check=False)


def _annotations(app: dict[str, Any]) -> dict[str, str]:
    return dict(app["metadata"].get("annotations") or {})


def sync_status(app: dict[str, Any]) -> str:
    """``status.sync.status`` or ``""``."""
    return str(app.get("status", {}).get("sync", {}).get("status", ""))


def health_status(app: dict[str, Any]) -> str:
    """``status.health.status`` or ``""``."""
    return str(app.get("status", {}).get("health", {}).get("status", ""))


def operation_state(app: dict[str, Any]) -> dict[str, Any]:
    """``status.operationState`` or an empty one."""
    return dict(app.get("status", {}).get("operationState") or {})


def conditions(app: dict[str, Any]) -> list[dict[str, str]]:
    """``status.conditions``."""
    return list(app.get("status", {}).get("conditions") or [])


def results(state: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Results of an operation by ``Kind/name``."""
    return {f"{r['kind']}/{r['name']}": r for r in (state.get("syncResult") or {}).get("resources") or ()}
