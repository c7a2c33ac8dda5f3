"""What is known of a revision of a source."""

import msgspec

from tiphys.resources.meta import no_time
from tiphys.resources.shape import ApiObject, always, no_items
from tiphys.resources.times import Timestamp


class ChartDetails(ApiObject, frozen=True):
    """What a chart says of itself."""

    description: str = ""
    home: str = ""
    """URL of its home page."""
    maintainers: tuple[str, ...] = ()


class CommitMetadata(ApiObject, frozen=True):
    """A commit that another one refers to."""

    author: str = ""
    date: str = ""
    """RFC 3339 text."""
    subject: str = ""
    body: str = ""
    sha: str = ""
    repo_url: str = msgspec.field(default="", name="repoUrl")


class OCIMetadata(ApiObject, frozen=True):
    """Annotations of an OCI artifact."""

    created_at: str = ""
    authors: str = ""
    image_url: str = msgspec.field(default="", name="imageUrl")
    docs_url: str = msgspec.field(default="", name="docsUrl")
    source_url: str = msgspec.field(default="", name="sourceUrl")
    version: str = ""
    description: str = ""


class RevisionReference(ApiObject, frozen=True):
    """Where a commit came from (hydrated sources)."""

    commit: CommitMetadata | None = None


class SourceIntegrityCheckResultItem(ApiObject, frozen=True):
    """Part of ``SourceIntegrityCheckResult``; JSON has Go's own names (``sources.md`` 20)."""

    name: str = msgspec.field(default_factory=str, name="Name")
    problems: tuple[str, ...] = msgspec.field(default_factory=no_items, name="Problems")


class SourceIntegrityCheckResult(ApiObject, frozen=True):
    """Part of ``RevisionMetadata``: the checks that were made, valid when none has a problem."""

    checks: tuple[SourceIntegrityCheckResultItem, ...] = msgspec.field(
        default_factory=no_items, name="Checks"
    )


class RevisionMetadata(ApiObject, frozen=True):
    """What is known of a commit."""

    author: str = ""
    date: Timestamp = always(no_time)
    tags: tuple[str, ...] = ()
    """Tags that point at it."""
    message: str = ""
    signature_info: str = ""
    """What GnuPG said of its signature."""
    references: tuple[RevisionReference, ...] = ()
    source_integrity_result: SourceIntegrityCheckResult | None = None
