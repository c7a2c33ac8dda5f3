"""What the services declare is what the reference's description says: all 109 methods (api.md 6)."""

from typing import Any

import pytest
from google.protobuf.descriptor_pool import DescriptorPool

from tests.wire import oracle
from tiphys.resources.wire.descriptors import files, proto_name, service_files
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


def test_descriptions_of_services() -> None:
    """What reflection gives is complete: a client can build everything from it."""
    pool = DescriptorPool()
    for file in (*files().values(), *service_files(declared_methods())):
        pool.AddSerializedFile(file.SerializeToString())
    for path in DECLARED:
        _, service, name = path.split("/")
        method = pool.FindServiceByName(service).methods_by_name[name]
        assert method.input_type.full_name == REFERENCE[path]["request"]
        assert method.output_type.full_name == REFERENCE[path]["response"]
        assert method.client_streaming == REFERENCE[path]["client_streaming"]
        assert method.server_streaming == REFERENCE[path]["server_streaming"]


def _route(route: dict[str, Any]) -> Route:
    return Route(route["method"], route["path"], route.get("body", ""))
