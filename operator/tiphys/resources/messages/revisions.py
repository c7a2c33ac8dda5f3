"""What is known of a revision of a source."""

import msgspec

from tiphys.resources.meta import no_time
from tiphys.resources.shape import ApiObject, always
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
    """The outcome of one check."""

    name: str = ""
    problems: tuple[str, ...] = ()
    """None: it was passed."""


class SourceIntegrityCheckResult(ApiObject, frozen=True):
    """The outcome of checking a source's integrity."""

    checks: tuple[SourceIntegrityCheckResultItem, ...] = ()


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
