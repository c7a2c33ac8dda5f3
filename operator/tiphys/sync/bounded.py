"""Doing one thing for many objects, a limited number at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


async def for_each(
    items: Iterable[Item], do: Callable[[Item], Awaitable[Result]], limit: int
) -> list[Result]:
    """Results in the order of the items, at most ``limit`` running at once.

    The first failure cancels the others and is raised as it is.
    """
    work = list(items)
    if len(work) == 1:
        return [await do(work[0])]
    gate = asyncio.Semaphore(max(1, limit))

    async def one(item: Item) -> Result:
        async with gate:
            return await do(item)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in work]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]
