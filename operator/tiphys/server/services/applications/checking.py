"""Whether the sources of an Application can be had: asked of the repositories and the tools themselves.

Done before an Application is written unless the request says ``validate=false`` (api.md 8.2,
applications.md 3.2). It is the controllers' own way to a desired state, so what passes here renders
there, and the render is in the cache already. The repositories were found permitted before: nobody
reaches one through the server that the project forbids.
"""

import asyncio
from collections.abc import Iterable, Sequence

import msgspec

from tiphys.compare.targets import TargetError
from tiphys.compare.tracking import Tracking
from tiphys.kube.errors import KubeError
from tiphys.projects.validate import INVALID_SPEC_ERROR, Problem
from tiphys.reconcile.desired import DesiredRequest, DesiredStateError, DesiredStates
from tiphys.reconcile.refresh import CHANGED_NOW
from tiphys.resources.application import Application, ApplicationSource
from tiphys.resources.project import AppProject
from tiphys.server.api.failures import unknown
from tiphys.server.state import State
from tiphys.settings.clusters import Cluster
from tiphys.settings.urls import without_credentials
from tiphys.sources.errors import SourceError
from tiphys.sources.queries.access import check_access


async def source_problems(
    state: State, app: Application, project: AppProject, cluster: Cluster
) -> tuple[Problem, ...]:
    """What is wrong with the sources; none when all repositories answer and everything renders.

    Raises:
        ApiFailure: Unknown, the destination cluster could not be asked what it serves.
    """
    sources = checked_sources(app)
    closed = [
        f"repository not accessible: repositories not accessible: {without_credentials(url)}: {told(error)}"
        for url, error in await _unreachable(state, app, sources)
    ]
    if closed:
        return tuple((INVALID_SPEC_ERROR, text) for text in closed)
    try:
        discovery = await (await state.connect(cluster)).discovery()
    except KubeError as error:
        raise unknown(f"error validating the repo: {error}") from error
    settings = state.settings
    request = DesiredRequest(
        app=app,
        instance=app.key.instance(state.namespace),
        sources=sources,
        revisions=("",) * len(sources),
        settings=settings,
        tracking=Tracking(settings.tracking_method, settings.instance_label_key, settings.installation_id),
        server=cluster.server,
        discovery=discovery,
        project=project,
        max_age=CHANGED_NOW,
    )
    try:
        await DesiredStates(state.git, state.renderer).load(request)
    except DesiredStateError as error:
        cause = error.__cause__
        if _matched_no_files(cause):
            return ()
        text = told(cause) if isinstance(cause, SourceError) else str(error)
        path = sources[error.index].path
        return ((INVALID_SPEC_ERROR, f"Unable to generate manifests in {path}: {text}"),)
    except TargetError:
        return ()  # what is rendered is judged when it is compared
    return ()


def checked_sources(app: Application) -> tuple[ApplicationSource, ...]:
    """The sources that must be there when the Application is written: of a hydrator the dry one, since
    the other is yet to be made."""
    hydrator = app.spec.source_hydrator
    if hydrator is None:
        return app.spec.effective_sources()
    return (hydrator.dry_source.as_source(),)


def told(error: SourceError) -> str:
    """A failure as the reference's repository server tells it."""
    return f"rpc error: code = {error.code} desc = {error.message}"


async def _unreachable(
    state: State, app: Application, sources: Sequence[ApplicationSource]
) -> Iterable[tuple[str, SourceError]]:
    """The repositories that do not answer; an answer of the last second counts for all who ask."""
    since = asyncio.get_running_loop().time() - CHANGED_NOW
    failed: dict[str, SourceError] = {}
    for source in sources:
        repository = state.settings.repositories.lookup(source.repo_url, app.spec.project)
        if source.chart and repository.type == "git":
            repository = msgspec.structs.replace(repository, type="helm")
        try:
            await check_access(state.git, state.renderer.charts, repository, since=since)
        except SourceError as error:
            failed.setdefault(source.repo_url, error)
    return failed.items()


def _matched_no_files(error: BaseException | None) -> bool:
    """A pattern of value files that matches nothing yet is no reason to refuse (applications.md 3.2)."""
    return isinstance(error, SourceError) and error.code == "NotFound" and "matched no files" in error.message
