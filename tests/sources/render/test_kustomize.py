"""Kustomize with its real binary (sources.md 10)."""

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from tests.sources.render.support import Bench, config_map
from tiphys.settings.model import KustomizeVersion, RenderSettings
from tiphys.sources.errors import SourceError
from tiphys.sources.render.kustomize_edit import split_image
from tiphys.sources.rendering import Renderer, RenderOptions

pytestmark = pytest.mark.usefixtures("binaries")

DIGEST = "sha256:24a0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3"
DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "nginx:1.0"}
      - {name: side, image: "registry:5000/side@DIGEST"}
""".replace("DIGEST", DIGEST)
PLAIN = "resources:\n- deployment.yaml\n"
RICH = """# a comment
resources:
- deployment.yaml
namePrefix: old-
namespace: before
commonLabels: {team: a}
commonAnnotations: {note: old}
labels:
- pairs: {tier: x}
  includeTemplates: true
- pairs: {zone: b}
images:
- {name: nginx, newName: mirror/nginx, newTag: "1.1"}
- {name: other, newTag: "2"}
replicas:
- {name: web, count: 2}
patches:
- target: {kind: Deployment}
  patch: |-
    - {op: add, path: /metadata/annotations/first, value: "1"}
"""
OLD = """bases: [../base]
imageTags:
- {name: nginx, newTag: "9"}
"""

CASES: list[tuple[str, dict[str, Any], list[list[str]]]] = [
    ("prefix", {"namePrefix": "p-"}, [["set", "nameprefix", "--", "p-"]]),
    ("suffix", {"nameSuffix": "-s"}, [["set", "namesuffix", "--", "-s"]]),
    ("namespace", {"namespace": "ns"}, [["set", "namespace", "--", "ns"]]),
    (
        "images",
        {"images": ["nginx:2.0", "registry:5000/side=other:3"]},
        [["set", "image", "nginx:2.0", "registry:5000/side=other:3"]],
    ),
    (
        "image-digest",
        {"images": [f"nginx@{DIGEST}"]},
        [["set", "image", f"nginx@{DIGEST}"]],
    ),
    ("image-keep-tag", {"images": ["nginx=new:*"]}, [["set", "image", "nginx=new:*"]]),
    ("image-keep-name", {"images": ["nginx=*:5"]}, [["set", "image", "nginx=*:5"]]),
    ("image-name-only", {"images": ["nginx=new"]}, [["set", "image", "nginx=new"]]),
    ("replicas", {"replicas": [{"name": "web", "count": "5"}]}, [["set", "replicas", "web=5"]]),
    ("labels", {"commonLabels": {"a": "b"}}, [["add", "label", "a:b"]]),
    ("labels-colon", {"commonLabels": {"a": '"q"'}}, [["add", "label", 'a:"q"']]),
    (
        "labels-force",
        {"commonLabels": {"team": "b"}, "forceCommonLabels": True},
        [["add", "label", "--force", "team:b"]],
    ),
    (
        "labels-plain",
        {"commonLabels": {"a": "b"}, "labelWithoutSelector": True},
        [["add", "label", "--without-selector", "a:b"]],
    ),
    (
        "labels-templates",
        {"commonLabels": {"a": "b"}, "labelWithoutSelector": True, "labelIncludeTemplates": True},
        [["add", "label", "--without-selector", "--include-templates", "a:b"]],
    ),
    ("annotations", {"commonAnnotations": {"u": "http://x:1/y"}}, [["add", "annotation", "u:http://x:1/y"]]),
    (
        "annotations-force",
        {"commonAnnotations": {"note": "new"}, "forceCommonAnnotations": True},
        [["add", "annotation", "--force", "note:new"]],
    ),
    ("components", {"components": ["../component"]}, [["add", "component", "../component"]]),
    (
        "all",
        {
            "namePrefix": "p-",
            "namespace": "ns",
            "images": ["nginx:2.0"],
            "commonAnnotations": {"x": "y"},
            "components": ["../component"],
        },
        [
            ["set", "nameprefix", "--", "p-"],
            ["set", "image", "nginx:2.0"],
            ["add", "annotation", "x:y"],
            ["set", "namespace", "--", "ns"],
            ["add", "component", "../component"],
        ],
    ),
]
BASES = {"plain": PLAIN, "rich": RICH, "old": OLD}


def tree(kustomization: str) -> dict[str, str]:
    return {
        "overlay/kustomization.yaml": kustomization,
        "overlay/deployment.yaml": DEPLOYMENT,
        "base/kustomization.yaml": PLAIN,
        "base/deployment.yaml": DEPLOYMENT,
        "component/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
        "commonAnnotations: {from: component}\n",
    }


def built_by_hand(folder: Path, files: dict[str, str], edits: list[list[str]]) -> list[Any]:
    for place, text in files.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text)
    overlay = folder / "overlay"
    for words in edits:
        subprocess.run(["kustomize", "edit", *words], cwd=overlay, check=True, capture_output=True)
    built = subprocess.run(["kustomize", "build", overlay], check=True, capture_output=True).stdout
    return list(yaml.safe_load_all(built))


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(("name", "options", "edits"), CASES, ids=[case[0] for case in CASES])
async def test_options_give_what_kustomize_edit_gives(
    bench: Bench, tmp_path: Path, base: str, name: str, options: dict[str, Any], edits: list[list[str]]
) -> None:  # 10.2
    files = tree(BASES[base])
    bench.commit(files)
    expected = built_by_hand(tmp_path / "by-hand", files, edits)
    rendered = await bench.rendered({"path": "overlay", "kustomize": options})
    assert [msgspec.json.decode(each) for each in rendered.manifests] == expected
    assert rendered.commands[-1] == "kustomize build ./overlay"
    assert rendered.commands[:-1] == tuple(" ".join(["kustomize", "edit", *words]) for words in edits)


async def test_patches(bench: Bench) -> None:  # 10.2 step 8
    bench.commit(
        {**tree(RICH), "overlay/extra.yaml": "- {op: add, path: /metadata/annotations/third, value: c}"}
    )
    (found,) = await bench.objects(
        {
            "path": "overlay",
            "kustomize": {
                "patches": [
                    {
                        "patch": '[{"op":"add","path":"/metadata/annotations/second","value":"b"}]',
                        "target": {"kind": "Deployment"},
                    },
                    {"path": "extra.yaml", "target": {"name": "web"}, "options": {"allowNameChange": True}},
                ]
            },
        }
    )
    annotations = found["metadata"]["annotations"]
    assert (annotations["first"], annotations["second"], annotations["third"]) == ("1", "b", "c")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        pytest.param(
            {"commonLabels": {"team": "b"}},
            "label team already in kustomization file. Use --force to override.",
            id="10.2-label",
        ),
        pytest.param(
            {"commonAnnotations": {"note": "b"}}, "annotation note already in", id="10.2-annotation"
        ),
        pytest.param({"images": ["nginx"]}, "invalid format of image", id="10.1-image"),
        pytest.param(
            {"replicas": [{"name": "web", "count": "x"}]},
            "expected integer value for count. Received: x",
            id="10.1-replicas",
        ),
        pytest.param({"namespace": "Bad_"}, '"Bad_" is not a valid namespace name', id="namespace"),
        pytest.param({"version": "v9"}, "kustomize version v9 is not registered", id="10.3-version"),
        pytest.param(
            {"components": ["../nope"]}, "`kustomize build ./overlay` failed exit status 1", id="build"
        ),
        pytest.param(
            {"commonLabels": {"a": "b"}, "labelIncludeTemplates": True},
            "--without-selector flag must be specified",
            id="include-templates",
        ),
    ],
)
async def test_refused(bench: Bench, tmp_path: Path, options: dict[str, Any], text: str) -> None:
    bench.commit(tree(RICH))
    with pytest.raises(SourceError) as caught:
        await bench.rendered({"path": "overlay", "kustomize": options})
    assert text in caught.value.message
    assert str(tmp_path) not in caught.value.message


async def test_missing_components_can_be_ignored(bench: Bench) -> None:  # 10.1
    bench.commit(tree(PLAIN))
    options = {"components": ["../nope", "../component"], "ignoreMissingComponents": True}
    (found,) = await bench.objects({"path": "overlay", "kustomize": options})
    assert found["metadata"]["annotations"] == {"from": "component"}


async def test_substitution(bench: Bench) -> None:  # 7
    sha = bench.commit(tree(PLAIN))
    options = {
        "images": ["nginx:$ARGOCD_APP_REVISION_SHORT"],
        "commonLabels": {"app": "${ARGOCD_APP_NAME}"},
        "commonAnnotations": {"raw": "$ARGOCD_APP_NAME"},
        "forceCommonLabels": True,
    }
    (found,) = await bench.objects({"path": "overlay", "kustomize": options})
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == f"nginx:{sha[:7]}"
    assert found["metadata"]["labels"]["app"] == "app"
    assert found["metadata"]["annotations"]["raw"] == "$ARGOCD_APP_NAME"
    other = bench.commit({"README": "x"})
    (found,) = await bench.objects({"path": "overlay", "kustomize": options})
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == f"nginx:{other[:7]}"


CLOSURE = {
    "apps/one/kustomization.yaml": "resources: [../../bases/web, cm.yaml]\ncomponents: [../../components/c]\n"
    "configMapGenerator:\n- {name: gen, files: [renamed=../../files/data.txt], envs: [vars.env]}\n"
    "patches:\n- {path: patch.yaml}\n",
    "apps/one/cm.yaml": config_map("cm"),
    "apps/one/patch.yaml": config_map("cm", patched="yes"),
    "apps/one/vars.env": "A=1\n",
    "files/data.txt": "data",
    "bases/web/kustomization.yaml": "resources: [deployment.yaml]\n",
    "bases/web/deployment.yaml": DEPLOYMENT,
    "bases/unused/x.yaml": config_map("x"),
    "components/c/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
    "resources: [cc.yaml]\n",
    "components/c/cc.yaml": config_map("cc"),
}


@pytest.mark.parametrize(
    ("changed", "text", "again"),
    [
        ("apps/one/cm.yaml", config_map("cm", a="b"), True),
        ("apps/one/patch.yaml", config_map("cm", patched="no"), True),
        ("apps/one/vars.env", "A=2\n", True),
        ("files/data.txt", "other", True),
        ("bases/web/deployment.yaml", DEPLOYMENT.replace("replicas: 1", "replicas: 3"), True),
        ("components/c/cc.yaml", config_map("cc", a="b"), True),
        ("bases/unused/x.yaml", config_map("x", a="b"), False),
        ("bases/web/README.md", "x", False),
        ("apps/one/README.md", "x", False),
        ("apps/two/cm.yaml", config_map("x"), False),
    ],
)
async def test_the_closure_is_the_key(bench: Bench, changed: str, text: str, again: bool) -> None:
    bench.commit(CLOSURE)  # (load restrictions off: the generator reads a file above its directory)
    settings = RenderSettings(kustomize_build_options="--load-restrictor LoadRestrictionsNone")
    before = await bench.rendered({"path": "apps/one"}, settings=settings)
    assert len(before.manifests) == 4
    bench.commit({changed: text})
    after = await bench.rendered({"path": "apps/one"}, settings=settings)
    assert (after.content_key != before.content_key) is again
    assert bench.renderer.renders == (2 if again else 1)
    assert (after.manifests != before.manifests) is again


async def test_generators_configured_in_files(bench: Bench) -> None:
    bench.commit(
        {
            "app/kustomization.yaml": "generators: [gen.yaml]\n",
            "app/gen.yaml": "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: g}\n"
            "files: [d.txt]\n",
            "app/d.txt": "1",
        }
    )
    (found,) = await bench.objects({"path": "app"})
    assert found["data"] == {"d.txt": "1"}
    bench.commit({"app/d.txt": "2"})
    (found,) = await bench.objects({"path": "app"})
    assert found["data"] == {"d.txt": "2"}


async def test_links_belong_to_the_closure(bench: Bench) -> None:
    bench.commit(
        {"app/kustomization.yaml": "resources: [cm.yaml]\n", "shared/cm.yaml": config_map("cm")},
        {"app/cm.yaml": "../shared/cm.yaml", "alias": "app"},
    )
    settings = RenderSettings(kustomize_build_options="--load-restrictor LoadRestrictionsNone")
    assert await bench.names({"path": "alias"}, settings=settings) == ["cm"]
    bench.commit({"shared/cm.yaml": config_map("new")})
    assert await bench.names({"path": "alias"}, settings=settings) == ["new"]


async def test_a_registered_version_and_disabled_tool(bench: Bench, tmp_path: Path) -> None:  # 10.3, 3
    bench.commit({"app/kustomization.yaml": "resources: []\n"})
    script = tmp_path / "kustomize-old"
    script.write_text(f"#!/bin/sh\ncat <<E\n{config_map('old')}E\n")
    script.chmod(0o755)
    settings = RenderSettings(kustomize_versions=(KustomizeVersion("v1", str(script)),))
    assert await bench.names({"path": "app", "kustomize": {"version": "v1"}}, settings=settings) == ["old"]
    off = RenderSettings(enabled_tools=frozenset({"helm"}))
    assert (await bench.rendered({"path": "app"}, settings=off)).source_type == "Directory"


async def test_shared_files_stay_untouched(bench: Bench) -> None:
    bench.commit(tree(PLAIN))
    (first,) = await bench.objects({"path": "overlay", "kustomize": {"namePrefix": "a-"}})
    (second,) = await bench.objects({"path": "overlay", "kustomize": {"namePrefix": "b-"}})
    (third,) = await bench.objects({"path": "overlay"})
    assert [each["metadata"]["name"] for each in (first, second, third)] == ["a-web", "b-web", "web"]


def hanging(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        pytest.param(
            "sleep 600 & sleep 600", "DeadlineExceeded", "exceeded the time limit of 1 s", id="never-ends"
        ),
        pytest.param("exec yes", "ResourceExhausted", "printed more than 1 MiB", id="prints-for-ever"),
        pytest.param("yes 1>&2", "ResourceExhausted", "printed more than 1 MiB", id="complains-for-ever"),
    ],
)
async def test_a_tool_that_goes_wild(
    bench: Bench, render_options: RenderOptions, tmp_path: Path, body: str, code: str, text: str
) -> None:
    bench.commit({"app/kustomization.yaml": "resources: []\n", "plain/cm.yaml": config_map("x")})
    limits = msgspec.structs.replace(render_options.limits, timeout=1.0, output=1 << 20)
    options = msgspec.structs.replace(
        render_options,
        root=tmp_path / "wild",
        limits=limits,
        kustomize=hanging(tmp_path / "wild-tool", body),
    )
    renderer = Renderer(bench.git, options)
    with pytest.raises(SourceError, match=text) as caught:
        await renderer.render(bench.request({"path": "app"}))
    assert caught.value.code == code
    assert len((await renderer.render(bench.request({"path": "plain"}))).manifests) == 1
    assert not list((tmp_path / "wild" / "runs").iterdir())
    await renderer.close()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("nginx", ("nginx", "", "")),
        ("nginx:1", ("nginx", "1", "")),
        ("host:5000/nginx", ("host:5000/nginx", "", "")),
        ("host:5000/nginx:1", ("host:5000/nginx", "1", "")),
        ("nginx@sha256:a", ("nginx", "", "sha256:a")),
        ("host:5000/nginx:1@sha256:a", ("host:5000/nginx", "1", "sha256:a")),
    ],
)
def test_image_names(text: str, parts: tuple[str, str, str]) -> None:
    assert split_image(text) == parts


def test_cases_cover_every_command() -> None:
    verbs: set[tuple[str, ...]] = {tuple(words[:2]) for _, _, edits in CASES for words in edits}
    assert verbs == {
        ("set", "nameprefix"),
        ("set", "namesuffix"),
        ("set", "namespace"),
        ("set", "image"),
        ("set", "replicas"),
        ("add", "label"),
        ("add", "annotation"),
        ("add", "component"),
    }
