"""No parameter is dead: each of the table (operations.md 1.7, 1.8) is read by code, or stands here with the
reason why not. A flag that does nothing and says nothing is worse than one that is refused.

Read is what code asks for as an attribute, anywhere in the product but in the tables themselves.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import tiphys
from tiphys.settings.params import rows

REDIS = "there is no Redis: what the reference keeps in it is in Kubernetes, in memory or made when asked for"
ONE_PROCESS = "sources are rendered, and dry sources committed, in this process: no other is called"
NO_REPO_SERVER = "there is no repository server as a process of its own"
LIVE = "the live caches list when the history of a watch is gone; docs/differences.md"
STARTS = "an installation of the reference passes it; it has no effect there either"

WITHOUT_EFFECT = {
    "app_state_cache_expiration": REDIS,
    "application_tree_shard_size": REDIS,
    "default_cache_expiration": REDIS,
    "redis_ca_certificate": REDIS,
    "redis_client_certificate": REDIS,
    "redis_client_key": REDIS,
    "redis_compression": REDIS,
    "redis_db": REDIS,
    "redis_insecure_skip_tls_verify": REDIS,
    "redis_key_prefix": REDIS,
    "redis_sentinel_hosts": REDIS,
    "redis_sentinel_master": REDIS,
    "redis_server": REDIS,
    "redis_use_tls": REDIS,
    "commit_server": ONE_PROCESS,
    "repo_server": ONE_PROCESS,
    "repo_server_ca_cert_path": ONE_PROCESS,
    "repo_server_client_cert_key_path": ONE_PROCESS,
    "repo_server_client_cert_path": ONE_PROCESS,
    "repo_server_plaintext": ONE_PROCESS,
    "repo_server_strict_tls": ONE_PROCESS,
    "repo_server_timeout": ONE_PROCESS,
    "repo_address": NO_REPO_SERVER,
    "repo_client_ca_path": NO_REPO_SERVER,
    "repo_disable_tls": NO_REPO_SERVER,
    "repo_grpc_max_size_mb": NO_REPO_SERVER,
    "repo_log_format": NO_REPO_SERVER,
    "repo_log_level": NO_REPO_SERVER,
    "repo_metrics_address": NO_REPO_SERVER,
    "repo_metrics_port": NO_REPO_SERVER,
    "repo_port": NO_REPO_SERVER,
    "revision_cache_lock_timeout": "whoever asks meanwhile shares the answer; docs/differences.md",
    "cluster_cache_batch_events": LIVE,
    "cluster_cache_events_interval": LIVE,
    "cluster_cache_list_page_buffer_size": LIVE,
    "cluster_cache_list_page_size": LIVE,
    "cluster_cache_list_semaphore": LIVE,
    "cluster_cache_attempt_limit": LIVE,
    "cluster_cache_resync": LIVE,
    "cluster_cache_retry_use_backoff": LIVE,
    "cluster_cache_watch_resync": LIVE,
    "cluster_sync_retry_timeout": LIVE,
    "fake_in_cluster": "for developers of the reference; here --kubeconfig names the cluster",
    "operation_processors": "looks and operations share one queue and its workers (--status-processors)",
    "self_heal_backoff_cooldown": STARTS,
    "klog_level": "of a library that is not here",
    "server_glob_cache_size": "policies are compiled once for each change; docs/differences.md",
    "server_login_attempts_expiration": STARTS,
    "server_oidc_cache_expiration": STARTS,
    "server_webhook_cache_warm_disabled": "manifests are kept by content; docs/differences.md",
}
"""Deliberately: the table reads them, so that existing installations start, and nobody else does."""

NOT_YET = (
    ("applicationset_", "with the ApplicationSet controller"),
    ("notifications_", "with the notifications"),
    ("otlp_", "with tracing"),
    ("wq_", "with the limits of the work queues"),
    ("k8s_", "with the limits of connections to Kubernetes"),
    ("server_k8s_client_", "with the limits of connections to Kubernetes"),
    ("controller_replicas", "with several controllers"),
    ("controller_shard", "with several controllers"),
    ("controller_heartbeat_time", "with several controllers"),
    ("dynamic_cluster_distribution", "with several controllers"),
    ("sharding_algorithm", "with several controllers"),
    ("plugin_", "with plugins that render"),
    ("oci_", "with OCI sources"),
    ("disable_oci_", "with OCI sources"),
    ("include_hidden_directories", "with the generators of ApplicationSets"),
)
"""Beginnings of names that belong to what is still to come. A line leaves when its thing is there: from then
on each of its parameters has to be read, or to stand above."""

TABLES = {"params_controller", "params_others", "params_repo", "params_server", "params_shared", "rows"}


def sources() -> Iterator[Path]:
    folder = Path(tiphys.__path__[0])
    return (path for path in folder.rglob("*.py") if path.stem not in TABLES)


@cache
def asked_for() -> frozenset[str]:
    """The names of all attributes that code reads."""
    return frozenset(
        node.attr
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    )


def is_to_come(name: str) -> bool:
    return any(name.startswith(beginning) for beginning, _ in NOT_YET)


@pytest.mark.parametrize("name", rows())
def test_each_parameter_is_read_or_explained(name: str) -> None:
    if name in WITHOUT_EFFECT:
        assert name not in asked_for(), "it has an effect by now: take its line away"
    elif not is_to_come(name):
        assert name in asked_for(), "nobody reads it: wire it, or say above (and to users) why not"


def test_the_explanations_are_about_parameters_there_are() -> None:
    assert WITHOUT_EFFECT.keys() <= rows().keys()
    for beginning, _ in NOT_YET:
        dead = [name for name in rows() if name.startswith(beginning) and name not in asked_for()]
        assert dead, f"all of {beginning}… are read: take the line away"


def test_each_option_of_a_command_is_used() -> None:
    """What ``click`` passes to a command is read in it."""
    commands = 0
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and any(map(_is_option, node.decorator_list)):
                commands += 1
                used = {
                    each.id for line in node.body for each in ast.walk(line) if isinstance(each, ast.Name)
                }
                arguments = {each.arg for each in (*node.args.args, *node.args.kwonlyargs)}
                assert arguments <= used, f"{path.name}: {node.name} does not use {arguments - used}"
    assert commands >= 4


def _is_option(decorator: ast.expr) -> bool:
    return (
        isinstance(decorator, ast.Call)
        and isinstance(decorator.func, ast.Attribute)
        and decorator.func.attr in ("option", "argument")
    )
