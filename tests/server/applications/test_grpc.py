"""Applications over gRPC with somebody else's client: fragments joined in protobuf, failures as codes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio

from tests.server.applications.place import Place
from tests.server.applications.test_reading import never_refreshed
from tests.server.grpc.client import CallFailed, Client
from tiphys.resources.application import Application, ApplicationList
from tiphys.resources.messages.application import ApplicationQuery, ApplicationSyncRequest
from tiphys.resources.messages.trees import ApplicationWatchEvent
from tiphys.resources.wire.codec import decode, encode

pytestmark = pytest.mark.controlplane

SERVICE = "/application.ApplicationService/"


@pytest_asyncio.fixture(loop_scope="session")
async def channel(place: Place) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(place.admin.target) as opened:
        yield opened


def metadata(token: str) -> tuple[tuple[str, str], ...]:
    return (("token", token),)


async def call(channel: grpc.aio.Channel, token: str, method: str, request: Any, answer: type) -> Any:
    caller = channel.unary_unary(
        SERVICE + method, request_serializer=encode, response_deserializer=lambda data: decode(answer, data)
    )
    return await caller(request, metadata=metadata(token))


async def test_list_and_get(place: Place, channel: grpc.aio.Channel) -> None:
    made = [await place.create(metadata={"labels": {"set": "grpc"}}) for _ in range(3)]
    names = sorted(app["metadata"]["name"] for app in made)
    query = ApplicationQuery(selector="set=grpc")
    found: ApplicationList = await call(channel, place.reader.token, "List", query, ApplicationList)
    assert [app.metadata.name for app in found.items] == names
    assert int(found.metadata.resource_version) > 0
    assert found.items[0].spec.source.path == "one"  # type: ignore[union-attr]
    hidden = await call(channel, place.stranger.token, "List", query, ApplicationList)
    assert hidden.items == ()
    got: Application = await call(
        channel, place.reader.token, "Get", ApplicationQuery(name=names[0]), Application
    )
    assert got.metadata.name == names[0]


async def test_a_refresh_ends_with_the_caller_s_patience(place: Place, channel: grpc.aio.Channel) -> None:
    """api.md 8.2. The deadline travels as metadata alone, so that no client ends the call before the server
    does."""
    name = await never_refreshed(place)
    token, patience, text = (
        place.reader.token,
        ("grpc-timeout", "300m"),
        "application refresh deadline exceeded",
    )
    asked = ApplicationQuery(name=name, refresh="normal")
    caller = channel.unary_unary(SERVICE + "Get", request_serializer=encode, response_deserializer=bytes)
    with pytest.raises(grpc.aio.AioRpcError) as native:
        await caller(asked, metadata=(*metadata(token), patience))
    assert (native.value.code(), native.value.details()) == (grpc.StatusCode.UNKNOWN, text)
    query = {"name": name, "refresh": "normal"}
    async with Client(place.admin.target, token=token, web=True, metadata=[patience]) as client:
        with pytest.raises(CallFailed) as caught:
            await client.call("application.ApplicationService/Get", query)
    assert (caught.value.code, caught.value.message) == ("Unknown", text)


async def test_watch(place: Place, channel: grpc.aio.Channel) -> None:
    name = (await place.create())["metadata"]["name"]
    watch = channel.unary_stream(
        SERVICE + "Watch",
        request_serializer=encode,
        response_deserializer=lambda data: decode(ApplicationWatchEvent, data),
    )
    stream = watch(ApplicationQuery(name=name), metadata=metadata(place.reader.token), timeout=20)
    first = await stream.read()
    assert (first.type, first.application.metadata.name) == ("ADDED", name)
    await place.tenant.call("DELETE", f"/api/v1/applications/{name}", params={"cascade": "false"})
    kinds = [first.type]
    while kinds[-1] != "DELETED":
        kinds.append((await stream.read()).type)
    stream.cancel()


async def test_failures(place: Place, channel: grpc.aio.Channel) -> None:
    name = (await place.create())["metadata"]["name"]
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call(channel, place.reader.token, "Sync", ApplicationSyncRequest(name=name), Application)
    assert failure.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert failure.value.details().startswith(f"permission denied: applications, sync, team/{name}")
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call(channel, place.stranger.token, "Get", ApplicationQuery(name=name), Application)
    assert (failure.value.code(), failure.value.details()) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "permission denied",
    )
