"""A stand-in of the kubelet, as far as logs go: the real API server finds it by a Node, checks the request as
always, and asks it over TLS for ``/containerLogs/NAMESPACE/POD/CONTAINER``. The rest of a kubelet is kwok.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from aiohttp import web

from tests.controlplane import ControlPlane
from tiphys.server.port.certificates import generate
from tiphys.server.port.tls import TlsOptions, server_context

BEGIN = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


class Kubelet:
    """See the module.

    Attributes:
        node: name of the Node.
        asked: queries, in order; the container's name is ``container``.
    """

    def __init__(self, node: str):
        self.node = node
        self.asked: list[dict[str, str]] = []
        self._lines: list[str] = []
        self._ended = False
        self._changed = asyncio.Condition()

    async def say(self, *lines: str, end: bool = False) -> None:
        """The container writes lines, a second each; with ``end`` it ends."""
        async with self._changed:
            for line in lines:
                stamp = BEGIN + timedelta(seconds=len(self._lines))
                self._lines.append(f"{stamp:%Y-%m-%dT%H:%M:%S}.000000001Z {line}\n")
            self._ended = end
            self._changed.notify_all()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append({**request.query, "container": request.match_info["container"]})
        response = web.StreamResponse()
        await response.prepare(request)
        tail = int(request.query.get("tailLines", len(self._lines)))
        position = max(0, len(self._lines) - tail)
        while True:
            await response.write("".join(self._lines[position:]).encode())
            position = len(self._lines)
            if request.query.get("follow") != "true" or self._ended:
                return response
            async with self._changed:
                await self._changed.wait_for(lambda: self._ended or len(self._lines) > position)  # noqa: B023


@asynccontextmanager
async def kubelet(plane: ControlPlane, node: str) -> AsyncIterator[Kubelet]:
    """A Node whose Pods have logs."""
    made = Kubelet(node)
    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", made.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    context = server_context(generate("argocd", datetime.now(UTC)), TlsOptions())
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    manifest = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "labels": {"type": "kwok"}}}
    endpoint = {"status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": runner.addresses[0][1]}}}}
    patch = ("patch", "node", node, "--subresource=status", "--type=merge", "-p", json.dumps(endpoint))
    try:
        await asyncio.to_thread(plane.kubectl, "create", "-f", "-", stdin=json.dumps(manifest))
        ready = ("wait", "node", node, "--for=condition=Ready", "--timeout=60s")
        await asyncio.to_thread(plane.kubectl, *ready)
        await asyncio.to_thread(plane.kubectl, *patch)
        yield made
    finally:
        await asyncio.to_thread(plane.kubectl, "delete", "node", node, "--ignore-not-found")
        await runner.cleanup()
