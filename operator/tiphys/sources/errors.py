"""What goes wrong between a repository and its manifests.

Every failure of this room is a :class:`SourceError`: a code with a gRPC name, because conditions and
the public API show ``rpc error: code = X desc = …`` (``sources.md`` 14), and a message that holds no
secret and no path of our cache. Subclasses say what kind of trouble it is, so that nobody matches on
texts; the fields say which repository and revision.
"""

from typing import Literal, TypeAlias

Code: TypeAlias = Literal[
    "Unknown",
    "NotFound",
    "InvalidArgument",
    "FailedPrecondition",
    "PermissionDenied",
    "ResourceExhausted",
    "Unimplemented",
    "Internal",
    "DeadlineExceeded",
    "Unauthenticated",
]

CACHED_SOURCE = "<path to cached source>"
"""What every path of our cache is replaced with in messages."""


class SourceError(Exception):
    """A source could not be read or rendered."""

    def __init__(self, code: Code, message: str, *, repository: str = "", revision: str = "") -> None:
        super().__init__(message)
        self.code: Code = code
        self.message = message
        self.repository = repository
        self.revision = revision

    def __str__(self) -> str:
        return self.message

    def with_prefix(self, prefix: str) -> "SourceError":
        """The same failure with a text before its message; type, code and fields stay."""
        return type(self)(
            self.code, prefix + self.message, repository=self.repository, revision=self.revision
        )


class RevisionNotFound(SourceError):
    """The repository answers, but has no such branch, tag or commit."""


class AccessDenied(SourceError):
    """The repository refuses our credentials, or wants some and has none."""


class RepositoryUnreachable(SourceError):
    """No answer, a refused certificate or host key, or an answer that is not Git."""


class AppPathMissing(SourceError):
    """The commit has no directory at the source's path."""


class OutOfBoundsSymlink(SourceError):
    """A symbolic link points outside the repository."""


class DiskFull(SourceError):
    """The disk under our cache is full; the next attempt after space was made succeeds."""


class CommandTimeout(SourceError):
    """A command exceeded its time limit and was killed with its children."""
