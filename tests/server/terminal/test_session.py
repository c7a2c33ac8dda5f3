"""A terminal between real websockets: what programs do, and what hostile or unlucky clients do.

The cluster's side is a stand-in that speaks the exec protocol of the API server (see ``standin``): there
is no kubelet here that could run anything.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from tests.server.terminal.standin import SUCCESS, ExecServer, failure
from tiphys.kube.client import ClusterClient
from tiphys.kube.connections import Connection
from tiphys.server.terminal.admission import Standing
from tiphys.server.terminal.browser import MAX_FRAME_BYTES, Browser, Times
from tiphys.server.terminal.remote import program
from tiphys.server.terminal.routes import close
from tiphys.server.terminal.session import Session


class Bench:
    """Both servers, and a client."""

    def __init__(self, client: ClusterClient, execs: ExecServer) -> None:
        self.client = client
        self.execs = execs
        self.url = ""
        self.session: aiohttp.ClientSession
        self.times = Times()
        self.shells: tuple[str, ...] = ("bash", "sh")
        self.standing = Standing.GOOD
        self.tasks: list[asyncio.Task[Any]] = []
        self.codes: asyncio.Queue[int] = asyncio.Queue()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """As ``TerminalRoutes`` does once somebody is admitted."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.append(task)
        socket = web.WebSocketResponse(
            autoping=False, compress=False, max_msg_size=MAX_FRAME_BYTES, timeout=2
        )
        await socket.prepare(request)

        async def standing() -> Standing:
            return self.standing

        session = Session(
            Browser(socket, self.times),
            partial(program, self.client, "place", "pod", "main"),
            standing,
            self.shells,
            self.times,
        )
        code = 1001
        try:
            code = await session.run()
        finally:
            self.codes.put_nowait(code)
            await close(request, socket, code)
        return socket

    @asynccontextmanager
    async def open(self, **options: Any) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        async with self.session.ws_connect(self.url, **options) as socket:
            yield socket

    async def ended(self) -> int:
        """The code that the next terminal to end closes with; its program has ended, too."""
        async with asyncio.timeout(20):
            code = await self.codes.get()
        await self.execs.until(lambda: self.execs.open == 0)
        return code


@asynccontextmanager
async def serving(handler: Any) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    execs = ExecServer()
    async with AsyncExitStack() as closing:
        client = ClusterClient(Connection(await closing.enter_async_context(serving(execs.handle))))
        closing.push_async_callback(client.close)
        made = Bench(client, execs)
        made.url = await closing.enter_async_context(serving(made.handle))
        made.session = await closing.enter_async_context(aiohttp.ClientSession())
        yield made


async def everything(socket: aiohttp.ClientWebSocketResponse) -> str:
    """All output until the end."""
    text = ""
    async for message in socket:
        assert message.type is WSMsgType.TEXT
        text += json.loads(message.data)["data"]
    return text


async def typed(socket: aiohttp.ClientWebSocketResponse, text: str) -> None:
    await socket.send_json({"operation": "stdin", "data": text, "rows": 0, "cols": 0})


def commands(bench: Bench) -> list[str]:
    return [dict(query)["command"] for query, _ in bench.execs.asked]


def says(*pieces: bytes, status: Any = SUCCESS, after: bytes = b"") -> Any:
    """A program that writes (once it was given ``after``, if anything) and ends."""

    async def act(socket: web.WebSocketResponse) -> None:
        given = b""
        while len(given) < len(after):
            message = await socket.receive()
            given += message.data[1:] if message.data[0] == 0 else b""
        for piece in pieces:
            await socket.send_bytes(b"\x01" + piece)
        if status is None:
            await socket.close()
        else:
            await socket.send_bytes(
                b"\x03" + (status if isinstance(status, bytes) else json.dumps(status).encode())
            )

    return act


GONE = "the connection to the cluster broke"


@pytest.mark.parametrize(
    ("acts", "output", "asked"),
    [
        pytest.param({"bash": says(b"hi")}, "hi", ["bash"], id="the-first"),
        pytest.param({"sh": says(b"hi")}, "hi", ["bash", "sh"], id="the-first-that-begins"),
        pytest.param(
            {"bash": says(b"no bash\r\n", status=failure("", exit_code=127)), "sh": says(b"hi")},
            "no bash\r\nhi",
            ["bash", "sh"],
            id="a-runtime-that-says-so-with-a-code",
        ),
        pytest.param(
            {"bash": says(b"bye", status=failure("", exit_code=1)), "sh": says(b"hi")},
            "bye",
            ["bash"],
            id="a-shell-that-ends-badly-is-no-reason-for-another",
        ),
        pytest.param(
            {},
            'Failed to exec container: exec: "sh": executable file not found in $PATH\r\n',
            ["bash", "sh"],
            id="none-begins",
        ),
        pytest.param(
            {"bash": says(b"hi", status=None)}, f"hi\r\n{GONE}\r\n", ["bash"], id="the-cluster-is-gone"
        ),
        pytest.param(
            {"bash": says(b"hi", status=b"{")}, f"hi\r\n{GONE}\r\n", ["bash"], id="an-unreadable-end"
        ),
        pytest.param(
            {
                "bash": says(
                    "gr\u00fc".encode()[:3],
                    "\u00fc\u00df \U0001f40b".encode()[1:6],
                    b"\xf0\x9f",
                    b"\x90\x8b\xff!",
                )
            },
            "gr\u00fc\u00df \ufffd\U0001f40b\ufffd!".replace("\ufffd\U0001f40b", "\ufffd\U0001f40b"),
            ["bash"],
            id="letters-in-pieces",
        ),
    ],
)
async def test_programs(bench: Bench, acts: dict[str, Any], output: str, asked: list[str]) -> None:
    bench.execs.acts = acts
    async with bench.open() as socket:
        assert await everything(socket) == output
        assert socket.close_code == 1000
    assert commands(bench) == asked


async def test_a_shell_that_was_used_began(bench: Bench) -> None:
    """``exit 127`` is not a missing shell."""
    end = says(b"bye", status=failure("", exit_code=127), after=b"exit 127\n")

    async def act(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(b"\x01$ ")
        await end(socket)

    bench.execs.acts = {"bash": act}
    async with bench.open() as socket:
        assert (await socket.receive_json())["data"] == "$ "
        await typed(socket, "exit 127\n")
        assert await everything(socket) == "bye"
    assert commands(bench) == ["bash"]


@pytest.mark.parametrize("delay", [0, 1, 2, 3, 5, 8, 13, 21])
async def test_what_is_typed_before_a_shell_begins(bench: Bench, delay: int) -> None:
    """It may go to a shell that does not exist, and is not lost."""
    bench.execs.acts = {"sh": says(b"got it", after=b"exit\n")}
    async with bench.open() as socket:
        for _ in range(delay):
            await asyncio.sleep(0)
        await typed(socket, "exit\n")
        assert await everything(socket) == "got it"


async def test_the_api_server_refuses(bench: Bench) -> None:
    """Its own words; nobody asks for other shells then."""
    bench.execs.refuse = {
        "kind": "Status",
        "code": 403,
        "reason": "Forbidden",
        "message": "pods is forbidden",
    }
    async with bench.open() as socket:
        assert await everything(socket) == "Failed to exec container: pods is forbidden\r\n"
    assert commands(bench) == ["bash"]


async def test_impersonation(bench: Bench) -> None:
    bench.client = bench.client.impersonating("system:serviceaccount:team:deployer")
    async with bench.open() as socket:
        await typed(socket, "exit\n")
        await everything(socket)
    assert bench.execs.asked[-1][1]["Impersonate-User"] == "system:serviceaccount:team:deployer"


async def test_a_long_paste_arrives_whole(bench: Bench) -> None:
    text = "a line of text\n" * 40_000
    bench.execs.acts = {"bash": says(b"got it", after=text.encode())}
    async with bench.open() as socket:
        await typed(socket, text)
        assert await everything(socket) == "got it"


async def test_a_binary_frame_is_a_frame(bench: Bench) -> None:
    async with bench.open() as socket:
        await socket.send_bytes(b'{"operation":"stdin","data":"exit\\n"}')
        await everything(socket)
        assert socket.close_code == 1000


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        pytest.param("", 1003, id="empty"),
        pytest.param("{", 1003, id="no-json"),
        pytest.param("[]", 1003, id="no-object"),
        pytest.param("{}", 1003, id="no-operation"),
        pytest.param('{"operation":"root"}', 1003, id="unknown"),
        pytest.param('{"operation":"stdout","data":"x"}', 1003, id="not-for-clients"),
        pytest.param('{"operation":"resize","rows":70000,"cols":1}', 1003, id="too-big-a-screen"),
        pytest.param('{"operation":"resize","rows":-1,"cols":1}', 1003, id="negative"),
        pytest.param('{"operation":"stdin","data":7}', 1003, id="wrong-type"),
        pytest.param("[" * 100_000, 1003, id="deep"),
        pytest.param(b"\xff\xfe\x00", 1003, id="binary-garbage"),
        pytest.param(" " * (MAX_FRAME_BYTES + 1), 1009, id="huge"),
        pytest.param(b"\x00" * (MAX_FRAME_BYTES + 1), 1009, id="huge-binary"),
    ],
)
async def test_frames_that_are_none(bench: Bench, frame: str | bytes, code: int) -> None:
    """They end the terminal, as in the reference; the program is asked to end."""
    async with bench.open() as socket:
        if isinstance(frame, str):
            await socket.send_str(frame)
        else:
            await socket.send_bytes(frame)
        with suppress(ConnectionError):
            await everything(socket)
        assert socket.close_code == code
    await bench.ended()


async def test_a_client_that_vanishes(bench: Bench) -> None:
    bench.execs.acts = {"bash": bench.execs.shell}
    async with bench.open() as socket:
        await bench.execs.until(lambda: bench.execs.open == 1)
        await socket.receive()
        assert socket._response.connection is not None
        assert socket._response.connection.transport is not None
        socket._response.connection.transport.abort()
    await bench.ended()
    assert bench.execs.typed.endswith(b"\x04")


async def test_a_server_that_ends(bench: Bench) -> None:
    async with bench.open() as socket:
        await bench.execs.until(lambda: bench.execs.open == 1)
        await socket.receive()
        bench.tasks[0].cancel()
        await everything(socket)
        assert socket.close_code == 1001
    assert await bench.ended() == 1001


async def test_endless_silence(bench: Bench) -> None:
    """A client that does not even answer pings is let go."""
    bench.times = Times(ping=0.05, silence=0.5)
    async with bench.open(autoping=False) as socket:
        kinds = set()
        while (message := await socket.receive()).type is not WSMsgType.CLOSE:
            kinds.add(message.type)
        assert WSMsgType.PING in kinds
    await bench.ended()


async def test_a_quiet_client_that_is_there(bench: Bench) -> None:
    """Answers to pings count as signs of life."""
    bench.times = Times(ping=0.05, silence=0.5)
    async with bench.open(autoping=False) as socket:
        pings = 0
        while pings < 20:
            message = await socket.receive()
            assert message.type in (WSMsgType.PING, WSMsgType.TEXT), message
            if message.type is WSMsgType.PING:
                pings += 1
                await socket.pong(message.data)


async def test_rights_end_for_those_who_only_watch(bench: Bench) -> None:
    bench.times = Times(ping=0.05)
    async with bench.open() as socket:
        await bench.execs.until(lambda: bench.execs.open == 1)
        bench.standing = Standing.DENIED
        assert (await everything(socket)).endswith("Permission denied")
    assert await bench.ended() == 1000


async def test_a_client_that_never_reads(bench: Bench) -> None:
    """What it does not take is not kept: the program waits, and the client is cut off in time."""
    written = 0

    async def endless(socket: web.WebSocketResponse) -> None:
        nonlocal written
        while True:
            await socket.send_bytes(b"\x01" + b"y\r\n" * 10_000)
            written += 30_000

    bench.execs.acts = {"bash": endless}
    bench.times = Times(unread=2.0)
    host, port = bench.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port), limit=1024)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    before = -1
    while not written or written != before:
        before = written
        await asyncio.sleep(0.1)
    assert bench.codes.empty()  # all wait for the client
    assert written < 64 * 1024 * 1024  # what the kernel's buffers of four sockets hold
    assert await bench.ended() == 1001
    writer.close()


async def test_a_program_that_takes_no_input(bench: Bench) -> None:
    over = asyncio.Event()

    async def deaf(_: web.WebSocketResponse) -> None:
        await over.wait()

    bench.execs.acts = {"bash": deaf}
    bench.times = Times(unread=0.5)
    async with bench.open() as socket:

        async def flood() -> None:
            with suppress(ConnectionError):
                while True:
                    await typed(socket, "x" * 500_000)

        flooding = asyncio.create_task(flood())
        async with asyncio.timeout(20):
            assert await bench.codes.get() == 1000
        over.set()  # a server that reads nothing does not notice that its client is gone
        flooding.cancel()
