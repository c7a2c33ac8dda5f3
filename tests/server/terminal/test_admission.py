"""Who gets a terminal, and what everybody else is told (api.md 14 "Terminal").

Everything up to the shell itself is the real API server's; the shell is one of this machine behind a
stand-in for exec, since Pods of the local control plane run nothing (see ``standin``).
"""

from __future__ import annotations

import asyncio
import base64
import json

import aiohttp
import pytest

from tests.server.resources.site import APPS
from tests.server.terminal.conftest import Terminals, running_pod
from tiphys.access.tokens import issue

pytestmark = pytest.mark.controlplane


async def shown(socket: aiohttp.ClientWebSocketResponse, wanted: str) -> str:
    """Output up to a text."""
    text = ""
    while wanted not in text:
        message = await socket.receive(timeout=20)
        assert message.type is aiohttp.WSMsgType.TEXT, (message, text)
        frame = json.loads(message.data)
        assert list(frame) == ["operation", "data", "rows", "cols"], frame
        assert frame["operation"] == "stdout"
        text += frame["data"]
    return text


async def typed(socket: aiohttp.ClientWebSocketResponse, text: str) -> None:
    await socket.send_json({"operation": "stdin", "data": text, "rows": 0, "cols": 0})


async def test_a_shell(terminals: Terminals) -> None:
    """api.md 14: cookie, frames, sizes, the first shell that begins, the end of the program."""
    execs = terminals.proxy.exec
    async with terminals.open(terminals.site.admin) as socket:
        await socket.send_json({"operation": "resize", "data": "", "rows": 33, "cols": 111})
        await shown(socket, "$ ")
        await typed(socket, "stty size\n")
        assert "33 111" in await shown(socket, "33 111")
        await typed(socket, "echo t\u00e4st-$((40+2))\n")
        assert "t\u00e4st-42" in await shown(socket, "st-42\r\n")
        await typed(socket, "exit 3\n")
        async for message in socket:
            assert message.type is aiohttp.WSMsgType.TEXT
        assert socket.close_code == 1000
    assert [dict(query)["command"] for query, _ in execs.asked] == ["bash", "sh"]
    query, headers = execs.asked[-1]
    assert dict(query) == {
        "container": terminals.wish["container"],
        "command": "sh",
        "stdin": "true",
        "stdout": "true",
        "tty": "true",
    }
    assert headers["Authorization"] == "Bearer stand-in"
    await execs.until(lambda: execs.open == 0)


MISSING = (400, "Missing required parameters\n")


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        *(
            pytest.param({name: value}, MISSING, id=f"{name}-{value}")
            for name in ("pod", "container", "appName", "projectName", "namespace")
            for value in (None, "")
        ),
        pytest.param({"pod": "A"}, (400, "Pod name is not valid\n"), id="pod"),
        pytest.param({"pod": "a/../../secrets"}, (400, "Pod name is not valid\n"), id="pod-path"),
        pytest.param({"pod": "a\x00"}, (400, "Pod name is not valid\n"), id="pod-nul"),
        pytest.param({"pod": "x" * 254}, (400, "Pod name is not valid\n"), id="pod-long"),
        pytest.param({"container": "a.b"}, (400, "Container name is not valid\n"), id="container"),
        pytest.param({"appName": "a_b"}, (400, "App name is not valid\n"), id="app"),
        pytest.param({"projectName": "-"}, (400, "Project name is not valid\n"), id="project"),
        pytest.param({"namespace": "a.b"}, (400, "Namespace name is not valid\n"), id="namespace"),
        pytest.param(
            {"appNamespace": None}, (400, "App namespace name is not valid\n"), id="no-app-namespace"
        ),
        pytest.param({"appNamespace": "a\n"}, (400, "App namespace name is not valid\n"), id="app-namespace"),
        pytest.param(
            {"pod": "A", "container": "B"}, (400, "Pod name is not valid\n"), id="the-first-one-is-told"
        ),
        pytest.param(
            {"appNamespace": "elsewhere"}, (403, "namespace 'elsewhere' is not permitted\n"), id="not-managed"
        ),
        pytest.param({"appName": "nobody"}, (404, "App not found\n"), id="no-app"),
        pytest.param(
            {"projectName": "other"},
            (400, "The wrong project was specified for the app\n"),
            id="wrong-project",
        ),
        pytest.param({"pod": "nobody"}, (400, "Pod doesn't belong to specified app\n"), id="no-pod"),
        pytest.param(
            {"namespace": "default"}, (400, "Pod doesn't belong to specified app\n"), id="other-namespace"
        ),
        pytest.param({"container": "nobody"}, (400, "container find running\n"), id="no-container"),
        pytest.param({}, (400, "Failed to start terminal session\n"), id="no-websocket"),
    ],
)
async def test_refusals(
    terminals: Terminals, changes: dict[str, str | None], answer: tuple[int, str]
) -> None:
    """api.md 14, in the order of the checks; what is asked is asked by the administrator."""
    found = await terminals.ask(terminals.site.admin, **changes)
    assert (found.status, found.text) == answer
    assert not terminals.proxy.exec.asked


async def test_a_pod_of_another_application(terminals: Terminals, plain: dict[str, str]) -> None:
    found = await terminals.ask(terminals.site.admin, pod=plain["pod"], container=plain["container"])
    assert (found.status, found.text) == (400, "Pod doesn't belong to specified app\n")


async def test_a_pod_that_is_gone_but_still_in_the_tree(terminals: Terminals) -> None:
    """The tree is as the watch of Pods told it, which says nothing at the moment."""
    site, proxy = terminals.site, terminals.proxy
    await site.create("gone", destination={"server": proxy.url, "namespace": site.place})
    wish = await running_pod(site, "gone")
    proxy.freeze_streams()
    try:
        arguments = ("-n", site.place, "delete", "pod", wish["pod"], "--grace-period=0", "--force")
        await asyncio.to_thread(site.admin.plane.kubectl, *arguments)
        found = await terminals.ask(site.admin, **wish)
        assert (found.status, found.text) == (400, "Cannot find pod\n")
    finally:
        proxy.drop_streams()
    await site.admin.until(f"{APPS}/gone/resource-tree", lambda a: wish["pod"] not in a.text)
    found = await terminals.ask(site.admin, **wish)
    assert (found.status, found.text) == (400, "Pod doesn't belong to specified app\n")


@pytest.mark.parametrize(
    ("cookie", "answer"),
    [
        pytest.param("", (400, "Auth cookie not found\n"), id="nothing"),
        pytest.param("argocd.token=", (400, "Auth cookie not found\n"), id="empty"),
        pytest.param("argocd.token=3:abc", (400, "Auth cookie not found\n"), id="a-chunk-is-missing"),
        pytest.param("argocd.token=a.b.c", (401, "Invalid token\n"), id="garbage"),
        pytest.param("argocd.token=" + "a" * 4000, (401, "Invalid token\n"), id="long-garbage"),
        pytest.param(
            "argocd.token="
            + issue(
                "no-key-of-ours-at-all-0123456789", "admin:login", now=2000000000, lifetime=0, token_id="x"
            ),
            (401, "Invalid token\n"),
            id="forged",
        ),
    ],
)
async def test_credentials(terminals: Terminals, cookie: str, answer: tuple[int, str]) -> None:
    found = await terminals.ask(None, cookie=cookie)
    assert (found.status, found.text) == answer


async def test_a_bearer_token_is_no_cookie(terminals: Terminals) -> None:
    found = await terminals.site.admin.get("/terminal", params=terminals.wish)
    assert (found.status, found.text) == (400, "Auth cookie not found\n")


async def test_rights(terminals: Terminals) -> None:
    """First applications/get, then exec/create; whoever has neither learns nothing."""
    name = f"team/{terminals.wish['appName']}"
    stranger = await terminals.ask(terminals.site.stranger)
    nothing = await terminals.ask(terminals.site.stranger, appName="nobody")
    reader = await terminals.ask(terminals.site.reader)
    assert stranger.status == nothing.status == reader.status == 401
    assert stranger.text.startswith(f"permission denied: applications, get, {name}, sub: stranger")
    assert nothing.text.replace("nobody", "shells") == stranger.text
    assert reader.text.startswith(f"permission denied: exec, create, {name}, sub: reader")


async def test_a_page_of_somebody_else(terminals: Terminals) -> None:
    """Browsers send cookies with websockets of any page."""
    admin = terminals.site.admin
    for origin in ("https://evil.example.org", "null", "http://127.0.0.1:1", "http://["):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with terminals.open(admin, origin=origin):
                pass
        assert refused.value.status == 403
    async with terminals.open(admin, origin=admin.base) as socket:
        await shown(socket, "$ ")


async def test_off(terminals: Terminals) -> None:
    """404 before anything else, also for terminals that are open."""
    admin = terminals.site.admin
    async with terminals.open(admin) as socket:
        await shown(socket, "$ ")
        async with terminals.site.setting("exec.enabled", "false"):
            await admin.until("/terminal", lambda a: a.status == 404, token="")
            assert (await terminals.ask(admin)).body == b""
            await typed(socket, "x")
            await shown(socket, "Permission denied")
            assert (await socket.receive(timeout=20)).type is aiohttp.WSMsgType.CLOSE
    await admin.until("/terminal", lambda a: a.status == 400, token="")


async def test_rights_that_are_taken_away(terminals: Terminals) -> None:
    site = terminals.site
    await terminals.policy("p, reader, exec, create, team/*, allow")
    can = "/api/v1/account/can-i/exec/create/team/shells"
    await site.reader.until(can, lambda a: a.json["value"] == "yes")
    async with terminals.open(site.reader) as socket:
        await shown(socket, "$ ")
        await terminals.policy("")
        await site.reader.until(can, lambda a: a.json["value"] == "no")
        await typed(socket, "echo too-late\n")
        await shown(socket, "Permission denied")
        assert (await socket.receive(timeout=20)).type is aiohttp.WSMsgType.CLOSE
    execs = terminals.proxy.exec
    await execs.until(lambda: execs.open == 0)
    assert b"too-late" not in execs.typed


async def test_a_token_that_is_revoked(terminals: Terminals) -> None:
    admin = terminals.site.admin
    mine = admin.acting(await admin.login("admin", admin.admin_password()))
    async with terminals.open(mine) as socket:
        await shown(socket, "$ ")
        out = await admin.get("/auth/logout", headers={"Cookie": f"argocd.token={mine.token}"}, token="")
        assert out.status == 303
        await typed(socket, "echo too-late\n")
        await shown(socket, "Reconnect because the token was refreshed")
        assert (await socket.receive(timeout=20)).data == '{"Code":1}'
        assert (await socket.receive(timeout=20)).type is aiohttp.WSMsgType.CLOSE
    execs = terminals.proxy.exec
    await execs.until(lambda: execs.open == 0)
    assert b"too-late" not in execs.typed


async def test_what_the_api_server_says_of_a_pod_without_a_kubelet(
    terminals: Terminals, plain: dict[str, str]
) -> None:
    """No stand-in: the real API server's own refusal reaches the terminal."""
    async with terminals.open(terminals.site.admin, **plain) as socket:
        text = await shown(socket, "\r\n")
        assert text.startswith("Failed to exec container: ")
        assert (await socket.receive(timeout=20)).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1000


async def test_a_token_that_ends_soon_is_renewed_with_the_answer(terminals: Terminals) -> None:
    """Else the terminal would begin and ask at once to come again."""
    site = terminals.site
    async with site.setting("users.session.duration", "2m"):
        await site.admin.until("/api/version", lambda a: a.status == 200)
        token = await site.admin.login("admin", site.admin.admin_password())
        while _lifetime(token) != 120:
            token = await site.admin.login("admin", site.admin.admin_password())
        async with terminals.open(site.admin.acting(token)) as socket:
            fresh = socket._response.headers.getall("Set-Cookie")
            assert fresh[0].startswith("argocd.token=ey")
            assert token not in fresh[0]
            await shown(socket, "$ ")


def _lifetime(token: str) -> int:
    part = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return int(claims["exp"] - claims["iat"])
