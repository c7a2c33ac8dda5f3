"""Manifests as the sources give them, for people: rendered when asked for and remembered for nobody.

They carry the marks of tracking and are otherwise what the tools printed; what a comparison makes of
them is in ``desired``.
"""

from collections.abc import Iterable
from pathlib import Path

import orjson

from tiphys.compare.tracking import TrackingError
from tiphys.reconcile.desired import DesiredRequest, DesiredStates
from tiphys.resources.identity import Manifest
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import SourceError
from tiphys.sources.rendering import Rendered, Renderer

STREAMED = "streamed"
"""The revision of manifests that were rendered from files of a user."""


async def rendered_manifests(states: DesiredStates, request: DesiredRequest) -> list[Manifest]:
    """What the sources render to, in their order, at the revisions of the request.

    Raises:
        SourceError: a revision cannot be resolved or a source not be rendered.
        DesiredStateError: the same, of a source with its number; its cause is the SourceError.
    """
    repositories: list[Repository] = []
    commits: list[str] = []
    for index, source in enumerate(request.sources):
        repository = request.settings.repositories.lookup(source.repo_url, request.app.spec.project)
        wanted = request.revisions[index] if index < len(request.revisions) else ""
        repositories.append(repository)
        commits.append(await states.resolve(repository, source, wanted, request))
    return _stamped(request, await states.render_all(request, repositories, commits))


async def rendered_files(
    states: DesiredStates, renderer: Renderer, request: DesiredRequest, folder: Path, checksum: str
) -> list[Manifest]:
    """What the first source renders to if its repository held the files of ``folder``.

    Args:
        folder: with the files as they were sent; nobody changes it while this runs.
        checksum: names the content of ``folder``.

    Raises:
        SourceError: they cannot be rendered.
    """
    source = request.sources[0]
    repository = request.settings.repositories.lookup(source.repo_url, request.app.spec.project)
    asked = states.render_request(request, source, repository, STREAMED, {})
    return _stamped(request, [await renderer.render_folder(asked, folder, checksum)])


def _stamped(request: DesiredRequest, rendered: Iterable[Rendered]) -> list[Manifest]:
    namespace = request.app.spec.destination.namespace
    try:
        return [
            request.tracking.stamp(orjson.loads(body), request.instance, namespace)
            for each in rendered
            for body in each.manifests
        ]
    except TrackingError as error:
        raise SourceError(
            "Unknown", f"failed to set app instance tracking info on manifest: {error}"
        ) from error
