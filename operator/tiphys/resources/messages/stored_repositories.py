"""Repositories, credentials, certificates and keys as the API takes and shows them (api.md 9)."""

import msgspec

from tiphys.resources.messages.clusters import ConnectionState
from tiphys.resources.meta import ListMeta
from tiphys.resources.shape import ApiObject, always, no_items


class GnuPGPublicKey(ApiObject, frozen=True):
    """Answer of ``GPGKeyService.Get``."""

    key_id: str = always(str)
    fingerprint: str = ""
    owner: str = ""
    trust: str = ""
    sub_type: str = ""
    key_data: str = ""


class GnuPGPublicKeyList(ApiObject, frozen=True):
    """Answer of ``GPGKeyService.List``."""

    metadata: ListMeta = always(ListMeta)
    items: tuple[GnuPGPublicKey, ...] = always(no_items)


class RepoCreds(ApiObject, frozen=True):
    """Answer of ``RepoCredsService.CreateRepositoryCredentials``,
    ``RepoCredsService.CreateWriteRepositoryCredentials``,
    ``RepoCredsService.UpdateRepositoryCredentials`` and others.
    """

    url: str = always(str)
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
    """Answer of ``RepoCredsService.ListRepositoryCredentials``,
    ``RepoCredsService.ListWriteRepositoryCredentials``.
    """

    metadata: ListMeta = always(ListMeta)
    items: tuple[RepoCreds, ...] = always(no_items)


class Repository(ApiObject, frozen=True):
    """Answer of ``RepositoryService.Get``, ``RepositoryService.GetWrite``, ``RepositoryService.Create``
    and others.
    """

    repo: str = always(str)
    username: str = ""
    password: str = ""
    ssh_private_key: str = ""
    connection_state: ConnectionState = always(ConnectionState)
    insecure_ignore_host_key: bool = False
    insecure: bool = False
    enable_lfs: bool = False
    tls_client_cert_data: str = ""
    tls_client_cert_key: str = ""
    type: str = ""
    name: str = ""
    inherited_creds: bool = False
    enable_oci: bool = msgspec.field(default=False, name="enableOCI")
    github_app_private_key: str = ""
    github_app_id: int = 0
    github_app_installation_id: int = 0
    github_app_enterprise_base_url: str = msgspec.field(default="", name="githubAppEnterpriseBaseUrl")
    proxy: str = ""
    project: str = ""
    gcp_service_account_key: str = ""
    force_http_basic_auth: bool = False
    no_proxy: str = ""
    use_azure_workload_identity: bool = False
    bearer_token: str = ""
    insecure_oci_force_http: bool = msgspec.field(default=False, name="insecureOCIForceHttp")
    depth: int = 0
    webhook_manifest_cache_warm_disabled: bool = False
    azure_service_principal_client_id: str = msgspec.field(default="", name="azureServicePrincipalClientId")
    azure_service_principal_client_secret: str = ""
    azure_service_principal_tenant_id: str = msgspec.field(default="", name="azureServicePrincipalTenantId")
    azure_active_directory_endpoint: str = ""


class RepositoryCertificate(ApiObject, frozen=True):
    """Part of ``RepositoryCertificateList``."""

    server_name: str = always(str)
    cert_type: str = always(str)
    cert_sub_type: str = always(str)
    cert_data: bytes = always(bytes)
    cert_info: str = always(str)


class RepositoryCertificateList(ApiObject, frozen=True):
    """Answer of ``CertificateService.ListCertificates``, ``CertificateService.CreateCertificate``,
    ``CertificateService.DeleteCertificate``.
    """

    metadata: ListMeta = always(ListMeta)
    items: tuple[RepositoryCertificate, ...] = always(no_items)


class RepositoryList(ApiObject, frozen=True):
    """Answer of ``RepositoryService.List``, ``RepositoryService.ListRepositories``,
    ``RepositoryService.ListWriteRepositories``.
    """

    metadata: ListMeta = always(ListMeta)
    items: tuple[Repository, ...] = always(no_items)
