"""The controller's metrics, under the reference's names (operations.md 2.1 and 2.2).

``ControllerMetrics`` owns one registry; there is no global one, so tests and several roles in a
process do not meet. Rooms above report events by calling methods with plain values. What is a
picture of the present (``argocd_app_info``, the ``argocd_cluster_*`` series) is computed when
somebody scrapes, from callbacks the composition root gives: an idle application costs nothing,
and a deleted one disappears at once. ``restart_counters`` is ``--metrics-cache-expiration``.
"""

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from tiphys.telemetry.client_metrics import ClientMetrics
from tiphys.telemetry.pictures import (
    AppSample,
    ClusterSample,
    PictureCollector,
    label_columns,
)
from tiphys.telemetry.queues import QueueMetrics, QueueObserver
from tiphys.telemetry.runtime import RuntimeCollector
from tiphys.telemetry.tallies import TallyCounter, TallyGauge, TallyHistogram

__all__ = [
    "AppLabels",
    "AppSample",
    "ClusterSample",
    "ControllerMetrics",
    "QueueObserver",
    "label_columns",
]

SECONDS_BUCKETS = (0.25, 0.5, 1, 2, 4, 8, 16)
REDIS_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1)
"""Kept for the name only: nothing here needs Redis, so the series stay empty."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class AppLabels(NamedTuple):
    """What names an application in a series; ``dest_server`` is the resolved cluster URL."""

    namespace: str
    name: str
    project: str
    dest_server: str = ""


class ControllerMetrics:
    """Everything the application controller counts.

    Args:
        apps: at scrape, the applications of this replica.
        clusters: at scrape, the clusters in this replica's cache.
        app_labels, app_conditions, cluster_labels: the ``--metrics-…`` lists.
        process: also serve ``process_*``, ``python_info`` and what dashboards ask for under Go's names.
    """

    def __init__(
        self,
        *,
        apps: Callable[[], Iterable[AppSample]] = tuple,
        clusters: Callable[[], Iterable[ClusterSample]] = tuple,
        app_labels: tuple[str, ...] = (),
        app_conditions: tuple[str, ...] = (),
        cluster_labels: tuple[str, ...] = (),
        hostname: str = "",
        process: bool = True,
    ) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._hostname = hostname or socket.gethostname()
        if process:
            ProcessCollector(registry=self.registry)
            PlatformCollector(registry=self.registry)
            self.registry.register(RuntimeCollector())
        self._pictures = PictureCollector(apps, clusters)
        self._pictures.show(app_labels, app_conditions, cluster_labels)
        self.registry.register(self._pictures)
        self.client = ClientMetrics(self.registry)
        self._queues = QueueMetrics(self.registry)

        self._sync_total = self._counter(
            "argocd_app_sync_total",
            "Number of completed application syncs.",
            "namespace name project dest_server phase dry_run",
        )
        self._sync_seconds = self._counter(
            "argocd_app_sync_duration_seconds_total",
            "Seconds spent in application syncs.",
            "namespace name project dest_server",
        )
        self._reconcile = self._histogram(
            "argocd_app_reconcile", "Seconds an application reconcile took.", "namespace dest_server"
        )
        self._k8s_requests = TallyCounter(
            "argocd_app_k8s_request",
            "Kubernetes requests made while reconciling or syncing an application.",
            "namespace name project server response_code verb resource_kind resource_namespace dry_run",
            self.registry,
        )
        self._kubectl_exec = TallyCounter(
            "argocd_kubectl_exec", "Writes made to destination clusters.", "hostname command", self.registry
        )
        self._kubectl_pending = TallyGauge(
            "argocd_kubectl_exec_pending",
            "Writes to destination clusters that are under way.",
            "hostname command",
            self.registry,
        )
        # Of few series, counted often: looking them up costs more than counting.
        self._children: dict[tuple[MetricWrapperBase, tuple[str, ...]], Any] = {}
        self._cluster_events = TallyCounter(
            "argocd_cluster_events", "Watch events processed.", "server group kind", self.registry
        )
        self._events_processing = TallyHistogram(
            "argocd_resource_events_processing",
            "Seconds a batch of watch events took.",
            "server",
            SECONDS_BUCKETS,
            self.registry,
        )
        self._events_batch = TallyGauge(
            "argocd_resource_events_processed_in_batch",
            "Watch events in the last batch.",
            "server",
            self.registry,
        )
        self._counter("argocd_redis_request_total", "Redis requests.", "hostname initiator command failed")
        self._histogram(
            "argocd_redis_request_duration",
            "Seconds of a Redis request.",
            "hostname initiator",
            REDIS_BUCKETS,
        )

    def _counter(self, name: str, text: str, labels: str) -> Counter:
        return Counter(name.removesuffix("_total"), text, labels.split(), registry=self.registry)

    def _histogram(
        self, name: str, text: str, labels: str, buckets: tuple[float, ...] = SECONDS_BUCKETS
    ) -> Histogram:
        return Histogram(name, text, labels.split(), buckets=buckets, registry=self.registry)

    def _of(self, metric: MetricWrapperBase, *labels: str) -> Any:
        """A series of a metric that has few."""
        child = self._children.get((metric, labels))
        if child is None:
            child = self._children[metric, labels] = metric.labels(*labels)
        return child

    def show(
        self,
        *,
        app_labels: tuple[str, ...],
        app_conditions: tuple[str, ...],
        cluster_labels: tuple[str, ...],
    ) -> None:
        """Choose the labels and conditions to show (the ``--metrics-…`` lists)."""
        self._pictures.show(app_labels, app_conditions, cluster_labels)

    def sync_completed(self, app: AppLabels, *, phase: str, dry_run: bool, seconds: float) -> None:
        """An operation ended in this phase after so many seconds."""
        self._sync_total.labels(*app, phase, _bool(dry_run)).inc()
        self._sync_seconds.labels(*app).inc(max(0.0, seconds))

    def reconciled(self, app: AppLabels, seconds: float) -> None:
        """A reconcile of the application took so many seconds."""
        self._of(self._reconcile, app.namespace, app.dest_server).observe(max(0.0, seconds))

    def app_request(
        self,
        app: AppLabels,
        *,
        server: str,
        code: int,
        verb: str,
        kind: str,
        namespace: str,
        dry_run: bool,
    ) -> None:
        """A Kubernetes request made for an application; ``code`` 0 means no answer."""
        self._k8s_requests.inc(
            (app.namespace, app.name, app.project, server, str(code), verb, kind, namespace, _bool(dry_run))
        )

    def write_started(self, command: str) -> None:
        """A write (``apply``, ``create``, ``replace``, ``auth``) began."""
        self._kubectl_exec.inc((self._hostname, command))
        self._kubectl_pending.inc((self._hostname, command))

    def write_finished(self, command: str) -> None:
        """A write ended, however it did."""
        self._kubectl_pending.inc((self._hostname, command), -1)

    def cluster_event(self, server: str, group: str, kind: str, count: int = 1) -> None:
        """Watch events of a kind were processed."""
        self._cluster_events.inc((server, group, kind), count)

    def events_processed(self, server: str, *, seconds: float, count: int) -> None:
        """A batch of watch events was processed."""
        self._events_processing.of((server,)).observe(seconds)
        self._events_batch.set((server,), count)

    def queue(self, name: str) -> QueueObserver:
        """Where the work queue of this name reports (``app_reconciliation_queue``, …)."""
        return self._queues.observer(name, time.monotonic)

    def restart_counters(self) -> None:
        """Forget counters and histograms (``--metrics-cache-expiration``); pictures stay."""
        for metric in (
            self._sync_total,
            self._sync_seconds,
            self._reconcile,
            self._k8s_requests,
            self._kubectl_exec,
            self._cluster_events,
            self._events_processing,
        ):
            metric.clear()
        self._children.clear()

    def exposition(self) -> bytes:
        """What ``/metrics`` answers, in the Prometheus text format."""
        return exposed(self.registry)


def exposed(registry: CollectorRegistry) -> bytes:
    """A registry in the Prometheus text format."""
    return generate_latest(_WithoutCreated(registry))


class _WithoutCreated(Collector):
    """A registry without the ``_created`` series, which the reference does not have."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family


def _bool(value: bool) -> str:
    return "true" if value else "false"
