"""What syncing needs of a cluster: a narrow protocol that ``kube.ClusterClient`` fulfils.

Kept apart so that tests can wrap a client (to count requests, or to die after the nth) and so that
the engine's reach is visible in one screen.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from tiphys.kube.errors import ApiError, ClusterUnreachable
from tiphys.resources.identity import GVK, Manifest

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"

FIELD_MANAGER = "argocd-controller"
"""Field manager of every apply, client-side and server-side (sync.md 1.1)."""

CLUSTER_ERRORS = (ApiError, ClusterUnreachable)
"""What a request may raise: becomes the result of the object, never ends the step."""


class ApiResourceLike(Protocol):
    """The part of ``kube.discovery.ApiResource`` that is used here."""

    @property
    def group(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def plural(self) -> str: ...
    @property
    def namespaced(self) -> bool: ...


class DiscoveryLike(Protocol):
    """The part of ``kube.discovery.Discovery`` that is used here."""

    """Kinds of the cluster, as one snapshot."""

    @property
    def api_versions(self) -> tuple[str, ...]: ...
    @property
    def failed_groups(self) -> Mapping[str, str]: ...

    def resource(self, gvk: GVK) -> ApiResourceLike | None: ...
    def preferred(self, group: str, kind: str) -> ApiResourceLike | None: ...


class SyncCluster(Protocol):
    """Requests of the engine. All raise the errors of ``kube.errors``."""

    async def discovery(self) -> DiscoveryLike: ...
    async def refresh_discovery(self) -> DiscoveryLike: ...
    async def get(self, gvk: GVK, namespace: str, name: str) -> Manifest: ...
    async def create(
        self,
        manifest: Manifest,
        *,
        dry_run: bool = False,
        field_manager: str = "",
        warnings: list[str] | None = None,
    ) -> Manifest: ...
    async def replace(
        self,
        manifest: Manifest,
        *,
        dry_run: bool = False,
        field_manager: str = "",
        warnings: list[str] | None = None,
    ) -> Manifest: ...
    async def patch(
        self,
        gvk: GVK,
        namespace: str,
        name: str,
        body: Any,
        content_type: str,
        *,
        dry_run: bool = False,
        field_manager: str = "",
        warnings: list[str] | None = None,
    ) -> Manifest: ...
    async def apply(
        self,
        manifest: Manifest,
        *,
        field_manager: str,
        force: bool = True,
        dry_run: bool = False,
        warnings: list[str] | None = None,
    ) -> Manifest: ...
    async def delete(
        self,
        gvk: GVK,
        namespace: str,
        name: str,
        *,
        propagation_policy: str = "Foreground",
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> Manifest: ...


def describe(error: Exception) -> str:
    """The text of a failed request as results show it: the server's own message."""
    message = getattr(error, "message", "")
    return str(message) if message else str(error)
