"""Parameters that several roles share: a part of the table in ``params.py``."""

from typing import Annotated

import msgspec

from tiphys.settings import values
from tiphys.settings.rows import (
    APPSET,
    C_S,
    C_S_R,
    CONTROLLER,
    NOTIFICATIONS,
    REPO,
    SECONDS,
    SERVER,
    kube_client,
    otlp_env,
    plain,
    redis,
    repo_server_client,
)
from tiphys.settings.values import bounded_duration, integer, number, pairs, words


class SharedParams(msgspec.Struct, frozen=True, kw_only=True):
    """What roles have in common: namespaces, tracing, clients."""

    # Shared by roles
    application_namespaces: Annotated[
        tuple[str, ...],
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
    enable_k8s_event: Annotated[
        tuple[str, ...], plain("--enable-k8s-event", "ARGOCD_ENABLE_K8S_EVENT", "", C_S)
    ] = ("all",)
    fake_in_cluster: Annotated[bool, plain("", "ARGOCD_FAKE_IN_CLUSTER")] = False
    log_format_timestamp: Annotated[str, plain("", "ARGOCD_LOG_FORMAT_TIMESTAMP", "log.format.timestamp")] = (
        ""
    )
    klog_level: Annotated[int, plain("--gloglevel", "", "", C_S_R, parse=integer(0))] = 0
    """How much the reference's Kubernetes library logs."""
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
        tuple[str, ...],
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
        tuple[tuple[str, str], ...],
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
        tuple[tuple[str, str], ...],
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
    repo_server_timeout: Annotated[float, repo_server_client("timeout.seconds", SECONDS)] = 60.0
    repo_server_ca_cert_path: Annotated[str, repo_server_client("ca.cert.path")] = ""
    repo_server_client_cert_path: Annotated[str, repo_server_client("client.cert.path")] = (
        "/app/config/reposerver/mtls/client.crt"
    )
    repo_server_client_cert_key_path: Annotated[str, repo_server_client("client.cert.key.path")] = (
        "/app/config/reposerver/mtls/client.key"
    )

    # Redis: read so that existing Deployments start; nothing here needs it
    redis_server: Annotated[str, redis("--redis", "REDIS_SERVER", "redis.server")] = "argocd-redis:6379"
    redis_db: Annotated[int, redis("--redisdb", "REDISDB", "redis.db")] = 0
    redis_compression: Annotated[str, redis("--redis-compress", "REDIS_COMPRESSION", "redis.compression")] = (
        "gzip"
    )
    redis_sentinel_hosts: Annotated[
        tuple[str, ...], redis("--sentinel", "REDIS_SENTINEL_HOSTS", "redis.sentinel.hosts")
    ] = ()
    redis_sentinel_master: Annotated[
        str, redis("--sentinelmaster", "REDIS_SENTINEL_MASTER", "redis.sentinel.master")
    ] = "master"
    redis_key_prefix: Annotated[str, plain("", "ARGOCD_REDIS_KEY_PREFIX", "redis.key.prefix", C_S_R)] = ""
    redis_use_tls: Annotated[bool, redis("--redis-use-tls")] = False
    redis_insecure_skip_tls_verify: Annotated[bool, redis("--redis-insecure-skip-tls-verify")] = False
    redis_ca_certificate: Annotated[str, redis("--redis-ca-certificate")] = ""
    redis_client_certificate: Annotated[str, redis("--redis-client-certificate")] = ""
    redis_client_key: Annotated[str, redis("--redis-client-key")] = ""

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
