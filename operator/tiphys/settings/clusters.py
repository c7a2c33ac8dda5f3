"""Destination clusters: what their Secrets say, and which one an Application means.

``reading.py`` turns Secrets labelled ``secret-type: cluster`` into ``Cluster`` values
(operations.md 1.9); ``Clusters`` answers by server, name and project. The cluster the operator
runs in is always there under ``in-cluster`` / ``https://kubernetes.default.svc``, unless an
admin disabled it; a Secret for that URL takes its place. A Secret that cannot be read costs only
the Applications that use its cluster: they get the reason, the others do not notice.

``kube`` makes connections from a ``ClusterConfig``; nothing here prints a credential.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from tiphys.settings.secrecy import digest_of, redacted

IN_CLUSTER_SERVER = "https://kubernetes.default.svc"
IN_CLUSTER_NAME = "in-cluster"


class Destination(Protocol):
    """The part of ``resources.application.ApplicationDestination`` that names a cluster."""

    @property
    def server(self) -> str: ...
    @property
    def name(self) -> str: ...


class DestinationError(Exception):
    """The destination names no usable cluster; the text is the condition's message
    (applications.md 2.2). ``reason`` is one of ``both``, ``neither``, ``not-found``, ``disabled``,
    ``ambiguous``, ``broken``."""

    def __init__(self, message: str, reason: str = "not-found") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason


class TlsConfig(msgspec.Struct, frozen=True):
    """``tlsClientConfig``; certificates and key are the decoded bytes (PEM)."""

    insecure: bool = False
    server_name: str = ""
    cert_data: bytes = b""
    key_data: bytes = b""
    ca_data: bytes = b""

    def __repr__(self) -> str:
        return redacted(self, frozenset({"cert_data", "key_data", "ca_data"}))


class AwsAuthConfig(msgspec.Struct, frozen=True):
    """``awsAuthConfig``: a token from AWS' STS."""

    cluster_name: str = ""
    role_arn: str = ""
    profile: str = ""


class ExecProviderConfig(msgspec.Struct, frozen=True):
    """``execProviderConfig``: a token from a program. ``env`` and ``args`` may hold secrets."""

    command: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    api_version: str = ""
    install_hint: str = ""
    provide_cluster_info: bool = False

    def __repr__(self) -> str:
        return redacted(self, frozenset({"args", "env"}))


_SECRET_CONFIG = frozenset({"username", "password", "bearer_token"})


class ClusterConfig(msgspec.Struct, frozen=True):
    """How to reach a cluster and who to be there. Precedence: AWS, exec, then the rest."""

    username: str = ""
    password: str = ""
    bearer_token: str = ""
    tls: TlsConfig = TlsConfig()
    aws_auth: AwsAuthConfig | None = None
    exec_provider: ExecProviderConfig | None = None
    disable_compression: bool = False
    proxy_url: str = ""

    def __repr__(self) -> str:
        return redacted(self, _SECRET_CONFIG)

    @property
    def has_credentials(self) -> bool:
        """Whether there is anything to authenticate with (else the in-cluster destination uses
        the Pod's service account)."""
        return bool(
            self.username
            or self.password
            or self.bearer_token
            or self.tls.cert_data
            or self.aws_auth
            or self.exec_provider
        )

    @property
    def digest(self) -> str:
        """Changes when anything about the connection changes; reveals nothing."""
        return digest_of([msgspec.json.encode(self)])


class Cluster(msgspec.Struct, frozen=True):
    """One destination cluster. ``namespaces`` empty means all of them."""

    server: str
    name: str = ""
    namespaces: tuple[str, ...] = ()
    cluster_resources: bool = False
    config: ClusterConfig = ClusterConfig()
    project: str = ""
    shard: int | None = None
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    secret_name: str = ""
    """Empty for the implicit in-cluster destination."""

    @property
    def is_in_cluster(self) -> bool:
        return self.server == IN_CLUSTER_SERVER

    @property
    def refresh_requested(self) -> str:
        """RFC 3339 time of ``argocd.argoproj.io/refresh``: caches older than it are stale."""
        return self.annotations.get("argocd.argoproj.io/refresh", "")

    @property
    def skips_reconcile(self) -> bool:
        """Whether no controller manages this cluster (alpha)."""
        return self.annotations.get("argocd.argoproj.io/skip-reconcile") == "true"


IMPLICIT_IN_CLUSTER = Cluster(server=IN_CLUSTER_SERVER, name=IN_CLUSTER_NAME)


def trim_server(server: str) -> str:
    """A server URL as clusters are compared by: without one trailing ``/``."""
    return server.removesuffix("/")


class Clusters(msgspec.Struct, frozen=True):
    """All destination clusters by server URL. Build with :meth:`of`."""

    by_server: Mapping[str, Cluster] = msgspec.field(
        default_factory=lambda: {IN_CLUSTER_SERVER: IMPLICIT_IN_CLUSTER}
    )
    broken: Mapping[str, str] = {}
    """Server URL → why its Secret cannot be used (no secret in the text)."""
    in_cluster_enabled: bool = True
    broken_names: Mapping[str, str] = {}
    """Name → the same; who names such a cluster must not be told that there is none."""

    @classmethod
    def of(
        cls,
        clusters: tuple[Cluster, ...],
        *,
        in_cluster_enabled: bool = True,
        broken: Mapping[str, str] | None = None,
        broken_names: Mapping[str, str] | None = None,
    ) -> "Clusters":
        """Index clusters; of several with one server the first is taken."""
        by_server: dict[str, Cluster] = {}
        for cluster in clusters:
            if cluster.server == IN_CLUSTER_SERVER and not in_cluster_enabled:
                continue
            by_server.setdefault(cluster.server, cluster)
        broken = {server: why for server, why in (broken or {}).items() if server not in by_server}
        if in_cluster_enabled and IN_CLUSTER_SERVER not in broken:
            by_server.setdefault(IN_CLUSTER_SERVER, IMPLICIT_IN_CLUSTER)
        return cls(by_server, broken, in_cluster_enabled, broken_names or {})

    def all(self) -> tuple[Cluster, ...]:
        """Every usable cluster, by server URL."""
        return tuple(self.by_server[server] for server in sorted(self.by_server))

    def in_project(self, project: str) -> tuple[Cluster, ...]:
        """Clusters whose Secret says ``project: <project>``."""
        found = [cluster for cluster in self.by_server.values() if project and cluster.project == project]
        return tuple(sorted(found, key=lambda cluster: cluster.server))

    def secret_values(self) -> frozenset[str]:
        """Every credential as text, for the filter that keeps them out of logs."""
        found: set[str] = set()
        for cluster in self.by_server.values():
            config = cluster.config
            found |= {config.password, config.bearer_token, config.tls.key_data.decode("utf-8", "replace")}
            if config.exec_provider is not None:
                found.update(config.exec_provider.env.values())
        return frozenset(found) - {""}

    def get(self, server: str) -> Cluster:
        """The cluster of a server URL (a trailing ``/`` does not count).

        Raises:
            DestinationError: disabled, unusable or unknown.
        """
        server = trim_server(server)
        cluster = self.by_server.get(server)
        if cluster is not None:
            return cluster
        if server in self.broken:
            raise DestinationError(self.broken[server], "broken")
        if server == IN_CLUSTER_SERVER and not self.in_cluster_enabled:
            raise DestinationError(
                f'rpc error: code = NotFound desc = cluster "{server}" is disabled', "disabled"
            )
        raise DestinationError(f'rpc error: code = NotFound desc = cluster "{server}" not found')

    def resolve(self, destination: Destination) -> Cluster:
        """The cluster an Application means (applications.md 2.2).

        Raises:
            DestinationError: with the text of the condition.
        """
        server, name = destination.server, destination.name
        if server and name:
            raise DestinationError(
                f"application destination can't have both name and server defined: {name} {server}", "both"
            )
        if name:
            return self._by_name(name)
        if not server:
            raise DestinationError("Destination server missing from app spec", "neither")
        try:
            return self.get(server)
        except DestinationError as error:
            raise DestinationError(
                f'error getting cluster by server "{trim_server(server)}": {error.message}', error.reason
            ) from None

    def _by_name(self, name: str) -> Cluster:
        found = [cluster for cluster in self.all() if cluster.name == name]
        if not found and name in self.broken_names:
            raise DestinationError(self.broken_names[name], "broken")
        if not found:
            raise DestinationError(f"there are no clusters with this name: {name}")
        if len(found) > 1:
            servers = " ".join(cluster.server for cluster in found)
            raise DestinationError(
                f"there are {len(found)} clusters with the same name: [{servers}]", "ambiguous"
            )
        return found[0]
