"""Messages of the API package ``repository``."""

from collections.abc import Mapping

import msgspec

from tiphys.resources.messages.revisions import SourceIntegrityCheckResult
from tiphys.resources.messages.stored_repositories import Repository
from tiphys.resources.shape import ApiObject
from tiphys.resources.source import ApplicationSource, HelmFileParameter, HelmParameter


class AppInfo(ApiObject, frozen=True):
    """A directory that can be an application."""

    type: str = ""
    """``Helm``, ``Kustomize``, ``Directory`` or ``Plugin``."""
    path: str = ""


class DirectoryAppSpec(ApiObject, frozen=True):
    """What is told of a directory: nothing."""


class HelmAppSpec(ApiObject, frozen=True):
    """What is told of a chart."""

    name: str = ""
    value_files: tuple[str, ...] = ()
    """Value files in the chart's directory."""
    parameters: tuple[HelmParameter, ...] = ()
    """The values, flattened to parameters."""
    values: str = ""
    """The values file as text."""
    file_parameters: tuple[HelmFileParameter, ...] = ()


class HelmChart(ApiObject, frozen=True):
    """A chart of a Helm repository."""

    name: str = ""
    versions: tuple[str, ...] = ()
    """The newest first."""


class HelmChartsResponse(ApiObject, frozen=True):
    """The charts of a Helm repository."""

    items: tuple[HelmChart, ...] = ()


class KustomizeAppSpec(ApiObject, frozen=True):
    """What is told of a Kustomize directory."""

    images: tuple[str, ...] = ()
    """Images that can be set."""


class ManifestResponse(ApiObject, frozen=True):
    """What sources render to."""

    manifests: tuple[str, ...] = ()
    """Objects as JSON texts; values of Secrets are masked."""
    namespace: str = ""
    """Namespace of the destination."""
    server: str = ""
    revision: str = ""
    """The commit, chart version or digest."""
    source_type: str = ""
    verify_result: str = ""
    """What GnuPG said of the commit's signature."""
    commands: tuple[str, ...] = ()
    """Command lines that were run."""
    source_integrity_result: SourceIntegrityCheckResult | None = None


class ParameterAnnouncement(ApiObject, frozen=True):
    """A parameter that a plugin says it takes."""

    name: str = ""
    title: str = ""
    tooltip: str = ""
    required: bool = False
    item_type: str = ""
    """``string``, ``number`` or ``boolean``."""
    collection_type: str = ""
    """``string``, ``array`` or ``map``: which of the defaults below counts."""
    string: str = ""
    array: tuple[str, ...] = ()
    map: Mapping[str, str] = {}


class PluginAppSpec(ApiObject, frozen=True):
    """What is told of a plugin's directory."""

    parameters_announcement: tuple[ParameterAnnouncement, ...] = ()


class Refs(ApiObject, frozen=True):
    """Branches and tags."""

    branches: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class RepoAccessQuery(ApiObject, frozen=True):
    """A repository and credentials to try."""

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
    """Asks what a source holds."""

    source: ApplicationSource | None = None
    app_name: str = ""
    app_project: str = ""
    source_index: int = 0
    """Which of several sources, from 0."""
    version_id: int = msgspec.field(default=0, name="versionId")
    """``status.history[].id``: the sources as they were then."""


class RepoAppDetailsResponse(ApiObject, frozen=True):
    """What a source holds; the field of its type is set."""

    type: str = ""
    """``Helm``, ``Kustomize``, ``Directory`` or ``Plugin``."""
    helm: HelmAppSpec | None = None
    kustomize: KustomizeAppSpec | None = None
    directory: DirectoryAppSpec | None = None
    plugin: PluginAppSpec | None = None


class RepoAppsQuery(ApiObject, frozen=True):
    """Asks which directories can be applications."""

    repo: str = ""
    revision: str = ""
    app_name: str = ""
    app_project: str = ""


class RepoAppsResponse(ApiObject, frozen=True):
    """Directories that can be applications."""

    items: tuple[AppInfo, ...] = ()


class RepoCreateRequest(ApiObject, frozen=True):
    """A repository to add."""

    repo: Repository | None = None
    upsert: bool = False
    """Replace it if it is there."""
    creds_only: bool = False
    """Not looked at."""


class RepoQuery(ApiObject, frozen=True):
    """Names a repository, or asks for all."""

    repo: str = ""
    force_refresh: bool = False
    """Try the connection now instead of telling the last result."""
    app_project: str = ""
    """The repository as this project has it."""


class RepoResponse(ApiObject, frozen=True):
    """Nothing: it is done."""


class RepoUpdateRequest(ApiObject, frozen=True):
    """A repository's new content."""

    repo: Repository | None = None
