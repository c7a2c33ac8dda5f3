"""What applying a target would take away: the other half of "would anything change".

A client-side apply removes what was applied last (the annotation) and is no longer wanted. A
server-side apply removes what our entry in ``managedFields`` owns, the target no longer has, and
nobody else owns. Either way the server may fill in a default where a field went: where the table
knows the default the answer is certain, else it is a doubt for a dry run.
"""

from collections.abc import Sequence
from typing import Any

from tiphys.compare.equality import same
from tiphys.compare.ownership import Fields, find_item, key_fields, subtrees
from tiphys.compare.schemas import Node
from tiphys.compare.strategic import child, index
from tiphys.compare.structure import Different, Doubt, Path, Walk
from tiphys.resources.identity import Manifest

_NOTHING: Any = object()
_SKIPPED = frozenset(("apiVersion", "kind", "status"))
_METADATA_SKIPPED = frozenset(("name", "namespace", "creationTimestamp", "uid", "resourceVersion"))
_NEVER_DEFAULTED = frozenset(
    (
        *("labels", "annotations", "data", "binaryData", "nodeSelector", "matchLabels", "hard"),
        *("env", "envFrom", "args", "command", "volumeMounts", "initContainers", "imagePullSecrets"),
        *("affinity", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "minAvailable"),
    )
)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def removed_by_patch(
    walk: Walk, original: Manifest, target: Manifest, live: Manifest, node: Node | None, metadata_node: Node
) -> None:
    """Note what a client-side apply would remove.

    Raises:
        Different: something would surely go.
    """
    for key, before in original.items():
        if key in _SKIPPED:
            continue
        inner = metadata_node if key == "metadata" else child(node, key)
        _patch_field(walk, key, before, target, live, inner, node, (key,))


def _patch_field(
    walk: Walk,
    key: str,
    before: Any,
    wanted: Manifest,
    live: Manifest,
    node: Node | None,
    parent: Node | None,
    path: Path,
) -> None:
    if key not in live or (live[key] is None and not walk.custom):
        return
    value, present = wanted.get(key), live[key]
    if value is None:
        if key in _METADATA_SKIPPED and path[:-1] == ("metadata",):
            return
        if path in (("metadata",), ("metadata", "annotations")):
            value = {}  # never removed as a whole: the apply writes an annotation of its own
        else:
            if before is not None or key not in wanted:
                _gone(walk, key, present, live, node, parent, path)
            return
    if type(before) is dict and type(value) is dict and type(present) is dict:
        if node is not None and node.strategy == "replace":
            return
        for name, inner in before.items():
            if name == _LAST_APPLIED:
                continue
            _patch_field(walk, name, inner, value, present, child(node, name), node, (*path, name))
    elif (
        type(before) is list
        and type(value) is list
        and type(present) is list
        and node is not None
        and node.strategy == "merge"
        and not walk.custom
    ):
        _patch_list(walk, before, value, present, node, path)


def _patch_list(
    walk: Walk, before: list[Any], wanted: list[Any], live: list[Any], node: Node, path: Path
) -> None:
    if not node.merge_key:
        if any(item in live and item not in wanted for item in before):
            raise Different(path, "an item would be removed")
        return
    for keys, item_node in (((node.merge_key,), None), (node.map_keys, node.item)):
        before_by, wanted_by, live_by = (
            index(items, keys, item_node) if keys else None for items in (before, wanted, live)
        )
        if before_by is not None and wanted_by is not None and live_by is not None:
            break
    else:
        if not same(before, wanted):
            walk.doubts.append(Doubt(path, wanted, live, "items cannot be told apart by their keys"))
        return
    for identity, item in before_by.items():
        present = live_by.get(identity)
        if present is None:
            continue
        name = f"[{','.join(str(part) for part in identity)}]"
        now = wanted_by.get(identity)
        if now is None:
            raise Different((*path, name), "would be removed")
        for key, inner in item.items():
            _patch_field(walk, key, inner, now, present, child(node.item, key), node.item, (*path, name, key))


def removed_by_apply(
    walk: Walk,
    fields: Fields,
    target: Manifest,
    live: Manifest,
    node: Node | None,
    metadata_node: Node,
    foreign: Sequence[Fields | None],
) -> None:
    """Note what a server-side apply would remove.

    ``fields`` are ours, ``foreign`` the other managers' (``None``: not known).

    Raises:
        Different: something would surely go.
    """
    for path, inner in subtrees(fields):
        key = path[2:]
        if key in _SKIPPED:
            continue
        others = _descend(foreign, path)
        if key == "metadata":
            _apply_map(
                walk,
                inner,
                target.get("metadata") or {},
                live.get("metadata") or {},
                metadata_node,
                others,
                ("metadata",),
            )
        else:
            _apply_field(walk, key, inner, target, live, child(node, key), node, others, (key,))


def _descend(foreign: Sequence[Fields | None], path: str) -> list[Fields | None]:
    """The other managers' trees below a path; managers who own nothing there fall away."""
    return [None if tree is None else tree[path] for tree in foreign if tree is None or path in tree]


def _apply_map(
    walk: Walk,
    fields: Fields,
    wanted: Manifest,
    live: Manifest,
    node: Node | None,
    foreign: Sequence[Fields | None],
    path: Path,
) -> None:
    for name, inner in fields.items():
        key = name[2:]
        if not name.startswith("f:") or (not inner and key in wanted):
            continue
        others = _descend(foreign, name) if foreign else foreign
        _apply_field(walk, key, inner, wanted, live, child(node, key), node, others, (*path, key))


def _apply_field(
    walk: Walk,
    key: str,
    fields: Fields,
    wanted: Manifest,
    live: Manifest,
    node: Node | None,
    parent: Node | None,
    foreign: Sequence[Fields | None],
    path: Path,
) -> None:
    if key not in live or (live[key] is None and not walk.custom):
        return
    value, present = wanted.get(key), live[key]
    if value is None and key not in wanted:
        if key in _METADATA_SKIPPED and path[:-1] == ("metadata",):
            return
        if type(present) is dict and fields:
            # only what we own in it goes
            _apply_map(walk, fields, {}, present, node, foreign, path)
            if "." in fields and not walk.doubts:
                # we own the map itself, too: it goes with all that is in it, unless others own it
                if parent is not None and not foreign:
                    _gone(walk, key, present, live, node, parent, path)
                else:
                    walk.doubts.append(Doubt(path, _NOTHING, present, "others may own a part"))
            return
        if any(tree is not None and (not tree or "." in tree) for tree in foreign):
            return  # somebody else owns it as well: it stays
        if foreign:
            walk.doubts.append(Doubt(path, _NOTHING, present, "others may own it"))
            return
        _gone(walk, key, present, live, node, parent, path)
    elif type(value) is dict and type(present) is dict:
        _apply_map(walk, fields, value, present, node, foreign, path)
    elif type(value) is list and type(present) is list:
        _apply_list(walk, fields, value, present, node, foreign, path)


def _apply_list(
    walk: Walk,
    fields: Fields,
    wanted: list[Any],
    live: list[Any],
    node: Node | None,
    foreign: Sequence[Fields | None],
    path: Path,
) -> None:
    item_node = node.item if node is not None else None
    for name, inner in subtrees(fields):
        at = find_item(live, name)
        if at is None:
            continue
        others = _descend(foreign, name)
        chosen = _find_wanted(wanted, name, item_node)
        here = (*path, f"[{name[2:]}]")
        if chosen is None:
            if name.startswith("k:") and any(type(item) is not dict for item in wanted):
                walk.doubts.append(Doubt(here, _NOTHING, live[at], "the item cannot be matched"))
            elif any(tree is not None and (not tree or "." in tree) for tree in others):
                continue
            elif others:
                walk.doubts.append(Doubt(here, _NOTHING, live[at], "others may own it"))
            else:
                raise Different(here, "would be removed")
        elif name.startswith("k:") and type(wanted[chosen]) is dict:
            item = {**wanted[chosen]}
            for key in live[at]:
                if key not in item and f"f:{key}" in inner and name.find(f'"{key}":') >= 0:
                    item[key] = live[at][key]  # a key field that was spelled out before
            _apply_map(walk, inner, item, live[at], item_node, others, here)


def _find_wanted(items: list[Any], name: str, node: Node | None) -> int | None:
    """The desired item that a ``k:`` or ``v:`` path names; key fields left out have their defaults."""
    if not name.startswith("k:") or node is None or node.code != "r":
        return find_item(items, name)
    fields = key_fields(name)
    info = node.type
    for at, item in enumerate(items):
        if type(item) is dict and all(
            same(item[key] if key in item else info.default(item, key), value)
            for key, value in fields.items()
        ):
            return at
    return None


def _gone(
    walk: Walk, key: str, present: Any, owner: Manifest, node: Node | None, parent: Node | None, path: Path
) -> None:
    """A live value would be removed; whether it comes back is a question of defaults."""
    if parent is not None and parent.code == "m" and (node is None or node.code in "sy"):
        raise Different(path, "would be removed")
    if node is not None and present and (key in _NEVER_DEFAULTED or path[-2:-1] == ("hard",)):
        raise Different(path, "would be removed")
    if parent is not None and parent.code == "r":
        default = parent.type.default(owner, key)
        if default is not None and same(default, present):
            return
    walk.doubts.append(Doubt(path, _NOTHING, present, "a default may take its place"))
