"""The controller's series: names, labels and buckets as dashboards expect them (operations.md 2)."""

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from tiphys.telemetry.client_metrics import verb_label
from tiphys.telemetry.metrics import AppLabels, AppSample, ClusterSample, ControllerMetrics, label_columns
from tiphys.telemetry.queues import QueueMetrics

APP = AppLabels("argocd", "guestbook", "default", "https://c")
NAME = {"namespace": "argocd", "name": "guestbook", "project": "default"}


def samples(metrics: ControllerMetrics) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def buckets(metrics: ControllerMetrics, name: str) -> list[float]:
    return [float(labels["le"]) for labels, _ in samples(metrics)[f"{name}_bucket"]]


def test_syncs_are_counted_with_phase_and_time() -> None:
    metrics = ControllerMetrics(process=False)
    metrics.sync_completed(APP, phase="Succeeded", dry_run=False, seconds=2.5)
    metrics.sync_completed(APP, phase="Failed", dry_run=True, seconds=1.0)
    found = samples(metrics)
    where = NAME | {"dest_server": "https://c"}
    assert (where | {"phase": "Succeeded", "dry_run": "false"}, 1.0) in found["argocd_app_sync_total"]
    assert (where | {"phase": "Failed", "dry_run": "true"}, 1.0) in found["argocd_app_sync_total"]
    assert found["argocd_app_sync_duration_seconds_total"] == [(where, 3.5)]


def test_reconciles_are_a_histogram_by_namespace_and_server() -> None:
    metrics = ControllerMetrics(process=False)
    metrics.reconciled(APP, 0.3)
    assert samples(metrics)["argocd_app_reconcile_sum"] == [
        ({"namespace": "argocd", "dest_server": "https://c"}, 0.3)
    ]
    assert buckets(metrics, "argocd_app_reconcile") == [0.25, 0.5, 1, 2, 4, 8, 16, float("inf")]


def test_requests_of_an_app() -> None:
    metrics = ControllerMetrics(process=False)
    metrics.app_request(
        APP, server="https://c", code=200, verb="Patch", kind="Deployment", namespace="ns", dry_run=True
    )
    labels = {"server": "https://c", "response_code": "200", "verb": "Patch", "resource_kind": "Deployment"}
    labels |= {"resource_namespace": "ns", "dry_run": "true"}
    assert samples(metrics)["argocd_app_k8s_request_total"] == [(NAME | labels, 1.0)]


def test_writes_pend_and_count() -> None:
    metrics = ControllerMetrics(hostname="pod-0", process=False)
    metrics.write_started("apply")
    labels = {"hostname": "pod-0", "command": "apply"}
    assert samples(metrics)["argocd_kubectl_exec_pending"] == [(labels, 1.0)]
    metrics.write_finished("apply")
    found = samples(metrics)
    assert found["argocd_kubectl_exec_pending"] == [(labels, 0.0)]
    assert found["argocd_kubectl_exec_total"] == [(labels, 1.0)]


def test_watch_events() -> None:
    metrics = ControllerMetrics(process=False)
    metrics.cluster_event("https://c", "apps", "Deployment", 3)
    metrics.events_processed("https://c", seconds=0.4, count=7)
    found = samples(metrics)
    assert found["argocd_cluster_events_total"] == [
        ({"server": "https://c", "group": "apps", "kind": "Deployment"}, 3.0)
    ]
    assert found["argocd_resource_events_processed_in_batch"] == [({"server": "https://c"}, 7.0)]
    assert buckets(metrics, "argocd_resource_events_processing")[0] == 0.25


def test_app_info_is_a_picture_of_the_present() -> None:
    apps = [AppSample(namespace="argocd", name="guestbook", project="default")]
    metrics = ControllerMetrics(apps=lambda: apps, process=False)
    (labels, value) = samples(metrics)["argocd_app_info"][0]
    assert value == 1.0
    assert labels == NAME | {
        "autosync_enabled": "false",
        "repo": "",
        "dest_server": "",
        "dest_namespace": "",
        "sync_status": "Unknown",
        "health_status": "Unknown",
        "operation": "",
    }
    apps.clear()
    assert "argocd_app_info" not in samples(metrics)


def test_optional_app_series_need_their_lists() -> None:
    app = AppSample(
        namespace="argocd",
        name="guestbook",
        project="default",
        labels={"team/name": "a"},
        conditions={"SyncError": 2, "OrphanedResourceWarning": 1},
        orphaned_resources=4,
    )
    bare = samples(ControllerMetrics(apps=lambda: [app], process=False))
    assert "argocd_app_labels" not in bare
    assert "argocd_app_condition" not in bare
    assert bare["argocd_app_orphaned_resources_count"] == [(NAME, 4.0)]
    full = samples(
        ControllerMetrics(
            apps=lambda: [app],
            app_labels=("team/name", "absent"),
            app_conditions=("SyncError", "ComparisonError"),
            process=False,
        )
    )
    assert full["argocd_app_labels"] == [(NAME | {"label_team_name": "a", "label_absent": ""}, 1.0)]
    assert full["argocd_app_condition"] == [(NAME | {"condition": "SyncError"}, 2.0)]


def test_cluster_series() -> None:
    cluster = ClusterSample(
        server="https://c", name="prod", k8s_version="1.36", objects=9, api_resources=3, labels={"e": "x"}
    )
    synced = ClusterSample(server="https://d", cache_age_seconds=12.5, connected=True)
    metrics = ControllerMetrics(clusters=lambda: [cluster, synced], cluster_labels=("e",), process=False)
    found = samples(metrics)
    assert ({"server": "https://c", "k8s_version": "1.36", "name": "prod"}, 1.0) in found[
        "argocd_cluster_info"
    ]
    assert ({"server": "https://c"}, 9.0) in found["argocd_cluster_api_resource_objects"]
    assert ({"server": "https://c"}, 3.0) in found["argocd_cluster_api_resources"]
    assert found["argocd_cluster_cache_age_seconds"] == [
        ({"server": "https://c"}, -1.0),
        ({"server": "https://d"}, 12.5),
    ]
    assert [value for _, value in found["argocd_cluster_connection_status"]] == [0.0, 1.0]
    assert ({"server": "https://c", "name": "prod", "label_e": "x"}, 1.0) in found["argocd_cluster_labels"]


def test_names_of_label_columns() -> None:  # operations.md 2
    assert label_columns(["team", "a.b/c-d", "x_1"]) == ["label_team", "label_a_b_c_d", "label_x_1"]
    two = ControllerMetrics(
        apps=lambda: [AppSample(namespace="n", name="a", project="p")],
        app_labels=("a.b", "a-b"),
        process=False,
    )
    assert len(samples(two)["argocd_app_labels"]) == 1


QUEUE_SERIES = {
    "workqueue_depth",
    "workqueue_adds_total",
    "workqueue_queue_duration_seconds_sum",
    "workqueue_work_duration_seconds_sum",
    "workqueue_unfinished_work_seconds",
    "workqueue_longest_running_processor_seconds",
    "workqueue_retries_total",
}


def test_queues_report_under_their_names() -> None:
    metrics = ControllerMetrics(process=False)
    queue = metrics.queue("app_reconciliation_queue")
    queue.added(2)
    queue.started(0.5, 1)
    queue.finished(0.25, failed=True)
    found = samples(metrics)
    name = {"name": "app_reconciliation_queue"}
    assert set(found) >= QUEUE_SERIES
    assert found["workqueue_depth"] == [(name, 1.0)]
    assert found["workqueue_adds_total"] == [(name, 1.0)]
    assert found["workqueue_retries_total"] == [(name, 1.0)]
    assert found["workqueue_queue_duration_seconds_sum"] == [(name, 0.5)]
    assert found["workqueue_work_duration_seconds_sum"] == [(name, 0.25)]
    assert metrics.queue("app_reconciliation_queue") is queue


def test_running_work_is_known_to_the_second() -> None:
    now = [100.0]
    queue = QueueMetrics(CollectorRegistry()).observer("q", lambda: now[0])
    queue.started(0, 1)
    now[0] = 103.0
    queue.started(0, 0)
    now[0] = 105.0
    assert queue.running_seconds() == [5.0, 2.0]
    queue.finished(2.0, failed=False)
    assert queue.running_seconds() == [5.0]


CLIENT = {
    "argocd_kubectl_request_duration_seconds_sum": ({"host": "h", "verb": "Patch"}, 0.2),
    "argocd_kubectl_rate_limiter_duration_seconds_sum": ({"host": "h", "verb": "Patch"}, 0.1),
    "argocd_kubectl_request_size_bytes_sum": ({"host": "h", "method": "PATCH"}, 70.0),
    "argocd_kubectl_response_size_bytes_sum": ({"host": "h", "method": "PATCH"}, 900.0),
    "argocd_kubectl_requests_total": ({"host": "h", "method": "PATCH", "code": "429"}, 1.0),
    "argocd_kubectl_request_retries_total": ({"host": "h", "method": "PATCH", "code": "429"}, 1.0),
    "argocd_kubectl_dns_resolution_duration_seconds_sum": ({"host": "h"}, 0.01),
    "argocd_kubectl_exec_plugin_call_total": ({"code": "0", "call_status": "no_error"}, 1.0),
    "argocd_kubectl_transport_cache_entries": ({}, 3.0),
    "argocd_kubectl_transport_create_calls_total": ({"result": "miss"}, 1.0),
    "argocd_kubectl_client_cert_rotation_age_seconds": ({}, 60.0),
}


def test_client_series() -> None:  # operations.md 2.2
    metrics = ControllerMetrics(process=False)
    client = metrics.client
    client.request(
        host="h", verb="patch", method="patch", code=429, seconds=0.2, waited_seconds=0.1,
        sent_bytes=70, received_bytes=900, retry=True,
    )  # fmt: skip
    client.dns_resolved("h", 0.01)
    client.exec_plugin_called(0, "no_error")
    client.transports(3, hit=False)
    client.certificate_rotated(60.0)
    found = samples(metrics)
    for name, sample in CLIENT.items():
        assert found[name] == [sample]
    assert buckets(metrics, "argocd_kubectl_request_duration_seconds") == [
        0.005,
        0.1,
        0.5,
        2,
        8,
        30,
        float("inf"),
    ]
    assert buckets(metrics, "argocd_kubectl_request_size_bytes")[:2] == [64, 512]


@pytest.mark.parametrize(
    ("verb", "label"),
    [
        ("get", "Get"),
        ("LIST", "List"),
        ("watch", "Watch"),
        ("POST", "Create"),
        ("put", "Update"),
        ("apply", "Patch"),
        ("x", "Unknown"),
    ],
)
def test_verbs(verb: str, label: str) -> None:
    assert verb_label(verb) == label


def test_counters_can_start_again_and_pictures_stay() -> None:
    metrics = ControllerMetrics(apps=lambda: [AppSample(namespace="n", name="a", project="p")], process=False)
    metrics.sync_completed(APP, phase="Succeeded", dry_run=False, seconds=1)
    metrics.reconciled(APP, 1)
    metrics.restart_counters()
    found = samples(metrics)
    assert "argocd_app_sync_total" not in found
    assert "argocd_app_reconcile_sum" not in found
    assert "argocd_app_info" in found


def test_the_process_is_measured() -> None:
    found = samples(ControllerMetrics())
    assert found["process_cpu_seconds_total"]
    assert found["process_resident_memory_bytes"]


def test_no_created_series() -> None:
    metrics = ControllerMetrics(process=False)
    metrics.sync_completed(APP, phase="Succeeded", dry_run=False, seconds=1)
    assert not [name for name in samples(metrics) if name.endswith("_created")]
