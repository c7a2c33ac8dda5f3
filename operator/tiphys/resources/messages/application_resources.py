"""Messages of the API package ``application`` about the objects of an application."""

import msgspec

from tiphys.resources.messages.overrides import ResourceAction
from tiphys.resources.messages.trees import ResourceDiff
from tiphys.resources.meta import NO_TIME
from tiphys.resources.shape import ApiObject
from tiphys.resources.times import Timestamp


class ApplicationPodLogsQuery(ApiObject, frozen=True):
    """Asks for the logs of an application's pods."""

    name: str | None = None
    namespace: str | None = None
    """Namespace of the pod or of the object."""
    pod_name: str | None = None
    """One pod; else those under ``group``, ``kind`` and ``resourceName``, else all."""
    container: str | None = None
    """The container; the first one when empty."""
    since_seconds: int | None = None
    """Only lines of the last seconds."""
    since_time: Timestamp = NO_TIME
    """Only lines since then."""
    tail_lines: int | None = None
    """Only the last lines of each container."""
    follow: bool | None = None
    """Go on with new lines."""
    until_time: str | None = None
    """Stop at the first line after this RFC 3339 time."""
    filter: str | None = None
    """Only lines that hold this text, with ``!`` before it only the others."""
    kind: str | None = None
    group: str | None = None
    resource_name: str | None = None
    previous: bool | None = None
    """Logs of the container's previous run."""
    app_namespace: str | None = None
    """Namespace of the application; the control plane's when empty."""
    project: str | None = None
    """Refuse (as not found) if the application is of another project."""
    match_case: bool | None = None
    """Upper and lower case differ in ``filter``."""


class ApplicationResourceDeleteRequest(ApiObject, frozen=True):
    """Names an object of an application to delete."""

    name: str | None = None
    namespace: str | None = None
    """Namespace of the object; empty for cluster-scoped ones."""
    resource_name: str | None = None
    version: str | None = None
    """API version of the object's kind, without the group."""
    group: str | None = None
    kind: str | None = None
    force: bool | None = None
    """Without a grace period."""
    orphan: bool | None = None
    """Leave the objects that it owns."""
    app_namespace: str | None = None
    """Namespace of the application; the control plane's when empty."""
    project: str | None = None
    """Refuse (as not found) if the application is of another project."""


class ApplicationResourceEventsQuery(ApiObject, frozen=True):
    """Asks for the Kubernetes events of an application, or of one of its objects."""

    name: str | None = None
    resource_namespace: str | None = None
    resource_name: str | None = None
    """The object; the application itself when empty."""
    resource_uid: str | None = msgspec.field(default=None, name="resourceUID")
    app_namespace: str | None = None
    """Namespace of the application; the control plane's when empty."""
    project: str | None = None
    """Refuse (as not found) if the application is of another project."""


class ApplicationResourcePatchRequest(ApiObject, frozen=True):
    """A patch of an object of an application."""

    name: str | None = None
    namespace: str | None = None
    """Namespace of the object; empty for cluster-scoped ones."""
    resource_name: str | None = None
    version: str | None = None
    """API version of the object's kind, without the group."""
    group: str | None = None
    kind: str | None = None
    patch: str | None = None
    """The patch as text."""
    patch_type: str | None = None
    """MIME type of the patch, ``application/merge-patch+json`` for example."""
    app_namespace: str | None = None
    """Namespace of the application; the control plane's when empty."""
    project: str | None = None
    """Refuse (as not found) if the application is of another project."""


class ApplicationResourceRequest(ApiObject, frozen=True):
    """Names an object of an application."""

    name: str | None = None
    namespace: str | None = None
    """Namespace of the object; empty for cluster-scoped ones."""
    resource_name: str | None = None
    version: str | None = None
    """API version of the object's kind, without the group."""
    group: str | None = None
    kind: str | None = None
    app_namespace: str | None = None
    """Namespace of the application; the control plane's when empty."""
    project: str | None = None
    """Refuse (as not found) if the application is of another project."""


class ApplicationResourceResponse(ApiObject, frozen=True):
    """A live object."""

    manifest: str | None = None
    """The object as JSON text; values of Secrets are masked."""


class LogEntry(ApiObject, frozen=True):
    """One line of a log, or the end of the stream."""

    content: str | None = None
    """The line without its time and line break."""
    time_stamp: Timestamp = NO_TIME
    last: bool | None = None
    """No more lines come."""
    time_stamp_str: str | None = None
    """The time with nanoseconds."""
    pod_name: str | None = None


class ManagedResourcesResponse(ApiObject, frozen=True):
    """The objects that an application manages, with their differences."""

    items: tuple[ResourceDiff, ...] = ()


class ResourceActionParameters(ApiObject, frozen=True):
    """A parameter of an action."""

    name: str | None = None
    value: str | None = None


class ResourceActionRunRequest(ApiObject, frozen=True):
    """Asks for an action on an object, without parameters."""

    name: str | None = None
    namespace: str | None = None
    """Namespace of the object; empty for cluster-scoped ones."""
    resource_name: str | None = None
    version: str | None = None
    """API version of the object's kind, without the group."""
    group: str | None = None
    kind: str | None = None
    action: str | None = None
    """Name of the action, as listed."""
    app_namespace: str | None = None
    """Namespace of the application; the control plane's when empty."""
    project: str | None = None
    """Refuse (as not found) if the application is of another project."""


class ResourceActionRunRequestV2(ApiObject, frozen=True):
    """Asks for an action on an object."""

    name: str | None = None
    namespace: str | None = None
    """Namespace of the object; empty for cluster-scoped ones."""
    resource_name: str | None = None
    version: str | None = None
    """API version of the object's kind, without the group."""
    group: str | None = None
    kind: str | None = None
    action: str | None = None
    """Name of the action, as listed."""
    app_namespace: str | None = None
    """Namespace of the application; the control plane's when empty."""
    project: str | None = None
    """Refuse (as not found) if the application is of another project."""
    resource_action_parameters: tuple[ResourceActionParameters, ...] = ()


class ResourceActionsListResponse(ApiObject, frozen=True):
    """What can be done with an object."""

    actions: tuple[ResourceAction, ...] = ()


class ResourcesQuery(ApiObject, frozen=True):
    """Selects objects of an application; empty fields select all."""

    application_name: str | None = None
    namespace: str | None = None
    name: str | None = None
    """Name of the object."""
    version: str | None = None
    group: str | None = None
    kind: str | None = None
    app_namespace: str | None = None
    """Namespace of the application; the control plane's when empty."""
    project: str | None = None
    """Refuse (as not found) if the application is of another project."""
