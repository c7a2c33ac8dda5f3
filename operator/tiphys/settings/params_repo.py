"""Parameters of Git, generation and the repo server: a part of the table in ``params.py``
(sources.md 17.3)."""

from typing import Annotated

from tiphys.settings import values
from tiphys.settings.params_controller import ControllerParams
from tiphys.settings.rows import (
    APPSET,
    FORMATS,
    LEVELS,
    REPO,
    plain,
    repo,
)
from tiphys.settings.values import integer, size, unless, words


class RepoParams(ControllerParams, frozen=True, kw_only=True):
    """Git, generation and the repo server."""

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
        tuple[str, ...], repo("plugin.tar.exclusions", "--plugin-tar-exclude", parse=words(";"))
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
    oci_layer_media_types: Annotated[tuple[str, ...], repo("oci.layer.media.types")] = (
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
    )
    include_hidden_directories: Annotated[bool, repo("include.hidden.directories")] = False
    gpg_enabled: Annotated[bool, plain("", "ARGOCD_GPG_ENABLED", parse=unless("false", "no"))] = True
    """Whether signatures of commits are verified (``sources.md`` 19)."""
    enable_builtin_git_config: Annotated[bool, repo("enable.builtin.git.config")] = True
    repo_grpc_max_size_mb: Annotated[
        int, repo("grpc.max.size", "", "ARGOCD_GRPC_MAX_SIZE_MB", parse=integer(1))
    ] = 100
    helm_user_agent: Annotated[str, repo("helm.user.agent", "", "ARGOCD_HELM_USER_AGENT")] = ""
