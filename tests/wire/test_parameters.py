"""Messages out of query parameters (api.md 3, "Query parameters")."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.resources.application import Application, ApplicationSource, ApplicationSpec
from tiphys.resources.errors import InvalidObject
from tiphys.resources.messages.application import (
    ApplicationCreateRequest,
    ApplicationManifestQuery,
    ApplicationPodLogsQuery,
    ApplicationQuery,
    ApplicationUpdateRequest,
)
from tiphys.resources.messages.cluster import ClusterID, ClusterQuery
from tiphys.resources.messages.repository import RepoQuery
from tiphys.resources.meta import ObjectMeta
from tiphys.resources.parameters import from_parameters, with_parameters

CASES = [
    pytest.param([], ApplicationQuery(), id="none"),
    pytest.param(
        [("name", "a"), ("refresh", "hard")], ApplicationQuery(name="a", refresh="hard"), id="texts"
    ),
    pytest.param([("name", "")], ApplicationQuery(name=""), id="a set pointer to zero"),
    pytest.param(
        [("projects", "a"), ("projects", "b")], ApplicationQuery(projects=("a", "b")), id="repeated"
    ),
    pytest.param([("name", "a"), ("name", "b")], ApplicationQuery(name="a"), id="first of a single field"),
    pytest.param(
        [("Name", "a"), ("nope", "b"), ("name.x", "c"), ("", "d")], ApplicationQuery(), id="unknown"
    ),
    pytest.param(
        [("id.type", "name"), ("id.value", "x"), ("id.nope", "y")],
        ClusterQuery(id=ClusterID(type="name", value="x")),
        id="nested",
    ),
    pytest.param([("forceRefresh", "t")], RepoQuery(force_refresh=True), id="bool t"),
    pytest.param([("forceRefresh", "0")], RepoQuery(), id="bool 0"),
    pytest.param(
        [("sourcePositions", "1"), ("sourcePositions", "-2"), ("noCache", "false")],
        ApplicationManifestQuery(source_positions=(1, -2), no_cache=False),
        id="numbers",
    ),
    pytest.param(
        [("sinceTime.seconds", "1700000000"), ("sinceTime.nanos", "5"), ("tailLines", "10")],
        ApplicationPodLogsQuery(since_time="2023-11-14T22:13:20Z", tail_lines=10),
        id="times",
    ),
    pytest.param([("sinceTime", "2023-11-14T22:13:20Z")], ApplicationPodLogsQuery(), id="a time is no text"),
    pytest.param(
        [
            ("application.metadata.name", "a"),
            ("application.metadata.labels[app.kubernetes.io/name]", "x"),
            ("application.metadata.labels[b]", "y"),
            ("application.spec.source.repoURL", "r"),
            ("application.spec.sources.repoURL", "s"),
            ("application.metadata.labels", "z"),
            ("application", "z"),
            ("upsert", "true"),
        ],
        ApplicationCreateRequest(
            application=Application(
                metadata=ObjectMeta(name="a", labels={"app.kubernetes.io/name": "x", "b": "y"}),
                spec=ApplicationSpec(source=ApplicationSource(repo_url="r")),
            ),
            upsert=True,
        ),
        id="deep, maps",
    ),
]


@pytest.mark.parametrize(("pairs", "message"), CASES)
def test_parameters(pairs: list[tuple[str, str]], message: Any) -> None:
    assert from_parameters(type(message), pairs) == message


def test_what_is_not_named_stays() -> None:
    """A name of the path is set into the message that the body gave."""
    app = Application(metadata=ObjectMeta(name="body", namespace="n"))
    request = ApplicationUpdateRequest(application=app, validate=True)
    changed = with_parameters(request, [("application.metadata.name", "path")])
    assert changed == ApplicationUpdateRequest(
        application=Application(metadata=ObjectMeta(name="path", namespace="n")), validate=True
    )
    assert with_parameters(request, []) is request


BAD = [
    ("follow", "maybe"),
    ("follow", ""),
    ("tailLines", ""),
    ("tailLines", "1.0"),
    ("tailLines", "1_0"),
    ("tailLines", " 1"),
    ("tailLines", "٣"),
    ("tailLines", "9223372036854775808"),
    ("tailLines", "9" * 10_000),
    ("sinceTime.seconds", "x"),
    ("sinceTime.seconds", "99999999999999"),
    ("sinceTime.nanos", "99999999999"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_bad_values(name: str, value: str) -> None:
    with pytest.raises(InvalidObject) as caught:
        from_parameters(ApplicationPodLogsQuery, [(name, value)])
    assert caught.value.path == name
    assert len(str(caught.value)) < 300


NAMES = st.lists(
    st.sampled_from(
        ["application", "metadata", "labels", "name", "spec", "sources", "x[y]", "[", "]", "", "upsert"]
    ),
    max_size=6,
).map(".".join)


@given(pairs=st.lists(st.tuples(NAMES | st.text(max_size=20), st.text(max_size=10)), max_size=10))
@settings(max_examples=300, deadline=None)
def test_any_parameters_are_a_message_or_an_error(pairs: list[tuple[str, str]]) -> None:
    try:
        from_parameters(ApplicationCreateRequest, pairs)
    except InvalidObject:
        pass
