"""GOAWAY from both sides at bad moments, over plain text and TLS: a call that began before the server said
which was the last one is answered, a later one is refused untouched, and the connection ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from hyperframe.frame import Frame, GoAwayFrame, PingFrame

from tests.server.grpc.attacker import GET, Attacker, attacking, framed, request_headers
from tests.server.grpc.client import message, rpcs
from tests.server.grpc.services import Applications, Versions
from tests.server.grpc.serving import Serving, serving
from tiphys.server.port.certificates import generate

REFUSED = 0x7
EVERY_STREAM = 2**31 - 1


class Place:
    """A server, what it serves, and a client in the middle of a call."""

    def __init__(self, server: Serving, applications: Applications, attacker: Attacker):
        self.server = server
        self.applications = applications
        self.attacker = attacker

    async def call(self, stream: int, name: str) -> None:
        body = framed(message(rpcs()[GET[1:]].request, {"name": name}).SerializeToString())
        await self.attacker.send(
            self.attacker.headers(stream, request_headers(GET)), self.attacker.data(stream, body, end=True)
        )

    async def next(self, kind: type[Frame]) -> Frame:
        """The next frame of this kind."""
        while not isinstance(frame := await self.attacker.read(), kind):
            assert frame is not None, "closed"
        return frame


@pytest_asyncio.fixture(params=[False, True], ids=["plain", "tls"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    pair = generate("argocd", datetime.now(UTC)) if request.param else None
    applications = Applications()
    async with serving((Versions(), applications), tls=pair) as server, attacking(server) as attacker:
        made = Place(server, applications, attacker)
        await made.call(1, "gate")
        await applications.waiting.wait()
        yield made


async def test_a_call_between_the_two_goodbyes_is_answered(place: Place) -> None:
    attacker = place.attacker
    draining = asyncio.create_task(place.server.protocol.drain(60))
    first = await place.next(GoAwayFrame)
    assert first.last_stream_id == EVERY_STREAM  # type: ignore[attr-defined]
    ping = await place.next(PingFrame)
    await place.call(3, "late")
    await attacker.send(PingFrame(0, ping.opaque_data, flags=["ACK"]).serialize())  # type: ignore[attr-defined]
    last = await place.next(GoAwayFrame)
    assert last.last_stream_id == 3  # type: ignore[attr-defined]
    await place.call(5, "too-late")
    await attacker.read_until(lambda: 5 in attacker.resets)
    place.applications.gate.set()
    await attacker.read_until_closed()
    await draining
    assert attacker.resets == {5: REFUSED}
    assert {stream: answer["grpc-status"] for stream, answer in attacker.answers.items()} == {1: "0", 3: "0"}
    assert "too-late" not in place.applications.ended


@pytest.mark.parametrize("client_first", [True, False])
async def test_both_say_goodbye_at_once(place: Place, client_first: bool) -> None:
    if client_first:
        await place.attacker.send(place.attacker.goaway())
    draining = asyncio.create_task(place.server.protocol.drain(60))
    if not client_first:
        await place.next(GoAwayFrame)
        await place.attacker.send(place.attacker.goaway())
    await asyncio.sleep(0)
    place.applications.gate.set()
    await place.attacker.read_until_closed()
    await draining
    assert place.attacker.answers[1]["grpc-status"] == "0"


async def test_a_client_that_says_goodbye_and_resets(place: Place) -> None:
    """The call ends, and with it the connection."""
    await place.attacker.send(place.attacker.goaway(), place.attacker.reset(1))
    await place.attacker.read_until_closed()
    await place.applications.has_ended("gate")
    await place.server.protocol.drain(60)
    assert not place.server.protocol.connections


async def test_many_goodbyes_while_a_call_is_on_the_way(place: Place) -> None:
    for _ in range(3):
        await place.attacker.send(place.attacker.goaway())
    place.applications.gate.set()
    await place.attacker.read_until_closed()
    assert place.attacker.answers[1]["grpc-status"] == "0"


async def test_a_request_that_is_not_complete_when_the_server_ends(place: Place) -> None:
    """It hears Unavailable with the others, so that its client tries elsewhere."""
    await place.attacker.send(place.attacker.headers(3, request_headers(GET)))
    await place.call(5, "a")
    assert (await place.attacker.answer(5))["grpc-status"] == "0"
    draining = asyncio.create_task(place.server.protocol.drain(0.05))
    await place.attacker.read_until_closed()
    await draining
    assert {place.attacker.answers[stream]["grpc-status"] for stream in (1, 3)} == {"14"}
