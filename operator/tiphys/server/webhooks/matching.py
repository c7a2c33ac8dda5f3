"""Which Applications a push concerns (sources.md 22.4, 22.5). Pure but for the index's bookkeeping.

An :class:`Index` knows the sources of all Applications by the repository they name, so a push costs
what it concerns, not how many Applications there are.
"""

import re
from collections.abc import Callable, Iterable, Iterator

import msgspec

from tiphys.resources.application import Application
from tiphys.resources.identity import AppKey
from tiphys.resources.semver import Constraint, InvalidVersion, Version
from tiphys.server.webhooks.events import ArtifactPush, Event, Push
from tiphys.sources.paths import ANNOTATION, is_affected, refresh_paths

_ADDRESS = re.compile(
    r"(?:(?:https?|ssh)://)?(?:[^@/]+@)?(?:(?:alt)?ssh\.)?([^:/@]+)(?::\d+(?=/))?[/:]/?(.+?)(?:\.git)?/?",
    re.IGNORECASE,
)


class Followed(msgspec.Struct, frozen=True):
    """One source of an Application, as far as a push can concern it.

    Attributes:
        is_dry: it is what a hydrator reads, so the push asks for hydration, too.
    """

    url: str
    chart: str
    target_revision: str
    path: str
    is_dry: bool = False


class Wanted(msgspec.Struct, frozen=True):
    """An Application that a push concerns."""

    key: AppKey
    hydrate: bool


def sources_of(app: Application) -> tuple[Followed, ...]:
    """The sources in the order in which they are examined: the synced one, then the dry one."""
    hydrator = app.spec.source_hydrator
    if hydrator is not None:
        dry, synced = hydrator.dry_source, hydrator.sync_source
        return (
            Followed(synced.repo_url or dry.repo_url, "", synced.target_branch, synced.path),
            Followed(dry.repo_url, "", dry.target_revision, dry.path, is_dry=True),
        )
    return tuple(
        Followed(source.repo_url, source.chart, source.target_revision, source.path)
        for source in app.spec.effective_sources()
    )


def place_of(url: str) -> str:
    """``host/path`` of a repository's address, however it is written; ``""`` when it is none."""
    found = _ADDRESS.fullmatch(url.strip())
    return f"{found[1]}/{found[2]}".lower() if found else ""


class Index:
    """Applications by the places that their sources name; told of every change of the store."""

    def __init__(self, apps: Iterable[Application] = ()):
        self._by_place: dict[str, dict[AppKey, None]] = {}
        self._places: dict[AppKey, frozenset[str]] = {}
        for app in apps:
            self.changed(None, app)

    def changed(self, old: Application | None, new: Application | None) -> None:
        """An Application came, changed or went."""
        app = new if new is not None else old
        if app is None:
            return
        places = _places(new) if new is not None else frozenset[str]()
        before = self._places.get(app.key, frozenset())
        for place in before - places:
            self._by_place[place].pop(app.key, None)
            if not self._by_place[place]:
                del self._by_place[place]
        for place in places - before:
            self._by_place.setdefault(place, {})[app.key] = None
        if places:
            self._places[app.key] = places
        else:
            self._places.pop(app.key, None)

    def at(self, places: Iterable[str]) -> list[AppKey]:
        """Applications with a source at one of the places."""
        found: dict[AppKey, None] = {}
        for place in places:
            found.update(self._by_place.get(place, {}))
        return list(found)


def _places(app: Application) -> frozenset[str]:
    places: set[str] = set()
    for source in sources_of(app):
        places.update(_places_of_source(source))
    return frozenset(places - {""})


def _places_of_source(source: Followed) -> tuple[str, ...]:
    """A chart of an OCI registry is the repository below its address."""
    url = source.url.removeprefix("oci://")
    place = place_of(url)
    return (place, f"{place}/{source.chart}".lower()) if source.chart else (place,)


def concerned(event: Event, index: Index, app_of: Callable[[AppKey], Application | None]) -> Iterator[Wanted]:
    """The Applications that an event concerns; the first matching source of each decides."""
    if isinstance(event, Push):
        places = {place_of(url) for url in event.urls} - {""}
    else:
        places = {f"{event.host}/{event.repository}".lower()}
    for key in index.at(places):
        app = app_of(key)
        found = _first_match(event, places, app) if app is not None else None
        if found is not None:
            yield Wanted(key, hydrate=found.is_dry or isinstance(event, ArtifactPush))


def _first_match(event: Event, places: set[str], app: Application) -> Followed | None:
    for source in sources_of(app):
        if places.isdisjoint(_places_of_source(source)):
            continue
        if isinstance(event, ArtifactPush):
            if _follows(source.target_revision, event.tag):
                return source
        elif _follows_push(source, event) and _reads(app, source, event):
            return source
    return None


def _follows_push(source: Followed, push: Push) -> bool:
    if source.target_revision in ("", "HEAD"):
        return push.touches_default
    return _follows(source.target_revision, push.revision)


def _follows(target: str, revision: str) -> bool:
    """Equal (a ref's full name, too), or a constraint that the pushed version satisfies."""
    for prefix in ("refs/heads/", "refs/tags/"):
        target = target.removeprefix(prefix)
    if target == revision:
        return True
    try:
        return Constraint(target).accepts(Version(revision))
    except InvalidVersion:
        return False


def _reads(app: Application, source: Followed, push: Push) -> bool:
    """The annotation manifest-generate-paths; what a hydrator writes is read at its own path."""
    if app.spec.source_hydrator is not None and not source.is_dry:
        entries = refresh_paths(".", source.path)
    else:
        entries = refresh_paths(app.metadata.annotations.get(ANNOTATION, ""), source.path)
    return is_affected(entries, push.files or (), when_empty=True)
