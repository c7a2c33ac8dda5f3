"""Websockets through an extension."""

from __future__ import annotations

import aiohttp
import pytest

from tests.server.extensions.conftest import POLICY, SECRET, Desk

pytestmark = pytest.mark.controlplane


async def test_messages_go_both_ways(desk: Desk) -> None:
    url = f"{desk.admin.base}/extensions/plain/do/ws"
    gone = (await desk.told())["gone"]
    async with desk.admin.session.ws_connect(
        url, headers=desk.given(), protocols=("a", "b"), autoping=False
    ) as socket:
        assert socket.protocol == "b"
        await socket.send_str("h\u00e4llo")
        assert (await socket.receive(20)).data == "heard h\u00e4llo"
        await socket.send_bytes(bytes(range(200)) * 1000)
        assert (await socket.receive(20)).data == (bytes(range(200)) * 1000)[::-1]
        await socket.ping(b"there?")
        found = await socket.receive(20)
        assert (found.type, found.data) == (aiohttp.WSMsgType.PONG, b"there?")
    told = await desk.until(lambda told: told["gone"] == gone + 1)
    headers = {name.lower(): value for name, value in told["asked"][-1]["headers"]}
    assert headers["authorization"] == SECRET
    assert headers["argocd-username"] == "caller"
    assert "cookie" not in headers


async def test_the_end_of_a_service_is_told(desk: Desk) -> None:
    url = f"{desk.admin.base}/extensions/plain/do/ws"
    async with desk.admin.session.ws_connect(url, headers=desk.given()) as socket:
        await socket.send_str("bye")
        assert (await socket.receive(20)).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 4001


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
        async with desk.admin.session.ws_connect(url, headers=desk.given()) as socket:
            without = POLICY.replace("p, caller, extensions, invoke, *, allow\n", "")
            await desk.setting("argocd-rbac-cm", **{"policy.csv": without})
            assert (await socket.receive(20)).type is aiohttp.WSMsgType.CLOSE
            assert socket.close_code == 1008
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
