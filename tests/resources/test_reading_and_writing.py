"""What is read comes back: samples, random values, nulls, unknown fields, wrong types."""

import copy
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.resources.samples import samples
from tiphys.resources import application, applicationset, project
from tiphys.resources.application import Application
from tiphys.resources.errors import InvalidObject
from tiphys.resources.identity import AppKey
from tiphys.resources.shape import to_json

DECODERS = {
    "Application": application.decode,
    "AppProject": project.decode,
    "ApplicationSet": applicationset.decode,
}
ALWAYS_IN_STATUS = {
    "health": {},
    "sourceHydrator": {},
    "summary": {},
    "sync": {"status": "", "comparedTo": {"source": {"repoURL": ""}, "destination": {}}},
}
SAMPLES = samples()


@pytest.mark.parametrize("manifest", SAMPLES, ids=lambda m: m["metadata"]["name"])
def test_sample_comes_back_unchanged(manifest: dict[str, Any]) -> None:
    written = to_json(DECODERS[manifest["kind"]](manifest))
    expected = copy.deepcopy(manifest)
    if "status" not in expected:  # Go writes these structs even when they are empty
        expected["status"] = {"Application": ALWAYS_IN_STATUS, "ApplicationSet": {"health": {}}}[
            manifest["kind"]
        ]
    assert written == expected


@pytest.mark.parametrize("manifest", SAMPLES, ids=lambda m: m["metadata"]["name"])
def test_bytes_and_manifest_read_the_same(manifest: dict[str, Any]) -> None:
    decode = DECODERS[manifest["kind"]]
    assert decode(msgspec.json.encode(manifest)) == decode(manifest)


def test_unknown_fields_are_skipped() -> None:
    app = application.decode({"metadata": {"name": "a", "managedFields": [{}]}, "spec": {"new": 1}, "x": []})
    assert app.key == AppKey("", "a")


@pytest.mark.parametrize(
    "body",
    [
        b'{"metadata":{"name":"a","creationTimestamp":null},"spec":{"source":{"repoURL":"u"}}}',
        b'{"metadata":{"name":"a","labels":null},"spec":{"source":{"repoURL":"u"},"sources":null}}',
        b'{"metadata":{"name":"a"},"spec":{"source":{"repoURL":"u","path":null}},"status":null}',
    ],
)
def test_null_reads_as_empty_as_in_go(body: bytes) -> None:
    app = application.decode(body)
    assert app.spec.source is not None
    assert app.spec.source.repo_url == "u"
    assert app.status == application.ApplicationStatus()


def test_nulls_in_helm_values_stay() -> None:
    # A null in values unsets a default of the chart; a null elsewhere must not cost it.
    app = application.decode(
        {
            "metadata": {"creationTimestamp": None},
            "spec": {"source": {"helm": {"valuesObject": {"a": None, "b": [{"c": None}]}}}},
        }
    )
    assert app.spec.source is not None
    assert app.spec.source.helm is not None
    assert app.spec.source.helm.values_object == {"a": None, "b": [{"c": None}]}


@pytest.mark.parametrize(
    ("spec", "path", "problem"),
    [
        ({"source": {"repoURL": 3}}, "spec.source.repoURL", "Expected `str`, got `int`"),
        (
            {"syncPolicy": {"automated": {"prune": "yes"}}},
            "spec.syncPolicy.automated.prune",
            "Expected `bool | null`",
        ),
        ({"sources": {}}, "spec.sources", "Expected `array`, got `object`"),
        (
            {"source": {"kustomize": {"replicas": [{"name": "a", "count": 1.5}]}}},
            "spec.source.kustomize.replicas[0].count",
            "Expected `int | str`",
        ),
    ],
)
def test_a_wrong_type_is_refused_with_its_field(spec: dict[str, Any], path: str, problem: str) -> None:
    with pytest.raises(InvalidObject) as caught:
        application.decode({"metadata": {"name": "a"}, "spec": spec})
    assert caught.value.path == path
    assert problem in caught.value.problem


def test_no_json_is_refused() -> None:
    with pytest.raises(InvalidObject):
        application.decode(b"{")


class TestEffectiveSources:
    """applications.md 2, "Effective source selection"."""

    one = application.ApplicationSource(repo_url="one")
    two = application.ApplicationSource(repo_url="two")
    hydrator = application.SourceHydrator(
        dry_source=application.DrySource(repo_url="dry", path="chart"),
        sync_source=application.SyncSource(target_branch="env", path="wet"),
    )

    def test_none_is_one_empty_source(self) -> None:
        assert application.ApplicationSpec().effective_sources() == (application.ApplicationSource(),)

    def test_source_alone(self) -> None:
        spec = application.ApplicationSpec(source=self.one)
        assert (spec.effective_sources(), spec.has_multiple_sources) == ((self.one,), False)

    def test_sources_win_even_with_one_element(self) -> None:
        spec = application.ApplicationSpec(source=self.one, sources=(self.two,))
        assert (spec.effective_sources(), spec.has_multiple_sources) == ((self.two,), True)

    def test_hydrator_wins_over_both(self) -> None:
        spec = application.ApplicationSpec(
            source=self.one, sources=(self.two,), source_hydrator=self.hydrator
        )
        expected = application.ApplicationSource(repo_url="dry", path="wet", target_revision="env")
        assert (spec.effective_sources(), spec.has_multiple_sources) == ((expected,), False)

    @pytest.mark.parametrize(("limit", "kept"), [(None, 10), (0, 0), (-1, 0), (3, 3)])
    def test_history_limit(self, limit: int | None, kept: int) -> None:
        assert application.ApplicationSpec(revision_history_limit=limit).history_limit == kept


# Random values of any struct, out of its annotations.

_TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=4)
_JSON = st.recursive(
    st.booleans() | st.integers(-5, 5) | _TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXT, inner, max_size=2),
    max_leaves=4,
)


def _values(annotation: Any, depth: int) -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if hasattr(annotation, "__supertype__"):
        return _values(annotation.__supertype__, depth)
    if origin is Annotated:
        return _values(arguments[0], depth)
    if origin in (Union, UnionType):
        choices = [argument for argument in arguments if argument is not type(None)]
        picked = st.one_of([_values(choice, depth) for choice in choices])
        return st.none() | picked if type(None) in arguments and depth < 6 else picked
    if origin is tuple:
        return st.lists(_values(arguments[0], depth), max_size=2).map(tuple)
    if origin is Mapping:
        return st.dictionaries(_TEXT, _values(arguments[1], depth), max_size=2)
    if origin is dict:
        return st.dictionaries(_TEXT, _JSON, max_size=2)
    if annotation is Any:
        return _JSON
    if annotation in (str, int, bool):
        return {str: _TEXT, int: st.integers(-(2**63), 2**63 - 1), bool: st.booleans()}[annotation]
    return _structs(annotation, depth + 1)


def _structs(struct: type[msgspec.Struct], depth: int = 0) -> st.SearchStrategy[Any]:
    hints = get_type_hints(struct, include_extras=True)

    @st.composite
    def build(draw: st.DrawFn) -> Any:
        given = draw(st.sets(st.sampled_from(sorted(hints)), max_size=6))
        return struct(**{name: draw(_values(hints[name], depth)) for name in sorted(given)})

    return build()


@pytest.mark.parametrize(
    "struct", [Application, project.AppProject, applicationset.ApplicationSet], ids=lambda s: s.__name__
)
def test_any_value_survives_writing_and_reading(struct: type[msgspec.Struct]) -> None:
    @settings(max_examples=60, deadline=None)
    @given(_structs(struct))
    def survives(value: msgspec.Struct) -> None:
        written = to_json(value)
        again = DECODERS[struct.__name__](written)
        assert again == value
        assert to_json(again) == written

    survives()
