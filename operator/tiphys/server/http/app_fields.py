"""The ``fields`` of GET applications (api.md 3): a closed set of paths, taken from each Application.

Only the listed paths mean anything; others are ignored. The answer keeps ``metadata`` of the list. A
selected ancestor makes its descendants superfluous; what an Application does not have is left out.
``status.operationState.operation.sync`` gives the *result* of the sync, a quirk that lists of the
reference's UI are built on.

Pure: the JSON of an Application in, the selected parts out. Works on decoded JSON, so that whoever has
fragments at hand may decode just what is asked for.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import orjson

from tiphys.server.http.answers import encode_plain

_RESULT = "status.operationState.operation.sync"

SUPPORTED = (
    "metadata.name",
    "metadata.namespace",
    "metadata.annotations",
    "metadata.labels",
    "metadata.creationTimestamp",
    "metadata.deletionTimestamp",
    "spec",
    "spec.destination",
    "spec.project",
    "spec.source",
    "spec.sources",
    "spec.sourceHydrator",
    "spec.syncPolicy",
    "status.sourceHydrator",
    "status.summary",
    "status.sync.status",
    "status.sync.revision",
    "status.health",
    "status.resources",
    "status.operationState.startedAt",
    "status.operationState.finishedAt",
    "status.operationState.phase",
    _RESULT,
    "operation.sync",
)
"""What may be selected, without the ``items.`` in front."""

_SOURCES: Mapping[str, str] = {_RESULT: "status.operationState.syncResult"}
_MISSING = object()


class AppFields(msgspec.Struct, frozen=True):
    """The selected paths of each item."""

    paths: tuple[str, ...]

    @classmethod
    def parse(cls, fields: Sequence[str]) -> "AppFields":
        """From the paths of the query (``items.metadata.name``; the first with ``-``: exclude)."""
        exclude = bool(fields) and fields[0].startswith("-")
        named = {path.removeprefix("-").removeprefix("items.") for path in fields if _is_item(path)}
        chosen = [path for path in SUPPORTED if (path in named) != exclude]
        if exclude:
            chosen = [path for path in chosen if not any(each.startswith(f"{path}.") for each in named)]
        return cls(tuple(path for path in chosen if not _has_ancestor(path, chosen)))

    def of(self, app: Mapping[str, Any]) -> dict[str, Any]:
        """The selected parts of one Application in decoded JSON."""
        found: dict[str, Any] = {}
        for path in self.paths:
            value = _look_up(app, _SOURCES.get(path, path))
            if value is _MISSING:
                continue
            *parents, last = path.split(".")
            place = found
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = value
        return found

    def filtered(self, encoded: bytes) -> bytes:
        """An encoded list with only the selected parts of its items, keys sorted."""
        answer = orjson.loads(encoded)
        items = answer.get("items")
        kept = {
            "metadata": answer.get("metadata") or {},
            "items": [self.of(item) for item in items] if items is not None else None,
        }
        return encode_plain(kept, sort=True)


def _is_item(path: str) -> bool:
    return path.removeprefix("-").startswith("items.")


def _has_ancestor(path: str, chosen: Sequence[str]) -> bool:
    return any(path.startswith(f"{other}.") for other in chosen)


def _look_up(app: Mapping[str, Any], path: str) -> Any:
    value: Any = app
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return _MISSING
        value = value[part]
    return value
