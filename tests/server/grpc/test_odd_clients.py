"""Clients gone wrong, over plain text and TLS: half-closed connections, goodbyes in the middle of calls,
requests that never come, bytes one by one, pings, and what is HTTP/2 but not gRPC."""

from __future__ import annotations

import asyncio
import socket

import pytest
from hyperframe.frame import PingFrame

from tests.server.grpc.attacker import (
    CALM,
    GET,
    PREFACE,
    attacking,
    framed,
    hello,
    request_headers,
    trusting,
    witness,
)
from tests.server.grpc.test_attacks import at_once, request
from tests.server.grpc.victim import Victim


async def test_half_closed_connections(server: Victim) -> None:
    """Without a writing side there is no HTTP/2: the server closes, and ends the calls."""
    async with witness(server):
        for _ in range(50):
            async with attacking(server) as attacker:
                body = request(GET, name="wait")
                await attacker.send(
                    attacker.headers(1, request_headers(GET)), attacker.data(1, body, end=True)
                )
                attacker.half_close()
                await attacker.read_until_closed()


async def test_the_end_of_tls_is_the_end(victims: tuple[Victim, Victim]) -> None:
    """A client that says goodbye in TLS and keeps its socket is told the same, and the socket is closed."""
    tls = victims[1]
    assert tls.certificate is not None
    context = trusting(tls.certificate)

    def say_goodbye() -> bytes:
        with socket.create_connection(("127.0.0.1", tls.port), timeout=60) as plain:
            wrapped = context.wrap_socket(plain, server_hostname="localhost")
            wrapped.sendall(PREFACE + hello() + PingFrame(0, b"last one").serialize())
            said = b""
            while not said.endswith(b"last one"):  # the server has nothing more to say
                said += wrapped.recv(1000)
            with wrapped.unwrap() as left:  # returns when the server has said goodbye, too
                return left.recv(1)

    async with witness(tls):
        assert await asyncio.to_thread(say_goodbye) == b""


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
        await attacker.send(attacker.reset(3))
        await attacker.read_until_closed()
        assert attacker.answers.keys() | attacker.resets.keys() <= {1, 3}


async def test_a_request_that_never_comes_is_given_up(victims: tuple[Victim, Victim]) -> None:

    async def attack(server: Victim) -> None:
        async with attacking(server) as attacker:
            await attacker.send(attacker.headers(1, request_headers()))
            answer = await attacker.answer(1)
            assert (answer["grpc-status"], answer["grpc-message"]) == (
                "4",
                "the request did not arrive in time",
            )

    await at_once(attack, victims)


async def test_a_connection_that_asks_nothing_is_given_up(victims: tuple[Victim, Victim]) -> None:

    async def attack(server: Victim) -> None:
        async with attacking(server) as attacker:
            assert await attacker.read_until_closed() == 0

    await at_once(attack, victims)


@pytest.mark.parametrize("cut", range(1, len(PREFACE), 5))
async def test_a_preface_in_pieces(server: Victim, cut: int) -> None:
    async with attacking(server, preface=b"") as attacker:
        await attacker.send(PREFACE[:cut])
        await asyncio.sleep(0)
        await attacker.send(PREFACE[cut:] + hello())
        await attacker.send(attacker.headers(1, request_headers()), attacker.data(1, framed(b""), end=True))
        assert (await attacker.answer(1))["grpc-status"] == "0"


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
