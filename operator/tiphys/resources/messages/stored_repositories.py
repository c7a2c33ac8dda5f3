"""Repositories, credentials, certificates and keys as the API takes and shows them (api.md 9)."""

import msgspec

from tiphys.resources.messages.clusters import ConnectionState
from tiphys.resources.meta import ListMeta
from tiphys.resources.shape import ApiObject, always, no_items


class GnuPGPublicKey(ApiObject, frozen=True):
    """A key that commits may be signed with."""

    key_id: str = always(str)
    """The last 16 digits of the fingerprint."""
    fingerprint: str = ""
    owner: str = ""
    trust: str = ""
    sub_type: str = ""
    """Algorithm such as ``rsa4096``."""
    key_data: str = ""
    """The armoured key."""


class GnuPGPublicKeyList(ApiObject, frozen=True):
    """The keys in the keyring."""

    metadata: ListMeta = always(ListMeta)
    items: tuple[GnuPGPublicKey, ...] = always(no_items)


class RepoCreds(ApiObject, frozen=True):
    """Credentials of all repositories under a URL; secrets are only written, never shown."""

    url: str = always(str)
    """The beginning of the repositories' URLs."""
    username: str = ""
    password: str = ""
    ssh_private_key: str = ""
    tls_client_cert_data: str = ""
    tls_client_cert_key: str = ""
    github_app_private_key: str = ""
    github_app_id: int = 0
    github_app_installation_id: int = 0
    github_app_enterprise_base_url: str = msgspec.field(default="", name="githubAppEnterpriseBaseUrl")
    enable_oci: bool = msgspec.field(default=False, name="enableOCI")
    type: str = ""
    gcp_service_account_key: str = ""
    proxy: str = ""
    force_http_basic_auth: bool = False
    no_proxy: str = ""
    use_azure_workload_identity: bool = False
    bearer_token: str = ""
    insecure_oci_force_http: bool = msgspec.field(default=False, name="insecureOCIForceHttp")
    azure_service_principal_client_id: str = msgspec.field(default="", name="azureServicePrincipalClientId")
    azure_service_principal_client_secret: str = ""
    azure_service_principal_tenant_id: str = msgspec.field(default="", name="azureServicePrincipalTenantId")
    azure_active_directory_endpoint: str = ""


class RepoCredsList(ApiObject, frozen=True):
    """Credentials that the caller may see."""

    metadata: ListMeta = always(ListMeta)
    items: tuple[RepoCreds, ...] = always(no_items)


class Repository(ApiObject, frozen=True):
    """A repository; secrets are only written, never shown."""

    repo: str = always(str)
    """Its URL."""
    username: str = ""
    password: str = ""
    ssh_private_key: str = ""
    connection_state: ConnectionState = always(ConnectionState)
    insecure_ignore_host_key: bool = False
    """An old name of ``insecure``."""
    insecure: bool = False
    """Do not check host keys and certificates."""
    enable_lfs: bool = False
    """Fetch large files, too."""
    tls_client_cert_data: str = ""
    tls_client_cert_key: str = ""
    type: str = ""
    """``git`` (when empty), ``helm`` or ``oci``."""
    name: str = ""
    """Name for people; of a Helm repository the name that dependencies use."""
    inherited_creds: bool = False
    """The credentials are those of a repository template."""
    enable_oci: bool = msgspec.field(default=False, name="enableOCI")
    github_app_private_key: str = ""
    github_app_id: int = 0
    github_app_installation_id: int = 0
    github_app_enterprise_base_url: str = msgspec.field(default="", name="githubAppEnterpriseBaseUrl")
    proxy: str = ""
    project: str = ""
    """Only applications of this project may use it."""
    gcp_service_account_key: str = ""
    force_http_basic_auth: bool = False
    no_proxy: str = ""
    use_azure_workload_identity: bool = False
    bearer_token: str = ""
    insecure_oci_force_http: bool = msgspec.field(default=False, name="insecureOCIForceHttp")
    depth: int = 0
    """Commits to fetch; all when 0."""
    webhook_manifest_cache_warm_disabled: bool = False
    azure_service_principal_client_id: str = msgspec.field(default="", name="azureServicePrincipalClientId")
    azure_service_principal_client_secret: str = ""
    azure_service_principal_tenant_id: str = msgspec.field(default="", name="azureServicePrincipalTenantId")
    azure_active_directory_endpoint: str = ""


class RepositoryCertificate(ApiObject, frozen=True):
    """A certificate or SSH host key of a server."""

    server_name: str = always(str)
    """The server, as in known hosts."""
    cert_type: str = always(str)
    """``ssh`` or ``https``."""
    cert_sub_type: str = always(str)
    """Kind of the key, such as ``ssh-ed25519``."""
    cert_data: bytes = always(bytes)
    """The host key's line content, or certificates as PEM."""
    cert_info: str = always(str)
    """Fingerprint, or the certificate's subject."""


class RepositoryCertificateList(ApiObject, frozen=True):
    """Certificates and host keys."""

    metadata: ListMeta = always(ListMeta)
    items: tuple[RepositoryCertificate, ...] = always(no_items)


class RepositoryList(ApiObject, frozen=True):
    """Repositories that the caller may see."""

    metadata: ListMeta = always(ListMeta)
    items: tuple[Repository, ...] = always(no_items)
