"""Messages of the API package ``repository``; each message defined once (``wire/`` has the numbers)."""

from collections.abc import Mapping

import msgspec

from tiphys.resources.messages.revisions import SourceIntegrityCheckResult
from tiphys.resources.messages.stored_repositories import Repository
from tiphys.resources.shape import ApiObject
from tiphys.resources.source import ApplicationSource, HelmFileParameter, HelmParameter


class AppInfo(ApiObject, frozen=True):
    """Part of ``RepoAppsResponse``."""

    type: str = ""
    path: str = ""


class DirectoryAppSpec(ApiObject, frozen=True):
    """Part of ``RepoAppDetailsResponse``."""


class HelmAppSpec(ApiObject, frozen=True):
    """Part of ``RepoAppDetailsResponse``."""

    name: str = ""
    value_files: tuple[str, ...] = ()
    parameters: tuple[HelmParameter, ...] = ()
    values: str = ""
    file_parameters: tuple[HelmFileParameter, ...] = ()


class HelmChart(ApiObject, frozen=True):
    """Part of ``HelmChartsResponse``."""

    name: str = ""
    versions: tuple[str, ...] = ()


class HelmChartsResponse(ApiObject, frozen=True):
    """Answer of ``RepositoryService.GetHelmCharts``."""

    items: tuple[HelmChart, ...] = ()


class KustomizeAppSpec(ApiObject, frozen=True):
    """Part of ``RepoAppDetailsResponse``."""

    images: tuple[str, ...] = ()


class ManifestResponse(ApiObject, frozen=True):
    """Answer of ``ApplicationService.GetManifests``, ``ApplicationService.GetManifestsWithFiles``."""

    manifests: tuple[str, ...] = ()
    namespace: str = ""
    server: str = ""
    revision: str = ""
    source_type: str = ""
    verify_result: str = ""
    commands: tuple[str, ...] = ()
    source_integrity_result: SourceIntegrityCheckResult | None = None


class ParameterAnnouncement(ApiObject, frozen=True):
    """Part of ``PluginAppSpec``."""

    name: str = ""
    title: str = ""
    tooltip: str = ""
    required: bool = False
    item_type: str = ""
    collection_type: str = ""
    string: str = ""
    array: tuple[str, ...] = ()
    map: Mapping[str, str] = {}


class PluginAppSpec(ApiObject, frozen=True):
    """Part of ``RepoAppDetailsResponse``."""

    parameters_announcement: tuple[ParameterAnnouncement, ...] = ()


class Refs(ApiObject, frozen=True):
    """Answer of ``RepositoryService.ListRefs``, ``RepositoryService.ListOCITags``."""

    branches: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class RepoAccessQuery(ApiObject, frozen=True):
    """Request of ``RepositoryService.ValidateAccess``, ``RepositoryService.ValidateWriteAccess``."""

    repo: str = ""
    username: str = ""
    password: str = ""
    ssh_private_key: str = ""
    insecure: bool = False
    tls_client_cert_data: str = ""
    tls_client_cert_key: str = ""
    type: str = ""
    name: str = ""
    enable_oci: bool = False
    github_app_private_key: str = ""
    github_app_id: int = 0
    github_app_installation_id: int = 0
    github_app_enterprise_base_url: str = msgspec.field(default="", name="githubAppEnterpriseBaseUrl")
    proxy: str = ""
    project: str = ""
    gcp_service_account_key: str = ""
    force_http_basic_auth: bool = False
    use_azure_workload_identity: bool = False
    bearer_token: str = ""
    insecure_oci_force_http: bool = False
    azure_service_principal_client_id: str = msgspec.field(default="", name="azureServicePrincipalClientId")
    azure_service_principal_client_secret: str = ""
    azure_service_principal_tenant_id: str = msgspec.field(default="", name="azureServicePrincipalTenantId")
    azure_active_directory_endpoint: str = ""


class RepoAppDetailsQuery(ApiObject, frozen=True):
    """Request of ``RepositoryService.GetAppDetails``."""

    source: ApplicationSource | None = None
    app_name: str = ""
    app_project: str = ""
    source_index: int = 0
    version_id: int = msgspec.field(default=0, name="versionId")


class RepoAppDetailsResponse(ApiObject, frozen=True):
    """Answer of ``RepositoryService.GetAppDetails``."""

    type: str = ""
    helm: HelmAppSpec | None = None
    kustomize: KustomizeAppSpec | None = None
    directory: DirectoryAppSpec | None = None
    plugin: PluginAppSpec | None = None


class RepoAppsQuery(ApiObject, frozen=True):
    """Request of ``RepositoryService.ListApps``."""

    repo: str = ""
    revision: str = ""
    app_name: str = ""
    app_project: str = ""


class RepoAppsResponse(ApiObject, frozen=True):
    """Answer of ``RepositoryService.ListApps``."""

    items: tuple[AppInfo, ...] = ()


class RepoCreateRequest(ApiObject, frozen=True):
    """Request of ``RepositoryService.Create``, ``RepositoryService.CreateRepository``,
    ``RepositoryService.CreateWriteRepository``.
    """

    repo: Repository | None = None
    upsert: bool = False
    creds_only: bool = False


class RepoQuery(ApiObject, frozen=True):
    """Request of ``RepositoryService.List``, ``RepositoryService.Get``, ``RepositoryService.GetWrite`` and
    others.
    """

    repo: str = ""
    force_refresh: bool = False
    app_project: str = ""


class RepoResponse(ApiObject, frozen=True):
    """Answer of ``RepositoryService.Delete``, ``RepositoryService.DeleteRepository``,
    ``RepositoryService.DeleteWriteRepository`` and others.
    """


class RepoUpdateRequest(ApiObject, frozen=True):
    """Request of ``RepositoryService.Update``, ``RepositoryService.UpdateRepository``,
    ``RepositoryService.UpdateWriteRepository``.
    """

    repo: Repository | None = None
