"""The OpenAPI document: the operations, names and parameters of the reference (api.md 6 and 7)."""

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import argocd_python_client.api
import pytest
import schemathesis
from click.testing import CliRunner

from tests.wire import oracle
from tiphys.cli.main import main
from tiphys.server.openapi.declared import declared_methods
from tiphys.server.openapi.definitions import definition_name
from tiphys.server.openapi.document import document
from tiphys.server.openapi.parameters import plain_path

DOCUMENT = document(declared_methods())
OPERATIONS = {
    (verb.upper(), path): operation
    for path, operations in DOCUMENT["paths"].items()
    for verb, operation in operations.items()
}


def reference() -> Iterator[Any]:
    """A case for each route of wire.json; of methods that share one the successor."""
    seen = {}
    for content in oracle.PACKAGES.values():
        for service, methods in content["services"].items():
            for method in sorted(methods, key=lambda method: method.get("deprecated", False)):
                for number, route in enumerate(method.get("http", ()), start=1):
                    key = (route["method"], plain_path(route["path"]))
                    suffix = str(number) if number > 1 else ""
                    seen.setdefault(key, (f"{service}_{method['method']}{suffix}", method, route))
    for (verb, path), case in sorted(seen.items()):
        yield pytest.param(verb, path, *case, id=f"{verb} {path}")


REFERENCE = list(reference())


def test_number_of_operations() -> None:
    assert len(REFERENCE) == 106
    assert len(OPERATIONS) == 106


@pytest.mark.parametrize(("verb", "path", "name", "method", "route"), REFERENCE)
def test_operation(verb: str, path: str, name: str, method: Any, route: Any) -> None:
    operation = OPERATIONS[verb, path]
    assert operation["operationId"] == name
    assert operation["tags"] == [name.partition("_")[0]]
    assert operation["summary"]

    answer = operation["responses"]["200"]["schema"]
    if method["server_streaming"]:
        answer = answer["properties"]["result"]
    assert answer == {"$ref": f"#/definitions/{definition_name(method['response'])}"}

    given = {parameter["name"]: parameter["in"] for parameter in operation["parameters"]}
    assert {name for name, where in given.items() if where == "path"} == set(re.findall(r"\{([\w.]+)", path))
    assert ("body" in given) == bool(route.get("body"))
    fields = {oracle.json_key(field) for field in oracle.MESSAGES[method["request"]]}
    if route.get("body") == "*":
        assert "query" not in given.values()
    else:
        assert {name.partition(".")[0] for name, where in given.items() if where == "query"} <= fields | {
            "fields",
            "download",
        }
        plain = {
            oracle.json_key(field)
            for field in oracle.MESSAGES[method["request"]]
            if field["type"] in oracle.SCALARS
        }
        assert plain - {route.get("body")} <= set(given)


def test_it_is_openapi() -> None:
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    schema.validate()
    assert len(list(schema.get_all_operations())) == len(OPERATIONS)


def test_what_the_transport_takes() -> None:
    """api.md 3, "`fields` query filter"."""
    with_fields = {
        path
        for (_, path), operation in OPERATIONS.items()
        if any(parameter["name"] == "fields" for parameter in operation["parameters"])
    }
    assert with_fields == {
        "/api/v1/applications",
        "/api/v1/projects",
        "/api/v1/applications/{applicationName}/managed-resources",
        "/api/v1/stream/applications/{applicationName}/resource-tree",
        "/api/v1/stream/applications",
        "/api/v1/stream/applicationsets",
        "/api/v1/applications/{name}/pods/{podName}/logs",
        "/api/v1/applications/{name}/logs",
    }


def test_references_lead_somewhere() -> None:
    text = json.dumps(DOCUMENT)
    used = set(re.findall(r'"#/definitions/([^"]+)"', text))
    assert used <= set(DOCUMENT["definitions"])
    assert set(DOCUMENT["definitions"]) - used == set()


def test_names_of_operations_are_unique() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(names) == len(set(names))


def test_types_are_what_is_sent() -> None:
    definitions = DOCUMENT["definitions"]
    history = definitions["v1alpha1RevisionHistory"]["properties"]
    assert history["id"] == {"type": "integer", "format": "int64"}
    assert history["deployedAt"] == {"$ref": "#/definitions/v1Time"}
    assert definitions["v1alpha1ApplicationList"]["properties"]["items"]["x-nullable"]
    assert "name" in definitions["v1alpha1ResourceNode"]["properties"]
    assert "apiVersion" not in definitions["v1alpha1Application"]["properties"]


def test_every_definition_says_what_it_is() -> None:
    without = [name for name, schema in DOCUMENT["definitions"].items() if not schema.get("description")]
    assert without == []


def test_command(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(main, ["openapi"])
    assert outcome.exit_code == 0
    assert json.loads(outcome.output) == DOCUMENT


# A client that was generated from the document of an earlier version of the reference.

RENAMED = {"/api/v1/clusters/{server}": "/api/v1/clusters/{id.value}"}
RENAMED |= {
    f"{old}/{end}": f"{new}/{end}"
    for old, new in RENAMED.items()
    for end in ("rotate-auth", "invalidate-cache")
}
RENAMED["/api/v1/clusters/{cluster.server}"] = "/api/v1/clusters/{id.value}"
"""Paths that have changed since."""

NEW_TYPES = {"V1EventList": "EventsEventList"}
"""Answers that have changed since."""

UNTYPED = "NoneType"


def client_endpoints() -> Iterator[Any]:
    client = importlib.import_module("argocd_python_client.api_client").ApiClient()
    for module in iter_modules(argocd_python_client.api.__path__):
        content = importlib.import_module(f"argocd_python_client.api.{module.name}")
        kinds = [kind for name, kind in vars(content).items() if name.endswith("ServiceApi")]
        for kind in kinds:
            for name, endpoint in vars(kind(client)).items():
                if hasattr(endpoint, "settings"):
                    yield pytest.param(endpoint, id=name)


@pytest.mark.parametrize("endpoint", list(client_endpoints()))
def test_a_client_of_the_reference(endpoint: Any) -> None:
    """Operation ids, parameters and models are those that a generated client knows."""
    settings = endpoint.settings
    path = RENAMED.get(settings["endpoint_path"], settings["endpoint_path"])
    operation = OPERATIONS[settings["http_method"], path]
    assert snake(operation["operationId"]) == settings["operation_id"]
    names = {parameter["name"] for parameter in operation["parameters"]}
    if path == settings["endpoint_path"]:
        assert set(endpoint.attribute_map.values()) <= names | {"body"} | GONE
    response = settings["response_type"][0].__name__
    if len(settings["response_type"]) == 1:
        schema = operation["responses"]["200"]["schema"]
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            assert NEW_TYPES.get(response, response) == name[0].upper() + name[1:]
        else:
            assert schema["title"].title().replace(" ", "").lower() == response.lower()


GONE: set[str] = set()
"""Query parameters that have gone since."""


def snake(name: str) -> str:
    """``GPGKeyService_Get`` → ``g_pg_key_service_get``, as the generator does."""
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name.replace("GPGKey", "GPgKey"))
    return re.sub(r"([a-z\d])([A-Z])", r"\1_\2", name).lower().replace("__", "_")
