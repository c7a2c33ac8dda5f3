"""Flags, variables and argocd-cmd-params-cm (operations.md 1.7, 1.8; applications.md 26)."""

from typing import Any

import pytest

from tiphys.settings.params import Params, flag_names, rows
from tiphys.settings.rows import CONTROLLER, REPO, SERVER

AC = "ARGOCD_APPLICATION_CONTROLLER_"
PLACES = [
    (
        "status_processors",
        "--status-processors",
        AC + "STATUS_PROCESSORS",
        "controller.status.processors",
        "50",
        50,
    ),
    (
        "operation_processors",
        "--operation-processors",
        AC + "OPERATION_PROCESSORS",
        "controller.operation.processors",
        "7",
        7,
    ),
    (
        "hydration_processors",
        "--hydration-processors",
        AC + "HYDRATION_PROCESSORS",
        "controller.hydration.processors",
        "1",
        1,
    ),
    (
        "kubectl_parallelism_limit",
        "--kubectl-parallelism-limit",
        AC + "KUBECTL_PARALLELISM_LIMIT",
        "controller.kubectl.parallelism.limit",
        "-1",
        -1,
    ),
    (
        "self_heal_timeout",
        "--self-heal-timeout-seconds",
        AC + "SELF_HEAL_TIMEOUT_SECONDS",
        "controller.self.heal.timeout.seconds",
        "5",
        5.0,
    ),
    (
        "self_heal_backoff_timeout",
        "--self-heal-backoff-timeout-seconds",
        AC + "SELF_HEAL_BACKOFF_TIMEOUT_SECONDS",
        "controller.self.heal.backoff.timeout.seconds",
        "4",
        4.0,
    ),
    (
        "self_heal_backoff_factor",
        "--self-heal-backoff-factor",
        AC + "SELF_HEAL_BACKOFF_FACTOR",
        "controller.self.heal.backoff.factor",
        "2",
        2,
    ),
    (
        "self_heal_backoff_cap",
        "--self-heal-backoff-cap-seconds",
        AC + "SELF_HEAL_BACKOFF_CAP_SECONDS",
        "controller.self.heal.backoff.cap.seconds",
        "60",
        60.0,
    ),
    ("sync_timeout", "--sync-timeout", AC + "SYNC_TIMEOUT", "controller.sync.timeout.seconds", "9", 9.0),
    ("sync_wave_delay", "", "ARGOCD_SYNC_WAVE_DELAY", "controller.sync.wave.delay.seconds", "0", 0.0),
    (
        "repo_error_grace_period",
        "--repo-error-grace-period-seconds",
        "ARGOCD_REPO_ERROR_GRACE_PERIOD_SECONDS",
        "controller.repo.error.grace.period.seconds",
        "60",
        60.0,
    ),
    (
        "app_state_cache_expiration",
        "--app-state-cache-expiration",
        "ARGOCD_APP_STATE_CACHE_EXPIRATION",
        "controller.app.state.cache.expiration",
        "2h",
        7200.0,
    ),
    (
        "metrics_application_labels",
        "--metrics-application-labels",
        AC + "METRICS_APPLICATION_LABELS",
        "controller.metrics.application.labels",
        "a, b",
        ("a", "b"),
    ),
    (
        "metrics_application_conditions",
        "--metrics-application-conditions",
        AC + "METRICS_APPLICATION_CONDITIONS",
        "controller.metrics.application.conditions",
        "a",
        ("a",),
    ),
    (
        "metrics_cluster_labels",
        "--metrics-cluster-labels",
        AC + "METRICS_CLUSTER_LABELS",
        "controller.metrics.cluster.labels",
        "a",
        ("a",),
    ),
    (
        "sharding_algorithm",
        "--sharding-method",
        "ARGOCD_CONTROLLER_SHARDING_ALGORITHM",
        "controller.sharding.algorithm",
        "round-robin",
        "round-robin",
    ),
    (
        "persist_resource_health",
        "--persist-resource-health",
        AC + "PERSIST_RESOURCE_HEALTH",
        "controller.resource.health.persist",
        "TRUE",
        True,
    ),
    (
        "server_side_diff",
        "--server-side-diff-enabled",
        AC + "SERVER_SIDE_DIFF",
        "controller.diff.server.side",
        "true",
        True,
    ),
    ("controller_log_level", "--loglevel", AC + "LOGLEVEL", "controller.log.level", "debug", "debug"),
    ("controller_log_format", "--logformat", AC + "LOGFORMAT", "controller.log.format", "text", "text"),
    (
        "application_namespaces",
        "--application-namespaces",
        "ARGOCD_APPLICATION_NAMESPACES",
        "application.namespaces",
        "a,/b.*/",
        ("a", "/b.*/"),
    ),
    ("hydrator_enabled", "--hydrator-enabled", "ARGOCD_HYDRATOR_ENABLED", "hydrator.enabled", "true", True),
    ("enable_k8s_event", "--enable-k8s-event", "ARGOCD_ENABLE_K8S_EVENT", "", "none", ("none",)),
    ("controller_k8s_client_qps", "", "ARGOCD_K8S_CLIENT_QPS", "controller.k8s.client.qps", "12.5", 12.5),
    ("cluster_cache_resync", "", "ARGOCD_CLUSTER_CACHE_RESYNC_DURATION", "", "24h", 86400.0),
    ("cluster_cache_list_page_size", "", "ARGOCD_CLUSTER_CACHE_LIST_PAGE_SIZE", "", "100", 100),
    (
        "cluster_cache_batch_events",
        "",
        "ARGOCD_CLUSTER_CACHE_BATCH_EVENTS_PROCESSING",
        "controller.cluster.cache.batch.events.processing",
        "false",
        False,
    ),
    (
        "cluster_cache_events_interval",
        "",
        "ARGOCD_CLUSTER_CACHE_EVENTS_PROCESSING_INTERVAL",
        "controller.cluster.cache.events.processing.interval",
        "50ms",
        0.05,
    ),
    ("wq_base_delay", "--wq-basedelay-ns", "WORKQUEUE_BASE_DELAY_NS", "", "2000000", 0.002),
    ("wq_cooldown", "--wq-cooldown-ns", "WORKQUEUE_FAILURE_COOLDOWN_NS", "", "1000000000", 1.0),
    ("wq_backoff_factor", "--wq-backoff-factor", "WORKQUEUE_BACKOFF_FACTOR", "", "2.5", 2.5),
    (
        "repo_parallelism_limit",
        "--parallelismlimit",
        "ARGOCD_REPO_SERVER_PARALLELISM_LIMIT",
        "reposerver.parallelism.limit",
        "3",
        3,
    ),
    (
        "max_combined_directory_manifests_size",
        "--max-combined-directory-manifests-size",
        "ARGOCD_REPO_SERVER_MAX_COMBINED_DIRECTORY_MANIFESTS_SIZE",
        "reposerver.max.combined.directory.manifests.size",
        "20Mi",
        20 * 1024 * 1024,
    ),
    (
        "allow_oob_symlinks",
        "--allow-oob-symlinks",
        "ARGOCD_REPO_SERVER_ALLOW_OUT_OF_BOUNDS_SYMLINKS",
        "reposerver.allow.oob.symlinks",
        "true",
        True,
    ),
    ("git_request_timeout", "", "ARGOCD_GIT_REQUEST_TIMEOUT", "reposerver.git.request.timeout", "1m", 60.0),
    ("git_submodules", "", "ARGOCD_GIT_MODULES_ENABLED", "reposerver.enable.git.submodule", "false", False),
    (
        "helm_registry_max_index_size",
        "--helm-registry-max-index-size",
        "ARGOCD_REPO_SERVER_HELM_MANIFEST_MAX_INDEX_SIZE",
        "",
        "5M",
        5_000_000,
    ),
    ("exec_timeout", "", "ARGOCD_EXEC_TIMEOUT", "", "2m", 120.0),
    ("server_insecure", "--insecure", "ARGOCD_SERVER_INSECURE", "server.insecure", "true", True),
    (
        "server_sync_with_replace_allowed",
        "--sync-with-replace-allowed",
        "ARGOCD_SYNC_WITH_REPLACE_ALLOWED",
        "server.sync.replace.allowed",
        "false",
        False,
    ),
    (
        "applicationset_policy",
        "--policy",
        "ARGOCD_APPLICATIONSET_CONTROLLER_POLICY",
        "applicationsetcontroller.policy",
        "sync",
        "sync",
    ),
    (
        "notifications_processors",
        "--processors-count",
        "ARGOCD_NOTIFICATION_CONTROLLER_PROCESSORS_COUNT",
        "notificationscontroller.processors.count",
        "4",
        4,
    ),
]


@pytest.mark.parametrize(("field", "flag", "env", "key", "text", "value"), PLACES, ids=[p[0] for p in PLACES])
def test_every_place_sets_the_field(field: str, flag: str, env: str, key: str, text: str, value: Any) -> None:
    assert getattr(Params(), field) != value, "the case would prove nothing"
    places = [({env: text}, {}, {})]
    places += [({}, {key: text}, {})] if key else []
    places += [({}, {}, {flag: text})] if flag else []
    for environ, data, flags in places:
        params, problems = Params.load(environ, data, flags)
        assert problems == []
        assert getattr(params, field) == (pytest.approx(value) if isinstance(value, float) else value)


DEFAULTS = {
    "status_processors": 20,
    "operation_processors": 10,
    "hydration_processors": 5,
    "kubectl_parallelism_limit": 20,
    "self_heal_backoff_timeout": 2.0,
    "self_heal_backoff_factor": 3,
    "self_heal_backoff_cap": 300.0,
    "sync_wave_delay": 2.0,
    "repo_error_grace_period": 180.0,
    "app_state_cache_expiration": 3600.0,
    "controller_metrics_port": 8082,
    "server_metrics_port": 8083,
    "repo_metrics_port": 8084,
    "wq_base_delay": 0.001,
    "wq_max_delay": 1.0,
    "cluster_cache_resync": 43200.0,
    "max_combined_directory_manifests_size": 10_000_000,
    "exec_timeout": 90.0,
    "git_request_timeout": 15.0,
    "enable_k8s_event": ("all",),
}


@pytest.mark.parametrize(("field", "value"), DEFAULTS.items())
def test_defaults(field: str, value: Any) -> None:
    params, problems = Params.load({}, {}, {})
    assert problems == []
    assert getattr(params, field) == value


def test_flag_beats_environment_beats_configmap() -> None:
    key = {"controller.status.processors": "1"}
    env = {"ARGOCD_APPLICATION_CONTROLLER_STATUS_PROCESSORS": "2"}
    assert Params.load({}, key, {})[0].status_processors == 1
    assert Params.load(env, key, {})[0].status_processors == 2
    assert Params.load(env, key, {"--status-processors": "3"})[0].status_processors == 3


BAD = [
    (
        {"ARGOCD_SYNC_WAVE_DELAY": "soon"},
        {},
        {},
        "environment ARGOCD_SYNC_WAVE_DELAY",
        "sync_wave_delay",
        2.0,
    ),
    (
        {},
        {"controller.status.processors": "0"},
        {},
        "argocd-cmd-params-cm controller.status.processors",
        "status_processors",
        20,
    ),
    ({}, {}, {"--status-processors": "x"}, "flag --status-processors", "status_processors", 20),
    (
        {"ARGOCD_APP_STATE_CACHE_EXPIRATION": "11h"},
        {},
        {},
        "environment ARGOCD_APP_STATE_CACHE_EXPIRATION",
        "app_state_cache_expiration",
        3600.0,
    ),
    (
        {"ARGOCD_HYDRATOR_ENABLED": "yes"},
        {},
        {},
        "environment ARGOCD_HYDRATOR_ENABLED",
        "hydrator_enabled",
        False,
    ),
    ({}, {}, {"--nonsense": "1"}, "flag --nonsense", "status_processors", 20),
]


@pytest.mark.parametrize(
    ("environ", "data", "flags", "place", "field", "value"), BAD, ids=[b[3] for b in BAD]
)
def test_bad_text_is_a_problem_and_the_default_stays(
    environ: dict[str, str], data: dict[str, str], flags: dict[str, str], place: str, field: str, value: Any
) -> None:
    params, problems = Params.load(environ, data, flags)
    assert [problem.place for problem in problems] == [place]
    assert getattr(params, field) == value


def test_bad_text_lets_the_next_source_count() -> None:
    environ = {"ARGOCD_APPLICATION_CONTROLLER_STATUS_PROCESSORS": "many"}
    params, problems = Params.load(environ, {"controller.status.processors": "8"}, {})
    assert params.status_processors == 8
    assert len(problems) == 1


def test_flags_that_roles_share_need_the_role() -> None:
    params, problems = Params.load({}, {}, {"--metrics-port": "9"}, [CONTROLLER, SERVER])
    assert "--controller-metrics-port, --server-metrics-port" in problems[0].why
    assert params.controller_metrics_port == 8082
    params, problems = Params.load({}, {}, {"--metrics-port": "9"}, [REPO])
    assert (params.repo_metrics_port, problems) == (9, [])
    params, problems = Params.load({}, {}, {"--server-metrics-port": "9"}, [CONTROLLER, SERVER])
    assert (params.server_metrics_port, params.controller_metrics_port, problems) == (9, 8082, [])
    assert "--status-processors" not in flag_names([SERVER])


def test_log_flags_mean_every_role() -> None:
    params, problems = Params.load({}, {}, {"--loglevel": "debug"})
    assert problems == []
    assert params.controller_log_level == params.server_log_level == params.repo_log_level == "debug"


def test_units_of_flags_differ_from_variables() -> None:
    assert Params.load({"ARGOCD_RECONCILIATION_TIMEOUT": "3m"}, {}, {})[0].reconciliation_timeout == 180.0
    assert Params.load({}, {}, {"--app-resync": "90"})[0].reconciliation_timeout == 90.0
    assert (
        Params.load({"ARGOCD_REPO_ERROR_GRACE_PERIOD_SECONDS": "2m"}, {}, {})[0].repo_error_grace_period
        == 120.0
    )


def test_names_are_unique_within_a_role() -> None:
    seen: dict[tuple[str, str], str] = {}
    for name, row in rows().items():
        for role in row.roles:
            for place in (*row.flags, *row.env, *row.keys):
                if place != "ARGOCD_RECONCILIATION_TIMEOUT":
                    assert seen.setdefault((role, place), name) == name, place


def test_secret_parameters_are_not_shown() -> None:
    params, problems = Params.load({"ARGOCD_SERVER_OTLP_HEADERS": "auth=very-secret"}, {}, {})
    assert problems == []
    assert params.otlp_headers == (("auth", "very-secret"),)
    assert "very-secret" not in repr(params)
    _, problems = Params.load({"ARGOCD_SERVER_OTLP_HEADERS": "very-secret"}, {}, {})
    assert "very-secret" not in str(problems)


@pytest.mark.parametrize(
    ("text", "reason", "enabled"),
    [("all", "X", True), ("none", "X", False), ("X,Y", "X", True), ("Y", "X", False)],
)
def test_events_by_reason(text: str, reason: str, enabled: bool) -> None:  # operations.md 7.2
    params, _ = Params.load({"ARGOCD_ENABLE_K8S_EVENT": text}, {}, {})
    assert params.k8s_event_enabled(reason) is enabled


def test_whatever_is_named_seconds_takes_a_bare_number() -> None:
    for name, row in rows().items():
        for key in row.keys:
            if "seconds" in key:
                params, problems = Params.load({}, {key: "7"}, {})
                assert (problems, getattr(params, name)) == ([], 7.0), key
        for flag in row.flags:
            if "seconds" in flag:
                params, problems = Params.load({}, {}, {flag: "7"})
                assert (problems, getattr(params, name)) == ([], 7.0), flag


def test_the_table_is_whole() -> None:
    assert len(rows()) >= 208
