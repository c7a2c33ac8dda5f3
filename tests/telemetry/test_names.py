"""Every series of the controller's sheet, by name, type, labels and buckets (operations.md 2.1, 2.2, 2.6).

Dashboards and alerts of the reference name them; a series that is renamed or loses a label breaks one in
silence. What stands here is the sheet; that the values are right is tested beside each of them.
"""

from __future__ import annotations

import itertools

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tiphys.telemetry.commit_metrics import CommitMetrics
from tiphys.telemetry.metrics import AppLabels, AppSample, ClusterSample, ControllerMetrics

IDENTITY = "namespace name project"
HALVES = (0.25, 0.5, 1, 2, 4, 8, 16)
LATENCY = (0.005, 0.1, 0.5, 2, 8, 30)
SIZES = (64, 512, 4096, 65536, 1048576, 16777216)
GIT = (0.1, 0.25, 0.5, 1, 2, 4, 10, 20)

# name, type, labels, buckets
SHEET: list[tuple[str, str, str, tuple[float, ...]]] = [
    (
        "argocd_app_info",
        "gauge",
        f"{IDENTITY} autosync_enabled repo dest_server dest_namespace sync_status health_status operation",
        (),
    ),
    ("argocd_app_condition", "gauge", f"{IDENTITY} condition", ()),
    ("argocd_app_labels", "gauge", f"{IDENTITY} label_team", ()),
    ("argocd_app_orphaned_resources_count", "gauge", IDENTITY, ()),
    ("argocd_app_sync_total", "counter", f"{IDENTITY} dest_server phase dry_run", ()),
    ("argocd_app_sync_duration_seconds_total", "counter", f"{IDENTITY} dest_server", ()),
    ("argocd_app_reconcile", "histogram", "namespace dest_server", HALVES),
    (
        "argocd_app_k8s_request_total",
        "counter",
        f"{IDENTITY} server response_code verb resource_kind resource_namespace dry_run",
        (),
    ),
    ("argocd_kubectl_exec_total", "counter", "hostname command", ()),
    ("argocd_kubectl_exec_pending", "gauge", "hostname command", ()),
    ("argocd_cluster_events_total", "counter", "server group kind", ()),
    ("argocd_resource_events_processing", "histogram", "server", HALVES),
    ("argocd_resource_events_processed_in_batch", "gauge", "server", ()),
    ("argocd_redis_request_total", "counter", "hostname initiator command failed", ()),
    ("argocd_redis_request_duration", "histogram", "hostname initiator", ()),
    ("argocd_cluster_info", "gauge", "server k8s_version name", ()),
    ("argocd_cluster_api_resource_objects", "gauge", "server", ()),
    ("argocd_cluster_api_resources", "gauge", "server", ()),
    ("argocd_cluster_cache_age_seconds", "gauge", "server", ()),
    ("argocd_cluster_connection_status", "gauge", "server k8s_version", ()),
    ("argocd_cluster_labels", "gauge", "server name label_env", ()),
    ("workqueue_depth", "gauge", "name", ()),
    ("workqueue_adds_total", "counter", "name", ()),
    ("workqueue_queue_duration_seconds", "histogram", "name", ()),
    ("workqueue_work_duration_seconds", "histogram", "name", ()),
    ("workqueue_unfinished_work_seconds", "gauge", "name", ()),
    ("workqueue_longest_running_processor_seconds", "gauge", "name", ()),
    ("workqueue_retries_total", "counter", "name", ()),
    ("argocd_kubectl_client_cert_rotation_age_seconds", "gauge", "", ()),
    ("argocd_kubectl_request_duration_seconds", "histogram", "host verb", LATENCY),
    ("argocd_kubectl_dns_resolution_duration_seconds", "histogram", "host", LATENCY),
    ("argocd_kubectl_rate_limiter_duration_seconds", "histogram", "host verb", LATENCY),
    ("argocd_kubectl_request_size_bytes", "histogram", "host method", SIZES),
    ("argocd_kubectl_response_size_bytes", "histogram", "host method", SIZES),
    ("argocd_kubectl_requests_total", "counter", "host method code", ()),
    ("argocd_kubectl_request_retries_total", "counter", "host method code", ()),
    ("argocd_kubectl_exec_plugin_call_total", "counter", "code call_status", ()),
    ("argocd_kubectl_transport_cache_entries", "gauge", "", ()),
    ("argocd_kubectl_transport_create_calls_total", "counter", "result", ()),
    ("argocd_commitserver_commit_pending_request_total", "gauge", "repo", ()),
    ("argocd_commitserver_git_request_total", "counter", "repo request_type", ()),
    ("argocd_commitserver_git_request_duration_seconds", "histogram", "repo request_type", GIT),
    ("argocd_commitserver_commit_request_total", "counter", "repo response_type", ()),
    ("argocd_commitserver_commit_request_duration_seconds", "histogram", "repo response_type", GIT),
    ("argocd_commitserver_userinfo_request_duration_seconds", "histogram", "repo credential_type", GIT),
]
NEVER_OBSERVED = {
    "argocd_redis_request_total": "there is no Redis",
    "argocd_redis_request_duration": "there is no Redis",
    "argocd_commitserver_userinfo_request_duration_seconds": "nobody is asked who commits",
}
"""Declared, so that queries find the name; without samples their labels cannot be seen from outside."""

# What every process serves, under Go's names, for the dashboards (operations.md 2).
PROCESS = (
    "go_goroutines",
    "go_memstats_heap_alloc_bytes",
    "process_cpu_seconds_total",
    "process_start_time_seconds",
)


def everything() -> ControllerMetrics:
    """A controller to which everything has happened once."""
    sample = AppSample(
        namespace="argocd",
        name="a",
        project="default",
        autosync_enabled=True,
        repo="r",
        dest_server="s",
        dest_namespace="n",
        sync_status="Synced",
        health_status="Healthy",
        operation="",
        labels={"team": "x"},
        conditions={"SyncError": 1},
        orphaned_resources=1,
    )
    cluster = ClusterSample(
        server="s",
        name="c",
        k8s_version="v1",
        objects=1,
        api_resources=1,
        cache_age_seconds=1,
        connected=True,
        labels={"env": "x"},
    )
    metrics = ControllerMetrics(
        apps=lambda: [sample],
        clusters=lambda: [cluster],
        app_labels=("team",),
        app_conditions=("SyncError",),
        cluster_labels=("env",),
    )
    app = AppLabels("argocd", "a", "default", "s")
    metrics.sync_completed(app, phase="Succeeded", dry_run=False, seconds=1)
    metrics.reconciled(app, 1)
    metrics.app_request(app, server="s", code=200, verb="Get", kind="pods", namespace="n", dry_run=False)
    metrics.write_started("apply")
    metrics.cluster_event("s", "", "Pod")
    metrics.events_processed("s", seconds=1, count=1)
    queue = metrics.queue("app_reconciliation_queue")
    queue.added(1)
    queue.started(1, 0)
    client = metrics.client
    client.request(host="h", verb="get", method="GET", code=200, seconds=1, retry=True)
    client.dns_resolved("h", 1)
    client.exec_plugin_called(0, "no_error")
    client.transports(1, hit=True)
    client.certificate_rotated(1)
    commits = CommitMetrics(metrics.registry)
    with commits.pending("r"):
        pass
    commits.committed("r", 1, failed=False)
    commits.talked("r", "push", 1)
    return metrics


@pytest.fixture(scope="module")
def families() -> dict[str, tuple[str, set[str], tuple[float, ...]]]:
    """By name: type, labels and buckets of what a scrape shows."""
    found = {}
    for family in text_string_to_metric_families(everything().exposition().decode()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = set(itertools.chain(*(sample.labels for sample in family.samples))) - {"le"}
        bounds = {float(s.labels["le"]) for s in family.samples if s.name.endswith("_bucket")}
        found[name] = (family.type, labels, tuple(sorted(bounds - {float("inf")})))
    return found


@pytest.mark.parametrize(("name", "kind", "labels", "bounds"), SHEET, ids=[row[0] for row in SHEET])
def test_a_series_of_the_sheet(
    families: dict[str, tuple[str, set[str], tuple[float, ...]]],
    name: str,
    kind: str,
    labels: str,
    bounds: tuple[float, ...],
) -> None:
    found = families[name]
    assert found[0] == kind
    if name not in NEVER_OBSERVED:
        assert found[1] == set(labels.split())
        assert found[2] == bounds or not bounds


@pytest.mark.parametrize("name", PROCESS)
def test_a_series_of_the_process(
    families: dict[str, tuple[str, set[str], tuple[float, ...]]], name: str
) -> None:
    assert name in families
