"""What clients see of a destination cluster (api.md 9 "Cluster"): where it is, never who we are there.

Of the configuration only AWS' names, the proxy, compression, and how the server proves itself are
shown; user names, passwords, tokens, certificates and programs are not. ``serverVersion`` and
``connectionState`` are old copies of what ``info`` says.
"""

from collections.abc import Mapping

from tiphys.resources.messages.clusters import (
    AWSAuthConfig,
    Cluster,
    ClusterConfig,
    ClusterInfo,
    TLSClientConfig,
)
from tiphys.resources.meta import NO_TIME
from tiphys.resources.times import Timestamp, from_timestamp, to_timestamp
from tiphys.settings import clusters as stored
from tiphys.settings.store import SECRET_TYPE
from tiphys.settings.urls import without_credentials

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MANAGED_BY = "managed-by"
REFRESH = "argocd.argoproj.io/refresh"

HIDDEN_LABELS = frozenset({SECRET_TYPE})
HIDDEN_ANNOTATIONS = frozenset({LAST_APPLIED, MANAGED_BY})


def shown(cluster: stored.Cluster, info: ClusterInfo = ClusterInfo()) -> Cluster:  # noqa: B008 (frozen)
    """A cluster for an answer."""
    return Cluster(
        server=cluster.server,
        name=cluster.name or cluster.server,
        config=_config(cluster.config),
        connection_state=info.connection_state,
        server_version=info.server_version,
        namespaces=cluster.namespaces,
        refresh_requested_at=_time(cluster.refresh_requested),
        info=info,
        shard=cluster.shard,
        cluster_resources=cluster.cluster_resources,
        project=cluster.project,
        labels=_without(cluster.labels, HIDDEN_LABELS),
        annotations=_without(cluster.annotations, HIDDEN_ANNOTATIONS),
    )


def _config(config: stored.ClusterConfig) -> ClusterConfig:
    aws = config.aws_auth
    return ClusterConfig(
        tls_client_config=TLSClientConfig(insecure=config.tls.insecure, server_name=config.tls.server_name),
        aws_auth_config=AWSAuthConfig(
            cluster_name=aws.cluster_name, role_arn=aws.role_arn, profile=aws.profile
        )
        if aws is not None
        else None,
        disable_compression=config.disable_compression,
        proxy_url=without_credentials(config.proxy_url),
    )


def _time(text: str) -> Timestamp:
    """An annotation that is no time is none."""
    try:
        return to_timestamp(from_timestamp(text)) if text else NO_TIME
    except ValueError:
        return NO_TIME


def _without(values: Mapping[str, str], hidden: frozenset[str]) -> dict[str, str]:
    return {key: value for key, value in values.items() if key not in hidden}
