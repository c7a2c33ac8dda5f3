"""``spec`` of an Application: what shall run where, and how (``applications.md`` 2)."""

from typing import Annotated

import msgspec

from tiphys.resources.operation import Info, ManagedNamespaceMetadata, RetryStrategy
from tiphys.resources.shape import ApiObject, Mandatory, always
from tiphys.resources.source import ApplicationSource, DrySource

DEFAULT_HISTORY_LIMIT = 10


class ApplicationDestination(ApiObject, frozen=True):
    """A namespace in a cluster, which is named either by its API URL or by its name."""

    server: str = ""
    namespace: str = ""
    name: str = ""


class SyncPolicyAutomated(ApiObject, frozen=True):
    """Automated sync. Its presence turns it on unless ``enabled`` is false."""

    prune: bool | None = None
    self_heal: bool | None = None
    allow_empty: bool | None = None
    enabled: bool | None = None


class SyncPolicy(ApiObject, frozen=True):
    """When and how to sync."""

    automated: SyncPolicyAutomated | None = None
    sync_options: tuple[str, ...] = ()
    """Options such as ``CreateNamespace=true``, compared letter by letter."""
    retry: RetryStrategy | None = None
    managed_namespace_metadata: ManagedNamespaceMetadata | None = None

    @property
    def is_automated(self) -> bool:
        """Automated sync is on (``automated`` present and not disabled)."""
        return self.automated is not None and self.automated.enabled is not False


class ResourceIgnoreDifferences(ApiObject, frozen=True):
    """Differences that do not make a resource out of sync."""

    group: str = ""
    kind: Mandatory[str] = always(str)
    name: str = ""
    namespace: str = ""
    json_pointers: tuple[str, ...] = ()
    jq_path_expressions: tuple[str, ...] = ()
    managed_fields_managers: tuple[str, ...] = ()


# Neither empty nor the repository's root: a hydrator that writes there would replace everything.
SyncPath = Annotated[str, msgspec.Meta(extra_json_schema={"minLength": 1, "pattern": r"^.{2,}|[^./]$"})]


class SyncSource(ApiObject, frozen=True):
    """Where the hydrated manifests are read from."""

    target_branch: Mandatory[str] = always(str)
    path: Mandatory[SyncPath] = always(str)
    repo_url: str = ""
    """Repository of the hydrated manifests; that of the dry source when empty."""


class HydrateTo(ApiObject, frozen=True):
    """Another branch to push to, from where somebody promotes to ``syncSource``'s."""

    target_branch: Mandatory[str] = always(str)


class SourceHydrator(ApiObject, frozen=True):
    """Renders the dry source, pushes the result and syncs from there. Wins over all sources."""

    dry_source: Mandatory[DrySource] = always(DrySource)
    sync_source: Mandatory[SyncSource] = always(SyncSource)
    hydrate_to: HydrateTo | None = None

    def as_source(self) -> ApplicationSource:
        """The source that is synced from."""
        return ApplicationSource(
            repo_url=self.sync_source.repo_url or self.dry_source.repo_url,
            path=self.sync_source.path,
            target_revision=self.sync_source.target_branch,
        )


class ApplicationSpec(ApiObject, frozen=True):
    """What shall run where, and how."""

    source: ApplicationSource | None = None
    destination: Mandatory[ApplicationDestination] = always(ApplicationDestination)
    project: Mandatory[str] = always(str)
    """Name of the AppProject; ``default`` when empty."""
    sync_policy: SyncPolicy | None = None
    ignore_differences: tuple[ResourceIgnoreDifferences, ...] = ()
    info: tuple[Info, ...] = ()
    revision_history_limit: int | None = None
    """How many deployments ``status.history`` keeps; 10 when absent."""
    sources: tuple[ApplicationSource, ...] = ()
    """Several sources; when not empty, ``source`` is ignored."""
    source_hydrator: SourceHydrator | None = None

    @property
    def has_multiple_sources(self) -> bool:
        """``sources`` counts (even with one element): it is not empty and there is no hydrator."""
        return self.source_hydrator is None and bool(self.sources)

    def effective_sources(self) -> tuple[ApplicationSource, ...]:
        """The sources to render, never empty: the hydrator's, else ``sources``, else ``source``,
        else one empty source (``applications.md`` 2, "Effective source selection")."""
        if self.source_hydrator is not None:
            return (self.source_hydrator.as_source(),)
        return self.sources or (self.source or ApplicationSource(),)

    @property
    def project_name(self) -> str:
        """The project, ``default`` when none is named."""
        return self.project or "default"

    @property
    def history_limit(self) -> int:
        """How many deployments to keep, at least 0."""
        limit = self.revision_history_limit
        return DEFAULT_HISTORY_LIMIT if limit is None else max(0, limit)
