"""Messages of the API package ``application``; each message defined once (``wire/`` has the numbers)."""

import msgspec

from tiphys.resources.application import Application
from tiphys.resources.messages.overrides import ResourceAction
from tiphys.resources.messages.trees import ResourceDiff
from tiphys.resources.meta import NO_TIME
from tiphys.resources.operation import Info, RetryStrategy, SyncOperationResource, SyncStrategy
from tiphys.resources.shape import ApiObject
from tiphys.resources.spec import ApplicationSpec
from tiphys.resources.times import Timestamp


class ApplicationCreateRequest(ApiObject, frozen=True):
    """Request of ``ApplicationService.Create``."""

    application: Application | None = None
    upsert: bool | None = None
    validate: bool | None = None


class ApplicationDeleteRequest(ApiObject, frozen=True):
    """Request of ``ApplicationService.Delete``."""

    name: str | None = None
    cascade: bool | None = None
    propagation_policy: str | None = None
    app_namespace: str | None = None
    project: str | None = None


class ApplicationManifestQuery(ApiObject, frozen=True):
    """Request of ``ApplicationService.GetManifests``."""

    name: str | None = None
    revision: str | None = None
    app_namespace: str | None = None
    project: str | None = None
    source_positions: tuple[int, ...] = ()
    revisions: tuple[str, ...] = ()
    no_cache: bool | None = None


class ApplicationManifestQueryWithFiles(ApiObject, frozen=True):
    """Part of ``ApplicationManifestQueryWithFilesWrapper``."""

    name: str | None = None
    checksum: str | None = None
    app_namespace: str | None = None
    project: str | None = None


class FileChunk(ApiObject, frozen=True):
    """Part of ``ApplicationManifestQueryWithFilesWrapper``."""

    chunk: bytes = b""


class ApplicationManifestQueryWithFilesWrapper(ApiObject, frozen=True):
    """Request of ``ApplicationService.GetManifestsWithFiles``."""

    query: ApplicationManifestQueryWithFiles | None = None
    chunk: FileChunk | None = None


class ApplicationPatchRequest(ApiObject, frozen=True):
    """Request of ``ApplicationService.Patch``."""

    name: str | None = None
    patch: str | None = None
    patch_type: str | None = None
    app_namespace: str | None = None
    project: str | None = None


class ApplicationPodLogsQuery(ApiObject, frozen=True):
    """Request of ``ApplicationService.PodLogs``."""

    name: str | None = None
    namespace: str | None = None
    pod_name: str | None = None
    container: str | None = None
    since_seconds: int | None = None
    since_time: Timestamp = NO_TIME
    tail_lines: int | None = None
    follow: bool | None = None
    until_time: str | None = None
    filter: str | None = None
    kind: str | None = None
    group: str | None = None
    resource_name: str | None = None
    previous: bool | None = None
    app_namespace: str | None = None
    project: str | None = None
    match_case: bool | None = None


class ApplicationQuery(ApiObject, frozen=True):
    """Request of ``ApplicationService.List``, ``ApplicationService.Watch``, ``ApplicationService.Get``."""

    name: str | None = None
    refresh: str | None = None
    projects: tuple[str, ...] = ()
    resource_version: str | None = None
    selector: str | None = None
    repo: str | None = None
    app_namespace: str | None = None
    project: tuple[str, ...] = ()


class ApplicationResourceDeleteRequest(ApiObject, frozen=True):
    """Request of ``ApplicationService.DeleteResource``."""

    name: str | None = None
    namespace: str | None = None
    resource_name: str | None = None
    version: str | None = None
    group: str | None = None
    kind: str | None = None
    force: bool | None = None
    orphan: bool | None = None
    app_namespace: str | None = None
    project: str | None = None


class ApplicationResourceEventsQuery(ApiObject, frozen=True):
    """Request of ``ApplicationService.ListResourceEvents``."""

    name: str | None = None
    resource_namespace: str | None = None
    resource_name: str | None = None
    resource_uid: str | None = msgspec.field(default=None, name="resourceUID")
    app_namespace: str | None = None
    project: str | None = None


class ApplicationResourcePatchRequest(ApiObject, frozen=True):
    """Request of ``ApplicationService.PatchResource``."""

    name: str | None = None
    namespace: str | None = None
    resource_name: str | None = None
    version: str | None = None
    group: str | None = None
    kind: str | None = None
    patch: str | None = None
    patch_type: str | None = None
    app_namespace: str | None = None
    project: str | None = None


class ApplicationResourceRequest(ApiObject, frozen=True):
    """Request of ``ApplicationService.GetResource``, ``ApplicationService.ListResourceActions``,
    ``ApplicationService.ListResourceLinks``.
    """

    name: str | None = None
    namespace: str | None = None
    resource_name: str | None = None
    version: str | None = None
    group: str | None = None
    kind: str | None = None
    app_namespace: str | None = None
    project: str | None = None


class ApplicationResourceResponse(ApiObject, frozen=True):
    """Answer of ``ApplicationService.GetResource``, ``ApplicationService.PatchResource``."""

    manifest: str | None = None


class ApplicationResponse(ApiObject, frozen=True):
    """Answer of ``ApplicationService.Delete``, ``ApplicationService.RunResourceAction``,
    ``ApplicationService.RunResourceActionV2`` and others.
    """


class ApplicationRollbackRequest(ApiObject, frozen=True):
    """Request of ``ApplicationService.Rollback``."""

    name: str | None = None
    id: int | None = None
    dry_run: bool | None = None
    prune: bool | None = None
    app_namespace: str | None = None
    project: str | None = None


class ApplicationServerSideDiffQuery(ApiObject, frozen=True):
    """Request of ``ApplicationService.ServerSideDiff``."""

    app_name: str | None = None
    app_namespace: str | None = None
    project: str | None = None
    live_resources: tuple[ResourceDiff, ...] = ()
    target_manifests: tuple[str, ...] = ()


class ApplicationServerSideDiffResponse(ApiObject, frozen=True):
    """Answer of ``ApplicationService.ServerSideDiff``."""

    items: tuple[ResourceDiff, ...] = ()
    modified: bool | None = None


class SyncOptions(ApiObject, frozen=True):
    """Part of ``ApplicationSyncRequest``."""

    items: tuple[str, ...] = ()


class ApplicationSyncRequest(ApiObject, frozen=True):
    """Request of ``ApplicationService.Sync``."""

    name: str | None = None
    revision: str | None = None
    dry_run: bool | None = None
    prune: bool | None = None
    strategy: SyncStrategy | None = None
    resources: tuple[SyncOperationResource, ...] = ()
    manifests: tuple[str, ...] = ()
    infos: tuple[Info, ...] = ()
    retry_strategy: RetryStrategy | None = None
    sync_options: SyncOptions | None = None
    app_namespace: str | None = None
    project: str | None = None
    source_positions: tuple[int, ...] = ()
    revisions: tuple[str, ...] = ()


class ApplicationSyncWindow(ApiObject, frozen=True):
    """Part of ``ApplicationSyncWindowsResponse``."""

    kind: str | None = None
    schedule: str | None = None
    duration: str | None = None
    manual_sync: bool | None = None


class ApplicationSyncWindowsQuery(ApiObject, frozen=True):
    """Request of ``ApplicationService.GetApplicationSyncWindows``."""

    name: str | None = None
    app_namespace: str | None = None
    project: str | None = None


class ApplicationSyncWindowsResponse(ApiObject, frozen=True):
    """Answer of ``ApplicationService.GetApplicationSyncWindows``."""

    active_windows: tuple[ApplicationSyncWindow, ...] = ()
    assigned_windows: tuple[ApplicationSyncWindow, ...] = ()
    can_sync: bool | None = None


class ApplicationUpdateRequest(ApiObject, frozen=True):
    """Request of ``ApplicationService.Update``."""

    application: Application | None = None
    validate: bool | None = None
    project: str | None = None


class ApplicationUpdateSpecRequest(ApiObject, frozen=True):
    """Request of ``ApplicationService.UpdateSpec``."""

    name: str | None = None
    spec: ApplicationSpec | None = None
    validate: bool | None = None
    app_namespace: str | None = None
    project: str | None = None


class LinkInfo(ApiObject, frozen=True):
    """Part of ``LinksResponse``."""

    title: str | None = None
    url: str | None = None
    description: str | None = None
    icon_class: str | None = None


class LinksResponse(ApiObject, frozen=True):
    """Answer of ``ApplicationService.ListLinks``, ``ApplicationService.ListResourceLinks``,
    ``ProjectService.ListLinks``.
    """

    items: tuple[LinkInfo, ...] = ()


class ListAppLinksRequest(ApiObject, frozen=True):
    """Request of ``ApplicationService.ListLinks``."""

    name: str | None = None
    namespace: str | None = None
    project: str | None = None


class LogEntry(ApiObject, frozen=True):
    """Answer of ``ApplicationService.PodLogs``."""

    content: str | None = None
    time_stamp: Timestamp = NO_TIME
    last: bool | None = None
    time_stamp_str: str | None = None
    pod_name: str | None = None


class ManagedResourcesResponse(ApiObject, frozen=True):
    """Answer of ``ApplicationService.ManagedResources``."""

    items: tuple[ResourceDiff, ...] = ()


class NodeQuery(ApiObject, frozen=True):
    """See the fact sheet of its service."""

    name: str | None = None
    app_namespace: str | None = None


class OperationTerminateRequest(ApiObject, frozen=True):
    """Request of ``ApplicationService.TerminateOperation``."""

    name: str | None = None
    app_namespace: str | None = None
    project: str | None = None


class OperationTerminateResponse(ApiObject, frozen=True):
    """Answer of ``ApplicationService.TerminateOperation``."""


class ResourceActionParameters(ApiObject, frozen=True):
    """Part of ``ResourceActionRunRequestV2``."""

    name: str | None = None
    value: str | None = None


class ResourceActionRunRequest(ApiObject, frozen=True):
    """Request of ``ApplicationService.RunResourceAction``."""

    name: str | None = None
    namespace: str | None = None
    resource_name: str | None = None
    version: str | None = None
    group: str | None = None
    kind: str | None = None
    action: str | None = None
    app_namespace: str | None = None
    project: str | None = None


class ResourceActionRunRequestV2(ApiObject, frozen=True):
    """Request of ``ApplicationService.RunResourceActionV2``."""

    name: str | None = None
    namespace: str | None = None
    resource_name: str | None = None
    version: str | None = None
    group: str | None = None
    kind: str | None = None
    action: str | None = None
    app_namespace: str | None = None
    project: str | None = None
    resource_action_parameters: tuple[ResourceActionParameters, ...] = ()


class ResourceActionsListResponse(ApiObject, frozen=True):
    """Answer of ``ApplicationService.ListResourceActions``."""

    actions: tuple[ResourceAction, ...] = ()


class ResourcesQuery(ApiObject, frozen=True):
    """Request of ``ApplicationService.ManagedResources``, ``ApplicationService.ResourceTree``,
    ``ApplicationService.WatchResourceTree``.
    """

    application_name: str | None = None
    namespace: str | None = None
    name: str | None = None
    version: str | None = None
    group: str | None = None
    kind: str | None = None
    app_namespace: str | None = None
    project: str | None = None


class RevisionMetadataQuery(ApiObject, frozen=True):
    """Request of ``ApplicationService.RevisionMetadata``, ``ApplicationService.RevisionChartDetails``,
    ``ApplicationService.GetOCIMetadata``.
    """

    name: str | None = None
    revision: str | None = None
    app_namespace: str | None = None
    project: str | None = None
    source_index: int | None = None
    version_id: int | None = msgspec.field(default=None, name="versionId")
