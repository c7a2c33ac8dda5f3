"""The pure parts of writing and listing: patches, finalizers, merge patches, pages, validation texts."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.reconcile.statuses import merge_patch
from tiphys.resources.application import Application, decode, to_json
from tiphys.resources.gojson import dumps
from tiphys.resources.messages.application import ApplicationQuery
from tiphys.resources.messages.trees import ApplicationTree, ResourceNode
from tiphys.resources.status import HealthStatus, ResourceStatus
from tiphys.resources.wire.codec import encode
from tiphys.server.api.failures import ApiFailure, Code
from tiphys.server.services.applications.access import is_name
from tiphys.server.services.applications.deleting import wanted_finalizers
from tiphys.server.services.applications.listing import Page, etag_of, page_of, projects_of
from tiphys.server.services.applications.patching import patched
from tiphys.server.services.applications.reading import healths_of, with_health
from tiphys.server.services.applications.validation import duplicate_source_name, managed_by_problem
from tiphys.server.services.applications.writing import Whole, edit, merge
from tiphys.server.streams.catalog import Entry
from tiphys.server.streams.fragments import Codec, Fragment

PLAIN = "resources-finalizer.argocd.argoproj.io"


def app(name: str = "web", *, status: Any = None, spec: Any = None, **metadata: Any) -> Application:
    return decode(
        {
            "metadata": {"name": name, "namespace": "argocd", **metadata},
            "spec": {"destination": {}, "project": "p", **(spec or {})},
            "status": status or {},
        }
    )


# Patch (api.md 8.2)


@pytest.mark.parametrize(
    ("kind", "patch", "project"),
    [
        ("", '[{"op":"replace","path":"/spec/project","value":"q"}]', "q"),
        ("json", '[{"op":"replace","path":"/spec/project","value":"q"}]', "q"),
        ("merge", '{"spec":{"project":"q"}}', "q"),
        ("merge", '{"spec":{"project":null}}', ""),
        ("merge", '{"metadata":{"name":"other","namespace":"else"}}', "p"),
        ("json", "[]", "p"),
    ],
)
def test_patches(kind: str, patch: str, project: str) -> None:
    result = patched(app(), patch, kind)
    assert result.spec.project == project
    assert (result.metadata.name, result.metadata.namespace) == ("web", "argocd")


@pytest.mark.parametrize(
    ("kind", "patch", "code"),
    [
        ("strategic", "{}", Code.INVALID_ARGUMENT),
        ("json", "", Code.UNKNOWN),
        ("json", "{", Code.UNKNOWN),
        ("json", "{}", Code.UNKNOWN),
        ("json", "[1]", Code.UNKNOWN),
        ("json", '[{"op":"replace"}]', Code.UNKNOWN),
        ("json", '[{"op":"remove","path":"/spec/nothing"}]', Code.UNKNOWN),
        ("json", '[{"op":"add","path":"spec","value":1}]', Code.UNKNOWN),
        ("json", '[{"op":"replace","path":"","value":5}]', Code.UNKNOWN),
        ("json", '[{"op":"replace","path":"/spec","value":5}]', Code.UNKNOWN),
        ("json", '[{"op":"test","path":"/spec/project","value":"x"}]', Code.UNKNOWN),
        ("merge", "x", Code.UNKNOWN),
        ("merge", "[]", Code.UNKNOWN),
        ("merge", '{"spec":{"destination":7}}', Code.UNKNOWN),
        ("merge", '{"a":' * 2000 + "1" + "}" * 2000, Code.UNKNOWN),
        ("merge", '{"a":' * 900 + "1" + "}" * 900, Code.UNKNOWN),
    ],
)
def test_bad_patches(kind: str, patch: str, code: Code) -> None:
    with pytest.raises(ApiFailure) as failure:
        patched(app(), patch, kind)
    assert failure.value.code is code


def test_a_patch_cannot_grow_without_bound() -> None:
    add = {"op": "add", "path": "/metadata/annotations", "value": {"a": "x" * 1000}}
    copies = [{"op": "copy", "from": "/metadata", "path": f"/metadata/x{n}"} for n in range(60)]
    with pytest.raises(ApiFailure) as failure:
        patched(app(), json.dumps([add, *copies]), "json")
    assert "too large" in failure.value.message


# Delete (applications.md 13.2)


@pytest.mark.parametrize(
    ("held", "cascade", "policy", "wanted"),
    [
        ([], True, "", [PLAIN]),
        ([], True, "foreground", [f"{PLAIN}/foreground"]),
        ([], True, "BackGround", [f"{PLAIN}/background"]),
        ([PLAIN], True, "", [PLAIN]),
        ([PLAIN], True, "background", [PLAIN, f"{PLAIN}/background"]),
        (["x", PLAIN, f"{PLAIN}/background", f"{PLAIN}/foreground"], False, "", ["x"]),
        (
            ["post-delete-finalizer.argocd.argoproj.io"],
            False,
            "",
            ["post-delete-finalizer.argocd.argoproj.io"],
        ),
    ],
)
def test_finalizers_of_a_deletion(held: list[str], cascade: bool, policy: str, wanted: list[str]) -> None:
    assert list(wanted_finalizers(app(finalizers=held), cascade=cascade, policy=policy)) == wanted


def test_what_is_being_deleted_gets_no_further_finalizer() -> None:
    deleting = app(finalizers=["x"], deletionTimestamp="2026-01-01T00:00:00Z")
    assert wanted_finalizers(deleting, cascade=True, policy="background") == ("x",)


@pytest.mark.parametrize(
    ("cascade", "policy", "text"),
    [
        (False, "foreground", "cannot set propagation policy when cascading is disabled"),
        (True, "orphan", "invalid propagation policy: orphan"),
    ],
)
def test_bad_policies(cascade: bool, policy: str, text: str) -> None:
    with pytest.raises(ApiFailure) as failure:
        wanted_finalizers(app(), cascade=cascade, policy=policy)
    assert (failure.value.code, failure.value.message) == (Code.INVALID_ARGUMENT, text)


# Writing

JSON = st.recursive(
    st.text(max_size=3) | st.integers(0, 3) | st.booleans(),
    lambda inner: st.dictionaries(st.text(max_size=2), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=2), JSON, max_size=4)


@given(OBJECTS, OBJECTS)
def test_merging_a_patch_is_the_inverse_of_making_it(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert merge(old, merge_patch(old, new)) == new


def test_an_edit_names_only_what_differs() -> None:
    before = app(labels={"a": "1", "b": "2"}, finalizers=["x"])
    spec = msgspec.structs.replace(before.spec, project="q")
    assert edit(before, spec=spec, labels={"a": "1", "c": "3"}, annotations={}, finalizers=("x",)) == {
        "metadata": {"labels": {"b": None, "c": "3"}},
        "spec": {"project": "q"},
    }
    assert edit(before, spec=before.spec, finalizers=("x",)) == {}
    assert edit(before, finalizers=()) == {"metadata": {"finalizers": []}}


def test_a_spec_with_nulls_in_its_values_is_written_whole() -> None:
    values = {"helm": {"valuesObject": {"a": None}}, "repoURL": "r"}
    after = app(spec={"source": values})
    body = edit(app(), spec=after.spec)
    assert isinstance(body["spec"], Whole)
    assert body["spec"] == to_json(after.spec)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("web", True), ("a.b-c", True), ("0", True), ("", False), ("..", False), (".", False), ("a/b", False),
        ("-a", False), ("a-", False), ("A", False), ("a" * 254, False),
        ("ä", False), ("a\x00", False), ("a\n", False),
    ],
)  # fmt: skip
def test_names(text: str, fits: bool) -> None:
    assert is_name(text) is fits


# Validation texts


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", ""),
        ("https://x", ""),
        ("http://x/y", ""),
        ("ftp://x", "invalid managed-by URL: URL must include http or https protocol"),
        ("javascript:alert(1)", "invalid managed-by URL: URL must include http or https protocol"),
        ("x.example", "invalid managed-by URL: URL must include http or https protocol"),
        ("http://[x", "invalid managed-by URL: failed to parse URL: "),
    ],
)
def test_managed_by_url(url: str, problem: str) -> None:
    found = managed_by_problem(url)
    assert found.startswith(problem)
    assert bool(found) == bool(problem)


def test_duplicate_names_of_sources() -> None:
    def named(*names: str) -> Application:
        return app(spec={"sources": [{"repoURL": "r", "name": name} for name in names]})

    assert duplicate_source_name(named("a", "b", "a", "b")) == "a"
    assert duplicate_source_name(named("", "", "a")) == ""
    assert duplicate_source_name(app()) == ""


# Lists


def entry(name: str, number: int, **status: Any) -> Entry:
    application = app(name, status=status)
    fragment = Fragment(application, Codec(dumps, encode))
    return Entry((name, "argocd"), "p", f"p/{name}", number, {}, fragment)


def entries(*names: str) -> list[Entry]:
    return [entry(name, number + 1) for number, name in enumerate(sorted(names))]


def names(page: Page) -> list[str]:
    return [entry.order[0] for entry in page.entries]


def test_pages_are_the_list_in_pieces() -> None:
    found = entries(*"abcdefg")
    first = page_of(found, "", "3", "")
    second = page_of(found, "", "3", first.next)
    third = page_of(found, "", "3", second.next)
    assert names(first) + names(second) + names(third) == list("abcdefg")
    assert [first.left, second.left, third.left, third.next] == [4, 1, None, ""]


def test_a_page_goes_on_where_the_last_ended_although_others_came_and_went() -> None:
    first = page_of(entries(*"bcd"), "", "1", "")
    assert names(page_of(entries(*"acd"), "", "1", first.next)) == ["c"]


def test_sorting() -> None:
    health = {"a": "Healthy", "b": "Degraded", "c": "Healthy"}
    found = [entry(name, 1, health={"status": status}) for name, status in health.items()]
    assert names(page_of(found, "health", "", "")) == ["b", "a", "c"]
    assert names(page_of(found, "-health", "", "")) == ["c", "a", "b"]
    assert names(page_of(found, "-name", "", "")) == ["c", "b", "a"]
    first = page_of(found, "-health", "1", "")
    assert names(page_of(found, "-health", "5", first.next)) == ["a", "b"]


@pytest.mark.parametrize(
    ("sort", "limit", "begin"),
    [("color", "", ""), ("", "x", ""), ("", "-1", ""), ("", "9" * 30, ""), ("", "", "%"), ("", "", "bnVsbA")],
)
def test_bad_parameters_of_lists(sort: str, limit: str, begin: str) -> None:
    with pytest.raises(ApiFailure) as failure:
        page_of(entries("a"), sort, limit, begin)
    assert failure.value.code is Code.INVALID_ARGUMENT


def test_an_etag_names_the_content() -> None:
    one = Page(entries("a", "b"))
    assert etag_of(one, {}) == etag_of(Page(entries("a", "b")), {"x": ["1"]})
    others = {
        etag_of(one, {}),
        etag_of(Page(entries("a")), {}),
        etag_of(Page(list(reversed(entries("a", "b")))), {}),
        etag_of(one, {"fields": ["items.spec"]}),
    }
    assert len(others) == 4


def test_the_older_spelling_of_projects_wins() -> None:
    assert projects_of(ApplicationQuery(projects=("a",), project=("b",))) == {"b"}
    assert projects_of(ApplicationQuery(projects=("a", "c"))) == {"a", "c"}


# Get


def test_health_of_resources_comes_from_the_tree() -> None:
    def node(name: str, **fields: Any) -> ResourceNode:
        return ResourceNode(version="v1", kind="Pod", namespace="n", name=name, **fields)

    def resource(name: str, health: HealthStatus | None = None) -> ResourceStatus:
        return ResourceStatus(version="v1", kind="Pod", namespace="n", name=name, health=health)

    healthy = HealthStatus(status="Healthy")
    tree = ApplicationTree(nodes=(node("a", uid="1", health=healthy), node("b"), node("c", uid="3")))
    stale = HealthStatus(status="Degraded")
    before = app()
    status = msgspec.structs.replace(before.status, resources=tuple(resource(name, stale) for name in "abcd"))
    before = msgspec.structs.replace(before, status=status)
    found = with_health(before, healths_of(status.resources, tree)).status.resources
    missing = HealthStatus(status="Missing", message="Resource has not been created")
    assert [each.health for each in found] == [healthy, missing, None, None]
