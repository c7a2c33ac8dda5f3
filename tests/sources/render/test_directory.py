"""Directories of plain manifests (sources.md 3, 4, 6, 8)."""

import pytest

from tests.sources.render.support import Bench, config_map
from tiphys.resources.identity import Manifest
from tiphys.settings.model import RenderSettings
from tiphys.sources.errors import SourceError
from tiphys.sources.render import directory
from tiphys.sources.render.cache import ParsedFiles
from tiphys.sources.render.directory import _objects

CM = config_map


async def test_files_come_in_lexical_order_and_lists_are_flattened(bench: Bench) -> None:  # 4, 6
    bench.commit(
        {
            "app/b.yaml": CM("b"),
            "app/a.yml": f"---\n{CM('a1')}---\n# nothing\n---\n{CM('a2')}",
            "app/c.json": '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"n":1.0}}',
            "app/d.yaml": 'apiVersion: v1\nkind: List\nitems:\n- {"kind": "X", "metadata": {"name": "d"}}\n',
            "app/e.yaml": '{"kind":"X","metadata":{"name":"e1"}} {"kind":"X","metadata":{"name":"e2"}}',
            "app/f.txt": CM("f"),
            "app/g.yaml": "# +argocd:skip-file-rendering\n" + CM("g"),
            "app/sub/h.yaml": CM("h"),
        }
    )
    rendered = await bench.rendered({"path": "app"})
    assert rendered.source_type == "Directory"
    assert await bench.names({"path": "app"}) == ["a1", "a2", "b", "c", "d", "e1", "e2"]
    assert b'"n":1}' in rendered.manifests[3]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        pytest.param({}, ["a"], id="4-top-level-only"),
        pytest.param({"recurse": True}, ["a", "w", "x", "z"], id="4-recurse"),
        pytest.param({"recurse": True, "include": "*.yaml"}, ["a", "w", "x", "z"], id="4-star-crosses-slash"),
        pytest.param({"recurse": True, "include": "**/*.yaml"}, ["w", "x", "z"], id="4-needs-a-slash"),
        pytest.param({"recurse": True, "include": "{a.yaml,sub/x*}"}, ["a", "x"], id="4-braces"),
        pytest.param({"recurse": True, "exclude": "sub/[xw].yaml"}, ["a", "z"], id="4-class"),
        pytest.param({"recurse": True, "exclude": "sub/[!x].yaml"}, ["a", "x", "z"], id="4-negated-class"),
        pytest.param({"recurse": True, "include": "s*", "exclude": "*deep*"}, ["x", "w"], id="4-both"),
        pytest.param({"recurse": True, "include": "[z"}, [], id="4-malformed-matches-nothing"),
        pytest.param({"disableExtensionFilter": True, "include": "*.md"}, ["readme"], id="4-any-name"),
    ],
)
async def test_which_files(bench: Bench, options: dict[str, object], names: list[str]) -> None:
    bench.commit(
        {
            "app/a.yaml": CM("a"),
            "app/readme.md": CM("readme"),
            "app/sub/x.yaml": CM("x"),
            "app/sub/w.yaml": CM("w"),
            "app/sub/deep/z.yaml": CM("z"),
        }
    )
    found = await bench.names({"path": "app", "directory": options})
    assert sorted(found) == sorted(names)


@pytest.mark.parametrize(
    ("files", "code", "text"),
    [
        pytest.param(
            {"a.yaml": CM("x") + "---\na: b: c\n"},
            "FailedPrecondition",
            'Failed to unmarshal "a.yaml": document 2: error converting YAML to JSON: yaml: '
            "mapping values are not allowed in this context",
            id="4-malformed-names-file-and-document",
        ),
        pytest.param(
            {"a.yaml": "apiVersion: v1\nkind: [x\nmetadata: {}\n"},
            "FailedPrecondition",
            'Failed to unmarshal "a.yaml": ',
            id="4-looks-like-a-manifest",
        ),
        pytest.param(
            {"a.yaml": CM("x") + "---\nfoo: bar\n"},
            "FailedPrecondition",
            """document 2: Object 'Kind' is missing in '{"foo":"bar"}'""",
            id="5-no-kind",
        ),
        pytest.param(
            {"a.json": '{"kind":"A"}{"kind":"B"}'},
            "FailedPrecondition",
            'Found multiple objects in "a.json". Only single objects are allowed in JSON files.',
            id="4-two-in-json",
        ),
        pytest.param({"values.json": '{"a":1}'}, "FailedPrecondition", "'Kind' is missing", id="4-json"),
        pytest.param({"a.json": "[]"}, "FailedPrecondition", 'Failed to unmarshal "a.json"', id="4-array"),
        pytest.param(
            {"a.jsonnet": "{kind: nope}"},
            "FailedPrecondition",
            'Failed to evaluate jsonnet "a.jsonnet": ',
            id="4-jsonnet",
        ),
        pytest.param(
            {"a.jsonnet": "[1]"},
            "FailedPrecondition",
            'Failed to unmarshal generated json "a.jsonnet": ',
            id="4-jsonnet-output",
        ),
        pytest.param(
            {"a.jsonnet": "import '../../../../../../../../etc/passwd'"},
            "FailedPrecondition",
            "couldn't open import",
            id="4-jsonnet-import-outside",
        ),
        pytest.param(
            {"a.yaml": "kind: List\nitems: [1]\n"}, "Unknown", "items member is not an object", id="6-items"
        ),
        pytest.param(
            {"a.yaml": "kind: A\nmetadata:\n  b: c\n d: e\napiVersion: v1"},
            "FailedPrecondition",
            "yaml: line",
            id="4-line",
        ),
        pytest.param(
            {"a.yaml": "apiVersion: v1\nmetadata:\n  name: a\n"},
            "FailedPrecondition",
            """Failed to unmarshal "a.yaml": Object 'Kind' is missing""",
            id="lost-its-kind",
        ),
        pytest.param(
            {"a.yaml": "kind: List\nitems: [{apiVersion: v1, kind: ConfigMap, metadata: {}}]\n"},
            "FailedPrecondition",
            'Failed to unmarshal "a.yaml": metadata.name is missing',
            id="nameless-in-a-list",
        ),
        pytest.param(
            {"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: [a]\n"},
            "FailedPrecondition",
            'Failed to unmarshal "a.yaml": metadata is not a mapping',
            id="metadata-list",
        ),
        pytest.param(
            {"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {b: 1}}\n"},
            "FailedPrecondition",
            "metadata.annotations: the value of b is not a text: put it in quotes",
            id="annotation-number",
        ),
    ],
)
async def test_what_is_refused(bench: Bench, files: dict[str, str], code: str, text: str) -> None:
    bench.commit({f"app/{name}": content for name, content in files.items()})
    with pytest.raises(SourceError) as caught:
        await bench.rendered({"path": "app"})
    assert caught.value.code == code
    assert text in caught.value.message


async def test_files_that_are_no_manifests_are_ignored(bench: Bench) -> None:  # 4
    bench.commit({"app/values.yaml": "a: b: c\n", "app/list.yaml": "- 1\n- 2\n", "app/x.yaml": CM("x")})
    assert await bench.names({"path": "app"}) == ["x"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/app", "/app: app path is absolute"),
        ("../app", "../app: app path outside root"),
        ("garbage", "garbage: app path does not exist"),
        ("app/a.yaml", "app/a.yaml: app path is not a directory"),
    ],
)
async def test_application_path(bench: Bench, path: str, text: str) -> None:  # 3
    bench.commit({"app/a.yaml": CM("a")})
    with pytest.raises(SourceError, match=text):
        await bench.rendered({"path": path})


async def test_links_inside_the_repository_are_followed(bench: Bench) -> None:  # 4
    bench.commit(
        {"shared/x.yaml": CM("x"), "real/a.yaml": CM("a")},
        {"app/x.yaml": "../shared/x.yaml", "app/gone.yaml": "nothing.yaml", "way": "real"},
    )
    first = await bench.rendered({"path": "app"})
    assert await bench.names({"path": "app"}) == ["x"]
    assert await bench.names({"path": "way"}) == ["a"]
    bench.commit({"shared/x.yaml": CM("changed")})
    assert await bench.names({"path": "app"}) == ["changed"]
    assert (await bench.rendered({"path": "app"})).content_key != first.content_key


async def test_a_link_out_of_the_repository_is_refused(bench: Bench) -> None:  # 3
    bench.commit({"app/a.yaml": CM("a")}, {"other/secret.yaml": "../../../etc/passwd"})
    with pytest.raises(SourceError, match=r"out-of-bounds symlinks\. file: other/secret\.yaml"):
        await bench.rendered({"path": "app"})


async def test_size_limit(bench: Bench) -> None:  # 4
    bench.commit({f"app/{name}.yaml": CM(name, x="y" * 4_000_000) for name in "abc"})
    with pytest.raises(SourceError, match="exceeded max combined manifest file size"):
        await bench.rendered({"path": "app"})
    assert len(await bench.names({"path": "app", "directory": {"exclude": "c.yaml"}})) == 2


async def test_overrides_in_the_repository(bench: Bench) -> None:  # 8
    bench.commit(
        {
            "app/a.yaml": CM("a"),
            "app/b.yaml": CM("b"),
            "app/.argocd-source.yaml": "path: elsewhere\nrepoURL: no\ndirectory: {exclude: .argocd*}\n",
            "app/.argocd-source-one.yaml": "directory: {include: 'b*'}\n",
            "bad/.argocd-source.yaml": "directory: {recurse: [1]}\n",
        }
    )
    assert await bench.names({"path": "app"}) == ["a", "b"]
    assert await bench.names({"path": "app"}, app_name="one") == ["b"]
    with pytest.raises(SourceError, match=r"error while parsing source parameters: \.argocd-source\.yaml"):
        await bench.rendered({"path": "bad"})


async def test_two_explicit_types(bench: Bench) -> None:  # 1
    bench.commit({"app/a.yaml": CM("a")})
    with pytest.raises(SourceError, match="multiple application sources defined: Kustomize,Directory"):
        await bench.rendered(
            {"path": "app", "kustomize": {"namePrefix": "a"}, "directory": {"recurse": True}}
        )


@pytest.mark.parametrize(
    "source", [{"plugin": {"name": "x"}}, {"repoURL": "oci://x/y"}], ids=["plugin", "oci"]
)
async def test_what_comes_later_says_so(bench: Bench, source: dict[str, object]) -> None:
    bench.commit({"a.yaml": CM("a")})
    with pytest.raises(SourceError, match="not supported yet") as caught:
        await bench.rendered(source)
    assert caught.value.code == "Unimplemented"


async def test_a_mere_ref_has_no_objects(bench: Bench) -> None:  # 2.1
    sha = bench.commit({"a.yaml": CM("a")})
    rendered = await bench.rendered({"path": "", "ref": "values"})
    assert (rendered.manifests, rendered.revision) == ((), sha)


async def test_jsonnet(bench: Bench) -> None:  # 4, 7
    bench.commit(
        {
            "app/a.yaml": CM("a"),
            "app/b.jsonnet": """local lib = import 'lib.libsonnet'; local here = import 'here.libsonnet';
                function(name, n)
                [lib.cm(name + here.suffix) {data: {n: n, e: std.extVar('e')}}, lib.cm('c')]""",
            "app/here.libsonnet": "{suffix: '-x'}",
            "vendor/lib.libsonnet": "{cm(n):: {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: n}}}",
            "app/z.yaml": CM("z"),
        }
    )
    jsonnet = {
        "libs": ["vendor"],
        "tlas": [
            {"name": "name", "value": "$ARGOCD_APP_NAME"},
            {"name": "n", "value": "1 + 1", "code": True},
        ],
        "extVars": [{"name": "e", "value": "v"}],
    }
    source = {"path": "app", "directory": {"jsonnet": jsonnet}}
    found = await bench.objects(source)
    assert [each["metadata"]["name"] for each in found] == ["a", "app-x", "c", "z"]
    assert found[1]["data"] == {"n": 2, "e": "v"}
    bench.commit({"vendor/lib.libsonnet": "{cm(n):: {kind: 'Other', metadata: {name: n}}}"})
    assert (await bench.objects(source))[2]["kind"] == "Other"
    off = RenderSettings(enabled_tools=frozenset())
    assert await bench.names(source, settings=off) == ["a", "z"]


async def test_a_commit_parses_again_only_what_it_changes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []

    def counted(name: str, text: bytes) -> list[Manifest]:
        parsed.append(name)
        return _objects(name, text)

    monkeypatch.setattr(directory, "_objects", counted)
    files = {f"app/{name}.yaml": CM(name) for name in ("a", "b", "c")}
    # The same text read as JSON is another matter: more than one document is refused there.
    two = '{"kind":"X","metadata":{"name":"d"}} {"kind":"X","metadata":{"name":"e"}}'
    bench.commit(files | {"app/d.yaml": two})
    assert await bench.names({"path": "app"}) == ["a", "b", "c", "d", "e"]
    parsed.clear()
    bench.commit({"app/b.yaml": CM("b2")})
    assert await bench.names({"path": "app"}) == ["a", "b2", "c", "d", "e"]
    assert parsed == ["b.yaml"]
    bench.commit({"app/d.json": two})
    with pytest.raises(SourceError, match="multiple objects"):
        await bench.names({"path": "app"})


def test_parsed_files_are_bounded() -> None:
    known = ParsedFiles(1000)
    keys = [known.key(b"%d" % number, is_json=False) for number in range(4)]
    for key in keys:
        known.put(key, (b"x" * 200,))
    assert [known.get(key) is not None for key in keys] == [False, False, True, True]
