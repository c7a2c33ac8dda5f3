"""``status`` of an Application: what the controller found out and did (``applications.md`` 4).

The CRD has no status subresource: users may create an application with a status, and every
writer patches the main resource.
"""

from typing import Annotated

import msgspec

from tiphys.resources.meta import NO_TIME, no_time
from tiphys.resources.operation import OperationInitiator, OperationState
from tiphys.resources.shape import ApiObject, Mandatory, always
from tiphys.resources.source import ApplicationSource
from tiphys.resources.spec import ApplicationDestination, ResourceIgnoreDifferences, SourceHydrator
from tiphys.resources.times import Timestamp


class HealthStatus(ApiObject, frozen=True):
    """Health of an application or of one of its resources."""

    status: str = ""
    """``Healthy``, ``Suspended``, ``Progressing``, ``Missing``, ``Degraded`` or ``Unknown``."""
    message: str = ""
    last_transition_time: Timestamp = NO_TIME


class ResourceStatus(ApiObject, frozen=True):
    """Sync and health of one resource."""

    group: str = ""
    version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    status: str = ""
    """``Synced``, ``OutOfSync`` or ``Unknown``."""
    health: HealthStatus | None = None
    hook: bool = False
    requires_pruning: bool = False
    sync_wave: int = 0
    requires_deletion_confirmation: bool = False


class ComparedTo(ApiObject, frozen=True):
    """The parts of the spec that the last comparison was made with."""

    source: ApplicationSource = always(ApplicationSource)
    destination: Mandatory[ApplicationDestination] = always(ApplicationDestination)
    sources: tuple[ApplicationSource, ...] = ()
    ignore_differences: tuple[ResourceIgnoreDifferences, ...] = ()


class SyncStatus(ApiObject, frozen=True):
    """Whether the live state equals the desired one, at which revision."""

    status: Mandatory[str] = always(str)
    """``Synced``, ``OutOfSync`` or ``Unknown``."""
    compared_to: ComparedTo = always(ComparedTo)
    revision: str = ""
    revisions: tuple[str, ...] = ()


class RevisionHistory(ApiObject, frozen=True):
    """One entry of the deployment history; the newest is last."""

    revision: str = ""
    deployed_at: Mandatory[Timestamp] = always(no_time)
    id: Mandatory[int] = always(int)
    source: ApplicationSource = always(ApplicationSource)
    deploy_started_at: Timestamp = NO_TIME
    sources: tuple[ApplicationSource, ...] = ()
    revisions: tuple[str, ...] = ()
    initiated_by: OperationInitiator = always(OperationInitiator)


class ApplicationCondition(ApiObject, frozen=True):
    """Something about an application that a person should know."""

    type: Mandatory[str] = always(str)
    message: Mandatory[str] = always(str)
    last_transition_time: Timestamp = NO_TIME


class ApplicationSummary(ApiObject, frozen=True):
    """URLs and images found among the live resources."""

    external_urls: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    is_app_of_apps: bool = False


HydratePhase = Annotated[str, msgspec.Meta(extra_json_schema={"enum": ["Hydrating", "Failed", "Hydrated"]})]


class HydrateOperation(ApiObject, frozen=True):
    """The hydration that runs or ran last."""

    started_at: Timestamp = always(no_time)
    finished_at: Timestamp = NO_TIME
    phase: Mandatory[HydratePhase] = always(str)
    message: Mandatory[str] = always(str)
    dry_sha: str = ""
    hydrated_sha: str = ""
    source_hydrator: SourceHydrator = always(SourceHydrator)


class SuccessfulHydrateOperation(ApiObject, frozen=True):
    """The last hydration that succeeded."""

    dry_sha: str = ""
    hydrated_sha: str = ""
    source_hydrator: SourceHydrator = always(SourceHydrator)


class SourceHydratorStatus(ApiObject, frozen=True):
    """How far the source hydrator is."""

    last_successful_operation: SuccessfulHydrateOperation | None = None
    current_operation: HydrateOperation | None = None
    last_compared_dry_revision: str = ""


class ApplicationStatus(ApiObject, frozen=True):
    """What the controller found out about an application and did to it."""

    resources: tuple[ResourceStatus, ...] = ()
    sync: SyncStatus = always(SyncStatus)
    health: HealthStatus = always(HealthStatus)
    history: tuple[RevisionHistory, ...] = ()
    conditions: tuple[ApplicationCondition, ...] = ()
    reconciled_at: Timestamp = NO_TIME
    operation_state: OperationState | None = None
    observed_at: Timestamp = NO_TIME
    source_type: str = ""
    """``Helm``, ``Kustomize``, ``Directory`` or ``Plugin``."""
    summary: ApplicationSummary = always(ApplicationSummary)
    resource_health_source: str = ""
    """``appTree``: the health of resources is in the tree and not in ``resources``."""
    source_types: tuple[str, ...] = ()
    controller_namespace: str = ""
    source_hydrator: SourceHydratorStatus = always(SourceHydratorStatus)
