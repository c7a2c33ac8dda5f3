"""gRPC-web as the published command line speaks it (api.md 5)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from tests.server.grpc.client import CallFailed, Client
from tests.server.grpc.services import MIB, Applications, Sessions, Versions
from tests.server.grpc.serving import serving_web
from tiphys.server.grpc.limits import Limits

GET = "application.ApplicationService/GetManifests"
LOGS = "application.ApplicationService/PodLogs"
VERSION = "version.VersionService/Version"
WEB = {"content-type": "application/grpc-web+proto"}


@pytest_asyncio.fixture
async def versions() -> Versions:
    return Versions()


@pytest_asyncio.fixture
async def applications() -> Applications:
    return Applications()


@pytest_asyncio.fixture
async def target(versions: Versions, applications: Applications) -> AsyncIterator[str]:
    async with serving_web((versions, applications, Sessions()), Limits(max_message=8 * MIB)) as running:
        yield running


@pytest_asyncio.fixture
async def client(target: str) -> AsyncIterator[Client]:
    async with Client(target, token="secret", web=True) as made:
        yield made


async def test_unary(client: Client) -> None:
    assert await client.call(VERSION) == {"Version": "v3.6.0"}
    assert client.headers["content-type"] == "application/grpc-web+proto"
    assert client.trailers == {"grpc-status": "0"}


async def test_root_path(target: str) -> None:
    async with Client(target, token="secret", web=True, root="/argo/cd") as client:
        assert await client.call(GET, {"name": "a"}) == {"revision": "a"}


async def test_request_headers_are_metadata(target: str, versions: Versions) -> None:
    async with Client(target, web=True, metadata=[("Platform", "linux")]) as client:
        assert (await client.call(VERSION))["Platform"] == "linux"
    assert versions.calls[0].transport == "grpc-web"
    assert versions.calls[0].first("token") == ""


async def test_header_metadata_of_the_answer(target: str) -> None:
    async with Client(target, token="old", web=True) as client:
        await client.call(GET, {"name": "a"})
        assert client.headers["renew-token"] == "secret"


@pytest.mark.parametrize(
    ("path", "request_", "code", "text"),
    [
        (GET, {"name": "missing"}, "NotFound", 'applications.argoproj.io "missing" not found: %C3%A4%25%0A'),
        (LOGS, {"name": "refused"}, "PermissionDenied", "permission denied"),
        (
            "account.AccountService/ListAccounts",
            {},
            "Unimplemented",
            "unknown service account.AccountService",
        ),
    ],
)
async def test_an_error_before_any_message_is_in_the_headers(
    client: Client, path: str, request_: dict[str, str], code: str, text: str
) -> None:
    with pytest.raises(CallFailed) as failed:
        async for _ in client.stream(path, request_):
            pass
    assert (failed.value.code, failed.value.message) == (code, text)


async def test_nobody_is_refused(target: str) -> None:
    async with Client(target, web=True) as client:
        with pytest.raises(CallFailed, match="code = Unauthenticated desc = no session information"):
            await client.call(GET, {"name": "a"})
        assert await client.call("session.SessionService/Create", {"password": "x" * 100_000})
        with pytest.raises(CallFailed, match="Unauthenticated"):
            await client.call("session.SessionService/Create", {"password": "x" * MIB})


async def test_stream(client: Client) -> None:
    entries = [entry["podName"] async for entry in client.stream(LOGS, {"name": "a", "tailLines": 3})]
    assert entries == ["0", "1", "2"]
    assert client.trailers == {"grpc-status": "0"}


async def test_an_empty_stream_ends_with_trailers(client: Client) -> None:
    assert [entry async for entry in client.stream(LOGS, {"name": "a"})] == []
    assert client.trailers == {"grpc-status": "0"}


async def test_an_error_after_messages_is_in_the_trailers(client: Client) -> None:
    """Where the published client does not look: it sees the end of the stream."""
    entries = [entry["podName"] async for entry in client.stream(LOGS, {"name": "then-fail", "tailLines": 2})]
    assert entries == ["0", "1"]
    assert client.trailers == {"grpc-status": "5", "grpc-message": "gone"}


async def test_a_client_that_leaves_ends_its_stream(client: Client, applications: Applications) -> None:
    stream = client.stream(LOGS, {"name": "wait", "tailLines": 1})
    assert (await anext(stream))["podName"] == "0"
    await applications.waiting.wait()
    await stream.aclose()  # type: ignore[attr-defined]
    await applications.has_ended("wait")


async def test_large_and_too_large_messages(client: Client) -> None:
    answer = await client.call(GET, {"name": f"size-{8 * MIB - 100}"})
    assert len(answer["manifests"][0]) == 8 * MIB - 100
    with pytest.raises(CallFailed, match="trying to send message larger than max"):
        await client.call(GET, {"name": f"size-{9 * MIB}"})
    with pytest.raises(CallFailed, match="received message larger than max"):
        await client.call(GET, {"name": "x" * 9 * MIB})


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"", "13", "no request message"),
        (b"\0\0\0\0\5abc", "13", "unexpected EOF"),
        (b"\0\0\0", "13", "unexpected EOF"),
        (b"\0\0\0\0\0" * 2, "13", "multiple request messages"),
        (b"\1\0\0\0\0", "13", "compressed flag set"),
        (b"\x80\0\0\0\0", "13", "unexpected payload format"),
        (b"\0\xff\xff\xff\xff", "8", "received message larger than max"),
        (b"\0\0\0\0\3\xff\xff\xff", "13", "error unmarshalling request"),
    ],
)
async def test_bad_bodies(target: str, body: bytes, status: str, text: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://{target}/{VERSION}", data=body, headers=WEB) as answer,
    ):
        assert answer.status == 200
        assert answer.headers["grpc-status"] == status
        assert text in answer.headers["grpc-message"]


async def test_other_verbs_and_bad_timeouts(target: str) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.put(f"http://{target}/{VERSION}", headers=WEB) as answer:
            assert answer.status == 405
        headers = {**WEB, "grpc-timeout": "soon"}
        async with session.post(f"http://{target}/{VERSION}", data=b"\0" * 5, headers=headers) as answer:
            assert answer.status == 400
