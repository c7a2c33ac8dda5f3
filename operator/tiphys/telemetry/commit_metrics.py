"""Series of the commit server's name (operations.md 2.6): commits of hydrated manifests.

``…_userinfo_request_duration_seconds`` is declared and stays empty: commits are made in the name that the
settings give, nobody is asked who a token belongs to.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.1, 0.25, 0.5, 1, 2, 4, 10, 20)


class CommitMetrics:
    """``repo`` is an address without credentials; times are seconds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._pending = Gauge(
            "argocd_commitserver_commit_pending_request_total",
            "Commits that are being made.",
            ["repo"],
            registry=registry,
        )
        self._git = Counter(
            "argocd_commitserver_git_request_total",
            "Conversations with repositories that are written to.",
            ["repo", "request_type"],
            registry=registry,
        )
        self._git_seconds = Histogram(
            "argocd_commitserver_git_request_duration_seconds",
            "Seconds of a conversation with a repository that is written to.",
            ["repo", "request_type"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._commits = Counter(
            "argocd_commitserver_commit_request_total",
            "Commits that were asked for.",
            ["repo", "response_type"],
            registry=registry,
        )
        self._commit_seconds = Histogram(
            "argocd_commitserver_commit_request_duration_seconds",
            "Seconds until a commit was made or failed.",
            ["repo", "response_type"],
            buckets=_SECONDS,
            registry=registry,
        )
        Histogram(
            "argocd_commitserver_userinfo_request_duration_seconds",
            "Seconds until it was known who commits.",
            ["repo", "credential_type"],
            buckets=_SECONDS,
            registry=registry,
        )

    @contextmanager
    def pending(self, repo: str) -> Iterator[None]:
        """A commit is being made inside the block."""
        self._pending.labels(repo).inc()
        try:
            yield
        finally:
            self._pending.labels(repo).dec()

    def committed(self, repo: str, seconds: float, *, failed: bool) -> None:
        """A commit was made, or found to be there, or failed."""
        outcome = "failure" if failed else "success"
        self._commits.labels(repo, outcome).inc()
        self._commit_seconds.labels(repo, outcome).observe(seconds)

    def talked(self, repo: str, kind: str, seconds: float) -> None:
        """A conversation (``ls-remote``, ``fetch``, ``push``) ended."""
        self._git.labels(repo, kind).inc()
        self._git_seconds.labels(repo, kind).observe(seconds)
