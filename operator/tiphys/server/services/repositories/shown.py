"""Repositories as messages, pure: what a client may see, and what a client said (``sources.md`` 18.3)."""

import msgspec

from tiphys.resources.messages.clusters import ConnectionState
from tiphys.resources.messages.repository import RepoAccessQuery
from tiphys.resources.messages.stored_repositories import RepoCreds
from tiphys.resources.messages.stored_repositories import Repository as Message
from tiphys.settings.repositories import Repository
from tiphys.settings.urls import without_password

_SHOWN = (
    "name",
    "type",
    "username",
    "insecure",
    "enable_lfs",
    "enable_oci",
    "proxy",
    "no_proxy",
    "project",
    "force_http_basic_auth",
    "inherited_creds",
    "github_app_id",
    "github_app_installation_id",
    "github_app_enterprise_base_url",
    "use_azure_workload_identity",
    "azure_active_directory_endpoint",
    "azure_service_principal_client_id",
    "azure_service_principal_tenant_id",
    "depth",
)
_STORED = (
    *(name for name in _SHOWN if name != "inherited_creds"),
    "password",
    "bearer_token",
    "ssh_private_key",
    "tls_client_cert_data",
    "tls_client_cert_key",
    "github_app_private_key",
    "gcp_service_account_key",
    "azure_service_principal_client_secret",
    "insecure_oci_force_http",
    "webhook_manifest_cache_warm_disabled",
)


def sanitised(repository: Repository, state: ConnectionState | None = None) -> Message:
    """Everything but secrets and certificates, with the connection state; no URL holds a password."""
    fields = {name: getattr(repository, name) for name in _SHOWN}
    fields["proxy"] = without_password(repository.proxy)
    shown = without_password(repository.url)
    return Message(repo=shown, connection_state=state or ConnectionState(), **fields)


def stored(repository: Repository) -> Message:
    """Everything that a Secret says, in one spelling, for comparing two of them; never an answer."""
    fields = {name: getattr(repository, name) for name in _STORED}
    return Message(repo=repository.url, **fields)


def given(message: Message | RepoAccessQuery) -> Repository:
    """The repository that a client describes, as its Secret would be read."""
    values = {name: getattr(message, name) for name in _STORED if name in message.__struct_fields__}
    url = message.repo.strip()
    kind = message.type.strip()
    values["type"] = kind or ("oci" if url.startswith("oci://") else "git")
    if isinstance(message, Message) and message.insecure_ignore_host_key:
        values["insecure"] = True
    return Repository(url=url, type_given=bool(kind), **values)


def sanitised_template(template: Repository) -> RepoCreds:
    """URL, username, type and whether it is for registries (api.md 9)."""
    kind = template.type if template.type_given else ""
    return RepoCreds(url=template.url, username=template.username, type=kind, enable_oci=template.enable_oci)


_OF_TEMPLATES = tuple(name for name in RepoCreds.__struct_fields__ if name not in ("url", "type"))


def stored_template(template: Repository) -> RepoCreds:
    """Everything that a template's Secret says, for comparing; never an answer."""
    kind = template.type if template.type_given else ""
    values = {name: getattr(template, name) for name in _OF_TEMPLATES}
    return RepoCreds(url=template.url, type=kind, **values)


def given_template(message: RepoCreds) -> RepoCreds:
    """What a client says of a template, as its Secret would be read."""
    return msgspec.structs.replace(message, url=message.url.strip(), type=message.type.strip())
