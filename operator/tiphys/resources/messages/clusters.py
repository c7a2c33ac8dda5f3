"""Destination clusters as the API shows them: never a credential (api.md 9, "Cluster")."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tiphys.resources.meta import NO_TIME, ListMeta, no_time
from tiphys.resources.shape import ApiObject, always, no_items
from tiphys.resources.times import Timestamp


class AWSAuthConfig(ApiObject, frozen=True):
    """Part of ``ClusterConfig``."""

    cluster_name: str = ""
    role_arn: str = msgspec.field(default="", name="roleARN")
    profile: str = ""


class TLSClientConfig(ApiObject, frozen=True):
    """Part of ``ClusterConfig``."""

    insecure: bool = always(bool)
    server_name: str = ""
    cert_data: bytes = b""
    key_data: bytes = b""
    ca_data: bytes = b""


class ExecProviderConfig(ApiObject, frozen=True):
    """Part of ``ClusterConfig``."""

    command: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    api_version: str = ""
    install_hint: str = ""
    provide_cluster_info: bool = False
    config: Any = None


class ClusterConfig(ApiObject, frozen=True):
    """Part of ``Cluster``."""

    username: str = ""
    password: str = ""
    bearer_token: str = ""
    tls_client_config: TLSClientConfig = always(TLSClientConfig)
    aws_auth_config: AWSAuthConfig | None = None
    exec_provider_config: ExecProviderConfig | None = None
    disable_compression: bool = False
    proxy_url: str = msgspec.field(default="", name="proxyUrl")


class ConnectionState(ApiObject, frozen=True):
    """Part of ``Cluster``, ``ClusterInfo``."""

    status: str = always(str)
    message: str = always(str)
    attempted_at: Timestamp = always(no_time)


class ClusterCacheInfo(ApiObject, frozen=True):
    """Part of ``ClusterInfo``."""

    resources_count: int = 0
    apis_count: int = 0
    last_cache_sync_time: Timestamp = NO_TIME


class ClusterInfo(ApiObject, frozen=True):
    """Part of ``Cluster``."""

    connection_state: ConnectionState = always(ConnectionState)
    server_version: str = ""
    cache_info: ClusterCacheInfo = always(ClusterCacheInfo)
    applications_count: int = always(int)
    api_versions: tuple[str, ...] = ()


class Cluster(ApiObject, frozen=True):
    """Answer of ``ClusterService.Create``, ``ClusterService.Get``, ``ClusterService.Update`` and others."""

    server: str = always(str)
    name: str = always(str)
    config: ClusterConfig = always(ClusterConfig)
    connection_state: ConnectionState = always(ConnectionState)
    server_version: str = ""
    namespaces: tuple[str, ...] = ()
    refresh_requested_at: Timestamp = NO_TIME
    info: ClusterInfo = always(ClusterInfo)
    shard: int | None = None
    cluster_resources: bool = False
    project: str = ""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}


class ClusterList(ApiObject, frozen=True):
    """Answer of ``ClusterService.List``."""

    metadata: ListMeta = always(ListMeta)
    items: tuple[Cluster, ...] = always(no_items)
