"""How a destination cluster is connected, and what its live cache is made of."""

from collections.abc import Callable

import msgspec

from tiphys.compare.tracking import Tracking
from tiphys.health.assessing import assess
from tiphys.kube.client import ClusterClient
from tiphys.kube.connections import Connection, from_cluster
from tiphys.kube.limits import Limits
from tiphys.live.cluster import ClusterCache
from tiphys.live.records import Change
from tiphys.live.updates import UpdateDigest
from tiphys.reconcile.measuring import RequestMeter
from tiphys.resources.identity import GroupKind
from tiphys.settings.clusters import Cluster
from tiphys.settings.params import Params
from tiphys.settings.store import SettingsStore
from tiphys.telemetry.metrics import ControllerMetrics


class Connecting(msgspec.Struct, frozen=True):
    """See the module's story.

    Attributes:
        own: the connection of the control cluster, which may be a destination, too.
        on_change: told of changes of live objects.
        on_rules: told when the API server of a cluster may make something else of a write (an API group
            or None for all).
    """

    own: Connection
    settings: SettingsStore
    metrics: ControllerMetrics
    on_change: Callable[[Change], None]
    on_rules: Callable[[str, str | None], None]

    def client(self, cluster: Cluster) -> ClusterClient:
        """Opens nothing yet. Raises ConnectionSettingsError."""
        meter = RequestMeter(self.metrics, cluster.server)
        limits = _limits(self.settings.snapshot.params)
        connection = from_cluster(cluster, self.own)
        return ClusterClient(connection, limits=limits, on_sample=meter, on_begin=meter.begin)

    def cache(self, cluster: Cluster, client: ClusterClient) -> ClusterCache:
        """Built as the settings are now; not started."""
        snapshot, metrics = self.settings.snapshot, self.metrics

        def events(kind: GroupKind, count: int, seconds: float) -> None:
            metrics.cluster_event(cluster.server, kind.group, kind.kind, count)
            metrics.events_processed(cluster.server, seconds=seconds, count=count)

        return ClusterCache(
            client,
            resource_filter=snapshot.resource_filter,
            tracking=Tracking(
                snapshot.tracking_method, snapshot.instance_label_key, snapshot.installation_id
            ),
            on_change=self.on_change,
            assess=lambda manifest: assess(manifest, self.settings.snapshot.overrides),
            server=cluster.server,
            namespaces=cluster.namespaces,
            cluster_resources=cluster.cluster_resources,
            custom_labels=snapshot.custom_labels,
            respect_rbac=snapshot.respect_rbac,
            update_digest=UpdateDigest(
                snapshot.overrides,
                snapshot.compare_options,
                snapshot.ignore_resource_updates_enabled,
                lambda: self.settings.snapshot.params.jq_timeout,
            ),
            on_batch=events,
            on_rules=lambda group: self.on_rules(cluster.server, group),
        )


def _limits(params: Params) -> Limits:
    # The reference's default rate is no wish of anybody's: the API server defends itself.
    rate = params.controller_k8s_client_qps
    return Limits(
        qps=0.0 if rate == Params().controller_k8s_client_qps else rate,
        burst=params.controller_k8s_client_burst,
    )
