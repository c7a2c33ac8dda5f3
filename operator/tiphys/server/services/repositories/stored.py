"""The form of repository and credential Secrets, pure (``sources.md`` 18.1, 18.2).

The inverse of ``settings.reading.read_repository``: what the API is given becomes the data of a
Secret that the reference, too, would have written: same name, labels, annotation and keys.
"""

import base64
from collections.abc import Collection, Mapping
from typing import TypeAlias

import msgspec

from tiphys.resources.identity import Manifest
from tiphys.resources.messages.stored_repositories import RepoCreds, Repository
from tiphys.settings.store import SECRET_TYPE

MANAGED_BY = "managed-by"
MANAGER = "argocd.argoproj.io"

Message: TypeAlias = Repository | RepoCreds


class Form(msgspec.Struct, frozen=True):
    """One kind of Secret: the value of its label, the prefix of generated names, its keys.

    ``keys``: attribute of the message → key of the data.
    """

    label: str
    prefix: str
    keys: Mapping[str, str]


_BOTH = {
    "type": "type",
    "username": "username",
    "password": "password",
    "bearer_token": "bearerToken",
    "ssh_private_key": "sshPrivateKey",
    "tls_client_cert_data": "tlsClientCertData",
    "tls_client_cert_key": "tlsClientCertKey",
    "github_app_id": "githubAppID",
    "github_app_installation_id": "githubAppInstallationID",
    "github_app_private_key": "githubAppPrivateKey",
    "github_app_enterprise_base_url": "githubAppEnterpriseBaseUrl",
    "gcp_service_account_key": "gcpServiceAccountKey",
    "azure_service_principal_client_secret": "azureServicePrincipalClientSecret",
    "azure_active_directory_endpoint": "azureActiveDirectoryEndpoint",
    "use_azure_workload_identity": "useAzureWorkloadIdentity",
    "proxy": "proxy",
    "no_proxy": "noProxy",
    "force_http_basic_auth": "forceHttpBasicAuth",
    "enable_oci": "enableOCI",
    "insecure_oci_force_http": "insecureOCIForceHttp",
}
_OF_REPOSITORIES = {
    "repo": "url",
    **_BOTH,
    "name": "name",
    "project": "project",
    "insecure": "insecure",
    "insecure_ignore_host_key": "insecureIgnoreHostKey",
    "enable_lfs": "enableLfs",
    "depth": "depth",
    "webhook_manifest_cache_warm_disabled": "webhookManifestCacheWarmDisabled",
    "azure_service_principal_client_id": "azureServicePrincipalClientId",
    "azure_service_principal_tenant_id": "azureServicePrincipalTenantId",
}
_OF_TEMPLATES = {
    "url": "url",
    **_BOTH,
    # spelled so in templates only (sources.md 18.2)
    "azure_service_principal_client_id": "azureServicePrincipalClientID",
    "azure_service_principal_tenant_id": "azureServicePrincipalTenantID",
}

REPOSITORY = Form("repository", "repo", _OF_REPOSITORIES)
WRITE_REPOSITORY = Form("repository-write", "repo-write", _OF_REPOSITORIES)
TEMPLATE = Form("repo-creds", "creds", _OF_TEMPLATES)
WRITE_TEMPLATE = Form("repo-write-creds", "creds-write", _OF_TEMPLATES)


def secret_name(form: Form, url: str, project: str = "") -> str:
    """``repo-1234567890``: the FNV-32a hash of URL and project, in decimal."""
    state = 0x811C9DC5
    for byte in (url + project).encode("utf-8", "surrogateescape"):
        state = ((state ^ byte) * 0x01000193) & 0xFFFFFFFF
    return f"{form.prefix}-{state}"


def data_of_message(form: Form, message: Message, present: Collection[str] = ()) -> dict[str, str]:
    """Key → text for every field with a value, and for the keys in ``present`` in any case."""
    found: dict[str, str] = {}
    for attribute, key in form.keys.items():
        value = getattr(message, attribute)
        if value or key in present:
            found[key] = str(value).lower() if isinstance(value, bool) else str(value)
    return found


def new_secret(form: Form, message: Message, namespace: str) -> Manifest:
    """The Secret of a repository or template that is created through the API."""
    url, project = _place(message)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": secret_name(form, url, project),
            "namespace": namespace,
            "labels": {SECRET_TYPE: form.label},
            "annotations": {MANAGED_BY: MANAGER},
        },
        "data": encoded(data_of_message(form, message)),
    }


def encoded(data: Mapping[str, str]) -> dict[str, str]:
    """The values as the API server wants them."""
    return {
        key: base64.b64encode(text.encode("utf-8", "surrogateescape")).decode() for key, text in data.items()
    }


def _place(message: Message) -> tuple[str, str]:
    return (message.repo, message.project) if isinstance(message, Repository) else (message.url, "")
