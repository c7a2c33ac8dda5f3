"""Labelled Secrets → clusters and repositories (operations.md 1.9, sources.md 18.2).

One Secret at a time, so that a broken one costs itself only. No message holds a value of a
Secret: it names the Secret, the key, and what would be right there.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tiphys.resources.identity import Manifest, annotations_of, labels_of
from tiphys.settings.clusters import (
    AwsAuthConfig,
    Cluster,
    ClusterConfig,
    ExecProviderConfig,
    TlsConfig,
    trim_server,
)
from tiphys.settings.problems import SettingError
from tiphys.settings.repositories import Repository
from tiphys.settings.values import go_bool

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""Never kept: on a Secret it repeats the credentials in clear."""


def data_of(manifest: Manifest) -> dict[str, str]:
    """The data of a ConfigMap or Secret as text (a Secret's base64 undone; what is no UTF-8 keeps
    its bytes as surrogates).

    Raises:
        SettingError: a value that is no base64 text.
    """
    if manifest.get("kind") != "Secret":
        return {key: str(value) for key, value in (manifest.get("data") or {}).items() if value is not None}
    found = {
        key: value for key, value in (manifest.get("stringData") or {}).items() if isinstance(value, str)
    }
    for key, value in (manifest.get("data") or {}).items():
        try:
            found.setdefault(
                key, base64.b64decode(value or "", validate=True).decode("utf-8", "surrogateescape")
            )
        except (binascii.Error, TypeError, ValueError):
            raise SettingError(place_of(manifest, key), "not valid base64") from None
    return found


def place_of(manifest: Manifest, key: str = "") -> str:
    """How problems name an object of ours: ``Secret name`` or ``Secret name, key x``."""
    name = f"{manifest.get('kind') or 'object'} {(manifest.get('metadata') or {}).get('name') or '?'}"
    return f"{name}, key {key}" if key else name


class _TlsJson(msgspec.Struct, rename="camel"):
    insecure: bool = False
    server_name: str = ""
    cert_data: str | None = None
    key_data: str | None = None
    ca_data: str | None = None


class _AwsJson(msgspec.Struct):
    cluster_name: str = msgspec.field(default="", name="clusterName")
    role_arn: str = msgspec.field(default="", name="roleARN")
    profile: str = ""


class _ExecJson(msgspec.Struct, rename="camel"):
    command: str = ""
    args: list[str] | None = None
    env: dict[str, str] | None = None
    api_version: str = ""
    install_hint: str = ""
    provide_cluster_info: bool = False


class _ConfigJson(msgspec.Struct, rename="camel"):
    username: str = ""
    password: str = ""
    bearer_token: str = ""
    tls_client_config: _TlsJson | None = None
    aws_auth_config: _AwsJson | None = None
    exec_provider_config: _ExecJson | None = None
    disable_compression: bool = False
    proxy_url: str = ""


def cluster_config(text: str, place: str) -> ClusterConfig:
    """The ``config`` of a cluster Secret.

    Raises:
        SettingError: not JSON, a field of the wrong type, an impossible combination.
    """
    if not text.strip():
        return ClusterConfig()
    try:
        decoded = msgspec.json.decode(text.encode("utf-8", "surrogateescape"), type=_ConfigJson)
    except msgspec.ValidationError as error:
        raise SettingError(place, f"wrong value: {error}") from None
    except msgspec.DecodeError:
        raise SettingError(place, "not valid JSON") from None
    except UnicodeDecodeError:
        raise SettingError(place, "not valid JSON: no UTF-8") from None
    tls = decoded.tls_client_config or _TlsJson()
    if tls.insecure and tls.ca_data:
        raise SettingError(place, "tlsClientConfig: insecure and caData exclude each other, leave one out")
    aws, execute = decoded.aws_auth_config, decoded.exec_provider_config
    return ClusterConfig(
        username=decoded.username,
        password=decoded.password,
        bearer_token=decoded.bearer_token,
        tls=TlsConfig(
            tls.insecure,
            tls.server_name,
            _base64(tls.cert_data, place, "tlsClientConfig.certData"),
            _base64(tls.key_data, place, "tlsClientConfig.keyData"),
            _base64(tls.ca_data, place, "tlsClientConfig.caData"),
        ),
        aws_auth=AwsAuthConfig(aws.cluster_name, aws.role_arn, aws.profile) if aws else None,
        exec_provider=ExecProviderConfig(
            execute.command,
            tuple(execute.args or ()),
            execute.env or {},
            execute.api_version,
            execute.install_hint,
            execute.provide_cluster_info,
        )
        if execute
        else None,
        disable_compression=decoded.disable_compression,
        proxy_url=_proxy(decoded.proxy_url, place),
    )


def _base64(text: str | None, place: str, field: str) -> bytes:
    try:
        return base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        raise SettingError(place, f"{field}: not valid base64") from None


def _proxy(url: str, place: str) -> str:
    if not url:
        return ""
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        raise SettingError(place, "proxyUrl: not a URL") from None
    if scheme not in ("http", "https", "socks5"):
        raise SettingError(
            place,
            f'failed to parse proxy url, unsupported scheme "{scheme}", must be http, https, or socks5',
        )
    return url


def read_cluster(manifest: Manifest) -> tuple[Cluster, str]:
    """A cluster, and a note on what was ignored (an invalid shard), else ``""``.

    Raises:
        SettingError: no server, or an unusable ``config``.
    """
    data = data_of(manifest)
    server = trim_server(data.get("server", "").strip())
    if not server:
        raise SettingError(place_of(manifest, "server"), "missing; write the URL of the cluster's API server")
    shard, note = None, ""
    if text := data.get("shard", "").strip():
        try:
            shard = int(text, 10)
        except ValueError:
            note = "shard: not a whole number, ignored"
    metadata = manifest.get("metadata") or {}
    annotations = {key: value for key, value in annotations_of(manifest).items() if key != _LAST_APPLIED}
    cluster = Cluster(
        server=server,
        name=data.get("name", ""),
        namespaces=tuple(word for part in data.get("namespaces", "").split(",") if (word := part.strip())),
        cluster_resources=data.get("clusterResources") == "true",
        config=cluster_config(data.get("config", ""), place_of(manifest, "config")),
        project=data.get("project", ""),
        shard=shard,
        labels=dict(labels_of(manifest)),
        annotations=annotations,
        secret_name=metadata.get("name") or "",
    )
    return cluster, note


_TEXT_KEYS: Mapping[str, tuple[str, ...]] = {
    "username": ("username",),
    "password": ("password",),
    "bearer_token": ("bearerToken",),
    "ssh_private_key": ("sshPrivateKey",),
    "tls_client_cert_data": ("tlsClientCertData",),
    "tls_client_cert_key": ("tlsClientCertKey",),
    "github_app_private_key": ("githubAppPrivateKey",),
    "github_app_enterprise_base_url": ("githubAppEnterpriseBaseUrl",),
    "gcp_service_account_key": ("gcpServiceAccountKey",),
    "azure_service_principal_client_id": (
        "azureServicePrincipalClientId",
        "azureServicePrincipalClientID",
    ),
    "azure_service_principal_client_secret": ("azureServicePrincipalClientSecret",),
    "azure_service_principal_tenant_id": (
        "azureServicePrincipalTenantId",
        "azureServicePrincipalTenantID",
    ),
    "azure_active_directory_endpoint": ("azureActiveDirectoryEndpoint",),
    "proxy": ("proxy",),
    "no_proxy": ("noProxy",),
}
_BOTH_FLAGS = {
    "force_http_basic_auth": "forceHttpBasicAuth",
    "enable_oci": "enableOCI",
    "insecure_oci_force_http": "insecureOCIForceHttp",
    "use_azure_workload_identity": "useAzureWorkloadIdentity",
}
_REPOSITORY_FLAGS = {
    "enable_lfs": "enableLfs",
    "webhook_manifest_cache_warm_disabled": "webhookManifestCacheWarmDisabled",
}
_BOTH_NUMBERS = {
    "github_app_id": "githubAppID",
    "github_app_installation_id": "githubAppInstallationID",
}


def read_repository(manifest: Manifest, *, template: bool) -> Repository:
    """A repository or a credential template; a value that cannot be read leaves ``problem`` set.

    Raises:
        SettingError: no URL, or data that is no base64.
    """
    data = data_of(manifest)
    url = data.get("url", "").strip()
    if not url:
        raise SettingError(place_of(manifest, "url"), "missing; write the URL of the repository")
    fields: dict[str, Any] = {}
    wrong: list[str] = []
    for name, keys in _TEXT_KEYS.items():
        fields[name] = next((data[key] for key in keys if data.get(key)), "")
    flags = _BOTH_FLAGS if template else _BOTH_FLAGS | _REPOSITORY_FLAGS
    for name, key in flags.items():
        fields[name] = _flag(data, key, wrong)
    for name, key in _BOTH_NUMBERS.items():
        fields[name] = _number(data, key, wrong)
    if not template:
        insecure = [_flag(data, key, wrong) for key in ("insecure", "insecureIgnoreHostKey")]
        fields |= {
            "name": data.get("name", ""),
            "project": data.get("project", ""),
            "insecure": any(insecure),
            "depth": _number(data, "depth", wrong),
        }
    kind = data.get("type", "").strip()
    return Repository(
        url=url,
        type=kind or ("oci" if url.startswith("oci://") else "git"),
        type_given=bool(kind),
        secret_name=(manifest.get("metadata") or {}).get("name") or "",
        problem="; ".join(wrong),
        **fields,
    )


def _flag(data: Mapping[str, str], key: str, wrong: list[str]) -> bool:
    text = data.get(key, "").strip()
    if not text:
        return False
    try:
        return go_bool(text)
    except ValueError as error:
        wrong.append(f"{key}: {error}")
        return False


def _number(data: Mapping[str, str], key: str, wrong: list[str]) -> int:
    text = data.get(key, "").strip()
    if not text:
        return 0
    try:
        return int(text, 10)
    except ValueError:
        wrong.append(f"{key}: expected a whole number")
        return 0
