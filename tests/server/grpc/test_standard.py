"""Health and server reflection, as grpcio's own packages would call them (api.md 2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf import descriptor_pb2, descriptor_pool

from tests.server.grpc import client as published
from tests.server.grpc.services import Applications, Sessions, Versions
from tests.server.grpc.serving import serving
from tiphys.server.grpc.described import message_class
from tiphys.server.grpc.health import FILE
from tiphys.server.grpc.reflection import VERSIONS, described

TOKEN = [("token", "secret")]


@pytest_asyncio.fixture
async def channel() -> AsyncIterator[grpc.aio.Channel]:
    async with (
        serving((Versions(), Applications(), Sessions())) as server,
        grpc.aio.insecure_channel(server.target) as made,
    ):
        yield made


async def _check(channel: grpc.aio.Channel, service: str, metadata: Any = TOKEN) -> int:
    call = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=lambda made: made.SerializeToString(),
        response_deserializer=message_class(FILE, "HealthCheckResponse").FromString,
    )
    request = message_class(FILE, "HealthCheckRequest")(service=service)
    answer = await call(request, metadata=metadata)
    return int(answer.status)


async def _reflect(channel: grpc.aio.Channel, version: str, *questions: dict[str, Any]) -> list[Any]:
    file = described(version)
    kind = message_class(file, "ServerReflectionRequest")
    call = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=lambda made: made.SerializeToString(),
        response_deserializer=message_class(file, "ServerReflectionResponse").FromString,
    )(iter([kind(**question) for question in questions]), metadata=TOKEN)
    return [answer async for answer in call]


async def test_health(channel: grpc.aio.Channel) -> None:
    assert await _check(channel, "") == 1
    assert await _check(channel, "version.VersionService") == 1
    with pytest.raises(grpc.aio.AioRpcError, match="unknown service"):
        await _check(channel, "no.Service")


async def test_health_needs_a_login(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="no session information"):
        await _check(channel, "", ())


async def test_health_watch(channel: grpc.aio.Channel) -> None:
    call = channel.unary_stream(
        "/grpc.health.v1.Health/Watch",
        request_serializer=lambda made: made.SerializeToString(),
        response_deserializer=message_class(FILE, "HealthCheckResponse").FromString,
    )(message_class(FILE, "HealthCheckRequest")(service="no.Service"), metadata=TOKEN)
    assert (await call.read()).status == 3
    call.cancel()


@pytest.mark.parametrize("version", VERSIONS)
async def test_reflection_lists_services(channel: grpc.aio.Channel, version: str) -> None:
    (answer,) = await _reflect(channel, version, {"list_services": "*"})
    names = [service.name for service in answer.list_services_response.service]
    assert names == [
        "application.ApplicationService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "session.SessionService",
        "version.VersionService",
    ]


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_reflection_tells_is_enough_to_call(channel: grpc.aio.Channel, version: str) -> None:
    """All files of a service load into an empty pool; its messages have the published numbers."""
    (answer,) = await _reflect(channel, version, {"file_containing_symbol": "application.ApplicationService"})
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(data)
        for data in answer.file_descriptor_response.file_descriptor_proto
    ]
    assert files[0].service[0].name == "ApplicationService"
    waiting = {file.name: file for file in files}
    pool = descriptor_pool.DescriptorPool()

    def add(name: str) -> None:
        file = waiting.pop(name, None)
        if file is not None:
            for other in file.dependency:
                add(other)
            pool.Add(file)

    for name in list(waiting):
        add(name)
    method = pool.FindServiceByName("application.ApplicationService").methods_by_name["PodLogs"]
    described = {field.name: field.number for field in method.input_type.fields}
    wire = published.message_class("application.ApplicationPodLogsQuery").DESCRIPTOR
    assert described == {field.name: field.number for field in wire.fields}


async def test_reflection_tells_each_file_once(channel: grpc.aio.Channel) -> None:
    first, second, unknown, extensions = await _reflect(
        channel,
        "v1",
        {"file_containing_symbol": "application.ApplicationService"},
        {"file_containing_symbol": "application.LogEntry"},
        {"file_by_filename": "nothing.proto"},
        {"file_containing_extension": {"containing_type": "application.LogEntry", "extension_number": 1}},
    )
    assert len(first.file_descriptor_response.file_descriptor_proto) > 1
    assert len(second.file_descriptor_response.file_descriptor_proto) == 1
    assert unknown.error_response.error_code == 5
    assert extensions.error_response.error_code == 5
    assert extensions.original_request.file_containing_extension.extension_number == 1


async def test_reflection_needs_a_login(channel: grpc.aio.Channel) -> None:
    async def silent() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    call = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")(silent())
    assert await call.code() is grpc.StatusCode.UNAUTHENTICATED
