"""Which of two accounts of an object is the newer one.

Whoever writes a setting puts the answer into the store at once; the watch tells the same later, and
perhaps something older before it. What is older than what is known, or tells of an object that is
gone, is no news.
"""

from collections import OrderedDict
from typing import NamedTuple

from tiphys.resources.identity import Manifest

_REMEMBERED = 4096


class _Known(NamedTuple):
    uid: str
    version: int


class Newness:
    """Remembers the newest version of each object by a name, and the objects that are gone."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()
        self._gone: OrderedDict[str, None] = OrderedDict()

    def is_news(self, kind: str, name: str, manifest: Manifest) -> bool:
        """Whether the manifest is at least as new as what is known; it is known from now on.

        Versions are compared across objects of one name, too. Without a version (an object that no
        API server has seen) everything is news.
        """
        metadata = manifest.get("metadata") or {}
        uid, text = str(metadata.get("uid") or ""), str(metadata.get("resourceVersion") or "")
        if uid in self._gone:
            return False
        if not text.isdigit():
            return True
        known = self._known.get((kind, name))
        if known is not None and int(text) < known.version:
            return False
        self._known[kind, name] = _Known(uid, int(text))
        self._known.move_to_end((kind, name))
        _bound(self._known)
        return True

    def is_gone(self, kind: str, name: str, uid: str) -> bool:
        """Whether the end of an object means that the name is free; ``uid`` ``""`` means whichever
        has the name. It stays gone, whatever is told of it later."""
        known = self._known.get((kind, name))
        ended = uid or (known.uid if known is not None else "")
        if ended:
            self._gone[ended] = None
            _bound(self._gone)
        return known is None or not uid or not known.uid or known.uid == uid


def _bound(kept: "OrderedDict[str, None] | OrderedDict[tuple[str, str], _Known]") -> None:
    if len(kept) > _REMEMBERED:
        kept.popitem(last=False)
