"""What is served beside the methods: files, documents, health, further routes, the badge (api.md 1, 14)."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.server.http.sample import site
from tiphys.resources.application import Application
from tiphys.resources.meta import ObjectMeta
from tiphys.resources.operation import OperationState, SyncOperationResult
from tiphys.resources.spec import ApplicationSpec
from tiphys.resources.status import ApplicationStatus, HealthStatus, SyncStatus
from tiphys.server.http.badge import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    BadBadge,
    Badge,
    BadgeQuery,
    badge_of,
    badge_svg,
)
from tiphys.server.http.options import ExtraRoute, HttpOptions
from tiphys.server.http.static import with_base_href

HTML = {"Accept": "text/html,application/xhtml+xml"}
INDEX = '<html><head><base href="/"><title>UI</title></head></html>'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ui = tmp_path / "ui"
    (ui / "assets").mkdir(parents=True)
    (ui / "index.html").write_text(INDEX)
    (ui / "main.0123456789abcdef0123.js").write_text("run()")
    (ui / "assets" / "a b.css").write_text("b{}")
    (ui / "extensions.js").write_text("no")
    (tmp_path / "secret").write_text("secret")
    (ui / "out").symlink_to(tmp_path / "secret")
    (ui / "in").symlink_to(ui / "assets" / "a b.css")
    return ui


@pytest.mark.parametrize(
    ("path", "accept", "status", "body"),
    [
        ("/main.0123456789abcdef0123.js", "*/*", 200, "run()"),
        ("/assets/a%20b.css", "*/*", 200, "b{}"),
        ("/in", "*/*", 200, "b{}"),
        ("/", "text/html", 200, INDEX),
        ("/applications/argocd/x", "text/html, */*", 200, INDEX),
        ("/applications", "html", 200, INDEX),
        ("/applications", "text/html;q=0.9", 404, None),  # the exact word only
        ("/applications", "*/*", 404, None),
        ("/settings.json", "application/json", 404, None),
        ("/assets", "*/*", 404, None),
        ("/out", "*/*", 404, None),
        ("/../secret", "*/*", 404, None),
        ("/%2e%2e/secret", "*/*", 404, None),
        ("/assets/../../secret", "*/*", 404, None),
        ("/assets%2f..%2f..%2fsecret", "*/*", 404, None),
        ("/..%5csecret", "*/*", 404, None),
        ("/index.html%00.js", "*/*", 404, None),
        ("//secret", "*/*", 404, None),
    ],
)
async def test_files(folder: Path, path: str, accept: str, status: int, body: str | None) -> None:
    async with site(HttpOptions(static_assets=folder)) as api:
        answer = await api.get(path, headers={"Accept": accept})
        assert answer.status == status
        assert body is None or answer.text == body
        assert answer.headers["X-Frame-Options"] == "sameorigin"
        assert answer.headers["Content-Security-Policy"] == "frame-ancestors 'self';"
        assert answer.headers["X-XSS-Protection"] == "1"
        assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"


async def test_caching_of_files(folder: Path) -> None:
    async with site(HttpOptions(static_assets=folder, x_frame_options="", content_security_policy="")) as api:
        script = await api.get("/main.0123456789abcdef0123.js")
        assert script.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert "X-Frame-Options" not in script.headers
        assert "Content-Security-Policy" not in script.headers
        page = await api.get("/anything", headers=HTML)
        assert "no-cache" in page.headers["Cache-Control"]
        again = await api.get(
            "/in", headers={"If-Modified-Since": (await api.get("/in")).headers["Last-Modified"]}
        )
        assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("verb", ["POST", "DELETE"])
async def test_pages_are_read_only(folder: Path, verb: str) -> None:
    async with site(HttpOptions(static_assets=folder)) as api:
        assert (await api.call(verb, "/applications", headers=HTML)).status == 404


@pytest.mark.parametrize(
    ("options", "href"),
    [
        (HttpOptions(), "/"),
        (HttpOptions(base_href="/argo-cd"), "/argo-cd/"),
        (HttpOptions(base_href="argo/cd/"), "/argo/cd/"),
        (HttpOptions(base_href="/ignored", root_path="own"), "/own/"),
        (HttpOptions(base_href='/"><script>'), "/&quot;>&lt;script>"),
    ],
)
def test_the_base_of_the_page(options: HttpOptions, href: str) -> None:
    page = with_base_href(INDEX.encode(), options.href).decode()
    assert re.search('<base href="(.*?)">', page.replace("&lt;script>/", "&lt;script>"))[1] == href  # type: ignore[index]


async def test_without_a_folder_a_page_says_so() -> None:
    async with site() as api:
        answer = await api.get("/", headers=HTML)
        assert answer.status == 200
        assert "No web interface is installed" in answer.text


async def test_a_root_path_is_in_front_of_everything(folder: Path) -> None:
    async with site(HttpOptions(static_assets=folder, root_path="own/path", swagger=lambda: b"{}")) as api:
        assert (await api.get("/own/path/api/version")).json == {"Version": "v3.6.0"}
        assert (await api.get("/own/path/swagger.json")).status == 200
        assert '<base href="/own/path/">' in (await api.get("/own/path/", headers=HTML)).text
        assert (await api.get("/own/path/healthz")).text == "ok\n"
        assert (await api.get("/healthz")).text == "ok\n"
        for path in ("/api/version", "/", "/own", "/own/pathology/api/version", "/swagger.json"):
            assert (await api.get(path, headers=HTML)).status == 404
        moved = await api.get("/own/path")
        assert (moved.status, moved.headers["Location"]) == (301, "/own/path/")


@pytest.mark.parametrize(
    ("wrong", "query", "status"),
    [
        ("", "", 200),
        ("", "?full=true", 200),
        ("terminating", "", 503),
        ("a cluster Secret", "?full=true", 503),
    ],
)
async def test_health(wrong: str, query: str, status: int) -> None:
    asked = []

    async def health(full: bool) -> str:
        asked.append(full)
        return wrong

    async with site(HttpOptions(health=health)) as api:
        answer = await api.get(f"/healthz{query}")
    assert (answer.status, answer.text) == (status, "ok\n" if status == 200 else "")
    assert asked == [bool(query)]


async def test_the_document_and_its_page() -> None:
    async with site(HttpOptions(swagger=lambda: b'{"swagger":"2.0"}')) as api:
        document, page = await api.get("/swagger.json"), await api.get("/swagger-ui")
        assert document.json == {"swagger": "2.0"}
        for answer in (document, page):
            assert answer.headers["X-Frame-Options"] == "DENY"
            assert answer.headers["Content-Security-Policy"] == "frame-ancestors 'none'"
        assert 'fetch("swagger.json")' in page.text
        assert "schema.$ref" in page.text
        assert not re.search(r"(src|href)=|https?://", page.text)  # nothing from elsewhere


async def test_the_document_can_be_switched_off() -> None:
    async with site() as api:
        for path in ("/swagger.json", "/swagger-ui"):
            assert (await api.get(path)).status == 404


async def test_extensions_are_joined(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "extension-b.js").write_text("b()")
    (tmp_path / "extension-a.js").write_text("a()")
    (tmp_path / "other.js").write_text("no()")
    async with site(HttpOptions(extensions=tmp_path)) as api:
        answer = await api.get("/extensions.js")
    assert answer.text == "b()\na()\n"
    assert answer.headers["Content-Type"] == "application/javascript"


async def test_no_extensions_are_an_empty_file() -> None:
    async with site() as api:
        answer = await api.get("/extensions.js")
    assert (answer.status, answer.body) == (200, b"")


async def test_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with site() as api:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert (await api.get("/download/argocd-linux")).status == 404
        program = tmp_path / "argocd"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        monkeypatch.setattr("platform.machine", lambda: "x86_64")
        for name, status in {
            "argocd-linux": 200,
            "argocd-linux-amd64": 200,
            "argocd-linux-arm64": 404,
            "../argocd": 404,
            "": 404,
        }.items():
            answer = await api.get(f"/download/{name}")
            assert answer.status == status
        assert (await api.get("/download/argocd-linux")).text == "#!/bin/sh\n"


async def test_further_routes() -> None:
    seen = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.rel_url.raw_path)
        return web.Response(text="extra")

    switched_off = ExtraRoute("/auth/login", handler, enabled=lambda: False)
    options = HttpOptions(
        root_path="r",
        extra_routes=[
            ExtraRoute("/auth/logout", handler),
            ExtraRoute("/api/webhook", handler),
            ExtraRoute("/api/dex/", handler, prefix=True),
            switched_off,
        ],
    )
    async with site(options) as api:
        for verb, path in [
            ("GET", "/r/auth/logout"),
            ("POST", "/r/api/webhook"),  # not subject to content types
            ("GET", "/r/api/dex/auth/callback"),
        ]:
            answer = await api.call(verb, path, headers={"Content-Type": "text/strange"})
            assert (answer.status, answer.text) == (200, "extra")
        assert seen == ["/r/auth/logout", "/r/api/webhook", "/r/api/dex/auth/callback"]
        for path in ("/r/auth/login", "/r/auth/logout/x", "/r/api/dex"):
            assert (await api.get(path)).status == 404


async def test_grpc_web_is_found_by_its_content_type() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=request.rel_url.raw_path)

    async with site(HttpOptions(grpc_web=handler)) as api:
        for path in ("/version.VersionService/Version", "/api/version", "/anything"):
            answer = await api.call("POST", path, headers={"Content-Type": "application/grpc-web+proto"})
            assert answer.text == path
        answer = await api.call("POST", "/api/version", headers={"Content-Type": "application/grpc-web-text"})
        assert answer.status == 415


# The badge


class Apps:
    def __init__(self, *apps: Application, enabled: bool = True):
        self._apps = apps
        self.is_enabled = enabled

    def application(self, namespace: str, name: str) -> Application | None:
        wanted = (namespace or "argocd", name)
        return next((a for a in self._apps if (a.metadata.namespace, a.metadata.name) == wanted), None)

    def applications(self, projects: Sequence[str]) -> Iterable[Application]:
        return [app for app in self._apps if app.spec.project in projects]


def app(
    name: str = "a", health: str = "Healthy", sync: str = "Synced", project: str = "p", **result: Any
) -> Application:
    state = OperationState(sync_result=SyncOperationResult(**result)) if result else None
    return Application(
        metadata=ObjectMeta(name=name, namespace="argocd"),
        spec=ApplicationSpec(project=project),
        status=ApplicationStatus(
            health=HealthStatus(status=health), sync=SyncStatus(status=sync), operation_state=state
        ),
    )


SHA = "0123456789abcdef0123456789abcdef01234567"


def test_the_colours_are_those_that_pages_know() -> None:
    assert (GREEN, PURPLE) == ("rgb(11, 97, 42)", "rgb(115, 31, 77)")
    assert (BLUE, ORANGE) == ("rgb(16, 61, 102)", "rgb(189, 115, 0)")
    assert (RED, GREY) == ("rgb(167, 46, 38)", "rgb(41, 52, 61)")


@pytest.mark.parametrize(
    ("health", "sync", "left", "right"),
    [
        ("Healthy", "Synced", GREEN, GREEN),
        ("Progressing", "OutOfSync", BLUE, ORANGE),
        ("Degraded", "Unknown", RED, PURPLE),
        ("Missing", "Synced", PURPLE, GREEN),
        ("Suspended", "Synced", GREY, GREEN),
        ("Unknown", "Synced", PURPLE, GREEN),
    ],
)
def test_badge_colours(health: str, sync: str, left: str, right: str) -> None:
    badge = badge_of(BadgeQuery(name="a"), Apps(app(health=health, sync=sync)))
    assert (badge.left, badge.left_colour, badge.right, badge.right_colour) == (health, left, sync, right)


@pytest.mark.parametrize(
    ("query", "source", "wanted"),
    [
        (BadgeQuery(name="a"), Apps(app(), enabled=False), Badge()),
        (BadgeQuery(name="a"), None, Badge()),
        (BadgeQuery(), Apps(app()), Badge()),
        (BadgeQuery(name="b"), Apps(app()), Badge("Not Found", "")),
        (BadgeQuery(name="a", namespace="other"), Apps(app()), Badge("Not Found", "")),
        (BadgeQuery(projects=("p",)), Apps(app()), Badge("Healthy", "Synced", GREEN, GREEN)),
        (
            BadgeQuery(projects=("p", "q")),
            Apps(app(), app("b", "Progressing", "Synced"), app("c", "Healthy", "Unknown", "q")),
            Badge("Degraded", "OutOfSync", RED, ORANGE),
        ),
        (BadgeQuery(projects=("r",)), Apps(app()), Badge()),
        (
            BadgeQuery(name="a", revision=True),
            Apps(app(revision=SHA)),
            Badge("Healthy", "Synced", GREEN, GREEN, "(0123456)", width=192),
        ),
        (
            BadgeQuery(name="a", revision=True, full_revision=True),
            Apps(app(revision="", revisions=(SHA, "x"))),
            Badge("Healthy", "Synced", GREEN, GREEN, f"({SHA})", width=400),
        ),
        (BadgeQuery(name="a", revision=True), Apps(app()), Badge("Healthy", "Synced", GREEN, GREEN)),
        (
            BadgeQuery(name="a", title=True, width=500),
            Apps(app()),
            Badge("Healthy", "Synced", GREEN, GREEN, title="a", width=500),
        ),
    ],
)
def test_what_a_badge_shows(query: BadgeQuery, source: Any, wanted: Badge) -> None:
    assert badge_of(query, source) == wanted


@pytest.mark.parametrize(
    ("badge", "width", "height"),
    [
        (Badge(), 131, 20),
        (Badge(revision="(0123456)", width=192), 192, 20),
        (Badge(title="a"), 131, 40),
        (Badge(title="a" * 40), 240, 40),
    ],
)
def test_the_drawing(badge: Badge, width: int, height: int) -> None:
    svg = badge_svg(badge).decode()
    assert f'width="{width}" height="{height}"' in svg.split(">")[0]
    parts = ("title", "left", "right", "revision")
    assert re.findall(r'id="(\w+)"', svg) == [f"{part}{kind}" for part in parts for kind in ("Rect", "Text")]
    assert svg.count('display="none"') == 2 * (not badge.title) + 2 * (not badge.revision)


def test_texts_of_a_badge_are_escaped() -> None:
    assert b"<script>" not in badge_svg(Badge(left="<script>", title='"&'))


@pytest.mark.parametrize(
    "query",
    [
        {"name": ["A"]},
        {"name": ["a/b"]},
        {"name": ["a" * 254]},
        {"namespace": ["a.b"]},
        {"project": ["a", "b/"]},
        {"name": ["<svg"]},
    ],
)
def test_names_that_cannot_be(query: dict[str, list[str]]) -> None:
    with pytest.raises(BadBadge):
        BadgeQuery.parse(query)


@pytest.mark.parametrize(
    ("text", "width"), [("200", 200), ("0", 0), ("-1", 0), ("x", 0), ("99999999999", 0), ("²", 0), ("", 0)]
)
def test_the_width_of_a_badge(text: str, width: int) -> None:
    assert BadgeQuery.parse({"width": [text]}).width == width


async def test_the_badge_is_for_everybody() -> None:
    async with site(HttpOptions(badge=Apps(app()))) as api:
        answer = await api.get("/api/badge?name=a", headers={"Authorization": ""})
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "image/svg+xml"
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert ">Healthy<" in answer.text
        bad = await api.get("/api/badge?name=A")
        assert (bad.status, bad.body) == (400, b"")
