"""Series that picture the present, computed at each scrape (operations.md 2.1).

A callback gives one ``AppSample`` for each application and one ``ClusterSample`` for each
cluster; this turns them into families. Names of labels that users choose (``label_*``) are
sanitised, and a label that an object lacks is there with an empty value.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_NOT_LABEL = re.compile(r"[^a-zA-Z0-9_]")


class AppSample(msgspec.Struct, frozen=True, kw_only=True):
    """One application as a scrape sees it. ``repo`` is the normalised Git URL of its first source,
    ``dest_server`` the resolved cluster URL (empty when it cannot be resolved), ``operation`` is
    ``""``, ``sync`` or ``delete``; ``conditions`` counts conditions by type."""

    namespace: str
    name: str
    project: str
    autosync_enabled: bool = False
    repo: str = ""
    dest_server: str = ""
    dest_namespace: str = ""
    sync_status: str = ""
    health_status: str = ""
    operation: str = ""
    labels: Mapping[str, str] = {}
    conditions: Mapping[str, int] = {}
    orphaned_resources: int | None = None
    """``None``: the project does not watch orphans."""


class ClusterSample(msgspec.Struct, frozen=True, kw_only=True):
    """One cluster in the cache. ``cache_age_seconds`` is ``None`` before the first sync."""

    server: str
    name: str = ""
    k8s_version: str = ""
    objects: int = 0
    api_resources: int = 0
    cache_age_seconds: float | None = None
    connected: bool = False
    labels: Mapping[str, str] = {}


def label_columns(names: Iterable[str]) -> list[str]:
    """Column names of user labels: ``label_`` and what is no letter, digit or ``_`` replaced."""
    return [f"label_{_NOT_LABEL.sub('_', name)}" for name in names]


class PictureCollector(Collector):
    """Asks the callbacks at each scrape."""

    def __init__(
        self,
        apps: Callable[[], Iterable[AppSample]],
        clusters: Callable[[], Iterable[ClusterSample]],
    ) -> None:
        self._apps = apps
        self._clusters = clusters
        self.show((), (), ())

    def show(
        self, app_labels: tuple[str, ...], app_conditions: tuple[str, ...], cluster_labels: tuple[str, ...]
    ) -> None:
        """Labels and conditions that users chose."""
        self._app_labels = _distinct(app_labels)
        self._app_conditions = app_conditions
        self._cluster_labels = _distinct(cluster_labels)

    def collect(self) -> Iterator[Metric]:
        """The families, in the order of the sheet."""
        yield from self._app_families(tuple(self._apps()))
        yield from self._cluster_families(tuple(self._clusters()))

    def _app_families(self, apps: tuple[AppSample, ...]) -> Iterator[Metric]:
        identity = ["namespace", "name", "project"]
        info = GaugeMetricFamily(
            "argocd_app_info",
            "Information about an application.",
            labels=[
                *identity,
                *("autosync_enabled", "repo", "dest_server", "dest_namespace"),
                *("sync_status", "health_status", "operation"),
            ],
        )
        orphaned = GaugeMetricFamily(
            "argocd_app_orphaned_resources_count", "Number of orphaned resources.", labels=identity
        )
        for app in apps:
            info.add_metric(
                [
                    *(app.namespace, app.name, app.project, "true" if app.autosync_enabled else "false"),
                    *(app.repo, app.dest_server, app.dest_namespace),
                    *(app.sync_status or "Unknown", app.health_status or "Unknown", app.operation),
                ],
                1,
            )
            if app.orphaned_resources is not None:
                orphaned.add_metric([app.namespace, app.name, app.project], app.orphaned_resources)
        yield info
        yield orphaned
        if self._app_conditions:
            conditions = GaugeMetricFamily(
                "argocd_app_condition", "Number of conditions by type.", labels=[*identity, "condition"]
            )
            for app in apps:
                for condition in self._app_conditions:
                    if count := app.conditions.get(condition, 0):
                        conditions.add_metric([app.namespace, app.name, app.project, condition], count)
            yield conditions
        if self._app_labels:
            labels = GaugeMetricFamily(
                "argocd_app_labels",
                "Labels of an application.",
                labels=[*identity, *label_columns(self._app_labels)],
            )
            for app in apps:
                own = [app.labels.get(name, "") for name in self._app_labels]
                labels.add_metric([app.namespace, app.name, app.project, *own], 1)
            yield labels

    def _cluster_families(self, clusters: tuple[ClusterSample, ...]) -> Iterator[Metric]:
        info = GaugeMetricFamily(
            "argocd_cluster_info", "Information about a cluster.", labels=["server", "k8s_version", "name"]
        )
        objects = GaugeMetricFamily(
            "argocd_cluster_api_resource_objects", "Number of cached objects.", labels=["server"]
        )
        resources = GaugeMetricFamily(
            "argocd_cluster_api_resources", "Number of watched kinds.", labels=["server"]
        )
        age = GaugeMetricFamily(
            "argocd_cluster_cache_age_seconds", "Age of the cluster cache.", labels=["server"]
        )
        status = GaugeMetricFamily(
            "argocd_cluster_connection_status",
            "Whether the cluster is connected.",
            labels=["server", "k8s_version"],
        )
        for cluster in clusters:
            info.add_metric([cluster.server, cluster.k8s_version, cluster.name], 1)
            objects.add_metric([cluster.server], cluster.objects)
            resources.add_metric([cluster.server], cluster.api_resources)
            age.add_metric(
                [cluster.server], -1 if cluster.cache_age_seconds is None else cluster.cache_age_seconds
            )
            status.add_metric([cluster.server, cluster.k8s_version], 1 if cluster.connected else 0)
        yield from (info, objects, resources, age, status)
        if self._cluster_labels:
            labels = GaugeMetricFamily(
                "argocd_cluster_labels",
                "Labels of a cluster.",
                labels=["server", "name", *label_columns(self._cluster_labels)],
            )
            for cluster in clusters:
                own = [cluster.labels.get(name, "") for name in self._cluster_labels]
                labels.add_metric([cluster.server, cluster.name, *own], 1)
            yield labels


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names without those whose column another one has already."""
    seen: dict[str, str] = {}
    for name in names:
        seen.setdefault(label_columns([name])[0], name)
    return tuple(seen.values())
