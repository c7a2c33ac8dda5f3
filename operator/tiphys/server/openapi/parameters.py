"""What a route takes: parameters of its path, of the query, and the body (api.md 3)."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from tiphys.resources.wire.fields import MICRO_TIME, TIME, Field, Many, Messages
from tiphys.server.api.rpc import Method, Route
from tiphys.server.openapi.definitions import Definitions

Parameter = dict[str, Any]

_IN_PATH = re.compile(r"\{([\w.]+)(?:=[^}]*)?\}")

_FIELDS: Parameter = {
    "name": "fields",
    "in": "query",
    "type": "string",
    "description": "Only these parts of the answer, as paths with commas between; - before one: all others.",
}
_DOWNLOAD: Parameter = {
    "name": "download",
    "in": "query",
    "type": "boolean",
    "description": "The log as a plain text file.",
}
BESIDE_THE_REQUEST: dict[str, tuple[Parameter, ...]] = {
    "/application.ApplicationService/List": (_FIELDS,),
    "/application.ApplicationService/ManagedResources": (_FIELDS,),
    "/application.ApplicationService/PodLogs": (_FIELDS, _DOWNLOAD),
    "/application.ApplicationService/Watch": (_FIELDS,),
    "/application.ApplicationService/WatchResourceTree": (_FIELDS,),
    "/applicationset.ApplicationSetService/Watch": (_FIELDS,),
    "/project.ProjectService/List": (_FIELDS,),
}
"""What the HTTP transport itself takes from the query (api.md 3), by the method's path."""


def plain_path(path: str) -> str:
    """The path as OpenAPI writes it: ``{rest=**}`` → ``{rest}``."""
    return _IN_PATH.sub(r"{\1}", path)


def parameters_of(
    method: Method, route: Route, messages: Messages, definitions: Definitions
) -> list[Parameter]:
    """All parameters of a route, in the order path, body, query.

    Raises:
        KeyError: the path or the body names a field that the request does not have.
    """
    in_path = _IN_PATH.findall(route.path)
    found = [
        {"name": name, "in": "path", "required": True}
        | definitions.schema(_at(method.request, name.split("."), messages))
        for name in in_path
    ]
    if route.body:
        found.append(_body(method, route, messages, definitions))
    if route.body != "*":
        taken = {*in_path, route.body}
        found += _query(method.request, "", taken, messages, definitions)
    return [*found, *BESIDE_THE_REQUEST.get(method.path, ())]


def _body(method: Method, route: Route, messages: Messages, definitions: Definitions) -> Parameter:
    if route.body == "*":
        schema = definitions.of(method.request)
    else:
        schema = definitions.schema(_at(method.request, [route.body], messages))
    if method.client_streaming:
        schema = {"description": "Several of these, one after the other."} | schema
    return {"name": "body", "in": "body", "required": True, "schema": schema}


def _at(struct: type[msgspec.Struct], path: list[str], messages: Messages) -> Field:
    first, *rest = path
    field = next((field for field in messages.flat(struct) if first in (field.json, field.name)), None)
    if field is None:
        raise KeyError(f"{struct.__name__} has no field {first}")
    if not rest:
        return field
    assert field.struct is not None
    return _at(field.struct, rest, messages)


def _query(
    struct: type[msgspec.Struct],
    prefix: str,
    taken: set[str],
    messages: Messages,
    definitions: Definitions,
) -> Iterator[Parameter]:
    """Every field that is no other kind of parameter, those of messages inside with dots.

    Lists of messages and maps have no form in a query.
    """
    for field in messages.flat(struct):
        name = prefix + field.json
        if name in taken or field.many is Many.MAP:
            continue
        if field.type in (TIME, MICRO_TIME):
            yield {"name": f"{name}.seconds", "in": "query", "type": "integer", "format": "int64"}
            yield {"name": f"{name}.nanos", "in": "query", "type": "integer", "format": "int32"}
        elif field.struct is None:
            parameter = {"name": name, "in": "query"} | definitions.schema(field)
            if field.many is Many.LIST:
                parameter["collectionFormat"] = "multi"
            yield parameter
        elif field.many is Many.ONE:
            yield from _query(field.struct, f"{name}.", taken, messages, definitions)
