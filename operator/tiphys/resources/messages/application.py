"""Messages of the API package ``application``.

This module holds those about applications and their operations, and gathers the others.
"""

from tiphys.resources.application import Application
from tiphys.resources.messages.application_rendering import (
    ApplicationManifestQuery,
    ApplicationManifestQueryWithFiles,
    ApplicationManifestQueryWithFilesWrapper,
    ApplicationServerSideDiffQuery,
    ApplicationServerSideDiffResponse,
    FileChunk,
    RevisionMetadataQuery,
)
from tiphys.resources.messages.application_resources import (
    ApplicationPodLogsQuery,
    ApplicationResourceDeleteRequest,
    ApplicationResourceEventsQuery,
    ApplicationResourcePatchRequest,
    ApplicationResourceRequest,
    ApplicationResourceResponse,
    LogEntry,
    ManagedResourcesResponse,
    ResourceActionParameters,
    ResourceActionRunRequest,
    ResourceActionRunRequestV2,
    ResourceActionsListResponse,
    ResourcesQuery,
)
from tiphys.resources.operation import Info, RetryStrategy, SyncOperationResource, SyncStrategy
from tiphys.resources.shape import ApiObject
from tiphys.resources.spec import ApplicationSpec

__all__ = [
    "ApplicationCreateRequest",
    "ApplicationDeleteRequest",
    "ApplicationManifestQuery",
    "ApplicationManifestQueryWithFiles",
    "ApplicationManifestQueryWithFilesWrapper",
    "ApplicationPatchRequest",
    "ApplicationPodLogsQuery",
    "ApplicationQuery",
    "ApplicationResourceDeleteRequest",
    "ApplicationResourceEventsQuery",
    "ApplicationResourcePatchRequest",
    "ApplicationResourceRequest",
    "ApplicationResourceResponse",
    "ApplicationResponse",
    "ApplicationRollbackRequest",
    "ApplicationServerSideDiffQuery",
    "ApplicationServerSideDiffResponse",
    "ApplicationSyncRequest",
    "ApplicationSyncWindow",
    "ApplicationSyncWindowsQuery",
    "ApplicationSyncWindowsResponse",
    "ApplicationUpdateRequest",
    "ApplicationUpdateSpecRequest",
    "FileChunk",
    "LinkInfo",
    "LinksResponse",
    "ListAppLinksRequest",
    "LogEntry",
    "ManagedResourcesResponse",
    "NodeQuery",
    "OperationTerminateRequest",
    "OperationTerminateResponse",
    "ResourceActionParameters",
    "ResourceActionRunRequest",
    "ResourceActionRunRequestV2",
    "ResourceActionsListResponse",
    "ResourcesQuery",
    "RevisionMetadataQuery",
    "SyncOptions",
]


class ApplicationCreateRequest(ApiObject, frozen=True):
    """An application to create."""

    application: Application | None = None
    upsert: bool | None = None
    """Take the spec over if the application exists already."""
    validate: bool | None = None
    """Check repository, path and destination first; true when absent."""


class ApplicationDeleteRequest(ApiObject, frozen=True):
    """Names an application to delete."""

    name: str | None = None
    cascade: bool | None = None
    """Delete what it deployed, too; true when absent."""
    propagation_policy: str | None = None
    """``foreground`` (when empty) or ``background``."""
    app_namespace: str | None = None
    """Namespace of the application; the control plane's when empty."""
    project: str | None = None
    """Refuse (as not found) if the application is of another project."""


class ApplicationPatchRequest(ApiObject, frozen=True):
    """A patch of an application."""

    name: str | None = None
    patch: str | None = None
    """The patch as JSON text."""
    patch_type: str | None = None
    """``json`` (RFC 6902, when empty) or ``merge``."""
    app_namespace: str | None = None
    """Namespace of the application; the control plane's when empty."""
    project: str | None = None
    """Refuse (as not found) if the application is of another project."""


class ApplicationQuery(ApiObject, frozen=True):
    """Selects applications, or names one."""

    name: str | None = None
    refresh: str | None = None
    """``normal`` or ``hard`` (anew from the repository): answer after a fresh look."""
    projects: tuple[str, ...] = ()
    """Only applications of these projects."""
    resource_version: str | None = None
    """Watch: no initial events if it is not empty."""
    selector: str | None = None
    """A label selector."""
    repo: str | None = None
    """Only applications with a source in this repository."""
    app_namespace: str | None = None
    """Namespace of the application; the control plane's when empty."""
    project: tuple[str, ...] = ()
    """The same as ``projects``."""


class ApplicationResponse(ApiObject, frozen=True):
    """Nothing: it is done or under way."""


class ApplicationRollbackRequest(ApiObject, frozen=True):
    """Asks for a sync to an earlier deployment."""

    name: str | None = None
    id: int | None = None
    """``status.history[].id``; 0 means the one before the last."""
    dry_run: bool | None = None
    prune: bool | None = None
    """Delete what that deployment did not have."""
    app_namespace: str | None = None
    """Namespace of the application; the control plane's when empty."""
    project: str | None = None
    """Refuse (as not found) if the application is of another project."""


class SyncOptions(ApiObject, frozen=True):
    """Options such as ``CreateNamespace=true``."""

    items: tuple[str, ...] = ()


class ApplicationSyncRequest(ApiObject, frozen=True):
    """Asks for a sync."""

    name: str | None = None
    revision: str | None = None
    """Another revision than the spec's."""
    dry_run: bool | None = None
    """Only say what would be done."""
    prune: bool | None = None
    """Delete what is no longer wanted."""
    strategy: SyncStrategy | None = None
    """With hooks (when absent) or without."""
    resources: tuple[SyncOperationResource, ...] = ()
    """Only these objects."""
    manifests: tuple[str, ...] = ()
    """Local manifests as texts, in place of the repository's."""
    infos: tuple[Info, ...] = ()
    """Lines that stay with the operation, for people."""
    retry_strategy: RetryStrategy | None = None
    sync_options: SyncOptions | None = None
    """In place of those of the spec."""
    app_namespace: str | None = None
    """Namespace of the application; the control plane's when empty."""
    project: str | None = None
    """Refuse (as not found) if the application is of another project."""
    source_positions: tuple[int, ...] = ()
    """Which of several sources ``revisions`` are for; the first is 1."""
    revisions: tuple[str, ...] = ()


class ApplicationSyncWindow(ApiObject, frozen=True):
    """A sync window of the project."""

    kind: str | None = None
    """``allow`` or ``deny``."""
    schedule: str | None = None
    """A cron line of five fields."""
    duration: str | None = None
    manual_sync: bool | None = None
    """Manual syncs are possible although the window forbids others."""


class ApplicationSyncWindowsQuery(ApiObject, frozen=True):
    """Asks which sync windows matter to an application."""

    name: str | None = None
    app_namespace: str | None = None
    """Namespace of the application; the control plane's when empty."""
    project: str | None = None
    """Refuse (as not found) if the application is of another project."""


class ApplicationSyncWindowsResponse(ApiObject, frozen=True):
    """The sync windows of an application."""

    active_windows: tuple[ApplicationSyncWindow, ...] = ()
    """Those that are open now."""
    assigned_windows: tuple[ApplicationSyncWindow, ...] = ()
    """All that match the application."""
    can_sync: bool | None = None
    """Whether a manual sync is permitted now."""


class ApplicationUpdateRequest(ApiObject, frozen=True):
    """The new spec (and labels, annotations, operation) of an application."""

    application: Application | None = None
    validate: bool | None = None
    """Check it first; true when absent."""
    project: str | None = None
    """Refuse (as not found) if the application is of another project."""


class ApplicationUpdateSpecRequest(ApiObject, frozen=True):
    """The new spec of an application."""

    name: str | None = None
    spec: ApplicationSpec | None = None
    validate: bool | None = None
    """Check it first; true when absent."""
    app_namespace: str | None = None
    """Namespace of the application; the control plane's when empty."""
    project: str | None = None
    """Refuse (as not found) if the application is of another project."""


class LinkInfo(ApiObject, frozen=True):
    """A link that the settings make for an object."""

    title: str | None = None
    url: str | None = None
    description: str | None = None
    icon_class: str | None = None
    """CSS classes of an icon."""


class LinksResponse(ApiObject, frozen=True):
    """Links for an application, an object or a project."""

    items: tuple[LinkInfo, ...] = ()


class ListAppLinksRequest(ApiObject, frozen=True):
    """Asks for the links of an application."""

    name: str | None = None
    namespace: str | None = None
    """Namespace of the application; the control plane's when empty."""
    project: str | None = None
    """Refuse (as not found) if the application is of another project."""


class NodeQuery(ApiObject, frozen=True):
    """Names an application (of the reference's description; no method asks with it)."""

    name: str | None = None
    app_namespace: str | None = None
    """Namespace of the application; the control plane's when empty."""


class OperationTerminateRequest(ApiObject, frozen=True):
    """Asks to end the running operation."""

    name: str | None = None
    app_namespace: str | None = None
    """Namespace of the application; the control plane's when empty."""
    project: str | None = None
    """Refuse (as not found) if the application is of another project."""


class OperationTerminateResponse(ApiObject, frozen=True):
    """Nothing: the operation is ending."""
