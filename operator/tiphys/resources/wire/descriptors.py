"""Protobuf descriptors of all messages, and of services for whoever reflects on them.

One file a package, in a pool of its own. The classes of the protobuf runtime that ``codec`` works with
come from here.
"""

from collections.abc import Iterable
from functools import cache
from typing import Protocol

import msgspec
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message as ProtoMessage

from tiphys.resources.wire.fields import SCALARS, Field, Many, Message, messages

_Proto = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "string": _Proto.TYPE_STRING,
    "bool": _Proto.TYPE_BOOL,
    "bytes": _Proto.TYPE_BYTES,
    "int32": _Proto.TYPE_INT32,
    "int64": _Proto.TYPE_INT64,
}


class MethodLike(Protocol):
    """What a service's description needs of a method (``server.api.rpc.Method`` has it)."""

    @property
    def package(self) -> str: ...
    @property
    def service(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def request(self) -> type[msgspec.Struct]: ...
    @property
    def response(self) -> type[msgspec.Struct]: ...
    @property
    def client_streaming(self) -> bool: ...
    @property
    def server_streaming(self) -> bool: ...


def proto_name(kind: type[msgspec.Struct]) -> str:
    """The full name of a struct's message: ``application.ApplicationQuery``.

    Raises:
        KeyError: it is no message of the API.
    """
    return messages().name_of(kind)


def file_name(package: str) -> str:
    """The name of the file that describes a package's messages."""
    if package == "google.protobuf":
        return "google/protobuf/empty.proto"  # where everybody has it
    return package.replace(".", "/") + ".proto"


@cache
def files() -> dict[str, descriptor_pb2.FileDescriptorProto]:
    """The files of all packages by name; imports of a file come before it."""
    found = messages()
    described = {message.full_name: message for message in found.all()}
    made: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    for package in found.packages:
        file = descriptor_pb2.FileDescriptorProto(
            name=file_name(package.name), package=package.name, syntax=package.syntax
        )
        for entry in package.messages:
            _describe(file, described[entry.full_name])
        made[file.name] = file
    return {file.name: file for file in _in_order(made)}


@cache
def pool() -> descriptor_pool.DescriptorPool:
    """A pool of :func:`files`."""
    made = descriptor_pool.DescriptorPool()
    for file in files().values():
        made.AddSerializedFile(file.SerializeToString())
    return made


@cache
def message_class(full_name: str) -> type[ProtoMessage]:
    """The runtime's class of a message."""
    return message_factory.GetMessageClass(pool().FindMessageTypeByName(full_name))


def service_files(methods: Iterable[MethodLike]) -> tuple[descriptor_pb2.FileDescriptorProto, ...]:
    """A file for each service; they import files of :func:`files` (reflection)."""
    made: dict[tuple[str, str], descriptor_pb2.FileDescriptorProto] = {}
    for method in methods:
        key = (method.package, method.service)
        if key not in made:
            made[key] = descriptor_pb2.FileDescriptorProto(
                name=f"{method.package.replace('.', '/')}/{method.service}.proto",
                package=method.package,
                syntax="proto3",
            )
            made[key].service.add(name=method.service)
        file = made[key]
        names = [proto_name(method.request), proto_name(method.response)]
        file.service[0].method.add(
            name=method.name,
            input_type=f".{names[0]}",
            output_type=f".{names[1]}",
            client_streaming=method.client_streaming,
            server_streaming=method.server_streaming,
        )
        for name in names:
            _import(file, file_name(name.rpartition(".")[0]))
    return tuple(made.values())


def _describe(file: descriptor_pb2.FileDescriptorProto, message: Message) -> None:
    described = file.message_type.add(name=message.full_name.rpartition(".")[2])
    for field in message.fields:
        made = described.field.add(name=field.name, number=field.number, label=_Proto.LABEL_OPTIONAL)
        if field.json != field.name:
            made.json_name = field.json
        if field.required:
            made.label = _Proto.LABEL_REQUIRED
        if field.oneof:
            names = [oneof.name for oneof in described.oneof_decl]
            if field.oneof not in names:
                described.oneof_decl.add(name=field.oneof)
                names.append(field.oneof)
            made.oneof_index = names.index(field.oneof)
        if field.many is not Many.ONE:
            made.label = _Proto.LABEL_REPEATED
        if field.many is Many.MAP:
            entry = described.nested_type.add(name=_entry_name(field))
            entry.options.map_entry = True
            entry.field.add(name="key", number=1, type=_Proto.TYPE_STRING, label=_Proto.LABEL_OPTIONAL)
            _type(file, entry.field.add(name="value", number=2, label=_Proto.LABEL_OPTIONAL), field.type)
            made.type = _Proto.TYPE_MESSAGE
            made.type_name = f".{message.full_name}.{entry.name}"
        else:
            _type(file, made, field.type)


def _entry_name(field: Field) -> str:
    """The name that protoc requires: ``matchLabels`` → ``MatchLabelsEntry``."""
    return "".join(word[:1].upper() + word[1:] for word in field.name.split("_")) + "Entry"


def _type(file: descriptor_pb2.FileDescriptorProto, field: _Proto, name: str) -> None:
    if name in SCALARS:
        field.type = _TYPES[name]
        return
    field.type = _Proto.TYPE_MESSAGE
    field.type_name = f".{name}"
    _import(file, file_name(name.rpartition(".")[0]))


def _import(file: descriptor_pb2.FileDescriptorProto, name: str) -> None:
    if name != file.name and name not in file.dependency:
        file.dependency.append(name)


def _in_order(
    made: dict[str, descriptor_pb2.FileDescriptorProto],
) -> list[descriptor_pb2.FileDescriptorProto]:
    ordered: list[descriptor_pb2.FileDescriptorProto] = []

    def add(file: descriptor_pb2.FileDescriptorProto) -> None:
        if file not in ordered:
            for name in file.dependency:
                add(made[name])
            ordered.append(file)

    for file in made.values():
        add(file)
    return ordered
