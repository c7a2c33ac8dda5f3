"""What the API server holds of our own kinds, kept in memory.

Fed by the handlers (watch events) and by the answers of our own writes; whichever is newer wins,
since the event of an own write often arrives before its answer. Everything here can be rebuilt by
listing; nothing is decided here.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from tiphys.resources.identity import AppKey, Manifest
from tiphys.resources.meta import ObjectMeta


class Kept(Protocol):
    """An object with Kubernetes metadata."""

    @property
    def metadata(self) -> ObjectMeta: ...


T = TypeVar("T", bound=Kept)


class Stored(NamedTuple, Generic[T]):
    """What a put changed; ``new`` is None when the object was older than what is held."""

    old: T | None
    new: T | None


Keep = Callable[[T | None, T, Manifest, Any], Any]
Listener = Callable[[T | None, T | None], None]
"""Told the old and the new state of an object: added, changed, deleted (new is None)."""

REMEMBERED_DELETIONS = 1000


class Store(Generic[T]):
    """Objects of one kind by namespace and name.

    Args:
        decode: makes the typed object out of a manifest.
        keep: what else to keep of a manifest, None for nothing; gets what was held before, what is
            held now, the manifest, and what was kept before.
    """

    def __init__(self, decode: Callable[[Manifest], T], keep: Keep[T] | None = None):
        self._decode = decode
        self._keep = keep
        self._kept: dict[AppKey, Any] = {}
        self._objects: dict[AppKey, T] = {}
        self._deleted: OrderedDict[str, None] = OrderedDict()  # uids, so that a late answer revives none
        self._listeners: list[Listener[T]] = []
        self.newest = 0
        """The highest resourceVersion seen."""

    def listen(self, listener: Listener[T]) -> Callable[[], None]:
        """Have every change told, in order, until the returned function is called."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _tell(self, old: T | None, new: T | None) -> None:
        for listener in tuple(self._listeners):
            listener(old, new)

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._objects.values()))

    def keys(self) -> list[AppKey]:
        """The keys of all objects held."""
        return list(self._objects)

    def get(self, key: AppKey) -> T | None:
        """The newest known state of one object."""
        return self._objects.get(key)

    def put(self, manifest: Manifest) -> Stored[T]:
        """Take in an object as read from the API, unless a newer one is held."""
        metadata = manifest["metadata"]
        key = AppKey(metadata.get("namespace") or "", metadata["name"])
        version = metadata.get("resourceVersion") or ""
        if version.isdigit():
            self.newest = max(self.newest, int(version))
        old = self._objects.get(key)
        if metadata.get("uid") in self._deleted or (old is not None and not is_newer(metadata, old.metadata)):
            return Stored(old, None)
        new = self._objects[key] = self._decode(manifest)
        if self._keep is not None:
            same = old if old is not None and old.metadata.uid == new.metadata.uid else None
            kept = self._keep(same, new, manifest, self._kept.pop(key, None))
            if kept is not None:
                self._kept[key] = kept
        self._tell(old, new)
        return Stored(old, new)

    def holds(self, metadata: Manifest) -> bool:
        """Whether an object is held in the state that these metadata are of, or in a newer one."""
        key = AppKey(metadata.get("namespace") or "", metadata["name"])
        held = self._objects.get(key)
        return held is not None and not is_newer(metadata, held.metadata)

    def kept(self, key: AppKey) -> Any:
        """What else is kept of an object."""
        return self._kept.get(key)

    def delete(self, key: AppKey, uid: str = "") -> T | None:
        """Forget an object, if it is (when ``uid`` is given) still that one."""
        held = self._objects.get(key)
        if gone_uid := uid or (held.metadata.uid if held is not None else ""):
            self._deleted[gone_uid] = None
            if len(self._deleted) > REMEMBERED_DELETIONS:
                self._deleted.popitem(last=False)
        if held is None or (uid and held.metadata.uid != uid):
            return None
        self._kept.pop(key, None)
        gone = self._objects.pop(key)
        self._tell(gone, None)
        return gone


def is_newer(metadata: Manifest, held: ObjectMeta) -> bool:
    """Whether an object read from the API is newer than the one held.

    Versions are compared across objects of one name, too: the events of an object and of the one
    that took its place come through different workers, in any order.
    """
    version, known = metadata.get("resourceVersion") or "", held.resource_version
    if version.isdigit() and known.isdigit():
        return int(version) > int(known)
    return metadata.get("uid") != held.uid or version != known
