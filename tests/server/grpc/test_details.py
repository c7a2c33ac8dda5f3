"""Statuses carry no details, as the reference's (api.md 4).

Its last step before the transport makes a new status out of code and message of whatever failed, and a
status without details has no ``grpc-status-details-bin``. Clients in other languages ask for that trailer
(``rpc_status.from_call``, ``status.Details()``) and must find nothing, rather than a status that says less
or something else than ``grpc-status`` and ``grpc-message``.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from tests.server.grpc.client import CODES, CallFailed, Client
from tests.server.grpc.services import MIB, Applications, Sessions, Versions
from tests.server.grpc.serving import serving, serving_web
from tiphys.server.grpc.limits import Limits

GET = "application.ApplicationService/GetManifests"
LOGS = "application.ApplicationService/PodLogs"
TRAILER = "grpc-status-details-bin"


def rich_status(code: str, text: str, metadata: Mapping[str, str]) -> Message | None:
    """What libraries of clients make of the trailer: a ``google.rpc.Status``, or None without it.

    Raises:
        ValueError: it contradicts code or message.
    """
    if TRAILER not in metadata:
        return None
    raw = metadata[TRAILER]
    made = _status_class().FromString(
        base64.b64decode(raw + "===") if raw.isascii() else raw.encode("latin-1")
    )
    if (CODES[made.code], made.message) != (code, text):  # type: ignore[attr-defined]
        raise ValueError("the status of the trailer is another one")
    return made


def _status_class() -> type[Message]:
    proto = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="status.proto", package="google.rpc", syntax="proto3")
    file.dependency.append("google/protobuf/any.proto")
    status = file.message_type.add(name="Status")
    status.field.add(name="code", number=1, type=proto.TYPE_INT32, label=proto.LABEL_OPTIONAL)
    status.field.add(name="message", number=2, type=proto.TYPE_STRING, label=proto.LABEL_OPTIONAL)
    status.field.add(
        name="details",
        number=3,
        type=proto.TYPE_MESSAGE,
        type_name=".google.protobuf.Any",
        label=proto.LABEL_REPEATED,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("google.rpc.Status"))


@pytest_asyncio.fixture(params=[False, True], ids=["grpc", "grpc-web"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    services = (Versions(), Applications(), Sessions())
    limits = Limits(max_message=MIB)
    if request.param:
        async with serving_web(services, limits) as target, Client(target, token="secret", web=True) as made:
            yield made
    else:
        async with serving(services, limits) as server, Client(server.target, token="secret") as made:
            yield made


@pytest.mark.parametrize(
    ("path", "asked", "code"),
    [
        (GET, {"name": "missing"}, "NotFound"),
        (GET, {"name": "conflict"}, "Aborted"),
        (GET, {"name": "broken"}, "Internal"),
        (GET, {"name": f"size-{2 * MIB}"}, "ResourceExhausted"),
        (LOGS, {"name": "refused"}, "PermissionDenied"),
    ],
    ids=["plain", "of Kubernetes, with causes", "unforeseen", "too large", "of a stream"],
)
async def test_no_details(client: Client, path: str, asked: dict[str, str], code: str) -> None:
    with pytest.raises(CallFailed) as failed:
        await client.call(path, asked)
    failure = failed.value
    assert failure.code == code
    assert rich_status(failure.code, failure.message, failure.headers | failure.trailers) is None


async def test_no_details_after_answers(client: Client) -> None:
    """Over gRPC-web the status is in the last frame, which the published client does not read."""
    stream = client.stream(LOGS, {"name": "then-fail", "tailLines": 1})
    assert await anext(stream)
    try:
        await anext(stream, None)
        trailers = client.trailers
    except CallFailed as failure:
        trailers = failure.trailers | {"grpc-status": "5", "grpc-message": failure.message}
    assert trailers == {"grpc-status": "5", "grpc-message": "gone"}
