"""What metrics and Events show of the present: applications and clusters as samples and labels."""

from collections import Counter
from collections.abc import Iterator

from tiphys.reconcile.admission import is_left_alone
from tiphys.reconcile.services import Services
from tiphys.resources.application import Application
from tiphys.resources.identity import AppKey
from tiphys.settings.clusters import DestinationError
from tiphys.settings.repositories import normalize_git_url
from tiphys.telemetry.metrics import AppLabels, AppSample, ClusterSample


def labels_of(services: Services, app: Application) -> AppLabels:
    """What names an application in a series."""
    return AppLabels(
        app.metadata.namespace, app.metadata.name, app.spec.project or "default", _server(services, app)
    )


def app_samples(services: Services) -> Iterator[AppSample]:
    """One sample for each application that is worked on (operations.md 2.1)."""
    for app in services.apps:
        if is_left_alone(app, services.settings):
            continue
        automated = app.spec.sync_policy.automated if app.spec.sync_policy else None
        operation = "delete" if app.metadata.deletion_timestamp else ""
        if not operation and app.operation is not None and app.operation.sync is not None:
            operation = "sync"
        yield AppSample(
            namespace=app.metadata.namespace,
            name=app.metadata.name,
            project=app.spec.project or "default",
            autosync_enabled=automated is not None and automated.enabled is not False,
            repo=normalize_git_url(app.spec.effective_sources()[0].repo_url),
            dest_server=_server(services, app),
            dest_namespace=app.spec.destination.namespace,
            sync_status=app.status.sync.status,
            health_status=app.status.health.status,
            operation=operation,
            labels=app.metadata.labels,
            conditions=Counter(condition.type for condition in app.status.conditions),
            orphaned_resources=services.memory.orphans.get(app.key),
        )


def cluster_samples(services: Services) -> Iterator[ClusterSample]:
    """One sample for each cluster in use."""
    for handle in services.pool:
        state = handle.cache.state
        yield ClusterSample(
            server=handle.cluster.server,
            name=handle.cluster.name,
            k8s_version=state.version,
            objects=state.resources,
            api_resources=state.kinds,
            cache_age_seconds=_age(services, state.synced_at),
            connected=not state.error,
            labels=handle.cluster.labels,
        )


def event_labels(services: Services, app: Application) -> dict[str, str]:
    """Labels of an application's Events: its own and its project's, filtered (applications.md 24)."""
    settings = services.settings
    if not settings.event_label_include:
        return {}
    project = services.projects.get(AppKey(settings.control_namespace, app.spec.project or "default"))
    inherited = project.metadata.labels if project is not None else {}
    return settings.copy_event_labels({**inherited, **app.metadata.labels}.items())


def _age(services: Services, moment: float | None) -> float | None:
    return None if moment is None else services.clock().timestamp() - moment


def _server(services: Services, app: Application) -> str:
    try:
        return services.settings.clusters.resolve(app.spec.destination).server
    except DestinationError:
        return ""
