"""Definitions of messages: a schema for each, collected as they are referred to."""

import inspect
from typing import Any

import msgspec

from tiphys.resources.schema import attribute_docs, one_line
from tiphys.resources.wire.fields import (
    INT_OR_STRING,
    JSON,
    MICRO_TIME,
    RAW_EXTENSION,
    TIME,
    Field,
    Many,
    Messages,
)

Schema = dict[str, Any]

_SCALARS: dict[str, Schema] = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "bytes": {"type": "string", "format": "byte"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
}
_FORMS: dict[str, Schema] = {
    TIME: {
        "type": "string",
        "format": "date-time",
        "x-nullable": True,
        "description": "An instant in UTC, with whole seconds.",
    },
    MICRO_TIME: {
        "type": "string",
        "format": "date-time",
        "x-nullable": True,
        "description": "An instant in UTC, with microseconds.",
    },
    RAW_EXTENSION: {"type": "object", "description": "Any JSON object."},
    JSON: {"description": "Any JSON."},
    INT_OR_STRING: {
        "type": "string",
        "format": "int-or-string",
        "description": "A number or a text such as a percentage.",
    },
}
_LONG = ("EnvEntry", "ResourceStatus")
"""Messages of v1alpha1 whose definitions carry the word before the version, too."""

ERRORS: dict[str, Schema] = {
    "protobufAny": {
        "type": "object",
        "description": "A detail of a failure.",
        "properties": {
            "type_url": {"type": "string"},
            "value": {"type": "string", "format": "byte"},
        },
    },
    "runtimeError": {
        "type": "object",
        "description": "Why a call failed.",
        "properties": {
            "code": {"type": "integer", "format": "int32", "description": "The gRPC status code."},
            "details": {"type": "array", "items": {"$ref": "#/definitions/protobufAny"}},
            "error": {"type": "string"},
            "message": {"type": "string"},
        },
    },
    "runtimeStreamError": {
        "type": "object",
        "description": "Why a stream ended.",
        "properties": {
            "details": {"type": "array", "items": {"$ref": "#/definitions/protobufAny"}},
            "grpc_code": {"type": "integer", "format": "int32"},
            "http_code": {"type": "integer", "format": "int32"},
            "http_status": {"type": "string"},
            "message": {"type": "string"},
        },
    },
}


def definition_name(full_name: str) -> str:
    """``application.ApplicationSyncRequest`` → ``applicationApplicationSyncRequest``."""
    package, _, name = full_name.rpartition(".")
    parts = package.split(".")
    prefix = "".join(parts[-2:]) if name in _LONG and parts[-1] == "v1alpha1" else parts[-1]
    return prefix + name


class Definitions:
    """Collects definitions; whoever refers to a message has it defined."""

    def __init__(self, messages: Messages):
        self._messages = messages
        self._made: dict[str, Schema] = dict(ERRORS)

    def sorted(self) -> dict[str, Schema]:
        """All definitions so far, by name."""
        return dict(sorted(self._made.items()))

    def of(self, struct: type[msgspec.Struct]) -> Schema:
        """A reference to the definition of a struct's message."""
        return self._refer(self._messages.name_of(struct), struct)

    def schema(self, field: Field) -> Schema:
        """The schema of a field's values."""
        if field.type in _SCALARS:
            single = dict(_SCALARS[field.type])
        else:
            single = self._refer(field.type, field.struct)
        if field.many is Many.LIST:
            return {"type": "array", "items": single}
        if field.many is Many.MAP:
            return {"type": "object", "additionalProperties": single}
        return single

    def _refer(self, full_name: str, struct: type[msgspec.Struct] | None) -> Schema:
        name = definition_name(full_name)
        if name not in self._made:
            if struct is None:
                self._made[name] = dict(_FORMS[full_name])
            else:
                self._made[name] = {}  # a place, should the message refer to itself
                self._made[name] = self._object(struct)
        return {"$ref": f"#/definitions/{name}"}

    def _object(self, struct: type[msgspec.Struct]) -> Schema:
        attributes = {info.encode_name: info for info in msgspec.structs.fields(struct)}
        docs = attribute_docs(struct)
        properties: dict[str, Schema] = {}
        for field in self._messages.flat(struct):
            schema = self.schema(field)
            info = attributes[field.json]
            always = info.default_factory not in (msgspec.NODEFAULT, dict, list)
            if schema.get("type") == "array" and always:
                schema["x-nullable"] = True
            if field.attribute in docs and "$ref" not in schema:
                schema["description"] = docs[field.attribute]
            properties[field.json] = schema
        described: Schema = {"type": "object"}
        if doc := inspect.getdoc(struct):
            described["description"] = one_line(doc.partition("\n\n")[0])
        if properties:
            described["properties"] = dict(sorted(properties.items()))
        return described
