"""The reference's variables and flags as options of the Git store and of the renderer.

One place says which parameter limits what, so that the rooms below need not know their names.
"""

from pathlib import Path

from tiphys.settings.params import Params
from tiphys.sources.git.options import GitOptions
from tiphys.sources.processes import Limits
from tiphys.sources.render.charts import ChartOptions
from tiphys.sources.rendering import RenderOptions


def git_options(params: Params, *, revision_cache_seconds: float) -> GitOptions:
    """Limits of conversations with repositories (``sources.md`` 14.4)."""
    return GitOptions(
        exec_timeout=params.exec_timeout,
        exec_fatal_timeout=params.exec_fatal_timeout,
        request_timeout=params.git_request_timeout,
        attempts=params.git_attempts,
        retry_duration=params.git_retry_duration,
        retry_max_duration=params.git_retry_max_duration,
        retry_factor=params.git_retry_factor,
        github_token_seconds=params.github_app_creds_expiration,
        azure_token_seconds=params.azure_sp_creds_expiration,
        ls_remote_parallelism=params.git_lsremote_parallelism_limit,
        submodules=params.git_submodules,
        builtin_config=params.enable_builtin_git_config,
        allow_out_of_bounds_symlinks=params.allow_oob_symlinks,
        revision_cache_seconds=revision_cache_seconds,
    )


def render_options(params: Params, root: Path) -> RenderOptions:
    """Limits of renders below ``root`` (``sources.md`` 17.3)."""
    unlimited = params.disable_helm_manifest_max_extracted_size
    return RenderOptions(
        root=root,
        limits=Limits(timeout=params.exec_timeout),
        parallelism=params.repo_parallelism_limit,
        max_directory_size=params.max_combined_directory_manifests_size,
        pause_after_failures=params.pause_after_failed_attempts,
        pause_seconds=params.pause_generation_minutes * 60.0,
        pause_requests=params.pause_generation_requests,
        charts=ChartOptions(
            max_extracted_size=0 if unlimited else params.helm_manifest_max_extracted_size,
            max_index_size=params.helm_registry_max_index_size,
            index_seconds=params.helm_index_cache_duration,
            max_age=params.repo_cache_expiration,
            user_agent=params.helm_user_agent or ChartOptions().user_agent,
        ),
    )
