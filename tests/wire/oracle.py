"""A second encoder, made from ``wire.json`` only: the reference's messages as its own files describe them.

Knows nothing of our structs. It reads JSON as the gateway writes it and gives protobuf bytes; and it makes
random JSON of every message, in the gateway's canonical form.
"""

import base64
import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGES: dict[str, Any] = json.loads(Path(__file__).with_name("wire.json").read_text())["packages"]
V1ALPHA1 = "github.com.argoproj.argo_cd.v3.pkg.apis.application.v1alpha1"
META = "k8s.io.apimachinery.pkg.apis.meta.v1"
MESSAGES: dict[str, list[dict[str, Any]]] = {
    f"{package}.{name}": fields
    for package, content in PACKAGES.items()
    for name, fields in content["messages"].items()
}

TIMES = (f"{META}.Time", f"{META}.MicroTime")
RAW = (
    "k8s.io.apimachinery.pkg.runtime.RawExtension",
    "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSON",
)
INT_OR_STRING = "k8s.io.apimachinery.pkg.util.intstr.IntOrString"
SCALARS = {"string": 9, "bool": 8, "bytes": 12, "int32": 5, "int64": 3}

OMITTED = {(f"{META}.ObjectMeta", "managedFields"), (f"{META}.ListMeta", "shardInfo")}
"""Fields that we leave out on purpose."""

WRITTEN = {(f"{V1ALPHA1}.ApplicationSourcePluginParameter", "name")}
"""Fields of a type with an encoder of its own, which writes them always."""


def fields_of(name: str) -> list[dict[str, Any]]:
    """The fields of a message that we have."""
    return [field for field in MESSAGES[name] if (name, field["name"]) not in OMITTED]


def syntax_of(name: str) -> str:
    return str(PACKAGES[name.rpartition(".")[0]]["syntax"])


def json_key(field: dict[str, Any]) -> str:
    return str(field.get("json", field["name"]))


def map_value(field: dict[str, Any]) -> str:
    """``map<string,X>`` → ``X``."""
    return str(field["type"])[len("map<string,") : -1]


@cache
def message_class(name: str) -> Any:
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(name))


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    files = {package: _file(package) for package in PACKAGES}
    done: set[str] = set()

    def add(package: str) -> None:
        if package not in done:
            done.add(package)
            for needed in files[package].dependency:
                add(needed)
            pool.AddSerializedFile(files[package].SerializeToString())

    for package in files:
        add(package)
    return pool


def _file(package: str) -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name=package, package=package, syntax=PACKAGES[package]["syntax"]
    )
    for name, fields in PACKAGES[package]["messages"].items():
        message = file.message_type.add(name=name)
        for field in fields:
            made = message.field.add(name=field["name"], number=field["number"])
            made.label = {"repeated": 3, "map": 3, "required": 2}.get(field["label"], 1)
            kind = field["type"]
            if field["label"] == "map":
                entry = message.nested_type.add(name=field["name"][0].upper() + field["name"][1:] + "Entry")
                entry.options.map_entry = True
                entry.field.add(name="key", number=1, type=9, label=1)
                _set_type(file, entry.field.add(name="value", number=2, label=1), map_value(field))
                kind = f"{package}.{name}.{entry.name}"
            if "oneof" in field:
                if not message.oneof_decl:
                    message.oneof_decl.add(name=field["oneof"])
                made.oneof_index = 0
            _set_type(file, made, kind)
    return file


def _set_type(
    file: descriptor_pb2.FileDescriptorProto, field: descriptor_pb2.FieldDescriptorProto, kind: str
) -> None:
    if kind in SCALARS:
        field.type = SCALARS[kind]  # type: ignore[assignment]
        return
    field.type = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
    field.type_name = f".{kind}"
    if kind.startswith(f"{file.name}."):
        return
    package = kind.rpartition(".")[0]
    if package not in file.dependency:
        file.dependency.append(package)


def encode(name: str, content: dict[str, Any]) -> bytes:
    """The protobuf bytes of JSON as the gateway writes it."""
    data: bytes = _message(name, content).SerializeToString(deterministic=True)
    return data


def _message(name: str, content: dict[str, Any]) -> Any:
    message = message_class(name)()
    for field in fields_of(name):
        kind, label = field["type"], field["label"]
        if field.get("json_inline"):
            inner = _inline(kind, content)
            if inner is not None:
                getattr(message, field["name"]).CopyFrom(inner)
                getattr(message, field["name"]).SetInParent()
            continue
        value = content.get(json_key(field))
        if label == "map":
            for key, item in (value or {}).items():
                if map_value(field) in SCALARS:
                    getattr(message, field["name"])[key] = item
                else:
                    getattr(message, field["name"])[key].CopyFrom(_value(map_value(field), item))
        elif label == "repeated":
            getattr(message, field["name"]).extend([_value(kind, item) for item in value or ()])
        elif kind in SCALARS:
            if value is None and field.get("wire_always"):
                value = {"string": "", "bool": False}.get(kind, 0)
            if value is not None:
                setattr(message, field["name"], _value(kind, value))
        elif value is not None or field.get("wire_always") or label == "required":
            part = getattr(message, field["name"])
            part.SetInParent()
            part.CopyFrom(_value(kind, value))
            part.SetInParent()
    return message


def _inline(kind: str, content: dict[str, Any]) -> Any:
    if kind.endswith((".OptionalMap", ".OptionalArray")):
        key = json_key(MESSAGES[kind][0])
        return None if content.get(key) is None else _message(kind, content)
    return _message(kind, content)


def _value(kind: str, value: Any) -> Any:
    if kind == "bytes":
        return base64.b64decode(value)
    if kind in SCALARS:
        return value
    if kind in TIMES:
        if value is None:
            return message_class(kind)()
        moment = datetime.fromisoformat(value)
        nanos = moment.microsecond * 1000 if kind.endswith("MicroTime") else 0
        whole = moment.replace(microsecond=0) - datetime(1970, 1, 1, tzinfo=UTC)
        return message_class(kind)(seconds=whole.days * 86400 + whole.seconds, nanos=nanos)
    if kind in RAW:
        text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
        return message_class(kind)(raw=text.encode())
    if kind == INT_OR_STRING:
        if isinstance(value, str):
            return message_class(kind)(type=1, intVal=0, strVal=value)
        return message_class(kind)(type=0, intVal=value, strVal="")
    return _message(kind, value or {})


class Maker:
    """Makes random JSON of messages, as the gateway writes them."""

    _TEXTS = (
        "a",
        "default",
        "<b>&",
        "ünïcode",
        "line\nbreak",
        '"quoted"',
        "\u2028",
        "x" * 200,
        "\U0001f600",
        "0",
    )

    def __init__(self, random: Random):
        self._random = random

    def message(self, name: str, depth: int = 0) -> dict[str, Any]:
        """One message; fields get rarer with depth."""
        content: dict[str, Any] = {}
        for field in fields_of(name):
            if field.get("json_inline"):
                inner = self.message(field["type"], depth)
                if field["type"].endswith((".OptionalMap", ".OptionalArray")):
                    key = json_key(MESSAGES[field["type"]][0])
                    empty: Any = {} if key == "map" else []
                    inner = {key: inner.get(key) or empty} if self._chance(depth) else {}
                content |= inner
                continue
            if "oneof" in field and content:
                continue
            self._field(content, name, field, depth)
        return content

    def _field(self, content: dict[str, Any], name: str, field: dict[str, Any], depth: int) -> None:
        key, kind, label = json_key(field), field["type"], field["label"]
        always = field.get("json_always", False) or (name, key) in WRITTEN
        if label == "map":
            if self._chance(depth):
                content[key] = {
                    self._text(): self._single(map_value(field), depth + 1)
                    for _ in range(self._random.randint(1, 3))
                }
        elif label == "repeated":
            items = [self._single(kind, depth + 1) for _ in range(self._random.randint(0, 2))]
            if not self._chance(depth):
                items = []
            if items or always:
                content[key] = items or None
        elif kind in TIMES:
            if self._chance(depth) or label == "required":
                content[key] = self._single(kind, depth)
            elif always:
                content[key] = None
        elif kind in SCALARS and (field.get("wire_always") or label == "singular" or kind == "bytes"):
            value = self._single(kind, depth) if self._chance(depth) else None
            if value or always:
                empty: Any = {"string": "", "bool": False, "bytes": None}.get(kind, 0)
                content[key] = value or empty
            elif label == "required":
                content[key] = "YQ=="
        elif always or label == "required" or self._chance(depth):
            value = self._single(kind, depth + 1)
            if value or kind in SCALARS or always or not field.get("wire_always"):
                content[key] = value

    def _single(self, kind: str, depth: int) -> Any:
        match kind:
            case "string":
                return self._text()
            case "bool":
                return self._chance(0)
            case "bytes":
                return self._random.choice(("YQ==", "AAEC", "//79"))
            case "int32":
                return self._random.choice((0, 1, -1, 2**31 - 1, -(2**31)))
            case "int64":
                return self._random.choice((0, 1, -1, 128, 2**63 - 1, -(2**63)))
            case _ if kind in TIMES:
                moment = self._random.choice(
                    (
                        "1970-01-01T00:00:00",
                        "2026-01-31T12:00:00",
                        "1969-12-31T23:59:59",
                        "9999-12-31T23:59:59",
                    )
                )
                return f"{moment}.{self._random.randint(0, 999999):06}Z" if "Micro" in kind else f"{moment}Z"
            case _ if kind in RAW:
                return {self._text(): self._json(2) for _ in range(self._random.randint(0, 2))}
            case _ if kind == INT_OR_STRING:
                return self._random.choice((0, 5, -3, "", "25%"))
        return self.message(kind, depth)

    def _json(self, depth: int) -> Any:
        simple = [None, True, 0, -7, 1.5, "", "text", [], {}]
        choices = [*simple, [1, None], {"k": self._json(depth - 1)}] if depth else simple
        return self._random.choice(choices)

    def _text(self) -> str:
        return self._random.choice(self._TEXTS)

    def _chance(self, depth: int) -> bool:
        return self._random.random() < 0.75 / (1 + depth)
