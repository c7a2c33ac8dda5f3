"""Values that must never be printed.

Settings carry credentials through the whole program, and anything that prints a struct (a log
line, an exception, a debugger, a failing test) would print them. So the structs here hide them:
``redacted`` writes the repr of a struct with its secret fields replaced, ``Quiet`` is a mapping
that shows only its keys, and ``digest_of`` names a set of credentials without revealing them, so
that caches can tell when one changed.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

import msgspec

HIDDEN = "******"
"""What stands where a secret would."""

V = TypeVar("V")

_KEY = os.urandom(32)
"""Digests are keyed per process: they compare values, and cannot be looked up in a table."""


class Quiet(Mapping[str, V], Generic[V]):
    """A read-only mapping whose repr shows its keys and no values."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, V] | None = None) -> None:
        self._items: dict[str, V] = dict(items or {})

    def __getitem__(self, key: str) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Quiet):
            return self._items == other._items
        return isinstance(other, Mapping) and self._items == dict(other)

    def __hash__(self) -> int:
        return hash(frozenset(self._items))

    def __repr__(self) -> str:
        return f"Quiet(keys: {', '.join(sorted(self._items)) or 'none'})"


def redacted(struct: msgspec.Struct, secret_fields: frozenset[str]) -> str:
    """The repr of a struct with non-empty secret fields replaced, fields at their default left out."""
    shown = []
    for field in msgspec.structs.fields(struct):
        value = getattr(struct, field.name)
        if field.name in secret_fields:
            if value:
                shown.append(f"{field.name}={HIDDEN}")
        elif field.required or value != field.default:
            shown.append(f"{field.name}={value!r}")
    return f"{type(struct).__name__}({', '.join(shown)})"


def digest_of(values: Iterable[object]) -> str:
    """A name for these values in this process: equal for equal values, 32 hexadecimal digits."""
    state = hashlib.blake2b(key=_KEY, digest_size=16)
    for value in values:
        encoded = repr(value).encode("utf-8", "surrogateescape")
        state.update(len(encoded).to_bytes(8, "big"))
        state.update(encoded)
    return state.hexdigest()
