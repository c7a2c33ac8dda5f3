"""``RespectIgnoreDifferences``: targets that leave ignored fields as they live (sync.md 5.5).

At sync time an ignored field must not be written back to what Git says. The target loses what is
ignored and gets, in its place, what the live object has there. Only ignored places change:
everything beside them stays the target's, also where a patch strategy would replace the parent.
"""

from typing import Any

from tiphys.compare.equality import same
from tiphys.compare.rules import Rules
from tiphys.compare.schemas import Node, schema_named
from tiphys.compare.strategic import child, index
from tiphys.resources.identity import Manifest, key_of

_NOTHING: Any = object()


def respect_ignored(target: Manifest, live: Manifest | None, rules: Rules) -> Manifest:
    """The target to apply; unchanged without live. ``status`` is never taken from live."""
    if live is None:
        return target
    exclusion = rules.exclusion(key_of(target))
    if not exclusion:
        return target
    trusted = exclusion.trusted_fields(live) or []
    wanted = exclusion.apply(target, trusted)
    visible = exclusion.apply(live, trusted)
    schema = schema_named(target.get("apiVersion") or "", target.get("kind") or "")
    node = schema.root if schema is not None else None
    result: Manifest = _overlay(
        {key: value for key, value in wanted.items() if key != "status"},
        {key: value for key, value in visible.items() if key != "status"},
        {key: value for key, value in live.items() if key != "status"},
        node,
    )
    return result


def _overlay(wanted: Any, visible: Any, live: Any, node: Node | None) -> Any:
    """``wanted`` with what ``live`` has and ``visible`` (live without what is ignored) has not."""
    if same(visible, live):
        return wanted
    if type(visible) is dict and type(live) is dict:
        if type(wanted) is not dict:
            return wanted
        result = dict(wanted)
        for key, value in live.items():
            seen = visible.get(key, _NOTHING)
            if seen is _NOTHING:
                result[key] = value
            elif key in result:
                result[key] = _overlay(result[key], seen, value, child(node, key))
            elif not same(seen, value):
                ignored = _overlay({}, seen, value, child(node, key)) if type(value) is dict else value
                if ignored:
                    result[key] = ignored
        return result
    if type(visible) is list and type(live) is list and type(wanted) is list:
        return _overlay_list(wanted, visible, live, node)
    return live


def _overlay_list(wanted: list[Any], visible: list[Any], live: list[Any], node: Node | None) -> list[Any]:
    item_node = node.item if node is not None else None
    keys = _key_fields(wanted, visible, live, node)
    if keys:
        wanted_by = index(wanted, keys, item_node) or {}
        visible_by = index(visible, keys, item_node) or {}
        live_by = index(live, keys, item_node) or {}
        result = [
            _overlay(item, visible_by[name], live_by[name], item_node)
            if name in visible_by and name in live_by
            else item
            for name, item in wanted_by.items()
        ]
        # whole items that are ignored live on
        result.extend(
            item for name, item in live_by.items() if name not in visible_by and name not in wanted_by
        )
        return result
    if len(wanted) == len(visible) == len(live):
        return [
            _overlay(item, seen, value, item_node)
            for item, seen, value in zip(wanted, visible, live, strict=True)
        ]
    return live  # as the reference: nothing tells which item is which


def _key_fields(wanted: list[Any], visible: list[Any], live: list[Any], node: Node | None) -> tuple[str, ...]:
    """Key fields that tell the items apart: the schema's, else ``name``."""
    candidates: list[tuple[str, ...]] = [("name",)]
    if node is not None and node.merge_key:
        candidates = [(node.merge_key,), node.map_keys]
    item_node = node.item if node is not None else None
    for keys in candidates:
        if keys and all(index(items, keys, item_node) is not None for items in (wanted, visible, live)):
            return keys
    return ()
