"""The end of the server, and of connections: calls on the way finish, clients learn that they may try
elsewhere."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from tests.server.grpc.client import CallFailed, Client
from tests.server.grpc.services import Applications, Versions
from tests.server.grpc.serving import serving

LOGS = "application.ApplicationService/PodLogs"
GET = "application.ApplicationService/GetManifests"


async def test_calls_on_the_way_finish() -> None:
    applications = Applications()
    async with serving((applications,)) as server, Client(server.target, token="secret") as client:
        call = asyncio.create_task(client.call(GET, {"name": "gate"}))
        await applications.waiting.wait()
        draining = asyncio.create_task(server.protocol.drain(30))
        await asyncio.sleep(0)
        applications.gate.set()
        assert await call == {"revision": "gate"}
        await draining
        assert not server.protocol.connections


async def test_idle_connections_are_closed_at_once() -> None:
    async with serving((Versions(),)) as server, Client(server.target) as client:
        await client.call("version.VersionService/Version")
        async with asyncio.timeout(10):
            await server.protocol.drain(30)
        assert not server.protocol.connections


async def test_streams_without_end_become_unavailable() -> None:
    applications = Applications()
    async with serving((applications,)) as server, Client(server.target, token="secret") as client:
        stream = client.stream(LOGS, {"name": "wait", "tailLines": 1})
        await anext(stream)
        await applications.waiting.wait()
        draining = asyncio.create_task(server.protocol.drain(0.05))
        with pytest.raises(CallFailed, match="code = Unavailable"):
            await anext(stream)
        await draining
        assert applications.ended == ["wait"]
        assert not server.protocol.tasks


async def test_a_client_that_is_gone_ends_its_calls() -> None:
    applications = Applications()
    async with serving((applications,)) as server:
        channel = grpc.aio.insecure_channel(server.target)
        call = channel.unary_unary(f"/{GET}")(b"\n\4wait", metadata=[("token", "secret")])
        await applications.waiting.wait()
        await channel.close()
        await applications.has_ended("wait")
        assert call.done()
        await server.protocol.drain(10)
        assert not server.protocol.tasks
