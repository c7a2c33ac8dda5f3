"""A plain client of the real API server, for differential tests: requests and what they answered."""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
from pathlib import Path
from typing import Any

import urllib3
import yaml

from tiphys.compare.merging import comparable
from tiphys.resources.identity import Manifest, gvk_of

PLURALS = {
    "NetworkPolicy": "networkpolicies",
    "Ingress": "ingresses",
    "ResourceQuota": "resourcequotas",
    "StorageClass": "storageclasses",
    "PriorityClass": "priorityclasses",
}
CLUSTER_SCOPED = {"Namespace", "ClusterRole", "CustomResourceDefinition", "ValidatingWebhookConfiguration"}
APPLY = "application/apply-patch+yaml"


class Refused(Exception):
    """The API server said no."""

    def __init__(self, status: int, message: str):
        super().__init__(f"{status}: {message}")
        self.status = status


class Server:
    def __init__(self, kubeconfig: Path):
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.url = cluster["server"]
        folder = Path(tempfile.mkdtemp(prefix="compare-"))
        context = ssl.create_default_context(cafile=self._file(cluster, "certificate-authority", folder))
        context.load_cert_chain(
            self._file(user, "client-certificate", folder), self._file(user, "client-key", folder)
        )
        self._pool = urllib3.PoolManager(ssl_context=context, maxsize=4)

    @staticmethod
    def _file(section: dict[str, Any], name: str, folder: Path) -> str:
        if name in section:
            return str(section[name])
        path = folder / name
        path.write_bytes(base64.b64decode(section[f"{name}-data"]))
        return str(path)

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> Any:
        answer = self._pool.request(
            method,
            self.url + path,
            body=None if body is None else json.dumps(body),
            headers={"Content-Type": content_type, "Accept": "application/json"},
        )
        if answer.status >= 300:
            try:
                message = json.loads(answer.data).get("message", "")
            except ValueError:  # a kind whose definition is new: "404 page not found", no Status
                message = answer.data.decode(errors="replace").strip()
            raise Refused(answer.status, message)
        return json.loads(answer.data)

    @staticmethod
    def path(manifest: Manifest, *, named: bool = True) -> str:
        gvk = gvk_of(manifest)
        prefix = f"/apis/{gvk.api_version}" if gvk.group else "/api/v1"
        plural = PLURALS.get(gvk.kind, gvk.kind.lower() + "s")
        metadata = manifest["metadata"]
        scope = "" if gvk.kind in CLUSTER_SCOPED else f"/namespaces/{metadata['namespace']}"
        return f"{prefix}{scope}/{plural}" + (f"/{metadata['name']}" if named else "")

    def create(self, manifest: Manifest, manager: str = "argocd-controller") -> Manifest:
        path = f"{self.path(manifest, named=False)}?fieldManager={manager}"
        made: Manifest = self.request("POST", path, manifest)
        return made

    def get(self, manifest: Manifest) -> Manifest:
        found: Manifest = self.request("GET", self.path(manifest))
        return found

    def delete(self, manifest: Manifest) -> None:
        self.request("DELETE", f"{self.path(manifest)}?propagationPolicy=Background&gracePeriodSeconds=0")

    def patch(
        self,
        manifest: Manifest,
        body: Any,
        content_type: str,
        *,
        manager: str,
        dry_run: bool = False,
        force: bool = False,
    ) -> Manifest:
        query = (
            f"?fieldManager={manager}" + ("&dryRun=All" if dry_run else "") + ("&force=true" if force else "")
        )
        patched: Manifest = self.request("PATCH", self.path(manifest) + query, body, content_type)
        return patched

    def apply(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        return self.patch(manifest, manifest, APPLY, manager="argocd-controller", dry_run=dry_run, force=True)


def content(manifest: Manifest) -> Manifest:
    """What must be equal for an apply to have changed nothing."""
    return {key: value for key, value in comparable(manifest).items() if key != "status"}
