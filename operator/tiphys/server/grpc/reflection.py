"""Server reflection, v1 and v1alpha: tools such as grpcurl ask which services and messages there are
(api.md 2; a login is needed, as for any method).

The descriptors are the ones our own encoding works with (``resources.wire.descriptors``).
"""

from collections.abc import AsyncIterator, Iterable
from functools import cached_property
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool

from tiphys.resources.wire.descriptors import files, service_files
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import Code
from tiphys.server.api.rpc import Method
from tiphys.server.grpc.described import Described, decoder, described_file, encode, message_class
from tiphys.server.grpc.table import Bound

VERSIONS = ("v1", "v1alpha")


def described(version: str) -> descriptor_pb2.FileDescriptorProto:
    """The file of one version of the service; both are the same but for the name."""
    asked, answered = "message_request", "message_response"
    return described_file(
        f"grpc/reflection/{version}/reflection.proto",
        f"grpc.reflection.{version}",
        {
            "ServerReflectionRequest": [
                ("host", 1, "string", "one"),
                ("file_by_filename", 3, "string", asked),
                ("file_containing_symbol", 4, "string", asked),
                ("file_containing_extension", 5, "ExtensionRequest", asked),
                ("all_extension_numbers_of_type", 6, "string", asked),
                ("list_services", 7, "string", asked),
            ],
            "ExtensionRequest": [
                ("containing_type", 1, "string", "one"),
                ("extension_number", 2, "int32", "one"),
            ],
            "ServerReflectionResponse": [
                ("valid_host", 1, "string", "one"),
                ("original_request", 2, "ServerReflectionRequest", "one"),
                ("file_descriptor_response", 4, "FileDescriptorResponse", answered),
                ("all_extension_numbers_response", 5, "ExtensionNumberResponse", answered),
                ("list_services_response", 6, "ListServiceResponse", answered),
                ("error_response", 7, "ErrorResponse", answered),
            ],
            "FileDescriptorResponse": [("file_descriptor_proto", 1, "bytes", "many")],
            "ExtensionNumberResponse": [
                ("base_type_name", 1, "string", "one"),
                ("extension_number", 2, "int32", "many"),
            ],
            "ListServiceResponse": [("service", 1, "ServiceResponse", "many")],
            "ServiceResponse": [("name", 1, "string", "one")],
            "ErrorResponse": [("error_code", 1, "int32", "one"), ("error_message", 2, "string", "one")],
        },
        {
            "ServerReflection": [
                ("ServerReflectionInfo", "ServerReflectionRequest", "ServerReflectionResponse", True, True)
            ]
        },
    )


class Reflection:
    """See the module."""

    def __init__(self, methods: Iterable[Method], others: Iterable[descriptor_pb2.FileDescriptorProto] = ()):
        """``others``: files of further services (health)."""
        self._methods = tuple(methods)
        self._own = {version: described(version) for version in VERSIONS}
        self._others = tuple(others)

    @cached_property
    def _files(self) -> dict[str, descriptor_pb2.FileDescriptorProto]:
        offered = (*service_files(self._methods), *self._others, *self._own.values())
        return files() | {file.name: file for file in offered}

    @cached_property
    def _pool(self) -> Any:
        pool = descriptor_pool.DescriptorPool()
        for file in self._files.values():
            pool.AddSerializedFile(file.SerializeToString())
        return pool

    @cached_property
    def services(self) -> tuple[str, ...]:
        """Full names of all services, in order (needed at the start, where describing every message
        costs 80 ms of CPU)."""
        described = (*self._others, *self._own.values())
        named = {f"{file.package}.{each.name}" for file in described for each in file.service}
        return tuple(sorted(named | {f"{method.package}.{method.service}" for method in self._methods}))

    def bound(self) -> list[Bound]:
        """The methods, for the transports."""
        return [self._bound(version) for version in VERSIONS]

    def _bound(self, version: str) -> Bound:
        file = self._own[version]
        response = message_class(file, "ServerReflectionResponse")

        async def info(call: Call, request: AsyncIterator[Described]) -> AsyncIterator[Described]:
            told: set[str] = set()
            async for asked in request:
                yield Described(self._answer(asked.message, response, told))

        return Bound(
            Method(
                package=file.package,
                service="ServerReflection",
                name="ServerReflectionInfo",
                request=Described,
                response=Described,
                handler=info,
                client_streaming=True,
                server_streaming=True,
            ),
            decoder(message_class(file, "ServerReflectionRequest")),
            encode,
        )

    def _answer(self, asked: Any, response: Any, told: set[str]) -> Any:
        answer = response(valid_host=asked.host)
        answer.original_request.MergeFromString(asked.SerializeToString())
        kind = asked.WhichOneof("message_request")
        try:
            match kind:
                case "list_services":
                    for name in self.services:
                        answer.list_services_response.service.add(name=name)
                case "file_by_filename":
                    self._tell(answer, self._pool.FindFileByName(asked.file_by_filename), told)
                case "file_containing_symbol":
                    self._tell(
                        answer, self._pool.FindFileContainingSymbol(asked.file_containing_symbol), told
                    )
                case "all_extension_numbers_of_type":
                    name = asked.all_extension_numbers_of_type
                    self._pool.FindMessageTypeByName(name)
                    answer.all_extension_numbers_response.base_type_name = name
                case _:
                    # No message of the API has extensions.
                    raise KeyError(kind)
        except KeyError:
            answer.error_response.error_code = int(Code.NOT_FOUND)
            answer.error_response.error_message = "not found"
        return answer

    def _tell(self, answer: Any, file: Any, told: set[str]) -> None:
        """A file and all that it imports, each once in a stream; the file that was asked for always."""
        waiting, found = [file], {file.name: file}
        while waiting:
            for other in waiting.pop().dependencies:
                if other.name not in told and other.name not in found:
                    found[other.name] = other
                    waiting.append(other)
        told.update(found)
        answer.file_descriptor_response.file_descriptor_proto.extend(
            each.serialized_pb for each in found.values()
        )
