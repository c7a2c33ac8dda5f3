"""Objects in their encoded form: encoded once per change, and only in the form somebody asks for.

A list over REST or gRPC is its items joined: in JSON with commas, in protobuf each behind its tag and
length. So an answer to 6,000 objects costs a join, and a change costs one encoding per transport.

A fragment keeps the JSON and the protobuf bytes once they were asked for; an installation whose
clients speak one of both never pays for the other.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Generic, TypeVar

import msgspec

from tiphys.reconcile.stores import Kept, Store
from tiphys.resources.identity import AppKey

T = TypeVar("T", bound=Kept)


class Codec(msgspec.Struct, Generic[T], frozen=True):
    """How one kind is written: ``json`` as the REST gateway does (api.md 3), ``proto`` per api.md 6."""

    json: Callable[[T], bytes]
    proto: Callable[[T], bytes]


class Fragment(Generic[T]):
    """One version of one object with its encoded forms."""

    __slots__ = ("_codec", "_json", "_proto", "extra", "object")

    def __init__(self, item: T, codec: Codec[T]):
        self.object = item
        self.extra: Any = None
        """What a reader of the fragment keeps with it (projections); goes when the object changes."""
        self._codec = codec
        self._json: bytes | None = None
        self._proto: bytes | None = None

    def has(self, *, json: bool) -> bool:
        """Whether the JSON (else the protobuf) form is made already."""
        return (self._json if json else self._proto) is not None

    @property
    def json(self) -> bytes:
        """The object as JSON text."""
        if self._json is None:
            self._json = compact(self._codec.json(self.object))
        return self._json

    @property
    def proto(self) -> bytes:
        """The object as a protobuf message (without tag and length)."""
        if self._proto is None:
            self._proto = compact(self._codec.proto(self.object))
        return self._proto


class Fragments(Generic[T]):
    """The fragments of a store's objects; those that nobody asked for cost nothing."""

    def __init__(self, store: Store[T], codec: Codec[T]):
        self._codec = codec
        self._held: dict[AppKey, Fragment[T]] = {}
        store.listen(self._changed)

    def of(self, item: T) -> Fragment[T]:
        """The fragment of this version of an object; made anew where another version is held."""
        metadata = item.metadata
        key = AppKey(metadata.namespace, metadata.name)
        held = self._held.get(key)
        if held is None or held.object is not item:
            held = self._held[key] = Fragment(item, self._codec)
        return held

    def apart(self, item: T) -> Fragment[T]:
        """A fragment that is not held: of an object that is gone."""
        return Fragment(item, self._codec)

    def _changed(self, old: T | None, new: T | None) -> None:
        if old is None:
            return
        key = AppKey(old.metadata.namespace, old.metadata.name)
        held = self._held.get(key)
        if held is not None and held.object is not new:
            del self._held[key]


def compact(body: bytes) -> bytes:
    """A copy in a place of its own: encoders leave the room they did not need behind their result, and
    what is kept among their other leavings keeps the allocator from using them again."""
    return bytes(memoryview(body))


def join_proto(tag: bytes, items: Iterable[bytes], head: bytes = b"") -> bytes:
    """A repeated message field: each item behind ``tag`` (``number << 3 | 2``) and its length; all that
    behind ``head``."""
    parts: list[bytes] = [head]
    for item in items:
        parts += (tag, varint(len(item)), item)
    return b"".join(parts)


@lru_cache(maxsize=8192)  # objects of one kind are of few sizes
def varint(value: int) -> bytes:
    """A non-negative number in protobuf's base-128 form."""
    if value < 0x80:
        return _SMALL[value]
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_SMALL = tuple(bytes((value,)) for value in range(0x80))
