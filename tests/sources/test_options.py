"""The reference's variables reach the rooms they limit."""

from pathlib import Path

from tiphys.settings.params import Params
from tiphys.sources.options import git_options, render_options

ENVIRONMENT = {
    "ARGOCD_EXEC_TIMEOUT": "4s",
    "ARGOCD_EXEC_FATAL_TIMEOUT": "2s",
    "ARGOCD_GIT_REQUEST_TIMEOUT": "7s",
    "ARGOCD_GIT_ATTEMPTS_COUNT": "3",
    "ARGOCD_PAUSE_GEN_AFTER_FAILED_ATTEMPTS": "5",
    "ARGOCD_PAUSE_GEN_MINUTES": "2",
    "ARGOCD_REPO_SERVER_ALLOW_OUT_OF_BOUNDS_SYMLINKS": "true",
    "ARGOCD_GITHUB_APP_CREDS_EXPIRATION_DURATION": "5",
    "ARGOCD_AZURE_SERVICE_PRINCIPAL_CREDS_EXPIRATION_DURATION": "6",
    "ARGOCD_REPO_CACHE_EXPIRATION": "1h",
    "ARGOCD_HELM_INDEX_CACHE_DURATION": "20s",
    "ARGOCD_HELM_USER_AGENT": "acme/1",
    "ARGOCD_REPO_SERVER_DISABLE_HELM_MANIFEST_MAX_EXTRACTED_SIZE": "true",
}


def test_variables_become_limits() -> None:
    params, problems = Params.load(ENVIRONMENT, {}, {})
    assert not problems
    git = git_options(params, revision_cache_seconds=9.0)
    assert (git.exec_timeout, git.exec_fatal_timeout, git.request_timeout) == (4.0, 2.0, 7.0)
    assert (git.attempts, git.allow_out_of_bounds_symlinks, git.revision_cache_seconds) == (3, True, 9.0)
    render = render_options(params, Path("renders"))
    assert (render.limits.timeout, render.pause_after_failures, render.pause_seconds) == (4.0, 5, 120.0)
    assert (git.github_token_seconds, git.azure_token_seconds) == (300.0, 360.0)
    assert render.charts.max_extracted_size == 0
    assert (render.charts.max_age, render.charts.index_seconds) == (3600.0, 20.0)
    assert render.charts.user_agent == "acme/1"
    assert render.root == Path("renders")
