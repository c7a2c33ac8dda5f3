"""What Kopf's requests are answered: nothing that is held already, everything else as it is."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tiphys.handlers.echoes import is_echo, listening
from tiphys.reconcile.stores import Store
from tiphys.resources.application import Application, decode
from tiphys.resources.identity import AppKey

PATH = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"


def app(version: str, *, name: str = "a", uid: str = "u") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "argocd", "uid": uid, "resourceVersion": version}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": metadata, "spec": {}}


def line(kind: str, thing: Any) -> bytes:
    return json.dumps({"type": kind, "object": thing}).encode()


@pytest.fixture
def store() -> Store[Application]:
    made: Store[Application] = Store(decode)
    made.put(app("7"))
    return made


@pytest.mark.parametrize(
    ("said", "echo"),
    [
        pytest.param(line("MODIFIED", app("7")), True, id="held"),
        pytest.param(line("ADDED", app("6")), True, id="older"),
        pytest.param(line("MODIFIED", app("8")), False, id="newer"),
        pytest.param(line("MODIFIED", app("8", uid="v")), False, id="newer-of-the-same-name"),
        pytest.param(line("ADDED", app("3", name="b")), False, id="unknown"),
        pytest.param(line("DELETED", app("7")), False, id="deletion"),
        pytest.param(line("BOOKMARK", {"metadata": {"resourceVersion": "7"}}), False, id="bookmark"),
        pytest.param(line("ERROR", {"code": 410}), False, id="error"),
        pytest.param(b'{"type": "MODIFIED"', False, id="unreadable"),
    ],
)
def test_an_echo_is_what_the_store_would_not_take(store: Store[Application], said: bytes, echo: bool) -> None:
    assert is_echo(said, store.holds) is echo


async def test_kopf_hears_news_only(store: Store[Application]) -> None:
    lines = [
        line("MODIFIED", app("7")),
        line("MODIFIED", app("8")),
        line("ADDED", app("5")),
        line("DELETED", app("9")),
    ]

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.query.get("watch") != "true":
            listed = {"metadata": {"resourceVersion": "9"}, "items": [app("7"), app("3", name="b")]}
            return web.json_response(listed)
        response = web.StreamResponse()
        await response.prepare(request)
        whole = b"\n".join((*lines, b""))
        for cut in (whole[:150], whole[150:160], whole[160:]):
            await response.write(cut)
        return response

    server = web.Application()
    server.router.add_get("/{path:.*}", answer)
    async with TestServer(server) as running:
        known = {"applications": store.holds}
        async with aiohttp.ClientSession(response_class=listening(known)) as session:

            async def heard(path: str) -> list[bytes]:
                async with session.get(running.make_url(path)) as response:
                    return [data async for data in response.content.iter_chunked(1 << 20)]

            assert b"".join(await heard(f"{PATH}?watch=true")).splitlines() == [lines[1], lines[3]]
            other = PATH.replace("applications", "secrets")
            assert b"".join(await heard(f"{other}?watch=true")).splitlines() == lines
            async with session.get(running.make_url(PATH)) as response:
                listed = await response.json()
            assert [item["metadata"]["name"] for item in listed["items"]] == ["b"]
            assert listed["metadata"] == {"resourceVersion": "9"}


def test_an_answer_that_comes_after_the_deletion_revives_nobody(store: Store[Application]) -> None:
    """Of an object that was never held: made by us and deleted by others before the answer came."""
    store.delete(AppKey("argocd", "b"), "new")
    assert store.put(app("8", name="b", uid="new")).new is None
    store.delete(AppKey("argocd", "a"), "another")  # of a name that others have by now
    assert store.get(AppKey("argocd", "a")) is not None
    assert store.put(app("9", uid="another")).new is None
    assert store.put(app("10", uid="third")).new is not None
