"""Resource trees for all who watch one: made and encoded once for each change of an Application.

There is one task for each Application that somebody watches; it ends with the last of them. A watcher
has room for one tree, the newest: a slow client skips trees and holds nobody up.
"""

import asyncio
from collections.abc import AsyncIterator
from functools import cache
from typing import Any, cast

from tiphys.resources.gojson import dumps
from tiphys.resources.identity import AppKey
from tiphys.resources.messages.trees import ApplicationTree
from tiphys.resources.wire.codec import encode
from tiphys.server.api.failures import ApiFailure, permission_denied, unknown
from tiphys.server.api.rpc import Encoded
from tiphys.server.services.applications.resources.reaching import not_cached
from tiphys.server.state import State

PAUSE = 0.2
"""Seconds between two trees of an Application, so that a storm of changes is a few trees."""


class _Slot:
    """What is to be sent to one watcher next."""

    def __init__(self) -> None:
        self.tree: Encoded | None = None
        self.failure: BaseException | None = None
        self.news = asyncio.Event()


class _Pump:
    """The task of one Application and those who get its trees."""

    def __init__(self, state: State, key: AppKey):
        self._state = state
        self._key = key
        self.slots: set[_Slot] = set()
        self.task = asyncio.create_task(self._run(), name=f"trees of {key}")

    async def _run(self) -> None:
        try:
            await self._follow()
        except Exception as error:
            for slot in self.slots:
                slot.failure = error
                slot.news.set()

    async def _follow(self) -> None:
        """Make trees until nothing is known of the Application any more. Raises ApiFailure."""
        changes = cast(Any, self._state.live.changes(self._key))
        last: ApplicationTree | None = None
        try:
            async for _ in changes:
                app = self._state.apps.get(self._key)
                if app is None:
                    raise permission_denied()
                tree = await self._state.live.tree(app)
                if tree is None:
                    raise unknown(not_cached(app))
                if tree == last:
                    continue  # something moved that is not shown
                last = tree
                shown = encoded(tree)
                for slot in self.slots:
                    slot.tree = shown
                    slot.news.set()
                await asyncio.sleep(PAUSE)
        finally:
            await changes.aclose()


class TreeFeed:
    """See the module."""

    def __init__(self, state: State):
        self._state = state
        self._pumps: dict[AppKey, _Pump] = {}

    @property
    def watched(self) -> int:
        """How many Applications are watched."""
        return len(self._pumps)

    async def of(self, key: AppKey) -> AsyncIterator[Encoded]:
        """Trees of an Application from now on, the present one not included.

        Raises:
            ApiFailure: nothing is known of it any more.
        """
        pump = self._pumps.get(key)
        if pump is None or pump.task.done():
            pump = self._pumps[key] = _Pump(self._state, key)
        slot = _Slot()
        pump.slots.add(slot)
        try:
            while True:
                await slot.news.wait()
                slot.news.clear()
                tree, slot.tree = slot.tree, None
                if tree is not None:
                    yield tree
                elif slot.failure is not None:
                    raise _again(slot.failure)
        finally:
            pump.slots.discard(slot)
            if not pump.slots:
                if self._pumps.get(key) is pump:
                    del self._pumps[key]
                pump.task.cancel()
                await asyncio.wait([pump.task])


def encoded(tree: ApplicationTree) -> Encoded:
    """A tree whose JSON and protobuf are made when first asked for, and then kept."""
    return Encoded(cache(lambda: dumps(tree)), cache(lambda: encode(tree)))


def _again(failure: BaseException) -> BaseException:
    """The failure for one of several watchers, each of whom raises it."""
    return ApiFailure(failure.code, failure.message) if isinstance(failure, ApiFailure) else failure
