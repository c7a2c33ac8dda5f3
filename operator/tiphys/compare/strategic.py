"""Strategic merge patches: building one from three objects (sync.md 4.7, 13.2).

The schema says for every list whether it is merged by a key (containers by name), merged as a set
(finalizers) or replaced, and for every map whether it is merged, replaced, or pruned to the keys
of the patch (``$retainKeys``, for unions like ``strategy`` and volumes).

Where a merge key names two items (ports 53/TCP and 53/UDP), a patch by that key would mix them up,
as kubectl's does. Such lists are merged here, by the keys of server-side apply, and sent whole.
"""

from typing import Any

from tiphys.compare.equality import same
from tiphys.compare.schemas import Node
from tiphys.resources.identity import Manifest

ORDER, RETAIN, DIRECTIVE, DELETE_PRIMITIVE = (
    "$setElementOrder/",
    "$retainKeys",
    "$patch",
    "$deleteFromPrimitiveList/",
)


def strategic_patch(original: Any, modified: Manifest, current: Manifest, node: Node | None) -> Manifest:
    """The patch that brings ``current`` to ``modified``; empty when there is nothing to change.

    ``node`` is the schema of the three, ``None`` below unknown fields (merged as plain maps).
    """
    patch: Manifest = {}
    before: Manifest = original if type(original) is dict else {}
    for key, wanted in modified.items():
        present = current.get(key)
        if present is None and (key not in current or wanted is None):
            if wanted is not None:
                patch[key] = wanted
            continue
        _field_patch(patch, key, before.get(key), wanted, present, child(node, key))
    for key in before:
        if key not in modified and key in current:
            patch[key] = None
    return patch


def child(node: Node | None, key: str) -> Node | None:
    """The node of a field or map value."""
    if node is None:
        return None
    if node.code == "r":
        return node.type.field(key)
    return node.item if node.code == "m" else None


def _field_patch(
    patch: Manifest, key: str, before: Any, wanted: Any, present: Any, node: Node | None
) -> None:
    if type(wanted) is dict and type(present) is dict:
        if node is not None and node.strategy == "replace":
            if not same(wanted, present):
                patch[key] = {**wanted, DIRECTIVE: "replace"}
            return
        inner = strategic_patch(before, wanted, present, node)
        if node is not None and node.retain_keys:
            _retain(inner, wanted, present, node)
        if inner:
            patch[key] = inner
    elif type(wanted) is list and type(present) is list and node is not None and node.strategy == "merge":
        earlier = before if type(before) is list else []
        if node.merge_key:
            _keyed_patch(patch, key, earlier, wanted, present, node)
        else:
            _set_patch(patch, key, earlier, wanted, present)
    elif not same(wanted, present):
        patch[key] = wanted


def _retain(inner: Manifest, wanted: Manifest, present: Manifest, node: Node) -> None:
    """``$retainKeys``, unless all it would remove is what the server fills in anyway."""
    defaults = node.type.defaults if node.code == "r" else {}
    surplus = any(
        key not in wanted and not (key in defaults and same(defaults[key], value))
        for key, value in present.items()
    )
    if surplus or inner:
        inner[RETAIN] = sorted(wanted)


def _set_patch(patch: Manifest, key: str, before: list[Any], wanted: list[Any], present: list[Any]) -> None:
    added = [item for item in wanted if item not in present]
    removed = [item for item in before if item not in wanted and item in present]
    kept = [item for item in present if item in wanted]
    if not added and not removed and kept == [item for item in wanted if item in present]:
        return
    if added:
        patch[key] = added
    if removed:
        patch[DELETE_PRIMITIVE + key] = removed
    patch[ORDER + key] = wanted


def _keyed_patch(
    patch: Manifest, key: str, before: list[Any], wanted: list[Any], present: list[Any], node: Node
) -> None:
    merge_key, item_node = node.merge_key, node.item
    wanted_by, present_by = index(wanted, (merge_key,)), index(present, (merge_key,))
    if wanted_by is None or present_by is None:
        merged = merge_ambiguous(before, wanted, present, node)
        if not same(merged, present):
            patch[key] = [*merged, {DIRECTIVE: "replace"}]
        return
    before_by = index(before, (merge_key,)) or {}
    items: list[Any] = []
    for identity, item in wanted_by.items():
        found = present_by.get(identity)
        if found is None:
            items.append(item)
            continue
        inner = strategic_patch(before_by.get(identity), item, found, item_node)
        if node.retain_keys and item_node is not None:
            _retain(inner, item, found, item_node)
        if inner:
            inner[merge_key] = item[merge_key]
            items.append(inner)
    for identity in before_by:
        if identity not in wanted_by and identity in present_by:
            items.append({merge_key: identity[0], DIRECTIVE: "delete"})
    order = [identity for identity in present_by if identity in wanted_by]
    if not items and order == [identity for identity in wanted_by if identity in present_by]:
        return
    if items:
        patch[key] = items
    patch[ORDER + key] = [{merge_key: item[merge_key]} for item in wanted]


def index(
    items: list[Any], keys: tuple[str, ...], node: Node | None = None
) -> dict[tuple[Any, ...], Manifest] | None:
    """Items by their key fields (defaults filled in); ``None`` if a key is missing or comes twice."""
    found: dict[tuple[Any, ...], Manifest] = {}
    info = node.type if node is not None and node.code == "r" else None
    for item in items:
        if type(item) is not dict:
            return None
        identity = []
        for key in keys:
            value = item.get(key)
            if value is None and info is not None:
                value = info.default(item, key)
            if value is None or type(value) is dict or type(value) is list:
                return None
            identity.append(value)
        name = tuple(identity)
        if name in found:
            return None
        found[name] = item
    return found


def merge_ambiguous(before: list[Any], wanted: list[Any], present: list[Any], node: Node) -> list[Any]:
    """The merged list where the merge key alone does not tell items apart."""
    keys, item = node.map_keys, node.item
    wanted_by = index(wanted, keys, item) if keys else None
    present_by = index(present, keys, item) if keys else None
    if wanted_by is None or present_by is None:
        return wanted
    before_by = index(before, keys, item) or {}
    merged = [
        merge(before_by.get(identity), entry, present_by[identity], item) if identity in present_by else entry
        for identity, entry in wanted_by.items()
    ]
    foreign = [
        entry
        for identity, entry in present_by.items()
        if identity not in wanted_by and identity not in before_by
    ]
    # kept where they stand if nothing was added or moved, else behind what is wanted
    identities = [identity for identity in present_by if identity in wanted_by]
    if identities == list(wanted_by):
        by_identity = dict(zip(wanted_by, merged, strict=True))
        return [
            by_identity.get(identity, entry)
            for identity, entry in present_by.items()
            if identity in wanted_by or identity not in before_by
        ]
    return merged + foreign


def merge(original: Any, modified: Any, current: Any, node: Node | None) -> Any:
    """What a live value becomes: the patch of the three values applied, before defaults."""
    if type(modified) is dict and type(current) is dict:
        if node is not None and node.strategy == "replace":
            return modified
        before = original if type(original) is dict else {}
        result = {key: value for key, value in current.items() if key in modified or key not in before}
        if node is not None and node.retain_keys:
            result = _retained(result, modified, node)
        for key, value in modified.items():
            if value is None:
                result.pop(key, None)
            elif key in current:
                result[key] = merge(before.get(key), value, current[key], child(node, key))
            else:
                result[key] = value
        return result
    if type(modified) is list and type(current) is list and node is not None and node.strategy == "merge":
        return _merge_list(original if type(original) is list else [], modified, current, node)
    return modified


def _retained(result: Manifest, modified: Manifest, node: Node) -> Manifest:
    defaults = node.type.defaults if node.code == "r" else {}
    return {k: v for k, v in result.items() if k in modified or (k in defaults and same(defaults[k], v))}


def _merge_list(before: list[Any], wanted: list[Any], present: list[Any], node: Node) -> list[Any]:
    if not node.merge_key:
        kept = [item for item in present if item in wanted or item not in before]
        if [item for item in kept if item in wanted] == wanted:
            return kept
        return wanted + [item for item in kept if item not in wanted]
    key = (node.merge_key,)
    wanted_by, present_by = index(wanted, key), index(present, key)
    if wanted_by is None or present_by is None:
        return merge_ambiguous(before, wanted, present, node)
    before_by = index(before, key) or {}
    made = {}
    for identity, item in wanted_by.items():
        found = present_by.get(identity)
        if found is None:
            made[identity] = item
            continue
        made[identity] = merge(before_by.get(identity), item, found, node.item)
        if node.retain_keys and node.item is not None:
            made[identity] = _retained(made[identity], item, node.item)
    if [identity for identity in present_by if identity in wanted_by] == list(wanted_by):
        return [
            made.get(identity, item)
            for identity, item in present_by.items()
            if identity in wanted_by or identity not in before_by
        ]
    foreign = [i for n, i in present_by.items() if n not in wanted_by and n not in before_by]
    return [*made.values(), *foreign]
