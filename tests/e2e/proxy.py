"""A proxy between an operator and the API server that counts writes and ends the operator at one.

Plain HTTP on loopback, in a thread with an event loop of its own; bodies and watches are streamed.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import signal
import ssl
import threading
from pathlib import Path
from types import TracebackType
from typing import Literal

import aiohttp
import msgspec
from aiohttp import web

from tests.controlplane import ControlPlane

HOP = {"host", "connection", "transfer-encoding", "content-length", "keep-alive", "upgrade"}
UNCOUNTED = re.compile(r"/(events|appprojects|selfsubject\w+|tokenreviews)(/|$)")

Way = Literal["killed before", "killed after", "terminated"]


class Write(msgspec.Struct, frozen=True):
    """A write that the API server carried out (no dry run)."""

    method: str
    path: str
    status: int


class CountingProxy:
    """``url`` leads to the API server of a plane.

    Attributes:
        writes: what was carried out since the list was emptied.
        struck: whether the present life was ended.

    Args:
        pid_file: names the operator's process.
    """

    def __init__(self, plane: ControlPlane, pid_file: Path) -> None:
        config = plane.kubectl.json("config", "view", "--raw", "--minify", "--flatten")
        cluster = config["clusters"][0]["cluster"]
        self._server = cluster["server"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._context = ssl.create_default_context(cadata=authority)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.url = ""
        self.writes: list[Write] = []
        self._pid_file = pid_file
        self.struck = False
        self._way: Way = "killed before"
        self._left = 0

    def __enter__(self) -> CountingProxy:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def aim(self, way: Way, at: int) -> None:
        """End the next life at its write number ``at``; 0: never."""
        self.struck, self._way, self._left = False, way, at

    async def _open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._context),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._forward)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _close(self) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        is_write = request.method not in ("GET", "HEAD") and not UNCOUNTED.search(request.path)
        now = is_write and self._is_the_one()
        if now and self._way == "killed before":
            self._strike(signal.SIGKILL)
            raise ConnectionResetError("the operator is dead")
        if now and self._way == "terminated":
            self._strike(signal.SIGTERM)
        headers = {key: value for key, value in request.headers.items() if key.lower() not in HOP}
        async with self._session.request(
            request.method, self._server + request.raw_path, data=body or None, headers=headers
        ) as answer:
            if is_write and answer.status < 400 and "dryRun" not in request.query:
                self.writes.append(Write(request.method, request.path, answer.status))
            if now and self._way == "killed after":
                self._strike(signal.SIGKILL)
                raise ConnectionResetError("the operator is dead")
            kept = {key: value for key, value in answer.headers.items() if key.lower() not in HOP}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    def _is_the_one(self) -> bool:
        if self._left <= 0 or self.struck:
            return False
        self._left -= 1
        return self._left == 0

    def _strike(self, number: signal.Signals) -> None:
        self.struck = True
        pid = int(self._pid_file.read_text())
        if number is signal.SIGKILL:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
