"""The ``fields`` query: only these parts of an answer, or all but these (api.md 3 "fields query filter").

The generic filter works on any answer: dotted paths, lists are looked through, and in streams paths begin
with ``result.``. Two quirks of the reference are kept, since dashboards are written against them: a key
survives when its path is a plain string prefix of a listed one (``m`` for ``metadata.name``), and filtered
objects have sorted keys. GET applications has a filter of its own: ``app_fields``.

Pure.
"""

from typing import Any

import msgspec
import orjson

from tiphys.server.http.answers import encode_plain

HONOURED = frozenset(
    {
        "/application.ApplicationService/List",
        "/application.ApplicationService/ManagedResources",
        "/application.ApplicationService/WatchResourceTree",
        "/application.ApplicationService/Watch",
        "/application.ApplicationService/PodLogs",
        "/applicationset.ApplicationSetService/Watch",
        "/project.ProjectService/List",
    }
)
"""gRPC paths of the methods that look at ``fields``."""


class Fields(msgspec.Struct, frozen=True):
    """What to keep, or (``exclude``) what to drop."""

    paths: tuple[str, ...]
    exclude: bool = False

    @classmethod
    def parse(cls, text: str) -> "Fields | None":
        """``a.b,c`` or ``-a.b,c``; None for nothing."""
        exclude = text.startswith("-")
        paths = tuple(part for part in text.removeprefix("-").split(",") if part)
        return cls(paths, exclude) if paths else None

    def apply(self, value: Any, place: str = "") -> Any:
        """The filtered copy of decoded JSON."""
        if isinstance(value, list):
            return [self.apply(item, place) for item in value]
        if not isinstance(value, dict):
            return value
        kept = {}
        for key, inner in value.items():
            path = f"{place}.{key}" if place else key
            listed = path in self.paths
            if self.exclude:
                if not listed:
                    kept[key] = self.apply(inner, path)
            elif listed:
                kept[key] = inner
            elif any(wanted.startswith(path) for wanted in self.paths):
                kept[key] = self.apply(inner, path)
        return kept

    def filtered(self, encoded: bytes) -> bytes:
        """Encoded JSON with only the wanted parts, keys sorted."""
        return encode_plain(self.apply(orjson.loads(encoded)), sort=True)
