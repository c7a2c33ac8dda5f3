"""Many watch the tree of one Application: it is made and encoded once for each change (api.md 10)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from tests.reconcile.test_decisions import application
from tiphys.reconcile.notices import Notices
from tiphys.reconcile.stores import Store
from tiphys.resources.application import Application, decode, to_json
from tiphys.resources.identity import AppKey
from tiphys.resources.messages.trees import ApplicationTree, ResourceNode
from tiphys.server.api.failures import ApiFailure, Code
from tiphys.server.api.rpc import Encoded
from tiphys.server.services.applications.resources import treefeed
from tiphys.server.services.applications.resources.treefeed import TreeFeed

KEY = AppKey("argocd", "a")


class Live:
    """Trees that the test changes; counts how often one is made."""

    def __init__(self) -> None:
        self.notices = Notices()
        self.names: tuple[str, ...] | None = ("one",)
        self.made = 0

    def changes(self, key: AppKey) -> AsyncIterator[None]:
        return self.notices.of(key)

    async def tree(self, app: Application) -> ApplicationTree | None:
        self.made += 1
        if self.names is None:
            return None
        return ApplicationTree(nodes=tuple(ResourceNode(name=name) for name in self.names))

    async def change(self, *names: str) -> None:
        """Another tree, and a notice once somebody listens."""
        self.names = names
        await self.tell()

    async def tell(self) -> None:
        async with asyncio.timeout(5):
            while not self.notices.watchers(KEY):  # noqa: ASYNC110 (the feed's task begins when it may)
                await asyncio.sleep(0)
        self.notices.tell(KEY)


class State(msgspec.Struct):
    """The part of the API's state that a feed needs."""

    live: Live
    apps: Store[Application]


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> State:
    monkeypatch.setattr(treefeed, "PAUSE", 0.0)
    apps: Store[Application] = Store(decode)
    manifest = to_json(application())
    manifest["metadata"] |= {"uid": "u", "resourceVersion": "1"}
    apps.put(manifest)
    return State(Live(), apps)


def feed_of(state: State) -> TreeFeed:
    given: Any = state
    return TreeFeed(given)


def names(shown: Encoded) -> list[str]:
    return [node["name"] for node in msgspec.json.decode(shown.json())["nodes"]]


async def test_one_tree_for_all(state: State) -> None:
    feed = feed_of(state)
    watchers = [feed.of(KEY) for _ in range(1000)]
    waiting = [asyncio.ensure_future(anext(each)) for each in watchers]
    await state.live.change("one", "two")
    async with asyncio.timeout(20):
        found = await asyncio.gather(*waiting)
    assert state.live.made == 1
    assert names(found[0]) == ["one", "two"]
    assert len({id(each) for each in found}) == 1
    assert found[0].json() is found[0].json(), "encoded once"
    assert feed.watched == 1
    for each in watchers:
        await each.aclose()  # type: ignore[attr-defined]
    assert feed.watched == 0
    assert state.live.notices.watchers(KEY) == 0


async def test_a_slow_watcher_gets_the_newest(state: State) -> None:
    feed = feed_of(state)
    slow, quick = feed.of(KEY), feed.of(KEY)
    first = [asyncio.ensure_future(anext(each)) for each in (slow, quick)]
    await state.live.change("one")
    await asyncio.gather(*first)
    for name in ("two", "three", "four"):
        waiting = asyncio.ensure_future(anext(quick))
        await state.live.change(name)
        assert names(await waiting) == [name]
    assert names(await anext(slow)) == ["four"]
    for each in (slow, quick):
        await each.aclose()  # type: ignore[attr-defined]


async def test_what_is_not_shown_is_no_news(state: State) -> None:
    feed = feed_of(state)
    watcher = feed.of(KEY)
    waiting = asyncio.ensure_future(anext(watcher))
    await state.live.change("one")
    await waiting
    waiting = asyncio.ensure_future(anext(watcher))
    for _ in range(3):
        await state.live.tell()
        await asyncio.sleep(0)
    await state.live.change("two")
    assert names(await waiting) == ["two"]
    await watcher.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize("gone", [True, False], ids=["the-application", "what-is-known"])
async def test_all_learn_that_it_is_gone(state: State, gone: bool) -> None:
    feed = feed_of(state)
    watchers = [feed.of(KEY) for _ in range(3)]
    waiting = [asyncio.ensure_future(anext(each)) for each in watchers]
    if gone:
        state.apps.delete(KEY)
    state.live.names = None
    await state.live.tell()
    async with asyncio.timeout(5):
        failures = await asyncio.gather(*waiting, return_exceptions=True)
    codes = {each.code for each in failures if isinstance(each, ApiFailure)}
    assert codes == {Code.PERMISSION_DENIED if gone else Code.UNKNOWN}
    assert feed.watched == 0
    state.live.names = ("back",)
    if not gone:
        again = feed.of(KEY)
        waiting = [asyncio.ensure_future(anext(again))]
        await state.live.tell()
        assert names(await waiting[0]) == ["back"]
        await again.aclose()  # type: ignore[attr-defined]
