"""What is known of a revision of a source."""

import msgspec

from tiphys.resources.meta import no_time
from tiphys.resources.shape import ApiObject, always
from tiphys.resources.times import Timestamp


class ChartDetails(ApiObject, frozen=True):
    """Answer of ``ApplicationService.RevisionChartDetails``."""

    description: str = ""
    home: str = ""
    maintainers: tuple[str, ...] = ()


class CommitMetadata(ApiObject, frozen=True):
    """Part of ``RevisionReference``."""

    author: str = ""
    date: str = ""
    subject: str = ""
    body: str = ""
    sha: str = ""
    repo_url: str = msgspec.field(default="", name="repoUrl")


class OCIMetadata(ApiObject, frozen=True):
    """Answer of ``ApplicationService.GetOCIMetadata``."""

    created_at: str = ""
    authors: str = ""
    image_url: str = msgspec.field(default="", name="imageUrl")
    docs_url: str = msgspec.field(default="", name="docsUrl")
    source_url: str = msgspec.field(default="", name="sourceUrl")
    version: str = ""
    description: str = ""


class RevisionReference(ApiObject, frozen=True):
    """Part of ``RevisionMetadata``."""

    commit: CommitMetadata | None = None


class SourceIntegrityCheckResultItem(ApiObject, frozen=True):
    """Part of ``SourceIntegrityCheckResult``."""

    name: str = ""
    problems: tuple[str, ...] = ()


class SourceIntegrityCheckResult(ApiObject, frozen=True):
    """Part of ``RevisionMetadata``."""

    checks: tuple[SourceIntegrityCheckResultItem, ...] = ()


class RevisionMetadata(ApiObject, frozen=True):
    """Answer of ``ApplicationService.RevisionMetadata``."""

    author: str = ""
    date: Timestamp = always(no_time)
    tags: tuple[str, ...] = ()
    message: str = ""
    signature_info: str = ""
    references: tuple[RevisionReference, ...] = ()
    source_integrity_result: SourceIntegrityCheckResult | None = None
