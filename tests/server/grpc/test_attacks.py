"""Known attacks on HTTP/2 and gRPC servers, over plain text and TLS: each ends in a status or a closed
connection, in bounded memory, and nobody else notices. See ``test_odd_clients`` for clients gone wrong."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import random
import zlib
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
import pytest
from hyperframe.frame import (
    ExtensionFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.server.grpc.attacker import (
    CALM,
    GET,
    LOGS,
    Attacker,
    attacking,
    framed,
    hello,
    request_headers,
    trusting,
    witness,
)
from tests.server.grpc.client import message, rpcs
from tests.server.grpc.services import MIB
from tests.server.grpc.victim import Victim

PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR = 0x1, 0x3, 0x5, 0x6
REFUSED = 0x7


def request(path: str, **fields: object) -> bytes:
    return framed(message(rpcs()[path[1:]].request, fields).SerializeToString())


async def flood(attacker: Attacker, piece: bytes) -> int | None:
    """Send until the server closes; the code of its GOAWAY."""
    reading = asyncio.create_task(attacker.read_until_closed())
    while not reading.done() and await attacker.send(piece):
        pass
    return await reading


async def at_once(
    attack: Callable[[Victim], Coroutine[Any, Any, None]], victims: tuple[Victim, Victim]
) -> None:
    """Attacks that take seconds go at both sides together; memory grows for two."""
    async with asyncio.TaskGroup() as group:
        for server in victims:
            group.create_task(attack(server))


async def test_rapid_reset(server: Victim) -> None:  # CVE-2023-44487
    async with witness(server), attacking(server) as attacker:
        streams = iter(range(1, 2**31, 2))

        def burst() -> bytes:
            made = []
            for _ in range(1000):
                stream = next(streams)
                made.append(attacker.headers(stream, request_headers(), end=False))
                made.append(attacker.reset(stream))
            return b"".join(made)

        reading = asyncio.create_task(attacker.read_until_closed())
        while not reading.done() and await attacker.send(burst()):
            pass
        assert await reading in (CALM, None)


async def test_rapid_reset_of_complete_calls(server: Victim) -> None:
    async with witness(server), attacking(server) as attacker:
        reading = asyncio.create_task(attacker.read_until_closed())
        body = request(GET, name="wait")
        for stream in range(1, 20_000, 2):
            call = attacker.headers(stream, request_headers(GET)) + attacker.data(stream, body, end=True)
            if not await attacker.send(call, attacker.reset(stream)):
                break
        assert await reading in (CALM, None)


async def test_continuation_flood(server: Victim) -> None:  # CVE-2024-27316
    async with witness(server), attacking(server) as attacker:
        await attacker.send(attacker.headers(1, request_headers(), last=False))
        assert await flood(attacker, attacker.continuation(1, b"\0" * 1000)) in (CALM, None)


async def test_empty_continuations(server: Victim) -> None:
    async with witness(server), attacking(server) as attacker:
        await attacker.send(attacker.headers(1, request_headers(), last=False))
        assert await flood(attacker, attacker.continuation(1, b"") * 100) in (CALM, None)


@pytest.mark.parametrize(
    "frame",
    [
        SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: 70_000}),
        SettingsFrame(0),
        PingFrame(0, b"12345678"),
        PingFrame(0, b"12345678", flags=["ACK"]),
        PriorityFrame(1, depends_on=0, stream_weight=3),
        WindowUpdateFrame(0, window_increment=1),
        ExtensionFrame(0xEE, 0, body=b""),
    ],
    ids=["settings", "empty settings", "ping", "ping ack", "priority", "window update", "unknown"],
)
async def test_frame_floods(server: Victim, frame: object) -> None:  # CVE-2019-9512, 9513, 9515
    async with witness(server), attacking(server) as attacker:
        assert await flood(attacker, frame.serialize() * 500) in (CALM, None)  # type: ignore[attr-defined]


async def test_ping_flood_without_reading(server: Victim) -> None:
    """The acknowledgements do not pile up."""
    async with witness(server), attacking(server) as attacker:
        while await attacker.send(PingFrame(0, b"12345678").serialize() * 500):
            pass
        assert await attacker.read_until_closed() in (CALM, None)


@pytest.mark.parametrize("data", [b"", b"x"], ids=["empty", "one byte"])
async def test_floods_of_tiny_data(server: Victim, data: bytes) -> None:  # CVE-2019-9518
    async with witness(server), attacking(server) as attacker:
        await attacker.send(attacker.headers(1, request_headers(GET)), attacker.data(1, b"\0\0\0\xff\xff"))
        assert await flood(attacker, attacker.data(1, data) * 500) in (CALM, None)


async def test_window_stall(victims: tuple[Victim, Victim]) -> None:  # CVE-2019-9511, 9517
    """Large answers are asked for and never taken: one is held, the others wait unmade, all are given up."""

    async def attack(server: Victim) -> None:
        async with witness(server, growth=128), attacking(server, settings=hello(window=0)) as attacker:
            streams = range(1, 181, 2)
            for stream in streams:
                body = request(GET, name=f"size-{20 * MIB}")
                await attacker.send(
                    attacker.headers(stream, request_headers(GET)), attacker.data(stream, body, end=True)
                )
            await attacker.read_until(lambda: len(attacker.resets) == len(streams))
            assert set(attacker.resets.values()) == {CALM}

    await at_once(attack, victims)


async def test_a_window_that_opens_a_little(victims: tuple[Victim, Victim]) -> None:
    """The first answer begins and stays; the others are not even encoded."""

    async def attack(server: Victim) -> None:
        async with witness(server, growth=128), attacking(server, settings=hello(window=1000)) as attacker:
            streams = range(1, 181, 2)
            body = request(GET, name=f"size-{20 * MIB}")
            for stream in streams:
                await attacker.send(
                    attacker.headers(stream, request_headers(GET)), attacker.data(stream, body, end=True)
                )
            await attacker.read_until(lambda: len(attacker.resets) == len(streams))

    await at_once(attack, victims)


async def test_a_client_that_never_reads(victims: tuple[Victim, Victim]) -> None:
    """A stream without end, all windows open, and nobody reads the socket."""

    async def attack(server: Victim) -> None:
        window = hello(window=2**31 - 1)
        async with witness(server), attacking(server, settings=window) as attacker:
            await attacker.send(
                WindowUpdateFrame(0, window_increment=2**30).serialize(),
                attacker.headers(1, request_headers(LOGS)),
                attacker.data(1, request(LOGS, name="a", tailLines=10**9, sinceSeconds=100_000), end=True),
            )
            # Gives up after its time; all that was on the way is less than the socket's buffers hold.
            while not attacker.reader.at_eof():
                attacker.writer.transport.pause_reading()  # type: ignore[attr-defined]
                await asyncio.sleep(0.1)
                if attacker.writer.transport.is_closing():
                    break
                if not await attacker.send(PingFrame(0, b"12345678").serialize()):
                    break

    await at_once(attack, victims)


async def test_header_bomb(server: Victim) -> None:  # HPACK: a large entry, named again and again
    async with witness(server), attacking(server) as attacker:
        attacker.encoder.encode([("x-bomb", "x" * 4000)])
        first = attacker.headers(1, [*request_headers(), ("x-bomb", "y" * 3900)])
        bomb = attacker.headers(3, [*request_headers(), *[("x-bomb", "y" * 3900)] * 10_000])
        assert len(bomb) < 16_000
        await attacker.send(first, bomb)
        assert await attacker.read_until_closed() in (CALM, PROTOCOL_ERROR, 0x9)


async def test_oversized_headers(server: Victim) -> None:
    async with witness(server), attacking(server) as attacker:
        block = attacker.encoder.encode([*request_headers(), ("x", "\t" * 200_000)], huffman=False)
        frames = [block[at : at + 16_000] for at in range(0, len(block), 16_000)]
        first = HeadersFrame(1, frames[0]).serialize()
        await attacker.send(first, *(attacker.continuation(1, frame) for frame in frames[1:]))
        assert await attacker.read_until_closed() in (CALM, None)


async def test_headers_of_many_groups_are_fine(server: Victim) -> None:
    """Tokens of people in many groups are large."""
    async with attacking(server) as attacker:
        block = attacker.encoder.encode(
            [*request_headers(), ("authorization", "Bearer " + "Ab_9" * 8000)], huffman=False
        )
        frames = [block[at : at + 16_000] for at in range(0, len(block), 16_000)]
        last = attacker.continuation(1, frames[-1])
        pieces = [attacker.continuation(1, frame) for frame in frames[1:-1]]
        ended = last[:4] + b"\x04" + last[5:]
        await attacker.send(HeadersFrame(1, frames[0]).serialize(), *pieces, ended)
        await attacker.send(attacker.data(1, framed(b""), end=True))
        assert (await attacker.answer(1))["grpc-status"] == "0"


@pytest.mark.parametrize(
    ("data", "codes"),
    [
        (b"\xff" * 100, {FRAME_SIZE_ERROR}),
        (b"\x00\x40\x01\x00\x00\x00\x00\x00\x01", {FRAME_SIZE_ERROR}),
        (b"\x00\x00\x01\x00\x00\x00\x00\x00\x00x", {PROTOCOL_ERROR}),
        (b"\x00\x00\x01\x00\x00\x00\x00\x00\x05x", {PROTOCOL_ERROR, STREAM_CLOSED}),
        (b"\x00\x00\x00\x01\x05\x00\x00\x00\x02", {PROTOCOL_ERROR}),
        (b"\x00\x00\x03\x01\x05\x00\x00\x00\x01\xff\xff\xff", {0x9, PROTOCOL_ERROR}),
        (b"\x00\x00\x03\x03\x00\x00\x00\x00\x01abc", {FRAME_SIZE_ERROR, PROTOCOL_ERROR}),
        (b"\x00\x00\x05\x04\x00\x00\x00\x00\x00abcde", {FRAME_SIZE_ERROR, PROTOCOL_ERROR}),
        (b"\x00\x00\x03\x06\x00\x00\x00\x00\x00abc", {FRAME_SIZE_ERROR, PROTOCOL_ERROR}),
        (b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00", {PROTOCOL_ERROR}),
        (b"\x00\x00\x04\x05\x04\x00\x00\x00\x01\x00\x00\x00\x02", {PROTOCOL_ERROR}),
        (b"\x00\x00\x00\x09\x04\x00\x00\x00\x01", {PROTOCOL_ERROR}),
        (WindowUpdateFrame(0, window_increment=2**31 - 1).serialize() * 2, {FLOW_CONTROL_ERROR}),
    ],
    ids=[
        "noise",
        "too long",
        "data on stream 0",
        "data on an idle stream",
        "even stream",
        "broken header block",
        "short reset",
        "odd settings",
        "short ping",
        "empty window update",
        "push promise",
        "continuation of nothing",
        "window overflow",
    ],
)
async def test_malformed_frames(server: Victim, data: bytes, codes: set[int]) -> None:
    async with witness(server), attacking(server) as attacker:
        await attacker.send(data)
        assert await attacker.read_until_closed() in codes


async def test_noise(server: Victim) -> None:
    """Random frames with a fixed seed: whatever happens, connections end or answer, and others are served."""
    chance = random.Random(7)
    async with witness(server):
        for _ in range(150):
            async with attacking(server) as attacker:
                pieces = []
                for _ in range(chance.randrange(1, 12)):
                    body = chance.randbytes(chance.choice((0, 1, 4, 5, 6, 8, 9, 40)))
                    kind, flags = chance.randrange(12), chance.choice((0, 1, 4, 5, 8, 0x20, 255))
                    stream = chance.choice((0, 1, 1, 2, 3, 2**31 - 1))
                    head = len(body).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")
                    pieces.append(head + body)
                await attacker.send(*pieces)
                attacker.half_close()
                await attacker.read_until_closed()


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"", "13", "received no request message"),
        (b"\0\0", "13", "unexpected EOF"),
        (b"\0\0\0\0\x09abc", "13", "unexpected EOF"),
        (b"\0\xff\xff\xff\xff", "8", "received message larger than max (4294967295 vs."),
        (framed(b"") * 2, "13", "received multiple request messages"),
        (framed(b"x", 1), "13", "compressed flag set with identity or empty encoding"),
        (framed(b"x", 7), "13", "received unexpected payload format 7"),
    ],
    ids=["none", "cut prefix", "short", "4 GiB", "two", "compressed", "unknown flag"],
)
async def test_wrong_lengths_and_flags(server: Victim, body: bytes, status: str, text: str) -> None:
    async with attacking(server) as attacker:
        await attacker.send(attacker.headers(1, request_headers()), attacker.data(1, body, end=True))
        answer = await attacker.answer(1)
        assert answer["grpc-status"] == status
        assert text in answer["grpc-message"]


def bomb(size: int) -> bytes:
    """Zeros, packed twice: 1 KB that would become 16 MiB, and that 16 GiB."""
    return gzip.compress(gzip.compress(bytes(size)))


BOMB = bomb(16 * MIB)


async def test_compressed_bomb(server: Victim) -> None:
    """Nothing is ever decompressed."""
    async with witness(server, growth=16), attacking(server) as attacker:
        headers = attacker.headers(1, request_headers(GET, grpc_encoding="gzip"))
        await attacker.send(headers, attacker.data(1, framed(BOMB, 1), end=True))
        answer = await attacker.answer(1)
        assert answer["grpc-status"] == "12"
        assert answer["grpc-accept-encoding"] == "identity"
        assert answer["grpc-message"] == 'grpc: Decompressor is not installed for grpc-encoding "gzip"'


@pytest.mark.parametrize(
    ("headers", "flag", "status", "text"),
    [
        ({"grpc-encoding": "gzip"}, 1, "12", "Decompressor is not installed for grpc-encoding"),
        ({}, 1, "13", "compressed flag set with identity or empty encoding"),
        ({"content-encoding": "gzip"}, None, "13", "unexpected payload format"),
        ({"content-encoding": "deflate"}, None, "13", "unexpected payload format"),
    ],
    ids=["gRPC's encoding", "flag alone", "HTTP's gzip", "HTTP's deflate"],
)
async def test_compressed_bomb_over_grpc_web(
    server: Victim, headers: dict[str, str], flag: int | None, status: str, text: str
) -> None:
    """Neither what gRPC nor what HTTP calls compressed: a body is taken as it is."""
    packed = {"gzip": BOMB, "deflate": zlib.compress(bytes(16 * MIB))}
    body = framed(BOMB, flag) if flag is not None else packed[headers["content-encoding"]]
    context = trusting(server.certificate, "http/1.1") if server.certificate else None
    scheme = "https" if context else "http"
    async with (
        witness(server, growth=16),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context or True)) as session,
        session.post(
            f"{scheme}://{server.target}{GET}",
            data=body,
            headers=headers | {"content-type": "application/grpc-web+proto", "token": "secret"},
        ) as answer,
    ):
        assert answer.headers["grpc-status"] == status
        assert text in answer.headers["grpc-message"]


async def test_ten_thousand_streams(server: Victim) -> None:
    """Those too many are refused, so that a client may try elsewhere; then the connection ends."""
    async with witness(server), attacking(server) as attacker:
        reading = asyncio.create_task(attacker.read_until_closed())
        streams = itertools.count(1, 2)
        while not reading.done() and await attacker.send(
            attacker.headers(next(streams), request_headers(GET))
        ):
            pass
        assert await reading in (CALM, PROTOCOL_ERROR, None)
        assert len(attacker.resets) < 10_000
        assert set(attacker.resets.values()) <= {REFUSED}


async def test_a_stream_too_many_is_refused_and_the_others_live(server: Victim) -> None:
    async with attacking(server) as attacker:
        for stream in range(1, 203, 2):
            await attacker.send(attacker.headers(stream, request_headers()))
        await attacker.read_until(lambda: attacker.resets)
        assert attacker.resets == {201: REFUSED}
        await attacker.send(attacker.data(1, framed(b""), end=True))
        assert (await attacker.answer(1))["grpc-status"] == "0"


async def test_many_unfinished_requests(victims: tuple[Victim, Victim]) -> None:
    """100 streams of each of 30 connections hold 60 KiB of a message that never ends: 180 MB."""

    async def attack(server: Victim) -> None:
        async with witness(server, growth=150):

            async def hold() -> None:
                async with attacking(server) as attacker:
                    reading = asyncio.create_task(attacker.read_until_closed())
                    piece = b"\0\0\3\0\0" + b"x" * 15_000
                    for stream in range(1, 200, 2):
                        headers = attacker.headers(
                            stream, request_headers("/session.SessionService/Create", token="")
                        )
                        if not await attacker.send(headers, attacker.data(stream, piece)):
                            break
                        for _ in range(3):
                            await attacker.send(attacker.data(stream, b"x" * 15_000))
                    # After their time all are given up; the connection may stay.
                    while not reading.done() and len(attacker.answers) < 100:
                        await asyncio.wait({reading}, timeout=0.1)
                    reading.cancel()

            async with asyncio.TaskGroup() as group:
                for _ in range(30):
                    group.create_task(hold())

    await at_once(attack, victims)
