"""Parameters of the application controller: a part of the table in ``params.py``
(applications.md 26, operations.md 1.7, health-and-resources.md 15)."""

from typing import Annotated

from tiphys.settings import values
from tiphys.settings.params_shared import SharedParams
from tiphys.settings.rows import (
    CONTROLLER,
    FORMATS,
    LEVELS,
    NANOSECONDS,
    SECONDS,
    cluster_cache,
    controller,
    plain,
    work_queue,
)
from tiphys.settings.values import bounded_duration, integer, number


class ControllerParams(SharedParams, frozen=True, kw_only=True):
    """The application controller, its live cache and its queues."""

    # Application controller
    controller_log_format: Annotated[
        str, controller("log.format", "--logformat", "ARGOCD_APPLICATION_CONTROLLER_LOGFORMAT", parse=FORMATS)
    ] = "json"
    controller_log_level: Annotated[
        str, controller("log.level", "--loglevel", "ARGOCD_APPLICATION_CONTROLLER_LOGLEVEL", parse=LEVELS)
    ] = "info"
    controller_metrics_port: Annotated[
        int, controller("metrics.port", env="", key="", parse=integer(0, 65535))
    ] = 8082
    inside_port: Annotated[
        int, plain("--inside-port", "TIPHYS_INSIDE_PORT", "", (CONTROLLER,), parse=integer(0, 65535))
    ] = 8085
    """Where API servers in other processes ask; used only where this process has no API server."""
    status_processors: Annotated[int, controller("status.processors", parse=integer(1))] = 20
    operation_processors: Annotated[int, controller("operation.processors", parse=integer(1))] = 10
    hydration_processors: Annotated[int, controller("hydration.processors", parse=integer(1))] = 5
    kubectl_parallelism_limit: Annotated[int, controller("kubectl.parallelism.limit")] = 20
    """Under 1: no limit."""
    self_heal_timeout: Annotated[float, controller("self.heal.timeout.seconds", parse=SECONDS)] = 0.0
    self_heal_backoff_timeout: Annotated[
        float, controller("self.heal.backoff.timeout.seconds", parse=SECONDS)
    ] = 2.0
    self_heal_backoff_factor: Annotated[int, controller("self.heal.backoff.factor", parse=integer(0))] = 3
    self_heal_backoff_cap: Annotated[float, controller("self.heal.backoff.cap.seconds", parse=SECONDS)] = (
        300.0
    )
    self_heal_backoff_cooldown: Annotated[
        float, controller("self.heal.backoff.cooldown.seconds", parse=SECONDS)
    ] = 330.0
    """Deprecated, without effect."""
    sync_timeout: Annotated[
        float,
        controller(
            "sync.timeout.seconds",
            "--sync-timeout",
            "ARGOCD_APPLICATION_CONTROLLER_SYNC_TIMEOUT",
            parse=SECONDS,
        ),
    ] = 0.0
    """0: none."""
    sync_wave_delay: Annotated[
        float, controller("sync.wave.delay.seconds", "", "ARGOCD_SYNC_WAVE_DELAY", parse=SECONDS)
    ] = 2.0
    repo_error_grace_period: Annotated[
        float,
        controller(
            "repo.error.grace.period.seconds",
            env="ARGOCD_REPO_ERROR_GRACE_PERIOD_SECONDS",
            parse=values.seconds_or_duration,
            parse_flag=SECONDS,
        ),
    ] = 180.0
    metrics_cache_expiration: Annotated[float, controller("metrics.cache.expiration")] = 0.0
    metrics_application_labels: Annotated[tuple[str, ...], controller("metrics.application.labels")] = ()
    metrics_application_conditions: Annotated[
        tuple[str, ...], controller("metrics.application.conditions")
    ] = ()
    metrics_cluster_labels: Annotated[tuple[str, ...], controller("metrics.cluster.labels")] = ()
    sharding_algorithm: Annotated[
        str, controller("sharding.algorithm", "--sharding-method", "ARGOCD_CONTROLLER_SHARDING_ALGORITHM")
    ] = "legacy"
    persist_resource_health: Annotated[
        bool,
        controller(
            "resource.health.persist",
            "--persist-resource-health",
            "ARGOCD_APPLICATION_CONTROLLER_PERSIST_RESOURCE_HEALTH",
        ),
    ] = False
    server_side_diff: Annotated[
        bool,
        controller(
            "diff.server.side", "--server-side-diff-enabled", "ARGOCD_APPLICATION_CONTROLLER_SERVER_SIDE_DIFF"
        ),
    ] = False
    jq_timeout: Annotated[
        float,
        controller(
            "ignore.normalizer.jq.timeout",
            "--ignore-normalizer-jq-execution-timeout-seconds",
            "ARGOCD_IGNORE_NORMALIZER_JQ_TIMEOUT",
            parse=values.seconds_or_duration,
            parse_flag=SECONDS,
        ),
    ] = 0.0
    """0 means 1 s."""
    reconciliation_timeout: Annotated[
        float | None,
        controller("app.resync", env="ARGOCD_RECONCILIATION_TIMEOUT", key="", parse_flag=SECONDS),
    ] = None
    """``None``: as ``argocd-cm`` says."""
    hard_reconciliation_timeout: Annotated[
        float | None,
        controller("app.hard.resync", env="ARGOCD_HARD_RECONCILIATION_TIMEOUT", key="", parse_flag=SECONDS),
    ] = None
    reconciliation_jitter: Annotated[
        float | None,
        controller("app.resync.jitter", env="ARGOCD_RECONCILIATION_JITTER", key="", parse_flag=SECONDS),
    ] = None
    controller_replicas: Annotated[
        int, plain("", "ARGOCD_CONTROLLER_REPLICAS", "", (CONTROLLER,), parse=integer(0))
    ] = 1
    controller_shard: Annotated[int, plain("", "ARGOCD_CONTROLLER_SHARD", "", (CONTROLLER,))] = -1
    dynamic_cluster_distribution: Annotated[
        bool,
        plain(
            "--dynamic-cluster-distribution-enabled",
            "ARGOCD_ENABLE_DYNAMIC_CLUSTER_DISTRIBUTION",
            "",
            (CONTROLLER,),
        ),
    ] = False
    controller_heartbeat_time: Annotated[
        float,
        plain("", "ARGOCD_CONTROLLER_HEARTBEAT_TIME", "", (CONTROLLER,), parse=values.scaled(1.0, 10, 60)),
    ] = 10.0
    update_cluster_info_timeout: Annotated[
        float,
        plain("", "ARGO_CD_UPDATE_CLUSTER_INFO_TIMEOUT", "", (CONTROLLER,), parse=bounded_duration(10, 60)),
    ] = 10.0
    application_tree_shard_size: Annotated[
        int, plain("", "ARGOCD_APPLICATION_TREE_SHARD_SIZE", "", (CONTROLLER,), parse=integer(0, 1000))
    ] = 0

    # Live cache (health-and-resources.md 15)
    cluster_cache_resync: Annotated[float, cluster_cache("resync.duration")] = 43200.0
    cluster_cache_watch_resync: Annotated[float, cluster_cache("watch.resync.duration")] = 600.0
    cluster_sync_retry_timeout: Annotated[
        float, plain("", "ARGOCD_CLUSTER_SYNC_RETRY_TIMEOUT_DURATION", "", (CONTROLLER,))
    ] = 10.0
    cluster_cache_list_page_size: Annotated[int, cluster_cache("list.page.size", parse=integer(0))] = 500
    cluster_cache_list_page_buffer_size: Annotated[
        int, cluster_cache("list.page.buffer.size", parse=integer(1))
    ] = 1
    cluster_cache_list_semaphore: Annotated[int, cluster_cache("list.semaphore", parse=integer(0))] = 50
    cluster_cache_attempt_limit: Annotated[int, cluster_cache("attempt.limit", parse=integer(1))] = 1
    cluster_cache_retry_use_backoff: Annotated[bool, cluster_cache("retry.use.backoff")] = False
    cluster_cache_batch_events: Annotated[
        bool, cluster_cache("batch.events.processing", "controller.cluster.cache.batch.events.processing")
    ] = True
    cluster_cache_events_interval: Annotated[
        float,
        cluster_cache("events.processing.interval", "controller.cluster.cache.events.processing.interval"),
    ] = 0.1

    # Work queues (operations.md 4.5)
    wq_base_delay: Annotated[float, work_queue("basedelay-ns", "BASE_DELAY_NS", NANOSECONDS)] = 0.001
    wq_max_delay: Annotated[float, work_queue("maxdelay-ns", "MAX_DELAY_NS", NANOSECONDS)] = 1.0
    wq_backoff_factor: Annotated[float, work_queue("backoff-factor", "BACKOFF_FACTOR", number(0))] = 1.5
    wq_cooldown: Annotated[float, work_queue("cooldown-ns", "FAILURE_COOLDOWN_NS", NANOSECONDS)] = 0.0
    """0: no back-off per item."""
    wq_bucket_size: Annotated[int, work_queue("bucket-size", "BUCKET_SIZE", integer(0))] = 500
    wq_bucket_qps: Annotated[float, work_queue("bucket-qps", "BUCKET_QPS", number(0))] = float("inf")
