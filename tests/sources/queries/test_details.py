"""Details of sources (sources.md 16) with the real Helm and Kustomize."""

from typing import Any

import pytest

from tests.sources.render.support import Bench
from tests.sources.render.test_charts import serving
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import RepositoryUnreachable, SourceError
from tiphys.sources.queries import app_details, check_access, list_charts
from tiphys.sources.queries.details import images_of
from tiphys.sources.rendering import RefSource

pytestmark = pytest.mark.usefixtures("binaries")

DEFAULTS = {
    "replicas": "2",
    "big": "1000000",
    "image.tag": "1.0",
    "image.pull": "<nil>",
    "hosts[0]": "a",
    "hosts[1].name": "b",
    "hosts[1].ports[0]": "1",
    "hosts[1].ports[1]": "2",
    "enabled": "true",
    "ratio": "0.5",
}


async def test_a_chart(bench: Bench) -> None:
    found = await app_details(bench.renderer, bench.request({"path": "chart"}))
    assert (found.type, found.kustomize, found.directory) == ("Helm", None, None)
    assert found.helm is not None
    assert found.helm.name == "web"
    assert found.helm.value_files == ("envs/my-values.YAML", "values-prod.yml", "values.yaml")
    assert found.helm.values.startswith("# the defaults\nreplicas: 2\n")
    assert {each.name: each.value for each in found.helm.parameters} == DEFAULTS


@pytest.mark.parametrize(
    ("helm", "changes"),
    [
        pytest.param(
            {"valueFiles": ["values-prod.yml"]}, {"replicas": "5", "extra.deep.er": "x"}, id="later files win"
        ),
        pytest.param(
            {"valueFiles": ["envs/*.YAML", "missing.yaml"], "ignoreMissingValueFiles": True},
            {"replicas": "7"},
            id="globs and missing files",
        ),
        pytest.param(
            {"parameters": [{"name": "replicas", "value": "9"}]}, {}, id="own parameters do not count"
        ),
        pytest.param({"valueFiles": ["https://localhost:1/x"]}, {}, id="URLs are not fetched"),
    ],
)
async def test_selected_value_files(bench: Bench, helm: dict[str, Any], changes: dict[str, str]) -> None:
    found = await app_details(bench.renderer, bench.request({"path": "chart", "helm": helm}))
    assert found.helm is not None
    assert {each.name: each.value for each in found.helm.parameters} == DEFAULTS | changes


async def test_value_files_of_another_source(bench: Bench) -> None:
    source = {"path": "chart", "helm": {"valueFiles": ["$values/chart/values-prod.yml"]}}
    refs = {"values": RefSource(bench.upstream.repository, bench.sha)}
    found = await app_details(bench.renderer, bench.request(source, refs=refs))
    assert found.helm is not None
    assert ("replicas", "5") in [(each.name, each.value) for each in found.helm.parameters]


async def test_file_parameters_are_those_of_the_source(bench: Bench) -> None:
    source = {"path": "chart", "helm": {"fileParameters": [{"name": "cfg", "path": "other.yaml"}]}}
    found = await app_details(bench.renderer, bench.request(source))
    assert found.helm is not None
    assert [(each.name, each.path) for each in found.helm.file_parameters] == [("cfg", "other.yaml")]


@pytest.mark.parametrize(
    ("source", "code", "text"),
    [
        pytest.param({"path": "absent"}, "InvalidArgument", "absent: app path does not exist", id="path"),
        pytest.param(
            {"path": "chart", "helm": {"valueFiles": ["absent.yaml"]}},
            "Unknown",
            "failed to read value file chart/absent.yaml",
            id="value file",
        ),
        pytest.param(
            {"path": "chart", "helm": {"valueFiles": ["../../x.yaml"]}},
            "Unknown",
            "failed to resolve value files: ",
            id="value file outside",
        ),
        pytest.param({"path": "odd"}, "Unknown", "failed running helm: `helm show values .`", id="no chart"),
        pytest.param({"path": "plain", "plugin": {"name": "x"}}, "Unimplemented", "plugins", id="plugin"),
    ],
)
async def test_refusals(bench: Bench, source: dict[str, Any], code: str, text: str) -> None:
    with pytest.raises(SourceError) as caught:
        await app_details(bench.renderer, bench.request(source))
    assert caught.value.code == code
    assert text in caught.value.message
    assert str(bench.upstream.path.parent) not in caught.value.message


async def test_oci_is_not_supported_yet(bench: Bench) -> None:
    with pytest.raises(SourceError) as caught:
        await app_details(bench.renderer, bench.request({"repoURL": "oci://x/y"}))
    assert caught.value.code == "Unimplemented"


async def test_a_kustomization_lists_images_after_its_edits(bench: Bench) -> None:  # sources.md 10.2
    source = {"path": "kust", "kustomize": {"images": ["nginx:1.28"]}}
    found = await app_details(bench.renderer, bench.request(source))
    assert (found.type, found.helm) == ("Kustomize", None)
    assert found.kustomize is not None
    assert found.kustomize.images == ("busybox:1", "busybox:1", "nginx:1.28")


async def test_a_directory_has_nothing_to_tell(bench: Bench) -> None:
    found = await app_details(bench.renderer, bench.request({"path": "plain"}))
    assert (found.type, found.helm, found.kustomize) == ("Directory", None, None)
    assert found.directory is not None


def test_images_at_any_depth() -> None:
    pods = [
        {"x": {"containers": [{"image": "b"}, {"name": "none"}]}},
        {"list": [{"initContainers": [{"image": "a"}]}]},
    ]
    assert images_of(pods) == ("a", "b")


# --- chart repositories --------------------------------------------------------------------------


async def test_charts_of_a_repository(bench: Bench, tmp_path: Any) -> None:  # sources.md 16
    async with serving(tmp_path / "charts") as server:
        charts = bench.renderer.charts
        found = await list_charts(charts, server.repository())
        assert [(each.name, sorted(each.versions)) for each in found.items] == [
            ("web", ["1.0.0", "1.1.0", "1.2.0-rc.1", "2.0.0"])
        ]
        before = len(server.requests)
        await list_charts(charts, server.repository())
        assert len(server.requests) == before + 1  # uncached
        await check_access(bench.git, charts, server.repository())
        for wrong in ({"password": "hunter2"}, {"username": "", "password": ""}):
            with pytest.raises(SourceError) as caught:
                await check_access(bench.git, charts, server.repository(**wrong))
            assert "failed to get index: 401" in caught.value.message
            assert "hunter2" not in caught.value.message
        source = {"path": "", "chart": "web", "repoURL": server.url}
        request = bench.request(source, repository=server.repository(), revision="2.0.0")
        details = await app_details(bench.renderer, request)
        assert details.helm is not None
        assert [(each.name, each.value) for each in details.helm.parameters] == [("note", "chart")]


@pytest.mark.parametrize(
    ("repository", "kind"),
    [
        (Repository(url="registry.example", type="helm", enable_oci=True), SourceError),
        (Repository(url="http://localhost:1/charts", type="helm"), RepositoryUnreachable),
    ],
    ids=["registry", "unreachable"],
)
async def test_no_charts(bench: Bench, repository: Repository, kind: type[SourceError]) -> None:
    with pytest.raises(kind):
        await list_charts(bench.renderer.charts, repository)
