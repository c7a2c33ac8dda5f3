"""What a request to sync or to roll back comes to: an operation, or a refusal (api.md 8.2).

Pure: the Application, its project, the request, the settings that count and the moment go in. The order
of the checks is the reference's, since the first refusal is what the user reads. Revisions must be
resolved in between, which is the caller's part: :func:`admit` says which, :func:`order` takes what they
came to.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from tiphys.projects.integrity import IntegrityError, verification_of
from tiphys.projects.windows import can_sync, matching_windows
from tiphys.resources.application import (
    Application,
    ApplicationSource,
    Operation,
    OperationInitiator,
    RetryStrategy,
    RevisionHistory,
    SyncOperation,
    SyncStrategy,
    SyncStrategyApply,
)
from tiphys.resources.messages.application import ApplicationRollbackRequest, ApplicationSyncRequest
from tiphys.resources.project import AppProject
from tiphys.server.api.failures import failed_precondition, invalid_argument, permission_denied, unknown

REPLACE = "Replace=true"
_NO_SOURCE = ApplicationSource()

Enforce = Callable[[str], None]
"""Refuses an action on the Application that the caller may not take."""


class SyncRules(msgspec.Struct, frozen=True):
    """Settings that decide about syncs.

    Attributes:
        override_for_revision: ``application.sync.requireOverridePrivilegeForRevisionSync``.
        replace_allowed: ``--sync-with-replace-allowed``.
    """

    override_for_revision: bool = False
    replace_allowed: bool = True


class Wanted(msgspec.Struct, frozen=True):
    """A source and the revision of it that is asked for, as it was written."""

    source: ApplicationSource
    revision: str


class Resolved(msgspec.Struct, frozen=True):
    """What a revision came to, and how people are told of it: ``main (<sha>)``."""

    revision: str = ""
    shown: str = ""


class Order(msgspec.Struct, frozen=True):
    """An operation to begin, and what the audit trail says of it."""

    operation: Operation
    told: str


def admit(
    app: Application,
    project: AppProject,
    request: ApplicationSyncRequest,
    rules: SyncRules,
    enforce: Enforce,
    now: datetime,
) -> tuple[Wanted, ...]:
    """The revisions to resolve, one for each source; none for local manifests.

    Raises:
        ApiFailure: the first of the checks up to the revision that refuses.
    """
    check_windows(app, project, now)
    enforce("sync")
    dry = bool(request.dry_run)
    automated = is_automated(app) and not dry
    if request.manifests:
        enforce("override")
        if automated:
            raise failed_precondition(
                "cannot use local sync when Automatic Sync Policy is enabled unless for dry run"
            )
    if app.metadata.deletion_timestamp:
        raise failed_precondition("application is deleting")
    if app.spec.has_multiple_sources:
        wanted = _of_several(app, request, rules, enforce, automated)
    else:
        wanted = _of_one(app, request, rules, enforce, automated)
    return () if request.manifests else wanted


def check_windows(app: Application, project: AppProject, now: datetime) -> None:
    """Whether the sync windows let a person sync.

    Raises:
        ApiFailure: PermissionDenied, they do not, or one cannot be read.
    """
    decision = can_sync(matching_windows(project, app), manual=True, now=now)
    if decision.error:
        raise permission_denied(f"cannot sync: invalid sync window: {decision.error}")
    if not decision.allowed:
        raise permission_denied("cannot sync: blocked by sync window")


def is_automated(app: Application) -> bool:
    """Whether automated sync is on."""
    return app.spec.sync_policy is not None and app.spec.sync_policy.is_automated


def _of_one(
    app: Application,
    request: ApplicationSyncRequest,
    rules: SyncRules,
    enforce: Enforce,
    automated: bool,
) -> tuple[Wanted, ...]:
    source = app.spec.effective_sources()[0]
    asked = request.revision or ""
    if asked and asked != (source.target_revision or "HEAD"):
        if rules.override_for_revision:
            enforce("override")
        if automated:
            raise failed_precondition(
                f"Cannot sync to {asked}: auto-sync currently set to {source.target_revision}"
            )
    return (Wanted(source, asked or source.target_revision),)


def _of_several(
    app: Application,
    request: ApplicationSyncRequest,
    rules: SyncRules,
    enforce: Enforce,
    automated: bool,
) -> tuple[Wanted, ...]:
    sources = app.spec.effective_sources()
    asked: dict[int, str] = {}
    for number, position in enumerate(request.source_positions):
        if not 1 <= position <= len(sources) or number >= len(request.revisions):
            raise unknown("source position is out of range")
        asked[position - 1] = request.revisions[number]
    wanted = []
    for index, source in enumerate(sources):
        revision = asked.get(index) or source.target_revision
        if (revision or "HEAD") != (source.target_revision or "HEAD"):
            if rules.override_for_revision:
                enforce("override")
            if automated:
                raise failed_precondition(
                    f"Cannot sync source {source.repo_url} to {revision}: "
                    f"auto-sync currently set to {source.target_revision}"
                )
        wanted.append(Wanted(source, revision))
    return tuple(wanted)


def order(
    app: Application,
    project: AppProject,
    request: ApplicationSyncRequest,
    rules: SyncRules,
    resolved: Sequence[Resolved],
    username: str,
) -> Order:
    """The operation of an admitted request.

    Raises:
        ApiFailure: FailedPrecondition, replacing is forbidden, or local manifests where commits must be
            verified.
    """
    policy = app.spec.sync_policy
    options = policy.sync_options if policy is not None else ()
    retry = policy.retry if policy is not None else None
    if request.retry_strategy is not None:
        retry = request.retry_strategy
    if request.sync_options is not None:
        options = request.sync_options.items
    if REPLACE in (options or ()) and not rules.replace_allowed:
        raise failed_precondition(
            "sync with replace was disabled on the API Server level via the server configuration"
        )
    if request.manifests and _must_be_verified(app, project):
        raise failed_precondition("Cannot use local manifests when source integrity is enforced")
    several = app.spec.has_multiple_sources
    revisions = tuple(each.revision for each in resolved)
    sync = SyncOperation(
        revision="" if several or not revisions else revisions[0],
        revisions=revisions if several else (),
        prune=bool(request.prune),
        dry_run=bool(request.dry_run),
        sync_strategy=request.strategy,
        resources=request.resources,
        source=None if several else app.spec.effective_sources()[0],
        sources=app.spec.sources if several else (),
        manifests=request.manifests,
        sync_options=tuple(options or ()),
    )
    operation = Operation(
        sync=sync,
        initiated_by=OperationInitiator(username=username),
        info=request.infos,
        retry=retry or RetryStrategy(),
    )
    partial = "partial " if request.resources else ""
    if request.manifests:
        return Order(operation, f"initiated {partial}sync locally")
    return Order(operation, f"initiated {partial}sync to {','.join(each.shown for each in resolved)}")


def _must_be_verified(app: Application, project: AppProject) -> bool:
    """Whether the project demands verified commits of any source; policies that contradict each other
    demand it, too."""
    try:
        return any(
            verification_of(project, source.repo_url) is not None
            for source in app.spec.effective_sources()
            if not source.chart
        )
    except IntegrityError:
        return True


def order_rollback(app: Application, request: ApplicationRollbackRequest, username: str) -> Order:
    """The operation that brings back a deployment of the history, without hooks and retries.

    Raises:
        ApiFailure: it cannot be.
    """
    if app.metadata.deletion_timestamp:
        raise failed_precondition("application is deleting")
    if is_automated(app):
        raise failed_precondition("rollback cannot be initiated when auto-sync is enabled")
    number = request.id or 0
    entry = next((each for each in app.status.history or () if each.id == number), None)
    if entry is None:
        raise invalid_argument(f"application {app.key} does not have deployment with id {number}")
    if _is_without_source(entry):
        raise failed_precondition(
            "cannot rollback to revision deployed with Argo CD v0.11 or lower. sync to revision instead."
        )
    policy = app.spec.sync_policy
    sync = SyncOperation(
        revision=entry.revision,
        revisions=entry.revisions,
        prune=bool(request.prune),
        dry_run=bool(request.dry_run),
        sync_options=tuple(policy.sync_options or ()) if policy is not None else (),
        sync_strategy=SyncStrategy(apply=SyncStrategyApply()),
        source=entry.source,
        sources=entry.sources,
    )
    operation = Operation(sync=sync, initiated_by=OperationInitiator(username=username))
    return Order(operation, f"initiated rollback to {number}")


def _is_without_source(entry: RevisionHistory) -> bool:
    return entry.source == _NO_SOURCE and not entry.sources
