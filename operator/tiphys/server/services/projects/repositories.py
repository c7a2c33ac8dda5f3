"""A project's own repositories as its details show them: never a credential (api.md 9)."""

from tiphys.resources.messages.stored_repositories import Repository
from tiphys.settings import repositories as stored
from tiphys.settings.urls import without_credentials


def shown_repository(repository: stored.Repository) -> Repository:
    """A repository for an answer."""
    return Repository(
        repo=without_credentials(repository.url),
        type=repository.type,
        name=repository.name,
        username=repository.username,
        insecure=repository.insecure,
        enable_lfs=repository.enable_lfs,
        enable_oci=repository.enable_oci,
        proxy=without_credentials(repository.proxy),
        no_proxy=repository.no_proxy,
        project=repository.project,
        force_http_basic_auth=repository.force_http_basic_auth,
        inherited_creds=repository.inherited_creds,
        github_app_id=repository.github_app_id,
        github_app_installation_id=repository.github_app_installation_id,
        github_app_enterprise_base_url=repository.github_app_enterprise_base_url,
        use_azure_workload_identity=repository.use_azure_workload_identity,
        insecure_oci_force_http=repository.insecure_oci_force_http,
        azure_service_principal_client_id=repository.azure_service_principal_client_id,
        azure_service_principal_tenant_id=repository.azure_service_principal_tenant_id,
        azure_active_directory_endpoint=repository.azure_active_directory_endpoint,
        depth=repository.depth,
    )
