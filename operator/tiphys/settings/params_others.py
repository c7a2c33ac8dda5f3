"""Parameters of the ApplicationSet and notifications controllers: a part of the table in
``params.py`` (operations.md 1.7)."""

from typing import Annotated

from tiphys.settings import values
from tiphys.settings.params_server import ServerParams
from tiphys.settings.rows import (
    FORMATS,
    LEVELS,
    NOTIFICATIONS,
    appset,
    notifications,
    plain,
)
from tiphys.settings.values import bounded_duration, integer


class OtherParams(ServerParams, frozen=True, kw_only=True):
    """The ApplicationSet and notifications controllers."""

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
        tuple[str, ...], appset("metrics.applicationset.labels", env="", key="")
    ] = ()
    applicationset_namespaces: Annotated[
        tuple[str, ...], appset("namespaces", "--applicationset-namespaces")
    ] = ()
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
        tuple[str, ...],
        appset("allowed.scm.providers", "--allowed-scm-providers --appset-allowed-scm-providers"),
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
        tuple[str, ...], appset("global.preserved.annotations", "--preserved-annotations")
    ] = ()
    applicationset_preserved_labels: Annotated[
        tuple[str, ...], appset("global.preserved.labels", "--preserved-labels")
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
