"""Helm with its real binary (sources.md 9)."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.sources.render.support import Bench, Upstream, config_map
from tiphys.settings.model import RenderSettings
from tiphys.sources.errors import SourceError
from tiphys.sources.render.globs import path_glob
from tiphys.sources.render.helm import escaped, kube_version
from tiphys.sources.rendering import RefSource, Renderer, RenderOptions

pytestmark = pytest.mark.usefixtures("binaries")

VALUES = """apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
data:
  values: {{ toJson .Values | quote }}
  kube: {{ .Capabilities.KubeVersion.Version | quote }}
  has: {{ .Capabilities.APIVersions.Has "example.com/v1/Thing" | quote }}
"""
CRD = (
    "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
    "metadata: {name: things.example.com}\n"
)
HOOK = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a-test\n  annotations: {helm.sh/hook: test}\n"
CHART = {
    "chart/Chart.yaml": "apiVersion: v2\nname: chart\nversion: 0.1.0\n",
    "chart/values.yaml": "from: chart\n",
    "chart/templates/cm.yaml": VALUES,
    "chart/crds/crd.yaml": CRD,
    "chart/templates/test.yaml": HOOK,
}


async def values(bench: Bench, options: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """The values that the chart was rendered with."""
    helm = {"skipTests": True, "skipCrds": True, **(options or {})}
    (found,) = await bench.objects({"path": "chart", "helm": helm}, **changes)
    result: dict[str, Any] = json.loads(found["data"]["values"])
    return result


async def test_everything_at_once(bench: Bench) -> None:  # 9.1, 9.2
    bench.commit(CHART)
    rendered = await bench.rendered(
        {"path": "chart"},
        app_name="ns_app",
        kube_version="v1.30.3-gke.1",
        api_versions=("v1", "example.com/v1/Thing"),
    )
    assert rendered.source_type == "Helm"
    objects = {each["kind"]: each for each in map(msgspec.json.decode, rendered.manifests)}
    assert set(objects) == {"ConfigMap", "CustomResourceDefinition", "Pod"}
    assert objects["ConfigMap"]["metadata"] == {"name": "app", "namespace": "prod"}
    assert objects["ConfigMap"]["data"]["kube"] == "v1.30.3"
    assert objects["ConfigMap"]["data"]["has"] == "true"
    assert rendered.commands == (
        "helm template . --name-template app --namespace prod --kube-version 1.30.3"
        " --api-versions example.com/v1/Thing --api-versions v1 --include-crds",
    )


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        ({"skipCrds": True}, {"ConfigMap", "Pod"}),
        ({"skipTests": True}, {"ConfigMap", "CustomResourceDefinition"}),
    ],
)
async def test_skipping(bench: Bench, options: dict[str, Any], kinds: set[str]) -> None:  # 9.1
    bench.commit(CHART)
    found = await bench.objects({"path": "chart", "helm": options})
    assert {each["kind"] for each in found} == kinds


async def test_overridden_release_namespace_and_cluster(bench: Bench) -> None:  # 9.1
    bench.commit(CHART)
    helm = {
        "releaseName": "rel",
        "namespace": "other",
        "kubeVersion": "1.29",
        "apiVersions": ["example.com/v1/Thing"],
        "skipCrds": True,
        "skipTests": True,
    }
    (found,) = await bench.objects({"path": "chart", "helm": helm}, kube_version="1.30.0")
    assert found["metadata"] == {"name": "rel", "namespace": "other"}
    assert (found["data"]["kube"], found["data"]["has"]) == ("v1.29.0", "true")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, {"from": "chart"}, id="9.1-chart"),
        pytest.param({"values": "from: values\n"}, {"from": "values"}, id="9.1-values"),
        pytest.param(
            {"values": "from: values", "valuesObject": {"from": "y", "n": 1, "d": "2001-01-01"}},
            {"from": "y", "n": 1, "d": "2001-01-01"},
            id="9.1-object-replaces-values",
        ),
        pytest.param({"values": "from: values", "valuesObject": {}}, {"from": "chart"}, id="23-empty-object"),
        pytest.param({"valueFiles": ["one.yaml"]}, {"from": "one", "one": 1}, id="9.4-relative"),
        pytest.param(
            {"valueFiles": ["one.yaml", "/root.yaml"]}, {"from": "root", "one": 1}, id="9.4-repository-root"
        ),
        pytest.param({"valueFiles": ["../root.yaml", "one.yaml"]}, {"from": "one", "one": 1}, id="9.4-order"),
        pytest.param(
            {
                "valueFiles": ["one.yaml"],
                "values": "from: values",
                "parameters": [{"name": "from", "value": "p"}],
            },
            {"from": "p", "one": 1},
            id="9.1-precedence",
        ),
        pytest.param(
            {"parameters": [{"name": "a.b", "value": "1"}, {"name": "s", "value": "1", "forceString": True}]},
            {"from": "chart", "a": {"b": 1}, "s": "1"},
            id="9.1-parameters",
        ),
        pytest.param(
            {"parameters": [{"name": "a", "value": "x,y"}, {"name": "l", "value": "{p,q}"}]},
            {"from": "chart", "a": "x,y", "l": ["p", "q"]},
            id="9.2-escaping",
        ),
        pytest.param(
            {"parameters": [{"name": "from", "value": "x"}, {"name": "from", "value": "y2"}]},
            {"from": "y2"},
            id="9.1-last-wins",
        ),
        pytest.param(
            {"parameters": [{"name": "n", "value": "$ARGOCD_APP_NAME-$$-${NOPE}"}]},
            {"from": "chart", "n": "app-$-"},
            id="7-substitution",
        ),
        pytest.param(
            {"fileParameters": [{"name": "f", "path": "data.txt"}]},
            {"from": "chart", "f": "data"},
            id="9.1-file",
        ),
        pytest.param(
            {"valueFiles": ["nope.yaml", "no*.yaml"], "ignoreMissingValueFiles": True},
            {"from": "chart"},
            id="9.4-ignore-missing",
        ),
        pytest.param(
            {"valueFiles": ["many/*.yaml"]}, {"from": "b", "a": 1, "b": 1}, id="9.4-glob-in-lexical-order"
        ),
        pytest.param(
            {"valueFiles": ["many/**/*.yaml"]},
            {"from": "c", "a": 1, "b": 1, "c": 1},
            id="9.4-glob-crosses-directories",
        ),
        pytest.param(
            {"valueFiles": ["many/b.yaml", "many/*.yaml"]},
            {"from": "a", "a": 1, "b": 1},
            id="9.4-explicit-keeps-its-place",
        ),
        pytest.param({"valueFiles": ["$ARGOCD_APP_NAME.yaml"]}, {"from": "app"}, id="9.4-variable"),
        pytest.param(
            {"valueFiles": ["$UNKNOWN/root.yaml"]}, {"from": "root"}, id="23-unknown-ref-is-the-root"
        ),
        pytest.param({"valueFiles": ["linked.yaml"]}, {"from": "root"}, id="9.4-link-inside"),
    ],
)
async def test_values(bench: Bench, options: dict[str, Any], expected: dict[str, Any]) -> None:
    bench.commit(
        {
            **CHART,
            "chart/one.yaml": "from: one\none: 1\n",
            "chart/app.yaml": "from: app\n",
            "chart/data.txt": "data",
            "chart/many/a.yaml": "from: a\na: 1\n",
            "chart/many/b.yaml": "from: b\nb: 1\n",
            "chart/many/deep/c.yaml": "from: c\nc: 1\n",
            "root.yaml": "from: root\n",
        },
        {"chart/linked.yaml": "../root.yaml"},
    )
    assert await values(bench, options) == expected


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        pytest.param(
            {"valueFiles": ["does-not-exist-values.yaml"]},
            "Unknown",
            "does-not-exist-values.yaml: no such file or directory",
            id="24-missing",
        ),
        pytest.param(
            {"valueFiles": ["nonexistent/*.yaml"]},
            "NotFound",
            'values file glob "nonexistent/*.yaml" matched no files',
            id="24-glob",
        ),
        pytest.param(
            {"valueFiles": ["../../x.yaml"]},
            "Unknown",
            "error resolving helm value files: error resolving value file path: "
            "file '../../x.yaml' resolved to outside repository root",
            id="9.4-outside",
        ),
        pytest.param(
            {"valueFiles": ["/"]}, "Unknown", "internal error: failed to resolve path", id="9.4-root"
        ),
        pytest.param(
            {"valueFiles": ["ftp://x/y"]}, "Unknown", "the URL scheme 'ftp' is not allowed", id="9.4-scheme"
        ),
        pytest.param({"version": "v1"}, "Unknown", "helm version 'v1' is not supported", id="9.1-version"),
        pytest.param({"kubeVersion": "x"}, "Unknown", "could not parse kubernetes version x", id="9.1-kube"),
        pytest.param(
            {"values": "{{"},
            "Unknown",
            "failed to execute helm template command: failed running helm: "
            "`helm template . --name-template app",
            id="9.2-error-chain",
        ),
        pytest.param(
            {"fileParameters": [{"name": "a", "path": "nope"}]}, "Unknown", "no such file", id="9.1-file"
        ),
    ],
)
async def test_refused(bench: Bench, tmp_path: Path, options: dict[str, Any], code: str, text: str) -> None:
    bench.commit(CHART)
    with pytest.raises(SourceError) as caught:
        await bench.rendered({"path": "chart", "helm": options}, api_versions=("v1", "apps/v1"))
    assert text in caught.value.message
    assert caught.value.code == code
    assert str(tmp_path) not in caught.value.message
    assert "--api-versions" not in caught.value.message


async def test_no_scheme_allowed(bench: Bench) -> None:  # 9.4
    bench.commit(CHART)
    with pytest.raises(SourceError, match="the URL scheme 'https' is not allowed"):
        await bench.rendered(
            {"path": "chart", "helm": {"valueFiles": ["https://x/y"]}},
            settings=RenderSettings(helm_value_file_schemes=()),
        )


async def test_a_failing_template_names_its_place(bench: Bench) -> None:
    bench.commit({**CHART, "chart/templates/bad.yaml": '{{ fail "no luck" }}'})
    with pytest.raises(SourceError, match=r"chart/templates/bad\.yaml:1:3.*no luck"):
        await bench.rendered({"path": "chart"})


async def test_value_files_of_a_ref(bench: Bench, tmp_path: Path) -> None:  # 13
    other = Upstream(tmp_path / "other")
    sha = other.commit({"env/prod.yaml": "from: ref\n", "env/data.txt": "ref data", "x.yaml": "unrelated: 1"})
    bench.commit(CHART)
    helm = {
        "valueFiles": ["$values/env/*.yaml"],
        "fileParameters": [{"name": "file", "path": "$values/env/data.txt"}],
    }
    refs = {"values": RefSource(other.repository, sha)}
    assert await values(bench, helm, refs=refs) == {"from": "ref", "file": "ref data"}
    renders = bench.renderer.renders
    refs = {"values": RefSource(other.repository, other.commit({"x.yaml": "unrelated: 2"}))}
    assert await values(bench, helm, refs=refs) == {"from": "ref", "file": "ref data"}
    assert bench.renderer.renders == renders
    refs = {"values": RefSource(other.repository, other.commit({"env/prod.yaml": "from: new\n"}))}
    assert await values(bench, helm, refs=refs) == {"from": "new", "file": "ref data"}
    with pytest.raises(SourceError, match="names a ref but no path"):
        await bench.rendered({"path": "chart", "helm": {"valueFiles": ["$values"]}}, refs=refs)


@pytest.mark.parametrize(
    ("changed", "again"),
    [
        ("chart/templates/cm.yaml", True),
        ("values/prod.yaml", True),
        ("values/dev.yaml", False),
        ("other/x.yaml", False),
    ],
)
async def test_the_closure_is_the_key(bench: Bench, changed: str, again: bool) -> None:
    bench.commit({**CHART, "values/prod.yaml": "a: 1", "values/dev.yaml": "a: 2", "other/x.yaml": "a: 3"})
    source = {"path": "chart", "helm": {"valueFiles": ["/values/prod.yaml"]}}
    before = await bench.rendered(source)
    bench.commit({changed: config_map("changed") if "templates" in changed else "a: 9"})
    after = await bench.rendered(source)
    assert (before.content_key != after.content_key) is again
    assert bench.renderer.renders == (2 if again else 1)


async def test_the_revision_counts_only_where_it_is_used(bench: Bench) -> None:  # 7; design 4
    bench.commit(CHART)
    plain = {"path": "chart"}
    using = {"path": "chart", "helm": {"parameters": [{"name": "r", "value": "$ARGOCD_APP_REVISION"}]}}
    await bench.rendered(plain)
    await bench.rendered(using)
    sha = bench.commit({"README": "x"})
    await bench.rendered(plain)
    assert bench.renderer.renders == 2
    found = [each for each in await bench.objects(using) if each["kind"] == "ConfigMap"]
    assert json.loads(found[0]["data"]["values"])["r"] == sha
    assert bench.renderer.renders == 3


LIBRARY = {
    "lib/Chart.yaml": "apiVersion: v2\nname: lib\nversion: 1.0.0\n",
    "lib/templates/cm.yaml": config_map("from-lib"),
}


async def test_file_dependencies_are_built(bench: Bench) -> None:  # 9.5
    bench.commit(
        {
            **CHART,
            **LIBRARY,
            "chart/Chart.yaml": "apiVersion: v2\nname: chart\nversion: 0.1.0\ndependencies:\n"
            "- {name: lib, version: 1.0.0, repository: 'file://../lib'}\n",
        }
    )
    options = {"path": "chart", "helm": {"skipCrds": True, "skipTests": True}}
    assert sorted(await bench.names(options)) == ["app", "from-lib"]
    bench.commit({"lib/templates/cm.yaml": config_map("changed")})
    assert sorted(await bench.names(options)) == ["app", "changed"]


async def test_packaged_dependencies_are_used_as_they_are(bench: Bench) -> None:  # 9.5
    bench.commit(
        {
            **CHART,
            **{f"chart/charts/{name}": text for name, text in LIBRARY.items()},
            "chart/Chart.yaml": "apiVersion: v2\nname: chart\nversion: 0.1.0\ndependencies:\n"
            "- {name: lib, version: 1.0.0, repository: 'https://nowhere.invalid'}\n",
        }
    )
    options = {"path": "chart", "helm": {"skipCrds": True, "skipTests": True}}
    assert sorted(await bench.names(options)) == ["app", "from-lib"]


async def test_a_dependency_outside_the_repository(bench: Bench) -> None:
    bench.commit(
        {
            **CHART,
            "chart/Chart.yaml": "apiVersion: v2\nname: chart\nversion: 0.1.0\ndependencies:\n"
            "- {name: lib, version: 1.0.0, repository: 'file://../../lib'}\n",
        }
    )
    with pytest.raises(SourceError, match="'lib' resolved to outside repository root"):
        await bench.rendered({"path": "chart"})


@pytest.mark.parametrize("name", ["Chart.yaml", "MyChart.yaml"])
async def test_detection(bench: Bench, name: str) -> None:  # 3
    bench.commit({f"app/{name}": "apiVersion: v2\nname: x\nversion: 1.0.0\n", "off/Chart.yaml": "name: x"})
    if name == "Chart.yaml":
        assert (await bench.rendered({"path": "app"})).source_type == "Helm"
    else:
        with pytest.raises(SourceError, match=r"Chart\.yaml"):
            await bench.rendered({"path": "app"})
    settings = RenderSettings(enabled_tools=frozenset())
    assert (await bench.rendered({"path": "off"}, settings=settings)).source_type == "Directory"


async def test_endless_and_huge_templates(
    bench: Bench, render_options: RenderOptions, tmp_path: Path
) -> None:
    bench.commit(
        {
            "loop/Chart.yaml": "apiVersion: v2\nname: loop\nversion: 1.0.0\n",
            "loop/templates/x.yaml": "{{ range until 100000 }}{{ range until 100000 }}{{ $x := 1 }}{{ end }}"
            "{{ end }}",
            "huge/Chart.yaml": "apiVersion: v2\nname: huge\nversion: 1.0.0\n",
            "huge/templates/x.yaml": '{{ range until 1000 }}# {{ repeat 20000 "x" }}\n{{ end }}kind: X\n',
            "plain/cm.yaml": config_map("x"),
        }
    )
    limits = msgspec.structs.replace(render_options.limits, timeout=3.0, output=1 << 20)
    renderer = Renderer(
        bench.git, msgspec.structs.replace(render_options, root=tmp_path / "r", limits=limits)
    )
    with pytest.raises(SourceError, match=r"exceeded the (time|memory) limit"):
        await renderer.render(bench.request({"path": "loop"}))
    with pytest.raises(SourceError, match="helm printed more than 1 MiB"):
        await renderer.render(bench.request({"path": "huge"}))
    assert len((await renderer.render(bench.request({"path": "plain"}))).manifests) == 1
    await renderer.close()


@pytest.mark.parametrize(
    ("value", "result"), [("a,b", r"a\,b"), (r"a\,b", r"a\,b"), ("{a,b}", "{a,b}"), ("a=b.c[0]", "a=b.c[0]")]
)
def test_escaping(value: str, result: str) -> None:  # 9.2
    assert escaped(value) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [("v1.30.3-gke.1", "1.30.3"), ("1.30", "1.30.0"), ("1.30.1+k3s1", "1.30.1"), ("v1", "1.0.0")],
)
def test_kube_versions(text: str, result: str) -> None:  # 9.1
    assert kube_version(text) == result


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("a/*.yaml", "a/b.yaml", True),
        ("a/*.yaml", "a/b/c.yaml", False),
        ("a/**/*.yaml", "a/c.yaml", True),
        ("a/**/*.yaml", "a/b/b/c.yaml", True),
        ("**/x.yaml", "x.yaml", True),
        ("a/**", "a/b/c", True),
        ("a/{b,c}-?.yaml", "a/c-1.yaml", True),
        ("a/[!b].yaml", "a/b.yaml", False),
        ("**/" * 20 + "b", "a/" * 100 + "a", False),  # and at once
        ("*a" * 40 + "b", "a" * 250, False),
    ],
)
def test_path_globs(pattern: str, path: str, matches: bool) -> None:  # 9.4
    compiled = path_glob(pattern)
    assert compiled is not None
    assert bool(compiled.fullmatch(path)) is matches
