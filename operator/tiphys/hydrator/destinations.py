"""Where Applications are hydrated to, and who writes the same place: at most one may.

A place is a repository, a branch of it and a path. Members of a group meet in their run; but two groups
(other dry repositories or revisions) may write the same branch, too, and would write over each other with
each commit. So the places of all Applications are kept, as they come and go.
"""

import posixpath
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tiphys.hydrator.grouping import destination_branch, destination_url
from tiphys.resources.application import Application
from tiphys.resources.identity import AppKey
from tiphys.settings.urls import normalize_git_url


class Place(NamedTuple):
    """Where one Application is hydrated to; the address is normalised."""

    url: str
    branch: str
    path: str


def clean(path: str) -> str:
    """A path of the destination as it is written: without leading slash; ``""`` is the root."""
    cleaned = posixpath.normpath("/" + path).lstrip("/")
    return "" if cleaned == "." else cleaned


def place_of(app: Application) -> Place | None:
    """Where an Application is hydrated to; None: nowhere, or not any more."""
    hydrator = app.spec.source_hydrator
    if hydrator is None or app.metadata.deletion_timestamp:
        return None
    url, path = normalize_git_url(destination_url(hydrator)), clean(hydrator.sync_source.path)
    return Place(url, destination_branch(hydrator), path)


def rivals(apps: Sequence[Application], others: Sequence[Application]) -> list[Application]:
    """Who of the others stops these: those of their projects. Else naming somebody's place would be enough
    to stop his work, without the right to write there."""
    projects = {app.spec.project_name for app in apps}
    return [app for app in others if app.spec.project_name in projects]


class Destinations:
    """Who is hydrated to which place."""

    def __init__(self) -> None:
        self._writers: dict[Place, set[AppKey]] = {}

    def moved(self, old: Application | None, new: Application | None) -> frozenset[AppKey]:
        """An Application came, changed or went; who is left at a place that it does not write any more."""
        before = place_of(old) if old is not None else None
        after = place_of(new) if new is not None else None
        if new is not None and after is not None:
            self._writers.setdefault(after, set()).add(new.key)
        if old is None or before is None or before == after:
            return frozenset()
        left = self._writers.get(before, set())
        left.discard(old.key)
        if not left:
            self._writers.pop(before, None)
        return frozenset(left)

    def beside(self, apps: Iterable[Application]) -> list[AppKey]:
        """Others that are hydrated to the places of ``apps``, in the order of their names."""
        apps = list(apps)
        at = {place for app in apps if (place := place_of(app)) is not None}
        found = {key for place in at for key in self._writers.get(place, ())}
        return sorted(found - {app.key for app in apps}, key=str)
