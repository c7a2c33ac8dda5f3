"""The sources of an Application for a caller who may see it: which one, and what asking for it takes."""

from tiphys.compare.tracking import Tracking
from tiphys.kube.errors import ConnectionSettingsError
from tiphys.projects.permission import permits_source
from tiphys.reconcile.desired import DesiredRequest
from tiphys.resources.application import Application, ApplicationSource
from tiphys.resources.project import AppProject
from tiphys.server.api.failures import permission_denied, unknown
from tiphys.server.services.applications.access import Reached
from tiphys.server.services.applications.resources.reaching import Reaching
from tiphys.server.state import State
from tiphys.settings.repositories import Repository
from tiphys.settings.urls import without_credentials

DRY_SOURCE = -1
"""The ``sourceIndex`` of what a hydrator reads (sources.md 2); what is synced has index 0."""


def source_of(app: Application, index: int | None, version: int | None) -> ApplicationSource:
    """The source that ``sourceIndex`` and ``versionId`` of a request mean.

    Args:
        version: id of an entry of the history; None: the spec as it is now.

    Raises:
        ApiFailure: Unknown, there is none (api.md 8.2 "Revision metadata family").
    """
    hydrator = app.spec.source_hydrator
    if index == DRY_SOURCE and hydrator is not None and version is None:
        return hydrator.dry_source.as_source()
    sources = app.spec.effective_sources() if version is None else _sources_then(app, version)
    at = index or 0
    if not 0 <= at < len(sources):
        count = "there is only 1 source" if len(sources) == 1 else f"there are only {len(sources)} sources"
        raise unknown(f"source index {at} not found because {count}")
    return sources[at]


def _sources_then(app: Application, version: int) -> tuple[ApplicationSource, ...]:
    history = app.status.history or ()
    if not history:
        raise unknown(f"version ID {version} not found because the app has no history")
    for entry in history:
        if entry.id == version:
            return tuple(entry.sources) or (entry.source,)
    raise unknown(f"revision history not found for version ID {version}")


def repository_of(state: State, project: AppProject, app: Application, url: str) -> Repository:
    """The repository of a source with its credentials, if the project permits it.

    The reference relies on what was checked when the Application was written; who can write it in
    Kubernetes alone must not read other people's repositories through the API.

    Raises:
        ApiFailure: PermissionDenied, the project does not permit it.
    """
    check_permitted(project, url)
    return state.settings.repositories.lookup(url, app.spec.project)


def check_permitted(project: AppProject, url: str) -> None:
    """Raises ApiFailure: PermissionDenied, the project does not permit the repository."""
    if not permits_source(project, url):
        raise permission_denied(
            f"application repo {without_credentials(url)} is not permitted in project '{project.name}'"
        )


async def desired_request(
    state: State,
    reach: Reaching,
    reached: Reached,
    sources: tuple[ApplicationSource, ...],
    revisions: tuple[str, ...] = (),
    *,
    no_cache: bool = False,
) -> DesiredRequest:
    """What rendering these sources of an Application takes.

    Raises:
        ApiFailure: a source is not permitted, or there is no destination.
        ApiError, ClusterUnreachable: it cannot be asked what it serves.
    """
    app, settings = reached.app, state.settings
    for source in sources:
        check_permitted(reached.project, source.repo_url)
    cluster = reach.cluster(app)
    try:
        discovery = await (await state.connect(cluster)).discovery()
    except ConnectionSettingsError as error:
        raise unknown(f"error getting destination cluster: {error}") from None
    return DesiredRequest(
        app=app,
        instance=app.key.instance(state.namespace),
        sources=sources,
        revisions=revisions,
        settings=settings,
        tracking=Tracking(settings.tracking_method, settings.instance_label_key, settings.installation_id),
        server=cluster.server,
        discovery=discovery,
        project=reached.project,
        no_cache=no_cache,
    )
