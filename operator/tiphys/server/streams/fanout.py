"""Watches: every change of a store goes to all subscribers who want it, encoded once per transport.

A store tells of a change; :class:`FanOut` makes one :class:`Change` of it and offers it to each
subscriber, whose own filter decides (project, selector, rights as they are at that moment). A
subscriber reads at its own pace out of a bounded buffer of shared changes. One that falls behind
further than its buffer is dropped: its buffer is freed at once and its next read fails, instead of
losing changes in silence. Nobody waits for anybody. A subscription ends with its ``with`` block::

    with feed.subscribe(wanted, limit=1000) as changes:
        for item in store: ...           # a snapshot, taken without awaiting anything in between
        async for change in changes:
            yield change.answer()
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Generic, TypeVar

from tiphys.reconcile.stores import Kept, Store
from tiphys.resources.identity import AppKey
from tiphys.server.api.failures import ApiFailure, Code
from tiphys.server.api.rpc import Encoded
from tiphys.server.streams.fragments import Fragment, Fragments, varint
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

T = TypeVar("T", bound=Kept)

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"


class Change(Generic[T]):
    """What happened to one object (``kind``: ADDED, MODIFIED or DELETED), shared by all who are told.

    Of a deleted object the last known state. ``field``: JSON name of the object in the watch event,
    where it is protobuf field 2 behind the kind as field 1 (api.md 10).
    """

    __slots__ = ("_field", "_fragment", "_json", "_proto", "kind")

    def __init__(self, kind: str, fragment: Fragment[T], field: str):
        self.kind = kind
        self._fragment = fragment
        self._field = field
        self._json: bytes | None = None
        self._proto: bytes | None = None

    @property
    def object(self) -> T:
        """The object after the change, or its last state."""
        return self._fragment.object

    @property
    def key(self) -> AppKey:
        """Whom it happened to."""
        metadata = self._fragment.object.metadata
        return AppKey(metadata.namespace, metadata.name)

    @property
    def version(self) -> int:
        """The object's resourceVersion as a number; 0 when it is none."""
        return number_of(self._fragment.object.metadata.resource_version)

    def json(self) -> bytes:
        """The event as JSON text."""
        if self._json is None:
            head = f'{{"type":"{self.kind}","{self._field}":'.encode()
            self._json = head + self._fragment.json + b"}"
        return self._json

    def proto(self) -> bytes:
        """The event as a protobuf message."""
        if self._proto is None:
            kind, body = self.kind.encode(), self._fragment.proto
            self._proto = b"".join((b"\x0a", varint(len(kind)), kind, b"\x12", varint(len(body)), body))
        return self._proto

    def answer(self) -> Encoded:
        """The event for a transport."""
        return Encoded(self.json, self.proto, subject=self._fragment.object.metadata.name)


def number_of(version: str | None) -> int:
    """A resourceVersion as a number; 0 for anything else (api.md 10)."""
    return int(version) if version and version.isdecimal() and version.isascii() else 0


class Subscription(Generic[T]):
    """One subscriber's view: an asynchronous iterator of changes, to be used in a ``with`` block."""

    def __init__(self, wanted: Callable[[Change[T]], bool], limit: int, leave: Callable[[], None]):
        self._wanted = wanted
        self._limit = limit
        self._leave = leave
        self._waiting: deque[Change[T]] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._failure: BaseException | None = None

    def __enter__(self) -> "Subscription[T]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting.clear()
        self._leave()

    def __aiter__(self) -> AsyncIterator[Change[T]]:
        return self

    async def __anext__(self) -> Change[T]:
        """The next change.

        Raises:
            ApiFailure: ResourceExhausted, the subscriber fell too far behind and was dropped.
        """
        while not self._waiting:
            if self._failure is not None:
                raise self._failure
            self._wake = asyncio.get_running_loop().create_future()
            try:
                await self._wake
            finally:
                self._wake = None
        return self._waiting.popleft()

    def offer(self, change: Change[T]) -> None:
        """Take a change in if it is wanted. A filter that fails ends this subscription only."""
        try:
            if not self._wanted(change):
                return
        except Exception as error:
            log.exception("the filter of a watch failed")
            self._drop(error)
            return
        if len(self._waiting) >= self._limit:
            log.warning("a watch was dropped: its client did not read %d changes", len(self._waiting))
            self._drop(too_slow())
            return
        self._waiting.append(change)
        self._notice()

    def _drop(self, error: BaseException) -> None:
        self._failure = error
        self._waiting.clear()
        self._leave()
        self._notice()

    def _notice(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


def too_slow() -> ApiFailure:
    """What a subscriber gets who was dropped."""
    return ApiFailure(
        Code.RESOURCE_EXHAUSTED,
        "the watch was dropped: its client reads too slowly; start it anew from a fresh list",
    )


class FanOut(Generic[T]):
    """The changes of one store, for any number of subscribers.

    Args:
        field: JSON name of the object in the watch event: ``application``, ``applicationSet``.
    """

    def __init__(self, store: Store[T], fragments: Fragments[T], field: str):
        self._store = store
        self._fragments = fragments
        self._field = field
        self._subscribers: dict[int, Subscription[T]] = {}
        self._next = 0
        store.listen(self._changed)

    def __len__(self) -> int:
        """How many subscribe."""
        return len(self._subscribers)

    def subscribe(self, wanted: Callable[[Change[T]], bool], *, limit: int) -> Subscription[T]:
        """Hear of every change from now on that ``wanted`` says yes to.

        Args:
            wanted: asked once for each change, at the moment of the change; must not wait.
            limit: how many changes may lie unread.
        """
        self._next += 1
        number = self._next
        subscription = Subscription(wanted, limit, lambda: self._forget(number))
        self._subscribers[number] = subscription
        return subscription

    def initial(self, item: T) -> Change[T]:
        """An object of the snapshot that a watch begins with, as ADDED."""
        metadata = item.metadata
        current = self._store.get(AppKey(metadata.namespace, metadata.name)) is item
        return Change(
            ADDED, self._fragments.of(item) if current else self._fragments.apart(item), self._field
        )

    def first(self, fragment: Fragment[T]) -> Change[T]:
        """The same, of a fragment that is at hand."""
        return Change(ADDED, fragment, self._field)

    def _forget(self, number: int) -> None:
        self._subscribers.pop(number, None)

    def _changed(self, old: T | None, new: T | None) -> None:
        if not self._subscribers:
            return
        replaced = old is not None and new is not None and old.metadata.uid != new.metadata.uid
        if old is not None and (new is None or replaced):
            self._publish(Change(DELETED, self._fragments.apart(old), self._field))
        if new is not None:
            kind = ADDED if old is None or replaced else MODIFIED
            self._publish(Change(kind, self._fragments.of(new), self._field))

    def _publish(self, change: Change[T]) -> None:
        for subscription in tuple(self._subscribers.values()):
            subscription.offer(change)
