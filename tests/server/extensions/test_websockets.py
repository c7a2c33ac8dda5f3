"""Websockets through an extension."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
from contextlib import suppress

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.extensions.conftest import POLICY, SECRET, Desk
from tiphys.server.extensions.frames import Frames, close_frame

pytestmark = pytest.mark.controlplane


async def test_messages_go_both_ways(desk: Desk) -> None:
    url = f"{desk.admin.base}/extensions/plain/do/ws"
    gone = (await desk.told())["gone"]
    async with desk.admin.session.ws_connect(
        url, headers=desk.given(), protocols=("a", "b"), autoping=False
    ) as websocket:
        assert websocket.protocol == "b"
        await websocket.send_str("h\u00e4llo")
        assert (await websocket.receive(20)).data == "heard h\u00e4llo"
        await websocket.send_bytes(bytes(range(200)) * 1000)
        assert (await websocket.receive(20)).data == (bytes(range(200)) * 1000)[::-1]
        await websocket.ping(b"there?")
        found = await websocket.receive(20)
        assert (found.type, found.data) == (aiohttp.WSMsgType.PONG, b"there?")
    told = await desk.until(lambda told: told["gone"] == gone + 1)
    headers = {name.lower(): value for name, value in told["asked"][-1]["headers"]}
    assert headers["authorization"] == SECRET
    assert headers["argocd-username"] == "caller"
    assert "cookie" not in headers


async def test_the_end_of_a_service_is_told(desk: Desk) -> None:
    url = f"{desk.admin.base}/extensions/plain/do/ws"
    async with desk.admin.session.ws_connect(url, headers=desk.given()) as websocket:
        await websocket.send_str("bye")
        assert (await websocket.receive(20)).type is aiohttp.WSMsgType.CLOSE
        assert websocket.close_code == 4001


@pytest.mark.parametrize(
    ("path", "caller", "status"),
    [
        pytest.param("plain/do/ws?refuse=1", "caller", 403, id="refused-by-the-service"),
        pytest.param("plain/", "caller", 502, id="no-websocket-there"),
        pytest.param("nobody/", "caller", 502, id="no-service"),
        pytest.param("plain/do/ws", "reader", 401, id="no-right"),
    ],
)
async def test_refusals(desk: Desk, path: str, caller: str, status: int) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await desk.admin.session.ws_connect(
            f"{desk.admin.base}/extensions/{path}", headers=desk.given(caller)
        )
    assert caught.value.status == status


async def test_rights_that_are_taken_away_end_it(desk: Desk) -> None:
    url = f"{desk.admin.base}/extensions/plain/do/ws"
    try:
        async with desk.admin.session.ws_connect(url, headers=desk.given()) as websocket:
            without = POLICY.replace("p, caller, extensions, invoke, *, allow\n", "")
            await desk.setting("argocd-rbac-cm", **{"policy.csv": without})
            assert (await websocket.receive(20)).type is aiohttp.WSMsgType.CLOSE
            assert websocket.close_code == 1008
    finally:
        await desk.setting("argocd-rbac-cm", **{"policy.csv": POLICY})
        await desk.admin.until(
            "/extensions/plain/", lambda a: a.status == 200, headers=desk.given(), token=""
        )


async def test_nobody_is_led_elsewhere_with_the_secrets_of_the_settings(desk: Desk) -> None:
    before = len((await desk.told())["asked"])
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await desk.admin.session.ws_connect(
            f"{desk.admin.base}/extensions/plain/do/status/307", headers=desk.given()
        )
    assert caught.value.status == 502
    assert len((await desk.told())["asked"]) == before


async def test_a_body_that_is_announced_is_not(desk: Desk) -> None:
    url = f"{desk.admin.base}/extensions/plain/do/ws"
    headers = desk.given() | {"Content-Length": "5"}
    async with desk.admin.session.ws_connect(url, headers=headers):
        pass
    told = (await desk.told())["asked"][-1]
    assert "content-length" not in {name.lower() for name, _ in told["headers"]}


LARGE = 40 * 1024 * 1024


async def test_a_message_of_any_size(desk: Desk) -> None:
    """The reference relays bytes; so nothing of ours limits them."""
    url = f"{desk.admin.base}/extensions/plain/do/ws?greets=1"
    data = random.Random(4).randbytes(LARGE)
    async with desk.admin.session.ws_connect(url, headers=desk.given(), max_msg_size=0) as websocket:
        assert (await websocket.receive(20)).data == "first"
        await websocket.send_bytes(data)
        assert (await websocket.receive(60)).data == data[::-1]
        await websocket.send_str("still")
        assert (await websocket.receive(20)).data == "heard still"


async def opened(desk: Desk, query: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The bare connection of a websocket, with small buffers at this end."""
    bare = socket.socket()
    bare.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
    bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    bare.setblocking(False)
    host, _, port = desk.admin.target.rpartition(":")
    await asyncio.get_running_loop().sock_connect(bare, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=bare)
    given = {
        "Host": "a",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        **desk.given(),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    writer.write(f"GET /extensions/plain/do/ws?{query} HTTP/1.1\r\n{lines}\r\n".encode())
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)).decode()
    assert head.startswith("HTTP/1.1 101 Switching Protocols\r\n")
    assert "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head  # RFC 6455, 1.3
    assert "content-length" not in head.lower()
    return reader, writer


async def test_who_is_slow_slows_the_other_down(desk: Desk) -> None:
    """A message without end to a service that does not read: hardly any of it is taken from the client."""
    _, writer = await opened(desk, "deaf=1")
    writer.write(b"\x82\xff" + (1 << 40).to_bytes(8, "big") + b"mask")
    taken = 0
    with suppress(TimeoutError):
        while taken < 1 << 30:
            writer.write(b"x" * (1 << 20))
            await asyncio.wait_for(writer.drain(), 1)
            taken += 1 << 20
    assert taken < 1 << 25  # what the kernel holds of both connections
    writer.transport.abort()
    await desk.release()


async def test_rights_that_end_in_the_middle_of_a_frame_end_it_there(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No good-bye can be put into a message; the service hears nothing that the client did not say."""
    monkeypatch.setattr("tiphys.server.extensions.websocket.LOOK_SECONDS", 0.1)
    await desk.until(lambda told: not told["waiting"])
    reader, writer = await opened(desk, "")
    await desk.until(lambda told: told["waiting"] == 1)
    writer.write(b"\x81\x85\0\0\0\0he")
    try:
        without = POLICY.replace("p, caller, extensions, invoke, *, allow\n", "")
        await desk.setting("argocd-rbac-cm", **{"policy.csv": without})
        rest = await asyncio.wait_for(reader.read(), 20)
        assert rest == b"\x88\x02" + (1008).to_bytes(2, "big")
        await desk.until(lambda told: not told["waiting"])
    finally:
        writer.close()
        await desk.setting("argocd-rbac-cm", **{"policy.csv": POLICY})
        await desk.admin.until(
            "/extensions/plain/", lambda a: a.status == 200, headers=desk.given(), token=""
        )


@given(
    frames=st.lists(st.tuples(st.sampled_from([0, 1, 125, 126, 300, 0xFFFF, 0x10000]), st.booleans())),
    cuts=st.lists(st.integers(1, 40), min_size=1),
)
def test_frames_are_followed_however_they_are_cut(
    frames: list[tuple[int, bool]], cuts: list[int]
) -> None:  # RFC 6455, 5.2
    data, ends = b"", {0}
    for size, masked in frames:
        code = size if size < 126 else 126 if size < 0x10000 else 127
        wide = b"" if size < 126 else size.to_bytes(2 if size < 0x10000 else 8, "big")
        data += bytes((0x82, code | (0x80 if masked else 0))) + wide + (b"mask" if masked else b"")
        data += b"\x88" * size
        ends.add(len(data))
    follow, at = Frames(), 0
    for cut in itertools.cycle(cuts):
        assert follow.is_between is (at in ends)
        if at >= len(data):
            break
        step = cut if cut < 20 else cut * 1000
        follow.feed(data[at : at + step])
        at = min(at + step, len(data))


@pytest.mark.parametrize("masked", [True, False])
def test_a_good_bye_is_a_frame(masked: bool) -> None:
    follow = Frames()
    follow.feed(close_frame(1008, masked=masked))
    assert follow.is_between
