"""Whether an application syncs itself now (applications.md 12).

Pure. The rows of the reference's table are evaluated in order; the answer holds the operation to
store, the ``SyncError`` to show, or the seconds after which to look again, always with the reason.
"""

from collections.abc import Sequence

import msgspec

from tiphys.reconcile.retrying import COMPLETED, growing
from tiphys.resources.application import (
    Application,
    Operation,
    OperationInitiator,
    ResourceStatus,
    RetryStrategy,
    SyncOperation,
    SyncOperationResource,
)

DEFAULT_RETRY_LIMIT = 5


class SelfHealBackoff(msgspec.Struct, frozen=True):
    """Pauses between self-heal attempts, in seconds."""

    duration: float = 2.0
    factor: float = 3.0
    cap: float = 300.0
    fixed: float = 0.0  # used when duration is 0

    def delay(self, attempts: int) -> float:
        """The pause before the attempt that follows ``attempts`` earlier ones."""
        if self.duration <= 0:
            return self.fixed
        if attempts <= 0:
            return 0.0
        return growing(self.duration, self.factor, attempts - 1, self.cap)


class AutoSync(msgspec.Struct, frozen=True):
    """The verdict: at most one of ``operation``, ``error`` and ``retry_after`` is set."""

    why: str
    operation: Operation | None = None
    error: str | None = None
    retry_after: float | None = None


def decide_auto_sync(
    app: Application,
    *,
    sync_status: str,
    resources: Sequence[ResourceStatus],
    revisions: Sequence[str],
    backoff: SelfHealBackoff,
    since_end: float = 0.0,
    unchanged: bool = False,
) -> AutoSync:
    """Evaluate the table for a comparison that has just ended.

    Args:
        app: as stored, before this comparison's status.
        sync_status, resources, revisions: of the comparison.
        since_end: seconds since the last operation ended.
        unchanged: the revisions that were synced last hold the same for this application.
    """
    policy = app.spec.sync_policy
    automated = policy.automated if policy else None
    if policy is None or automated is None or automated.enabled is False:
        return AutoSync("automated sync is off")
    if app.operation is not None:
        return AutoSync("another operation is in progress")
    if app.metadata.deletion_timestamp:
        return AutoSync("the application is being deleted")
    if sync_status != "OutOfSync":
        return AutoSync(f"sync status is {sync_status}")
    prune = bool(automated.prune)
    if not prune and all(r.status == "Synced" or r.requires_pruning for r in resources):
        return AutoSync("only pruning is needed and automated pruning is off")

    state = app.status.operation_state
    attempted = already_attempted(app, revisions, unchanged=unchanged)
    heal = False
    attempts = 0
    if attempted and state is not None:
        if state.phase != "Succeeded":
            return AutoSync(
                "the last attempt failed",
                error=f"Failed last sync attempt to [{' '.join(revisions)}]: {state.message}",
            )
        if not automated.self_heal:
            return AutoSync("this revision was synced already and self-heal is off")
        attempts = state.operation.sync.self_heal_attempts_count if state.operation.sync else 0
        remaining = backoff.delay(attempts) - since_end
        if remaining > 0:
            return AutoSync("self-heal waits for its back-off", retry_after=remaining)
        heal = True
        attempts += 1
    if prune and not automated.allow_empty and all(r.requires_pruning for r in resources):
        return AutoSync(
            "everything would be pruned",
            error=f"Skipping sync attempt to [{' '.join(revisions)}]: auto-sync will wipe out all resources",
        )
    return AutoSync(
        "self-heal" if heal else "new revision or source",
        operation=_operation(app, revisions, prune, attempts, resources if heal else None),
    )


def synced_revisions(app: Application) -> tuple[str, ...]:
    """The revisions of the last started operation; empty: it did not get that far."""
    state = app.status.operation_state
    if state is None or state.sync_result is None:
        return ()
    result = state.sync_result
    return result.revisions if app.spec.has_multiple_sources else (result.revision,)


def already_attempted(app: Application, revisions: Sequence[str], *, unchanged: bool = False) -> bool:
    """The last started operation was for this very state (applications.md 12).

    A commit that touches nothing the application reads leaves ``revisions`` as they were
    (``desired``) or, after a refresh that somebody asked for, is ``unchanged``: it starts nothing,
    with or without ``manifest-generate-paths``.
    """
    state = app.status.operation_state
    if state is None or (state.operation.sync is not None and state.operation.sync.dry_run):
        return False  # a dry run is no attempt (docs/differences.md)
    result = state.sync_result
    if result is None:
        return state.phase in COMPLETED
    multiple = app.spec.has_multiple_sources
    if not unchanged and synced_revisions(app) != tuple(revisions):
        return False
    sources = result.sources if multiple else (result.source,)
    return sources == app.spec.effective_sources()


def _operation(
    app: Application,
    revisions: Sequence[str],
    prune: bool,
    attempts: int,
    heal: Sequence[ResourceStatus] | None,
) -> Operation:
    policy = app.spec.sync_policy
    assert policy is not None
    multiple = app.spec.has_multiple_sources
    sources = app.spec.effective_sources()
    return Operation(
        sync=SyncOperation(
            revision="" if multiple else (revisions[0] if revisions else ""),
            revisions=tuple(revisions) if multiple else (),
            source=None if multiple else sources[0],
            sources=sources if multiple else (),
            prune=prune,
            sync_options=policy.sync_options,
            self_heal_attempts_count=attempts,
            resources=tuple(
                SyncOperationResource(group=r.group, kind=r.kind, name=r.name)
                for r in heal
                if r.status != "Synced"
            )
            if heal is not None
            else (),
        ),
        initiated_by=OperationInitiator(automated=True),
        retry=policy.retry or RetryStrategy(limit=DEFAULT_RETRY_LIMIT),
    )
