"""Limits and periods of the Git store; defaults are the reference's (``sources.md`` 14.4)."""

from collections.abc import Callable
from typing import Literal

import msgspec


class GitRequest(msgspec.Struct, frozen=True):
    """One finished conversation with a remote, for metrics."""

    kind: Literal["ls-remote", "fetch", "push"]
    url: str
    seconds: float
    failed: bool


class GitOptions(msgspec.Struct, frozen=True):
    """Times in seconds, sizes in bytes."""

    exec_timeout: float = 90.0
    """``ARGOCD_EXEC_TIMEOUT``"""
    exec_fatal_timeout: float = 10.0
    """``ARGOCD_EXEC_FATAL_TIMEOUT``: from SIGTERM to SIGKILL."""
    request_timeout: float = 15.0
    """``ARGOCD_GIT_REQUEST_TIMEOUT``: one listing of refs over http(s)."""
    attempts: int = 1
    """``ARGOCD_GIT_ATTEMPTS_COUNT``"""
    retry_duration: float = 0.25
    retry_max_duration: float = 5.0
    retry_factor: float = 2.0
    ls_remote_parallelism: int = 0
    """``ARGOCD_GIT_LS_REMOTE_PARALLELISM_LIMIT``, 0: none."""
    github_token_seconds: float = 3600.0
    """``ARGOCD_GITHUB_APP_CREDS_EXPIRATION_DURATION``: how long a token is kept at most."""
    azure_token_seconds: float = 3540.0
    """``ARGOCD_AZURE_SERVICE_PRINCIPAL_CREDS_EXPIRATION_DURATION``"""
    conversations: int = 32
    """Git processes that talk to remotes at the same time."""
    submodules: bool = True
    """``ARGOCD_GIT_MODULES_ENABLED``"""
    builtin_config: bool = True
    """``ARGOCD_REPO_SERVER_ENABLE_BUILTIN_GIT_CONFIG``: no background maintenance of git's own."""
    allow_out_of_bounds_symlinks: bool = False
    revision_cache_seconds: float = 180.0
    """How long a listing of refs answers for a repository (``timeout.reconciliation``)."""
    failure_cache_seconds: float = 10.0
    """How long a failed listing or fetch answers, so that 500 applications of one unreachable
    repository ask once."""
    fresh_share_seconds: float = 0.05
    """A fresh answer may be this much older than the question (the "same instant")."""
    tree_cache_entries: int = 200_000
    """Parsed directory entries kept in memory, all mirrors together."""
    reader_idle_seconds: float = 120.0
    """After this a mirror's ``git cat-file`` ends."""
    max_blob_bytes: int = 256 << 20
    """Sum of the files of one :meth:`GitStore.blobs` call."""
    max_checkout_bytes: int = 2 << 30
    """Size of one checkout."""
    checkout_cache_bytes: int = 2 << 30
    """All checkouts together; unused ones go first."""
    checkout_max_age: float = 24 * 3600.0
    mirror_max_age: float = 7 * 24 * 3600.0
    """A mirror nobody asked for goes after this."""
    repack_after_packs: int = 40
    """Packs of one mirror before they are merged."""
    on_request: Callable[[GitRequest], None] | None = None
