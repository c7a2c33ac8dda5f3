"""The document: paths and their operations, then the definitions that these refer to."""

import inspect
import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec

from tiphys.resources.schema import one_line
from tiphys.resources.wire.fields import messages
from tiphys.server.api.rpc import Method, Route
from tiphys.server.openapi.definitions import Definitions, definition_name
from tiphys.server.openapi.parameters import parameters_of, plain_path

Document = dict[str, Any]


def render(methods: Iterable[Method]) -> bytes:
    """The JSON text of :func:`document`, with line breaks."""
    return msgspec.json.format(msgspec.json.encode(document(methods)), indent=2)


def document(methods: Iterable[Method]) -> Document:
    """The OpenAPI 2.0 document of methods with routes.

    Of methods that share a route the one that is not deprecated stands in it (api.md 6).
    """
    definitions = Definitions(messages())
    paths: dict[str, dict[str, Any]] = {}
    for method in sorted(methods, key=lambda method: method.deprecated):
        for number, route in enumerate(method.routes, start=1):
            operations = paths.setdefault(plain_path(route.path), {})
            if route.verb.lower() not in operations:
                operations[route.verb.lower()] = _operation(method, route, number, definitions)
    return {
        "swagger": "2.0",
        "info": {
            "title": "Tiphys",
            "description": "GitOps for Kubernetes: every call of the API.",
            "version": _version(),
        },
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "paths": dict(sorted(paths.items())),
        "definitions": definitions.sorted(),
    }


def _operation(method: Method, route: Route, number: int, definitions: Definitions) -> dict[str, Any]:
    suffix = str(number) if number > 1 else ""
    operation: dict[str, Any] = {
        "tags": [method.service],
        "operationId": f"{method.service}_{method.name}{suffix}",
        "parameters": parameters_of(method, route, messages(), definitions),
        "responses": {
            "200": _success(method, definitions),
            "default": {
                "description": "An unexpected error response.",
                "schema": {"$ref": "#/definitions/runtimeError"},
            },
        },
    }
    if doc := inspect.getdoc(method.handler):
        operation = {"description": one_line(doc.partition("\n\n")[0])} | operation
    operation = {"summary": _words(method.name)} | operation
    if method.deprecated:
        operation["deprecated"] = True
    return operation


def _success(method: Method, definitions: Definitions) -> dict[str, Any]:
    answer = definitions.of(method.response)
    if not method.server_streaming:
        return {"description": "A successful response.", "schema": answer}
    name = definition_name(messages().name_of(method.response))
    return {
        "description": "A successful response.(streaming responses)",
        "schema": {
            "type": "object",
            "title": f"Stream result of {name}",
            "properties": {"error": {"$ref": "#/definitions/runtimeStreamError"}, "result": answer},
        },
    }


def _words(name: str) -> str:
    """``ListResourceEvents`` → ``List resource events``; words in capitals stay."""
    words = re.findall(r"[A-Z]+(?![a-z])\d*|[A-Z][a-z]+\d*", name)
    return " ".join(
        word if number == 0 or word.isupper() else word.lower() for number, word in enumerate(words)
    )


def _version() -> str:
    try:
        return version("tiphys")
    except PackageNotFoundError:
        return "unknown"
