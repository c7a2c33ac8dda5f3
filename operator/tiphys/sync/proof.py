"""Two small proofs about a desired and a live object, both without the server.

``owns_exactly`` reads ``managedFields`` (findings: an object is the same after a server-side apply
when our Apply entry names exactly the desired fields); values are the business of ``compare``,
which said "not modified" before this is asked. ``covers`` says that nothing desired is missing.
"""

import json
from typing import Any

from tiphys.resources.identity import Manifest

_IDENTITY = frozenset({"apiVersion", "kind"})
_NAME = frozenset({"name", "namespace"})


def owns_exactly(target: Manifest, live: Manifest, manager: str) -> bool:
    """Whether an apply of ``target`` by ``manager`` would leave field ownership as it is.

    False when anything is in doubt: no entry, another version, keyed lists whose keys cannot be
    matched, empty maps and lists.
    """
    entries = (live.get("metadata") or {}).get("managedFields") or ()
    entry = next(
        (
            e
            for e in entries
            if e.get("manager") == manager and e.get("operation") == "Apply" and not e.get("subresource")
        ),
        None,
    )
    if entry is None or entry.get("apiVersion") != target.get("apiVersion"):
        return False
    wanted = {key: value for key, value in target.items() if key not in _IDENTITY}
    metadata = {k: v for k, v in (target.get("metadata") or {}).items() if k not in _NAME}
    if metadata:
        wanted["metadata"] = metadata
    else:
        wanted.pop("metadata", None)
    return _same_fields(wanted, entry.get("fieldsV1") or {})


def _same_fields(value: Any, owned: dict[str, Any]) -> bool:
    if not owned:
        # a leaf: a scalar, an atomic list, or a map that may be atomic (then content was compared)
        return not isinstance(value, dict) or bool(value)
    if isinstance(value, dict):
        fields = {key[2:] for key in owned if key.startswith("f:")}
        if fields != set(value):
            return False
        return all(_same_fields(item, owned[f"f:{key}"]) for key, item in value.items())
    if isinstance(value, list):
        return _same_items(value, owned)
    return False


def _same_items(items: list[Any], owned: dict[str, Any]) -> bool:
    keys = [key for key in owned if key != "."]
    if len(keys) != len(items):
        return False
    if all(key.startswith("v:") for key in keys):
        return {key[2:] for key in keys} == {json.dumps(item, separators=(",", ":")) for item in items}
    for key in keys:
        if not key.startswith("k:"):
            return False
        names = json.loads(key[2:])
        matches = [item for item in items if isinstance(item, dict) and _matches(item, names)]
        if len(matches) != 1 or not _same_fields(matches[0], owned[key]):
            return False
    return True


def _matches(item: dict[str, Any], names: dict[str, Any]) -> bool:
    return all(item.get(name) == value for name, value in names.items())


def covers(target: Any, live: Any) -> bool:
    """Whether everything in ``target`` is in ``live`` with the same value and type; lists must
    have the same length, live may have more fields."""
    if isinstance(target, dict):
        return isinstance(live, dict) and all(k in live and covers(v, live[k]) for k, v in target.items())
    if isinstance(target, list):
        return (
            isinstance(live, list)
            and len(live) == len(target)
            and all(covers(one, other) for one, other in zip(target, live, strict=True))
        )
    return type(target) is type(live) and bool(target == live)
