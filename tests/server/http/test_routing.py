"""Paths and methods (api.md 1, 3)."""

import pytest

from tests.server.http.sample import Stage, sample_methods
from tiphys.resources.messages.session import SessionDeleteRequest
from tiphys.server.api.rpc import Method, Route
from tiphys.server.http.routing import BadPath, Found, Missing, RouteTable, routed_path


def method(name: str, *routes: Route) -> Method:
    return Method("p", "S", name, SessionDeleteRequest, SessionDeleteRequest, lambda: None, routes)


def found(table: RouteTable, verb: str, path: str) -> tuple[str, dict[str, str]] | int:
    outcome = table.find(verb, path)
    return outcome.status if isinstance(outcome, Missing) else (outcome.method.name, dict(outcome.values))


def test_the_first_registered_pattern_wins() -> None:
    table = RouteTable(
        [
            method("Rest", Route("GET", "/a/b/{x}/{rest=**}")),
            method("Named", Route("GET", "/a/b/{name}")),
            method("Literal", Route("GET", "/a/b/c")),
            method("Twin", Route("GET", "/a/b/{name}")),
            method("Late", Route("GET", "/a/b/c/d")),
        ]
    )
    assert found(table, "GET", "/a/b/c") == ("Rest", {"x": "c", "rest": ""})
    assert found(table, "GET", "/a/b/c/d") == ("Rest", {"x": "c", "rest": "d"})
    table = RouteTable(
        [
            method("Named", Route("GET", "/a/b/{name}")),
            method("Literal", Route("GET", "/a/b/c")),
            method("Other", Route("POST", "/a/b/c")),
        ]
    )
    assert found(table, "GET", "/a/b/c") == ("Named", {"name": "c"})
    assert found(table, "POST", "/a/b/c") == ("Other", {})
    assert found(table, "POST", "/a/b/d") == 405
    assert found(table, "GET", "/a/b") == 404


def test_a_pattern_may_begin_with_fields() -> None:
    table = RouteTable([method("Any", Route("GET", "/{a}/{b}/{c.d}"))])
    assert found(table, "GET", "/1/2/3") == ("Any", {"a": "1", "b": "2", "c.d": "3"})


@pytest.mark.parametrize("path", ["/a/{x=**}/b", "/a/{x=b/*}"])
def test_templates_that_are_not_understood(path: str) -> None:
    with pytest.raises(ValueError, match="a"):
        RouteTable([method("M", Route("GET", path))])


@pytest.mark.parametrize(
    ("raw", "routed"),
    [
        ("/api/v1/applications/a%2Fb", "/api/v1/applications/a/b"),
        ("/api/v1/write-repositories/https:%2F%2Fx", "/api/v1/write-repositories/https://x"),
        ("/api/v1/repositories/https:%2F%2Fx/refs", "/api/v1/repositories/https:%2F%2Fx/refs"),
        ("/api/v1/repositories/a%20b", "/api/v1/repositories/a b"),  # as it would be escaped by default
        ("/api/v1/repositories/a%2520b", "/api/v1/repositories/a%20b"),
        ("/api/v1/repocreds/%61", "/api/v1/repocreds/%61"),
        ("/api/v1/clusters/x", "/api/v1/clusters/x"),
        ("/api/v1/clusters", "/api/v1/clusters"),
    ],
)
def test_raw_paths(raw: str, routed: str) -> None:
    assert routed_path(raw) == routed


@pytest.mark.parametrize("raw", ["/%", "/%2", "/%zz", "/%ff", "/%c0%af"])
def test_broken_paths(raw: str) -> None:
    with pytest.raises(BadPath):
        routed_path(raw)


def test_the_sample_finds_itself() -> None:
    table = RouteTable(sample_methods(Stage()))
    for each in sample_methods(Stage()):
        for route in each.routes:
            path = "/".join("x" if part.startswith("{") else part for part in route.path.split("/"))
            outcome = table.find(route.verb, path)
            assert isinstance(outcome, Found)
            assert outcome.route.verb == route.verb
