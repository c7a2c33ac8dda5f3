"""The patch of a client-side apply, as ``kubectl apply`` would build it (sync.md 13.2).

Three objects meet: what was applied last (in an annotation of the live object), what is wanted
now, and what lives. Wanted values that differ are sent, and what was applied once and is no longer
wanted is removed; everything else in the live object is left to whoever wrote it. Built-in kinds
get a strategic merge patch (lists merged by key, see ``strategic``), custom kinds a JSON merge patch.

Other than kubectl, nothing is sent that cannot change anything: no ``$setElementOrder`` where the
order holds already, no ``$retainKeys`` whose only effect would be that defaults are filled in again.
"""

from typing import Any

import orjson
from msgspec import Struct

from tiphys.compare.equality import same
from tiphys.compare.schemas import schema_named
from tiphys.compare.strategic import strategic_patch
from tiphys.resources.identity import Manifest, annotations_of

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
STRATEGIC = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"

_GO_ESCAPES = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


class Patch(Struct, frozen=True):
    """A patch to send: ``content_type`` as HTTP names it, ``body`` its decoded JSON."""

    content_type: str
    body: Manifest


def last_applied(live: Manifest) -> Manifest | None:
    """What was applied last; ``None`` without a readable annotation."""
    text = annotations_of(live).get(LAST_APPLIED)
    if not isinstance(text, str) or not text:
        return None
    try:
        original = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return original if isinstance(original, dict) else None


def last_applied_text(target: Manifest) -> str:
    """The annotation's text for a target: keys sorted, Go's escapes, a line feed, as kubectl writes it."""
    metadata = dict(target.get("metadata") or {})
    annotations = metadata.get("annotations") or {}
    metadata["annotations"] = {key: text for key, text in annotations.items() if key != LAST_APPLIED}
    applied = _whole_numbers({**target, "metadata": metadata})
    text = orjson.dumps(applied, option=orjson.OPT_SORT_KEYS).decode()
    for sign, escaped in _GO_ESCAPES.items():
        if sign in text:  # rare
            text = text.replace(sign, escaped)
    return text + "\n"


def _whole_numbers(value: Any) -> Any:
    """Go writes ``1.0`` as ``1``; everything else is shared with the input."""
    kind = type(value)
    if kind is float:
        return int(value) if value.is_integer() and abs(value) < 1e21 else value
    if kind is dict:
        made = {key: _whole_numbers(item) for key, item in value.items()}
        return made if any(made[key] is not item for key, item in value.items()) else value
    if kind is list:
        items = [_whole_numbers(item) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return value


def with_last_applied(target: Manifest) -> Manifest:
    """A copy of a target that carries itself in the annotation; what a create sends."""
    metadata = dict(target.get("metadata") or {})
    metadata["annotations"] = {**(metadata.get("annotations") or {}), LAST_APPLIED: last_applied_text(target)}
    return {**target, "metadata": metadata}


def three_way_patch(target: Manifest, live: Manifest) -> Patch | None:
    """What to send to bring ``live`` to ``target``; ``None`` when there is nothing to change.

    ``target`` is without the annotation; the patch writes it. A live object without it gets it, and
    nothing is removed from such an object.
    """
    original = last_applied(live) or {}
    return build_patch(original, with_last_applied(target), live)


def content_patch(target: Manifest, live: Manifest, original: Manifest | None) -> Patch | None:
    """:func:`three_way_patch` without the annotation; ``original`` given instead of read."""
    metadata = target.get("metadata") or {}
    if not metadata.get("annotations") and annotations_of(live):
        # with the annotation there would be some: they are never removed as a whole
        target = {**target, "metadata": {**metadata, "annotations": {}}}
    return build_patch(original or {}, target, live)


def build_patch(original: Manifest, modified: Manifest, current: Manifest) -> Patch | None:
    """The patch of kind and version of ``modified``."""
    schema = schema_named(modified.get("apiVersion") or "", modified.get("kind") or "")
    if schema is not None:
        body = strategic_patch(original, modified, current, schema.root)
        content_type = STRATEGIC
    else:
        body = merge_patch(original, modified, current)
        content_type = MERGE
    return Patch(content_type, body) if body else None


def merge_patch(original: Any, modified: Manifest, current: Manifest) -> Manifest:
    """Three-way JSON merge patch: lists as a whole, ``null`` only for what was applied before."""
    patch: Manifest = {}
    for key, wanted in modified.items():
        if wanted is None:
            continue  # null adds nothing; that it removes is said by the original, below
        if key not in current:
            patch[key] = _without_nulls(wanted)
            continue
        present = current[key]
        if type(wanted) is dict and type(present) is dict:
            before = original.get(key) if type(original) is dict else None
            inner = merge_patch(before, wanted, present)
            if inner:
                patch[key] = inner
        elif not same(wanted, present):
            patch[key] = _without_nulls(wanted)
    if type(original) is dict:
        for key, before in original.items():
            gone = key not in modified or (modified[key] is None and before is not None)
            if gone and key in current:
                patch[key] = None
    return patch


def _without_nulls(value: Any) -> Any:
    """Nulls in maps would remove; lists are sent as they are."""
    if type(value) is dict:
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value
