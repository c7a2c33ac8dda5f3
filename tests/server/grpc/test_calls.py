"""Calls by grpcio, made out of wire.json: unary, streams, metadata, statuses, limits (api.md 2, 4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from tests.server.grpc.client import CallFailed, Client, message, rpcs
from tests.server.grpc.services import MIB, Applications, Sessions, Versions
from tests.server.grpc.serving import Serving, serving
from tiphys.server.api.failures import Code
from tiphys.server.grpc.limits import Limits

GET = "application.ApplicationService/GetManifests"
LOGS = "application.ApplicationService/PodLogs"
FILES = "application.ApplicationService/GetManifestsWithFiles"
QUERY = {"name": "a", "checksum": "0"}
VERSION = "version.VersionService/Version"


@pytest_asyncio.fixture
async def versions() -> Versions:
    return Versions()


@pytest_asyncio.fixture
async def applications() -> Applications:
    return Applications()


@pytest_asyncio.fixture
async def server(versions: Versions, applications: Applications) -> AsyncIterator[Serving]:
    limits = Limits(max_message=8 * MIB)
    async with serving((versions, applications, Sessions()), limits) as running:
        yield running


@pytest_asyncio.fixture
async def client(server: Serving) -> AsyncIterator[Client]:
    async with Client(server.target, token="secret") as made:
        yield made


async def test_unary(client: Client) -> None:
    assert await client.call(VERSION) == {"Version": "v3.6.0"}
    assert await client.call(GET, {"name": "guestbook"}) == {"revision": "guestbook"}


async def test_metadata(versions: Versions, server: Serving) -> None:
    metadata = [("platform", "linux"), ("many", "a"), ("many", "b"), ("blob-bin", b"\0\xff")]
    async with Client(server.target, metadata=metadata) as client:
        assert (await client.call(VERSION))["Platform"] == "linux"
    seen = versions.calls[0].metadata
    assert seen["many"] == ("a", "b")
    assert seen["blob-bin"] == ("\0\xff",)
    assert seen["token"] == ("",)
    assert seen["user-agent"][0].startswith("grpc-python-asyncio/")
    assert versions.calls[0].transport == "grpc"
    assert versions.calls[0].peer.startswith("127.0.0.1:")


async def test_header_metadata_of_the_answer(server: Serving) -> None:
    async with Client(server.target, token="old") as client:
        await client.call(GET, {"name": "a"})
        assert client.headers["renew-token"] == "secret"
        with pytest.raises(CallFailed) as failed:
            await client.call(GET, {"name": "missing"})
        assert failed.value.headers["renew-token"] == "secret"


async def test_status_and_message(client: Client) -> None:
    with pytest.raises(CallFailed) as failed:
        await client.call(GET, {"name": "missing"})
    assert str(failed.value) == (
        'rpc error: code = NotFound desc = applications.argoproj.io "missing" not found: ä%\n'
    )


async def test_an_unforeseen_error_is_internal_and_tells_nothing(client: Client, server: Serving) -> None:
    with pytest.raises(CallFailed) as failed:
        await client.call(GET, {"name": "broken"})
    assert failed.value.code == "Internal"
    assert "hunter2" not in failed.value.message
    assert ("GetManifests", Code.INTERNAL) in server.seen.codes


async def test_nobody_is_refused(server: Serving) -> None:
    async with Client(server.target) as client:
        with pytest.raises(CallFailed, match="code = Unauthenticated desc = no session information"):
            await client.call(GET, {"name": "a"})
        with pytest.raises(CallFailed, match="code = Unauthenticated desc = no session information"):
            await client.call(LOGS, {"name": "a"})


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/version.VersionService/Nothing", "unknown method Nothing for service version.VersionService"),
        ("/no.Service/Get", "unknown service no.Service"),
        ("/nonsense", 'malformed method name: "/nonsense"'),
    ],
)
async def test_unknown_methods(server: Serving, path: str, text: str) -> None:
    async with grpc.aio.insecure_channel(server.target) as channel:
        call = channel.unary_unary(path)(b"")
        assert await call.code() is grpc.StatusCode.UNIMPLEMENTED
        assert await call.details() == text


async def test_bytes_that_are_no_message(server: Serving) -> None:
    async with grpc.aio.insecure_channel(server.target) as channel:
        call = channel.unary_unary(f"/{GET}")(b"\xff\xff\xff", metadata=[("token", "secret")])
        assert await call.code() is grpc.StatusCode.INTERNAL
        assert "grpc: error unmarshalling request" in (await call.details() or "")


async def test_server_stream(client: Client, applications: Applications) -> None:
    entries = [entry async for entry in client.stream(LOGS, {"name": "a", "tailLines": 3})]
    assert [entry["podName"] for entry in entries] == ["0", "1", "2"]
    assert applications.ended == ["a"]


async def test_an_empty_stream(client: Client) -> None:
    assert [entry async for entry in client.stream(LOGS, {"name": "a"})] == []


async def test_a_stream_that_fails_after_answers(client: Client) -> None:
    stream = client.stream(LOGS, {"name": "then-fail", "tailLines": 2})
    assert [(await anext(stream))["podName"] for _ in range(2)] == ["0", "1"]
    with pytest.raises(CallFailed, match="code = NotFound desc = gone"):
        await anext(stream)


async def test_client_stream(client: Client) -> None:
    parts = [
        {"query": QUERY},
        *({"chunk": {"chunk": b"x" * size}} for size in (1, 70_000, 3 * MIB)),
    ]
    assert await client.call(FILES, parts) == {"manifests": ["1", "70000", str(3 * MIB)]}


async def test_a_client_stream_that_is_answered_early(server: Serving) -> None:
    """While the client has more to say (grpcio calls it Internal when its own writing fails first)."""
    kind = rpcs()[FILES].request

    async def parts() -> AsyncIterator[bytes]:
        yield message(kind, {"query": QUERY | {"name": "early"}}).SerializeToString()
        await asyncio.Event().wait()

    async with grpc.aio.insecure_channel(server.target) as channel:
        call = channel.stream_unary(f"/{FILES}")(parts(), metadata=[("token", "secret")])
        assert await call.code() is grpc.StatusCode.NOT_FOUND
        assert await call.details() == "enough"


@pytest.mark.parametrize("size", [0, 1, 65_530, 65_536, 300_000, 8 * MIB - 100])
async def test_large_messages(client: Client, size: int) -> None:
    answer = await client.call(GET, {"name": f"size-{size}"})
    assert len(answer["manifests"][0]) == size
    parts = [{"chunk": {"chunk": b"x" * size}}]
    assert await client.call(FILES, parts) == {"manifests": [str(size)]}


async def test_too_large_messages(client: Client) -> None:  # api.md 2
    with pytest.raises(CallFailed) as failed:
        await client.call(GET, {"name": f"size-{9 * MIB}"})
    assert failed.value.code == "ResourceExhausted"
    assert "trying to send message larger than max" in failed.value.message
    with pytest.raises(CallFailed) as failed:
        await client.call(FILES, [{"chunk": {"chunk": b"x" * 9 * MIB}}])
    assert failed.value.code == "ResourceExhausted"
    assert "received message larger than max" in failed.value.message


async def test_nobody_sends_large_messages(server: Serving) -> None:
    async with Client(server.target) as client:
        answer = await client.call("session.SessionService/Create", {"password": "x" * 100_000})
        assert answer == {"token": "100000"}
        with pytest.raises(CallFailed, match="Unauthenticated"):
            await client.call("session.SessionService/Create", {"password": "x" * MIB})


async def test_deadline(client: Client, applications: Applications) -> None:
    with pytest.raises(CallFailed, match="DeadlineExceeded"):
        await client.call(GET, {"name": "wait"}, seconds=0.2)
    await applications.has_ended("wait")


async def test_cancellation_reaches_the_method(client: Client, applications: Applications) -> None:
    call = asyncio.ensure_future(client.call(GET, {"name": "wait"}))
    await applications.waiting.wait()
    call.cancel()
    await applications.has_ended("wait")

    stream = client.stream(LOGS, {"name": "wait", "tailLines": 1})
    assert (await anext(stream))["podName"] == "0"
    await stream.aclose()  # type: ignore[attr-defined]
    await applications.has_ended("wait", 2)


async def test_gzip_is_not_offered(server: Serving) -> None:
    async with grpc.aio.insecure_channel(server.target, compression=grpc.Compression.Gzip) as channel:
        call = channel.unary_unary(f"/{GET}")(b"\n\x05" + b"a" * 5, metadata=[("token", "secret")])
        assert await call.code() is grpc.StatusCode.UNIMPLEMENTED
        assert await call.details() == 'grpc: Decompressor is not installed for grpc-encoding "gzip"'


async def test_a_thousand_calls_at_once(client: Client) -> None:
    answers = await asyncio.gather(*(client.call(GET, {"name": str(number)}) for number in range(1000)))
    assert [answer["revision"] for answer in answers] == [str(number) for number in range(1000)]
