"""What forbids to hydrate a group (``sources.md`` 21.3). One that is broken holds up all of them: they
share a commit, and half a commit would be taken for a whole one."""

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence

from tiphys.hydrator.destinations import Place, place_of
from tiphys.hydrator.grouping import destination_branch, destination_url
from tiphys.projects.permission import permits_source
from tiphys.resources.application import Application
from tiphys.resources.identity import AppKey
from tiphys.resources.project import AppProject
from tiphys.resources.spec import SourceHydrator


def problems_of(
    apps: Iterable[Application],
    projects: Mapping[AppKey, AppProject | str],
    others: Iterable[Application] = (),
) -> dict[AppKey, str]:
    """The first problem of each Application that has one.

    Args:
        apps: of one group.
        others: of other groups, which are hydrated to the same places.
        projects: of each its effective project, or why it may not use it.
    """
    found: dict[AppKey, str] = {}
    writers: dict[Place, list[tuple[Application, SourceHydrator]]] = {}
    for app in (*apps, *others):
        hydrator, place = app.spec.source_hydrator, place_of(app)
        if hydrator is None or place is None:
            continue
        if problem := _problem(app, hydrator, projects[app.key]):
            found[app.key] = problem  # and it writes nowhere, so it is in nobody's way
        else:
            writers.setdefault(place, []).append((app, hydrator))
    for (first, _), *more in writers.values():
        for app, hydrator in more:
            where = f"repo={destination_url(hydrator)}, path={hydrator.sync_source.path}"
            found[app.key] = f"app {first.key} hydrator uses the same destination: {where}"
            found.setdefault(first.key, f"app {app.key} hydrator uses the same destination: {where}")
    return found


def with_the_others(apps: Sequence[Application], found: Mapping[AppKey, str]) -> dict[AppKey, str]:
    """The problem of every Application of a group in which some have one."""
    names = sorted(str(key) for key in found)
    more = len(names) - 1
    text = f"cannot hydrate because application {names[0]} has an error"
    if more:
        text = f"cannot hydrate because application {names[0]} and {more} more have errors"
    return {app.key: found.get(app.key, text) for app in apps}


def _problem(app: Application, hydrator: SourceHydrator, project: AppProject | str) -> str:
    if isinstance(project, str):
        return f'failed to get project "{app.spec.project_name}": {project}'
    dry, url = hydrator.dry_source.repo_url, destination_url(hydrator)
    branch, path = destination_branch(hydrator), hydrator.sync_source.path
    if not dry:
        return "spec.sourceHydrator.drySource.repoURL is required"
    if not hydrator.sync_source.target_branch:
        return "spec.sourceHydrator.syncSource.targetBranch is required"
    if not branch:
        text = "when spec.sourceHydrator.hydrateTo is set"
        return f"{text}, spec.sourceHydrator.hydrateTo.targetBranch is required"
    for name in (hydrator.sync_source.target_branch, branch):
        if not _is_branch(name):
            return f"{name!r} is no name that a branch can have: change spec.sourceHydrator"
    if not permits_source(project, dry):
        return f"application repo {dry} is not permitted in project '{app.spec.project_name}'"
    if posixpath.normpath(path or ".") in (".", "/", "//"):
        return (
            f'app is configured to hydrate to the repository root (branch "{branch}", path "{path}") '
            "which is not allowed"
        )
    if problem := _path_problem(path):
        return f'app is configured to hydrate to path "{path}" of branch "{branch}", {problem}'
    if not permits_source(project, url):
        return f"destination repo {url} is not permitted in project '{app.spec.project_name}'"
    return ""


_GITS_OWN = re.compile(r"(?:^|[/\\])(?:git~|\.git[ .]*(?:[/\\:]|$))", re.IGNORECASE)
"""What some file system would take for ``.git``; git refuses to write it anywhere."""


def _path_problem(path: str) -> str:
    """Why nothing may be written there: it would be read from another place, or be no content."""
    parts = path.split("/")
    if path.startswith("/"):
        return "which is absolute: name it from the repository's root"
    if ".." in parts:
        return "which may not contain '..'"
    if _GITS_OWN.search(path):
        return "which git keeps for itself"
    if any(ord(char) < 32 or char == "\x7f" for char in path):
        return "which holds control characters"
    return ""


_FORBIDDEN = frozenset(" ~^:?*[\\\x7f")


def _is_branch(name: str) -> bool:
    """The rules of ``git check-ref-format`` for a branch."""
    parts = name.split("/")
    return (
        not any(char in _FORBIDDEN or ord(char) < 32 for char in name)
        and not name.startswith("-")
        and ".." not in name
        and "@{" not in name
        and not name.endswith(".")
        and name != "@"
        and all(part and not part.startswith(".") and not part.endswith(".lock") for part in parts)
    )
