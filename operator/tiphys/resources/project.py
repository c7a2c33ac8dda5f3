"""The AppProject: what its applications may deploy, from where and to where.

The shapes only; what they permit is decided in ``tiphys.projects`` (``applications.md`` 15–22).
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from tiphys.resources.application import API_VERSION
from tiphys.resources.decoding import decode_as
from tiphys.resources.identity import AppKey, Manifest
from tiphys.resources.meta import GroupKindItem, ListMeta, ObjectMeta
from tiphys.resources.shape import ApiObject, Mandatory, always, no_items, no_reference
from tiphys.resources.spec import ApplicationDestination

KIND = "AppProject"

Description = Annotated[str, msgspec.Meta(extra_json_schema={"maxLength": 255})]


class ClusterResourceRestrictionItem(ApiObject, frozen=True):
    """A group and kind of cluster-scoped resources, and optionally their name; all may be globs."""

    group: Mandatory[str] = always(str)
    kind: Mandatory[str] = always(str)
    name: str = ""


class OrphanedResourceKey(ApiObject, frozen=True):
    """Resources that never count as orphaned; each part may be a glob."""

    group: str = ""
    kind: str = ""
    name: str = ""


class OrphanedResourcesMonitorSettings(ApiObject, frozen=True):
    """Monitoring of resources in an application's namespace that no application manages."""

    warn: bool | None = None
    """Raise a condition, too; false when absent."""
    ignore: tuple[OrphanedResourceKey, ...] = ()


class JWTToken(ApiObject, frozen=True):
    """A token of a role: when it was issued and expires (seconds since 1970)."""

    iat: Mandatory[int] = always(int)
    exp: int = 0
    id: str = ""


class JWTTokens(ApiObject, frozen=True):
    """The tokens of one role."""

    items: tuple[JWTToken, ...] = ()


class ProjectRole(ApiObject, frozen=True):
    """A role within the project: what it may do, and who has it."""

    name: Mandatory[str] = always(str)
    description: str = ""
    policies: tuple[str, ...] = ()
    """Casbin lines such as ``p, proj:<project>:<role>, applications, sync, <project>/*, allow``."""
    jwt_tokens: tuple[JWTToken, ...] = ()
    groups: tuple[str, ...] = ()
    """OIDC groups whose members have the role."""


class SyncWindow(ApiObject, frozen=True):
    """When applications may (``allow``) or may not (``deny``) be synced."""

    kind: str = ""
    schedule: str = ""
    """Start of the window as a cron line of five fields."""
    duration: str = ""
    """Length of the window as a duration such as ``1h30m``."""
    applications: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    manual_sync: bool = False
    """Manual syncs are possible even if this window forbids automated ones."""
    time_zone: str = ""
    """IANA name; UTC when empty."""
    and_operator: bool = False
    """Each given selector must match; without it one suffices."""
    description: str = ""
    sync_overrun: bool = False
    """A sync that began when it was allowed may go on."""


class SignatureKey(ApiObject, frozen=True):
    """A GnuPG key that commits may be signed with (deprecated: use ``sourceIntegrity``)."""

    key_id: Mandatory[str] = always(str)


class ApplicationDestinationServiceAccount(ApiObject, frozen=True):
    """The service account that syncs into matching destinations run as."""

    server: Mandatory[str] = always(str)
    namespace: str = ""
    default_service_account: Mandatory[str] = always(str)


class SourceIntegrityGitPolicyRepo(ApiObject, frozen=True):
    """Repositories that a policy is for: a glob, or with ``!`` those it is not for."""

    url: Mandatory[str] = always(str)


class SourceIntegrityGitPolicyGPG(ApiObject, frozen=True):
    """Which commits must be signed (``none``, ``head``, ``strict``) and by which keys."""

    mode: Mandatory[str] = always(str)
    keys: Mandatory[tuple[str, ...]] = always(no_items)


class SourceIntegrityGitPolicy(ApiObject, frozen=True):
    """What is verified in which repositories."""

    repos: Mandatory[tuple[SourceIntegrityGitPolicyRepo, ...]] = always(no_items)
    gpg: Mandatory[SourceIntegrityGitPolicyGPG | None] = always(no_reference)


class SourceIntegrityGit(ApiObject, frozen=True):
    """Verification of Git repositories."""

    policies: Mandatory[tuple[SourceIntegrityGitPolicy, ...]] = always(no_items)


class SourceIntegrity(ApiObject, frozen=True):
    """Verification of sources before they are rendered."""

    git: Mandatory[SourceIntegrityGit | None] = always(no_reference)


class AppProjectSpec(ApiObject, frozen=True):
    """What applications of the project may do."""

    source_repos: tuple[str, ...] = ()
    """URLs of repositories, as globs; ``!`` before one forbids it."""
    destinations: tuple[ApplicationDestination, ...] = ()
    """Clusters and namespaces, as globs; ``!`` before one forbids it."""
    description: Description = ""
    roles: tuple[ProjectRole, ...] = ()
    cluster_resource_whitelist: tuple[ClusterResourceRestrictionItem, ...] = ()
    """Cluster-scoped kinds that are permitted; none when empty."""
    namespace_resource_blacklist: tuple[GroupKindItem, ...] = ()
    orphaned_resources: OrphanedResourcesMonitorSettings | None = None
    sync_windows: tuple[SyncWindow, ...] = ()
    namespace_resource_whitelist: tuple[GroupKindItem, ...] | None = None
    """Namespaced kinds that are permitted; all when absent, none when empty."""
    signature_keys: tuple[SignatureKey, ...] = ()
    cluster_resource_blacklist: tuple[ClusterResourceRestrictionItem, ...] = ()
    source_namespaces: tuple[str, ...] = ()
    """Namespaces besides the control plane's that applications of the project may live in."""
    permit_only_project_scoped_clusters: bool = False
    destination_service_accounts: tuple[ApplicationDestinationServiceAccount, ...] = ()
    source_integrity: SourceIntegrity | None = None


class AppProjectStatus(ApiObject, frozen=True):
    """The tokens of the project's roles."""

    jwt_tokens_by_role: Mapping[str, JWTTokens] = {}


class AppProject(ApiObject, frozen=True):
    """What a group of applications may deploy, from where and to where."""

    api_version: str = always(lambda: API_VERSION)
    kind: str = always(lambda: KIND)
    metadata: Mandatory[ObjectMeta] = always(ObjectMeta)
    spec: Mandatory[AppProjectSpec] = always(AppProjectSpec)
    status: AppProjectStatus = always(AppProjectStatus)

    @property
    def key(self) -> AppKey:
        """Namespace and name."""
        return AppKey(self.metadata.namespace, self.metadata.name)

    @property
    def name(self) -> str:
        return self.metadata.name


class AppProjectList(ApiObject, frozen=True):
    """A list of projects."""

    api_version: str = always(lambda: API_VERSION)
    kind: str = always(lambda: "AppProjectList")
    metadata: ListMeta = always(ListMeta)
    items: tuple[AppProject, ...] = always(no_items)


def decode(body: bytes | Manifest) -> AppProject:
    """Read an AppProject; unknown fields are skipped.

    Raises:
        InvalidObject: a field has the wrong type; the error names it.
    """
    return decode_as(AppProject, body)
