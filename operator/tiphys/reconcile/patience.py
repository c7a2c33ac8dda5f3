"""Comparing by rules that may take their time, without holding up anybody else.

Most rules take microseconds and are followed at once. Users' jq programs that might never end run in
a process of their own, with a second each (``compare.jqpaths``); who waits for that waits in a thread,
so that one tenant's expressions cost only the looks at his own applications.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from tiphys.compare.rules import Rules

T = TypeVar("T")


async def patiently(rules: Rules, work: Callable[[], T]) -> T:
    """The result of ``work``, which compares by ``rules``; raises what it raises."""
    return await asyncio.to_thread(work) if rules.may_wait else work()
