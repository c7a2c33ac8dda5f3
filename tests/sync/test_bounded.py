"""How many requests run at once (sync.md 1.4: ``controller.kubectl.parallelism.limit``)."""

import asyncio

import pytest

from tiphys.sync.bounded import for_each


@pytest.mark.parametrize(("limit", "most"), [(1, 1), (3, 3), (20, 8), (0, 8), (-1, 8)])
async def test_how_many_run_at_once(limit: int, most: int) -> None:
    running = seen = 0

    async def one(number: int) -> int:
        nonlocal running, seen
        running += 1
        seen = max(seen, running)
        await asyncio.sleep(0)
        running -= 1
        return number

    assert await for_each(range(8), one, limit) == list(range(8))
    assert seen == most
