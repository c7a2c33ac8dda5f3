"""Whether Kopf's watches live, told from its requests; and what is compared after a gap."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tiphys.handlers.liveness import Liveness


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=int(request.headers.get("X-Status", "200")))

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as running:
        yield running


async def test_a_watch_is_live_from_its_answer_to_the_next_request(server: TestServer) -> None:
    gaps: list[str] = []
    liveness = Liveness(("applications", "secrets"), gaps.append)
    assert liveness.missing() == "no live watch of applications, secrets"
    async with aiohttp.ClientSession(trace_configs=[liveness.tracing()]) as session:

        async def ask(path: str, status: int = 200) -> None:
            async with session.get(server.make_url(path), headers={"X-Status": str(status)}):
                pass

        await ask("/api/v1/namespaces/argocd/secrets?limit=500")
        await ask("/api/v1/namespaces/argocd/secrets?watch=true")
        assert liveness.missing() == "no live watch of applications"
        await ask("/apis/argoproj.io/v1alpha1/applications?limit=500")
        await ask("/apis/argoproj.io/v1alpha1/applications?limit=500&continue=x")
        await ask("/apis/argoproj.io/v1alpha1/applications?watch=true")
        assert liveness.missing() == ""
        assert gaps == []
        await ask("/apis/argoproj.io/v1alpha1")  # discovery is nobody's watch
        assert liveness.missing() == ""
        await ask("/apis/argoproj.io/v1alpha1/applications?watch=true", 500)
        assert liveness.missing() == "no live watch of applications"
        await ask("/apis/argoproj.io/v1alpha1/applications?limit=500", 500)
        assert gaps == []
        await ask("/apis/argoproj.io/v1alpha1/applications?limit=500")
        assert gaps == ["applications"]
