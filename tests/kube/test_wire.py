"""The pool of connections, against servers that misbehave as told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from tiphys.kube.connections import Connection
from tiphys.kube.limits import Limits
from tiphys.kube.transport import Purpose, Transport
from tiphys.kube.wire import Broken, NotConnected, Wire

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Counts connections and keeps the heads of requests."""

    def __init__(self, peer: Peer | None = None) -> None:
        self.connections = 0
        self.open = 0
        self.most = 0
        self.requests: list[bytes] = []
        self.peer = peer or self.answer_all
        self.go = asyncio.Event()
        self.go.set()
        self.url = ""
        self._news = asyncio.Condition()

    async def until(self, come: Callable[[], bool]) -> None:
        """Wait until a request or the end of a connection makes it so."""
        async with self._news:
            await self._news.wait_for(come)

    async def told(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            await self.told()
            await self.go.wait()
            writer.write(OK)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            await self.peer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()
            await self.told()


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[Server]:
    listening = await asyncio.start_server(server.accept, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()


def wire(
    server: Server, *, limit: int = 2, silence: float = 60.0, idle: float = 60.0, prefix: str = ""
) -> Wire:
    return Wire(
        server.url + prefix, limit=limit, connect_seconds=5.0, silence_seconds=silence, idle_seconds=idle
    )


async def get(made: Wire, target: str = "/x") -> bytes:
    return (await made.request("GET", target, {"Accept": "*/*"}, None, None)).body


async def test_one_connection_serves_one_request_after_the_other() -> None:
    async with serving(Server()) as server:
        made = wire(server, prefix="/k8s/clusters/c1")
        assert [await get(made), await get(made)] == [b"ok", b"ok"]
        assert server.connections == 1
        host = server.url.removeprefix("http://").encode()
        assert server.requests[0] == (
            b"GET /k8s/clusters/c1/x HTTP/1.1\r\nHost: " + host + b"\r\nAccept: */*\r\n\r\n"
        )
        made.close()


async def test_beyond_the_limit_requests_wait_in_order() -> None:
    async with serving(Server()) as server:
        server.go.clear()
        made = wire(server, limit=2)
        order: list[int] = []

        async def ask(number: int) -> None:
            await get(made, f"/{number}")
            order.append(number)

        async with asyncio.TaskGroup() as tasks:
            for number in range(6):
                tasks.create_task(ask(number))
            await server.until(lambda: len(server.requests) == 2)
            server.go.set()
        assert (server.most, sorted(order)) == (2, list(range(6)))
        assert [request.split(b" ")[1] for request in server.requests[2:]] == [b"/2", b"/3", b"/4", b"/5"]
        made.close()


async def test_a_cancelled_request_leaves_its_answer_to_nobody() -> None:
    async with serving(Server()) as server:
        server.go.clear()
        made = wire(server, limit=1)
        first = asyncio.create_task(get(made, "/first"))
        await server.until(lambda: bool(server.requests))
        second, third = asyncio.create_task(get(made, "/second")), asyncio.create_task(get(made, "/third"))
        await asyncio.sleep(0)
        second.cancel()  # one that waits for its turn
        first.cancel()  # one that waits for its answer
        server.go.set()
        assert await third == b"ok"
        assert (server.connections, len(server.requests)) == (2, 2)
        made.close()


async def test_a_connection_that_the_server_closed_is_not_used() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)

    async with serving(Server(once)) as server:
        made = wire(server)
        await get(made)
        await server.until(lambda: not server.open)
        await asyncio.sleep(0.01)
        assert await get(made) == b"ok"
        assert server.connections == 2
        made.close()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        pytest.param(b"", "the server closed the connection", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "the server closed", id="half"),
        pytest.param(b"what?\r\n\r\n", "no HTTP answer", id="no-http"),
    ],
)
async def test_no_answer_says_why(said: bytes, why: str) -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)

    async with serving(Server(peer)) as server:
        made = wire(server)
        with pytest.raises(Broken, match=why):
            await get(made)
        made.close()


async def test_silence_and_idleness_end() -> None:
    async with serving(Server()) as server:
        made = wire(server, silence=0.05, idle=0.05)
        await get(made)
        await server.until(lambda: not server.open)  # the idle connection goes by itself
        server.go.clear()
        with pytest.raises(TimeoutError):
            await get(made)
        made.close()


async def test_nobody_listens_and_nobody_is_left() -> None:
    async with serving(Server()) as server:
        server.go.clear()
        made = wire(server, limit=1)
        one, other = asyncio.create_task(get(made)), asyncio.create_task(get(made))
        await server.until(lambda: bool(server.requests))
        made.close()
        with pytest.raises(Broken):
            await one
        with pytest.raises(NotConnected):
            await other
    with pytest.raises(NotConnected):
        await get(Wire(server.url, limit=1, connect_seconds=5, silence_seconds=5, idle_seconds=5))


async def test_a_connection_that_stands_after_the_end_serves_nobody() -> None:
    async with serving(Server()) as server:
        made = wire(server)
        request = asyncio.create_task(get(made))
        await asyncio.sleep(0)  # it connects
        made.close()
        with pytest.raises(NotConnected):
            await request
        await server.until(lambda: not server.open)
        assert not server.requests


async def test_a_header_cannot_hold_another() -> None:
    made = Wire("http://127.0.0.1:1", limit=1, connect_seconds=5, silence_seconds=5, idle_seconds=5)
    with pytest.raises(ValueError, match="line break"):
        await made.request("GET", "/x", {"Impersonate-User": "a\r\nImpersonate-Group: b"}, None, None)


async def test_a_redirect_is_followed_the_long_way() -> None:
    async def there(_: web.Request) -> web.Response:
        return web.json_response({"found": True}, headers={"Warning": '299 - "say \\"hi\\""', "ETag": '"1"'})

    async def moved(_: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("/there")

    app = web.Application()
    app.router.add_get("/there", there)
    app.router.add_get("/x", moved)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    transport = Transport(Connection(f"http://127.0.0.1:{runner.addresses[0][1]}"), Limits())
    answer = await transport.request("GET", "/x", Purpose("get"))
    assert (answer.body, answer.warnings, answer.etag) == (b'{"found": true}', ('say "hi"',), '"1"')
    assert answer.content_type.startswith("application/json")
    await transport.close()
    await runner.cleanup()
