"""Git: bare mirrors, one for each repository and way of access, and reads out of them.

:class:`GitStore` (``store.py``) is the door. Behind it: ``access`` (what counts as the same
repository), ``credentials`` (how a command gets its secrets), ``process`` (how git runs), ``refs``
(which commit a revision means), ``mirror`` (the clone on disk), ``objects`` (reading it), ``links``
(symbolic links), ``checkouts`` (shared read-only directories), ``worktrees`` (submodules and LFS)
and ``history`` (what a commit says and touched).
"""

from tiphys.sources.git.access import Trust
from tiphys.sources.git.objects import TreeEntry
from tiphys.sources.git.options import GitOptions, GitRequest
from tiphys.sources.git.store import GitStore, RevisionMetadata

__all__ = [
    "GitOptions",
    "GitRequest",
    "GitStore",
    "RevisionMetadata",
    "TreeEntry",
    "Trust",
]
