"""What Bitbucket Cloud adds to its pushes, asked of a server that speaks its API (sources.md 22.3)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from tiphys.server.webhooks.bitbucket import BitbucketCloud
from tiphys.server.webhooks.events import Push
from tiphys.settings.repositories import Repository

PUSH = Push(("https://bitbucket.org/org/repo",), "main", "aaa", "bbb", True, None, "org/repo")


class Cloud:
    """Answers by path, remembers who asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.callers: set[str] = set()
        self.address = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.callers.add(request.headers.get("Authorization", ""))
        found = self.answers.get(f"{request.path}?{request.query.get('page', '')}".rstrip("?"))
        if found is None:
            return web.Response(status=404)
        return web.json_response(found) if not isinstance(found, web.Response) else found

    def asked(self, repository: Repository | None = None) -> BitbucketCloud:
        return BitbucketCloud(lambda url: repository or Repository(url=url), self.address)


@pytest_asyncio.fixture
async def cloud() -> AsyncIterator[Cloud]:
    made = Cloud()
    app = web.Application()
    app.router.add_get("/{path:.*}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


def repository(main: str = "main") -> dict[str, Any]:
    return {"mainbranch": {"name": main}}


async def test_main_branch_and_files_over_several_pages(cloud: Cloud) -> None:
    cloud.answers = {
        "/repositories/org/repo": repository(),
        "/repositories/org/repo/diffstat/bbb..aaa?1": {
            "values": [{"new": {"path": "a"}, "old": {"path": "b"}}, {"new": None, "old": {"path": "c"}}],
            "next": "http://elsewhere.invalid/",
        },
        "/repositories/org/repo/diffstat/bbb..aaa?2": {"values": [{"new": {"path": "d"}}]},
    }
    found = await cloud.asked().completed(PUSH)
    assert (found.touches_default, found.files) == (True, ("a", "b", "c", "d"))


async def test_another_branch_is_not_the_main_one(cloud: Cloud) -> None:
    cloud.answers = {"/repositories/org/repo": repository("trunk")}
    found = await cloud.asked().completed(PUSH)
    assert (found.touches_default, found.files) == (False, None)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(None, id="not-found"),
        pytest.param([], id="a-list"),
        pytest.param({"mainbranch": 5}, id="a-number"),
        pytest.param(web.Response(text="{"), id="no-json"),
        pytest.param(
            web.Response(status=302, headers={"Location": "http://elsewhere.invalid/"}), id="redirect"
        ),
    ],
)
async def test_without_an_answer_the_push_stays(cloud: Cloud, answer: Any) -> None:
    cloud.answers = {"/repositories/org/repo": answer}
    assert await cloud.asked().completed(PUSH) == PUSH


@pytest.mark.parametrize(
    ("credentials", "caller"),
    [
        pytest.param(lambda: Repository(url="x"), "", id="none"),
        pytest.param(lambda: Repository(url="x", bearer_token="t"), "Bearer t", id="token"),
        pytest.param(
            lambda: Repository(url="x", username="u", password="p"), "Basic dTpw", id="user-and-password"
        ),
    ],
)
async def test_who_asks(cloud: Cloud, credentials: Callable[[], Repository], caller: str) -> None:
    await cloud.asked(credentials()).completed(PUSH)
    assert cloud.callers == {caller}
