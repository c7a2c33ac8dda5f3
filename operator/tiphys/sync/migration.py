"""Moving field ownership from client-side to server-side apply (sync.md 13.3, 13.4).

Before a server-side apply, fields that an ``Update`` entry of a client-side apply owns are given
to our ``Apply`` entry, so that fields dropped from the desired object are removed by that apply
instead of being left behind. Pure: a live object in, a JSON patch of ``managedFields`` out.
"""

from collections.abc import Collection
from typing import Any

from tiphys.compare.threeway import LAST_APPLIED
from tiphys.resources.identity import Manifest

DEFAULT_MANAGER = "kubectl-client-side-apply"
"""Migrated unless the Application names another manager."""


def managers_to_migrate(live: Manifest, manager: str, ours: str, *, enabled: bool) -> frozenset[str]:
    """Managers whose ``Update`` entries have to become part of our ``Apply`` entry.

    ``manager`` counts when migration is enabled. Our own name counts when its entry owns the
    last-applied annotation, that is when we applied client-side before (sync.md 13.3).
    """
    found = set()
    for entry in _entries(live):
        if entry.get("operation") != "Update" or entry.get("subresource"):
            continue
        owner = str(entry.get("manager") or "")
        if (enabled and owner == manager) or (owner == ours and _owns_last_applied(entry)):
            found.add(owner)
    return frozenset(found)


def migration_patch(live: Manifest, managers: Collection[str], ours: str) -> list[dict[str, Any]] | None:
    """A JSON patch that merges the ``Update`` entries of ``managers`` into our ``Apply`` entry.

    Guarded by the resource version: a concurrent write gives a Conflict, never a lost entry.
    ``None`` when there is nothing to move.
    """
    entries = _entries(live)
    moving = [e for e in entries if _is_moving(e, managers)]
    if not moving:
        return None
    mine = next(
        (
            e
            for e in entries
            if e.get("manager") == ours and e.get("operation") == "Apply" and not e.get("subresource")
        ),
        None,
    )
    merged = dict(mine if mine is not None else moving[0])
    fields: dict[str, Any] = dict((mine or {}).get("fieldsV1") or {})
    for entry in moving:
        fields = union(fields, entry.get("fieldsV1") or {})
    merged.update(manager=ours, operation="Apply", fieldsV1=fields)
    kept = [e for e in entries if e is not mine and not _is_moving(e, managers)]
    return [
        {"op": "replace", "path": "/metadata/managedFields", "value": [merged, *kept]},
        {
            "op": "replace",
            "path": "/metadata/resourceVersion",
            "value": live["metadata"]["resourceVersion"],
        },
    ]


def union(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Union of two ``fieldsV1`` trees."""
    merged = dict(one)
    for key, value in other.items():
        mine = merged.get(key)
        merged[key] = union(mine, value) if isinstance(mine, dict) and isinstance(value, dict) else value
    return merged


def _entries(live: Manifest) -> list[dict[str, Any]]:
    entries = (live.get("metadata") or {}).get("managedFields") or ()
    return [entry for entry in entries if isinstance(entry, dict)]


def _is_moving(entry: dict[str, Any], managers: Collection[str]) -> bool:
    return (
        entry.get("operation") == "Update"
        and not entry.get("subresource")
        and entry.get("manager") in managers
    )


def _owns_last_applied(entry: dict[str, Any]) -> bool:
    metadata = (entry.get("fieldsV1") or {}).get("f:metadata") or {}
    return f"f:{LAST_APPLIED}" in (metadata.get("f:annotations") or {})
