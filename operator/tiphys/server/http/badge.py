"""The badge: a small SVG of an application's or a project's health and sync state (api.md 14 "Badge").

Public, and therefore off unless ``statusbadge.enabled`` says otherwise; then it tells two words of an
application and, if asked, its revision and name. ``BadgeQuery.parse`` reads the parameters, ``badge_of``
decides what is shown (pure), ``badge_svg`` draws it.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Protocol

import msgspec
from aiohttp import web

from tiphys.reconcile.namespaces import is_namespace_enabled
from tiphys.resources.application import Application
from tiphys.resources.identity import AppKey
from tiphys.server.http.names import is_label, is_subdomain
from tiphys.server.http.queries import BadQuery, parse_query
from tiphys.server.state import State

HEADERS: Mapping[str, str] = {
    "Content-Type": "image/svg+xml",
    "Cache-Control": "private, no-store",
    "Access-Control-Allow-Origin": "*",
}

BLUE, GREEN, PURPLE = "rgb(16, 61, 102)", "rgb(11, 97, 42)", "rgb(115, 31, 77)"
ORANGE, RED, GREY = "rgb(189, 115, 0)", "rgb(167, 46, 38)", "rgb(41, 52, 61)"

HEALTH_COLOURS: Mapping[str, str] = {
    "Progressing": BLUE,
    "Healthy": GREEN,
    "Missing": PURPLE,
    "Unknown": PURPLE,
    "Degraded": RED,
    "Suspended": GREY,
}
SYNC_COLOURS: Mapping[str, str] = {"Synced": GREEN, "OutOfSync": ORANGE, "Unknown": PURPLE}

WIDTH, WIDTH_WITH_REVISION, WIDTH_WITH_FULL_REVISION = 131, 192, 400
HEIGHT, HEIGHT_WITH_TITLE = 20, 40
LEFT_WIDTH, RIGHT_END = 74, 131
MAX_WIDTH = 10_000


class BadgeSource(Protocol):
    """What a badge may know."""

    @property
    def is_enabled(self) -> bool: ...

    def application(self, namespace: str, name: str) -> Application | None:
        """An application of an enabled namespace (``""``: the control plane's)."""

    def applications(self, projects: Sequence[str]) -> Iterable[Application]:
        """All applications of the projects."""


class StateBadges:
    """Badges out of the server's state."""

    def __init__(self, state: State):
        self._state = state

    @property
    def is_enabled(self) -> bool:
        return self._state.settings.raw.get("statusbadge.enabled") == "true"

    def application(self, namespace: str, name: str) -> Application | None:
        namespace = namespace or self._state.namespace
        if not is_namespace_enabled(namespace, self._state.settings):
            return None
        return self._state.apps.get(AppKey(namespace, name))

    def applications(self, projects: Sequence[str]) -> Iterable[Application]:
        wanted = frozenset(projects)
        return (app for app in self._state.apps if (app.spec.project or "default") in wanted)


class BadBadge(ValueError):
    """A name in the query cannot be one."""


class BadgeQuery(msgspec.Struct, frozen=True):
    """What is asked; ``width`` 0: as wide as usual."""

    name: str = ""
    namespace: str = ""
    projects: tuple[str, ...] = ()
    revision: bool = False
    full_revision: bool = False
    title: bool = False
    width: int = 0

    @classmethod
    def parse(cls, query: Mapping[str, Sequence[str]]) -> "BadgeQuery":
        """From the parameters of the request.

        Raises:
            BadBadge: a name, namespace or project that cannot exist.
        """

        def first(name: str) -> str:
            return query[name][0] if name in query else ""

        name, namespace = first("name"), first("namespace")
        projects = tuple(each for each in query.get("project", ()) if each)
        if name and not is_subdomain(name):
            raise BadBadge("name")
        if namespace and not is_label(namespace):
            raise BadBadge("namespace")
        if not all(is_subdomain(project) for project in projects):
            raise BadBadge("project")
        width = first("width")
        return cls(
            name=name,
            namespace=namespace,
            projects=projects,
            revision=first("revision") == "true",
            full_revision=first("keepFullRevision") == "true",
            title=first("showAppName") == "true",
            width=int(width) if width.isascii() and width.isdecimal() and int(width[:9]) <= MAX_WIDTH else 0,
        )


class Badge(msgspec.Struct, frozen=True):
    """What is drawn: texts and colours; ``revision`` and ``title`` may be empty."""

    left: str = "Unknown"
    right: str = "Unknown"
    left_colour: str = PURPLE
    right_colour: str = PURPLE
    revision: str = ""
    title: str = ""
    width: int = WIDTH


def badge_of(query: BadgeQuery, source: BadgeSource | None) -> Badge:
    """What the badge shows."""
    if source is None or not source.is_enabled:
        return Badge(width=query.width or WIDTH)
    if query.name:
        app = source.application(query.namespace, query.name)
        if app is None:
            return Badge("Not Found", "", width=query.width or WIDTH)
        return _of_application(query, app)
    if query.projects:
        return _of_projects(query, source.applications(query.projects))
    return Badge(width=query.width or WIDTH)


def _of_application(query: BadgeQuery, app: Application) -> Badge:
    health, sync = app.status.health.status or "Unknown", app.status.sync.status or "Unknown"
    width, revision = WIDTH, ""
    if query.revision and (revision := _revision_of(app)):
        width = WIDTH_WITH_FULL_REVISION if query.full_revision else WIDTH_WITH_REVISION
        revision = f"({revision if query.full_revision else revision[:7]})"
    return Badge(
        left=health,
        right=sync,
        left_colour=HEALTH_COLOURS.get(health, GREY),
        right_colour=SYNC_COLOURS.get(sync, GREY),
        revision=revision,
        title=app.metadata.name if query.title else "",
        width=query.width or width,
    )


def _of_projects(query: BadgeQuery, apps: Iterable[Application]) -> Badge:
    health, sync = "Unknown", "Unknown"
    for app in apps:
        if health == "Unknown":
            health, sync = "Healthy", "Synced"
        if app.status.health.status != "Healthy":
            health = "Degraded"
        if app.status.sync.status != "Synced":
            sync = "OutOfSync"
    return Badge(
        left=health,
        right=sync,
        left_colour=HEALTH_COLOURS[health],
        right_colour=SYNC_COLOURS[sync],
        width=query.width or WIDTH,
    )


def _revision_of(app: Application) -> str:
    state = app.status.operation_state
    result = state.sync_result if state is not None else None
    if result is None:
        return ""
    return result.revision or next(iter(result.revisions), "")


def badge_svg(badge: Badge) -> bytes:
    """The drawing; every text is escaped."""
    top = HEIGHT if badge.title else 0
    height = HEIGHT_WITH_TITLE if badge.title else HEIGHT
    title_width = max(6 * len(badge.title), badge.width)
    whole = title_width if badge.title else badge.width
    rest = max(0, badge.width - RIGHT_END)
    boxes = (
        _box("title", badge.title, GREY, 0, 0, title_width, shown=bool(badge.title)),
        _box("left", badge.left, badge.left_colour, 0, top, LEFT_WIDTH),
        _box("right", badge.right, badge.right_colour, LEFT_WIDTH, top, RIGHT_END - LEFT_WIDTH),
        _box("revision", badge.revision, GREY, RIGHT_END, top, rest, shown=bool(badge.revision)),
    )
    drawn = "\n".join(boxes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="{height}" '
        f'viewBox="0 0 {whole} {height}" role="img">\n{drawn}\n</svg>\n'
    ).encode()


def _box(name: str, text: str, colour: str, x: int, y: int, width: int, *, shown: bool = True) -> str:
    hidden = "" if shown else ' display="none"'
    return (
        f'<rect id="{name}Rect" x="{x}" y="{y}" width="{width}" height="{HEIGHT}" fill="{colour}"{hidden}/>\n'
        f'<text id="{name}Text" x="{x + width / 2:g}" y="{y + 14}" fill="#fff" text-anchor="middle" '
        f'font-family="DejaVu Sans,Verdana,Geneva,sans-serif" font-size="11"{hidden}>{escape(text)}</text>'
    )


class BadgeHandler:
    """Answers ``/api/badge``, to anybody."""

    def __init__(self, source: BadgeSource | None):
        self._source = source

    async def handle(self, request: web.Request) -> web.Response:
        """The badge; 400 with nothing to read for names that cannot be."""
        try:
            query = BadgeQuery.parse(parse_query(request.rel_url.raw_query_string))
        except (BadBadge, BadQuery):
            return web.Response(status=400)
        return web.Response(body=badge_svg(badge_of(query, self._source)), headers=HEADERS)
