"""Charts of chart repositories (sources.md 9.5, 9.6), served over HTTP with a password."""

import base64
import io
import ssl
import subprocess
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from tests.gitservers import Authority
from tests.sources.render.support import Bench, config_map
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import AccessDenied, RepositoryUnreachable, RevisionNotFound, SourceError
from tiphys.sources.render.charts import ChartOptions, ChartStore
from tiphys.sources.render.helm_dependencies import find_repository
from tiphys.sources.rendering import RenderRequest

pytestmark = pytest.mark.usefixtures("binaries")

VERSIONS = ("1.0.0", "1.1.0", "1.2.0-rc.1", "2.0.0")


class ChartServer:
    """A chart repository that wants ``user``/``secret``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.requests: list[str] = []
        self.agents: set[str] = set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.path)
        self.agents.add(request.headers["User-Agent"])
        wanted = "Basic " + base64.b64encode(b"user:secret").decode()
        if request.headers.get("Authorization") != wanted:
            return web.Response(status=401)
        place = self.folder / request.path.lstrip("/")
        return web.FileResponse(place) if place.is_file() else web.Response(status=404)

    def repository(self, **changes: Any) -> Repository:
        return Repository(
            **{"url": self.url, "type": "helm", "name": "charts", "username": "user", "password": "secret"}
            | changes
        )


def build_charts(folder: Path, url: str) -> None:
    folder.mkdir()
    for version in VERSIONS:
        chart = folder / "source" / version / "web"
        (chart / "templates").mkdir(parents=True)
        (chart / "Chart.yaml").write_text(f"apiVersion: v2\nname: web\nversion: {version}\n")
        (chart / "values.yaml").write_text("note: chart\n")
        (chart / "templates/cm.yaml").write_text(
            config_map("{{ .Release.Name }}", version=version, note="{{ .Values.note }}")
        )
        subprocess.run(["helm", "package", chart, "-d", folder], check=True, capture_output=True)
    subprocess.run(["helm", "repo", "index", folder, "--url", url], check=True, capture_output=True)


@asynccontextmanager
async def serving(folder: Path, tls: ssl.SSLContext | None = None) -> AsyncIterator[ChartServer]:
    server = ChartServer(folder)
    application = web.Application()
    application.router.add_get("/{path:.*}", server.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    host = "https://localhost" if tls else "http://127.0.0.1"
    server.url = f"{host}:{runner.addresses[0][1]}"
    build_charts(folder, server.url)
    yield server
    await runner.cleanup()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ChartServer]:
    async with serving(tmp_path / "charts") as server:
        yield server


def request_for(bench: Bench, repository: Repository, revision: str, **source: Any) -> RenderRequest:
    bench.sha = revision
    request = bench.request(
        {"repoURL": repository.url, "path": "", "chart": "web", "targetRevision": revision, **source}
    )
    return msgspec.structs.replace(request, repository=repository)


@pytest.mark.parametrize(
    ("revision", "version"),
    [
        ("1.0.0", "1.0.0"),
        ("v9.9", "v9.9"),
        ("1.x", "1.1.0"),
        ("~1.0", "1.0.0"),
        ("*", "2.0.0"),
        (">=1.1.0-0 <2.0.0", "1.2.0-rc.1"),
    ],
)
async def test_versions(bench: Bench, server: ChartServer, revision: str, version: str) -> None:  # 9.6
    assert await bench.renderer.charts.resolve(server.repository(), "web", revision) == version


async def test_the_index_is_read_once(bench: Bench, server: ChartServer) -> None:
    for _ in range(3):
        await bench.renderer.charts.resolve(server.repository(), "web", "*")
    assert server.requests == ["/index.yaml"]
    await bench.renderer.charts.resolve(server.repository(), "web", "*", fresh=True)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("chart", "revision", "text"),
    [
        ("nope", "*", "chart 'nope' not found in index"),
        ("web", ">=9", "version matching constraint not found in 4 tags"),
        ("web", "not a version", "failed to determine semver constraint: improper constraint: not a version"),
    ],
)
async def test_versions_that_are_not_there(
    bench: Bench, server: ChartServer, chart: str, revision: str, text: str
) -> None:
    with pytest.raises(RevisionNotFound) as caught:
        await bench.renderer.charts.resolve(server.repository(), chart, revision)
    assert text in caught.value.message


async def test_unreachable_and_unauthorised(bench: Bench, server: ChartServer) -> None:
    charts = bench.renderer.charts
    with pytest.raises(AccessDenied, match="failed to get index: 401"):
        await charts.resolve(server.repository(password="wrong"), "web", "*")
    with pytest.raises(RepositoryUnreachable, match="failed to get index: 404"):
        await charts.resolve(server.repository(url=server.url + "/no"), "web", "*")
    with pytest.raises(RepositoryUnreachable, match="failed to get index: "):
        await charts.resolve(server.repository(url="http://127.0.0.1:1"), "web", "*")


async def test_a_chart_is_pulled_once_and_rendered(bench: Bench, server: ChartServer) -> None:  # 9.6
    request = request_for(bench, server.repository(), "1.1.0", helm={"values": "note: mine"})
    rendered = await bench.renderer.render(request)
    assert rendered.source_type == "Helm"
    (found,) = [msgspec.json.decode(each) for each in rendered.manifests]
    assert (found["metadata"]["name"], found["data"]) == ("app", {"version": "1.1.0", "note": "mine"})
    await bench.renderer.render(request_for(bench, server.repository(), "1.1.0"))
    assert sum(path.endswith("web-1.1.0.tgz") for path in server.requests) == 1
    assert bench.renderer.renders == 2
    with pytest.raises(SourceError, match=r"chart \"web\".*9\.9\.9.*not found") as caught:
        await bench.renderer.render(request_for(bench, server.repository(), "9.9.9"))
    assert "secret" not in caught.value.message


async def test_dependencies_from_a_repository_by_name(bench: Bench, server: ChartServer) -> None:  # 9.5
    bench.commit(
        {
            "chart/Chart.yaml": "apiVersion: v2\nname: chart\nversion: 0.1.0\ndependencies:\n"
            "- {name: web, version: 1.x, repository: '@charts'}\n",
            "chart/templates/cm.yaml": config_map("own"),
        }
    )
    found = await bench.names({"path": "chart"}, repositories=(server.repository(),))
    assert sorted(found) == ["app", "own"]


async def test_how_long_an_index_answers(bench: Bench, server: ChartServer, tmp_path: Path) -> None:  # 9.6
    charts = bench.renderer.charts
    charts.set_revision_cache(-1.0)  # as after a change of timeout.reconciliation: all is too old
    for _ in range(2):
        await charts.resolve(server.repository(), "web", "*")
    assert len(server.requests) == 2
    own = ChartStore(
        tmp_path / "own", bench.renderer.tools, ChartOptions(index_seconds=60.0, user_agent="acme/1")
    )
    own.set_revision_cache(-1.0)  # ARGOCD_HELM_INDEX_CACHE_DURATION counts
    for _ in range(2):
        await own.resolve(server.repository(), "web", "*")
    assert len(server.requests) == 3
    assert server.agents == {"tiphys", "acme/1"}
    await own.close()


async def test_a_chart_is_pulled_again_when_it_is_old(
    bench: Bench, server: ChartServer, tmp_path: Path
) -> None:  # 9.6
    charts = ChartStore(tmp_path / "own", bench.renderer.tools, ChartOptions(max_age=-1.0))
    for _ in range(2):
        await charts.files(request_for(bench, server.repository(), "1.0.0"))
    assert sum(path.endswith("web-1.0.0.tgz") for path in server.requests) == 2
    await charts.close()


def tls_of(folder: Path, authority: Authority, clients: Authority | None = None) -> ssl.SSLContext:
    for name, text in zip(("server.crt", "server.key"), authority.issue("localhost"), strict=True):
        (folder / name).write_text(text)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients.pem)
    return context


DEPENDING = (
    "apiVersion: v2\nname: chart\nversion: 0.1.0\n"
    "dependencies:\n- {name: web, version: 1.x, repository: '%s'}\n"
)


async def test_own_authority(bench: Bench, tmp_path: Path) -> None:  # sources.md 19
    authority = Authority()
    charts = bench.renderer.charts
    async with serving(tmp_path / "charts", tls_of(tmp_path, authority)) as server:
        repository = server.repository()
        with pytest.raises(RepositoryUnreachable, match="certificate"):
            await charts.resolve(repository, "web", "*")
        bench.commit({"chart/Chart.yaml": DEPENDING % server.url})
        with pytest.raises(SourceError, match="certificate"):
            await bench.rendered({"path": "chart"}, repositories=(repository,))
        charts.set_certificates({"localhost": authority.pem})
        assert await charts.resolve(repository, "web", "1.0.*") == "1.0.0"
        rendered = await bench.renderer.render(request_for(bench, repository, "1.0.0"))
        assert len(rendered.manifests) == 1
        # 9.5: dependencies, too; what failed before is tried anew
        bench.commit(
            {"chart/Chart.yaml": DEPENDING % server.url, "chart/templates/cm.yaml": config_map("own")}
        )
        assert sorted(await bench.names({"path": "chart"}, repositories=(repository,))) == ["app", "own"]


async def test_client_certificates(bench: Bench, tmp_path: Path) -> None:  # 9.5, 9.6
    authority = Authority()
    bench.renderer.charts.set_certificates({"localhost": authority.pem})
    certificate, key = authority.issue("client")
    async with serving(tmp_path / "charts", tls_of(tmp_path, authority, authority)) as server:
        with pytest.raises(RepositoryUnreachable):
            await bench.renderer.charts.resolve(server.repository(), "web", "*")
        repository = server.repository(tls_client_cert_data=certificate, tls_client_cert_key=key)
        assert await bench.renderer.charts.resolve(repository, "web", "1.0.*") == "1.0.0"
        assert len((await bench.renderer.render(request_for(bench, repository, "1.0.0"))).manifests) == 1
        bench.commit(
            {"chart/Chart.yaml": DEPENDING % "@charts", "chart/templates/cm.yaml": config_map("own")}
        )
        found = await bench.names({"path": "chart"}, repositories=(repository,))
        assert sorted(found) == ["app", "own"]


async def test_without_certificate_checks(bench: Bench, tmp_path: Path) -> None:  # 9.6
    async with serving(tmp_path / "charts", tls_of(tmp_path, Authority())) as server:
        repository = server.repository(insecure=True)
        assert await bench.renderer.charts.resolve(repository, "web", "1.0.*") == "1.0.0"
        assert len((await bench.renderer.render(request_for(bench, repository, "1.0.0"))).manifests) == 1


CONFIGURED = (
    Repository(url="https://charts/x", type="helm", name="charts", username="exact"),
    Repository(url="registry/team/app", type="helm", name="r", username="around", enable_oci=True),
)
TEMPLATES = (
    Repository(url="https://charts", type="helm", username="template"),
    Repository(url="registry/open", type="helm", username="bare"),
    Repository(url="oci://other", type="oci", username="oci"),
)


@pytest.mark.parametrize(
    ("url", "user"),
    [
        ("https://charts/x", "exact"),
        ("@charts", "exact"),
        ("alias:charts", "exact"),
        ("https://charts/y", "template"),
        ("https://Charts/y", None),
        ("oci://registry/team", "around"),
        ("oci://registry/open/x", "bare"),
        ("oci://other/x", "oci"),
        ("https://elsewhere", None),
        ("@unknown", None),
    ],
)
def test_credentials_of_a_dependency(url: str, user: str | None) -> None:  # 9.5
    found = find_repository(url, CONFIGURED, TEMPLATES)
    assert (found and found.username) == user


async def test_refused_dependencies(bench: Bench) -> None:  # 9.5
    bench.commit(
        {
            "chart/Chart.yaml": "apiVersion: v2\nname: chart\nversion: 0.1.0\ndependencies:\n"
            "- {name: web, version: 1.x, repository: 'https://127.0.0.1:1/charts'}\n",
        }
    )
    with pytest.raises(SourceError) as caught:
        await bench.rendered({"path": "chart"}, permits_source=lambda url: False)
    text = "helm repos https://127.0.0.1:1/charts are not permitted in project 'default'"
    assert (caught.value.code, caught.value.message) == ("PermissionDenied", text)


def hostile_archive(path: Path) -> None:
    with tarfile.open(path, "w:gz") as packed:
        text = b"apiVersion: v2\nname: web\nversion: 3.0.0\n"
        member = tarfile.TarInfo("web/Chart.yaml")
        member.size = len(text)
        packed.addfile(member, io.BytesIO(text))
        link = tarfile.TarInfo("web/secret")
        link.type = tarfile.SYMTYPE
        link.linkname = "/etc/passwd"
        packed.addfile(link)


async def test_an_archive_with_a_link_outside(bench: Bench, server: ChartServer) -> None:
    hostile_archive(server.folder / "web-3.0.0.tgz")
    index_hostile_archive(server)
    with pytest.raises(SourceError, match="chart contains out-of-bounds symlinks or names: web"):
        await bench.renderer.render(request_for(bench, server.repository(), "3.0.0"))


def index_hostile_archive(server: ChartServer) -> None:
    """An index that lists the hostile archive (helm itself would not)."""
    (server.folder / "index.yaml").write_text(
        "apiVersion: v1\nentries:\n  web:\n  - {apiVersion: v2, name: web, version: 3.0.0, "
        f"urls: ['{server.url}/web-3.0.0.tgz']}}\n"
    )
