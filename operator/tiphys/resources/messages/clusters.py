"""Destination clusters as the API shows them: never a credential (api.md 9, "Cluster")."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tiphys.resources.meta import NO_TIME, ListMeta, no_time
from tiphys.resources.shape import ApiObject, always, no_items
from tiphys.resources.times import Timestamp


class AWSAuthConfig(ApiObject, frozen=True):
    """Access to an EKS cluster through an IAM role."""

    cluster_name: str = ""
    role_arn: str = msgspec.field(default="", name="roleARN")
    profile: str = ""


class TLSClientConfig(ApiObject, frozen=True):
    """TLS of the connection to a cluster."""

    insecure: bool = always(bool)
    """Do not check the server's certificate."""
    server_name: str = ""
    """Name that the certificate must have, if not the host's."""
    cert_data: bytes = b""
    key_data: bytes = b""
    ca_data: bytes = b""

    def __repr__(self) -> str:
        return f"TLSClientConfig(insecure={self.insecure}, server_name={self.server_name!r}, …)"


class ExecProviderConfig(ApiObject, frozen=True):
    """A command that prints credentials."""

    command: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    api_version: str = ""
    install_hint: str = ""
    provide_cluster_info: bool = False
    config: Any = None

    def __repr__(self) -> str:
        return f"ExecProviderConfig(command={self.command!r}, …)"


class ClusterConfig(ApiObject, frozen=True):
    """Credentials of a cluster; only written, never shown."""

    username: str = ""
    password: str = ""
    bearer_token: str = ""
    tls_client_config: TLSClientConfig = always(TLSClientConfig)
    aws_auth_config: AWSAuthConfig | None = None
    exec_provider_config: ExecProviderConfig | None = None
    disable_compression: bool = False
    proxy_url: str = msgspec.field(default="", name="proxyUrl")

    def __repr__(self) -> str:
        return "ClusterConfig(…)"  # whatever prints a cluster prints no credential


class ConnectionState(ApiObject, frozen=True):
    """Whether something answers."""

    status: str = always(str)
    """``Successful``, ``Failed`` or ``Unknown``."""
    message: str = always(str)
    attempted_at: Timestamp = always(no_time)
    """When it was last tried."""


class ClusterCacheInfo(ApiObject, frozen=True):
    """What is known of a cluster's objects."""

    resources_count: int = 0
    """Objects that are watched."""
    apis_count: int = 0
    """Kinds that are watched."""
    last_cache_sync_time: Timestamp = NO_TIME


class ClusterInfo(ApiObject, frozen=True):
    """State and size of a cluster."""

    connection_state: ConnectionState = always(ConnectionState)
    server_version: str = ""
    """Kubernetes version such as ``1.31``."""
    cache_info: ClusterCacheInfo = always(ClusterCacheInfo)
    applications_count: int = always(int)
    """Applications that deploy there."""
    api_versions: tuple[str, ...] = ()


class Cluster(ApiObject, frozen=True):
    """A destination cluster."""

    server: str = always(str)
    """URL of the API server."""
    name: str = always(str)
    config: ClusterConfig = always(ClusterConfig)
    connection_state: ConnectionState = always(ConnectionState)
    """The same as in ``info`` (for old clients)."""
    server_version: str = ""
    """The same as in ``info`` (for old clients)."""
    namespaces: tuple[str, ...] = ()
    """Namespaces that are watched; all when empty."""
    refresh_requested_at: Timestamp = NO_TIME
    info: ClusterInfo = always(ClusterInfo)
    shard: int | None = None
    """Controller replica that looks after it; by hash when absent."""
    cluster_resources: bool = False
    """Watch cluster-scoped objects although ``namespaces`` is set."""
    project: str = ""
    """Only applications of this project may use it."""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}


class ClusterList(ApiObject, frozen=True):
    """The clusters that the caller may see."""

    metadata: ListMeta = always(ListMeta)
    items: tuple[Cluster, ...] = always(no_items)
