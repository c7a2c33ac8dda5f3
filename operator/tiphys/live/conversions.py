"""Objects fetched by GET because the cache does not hold them as asked.

Either the manifest names another version of the kind than the one that is watched (then only the
server can convert), or a target meets an object that is not tracked yet. The answer is kept until
the object changes, in a bounded number.
"""

from collections import OrderedDict

import orjson

from tiphys.live.reading import strip_managed_fields
from tiphys.resources.identity import GVK, Manifest, ResourceKey

LIMIT = 2_000
LIMIT_BYTES = 16_000_000


class Conversions:
    """The most recently used answers, at most ``LIMIT`` and ``LIMIT_BYTES``."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[ResourceKey, GVK], tuple[str, bytes]] = OrderedDict()
        self._bytes = 0

    def get(self, key: ResourceKey, gvk: GVK, resource_version: str) -> bytes | None:
        """The JSON of ``key`` at this resourceVersion (never if that is empty)."""
        found = self._kept.get((key, gvk))
        if found is None or not resource_version or found[0] != resource_version:
            return None
        self._kept.move_to_end((key, gvk))
        return found[1]

    def keep(self, key: ResourceKey, gvk: GVK, manifest: Manifest) -> None:
        """Remember an answer."""
        stripped = dict(manifest)
        strip_managed_fields(stripped)
        version = str((manifest.get("metadata") or {}).get("resourceVersion") or "")
        self._drop((key, gvk))
        try:
            body = bytes(memoryview(orjson.dumps(stripped)))  # a copy: see reading.py
        except TypeError:  # nested too deeply to be written
            return
        self._kept[key, gvk] = (version, body)
        self._bytes += len(body)
        while len(self._kept) > LIMIT or self._bytes > LIMIT_BYTES:
            self._drop(next(iter(self._kept)))

    def forget(self, key: ResourceKey) -> None:
        """The object is gone."""
        for place in [place for place in self._kept if place[0] == key] if self._kept else ():
            self._drop(place)

    def _drop(self, place: tuple[ResourceKey, GVK]) -> None:
        old = self._kept.pop(place, None)
        if old is not None:
            self._bytes -= len(old[1])
