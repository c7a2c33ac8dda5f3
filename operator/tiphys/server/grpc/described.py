"""Messages of gRPC's own services (health, reflection), which are none of our API: described here as data,
read and written by the protobuf runtime as they are.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as ProtoMessage

from tiphys.server.api.failures import ApiFailure, Code

FieldRow = tuple[str, int, str, str]
"""Name, number, type (a scalar, or a message of the same file), and ``one``, ``many`` or the name of a
oneof."""

MethodRow = tuple[str, str, str, bool, bool]
"""Name, request, response, whether the client streams, whether the server does."""

_Proto = descriptor_pb2.FieldDescriptorProto
_SCALARS = {"string": _Proto.TYPE_STRING, "bytes": _Proto.TYPE_BYTES, "int32": _Proto.TYPE_INT32}


class Described(msgspec.Struct, frozen=True):
    """A message of the protobuf runtime where the API has a struct."""

    message: Any


def described_file(
    name: str,
    package: str,
    messages: Mapping[str, Sequence[FieldRow]],
    services: Mapping[str, Sequence[MethodRow]],
    enums: Mapping[str, Sequence[str]] | None = None,
) -> descriptor_pb2.FileDescriptorProto:
    """A file out of tables; the values of an enum are numbered from 0."""
    file = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3")
    for enum, values in (enums or {}).items():
        made = file.enum_type.add(name=enum)
        for number, value in enumerate(values):
            made.value.add(name=value, number=number)
    for message, fields in messages.items():
        described = file.message_type.add(name=message)
        for field, number, kind, role in fields:
            _add_field(file, described, (field, number, kind, role))
    for service, methods in services.items():
        offered = file.service.add(name=service)
        for method, request, response, client_streams, server_streams in methods:
            offered.method.add(
                name=method,
                input_type=f".{package}.{request}",
                output_type=f".{package}.{response}",
                client_streaming=client_streams,
                server_streaming=server_streams,
            )
    return file


def _add_field(
    file: descriptor_pb2.FileDescriptorProto, message: descriptor_pb2.DescriptorProto, row: FieldRow
) -> None:
    name, number, kind, role = row
    label = _Proto.LABEL_REPEATED if role == "many" else _Proto.LABEL_OPTIONAL
    field = message.field.add(name=name, number=number, label=label)
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        is_enum = any(enum.name == kind for enum in file.enum_type)
        field.type = _Proto.TYPE_ENUM if is_enum else _Proto.TYPE_MESSAGE
        field.type_name = f".{file.package}.{kind}"
    if role not in ("one", "many"):
        names = [oneof.name for oneof in message.oneof_decl]
        if role not in names:
            message.oneof_decl.add(name=role)
            names.append(role)
        field.oneof_index = names.index(role)


def message_class(file: descriptor_pb2.FileDescriptorProto, name: str) -> type[ProtoMessage]:
    """The runtime's class of a message of a file that imports nothing."""
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.{name}"))


def decoder(kind: type[ProtoMessage]) -> Any:
    """Bytes → :class:`Described`."""

    def decode(data: bytes) -> Described:
        try:
            return Described(kind.FromString(data))
        except DecodeError as error:
            raise ApiFailure(Code.INTERNAL, "grpc: error unmarshalling request") from error

    return decode


def encode(answer: Described) -> bytes:
    """The bytes of a message."""
    data: bytes = answer.message.SerializeToString()
    return data
