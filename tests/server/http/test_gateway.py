"""Requests become messages, outcomes become answers (api.md 1, 3, 4)."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.server.http.sample import Site, site
from tiphys.server.api.failures import ApiFailure, Code
from tiphys.server.http.answers import HTTP_STATUS


@pytest_asyncio.fixture
async def api() -> AsyncIterator[Site]:
    async with site() as running:
        yield running


async def test_a_message_comes_back_as_json(api: Site) -> None:
    answer = await api.get("/api/version")
    assert (answer.status, answer.json) == (200, {"Version": "v3.6.0"})
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Grpc-Metadata-Content-Type"] == "application/grpc"  # api.md 3
    assert "X-Frame-Options" not in answer.headers  # api.md 1: API responses carry none of these


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK], ids=lambda code: code.title)
async def test_failures_have_the_status_of_their_code(api: Site, code: Code) -> None:
    """api.md 4."""
    api.stage.failure = ApiFailure(code, 'a <text> with "quotes"')
    answer = await api.get("/api/version")
    assert answer.status == HTTP_STATUS[code]
    assert answer.headers["Content-Type"] == "application/json"
    text = 'a <text> with "quotes"'
    assert answer.json == {"error": text, "code": int(code), "message": text}
    assert list(answer.json) == ["error", "code", "message"]
    assert b"\\u003ctext\\u003e" in answer.body
