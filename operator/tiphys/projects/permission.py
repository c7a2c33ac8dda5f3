"""What a project permits: sources, destinations, kinds, live objects, namespaces of applications.

The rules of ``applications.md`` 16. All take the *effective* project (``effective.py``). A
decision never depends on anything but its arguments, so the same question has the same answer in
the comparison, the sync, the deletion and the API.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from tiphys.projects.glob import is_negative, matches, matches_name_list, matches_negatable, matches_path
from tiphys.resources.identity import ResourceKey
from tiphys.resources.project import AppProject, ClusterResourceRestrictionItem
from tiphys.settings.urls import normalize_git_url


class ClusterLike(Protocol):
    """The part of ``settings.clusters.Cluster`` that permission is about."""

    @property
    def server(self) -> str: ...
    @property
    def name(self) -> str: ...


class OwnedClusterLike(ClusterLike, Protocol):
    """A cluster that may belong to a project."""

    @property
    def project(self) -> str: ...


def permits_source(project: AppProject, url: str) -> bool:
    """Whether the project permits the repository ``url``.

    Both sides are normalised; ``*`` stays between two ``/``. A ``!`` pattern that is hit forbids
    at once, and one that is not hit counts as a permission: a list of nothing but negative
    patterns permits the rest.
    """
    source = _normalize(url)
    permitted = False
    for pattern in project.spec.source_repos:
        if is_negative(pattern):
            if matches(_normalize(pattern[1:]), source, "/"):
                return False
            permitted = True
        elif matches(_normalize(pattern), source, "/"):
            permitted = True
    return permitted


def _normalize(url: str) -> str:
    # What is no URL (a pattern with a class in the host, say) is still compared.
    return normalize_git_url(url) or url.strip().lower()


def permits_destination(
    project: AppProject,
    *,
    server: str,
    name: str,
    namespace: str,
    scoped_clusters: Iterable[ClusterLike] = (),
) -> bool:
    """Whether the project permits a namespace in a cluster.

    Args:
        server: URL of the resolved cluster.
        name: name of the resolved cluster (rules by name count even if the application says URL).
        scoped_clusters: the project's own clusters, which alone are permitted under
            ``permitOnlyProjectScopedClusters``.
    """
    if not _permits_destination_by_rules(project, server, name, namespace):
        return False
    if not project.spec.permit_only_project_scoped_clusters:
        return True
    return any(cluster.server == server or bool(name and cluster.name == name) for cluster in scoped_clusters)


def _permits_destination_by_rules(project: AppProject, server: str, name: str, namespace: str) -> bool:
    permitted = False
    for rule in project.spec.destinations:
        name_ok = bool(name) and matches_negatable(rule.name, name)
        server_ok = matches_negatable(rule.server, server)
        namespace_ok = matches_negatable(rule.namespace, namespace)
        if (server_ok or name_ok) and namespace_ok:
            permitted = True
        elif (
            (is_negative(rule.name) and not name_ok)
            or (is_negative(rule.server) and not server_ok and namespace_ok)
            or (is_negative(rule.namespace) and not namespace_ok and server_ok)
        ):
            return False
    return permitted


def permits_wherever_it_is(
    project: AppProject, *, name: str, namespace: str, scoped_clusters: Iterable[ClusterLike] = ()
) -> bool:
    """Whether the project permits a namespace in the cluster of this name, whichever server it may have.

    For names that lead to no cluster: only where this is so, nothing is told by saying that there is none.
    Never true where :func:`permits_destination` is false for some server; a pattern other than ``*``
    counts as one that some server misses.
    """
    permitted = False
    for rule in project.spec.destinations:
        name_ok = bool(name) and matches_negatable(rule.name, name)
        namespace_ok = matches_negatable(rule.namespace, namespace)
        if namespace_ok and (name_ok or rule.server == "*"):
            permitted = True
        elif (
            (is_negative(rule.name) and not name_ok)
            or (is_negative(rule.server) and namespace_ok)
            or (is_negative(rule.namespace) and not namespace_ok)
        ):
            return False
    if not permitted or not project.spec.permit_only_project_scoped_clusters:
        return permitted
    return any(name and cluster.name == name for cluster in scoped_clusters)


def permits_kind(project: AppProject, group: str, kind: str, *, namespaced: bool, name: str = "") -> bool:
    """Whether the project permits a kind; for cluster-scoped ones, with this ``name``.

    Cluster-scoped kinds need an entry in the whitelist; namespaced ones only if there is a
    whitelist at all. The blacklists forbid in either case.
    """
    spec = project.spec
    if not namespaced:
        return _lists_cluster_kind(
            spec.cluster_resource_whitelist, group, kind, name
        ) and not _lists_cluster_kind(spec.cluster_resource_blacklist, group, kind, name)
    permitted = spec.namespace_resource_whitelist is None or any(
        matches_path(item.kind, kind) and matches_path(item.group, group)
        for item in spec.namespace_resource_whitelist
    )
    return permitted and not any(
        matches_path(item.kind, kind) and matches_path(item.group, group)
        for item in spec.namespace_resource_blacklist
    )


def _lists_cluster_kind(
    items: Sequence[ClusterResourceRestrictionItem], group: str, kind: str, name: str
) -> bool:
    return any(
        matches_path(item.kind, kind)
        and matches_path(item.group, group)
        and (not item.name or matches(item.name, name))
        for item in items
    )


def permits_live(
    project: AppProject,
    key: ResourceKey,
    *,
    cluster: OwnedClusterLike,
    scoped_clusters: Iterable[ClusterLike] | None = None,
) -> bool:
    """Whether the project permits a live object: its kind (namespaced if it has a namespace) and,
    when namespaced, its own namespace in its cluster.

    Args:
        scoped_clusters: the project's own clusters; when not given, what the cluster itself says
            about its project decides.
    """
    namespaced = bool(key.namespace)
    if not permits_kind(project, key.group, key.kind, namespaced=namespaced, name=key.name):
        return False
    if not namespaced:
        return True
    if scoped_clusters is None:
        scoped_clusters = (cluster,) if cluster.project and cluster.project == project.name else ()
    return permits_destination(
        project,
        server=cluster.server,
        name=cluster.name,
        namespace=key.namespace,
        scoped_clusters=scoped_clusters,
    )


def live_permission(project: AppProject, cluster: OwnedClusterLike) -> Callable[[ResourceKey], bool]:
    """:func:`permits_live` for many objects of one cluster: no rule tells namespaced ones of the same kind
    and namespace apart, so each such pair is decided once."""
    decided: dict[tuple[str, str, str], bool] = {}

    def permitted(key: ResourceKey) -> bool:
        if not key.namespace:
            return permits_live(project, key, cluster=cluster)
        place = (key.group, key.kind, key.namespace)
        answer = decided.get(place)
        if answer is None:
            answer = decided[place] = permits_live(project, key, cluster=cluster)
        return answer

    return permitted


def permits_app_namespace(project: AppProject, namespace: str, control_namespace: str) -> bool:
    """Whether applications of the project may live in ``namespace``: always in the control
    plane's, else by the globs and ``/regular expressions/`` of ``sourceNamespaces``."""
    if not namespace or namespace == control_namespace:
        return True
    return matches_name_list(project.spec.source_namespaces, namespace)
