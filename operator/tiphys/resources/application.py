"""The Application: one thing deployed from its sources to one place.

This module holds the top of the object and gathers its parts, so that readers import everything
of an Application from here: ``source`` (where manifests come from), ``spec`` (what shall run),
``operation`` (what was asked for) and ``status`` (what was found and done).
"""

from tiphys.resources.decoding import decode_as
from tiphys.resources.identity import AppKey, Manifest
from tiphys.resources.meta import NO_TIME, ListMeta, ObjectMeta
from tiphys.resources.operation import (
    Backoff,
    Info,
    ManagedNamespaceMetadata,
    Operation,
    OperationInitiator,
    OperationState,
    ResourceResult,
    RetryStrategy,
    SyncOperation,
    SyncOperationResource,
    SyncOperationResult,
    SyncStrategy,
    SyncStrategyApply,
    SyncStrategyHook,
)
from tiphys.resources.shape import ApiObject, Mandatory, always, no_items, to_json
from tiphys.resources.source import (
    ApplicationSource,
    ApplicationSourceDirectory,
    ApplicationSourceHelm,
    ApplicationSourceJsonnet,
    ApplicationSourceKustomize,
    ApplicationSourcePlugin,
    ApplicationSourcePluginParameter,
    DrySource,
    EnvEntry,
    HelmFileParameter,
    HelmParameter,
    JsonnetVar,
    KustomizePatch,
    KustomizeReplica,
    KustomizeSelector,
)
from tiphys.resources.spec import (
    ApplicationDestination,
    ApplicationSpec,
    HydrateTo,
    ResourceIgnoreDifferences,
    SourceHydrator,
    SyncPolicy,
    SyncPolicyAutomated,
    SyncSource,
)
from tiphys.resources.status import (
    ApplicationCondition,
    ApplicationStatus,
    ApplicationSummary,
    ComparedTo,
    HealthStatus,
    HydrateOperation,
    ResourceStatus,
    RevisionHistory,
    SourceHydratorStatus,
    SuccessfulHydrateOperation,
    SyncStatus,
)

GROUP = "argoproj.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "Application"

__all__ = [
    "API_VERSION",
    "GROUP",
    "KIND",
    "NO_TIME",
    "VERSION",
    "Application",
    "ApplicationCondition",
    "ApplicationDestination",
    "ApplicationList",
    "ApplicationSource",
    "ApplicationSourceDirectory",
    "ApplicationSourceHelm",
    "ApplicationSourceJsonnet",
    "ApplicationSourceKustomize",
    "ApplicationSourcePlugin",
    "ApplicationSourcePluginParameter",
    "ApplicationSpec",
    "ApplicationStatus",
    "ApplicationSummary",
    "Backoff",
    "ComparedTo",
    "DrySource",
    "EnvEntry",
    "HealthStatus",
    "HelmFileParameter",
    "HelmParameter",
    "HydrateOperation",
    "HydrateTo",
    "Info",
    "JsonnetVar",
    "KustomizePatch",
    "KustomizeReplica",
    "KustomizeSelector",
    "ManagedNamespaceMetadata",
    "ObjectMeta",
    "Operation",
    "OperationInitiator",
    "OperationState",
    "ResourceIgnoreDifferences",
    "ResourceResult",
    "ResourceStatus",
    "RetryStrategy",
    "RevisionHistory",
    "SourceHydrator",
    "SourceHydratorStatus",
    "SuccessfulHydrateOperation",
    "SyncOperation",
    "SyncOperationResource",
    "SyncOperationResult",
    "SyncPolicy",
    "SyncPolicyAutomated",
    "SyncSource",
    "SyncStatus",
    "SyncStrategy",
    "SyncStrategyApply",
    "SyncStrategyHook",
    "decode",
    "to_json",
]


class Application(ApiObject, frozen=True):
    """One thing deployed from its sources to one place."""

    api_version: str = always(lambda: API_VERSION)
    kind: str = always(lambda: KIND)
    metadata: Mandatory[ObjectMeta] = always(ObjectMeta)
    spec: Mandatory[ApplicationSpec] = always(ApplicationSpec)
    status: ApplicationStatus = always(ApplicationStatus)
    operation: Operation | None = None

    @property
    def key(self) -> AppKey:
        """Namespace and name."""
        return AppKey(self.metadata.namespace, self.metadata.name)


class ApplicationList(ApiObject, frozen=True):
    """A list of applications."""

    api_version: str = always(lambda: API_VERSION)
    kind: str = always(lambda: "ApplicationList")
    metadata: ListMeta = always(ListMeta)
    items: tuple[Application, ...] = always(no_items)


def decode(body: bytes | Manifest) -> Application:
    """Read an Application; unknown fields are skipped.

    Raises:
        InvalidObject: a field has the wrong type; the error names it.
    """
    return decode_as(Application, body)
