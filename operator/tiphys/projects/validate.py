"""Whether an application may be what its spec says, and the spec in its normal form.

``validate_application`` gives the conditions of ``applications.md`` 3.1 with the reference's
texts, in its order and stopping where it stops; ``normalize_spec`` is 3.3. Both are used by the
controller on every full look and by the API before it writes.
"""

from collections.abc import Iterable

import msgspec

from tiphys.projects.permission import permits_destination, permits_source, permits_wherever_it_is
from tiphys.resources.application import (
    Application,
    ApplicationSource,
    ApplicationSourceDirectory,
    ApplicationSourceHelm,
    ApplicationSourceJsonnet,
    ApplicationSourceKustomize,
    ApplicationSpec,
    SourceHydrator,
    SyncPolicy,
)
from tiphys.resources.project import AppProject
from tiphys.settings.clusters import Cluster, DestinationError, trim_server
from tiphys.settings.model import Settings
from tiphys.settings.urls import without_credentials

INVALID_SPEC_ERROR = "InvalidSpecError"

Problem = tuple[str, str]
"""Type and message of a condition."""


def validate_application(
    app: Application,
    project: AppProject,
    destination: Cluster | DestinationError,
    settings: Settings,
) -> tuple[Problem, ...]:
    """Conditions that forbid to compare the application; none when all is well.

    Args:
        project: the effective project.
        destination: what the settings resolved the application's destination to.
    """
    spec = app.spec
    if spec.source_hydrator is not None:
        found, stop = _hydrator_problems(spec.source_hydrator, project)
    else:
        found, stop = _source_problems(spec, project)
    if stop:
        return _conditions(found)
    if isinstance(destination, DestinationError):
        return _conditions([*found, destination_problem(app, project, destination, settings)])
    if not is_destination_permitted(app, project, destination, settings):
        found.append(no_destination(app, project, destination))
    return _conditions(found)


def is_destination_permitted(
    app: Application, project: AppProject, cluster: Cluster, settings: Settings
) -> bool:
    """Whether the project permits the application's namespace in ``cluster``, its destination."""
    return permits_destination(
        project,
        server=cluster.server,
        name=cluster.name,
        namespace=app.spec.destination.namespace,
        scoped_clusters=settings.clusters.in_project(project.name),
    )


def destination_problem(
    app: Application, project: AppProject, problem: DestinationError, settings: Settings
) -> str:
    """What is said of a destination that is none. Of a cluster that the project does not permit the same
    as if it were there: nobody learns which clusters there are beyond his own."""
    asked = app.spec.destination
    if bool(asked.name) == bool(asked.server):
        return problem.message
    server = trim_server(asked.server)
    scoped = settings.clusters.in_project(project.name)
    place = asked.namespace
    if (
        permits_destination(project, server=server, name="", namespace=place, scoped_clusters=scoped)
        if server
        else permits_wherever_it_is(project, name=asked.name, namespace=place, scoped_clusters=scoped)
    ):
        return problem.message
    return _no_destination(asked.name or server, app, project)


def no_destination(app: Application, project: AppProject, cluster: Cluster) -> str:
    """What is said of a destination that the project does not permit."""
    return _no_destination(cluster.name if app.spec.destination.name else cluster.server, app, project)


def _no_destination(shown: str, app: Application, project: AppProject) -> str:
    return (
        f"application destination server '{shown}' and namespace '{app.spec.destination.namespace}' "
        f"do not match any of the allowed destinations in project '{project.name}'"
    )


def _conditions(messages: list[str]) -> tuple[Problem, ...]:
    return tuple((INVALID_SPEC_ERROR, message) for message in messages)


def _hydrator_problems(hydrator: SourceHydrator, project: AppProject) -> tuple[list[str], bool]:
    """Messages, and whether validation ends here."""
    dry, sync = hydrator.dry_source, hydrator.sync_source
    if not dry.repo_url:
        return ["spec.sourceHydrator.drySource.repoURL is required"], True
    if not sync.target_branch:
        return ["spec.sourceHydrator.syncSource.targetBranch is required"], True
    if hydrator.hydrate_to is not None and not hydrator.hydrate_to.target_branch:
        return [
            "when spec.sourceHydrator.hydrateTo is set, "
            "spec.sourceHydrator.hydrateTo.targetBranch is required"
        ], True
    found: list[str] = []
    if not permits_source(project, dry.repo_url):
        found.append(_not_permitted("application repo", dry.repo_url, project))
    if sync.repo_url and sync.repo_url != dry.repo_url and not permits_source(project, sync.repo_url):
        found.append(_not_permitted("sync source repo", sync.repo_url, project))
    return found, False


def _source_problems(spec: ApplicationSpec, project: AppProject) -> tuple[list[str], bool]:
    """Messages, and whether validation ends here."""
    found: list[str] = []
    for source in spec.effective_sources():
        incomplete = _incomplete(source, several=spec.has_multiple_sources)
        if incomplete:
            return [*found, incomplete], True
        found += source_problems((source,), project)
    return found, False


def source_problems(sources: Iterable[ApplicationSource], project: AppProject) -> list[str]:
    """What is said of sources that the project does not permit."""
    return [
        _not_permitted("application repo", source.repo_url, project)
        for source in sources
        if not permits_source(project, source.repo_url)
    ]


def _incomplete(source: ApplicationSource, *, several: bool) -> str:
    """What a source lacks; empty when it is complete."""
    if several:
        if not source.repo_url or not (source.path or source.chart or source.ref):
            return (
                "spec.source.repoURL and either source.path, source.chart, or source.ref are required "
                f"for source {_dump(source)}"
            )
    elif not source.repo_url or not (source.path or source.chart):
        return "spec.source.repoURL and either spec.source.path or spec.source.chart are required"
    if source.chart and not source.target_revision:
        return "spec.source.targetRevision is required if the manifest source is a helm chart"
    return ""


def _dump(source: ApplicationSource) -> str:
    """The source for people: its JSON, without credentials and without options of tools, which
    may hold secrets."""
    shown = msgspec.structs.replace(
        source,
        repo_url=without_credentials(source.repo_url),
        helm=None,
        kustomize=None,
        directory=None,
        plugin=None,
    )
    return msgspec.json.encode(shown).decode()


def _not_permitted(what: str, url: str, project: AppProject) -> str:
    return f"{what} {without_credentials(url)} is not permitted in project '{project.name}'"


_EMPTY_POLICY = SyncPolicy()
_EMPTY_HELM = ApplicationSourceHelm()
_EMPTY_KUSTOMIZE = ApplicationSourceKustomize()
_EMPTY_JSONNET = ApplicationSourceJsonnet()


def normalize_spec(spec: ApplicationSpec) -> ApplicationSpec:
    """The spec with the default project's name and without empty blocks (``applications.md`` 3.3).

    The same object comes back when there is nothing to change.
    """
    changes: dict[str, object] = {}
    if not spec.project:
        changes["project"] = spec.project_name
    if spec.sync_policy == _EMPTY_POLICY:
        changes["sync_policy"] = None
    if spec.sources:
        sources = tuple(normalize_source(source) for source in spec.sources)
        if sources != spec.sources:
            changes["sources"] = sources
    elif spec.source is not None:
        source = normalize_source(spec.source)
        if source is not spec.source:
            changes["source"] = source
    return msgspec.structs.replace(spec, **changes) if changes else spec


def normalize_source(source: ApplicationSource) -> ApplicationSource:
    """The source without empty blocks; the same object when there is nothing to change."""
    changes: dict[str, object] = {}
    if source.helm == _EMPTY_HELM:
        changes["helm"] = None
    if source.kustomize == _EMPTY_KUSTOMIZE:
        changes["kustomize"] = None
    directory = source.directory
    if (
        directory is not None
        and not directory.recurse
        and not directory.disable_extension_filter
        and directory.jsonnet in (None, _EMPTY_JSONNET)
    ):
        kept = ApplicationSourceDirectory(include=directory.include, exclude=directory.exclude)
        reduced = kept if kept.include or kept.exclude else None
        if reduced != directory:
            changes["directory"] = reduced
    return msgspec.structs.replace(source, **changes) if changes else source
