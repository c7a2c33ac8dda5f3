"""What is repeated and what is not, against a real HTTP server that misbehaves as told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from tiphys.kube.connections import Connection
from tiphys.kube.credentials import Credential
from tiphys.kube.errors import ApiError, ClusterUnreachable, TooManyRequests
from tiphys.kube.limits import Limits, TokenBucket
from tiphys.kube.transport import Purpose, RequestSample, Transport

READ = Purpose("get", "things", repeatable=True)
WRITE = Purpose("create", "things")
Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Answers each request by the next behaviour (the last one stays)."""

    def __init__(self) -> None:
        self.script: list[Behaviour] = []
        self.requests: list[web.Request] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        behaviour = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return await behaviour(request)


def status(code: int, **headers: str) -> Behaviour:
    async def answer(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response({"message": f"it is {code}"}, status=code, headers=named)

    return answer


async def reset(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def transport(server: Server) -> AsyncIterator[Transport]:
    made = Transport(Connection(server.url), Limits(attempts=3))
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("script", "purpose", "requests"),
    [
        pytest.param([status(429, Retry_After="0"), status(200)], WRITE, 2, id="429-is-always-repeated"),
        pytest.param([status(503), status(200)], READ, 2, id="503-of-a-read"),
        pytest.param([status(500, Retry_After="0"), status(200)], READ, 2, id="500-with-retry-after"),
        pytest.param([reset, status(200)], READ, 2, id="reset-of-a-read"),
    ],
)
async def test_repeated(
    server: Server, transport: Transport, script: list[Any], purpose: Purpose, requests: int
) -> None:
    server.script = script
    assert (await transport.request("PATCH", "/x", purpose)).status == 200
    assert len(server.requests) == requests


@pytest.mark.parametrize(
    ("script", "purpose", "error"),
    [
        pytest.param([status(503)], WRITE, ApiError, id="503-of-a-write"),
        pytest.param([status(500)], READ, ApiError, id="500-of-a-failing-webhook"),
        pytest.param([status(404)], READ, ApiError, id="404"),
        pytest.param([reset], WRITE, ClusterUnreachable, id="reset-of-a-write"),
    ],
)
async def test_not_repeated(
    server: Server, transport: Transport, script: list[Any], purpose: Purpose, error: type[Exception]
) -> None:
    server.script = script
    with pytest.raises(error):
        await transport.request("PATCH", "/x", purpose)
    assert len(server.requests) == 1


async def test_attempts_are_bounded(server: Server, transport: Transport) -> None:
    server.script = [status(429, Retry_After="0")]
    with pytest.raises(TooManyRequests):
        await transport.request("GET", "/x", READ)
    assert len(server.requests) == 3


async def test_retry_after_is_honoured(server: Server, transport: Transport) -> None:
    server.script = [status(429, Retry_After="1"), status(200)]
    clock = asyncio.get_running_loop().time
    started = clock()
    await transport.request("GET", "/x", READ)
    assert clock() - started >= 1.0


async def test_nobody_listening_is_unreachable_and_not_sent() -> None:
    made = Transport(Connection("http://127.0.0.1:1"), Limits(attempts=2))
    with pytest.raises(ClusterUnreachable) as caught:
        await made.request("POST", "/x", WRITE)
    assert not caught.value.sent
    await made.close()


async def test_refused_credentials_are_asked_for_once_more(server: Server) -> None:
    class Rotating:
        number = 0

        async def current(self) -> Credential:
            return Credential(authorization=f"Bearer {self.number}")

        def forget(self) -> bool:
            self.number += 1
            return True

    made = Transport(Connection(server.url, credentials=Rotating()), Limits())
    server.script = [status(401), status(200)]
    await made.request("GET", "/x", READ)
    assert [each.headers["Authorization"] for each in server.requests] == ["Bearer 0", "Bearer 1"]
    server.script = [status(401)]
    with pytest.raises(ApiError):
        await made.request("GET", "/x", READ)
    assert len(server.requests) == 4
    await made.close()


async def test_every_attempt_is_counted(server: Server) -> None:
    calls: list[tuple[str, str, int, bool]] = []
    samples: list[RequestSample] = []
    made = Transport(
        Connection(server.url),
        Limits(),
        lambda *call: calls.append(call),
        lambda sample: samples.append(sample),
    )
    server.script = [status(429, Retry_After="0"), status(200)]
    await made.request("POST", "/x", Purpose("create", "things", dry_run=True), body=b"12345")
    assert calls == [("create", "things", 429, True), ("create", "things", 200, True)]
    assert [(each.attempt, each.sent_bytes) for each in samples] == [(1, 5), (2, 5)]
    assert samples[1].received_bytes > 0
    await made.close()


async def test_warnings_are_unquoted(server: Server, transport: Transport) -> None:
    server.script = [status(200, Warning='299 - "unknown field \\"spec.x\\""')]
    answer = await transport.request("GET", "/x", READ)
    assert answer.warnings == ('unknown field "spec.x"',)


async def test_bucket_lets_the_burst_through_and_then_the_rate() -> None:
    bucket = TokenBucket(qps=10, burst=3)
    waits = await asyncio.gather(*(bucket.take() for _ in range(5)))
    assert waits[:3] == [0.0, 0.0, 0.0]
    assert 0.0 < waits[3] <= 0.1 < waits[4] <= 0.2
