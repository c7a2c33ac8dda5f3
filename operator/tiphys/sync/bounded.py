"""Doing one thing for many objects, a limited number at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


async def for_each(
    items: Iterable[Item], do: Callable[[Item], Awaitable[Result]], limit: int
) -> list[Result]:
    """Results in the order of the items, at most ``limit`` running at once (below 1: all of them).

    The first failure cancels the others and is raised as it is.
    """
    work = list(items)
    if not work:
        return []
    if len(work) == 1:
        return [await do(work[0])]
    results: dict[int, Result] = {}
    queue = iter(enumerate(work))

    async def worker() -> None:
        for place, item in queue:
            results[place] = await do(item)
            await asyncio.sleep(0)  # what needs no request must not hold the loop

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(limit, len(work)) if limit >= 1 else len(work)):
                group.create_task(worker())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [results[place] for place in range(len(work))]
