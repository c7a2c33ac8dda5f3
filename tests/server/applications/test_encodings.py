"""Answers that are joined out of fragments are what encoding the whole message would give."""

import msgspec
import orjson
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.apiserver import application
from tiphys.reconcile.stores import Store
from tiphys.resources.application import Application, ApplicationList, decode
from tiphys.resources.gojson import dumps
from tiphys.resources.messages.trees import ApplicationWatchEvent
from tiphys.resources.meta import ListMeta
from tiphys.resources.wire.codec import decode as read
from tiphys.resources.wire.codec import encode
from tiphys.server.http.app_fields import AppFields
from tiphys.server.http.pieces import GROUP_BYTES, grouped
from tiphys.server.services.applications.listing import answer_of
from tiphys.server.streams.fanout import FanOut
from tiphys.server.streams.fragments import Codec, Fragment, Fragments

CODEC: Codec[Application] = Codec(dumps, encode)
META = st.builds(
    ListMeta,
    resource_version=st.sampled_from(["", "7"]),
    continue_=st.sampled_from(["", "next"]),
    remaining_item_count=st.none() | st.integers(0, 9),
)


@given(st.integers(0, 4), META)
def test_lists(count: int, meta: ListMeta) -> None:
    apps = tuple(decode(application(number, number + 1)) for number in range(count))
    whole = ApplicationList(metadata=meta, items=apps)
    answer = answer_of(meta, [Fragment(app, CODEC) for app in apps], "")
    assert answer.json() == dumps(whole) + b"\n"
    assert answer.pieces is not None
    assert b"".join(grouped(answer.pieces())) == answer.json()
    assert answer.proto() == encode(whole)
    assert read(ApplicationList, answer.proto()).items == read(ApplicationList, encode(whole)).items


@given(
    st.integers(0, 3),
    st.lists(st.sampled_from(["items.metadata.name", "items.spec", "items.status.health", "x"]), min_size=1),
)
def test_selected_fields(count: int, fields: list[str]) -> None:
    apps = [decode(application(number, number + 1)) for number in range(count)]
    fragments = [Fragment(app, CODEC) for app in apps]
    answer = answer_of(ListMeta(resource_version="7"), fragments, "")
    assert answer.select is not None
    expected = orjson.loads(AppFields.parse(fields).filtered(answer.json()))
    for _ in range(2):
        assert orjson.loads(answer.select(fields)) == expected


async def test_events() -> None:
    store: Store[Application] = Store(decode)
    feed = FanOut(store, Fragments(store, CODEC), "application")
    with feed.subscribe(lambda change: True, limit=10) as changes:
        store.put(application(1, 1))
        store.put(application(1, 2))
        for kind in ("ADDED", "MODIFIED"):
            change = await anext(changes)
            whole = ApplicationWatchEvent(type=kind, application=change.object)
            answer = change.answer()
            assert answer.json() == dumps(whole)
            assert answer.proto() == encode(whole)
            assert answer.subject == "app-00001"
    assert msgspec.json.decode(answer.json())["application"]["metadata"]["resourceVersion"] == "2"


@given(st.lists(st.integers(0, 3 * GROUP_BYTES), max_size=8))
def test_pieces_are_written_in_groups(sizes: list[int]) -> None:
    pieces = [bytes([number]) * size for number, size in enumerate(sizes)]
    groups = list(grouped(pieces))
    assert b"".join(groups) == b"".join(pieces)
    assert all(len(group) >= GROUP_BYTES for group in groups[:-1])
