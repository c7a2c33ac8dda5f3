"""Parameters of the API server: a part of the table in ``params.py`` (operations.md 1.7, 1.8)."""

from typing import Annotated

from tiphys.settings.params_repo import RepoParams
from tiphys.settings.rows import (
    FORMATS,
    LEVELS,
    SECONDS,
    SERVER,
    plain,
    server,
)
from tiphys.settings.values import go_bool, integer, words


class ServerParams(RepoParams, frozen=True, kw_only=True):
    """The API server."""

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
        tuple[str, ...], server("api.content.types", env="ARGOCD_API_CONTENT_TYPES", parse=words(";"))
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
    server_login_attempts_expiration: Annotated[
        float, plain("--login-attempts-expiration", "", "", (SERVER,))
    ] = 86400.0
    """Unused by the reference, too."""
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
    # Both are switched on with 1
    server_sso_debug: Annotated[bool, plain("", "ARGOCD_SSO_DEBUG", "", (SERVER,), parse=go_bool)] = False
    server_rbac_debug: Annotated[bool, plain("", "ARGOCD_RBAC_DEBUG", "", (SERVER,), parse=go_bool)] = False
    server_grpc_time_histogram: Annotated[
        bool, plain("", "ARGOCD_ENABLE_GRPC_TIME_HISTOGRAM", "", (SERVER,))
    ] = False
    server_controller_address: Annotated[
        str, plain("--controller-address", "TIPHYS_CONTROLLER_ADDRESS", "", (SERVER,))
    ] = "argocd-application-controller:8085"
    """Whom an API server without controllers in its process asks for live objects."""
    server_profile_enabled: Annotated[bool, plain("", "", "server.profile.enabled", (SERVER,))] = False
    server_webhook_cache_warm_disabled: Annotated[
        bool, plain("", "ARGOCD_WEBHOOK_MANIFEST_CACHE_WARM_DISABLED", "", (SERVER,))
    ] = False
