"""Clients that begin TLS and do not get on with it, thousands of them.

The server is a process of its own, as each process may have only so many connections.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from tests.server.port.running import GOOD, Fixed, Wire, apart, running, trusting

MANY = 3_000
HANDSHAKE = 6.0
"""Seconds for a handshake in the tests; longer than thousands of connections take to be opened."""

ROOM = 500
BYTES = 128 * 1024
"""Of memory, at most, for each of them."""


def client_hello() -> bytes:
    """What a client says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting().wrap_bio(incoming, outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


HELLO = client_hello()


def resident(pid: int) -> int:
    """Bytes of a process's memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize("said", [1, len(HELLO)], ids=["a byte", "a whole hello"])
async def test_thousands_that_do_not_get_on_with_it(said: int) -> None:
    """A byte more at each look, or nothing more at all. Others are served meanwhile, memory is bounded: the
    oldest go when there are too many, the others when their time is over."""
    async with apart(tls=True, handshake=HANDSHAKE, undecided=ROOM) as (number, pid):
        before = resident(pid)
        wires: list[Wire] = []
        for _ in range(0, MANY, 200):
            opening = (asyncio.open_connection("127.0.0.1", number) for _ in range(200))
            wires += [Wire(*each) for each in await asyncio.gather(*opening)]
            for wire in wires[-200:]:
                wire.writer.write(HELLO[:said])
        reading = [asyncio.ensure_future(wire.rest()) for wire in wires]
        looks = 0
        for at in range(said, len(HELLO) + 60):
            for wire, gone in zip(wires, reading, strict=True):
                if not gone.done():
                    wire.writer.write(HELLO[at : at + 1])
            await served(number)
            looks += 1
            assert resident(pid) - before < ROOM * BYTES
            _, left = await asyncio.wait(reading, timeout=1.0)
            assert len(left) <= ROOM
            if not left:
                break
        assert looks > 1
        answers = {each.result()[:1] for each in reading}
        assert answers <= ({b""} if said == 1 else {b"", b"\x16"})
        await served(number)
        for wire in wires:
            wire.close()


async def served(number: int) -> None:
    """Somebody else gets through."""
    fresh = Wire(*await asyncio.open_connection("127.0.0.1", number, ssl=trusting()))
    assert (await fresh.request(GOOD))[0] == 200
    fresh.close()


async def test_whoever_says_nothing_after_the_handshake_makes_room_too() -> None:
    async with running(Fixed(), undecided=3) as port:
        silent = [await port.open(trusting()) for _ in range(4)]
        assert await silent[0].rest() == b""
        for wire in silent[1:]:
            assert (await wire.request(GOOD))[0] == 200
        await served(port.number)
        for wire in silent[1:]:  # they are known by now, and stay
            assert (await wire.request(GOOD))[0] == 200
            wire.close()


@pytest.mark.parametrize(
    "end", [1, 5, 6, len(HELLO) // 2, len(HELLO)], ids=["byte", "record", "message", "half", "hello"]
)
async def test_a_client_that_stops_in_the_middle_is_dropped(end: int) -> None:
    """Also one that never answers our part of the handshake."""
    async with running(Fixed(), handshake=0.3) as port:
        answer = await port.say(HELLO[:end])
        assert (answer[:1] == b"\x16") is (end == len(HELLO))


async def test_nonsense_is_dropped_at_once() -> None:
    async with running(Fixed(), handshake=600.0) as port:
        assert (await port.say(b"\x16\x03\x01\xff\xff" + b"x" * 100))[:1] in (b"", b"\x15")
        assert (await port.say(b"\x16GET / HTTP/1.1\r\n\r\n"))[:1] in (b"", b"\x15")
