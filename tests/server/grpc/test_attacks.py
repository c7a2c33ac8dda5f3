"""Known attacks on HTTP/2 and gRPC servers, and clients gone wrong: each ends in a status or a closed
connection, in bounded memory, and nobody else notices."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
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
    PREFACE,
    Attacker,
    attacking,
    framed,
    hello,
    request_headers,
    witness,
)
from tests.server.grpc.client import message, rpcs
from tests.server.grpc.services import MIB
from tests.server.grpc.victim import Victim, victim

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR = 0x1, 0x3, 0x5, 0x6
REFUSED = 0x7


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Victim]:
    async with victim() as running:
        yield running


def request(path: str, **fields: object) -> bytes:
    return framed(message(rpcs()[path[1:]].request, fields).SerializeToString())


async def flood(attacker: Attacker, piece: bytes, times: int) -> int | None:
    """Send until the server closes; the code of its GOAWAY."""
    reading = asyncio.create_task(attacker.read_until_closed())
    for _ in range(times):
        if not await attacker.send(piece):
            break
    return await reading


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
        for _ in range(100):
            if not await attacker.send(burst()):
                break
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
        assert await flood(attacker, attacker.continuation(1, b"\0" * 1000), 10_000) in (CALM, None)


async def test_empty_continuations(server: Victim) -> None:
    async with witness(server), attacking(server) as attacker:
        await attacker.send(attacker.headers(1, request_headers(), last=False))
        assert await flood(attacker, attacker.continuation(1, b"") * 100, 1000) in (CALM, None)


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
        assert await flood(attacker, frame.serialize() * 500, 1000) in (CALM, None)  # type: ignore[attr-defined]


async def test_ping_flood_without_reading(server: Victim) -> None:
    """The acknowledgements do not pile up."""
    async with witness(server), attacking(server) as attacker:
        for _ in range(1000):
            if not await attacker.send(PingFrame(0, b"12345678").serialize() * 500):
                break
        assert await attacker.read_until_closed() in (CALM, None)


@pytest.mark.parametrize("data", [b"", b"x"], ids=["empty", "one byte"])
async def test_floods_of_tiny_data(server: Victim, data: bytes) -> None:  # CVE-2019-9518
    async with witness(server), attacking(server) as attacker:
        await attacker.send(attacker.headers(1, request_headers(GET)), attacker.data(1, b"\0\0\0\xff\xff"))
        assert await flood(attacker, attacker.data(1, data) * 500, 1000) in (CALM, None)


async def test_window_stall(server: Victim) -> None:  # CVE-2019-9511, 9517
    """Large answers are asked for and never taken: one is held, the others wait unmade, all are given up."""
    async with witness(server), attacking(server, settings=hello(window=0)) as attacker:
        streams = range(1, 181, 2)
        for stream in streams:
            body = request(GET, name=f"size-{20 * MIB}")
            await attacker.send(
                attacker.headers(stream, request_headers(GET)), attacker.data(stream, body, end=True)
            )
        await attacker.read_until(lambda: len(attacker.resets) == len(streams))
        assert set(attacker.resets.values()) == {CALM}


async def test_a_window_that_opens_a_little(server: Victim) -> None:
    """The first answer begins and stays; the others are not even encoded."""
    async with witness(server), attacking(server, settings=hello(window=1000)) as attacker:
        streams = range(1, 181, 2)
        body = request(GET, name=f"size-{20 * MIB}")
        for stream in streams:
            await attacker.send(
                attacker.headers(stream, request_headers(GET)), attacker.data(stream, body, end=True)
            )
        await attacker.read_until(lambda: len(attacker.resets) == len(streams))


async def test_a_client_that_never_reads(server: Victim) -> None:
    """A stream without end, all windows open, and nobody reads the socket."""
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
                attacker.writer.write_eof()
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


async def test_compressed_bomb(server: Victim) -> None:
    """Nothing is ever decompressed."""
    async with witness(server, growth=16), attacking(server) as attacker:
        await attacker.send(attacker.headers(1, request_headers(grpc_encoding="gzip")))
        answer = await attacker.answer(1)
        assert answer["grpc-status"] == "12"
        assert answer["grpc-accept-encoding"] == "identity"
        assert answer["grpc-message"] == 'grpc: Decompressor is not installed for grpc-encoding "gzip"'


async def test_ten_thousand_streams(server: Victim) -> None:
    """Those too many are refused, so that a client may try elsewhere; then the connection ends."""
    async with witness(server), attacking(server) as attacker:
        reading = asyncio.create_task(attacker.read_until_closed())
        for stream in range(1, 20_001, 2):
            if not await attacker.send(attacker.headers(stream, request_headers(GET))):
                break
        assert await reading in (CALM, PROTOCOL_ERROR, None)
        assert set(attacker.resets.values()) <= {REFUSED}


async def test_a_stream_too_many_is_refused_and_the_others_live(server: Victim) -> None:
    async with attacking(server) as attacker:
        for stream in range(1, 203, 2):
            await attacker.send(attacker.headers(stream, request_headers()))
        await attacker.read_until(lambda: attacker.resets)
        assert attacker.resets == {201: REFUSED}
        await attacker.send(attacker.data(1, framed(b""), end=True))
        assert (await attacker.answer(1))["grpc-status"] == "0"


async def test_many_unfinished_requests(server: Victim) -> None:
    """100 streams of each of 30 connections hold 60 KiB of a message that never ends: 180 MB."""
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


async def test_half_closed_connections(server: Victim) -> None:
    """Without a writing side there is no HTTP/2: the server closes, and ends the calls."""
    async with witness(server):
        for _ in range(50):
            async with attacking(server) as attacker:
                body = request(GET, name="wait")
                await attacker.send(
                    attacker.headers(1, request_headers(GET)), attacker.data(1, body, end=True)
                )
                attacker.writer.write_eof()
                await attacker.read_until_closed()


async def test_goaway_of_a_client_lets_its_calls_finish(server: Victim) -> None:
    async with attacking(server) as attacker:
        await attacker.send(
            attacker.headers(1, request_headers()),
            attacker.goaway(),
            attacker.data(1, framed(b""), end=True),
        )
        assert (await attacker.answer(1))["grpc-status"] == "0"
        assert await attacker.read_until_closed() is None


async def test_requests_after_a_goaway_are_refused(server: Victim) -> None:
    async with attacking(server) as attacker:
        await attacker.send(
            attacker.headers(1, request_headers()),
            attacker.goaway(),
            attacker.headers(3, request_headers()),
            attacker.data(1, framed(b""), end=True),
        )
        assert (await attacker.answer(1))["grpc-status"] == "0"
        await attacker.read_until_closed()
        assert attacker.answers.keys() | attacker.resets.keys() <= {1, 3}


async def test_a_request_that_never_comes_is_given_up(server: Victim) -> None:
    async with attacking(server) as attacker:
        await attacker.send(attacker.headers(1, request_headers()))
        answer = await attacker.answer(1)
        assert (answer["grpc-status"], answer["grpc-message"]) == ("4", "the request did not arrive in time")


async def test_a_connection_that_asks_nothing_is_given_up(server: Victim) -> None:
    async with attacking(server) as attacker:
        assert await attacker.read_until_closed() == 0


@pytest.mark.parametrize("cut", range(1, len(PREFACE), 5))
async def test_a_preface_in_pieces(server: Victim, cut: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    attacker = Attacker(reader, writer)
    writer.write(PREFACE[:cut])
    await asyncio.sleep(0)
    writer.write(PREFACE[cut:] + hello())
    await attacker.send(attacker.headers(1, request_headers()), attacker.data(1, framed(b""), end=True))
    assert (await attacker.answer(1))["grpc-status"] == "0"
    writer.transport.abort()


async def test_every_byte_alone(server: Victim) -> None:
    async with attacking(server) as attacker:
        call = attacker.headers(1, request_headers()) + attacker.data(1, framed(b""), end=True)
        for byte in call:
            await attacker.send(bytes((byte,)))
            await asyncio.sleep(0)
        assert (await attacker.answer(1))["grpc-status"] == "0"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content_type": "application/json"}, "415"),
        ({"content_type": "application/grpc+proto"}, "415"),
        ({"content_type": "application/grpc-web+proto"}, "415"),
        ({"_method": "GET"}, "405"),
        ({"grpc_timeout": "soon"}, "400"),
    ],
    ids=lambda value: str(value),
)
async def test_what_is_not_grpc(server: Victim, headers: dict[str, str], status: str) -> None:  # api.md 1
    async with attacking(server) as attacker:
        await attacker.send(attacker.headers(1, request_headers(**headers), end=True))
        answer = await attacker.answer(1)
        assert answer[":status"] == status
        assert answer["content-type"] == "text/plain; charset=utf-8"
        assert len(attacker.bodies[1]) == int(answer["content-length"])


async def test_too_many_pings(server: Victim) -> None:  # api.md 2: keepalive enforcement
    async with attacking(server) as attacker:
        for number in range(4):
            await attacker.send(PingFrame(0, bytes((number,)) * 8).serialize())
        assert await attacker.read_until_closed() == CALM


async def test_pings_of_a_client_that_receives_are_no_strikes(server: Victim) -> None:
    async with attacking(server) as attacker:
        for stream in range(1, 41, 2):
            await attacker.send(
                attacker.headers(stream, request_headers()),
                attacker.data(stream, framed(b""), end=True),
            )
            await attacker.answer(stream)
            await attacker.send(PingFrame(0, b"12345678").serialize())
        assert attacker.ended is None


async def test_a_large_table_for_our_headers_is_not_used(server: Victim) -> None:
    """Distinct error texts would fill it."""
    settings = hello(table=2**31)
    async with witness(server, growth=24), attacking(server, settings=settings) as attacker:
        attacker.decoder.max_allowed_table_size = 2**31
        for number in range(1500):
            stream = 2 * number + 1
            path = f"/no.Service{number:04}{'x' * 190}/Get"
            await attacker.send(attacker.headers(stream, request_headers(path), end=True))
            assert (await attacker.answer(stream))["grpc-status"] == "12"
        assert attacker.decoder.header_table_size == 4096
