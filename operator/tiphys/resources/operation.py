"""Operations: what was asked for (``.operation``) and how far it is (``status.operationState``).

An operation is data. Whoever wants a sync writes ``operation``; the controller moves it into
``operationState`` and advances that until its phase is completed (``applications.md`` 6).
"""

from collections.abc import Mapping

import msgspec

from tiphys.resources.meta import NO_TIME, no_time
from tiphys.resources.shape import ApiObject, Mandatory, always
from tiphys.resources.source import ApplicationSource
from tiphys.resources.times import Timestamp


class Info(ApiObject, frozen=True):
    """A line for people: a name and a value."""

    name: Mandatory[str] = always(str)
    value: Mandatory[str] = always(str)


class Backoff(ApiObject, frozen=True):
    """How long to wait between retries."""

    duration: str = ""
    """First wait: seconds, or a duration such as ``2m``; 5s when empty."""
    factor: int | None = None
    """Each wait is this many times the one before; 2 when absent."""
    max_duration: str = ""
    """No wait is longer than this; 3m when empty, no limit when 0."""


class RetryStrategy(ApiObject, frozen=True):
    """Whether and how a failed operation is tried again."""

    limit: int = 0
    """Most retries; negative means no limit."""
    backoff: Backoff | None = None
    refresh: bool = False
    """Resolve the revision anew on each retry."""


class ManagedNamespaceMetadata(ApiObject, frozen=True):
    """Labels and annotations of the namespace that ``CreateNamespace=true`` makes."""

    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}


class SyncOperationResource(ApiObject, frozen=True):
    """Names one resource of a partial sync; an empty namespace matches any."""

    group: str = ""
    kind: Mandatory[str] = always(str)
    name: Mandatory[str] = always(str)
    namespace: str = ""


class SyncStrategyApply(ApiObject, frozen=True):
    """Sync with ``kubectl apply`` semantics, without hooks."""

    force: bool = False


class SyncStrategyHook(ApiObject, frozen=True):
    """Sync with hooks (the default)."""

    force: bool = False


class SyncStrategy(ApiObject, frozen=True):
    """With hooks or without."""

    apply: SyncStrategyApply | None = None
    hook: SyncStrategyHook | None = None


class SyncOperation(ApiObject, frozen=True):
    """What a sync shall do."""

    revision: str = ""
    prune: bool = False
    dry_run: bool = False
    sync_strategy: SyncStrategy | None = None
    resources: tuple[SyncOperationResource, ...] = ()
    """Only these resources; all when empty."""
    source: ApplicationSource | None = None
    manifests: tuple[str, ...] = ()
    """Local manifests that take the place of the repository's."""
    sync_options: tuple[str, ...] = ()
    sources: tuple[ApplicationSource, ...] = ()
    revisions: tuple[str, ...] = ()
    self_heal_attempts_count: int = msgspec.field(name="autoHealAttemptsCount", default=0)
    """How many times in a row self-heal started a sync of the same revision."""


class OperationInitiator(ApiObject, frozen=True):
    """Who started an operation."""

    username: str = ""
    automated: bool = False


class Operation(ApiObject, frozen=True):
    """A request to sync."""

    sync: SyncOperation | None = None
    initiated_by: OperationInitiator = always(OperationInitiator)
    info: tuple[Info, ...] = ()
    retry: RetryStrategy = always(RetryStrategy)


class ResourceResult(ApiObject, frozen=True):
    """What became of one resource or hook in a sync."""

    group: Mandatory[str] = always(str)
    version: Mandatory[str] = always(str)
    kind: Mandatory[str] = always(str)
    namespace: Mandatory[str] = always(str)
    name: Mandatory[str] = always(str)
    status: str = ""
    """``Synced``, ``SyncFailed``, ``Pruned`` or ``PruneSkipped``."""
    message: str = ""
    hook_type: str = ""
    hook_phase: str = ""
    sync_phase: str = ""
    images: tuple[str, ...] = ()


class SyncOperationResult(ApiObject, frozen=True):
    """What a sync did, with the concrete revisions."""

    resources: tuple[ResourceResult, ...] = ()
    revision: Mandatory[str] = always(str)
    source: ApplicationSource = always(ApplicationSource)
    sources: tuple[ApplicationSource, ...] = ()
    revisions: tuple[str, ...] = ()
    managed_namespace_metadata: ManagedNamespaceMetadata | None = None


class OperationState(ApiObject, frozen=True):
    """How far an operation is. ``Running`` with ``finishedAt`` means: waiting for a retry."""

    operation: Mandatory[Operation] = always(Operation)
    phase: Mandatory[str] = always(str)
    """``Running``, ``Terminating``, ``Failed``, ``Error`` or ``Succeeded``."""
    message: str = ""
    sync_result: SyncOperationResult | None = None
    started_at: Mandatory[Timestamp] = always(no_time)
    finished_at: Timestamp = NO_TIME
    retry_count: int = 0
