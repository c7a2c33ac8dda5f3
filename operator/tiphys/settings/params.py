"""Parameters of the roles: flags, environment variables and ``argocd-cmd-params-cm``.

``Params`` is the one table (operations.md 1.7 and 1.8, applications.md 26, sources.md 17.3): a
line gives a field's type, where it comes from (``rows.py``) and its default. ``Params.load`` is
the only interpreter. A flag beats the environment, that beats the ConfigMap, that beats the
default. Text that cannot be read costs nothing but a problem that names the place: the next
source counts.

Two roles may share a flag (``--metrics-port``). Where several roles run in one process such a
flag says too little, and the role is put in front: ``--server-metrics-port``.
Durations are seconds (float), sizes are bytes.
"""

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any, NamedTuple, get_args, get_type_hints

import msgspec

from tiphys.settings import values
from tiphys.settings.rows import (
    APPSET,
    C_S,
    C_S_R,
    CONTROLLER,
    FORMATS,
    LEVELS,
    NANOSECONDS,
    NOTIFICATIONS,
    REPO,
    ROLES,
    SECONDS,
    SERVER,
    Row,
    appset,
    cluster_cache,
    controller,
    kube_client,
    notifications,
    otlp_env,
    plain,
    repo,
    repo_server_client,
    server,
    work_queue,
)
from tiphys.settings.secrecy import HIDDEN, redacted
from tiphys.settings.values import bounded_duration, duration, integer, number, pairs, size, words

Texts = tuple[str, ...]
Pairs = tuple[tuple[str, str], ...]


class ParamProblem(NamedTuple):
    """A text that could not be read: where it stands, and why (never a secret)."""

    place: str
    why: str

    def __str__(self) -> str:
        return f"{self.place}: {self.why}"


class Params(msgspec.Struct, frozen=True, kw_only=True):
    """Every parameter of every role."""

    # Shared by roles
    application_namespaces: Annotated[
        Texts,
        plain(
            "--application-namespaces",
            "ARGOCD_APPLICATION_NAMESPACES",
            "application.namespaces",
            (*C_S, NOTIFICATIONS),
        ),
    ] = ()
    hydrator_enabled: Annotated[
        bool, plain("--hydrator-enabled", "ARGOCD_HYDRATOR_ENABLED", "hydrator.enabled", C_S)
    ] = False
    enable_k8s_event: Annotated[Texts, plain("--enable-k8s-event", "ARGOCD_ENABLE_K8S_EVENT", "", C_S)] = (
        "all",
    )
    fake_in_cluster: Annotated[bool, plain("", "ARGOCD_FAKE_IN_CLUSTER")] = False
    log_format_timestamp: Annotated[str, plain("", "ARGOCD_LOG_FORMAT_TIMESTAMP", "log.format.timestamp")] = (
        ""
    )
    app_state_cache_expiration: Annotated[
        float,
        plain(
            "--app-state-cache-expiration",
            "ARGOCD_APP_STATE_CACHE_EXPIRATION",
            "controller.app.state.cache.expiration server.app.state.cache.expiration",
            C_S,
            parse=bounded_duration(0, 36000),
        ),
    ] = 3600.0
    default_cache_expiration: Annotated[
        float,
        plain(
            "--default-cache-expiration",
            "ARGOCD_DEFAULT_CACHE_EXPIRATION",
            "controller.default.cache.expiration server.default.cache.expiration "
            "reposerver.default.cache.expiration",
            C_S_R,
        ),
    ] = 86400.0
    tls_min_version: Annotated[
        str,
        plain(
            "--tlsminversion",
            "ARGOCD_TLS_MIN_VERSION",
            "server.tls.minversion reposerver.tls.minversion",
            (SERVER, REPO),
        ),
    ] = "1.2"
    tls_max_version: Annotated[
        str,
        plain(
            "--tlsmaxversion",
            "ARGOCD_TLS_MAX_VERSION",
            "server.tls.maxversion reposerver.tls.maxversion",
            (SERVER, REPO),
        ),
    ] = "1.3"
    tls_ciphers: Annotated[
        Texts,
        plain(
            "--tlsciphers",
            "ARGOCD_TLS_CIPHERS",
            "server.tls.ciphers reposerver.tls.ciphers",
            (SERVER, REPO),
            parse=words(":"),
        ),
    ] = ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",)

    # Tracing
    otlp_address: Annotated[
        str,
        plain(
            "--otlp-address",
            otlp_env("ADDRESS"),
            "otlp.address",
            C_S_R,
        ),
    ] = ""
    otlp_insecure: Annotated[
        bool,
        plain(
            "--otlp-insecure",
            otlp_env("INSECURE"),
            "otlp.insecure",
            C_S_R,
        ),
    ] = True
    otlp_headers: Annotated[
        Pairs,
        plain(
            "--otlp-headers",
            otlp_env("HEADERS"),
            "otlp.headers",
            C_S_R,
            parse=pairs("="),
            secret=True,
        ),
    ] = ()
    otlp_attrs: Annotated[
        Pairs,
        plain(
            "--otlp-attrs",
            otlp_env("ATTRS"),
            "otlp.attrs",
            C_S_R,
            parse=pairs(":"),
        ),
    ] = ()
    otlp_sample_ratio: Annotated[
        float,
        plain(
            "--otlp-sample-ratio",
            otlp_env("SAMPLE_RATIO"),
            "otlp.sample.ratio",
            C_S_R,
            parse=number(0, 1),
        ),
    ] = 1.0

    # Reaching the repo server and the commit server, when they run apart
    repo_server: Annotated[
        str,
        plain(
            "--repo-server --argocd-repo-server",
            "ARGOCD_APPLICATION_CONTROLLER_REPO_SERVER ARGOCD_SERVER_REPO_SERVER "
            "ARGOCD_APPLICATIONSET_CONTROLLER_REPO_SERVER",
            "repo.server",
            (*C_S, APPSET, NOTIFICATIONS),
        ),
    ] = "argocd-repo-server:8081"
    commit_server: Annotated[
        str,
        plain(
            "--commit-server", "ARGOCD_APPLICATION_CONTROLLER_COMMIT_SERVER", "commit.server", (CONTROLLER,)
        ),
    ] = "argocd-commit-server:8086"
    repo_server_plaintext: Annotated[bool, repo_server_client("plaintext")] = False
    repo_server_strict_tls: Annotated[bool, repo_server_client("strict.tls")] = False
    repo_server_timeout: Annotated[float, repo_server_client("timeout.seconds")] = 60.0
    repo_server_ca_cert_path: Annotated[str, repo_server_client("ca.cert.path")] = ""
    repo_server_client_cert_path: Annotated[str, repo_server_client("client.cert.path")] = (
        "/app/config/reposerver/mtls/client.crt"
    )
    repo_server_client_cert_key_path: Annotated[str, repo_server_client("client.cert.key.path")] = (
        "/app/config/reposerver/mtls/client.key"
    )

    # Redis: read so that existing Deployments start; nothing here needs it
    redis_server: Annotated[str, plain("--redis", "REDIS_SERVER", "redis.server", C_S_R)] = (
        "argocd-redis:6379"
    )
    redis_db: Annotated[int, plain("--redisdb", "REDISDB", "redis.db", C_S_R)] = 0
    redis_compression: Annotated[
        str, plain("--redis-compress", "REDIS_COMPRESSION", "redis.compression", C_S_R)
    ] = "gzip"
    redis_sentinel_hosts: Annotated[
        Texts, plain("--sentinel", "REDIS_SENTINEL_HOSTS", "redis.sentinel.hosts", C_S_R)
    ] = ()
    redis_sentinel_master: Annotated[
        str, plain("--sentinelmaster", "REDIS_SENTINEL_MASTER", "redis.sentinel.master", C_S_R)
    ] = "master"
    redis_key_prefix: Annotated[str, plain("", "ARGOCD_REDIS_KEY_PREFIX", "redis.key.prefix", C_S_R)] = ""

    # Kubernetes clients
    controller_k8s_client_qps: Annotated[
        float, kube_client(CONTROLLER, "k8s.client.qps", "ARGOCD_K8S_CLIENT_QPS", number(0))
    ] = 50.0
    controller_k8s_client_burst: Annotated[
        int, kube_client(CONTROLLER, "k8s.client.burst", "ARGOCD_K8S_CLIENT_BURST")
    ] = 0
    """0 means twice the rate."""
    server_k8s_client_qps: Annotated[
        float, kube_client(SERVER, "k8s.client.qps", "ARGOCD_K8S_CLIENT_QPS", number(0))
    ] = 50.0
    server_k8s_client_burst: Annotated[
        int, kube_client(SERVER, "k8s.client.burst", "ARGOCD_K8S_CLIENT_BURST")
    ] = 0
    applicationset_k8s_client_qps: Annotated[
        float, kube_client(APPSET, "k8s.client.qps", "ARGOCD_K8S_CLIENT_QPS", number(0))
    ] = 50.0
    applicationset_k8s_client_burst: Annotated[
        int, kube_client(APPSET, "k8s.client.burst", "ARGOCD_K8S_CLIENT_BURST")
    ] = 0
    k8s_client_max_idle_connections: Annotated[
        int,
        kube_client(CONTROLLER, "k8s.client.max.idle.connections", "ARGOCD_K8S_CLIENT_MAX_IDLE_CONNECTIONS"),
    ] = 500
    k8s_tcp_timeout: Annotated[
        float, kube_client(CONTROLLER, "k8s.tcp.timeout", "ARGOCD_K8S_TCP_TIMEOUT")
    ] = 30.0
    k8s_tcp_keepalive: Annotated[
        float, kube_client(CONTROLLER, "k8s.tcp.keepalive", "ARGOCD_K8S_TCP_KEEPALIVE")
    ] = 30.0
    k8s_tls_handshake_timeout: Annotated[
        float, kube_client(CONTROLLER, "k8s.tls.handshake.timeout", "ARGOCD_K8S_TLS_HANDSHAKE_TIMEOUT")
    ] = 10.0
    k8s_tcp_idle_timeout: Annotated[
        float, kube_client(CONTROLLER, "k8s.tcp.idle.timeout", "ARGOCD_K8S_TCP_IDLE_TIMEOUT")
    ] = 300.0
    k8s_retry_max: Annotated[
        int, kube_client(CONTROLLER, "k8sclient.retry.max", "ARGOCD_K8SCLIENT_RETRY_MAX", integer(0))
    ] = 0
    k8s_retry_base_backoff: Annotated[
        float,
        kube_client(
            CONTROLLER,
            "k8sclient.retry.base.backoff",
            "ARGOCD_K8SCLIENT_RETRY_BASE_BACKOFF",
            values.scaled(0.001, 0),
        ),
    ] = 0.1
    k8s_server_side_timeout: Annotated[float, plain("", "ARGOCD_K8S_SERVER_SIDE_TIMEOUT")] = 0.0

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
    metrics_application_labels: Annotated[Texts, controller("metrics.application.labels")] = ()
    metrics_application_conditions: Annotated[Texts, controller("metrics.application.conditions")] = ()
    metrics_cluster_labels: Annotated[Texts, controller("metrics.cluster.labels")] = ()
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

    # Git and generation
    git_submodules: Annotated[
        bool,
        plain(
            "",
            "ARGOCD_GIT_MODULES_ENABLED",
            "reposerver.enable.git.submodule applicationsetcontroller.enable.git.submodule",
            (REPO, APPSET),
        ),
    ] = True
    git_lsremote_parallelism_limit: Annotated[
        int,
        repo(
            "git.lsremote.parallelism.limit", "", "ARGOCD_GIT_LS_REMOTE_PARALLELISM_LIMIT", parse=integer(0)
        ),
    ] = 0
    git_request_timeout: Annotated[float, repo("git.request.timeout", "", "ARGOCD_GIT_REQUEST_TIMEOUT")] = (
        15.0
    )
    git_attempts: Annotated[int, plain("", "ARGOCD_GIT_ATTEMPTS_COUNT", "", (REPO,), parse=integer(1))] = 1
    git_retry_max_duration: Annotated[float, plain("", "ARGOCD_GIT_RETRY_MAX_DURATION", "", (REPO,))] = 5.0
    git_retry_duration: Annotated[float, plain("", "ARGOCD_GIT_RETRY_DURATION", "", (REPO,))] = 0.25
    git_retry_factor: Annotated[int, plain("", "ARGOCD_GIT_RETRY_FACTOR", "", (REPO,), parse=integer(1))] = 2
    github_app_creds_expiration: Annotated[
        float,
        plain("", "ARGOCD_GITHUB_APP_CREDS_EXPIRATION_DURATION", "", (REPO,), parse=values.scaled(60, 0)),
    ] = 3600.0
    azure_sp_creds_expiration: Annotated[
        float,
        plain(
            "",
            "ARGOCD_AZURE_SERVICE_PRINCIPAL_CREDS_EXPIRATION_DURATION",
            "",
            (REPO,),
            parse=values.scaled(60, 0),
        ),
    ] = 3540.0
    helm_index_cache_duration: Annotated[
        float, plain("", "ARGOCD_HELM_INDEX_CACHE_DURATION", "", (REPO,))
    ] = 0.0
    exec_timeout: Annotated[float, plain("", "ARGOCD_EXEC_TIMEOUT", "", (REPO,))] = 90.0
    exec_fatal_timeout: Annotated[float, plain("", "ARGOCD_EXEC_FATAL_TIMEOUT", "", (REPO,))] = 10.0
    pause_after_failed_attempts: Annotated[
        int, plain("", "ARGOCD_PAUSE_GEN_AFTER_FAILED_ATTEMPTS", "", (REPO,), parse=integer(0))
    ] = 3
    pause_generation_minutes: Annotated[
        int, plain("", "ARGOCD_PAUSE_GEN_MINUTES", "", (REPO,), parse=integer(0))
    ] = 60
    pause_generation_requests: Annotated[
        int, plain("", "ARGOCD_PAUSE_GEN_REQUESTS", "", (REPO,), parse=integer(0))
    ] = 0

    # Repo server (sources.md 17.3)
    repo_log_format: Annotated[
        str, repo("log.format", "--logformat", "ARGOCD_REPO_SERVER_LOGFORMAT", parse=FORMATS)
    ] = "json"
    repo_log_level: Annotated[
        str, repo("log.level", "--loglevel", "ARGOCD_REPO_SERVER_LOGLEVEL", parse=LEVELS)
    ] = "info"
    repo_address: Annotated[str, repo("listen.address", "--address")] = "0.0.0.0"
    repo_port: Annotated[int, repo("port", env="", key="", parse=integer(0, 65535))] = 8081
    repo_metrics_address: Annotated[str, repo("metrics.listen.address", "--metrics-address")] = "0.0.0.0"
    repo_metrics_port: Annotated[int, repo("metrics.port", env="", key="", parse=integer(0, 65535))] = 8084
    repo_parallelism_limit: Annotated[int, repo("parallelism.limit", "--parallelismlimit")] = 0
    repo_cache_expiration: Annotated[
        float, repo("repo.cache.expiration", env="ARGOCD_REPO_CACHE_EXPIRATION")
    ] = 86400.0
    revision_cache_expiration: Annotated[
        float | None, repo("revision.cache.expiration", env="ARGOCD_RECONCILIATION_TIMEOUT", key="")
    ] = None
    """``None``: the reconciliation timeout of ``argocd-cm``, 3 minutes without one."""
    revision_cache_lock_timeout: Annotated[
        float, repo("revision.cache.lock.timeout", env="ARGOCD_REVISION_CACHE_LOCK_TIMEOUT")
    ] = 10.0
    repo_disable_tls: Annotated[bool, repo("disable.tls")] = False
    repo_client_ca_path: Annotated[str, repo("client.ca.path")] = "/app/config/reposerver/mtls/client-ca.crt"
    max_combined_directory_manifests_size: Annotated[
        int, repo("max.combined.directory.manifests.size", parse=size)
    ] = 10_000_000
    plugin_tar_exclusions: Annotated[
        Texts, repo("plugin.tar.exclusions", "--plugin-tar-exclude", parse=words(";"))
    ] = ()
    plugin_use_manifest_generate_paths: Annotated[bool, repo("plugin.use.manifest.generate.paths")] = False
    allow_oob_symlinks: Annotated[
        bool, repo("allow.oob.symlinks", env="ARGOCD_REPO_SERVER_ALLOW_OUT_OF_BOUNDS_SYMLINKS")
    ] = False
    streamed_manifest_max_tar_size: Annotated[int, repo("streamed.manifest.max.tar.size", parse=size)] = (
        100_000_000
    )
    streamed_manifest_max_extracted_size: Annotated[
        int, repo("streamed.manifest.max.extracted.size", parse=size)
    ] = 1_000_000_000
    helm_manifest_max_extracted_size: Annotated[int, repo("helm.manifest.max.extracted.size", parse=size)] = (
        1_000_000_000
    )
    disable_helm_manifest_max_extracted_size: Annotated[
        bool, repo("disable.helm.manifest.max.extracted.size")
    ] = False
    helm_registry_max_index_size: Annotated[
        int,
        repo(
            "helm.registry.max.index.size",
            env="ARGOCD_REPO_SERVER_HELM_MANIFEST_MAX_INDEX_SIZE",
            key="",
            parse=size,
        ),
    ] = 1_000_000_000
    oci_manifest_max_extracted_size: Annotated[int, repo("oci.manifest.max.extracted.size", parse=size)] = (
        1_000_000_000
    )
    disable_oci_manifest_max_extracted_size: Annotated[
        bool, repo("disable.oci.manifest.max.extracted.size")
    ] = False
    oci_layer_media_types: Annotated[Texts, repo("oci.layer.media.types")] = (
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
    )
    include_hidden_directories: Annotated[bool, repo("include.hidden.directories")] = False
    enable_builtin_git_config: Annotated[bool, repo("enable.builtin.git.config")] = True
    repo_grpc_max_size_mb: Annotated[
        int, repo("grpc.max.size", "", "ARGOCD_GRPC_MAX_SIZE_MB", parse=integer(1))
    ] = 100
    helm_user_agent: Annotated[str, repo("helm.user.agent", "", "ARGOCD_HELM_USER_AGENT")] = ""

    # API server
    server_log_format: Annotated[
        str, server("log.format", "--logformat", "ARGOCD_SERVER_LOGFORMAT", parse=FORMATS)
    ] = "json"
    server_log_level: Annotated[str, server("log.level", "--loglevel", parse=LEVELS)] = "info"
    server_address: Annotated[str, server("listen.address", "--address")] = "0.0.0.0"
    server_port: Annotated[int, server("port", env="", key="", parse=integer(0, 65535))] = 8080
    server_metrics_port: Annotated[int, server("metrics.port", env="", key="", parse=integer(0, 65535))] = (
        8083
    )
    server_insecure: Annotated[bool, server("insecure")] = False
    server_base_href: Annotated[str, server("basehref")] = "/"
    server_root_path: Annotated[str, server("rootpath")] = ""
    server_static_assets: Annotated[str, server("staticassets", env="ARGOCD_SERVER_STATIC_ASSETS")] = (
        "/shared/app"
    )
    server_disable_auth: Annotated[bool, server("disable.auth")] = False
    server_enable_gzip: Annotated[bool, server("enable.gzip")] = True
    server_disable_swagger_ui: Annotated[bool, server("disable.swagger.ui")] = False
    server_api_content_types: Annotated[
        Texts, server("api.content.types", env="ARGOCD_API_CONTENT_TYPES", parse=words(";"))
    ] = ("application/json",)
    server_x_frame_options: Annotated[str, server("x.frame.options")] = "sameorigin"
    server_content_security_policy: Annotated[str, server("content.security.policy")] = (
        "frame-ancestors 'self';"
    )
    server_dex_server: Annotated[str, server("dex.server")] = "argocd-dex-server:5556"
    server_dex_server_plaintext: Annotated[bool, server("dex.server.plaintext")] = False
    server_dex_server_strict_tls: Annotated[bool, server("dex.server.strict.tls")] = False
    server_enable_proxy_extension: Annotated[bool, server("enable.proxy.extension")] = False
    server_webhook_parallelism_limit: Annotated[
        int, server("webhook.parallelism.limit", parse=integer(1, 1000))
    ] = 50
    server_webhook_refresh_workers: Annotated[
        int, server("webhook.refresh.workers", parse=integer(1, 1000))
    ] = 20
    server_glob_cache_size: Annotated[int, server("glob.cache.size", parse=integer(0))] = 10000
    server_sync_with_replace_allowed: Annotated[
        bool,
        server("sync.replace.allowed", "--sync-with-replace-allowed", "ARGOCD_SYNC_WITH_REPLACE_ALLOWED"),
    ] = True
    server_connection_status_cache_expiration: Annotated[
        float, server("connection.status.cache.expiration")
    ] = 3600.0
    server_oidc_cache_expiration: Annotated[float, server("oidc.cache.expiration")] = 180.0
    server_max_cookie_number: Annotated[
        int, server("http.cookie.maxnumber", "", "ARGOCD_MAX_COOKIE_NUMBER", parse=integer(1))
    ] = 20
    server_replicas: Annotated[
        int, plain("", "ARGOCD_API_SERVER_REPLICAS", "", (SERVER,), parse=integer(0))
    ] = 1
    server_max_concurrent_logins: Annotated[
        int, plain("", "ARGOCD_MAX_CONCURRENT_LOGIN_REQUESTS_COUNT", "", (SERVER,), parse=integer(0))
    ] = 50
    server_session_max_failures: Annotated[
        int, plain("", "ARGOCD_SESSION_FAILURE_MAX_FAIL_COUNT", "", (SERVER,), parse=integer(0))
    ] = 5
    server_session_failure_window: Annotated[
        float, plain("", "ARGOCD_SESSION_FAILURE_WINDOW_SECONDS", "", (SERVER,), parse=SECONDS)
    ] = 300.0
    server_session_max_cache_size: Annotated[
        int, plain("", "ARGOCD_SESSION_MAX_CACHE_SIZE", "", (SERVER,), parse=integer(1))
    ] = 10000
    server_watch_buffer_size: Annotated[
        int, plain("", "ARGOCD_WATCH_API_BUFFER_SIZE", "", (SERVER,), parse=integer(1))
    ] = 1000
    server_grpc_max_size_mb: Annotated[
        int, plain("", "ARGOCD_GRPC_MAX_SIZE_MB", "", (SERVER,), parse=integer(1))
    ] = 200
    server_grpc_keep_alive_min: Annotated[float, plain("", "ARGOCD_GRPC_KEEP_ALIVE_MIN", "", (SERVER,))] = (
        10.0
    )
    server_sso_debug: Annotated[bool, plain("", "ARGOCD_SSO_DEBUG", "", (SERVER,))] = False
    server_rbac_debug: Annotated[bool, plain("", "ARGOCD_RBAC_DEBUG", "", (SERVER,))] = False
    server_webhook_cache_warm_disabled: Annotated[
        bool, plain("", "ARGOCD_WEBHOOK_MANIFEST_CACHE_WARM_DISABLED", "", (SERVER,))
    ] = False

    # ApplicationSet controller
    applicationset_log_format: Annotated[
        str, appset("log.format", "--logformat", "ARGOCD_APPLICATIONSET_CONTROLLER_LOGFORMAT", parse=FORMATS)
    ] = "json"
    applicationset_log_level: Annotated[
        str, appset("log.level", "--loglevel", "ARGOCD_APPLICATIONSET_CONTROLLER_LOGLEVEL", parse=LEVELS)
    ] = "info"
    applicationset_metrics_address: Annotated[str, appset("metrics.addr", env="", key="")] = ":8080"
    applicationset_probe_address: Annotated[str, appset("probe.addr", env="", key="")] = ":8081"
    applicationset_webhook_address: Annotated[str, appset("webhook.addr", env="", key="")] = ":7000"
    applicationset_metrics_labels: Annotated[
        Texts, appset("metrics.applicationset.labels", env="", key="")
    ] = ()
    applicationset_namespaces: Annotated[Texts, appset("namespaces", "--applicationset-namespaces")] = ()
    applicationset_policy: Annotated[
        str,
        appset("policy", parse=values.choice("", "sync", "create-only", "create-update", "create-delete")),
    ] = ""
    applicationset_enable_policy_override: Annotated[bool | None, appset("enable.policy.override")] = None
    """``None``: on only when the policy is empty."""
    applicationset_enable_leader_election: Annotated[bool, appset("enable.leader.election")] = False
    applicationset_enable_progressive_syncs: Annotated[bool, appset("enable.progressive.syncs")] = False
    applicationset_tokenref_strict_mode: Annotated[
        bool,
        appset(
            "enable.tokenref.strict.mode",
            "--token-ref-strict-mode",
            "ARGOCD_APPLICATIONSET_CONTROLLER_TOKENREF_STRICT_MODE",
        ),
    ] = False
    applicationset_new_git_file_globbing: Annotated[
        bool,
        appset(
            "enable.new.git.file.globbing",
            "--enable-new-git-file-globbing --appset-enable-new-git-file-globbing",
        ),
    ] = False
    applicationset_github_api_metrics: Annotated[
        bool,
        appset("enable.github.api.metrics", "--enable-github-api-metrics --appset-enable-github-api-metrics"),
    ] = False
    applicationset_enable_scm_providers: Annotated[
        bool, appset("enable.scm.providers", "--enable-scm-providers --appset-enable-scm-providers")
    ] = True
    applicationset_allowed_scm_providers: Annotated[
        Texts, appset("allowed.scm.providers", "--allowed-scm-providers --appset-allowed-scm-providers")
    ] = ()
    applicationset_scm_root_ca_path: Annotated[
        str, appset("scm.root.ca.path", "--scm-root-ca-path --appset-scm-root-ca-path")
    ] = ""
    applicationset_scm_proxy_url: Annotated[str, appset("scm.proxy.url", key="")] = ""
    applicationset_scm_no_proxy: Annotated[str, appset("scm.no.proxy", key="")] = ""
    applicationset_concurrent_reconciliations: Annotated[
        int,
        appset(
            "concurrent.reconciliations.max",
            "--concurrent-reconciliations",
            "ARGOCD_APPLICATIONSET_CONTROLLER_CONCURRENT_RECONCILIATIONS",
            parse=integer(1),
        ),
    ] = 10
    applicationset_concurrent_application_updates: Annotated[
        int, appset("concurrent.application.updates", key="", parse=integer(1, 200))
    ] = 1
    applicationset_requeue_after: Annotated[
        float, appset("requeue.after", "", parse=bounded_duration(1, 8760 * 3600))
    ] = 180.0
    applicationset_cache_sync_period: Annotated[
        float, appset("cache.sync.period", key="", parse=bounded_duration(0, 86400))
    ] = 36000.0
    applicationset_webhook_parallelism_limit: Annotated[
        int, appset("webhook.parallelism.limit", parse=integer(1, 1000))
    ] = 50
    applicationset_preserved_annotations: Annotated[
        Texts, appset("global.preserved.annotations", "--preserved-annotations")
    ] = ()
    applicationset_preserved_labels: Annotated[
        Texts, appset("global.preserved.labels", "--preserved-labels")
    ] = ()
    applicationset_max_resources_status_count: Annotated[
        int,
        appset(
            "status.max.resources.count",
            "--max-resources-status-count",
            "ARGOCD_APPLICATIONSET_CONTROLLER_MAX_RESOURCES_STATUS_COUNT",
            parse=integer(0),
        ),
    ] = 5000
    applicationset_debug: Annotated[bool, appset("debug")] = False
    applicationset_dry_run: Annotated[
        bool, appset("dryrun", "--dry-run", "ARGOCD_APPLICATIONSET_CONTROLLER_DRY_RUN")
    ] = False

    # Notifications controller
    notifications_log_format: Annotated[
        str,
        plain(
            "--logformat",
            "ARGOCD_NOTIFICATIONS_CONTROLLER_LOGFORMAT",
            "notificationscontroller.log.format",
            (NOTIFICATIONS,),
            parse=FORMATS,
        ),
    ] = "json"
    notifications_log_level: Annotated[
        str,
        plain(
            "--loglevel",
            "ARGOCD_NOTIFICATIONS_CONTROLLER_LOGLEVEL",
            "notificationscontroller.log.level",
            (NOTIFICATIONS,),
            parse=LEVELS,
        ),
    ] = "info"
    notifications_processors: Annotated[int, notifications("processors.count")] = 1
    notifications_self_service: Annotated[
        bool,
        notifications(
            "selfservice.enabled",
            "--self-service-notification-enabled",
            "ARGOCD_NOTIFICATION_CONTROLLER_SELF_SERVICE_NOTIFICATION_ENABLED",
        ),
    ] = False
    notifications_app_label_selector: Annotated[str, notifications("app.label.selector", env="", key="")] = ""
    notifications_config_map_name: Annotated[str, notifications("config.map.name", env="", key="")] = (
        "argocd-notifications-cm"
    )
    notifications_secret_name: Annotated[str, notifications("secret.name", env="", key="")] = (
        "argocd-notifications-secret"
    )
    notifications_metrics_port: Annotated[
        int, plain("--metrics-port", "", "", (NOTIFICATIONS,), parse=integer(0, 65535))
    ] = 9001

    def __repr__(self) -> str:
        return redacted(self, frozenset(name for name, row in rows().items() if row.secret))

    @classmethod
    def load(
        cls,
        environ: Mapping[str, str],
        cm_data: Mapping[str, str],
        flags: Mapping[str, str] | None = None,
        roles: Collection[str] = ROLES,
    ) -> tuple["Params", list[ParamProblem]]:
        """Parameters from the data of ``argocd-cmd-params-cm``, the environment and the flags.

        ``flags`` maps ``--name`` to its text; ``roles`` are those that run in this process and
        decide which meaning an ambiguous flag has. Unknown flags are problems, unknown variables
        and keys are nobody's business.
        """
        return _load(cls, environ, cm_data, flags or {}, roles)

    @property
    def k8s_events_enabled(self) -> bool:
        return "none" not in self.enable_k8s_event

    def k8s_event_enabled(self, reason: str) -> bool:
        """Whether Events with this reason are posted (operations.md 7.2)."""
        return self.k8s_events_enabled and ("all" in self.enable_k8s_event or reason in self.enable_k8s_event)


def _parser_of(hint: Any) -> values.Parser:
    kinds = get_args(hint) or (hint,)
    if bool in kinds:
        return values.lenient_bool
    if int in kinds:
        return integer()
    if float in kinds:
        return duration
    if str in kinds and kinds[-1] is Ellipsis:
        return words(",")
    return values.text_value


@lru_cache(maxsize=1)
def _table() -> dict[str, tuple[Row, values.Parser]]:
    table: dict[str, tuple[Row, values.Parser]] = {}
    for name, hint in get_type_hints(Params, include_extras=True).items():
        inner, row = get_args(hint)
        table[name] = (row, row.parse or _parser_of(inner))
    return table


def rows() -> dict[str, Row]:
    """Field name → its row, in the order of the table."""
    return {name: row for name, (row, _) in _table().items()}


def flag_names(roles: Collection[str] = ROLES) -> frozenset[str]:
    """Every flag that :meth:`Params.load` understands when these roles run."""
    return frozenset(_flag_owners(frozenset(roles)))


@lru_cache(maxsize=32)
def _flag_owners(roles: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """Flag → fields it sets; more than one field means that it is ambiguous."""
    owners: dict[str, tuple[str, ...]] = {}
    for name, row in rows().items():
        mine = [role for role in row.roles if role in roles]
        for flag in row.flags:
            for spelled in (flag, *(f"--{role}-{flag[2:]}" for role in mine)) if mine else ():
                owners[spelled] = (*owners.get(spelled, ()), name)
    return owners


def _load(
    cls: type[Params],
    environ: Mapping[str, str],
    cm_data: Mapping[str, str],
    flags: Mapping[str, str],
    roles: Collection[str],
) -> tuple[Params, list[ParamProblem]]:
    problems: list[ParamProblem] = []
    by_field: dict[str, list[tuple[str, str]]] = {}
    owners = _flag_owners(frozenset(roles))
    for flag, text in flags.items():
        fields = owners.get(flag, ())
        if not fields:
            problems.append(ParamProblem(f"flag {flag}", "no role that runs here has it"))
        elif len(fields) > 1 and not _same_for_all(flag, fields):
            spelled = ", ".join(_unambiguous(flag, field, roles) for field in fields)
            problems.append(ParamProblem(f"flag {flag}", f"several roles have it, say one of {spelled}"))
        else:
            for field in fields:
                by_field.setdefault(field, []).append((flag, text))
    found: dict[str, Any] = {}
    for name, (row, parse) in _table().items():
        for place, text, reader in _sources(row, parse, by_field.get(name, []), environ, cm_data):
            try:
                found[name] = reader(text)
            except ValueError as error:
                problems.append(ParamProblem(place, HIDDEN if row.secret else str(error)))
                continue
            break
    return cls(**found), problems


def _sources(
    row: Row,
    parse: values.Parser,
    flags: list[tuple[str, str]],
    environ: Mapping[str, str],
    cm_data: Mapping[str, str],
) -> Iterator[tuple[str, str, values.Parser]]:
    """Where a parameter is set, strongest first: (place, text, reader). Empty variables and keys
    do not count, because a Deployment passes an absent optional key as nothing."""
    for flag, text in flags:
        yield f"flag {flag}", text, row.parse_flag or parse
    for name in row.env:
        if text := environ.get(name, ""):
            yield f"environment {name}", text, parse
    for key in row.keys:
        if text := cm_data.get(key, ""):
            yield f"argocd-cmd-params-cm {key}", text, parse


_SHARED_MEANING = frozenset({"--loglevel", "--logformat"})
"""Flags that several roles have and that mean the same for all of them."""


def _same_for_all(flag: str, fields: tuple[str, ...]) -> bool:
    return flag in _SHARED_MEANING


def _unambiguous(flag: str, field: str, roles: Collection[str]) -> str:
    role = next(role for role in rows()[field].roles if role in roles)
    return f"--{role}-{flag[2:]}"
