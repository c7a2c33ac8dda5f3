"""Messages of the API package ``application`` about sources and what they render to."""

import msgspec

from tiphys.resources.messages.trees import ResourceDiff
from tiphys.resources.shape import ApiObject


class ApplicationManifestQuery(ApiObject, frozen=True):
    """Asks what an application's sources render to."""

    name: str | None = None
    revision: str | None = None
    """Another revision than the spec's; for several sources see ``revisions``."""
    app_namespace: str | None = None
    """Namespace of the application; the control plane's when empty."""
    project: str | None = None
    """Refuse (as not found) if the application is of another project."""
    source_positions: tuple[int, ...] = ()
    """Which of several sources ``revisions`` are for; the first is 1."""
    revisions: tuple[str, ...] = ()
    no_cache: bool | None = None
    """Render anew."""


class ApplicationManifestQueryWithFiles(ApiObject, frozen=True):
    """The head of a stream that renders local files in place of the repository."""

    name: str | None = None
    checksum: str | None = None
    """SHA-256 of the archive in the chunks that follow, in hexadecimal."""
    app_namespace: str | None = None
    """Namespace of the application; the control plane's when empty."""
    project: str | None = None
    """Refuse (as not found) if the application is of another project."""


class FileChunk(ApiObject, frozen=True):
    """A piece of a gzipped tar archive."""

    chunk: bytes = b""


class ApplicationManifestQueryWithFilesWrapper(ApiObject, frozen=True):
    """One message of the stream: first the query, then chunks."""

    query: ApplicationManifestQueryWithFiles | None = None
    chunk: FileChunk | None = None


class ApplicationServerSideDiffQuery(ApiObject, frozen=True):
    """Asks how given targets differ from live objects by server-side apply."""

    app_name: str | None = None
    app_namespace: str | None = None
    """Namespace of the application; the control plane's when empty."""
    project: str | None = None
    """Refuse (as not found) if the application is of another project."""
    live_resources: tuple[ResourceDiff, ...] = ()
    """The live objects; over REST those of the application are taken."""
    target_manifests: tuple[str, ...] = ()
    """Targets as JSON texts."""


class ApplicationServerSideDiffResponse(ApiObject, frozen=True):
    """The differences that server-side apply would make."""

    items: tuple[ResourceDiff, ...] = ()
    modified: bool | None = None
    """Whether any object would change."""


class RevisionMetadataQuery(ApiObject, frozen=True):
    """Asks what is known of a revision of a source."""

    name: str | None = None
    revision: str | None = None
    """The commit, chart version or digest."""
    app_namespace: str | None = None
    """Namespace of the application; the control plane's when empty."""
    project: str | None = None
    """Refuse (as not found) if the application is of another project."""
    source_index: int | None = None
    """Which of several sources, from 0."""
    version_id: int | None = msgspec.field(default=None, name="versionId")
    """``status.history[].id``: the sources as they were then."""
