"""A stand-in of the API server's ``exec`` endpoint.

The Pods of the local control plane have no kubelet: nothing can run in them. This speaks the websocket
protocol as the API server does (``v5.channel.k8s.io``: channel byte, greeting of each channel, Status at
the end), and runs real shells of this machine in a pseudo terminal, or what a test says.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import struct
import termios
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from aiohttp import WSMsgType, web

Act = Callable[[web.WebSocketResponse], Awaitable[None]]
SUCCESS = {"metadata": {}, "status": "Success"}


def failure(message: str, *, exit_code: int | None = None) -> dict[str, Any]:
    """The Status of a program that failed, or (without a code) never ran."""
    if exit_code is None:
        return {
            "metadata": {},
            "status": "Failure",
            "reason": "InternalError",
            "message": message,
            "code": 500,
        }
    causes = [{"reason": "ExitCode", "message": str(exit_code)}]
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": message,
        "details": {"causes": causes},
    }


class ExecServer:
    """Attributes:
    acts: command → what it does; other commands do not exist.
    asked: query and headers of each request.
    open: programs that run now; ``changed`` tells of a change.
    typed: all input, by command.
    refuse: a Status to answer with instead of a websocket.
    """

    def __init__(self, acts: Mapping[str, Act] | None = None) -> None:
        self.acts: dict[str, Act] = dict(acts or {"sh": self.shell})
        self.asked: list[tuple[list[tuple[str, str]], dict[str, str]]] = []
        self.open = 0
        self.changed = asyncio.Condition()
        self.typed = b""
        self.refuse: dict[str, Any] | None = None

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that this server knows."""
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(condition)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((list(request.query.items()), dict(request.headers)))
        if self.refuse is not None:
            return web.json_response(self.refuse, status=self.refuse["code"])
        socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io", "v4.channel.k8s.io"))
        await socket.prepare(request)
        await self._count(1)
        try:
            with suppress(ConnectionError):
                await self._run(socket, request.query["command"])
        finally:
            await self._count(-1)
            await socket.close()
        return socket

    async def _run(self, socket: web.WebSocketResponse, command: str) -> None:
        for channel in (1, 2, 3):
            await socket.send_bytes(bytes((channel,)))
        act = self.acts.get(command)
        if act is None:
            await self.end(socket, failure(f'exec: "{command}": executable file not found in $PATH'))
        else:
            await act(socket)

    async def _count(self, step: int) -> None:
        async with self.changed:
            self.open += step
            self.changed.notify_all()

    async def end(self, socket: web.WebSocketResponse, status: Mapping[str, Any]) -> None:
        await socket.send_bytes(b"\x03" + json.dumps(status).encode())

    async def inputs(self, socket: web.WebSocketResponse, take: Callable[[int, bytes], None]) -> None:
        """Every frame, until the connection ends."""
        async for message in socket:
            assert message.type is WSMsgType.BINARY, message
            channel, data = message.data[0], message.data[1:]
            async with self.changed:
                if channel == 0:
                    self.typed += data
                self.changed.notify_all()
            take(channel, data)

    async def shell(self, socket: web.WebSocketResponse) -> None:
        """A real ``sh`` in a real pseudo terminal."""
        ours, theirs = os.openpty()
        process = await asyncio.create_subprocess_exec(
            "sh", stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, env={"PS1": "$ "}
        )
        os.close(theirs)
        loop, output = asyncio.get_running_loop(), asyncio.Queue[bytes]()

        def readable() -> None:
            try:
                data = os.read(ours, 4096)
            except OSError:
                data = b""
            output.put_nowait(data)
            if not data:
                loop.remove_reader(ours)

        def take(channel: int, data: bytes) -> None:
            if channel == 0:
                os.write(ours, data)
            elif channel == 4:
                size = json.loads(data)
                fcntl.ioctl(
                    ours, termios.TIOCSWINSZ, struct.pack("HHHH", size["Height"], size["Width"], 0, 0)
                )

        loop.add_reader(ours, readable)
        reading = asyncio.create_task(self.inputs(socket, take))
        try:
            while data := await output.get():
                await socket.send_bytes(b"\x01" + data)
            code = await process.wait()
            text = f"command terminated with exit code {code}"
            await self.end(socket, failure(text, exit_code=code) if code else SUCCESS)
        finally:
            reading.cancel()
            loop.remove_reader(ours)
            os.close(ours)
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
