"""Watches on one fan-out (api.md 10): order, sharing, slow and vanished subscribers."""

import asyncio
import json
from typing import Any

import msgspec
import pytest

from tiphys.reconcile.stores import Store
from tiphys.resources.application import Application, decode
from tiphys.resources.identity import AppKey
from tiphys.server.api.failures import ApiFailure, Code
from tiphys.server.streams.fanout import Change, FanOut, number_of
from tiphys.server.streams.fragments import Codec, Fragments, join_proto, varint


class Counting:
    """A codec that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = {"json": 0, "proto": 0}

    def codec(self) -> Codec[Application]:
        return Codec(self._json, self._proto)

    def _json(self, app: Application) -> bytes:
        self.asked["json"] += 1
        return msgspec.json.encode({"metadata": {"name": app.metadata.name}})

    def _proto(self, app: Application) -> bytes:
        self.asked["proto"] += 1
        return app.metadata.name.encode()


class Feed:
    """A store with a fan-out on it."""

    def __init__(self) -> None:
        self.counting = Counting()
        self.store: Store[Application] = Store(decode)
        self.fragments = Fragments(self.store, self.counting.codec())
        self.fanout = FanOut(self.store, self.fragments, "application")

    def put(self, name: str, version: int, uid: str = "", **spec: Any) -> None:
        metadata = {"name": name, "namespace": "n", "uid": uid or name, "resourceVersion": str(version)}
        self.store.put({"metadata": metadata, "spec": spec})


def everything(change: Change[Application]) -> bool:
    return True


async def take(changes: Any, count: int) -> list[tuple[str, str, int]]:
    found = []
    while len(found) < count:
        change = await anext(changes)
        found.append((change.kind, change.key.name, change.version))
    return found


async def test_changes_arrive_in_order_with_their_kind() -> None:
    feed = Feed()
    feed.put("old", 1)
    with feed.fanout.subscribe(everything, limit=10) as changes:
        feed.put("old", 2)
        feed.put("new", 3)
        feed.store.delete(AppKey("n", "old"))
        assert await take(changes, 3) == [("MODIFIED", "old", 2), ("ADDED", "new", 3), ("DELETED", "old", 2)]


async def test_an_object_in_the_place_of_another_is_told_as_deleted_and_added() -> None:
    feed = Feed()
    feed.put("app", 1, uid="first")
    with feed.fanout.subscribe(everything, limit=10) as changes:
        feed.put("app", 2, uid="second")
        assert await take(changes, 2) == [("DELETED", "app", 1), ("ADDED", "app", 2)]


async def test_a_change_is_encoded_once_for_all_subscribers_and_only_in_the_form_asked_for() -> None:
    feed = Feed()
    subscriptions = [feed.fanout.subscribe(everything, limit=10) for _ in range(50)]
    feed.put("app", 1)
    for changes in subscriptions:
        answer = (await anext(changes)).answer()
        assert json.loads(answer.json()) == {"type": "ADDED", "application": {"metadata": {"name": "app"}}}
    assert feed.counting.asked == {"json": 1, "proto": 0}
    assert feed.fragments.of(next(iter(feed.store))).json
    assert feed.counting.asked == {"json": 1, "proto": 0}


async def test_the_protobuf_event_has_kind_and_object_as_fields_1_and_2() -> None:
    feed = Feed()
    with feed.fanout.subscribe(everything, limit=10) as changes:
        feed.put("app", 1)
        assert (await anext(changes)).answer().proto() == b"\x0a\x05ADDED\x12\x03app"


async def test_a_subscriber_gets_only_what_its_filter_wants() -> None:
    feed = Feed()
    with feed.fanout.subscribe(lambda change: change.key.name == "b", limit=1) as changes:
        for number, name in enumerate("abc"):
            feed.put(name, number + 1)
        assert await take(changes, 1) == [("ADDED", "b", 2)]


async def test_a_slow_subscriber_is_dropped_with_an_error_and_holds_nobody_up() -> None:
    feed = Feed()
    slow = feed.fanout.subscribe(everything, limit=2)
    with feed.fanout.subscribe(everything, limit=10) as quick:
        for number in range(3):
            feed.put("app", number + 1)
        assert len(feed.fanout) == 1
        assert len(await take(quick, 3)) == 3
    with pytest.raises(ApiFailure) as failure:
        await anext(slow)
    assert failure.value.code is Code.RESOURCE_EXHAUSTED


async def test_a_failing_filter_ends_its_own_watch_only() -> None:
    feed = Feed()
    broken = feed.fanout.subscribe(lambda change: 1 // 0 == 0, limit=2)
    with feed.fanout.subscribe(everything, limit=2) as whole:
        feed.put("app", 1)
        assert await take(whole, 1) == [("ADDED", "app", 1)]
    with pytest.raises(ZeroDivisionError):
        await anext(broken)


async def test_a_subscriber_that_goes_away_frees_its_place_at_once() -> None:
    feed = Feed()

    async def watch() -> None:
        with feed.fanout.subscribe(everything, limit=2) as changes:
            async for _ in changes:
                pass

    task = asyncio.create_task(watch())
    await asyncio.sleep(0)  # it subscribes
    assert len(feed.fanout) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(feed.fanout) == 0


async def test_fragments_of_gone_objects_are_not_kept() -> None:
    feed = Feed()
    feed.put("app", 1)
    first = feed.fragments.of(next(iter(feed.store)))
    assert feed.fragments.of(first.object) is first
    feed.put("app", 2)
    second = feed.fragments.of(next(iter(feed.store)))
    assert second is not first
    feed.store.delete(AppKey("n", "app"))
    assert not feed.fragments._held


@pytest.mark.parametrize(
    ("version", "number"),
    [("7", 7), ("", 0), (None, 0), ("x", 0), ("-1", 0), ("٣", 0), ("1.5", 0)],
)
def test_versions_that_are_no_numbers_count_as_none(version: str | None, number: int) -> None:
    assert number_of(version) == number  # api.md 10


def test_joined_lists() -> None:
    assert join_proto(b"\x12", [b"a", b""]) == b"\x12\x01a\x12\x00"


@pytest.mark.parametrize(("value", "body"), [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02")])
def test_varints(value: int, body: str) -> None:
    assert varint(value).hex() == body
