"""What the services declare is what the reference's description says: all 109 methods (api.md 6)."""

from typing import Any

import pytest

from tests.wire import oracle
from tiphys.resources.wire.descriptors import proto_name
from tiphys.server.api.rpc import Route
from tiphys.server.openapi.declared import declared_methods

DECLARED = {method.path: method for method in declared_methods()}
REFERENCE = {
    f"/{package}.{service}/{method['method']}": method
    for package, content in oracle.PACKAGES.items()
    for service, methods in content["services"].items()
    for method in methods
}


def test_all_methods_once() -> None:
    assert len(REFERENCE) == 109
    assert set(DECLARED) == set(REFERENCE)
    assert len(declared_methods()) == len(DECLARED)


@pytest.mark.parametrize("path", sorted(REFERENCE))
def test_method(path: str) -> None:
    method, source = DECLARED[path], REFERENCE[path]
    assert proto_name(method.request) == source["request"]
    assert proto_name(method.response) == source["response"]
    assert method.client_streaming == source["client_streaming"]
    assert method.server_streaming == source["server_streaming"]
    assert method.deprecated == source.get("deprecated", False)
    assert method.routes == tuple(_route(route) for route in source.get("http", ()))


def _route(route: dict[str, Any]) -> Route:
    return Route(route["method"], route["path"], route.get("body", ""))
