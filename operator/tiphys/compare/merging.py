"""Answers of dry runs compared with live objects, and previews of what an apply makes.

``comparable`` takes away what the server writes itself; the three ``…_difference`` functions find
the first place where an answer differs from live: anywhere, at fields our manager owns before or
after (what webhooks add is nobody's wish), or at the places a patch touched.
"""

from typing import Any

from tiphys.compare.equality import same
from tiphys.compare.ownership import Fields, find_item, subtrees
from tiphys.compare.schemas import Node
from tiphys.compare.strategic import DELETE_PRIMITIVE, ORDER, child, index
from tiphys.compare.structure import Path
from tiphys.resources.identity import Manifest

_NOTHING: Any = object()
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_NEVER_COUNTS = frozenset(("managedFields", "resourceVersion", "generation", "creationTimestamp"))
_NOT_SHOWN = frozenset(("managedFields", "creationTimestamp"))


def comparable(manifest: Manifest) -> Manifest:
    """Without metadata that never counts (sync.md 7)."""
    metadata = {k: v for k, v in (manifest.get("metadata") or {}).items() if k not in _NEVER_COUNTS}
    annotations = metadata.get("annotations")
    if annotations and _LAST_APPLIED in annotations:
        kept = {key: value for key, value in annotations.items() if key != _LAST_APPLIED}
        if kept:
            metadata["annotations"] = kept
        else:
            del metadata["annotations"]
    return {**manifest, "metadata": metadata}


def shown(manifest: Manifest) -> Manifest:
    """Without what only the server writes and nobody compares."""
    metadata = {k: v for k, v in (manifest.get("metadata") or {}).items() if k not in _NOT_SHOWN}
    return {**manifest, "metadata": metadata}


def first_difference(one: Any, other: Any, path: Path = ()) -> Path | None:
    """The first place where two values differ."""
    if same(one, other):
        return None
    if type(one) is dict and type(other) is dict:
        for key in (*one, *(key for key in other if key not in one)):
            if not same(one.get(key, _NOTHING), other.get(key, _NOTHING)):
                return first_difference(one.get(key), other.get(key), (*path, key)) or (*path, key)
    return path


def patched_difference(after: Any, before: Any, patch: Manifest, path: Path = ()) -> Path | None:
    """The first place a merge patch touched where the two differ."""
    for key, change in patch.items():
        name = key
        for prefix in (ORDER, DELETE_PRIMITIVE):
            if key.startswith(prefix):
                name = key[len(prefix) :]
        if name.startswith("$"):
            # the map was replaced or pruned: all of it was touched
            found = first_difference(after, before, path)
            if found is not None:
                return found
            continue
        one, other = after.get(name, _NOTHING), before.get(name, _NOTHING)
        if type(change) is dict and type(one) is dict and type(other) is dict:
            found = patched_difference(one, other, change, (*path, name))
            if found is not None:
                return found
        elif not same(one, other):
            return (*path, name)
    return None


def owned_difference(
    after: Manifest, before: Manifest, after_fields: Fields, before_fields: Fields, path: Path = ()
) -> Path | None:
    """The first place that our manager owns, before or after, where the two differ."""
    for part in dict.fromkeys((*after_fields, *before_fields)):
        if not part.startswith("f:"):
            continue
        key = part[2:]
        one, other = after.get(key, _NOTHING), before.get(key, _NOTHING)
        if same(one, other):
            continue
        here = (*path, key)
        now, earlier = after_fields.get(part), before_fields.get(part)
        if not now and not earlier:
            return here
        found: Path | None
        if type(one) is dict and type(other) is dict:
            found = owned_difference(one, other, now or {}, earlier or {}, here)
        elif type(one) is list and type(other) is list:
            found = _owned_list_difference(one, other, now or {}, earlier or {}, here)
        else:
            return here
        if found is not None:
            return found
    return None


def _owned_list_difference(
    after: list[Any], before: list[Any], after_fields: Fields, before_fields: Fields, path: Path
) -> Path | None:
    order_after: list[int] = []
    order_before: list[int] = []
    for part in dict.fromkeys((*after_fields, *before_fields)):
        if part == ".":
            continue
        here = (*path, f"[{part[2:]}]")
        at_after, at_before = find_item(after, part), find_item(before, part)
        if at_after is None or at_before is None:
            if at_after is at_before:
                continue
            return here
        order_after.append(at_after)
        order_before.append(at_before)
        one, other = after[at_after], before[at_before]
        if type(one) is dict and type(other) is dict:
            found = owned_difference(
                one, other, after_fields.get(part) or {}, before_fields.get(part) or {}, here
            )
            if found is not None:
                return found
    ranks = range(len(order_after))
    if sorted(ranks, key=order_after.__getitem__) != sorted(ranks, key=order_before.__getitem__):
        return path
    return None


def applied(wanted: Any, live: Any, node: Node | None, fields: Fields | None) -> Any:
    """A preview of a server-side apply: wanted values over live ones, our unwanted fields gone."""
    if type(wanted) is dict and type(live) is dict:
        if node is not None and node.atomic:
            return wanted
        result = {
            key: value
            for key, value in live.items()
            if key in wanted or not _was_ours(fields, key) or key in ("apiVersion", "kind")
        }
        for key, value in wanted.items():
            inner = fields.get("f:" + key) if fields else None
            result[key] = applied(value, live[key], child(node, key), inner) if key in live else value
        return result
    if type(wanted) is list and type(live) is list and node is not None and node.map_keys:
        wanted_by, live_by = (index(items, node.map_keys, node.item) for items in (wanted, live))
        if wanted_by is None or live_by is None:
            return wanted
        owned = {
            at
            for part, _ in subtrees(fields or {})
            if part.startswith("k:") and (at := find_item(live, part)) is not None
        }
        made = {
            name: applied(item, live_by[name], node.item, None) if name in live_by else item
            for name, item in wanted_by.items()
        }
        foreign = [
            item
            for at, (name, item) in enumerate(live_by.items())
            if name not in wanted_by and at not in owned
        ]
        return [*made.values(), *foreign]
    if type(wanted) is list and type(live) is list and node is not None and node.is_set:
        return wanted + [item for item in live if item not in wanted]
    return wanted


def _was_ours(fields: Fields | None, key: str) -> bool:
    return bool(fields) and fields is not None and fields.get("f:" + key) == {}
