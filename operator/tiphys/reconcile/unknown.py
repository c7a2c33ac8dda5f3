"""Fields that we do not know, inside of lists that we write.

Somebody's definition of our kinds may be newer than our types. A merge patch leaves alone what it
does not name, but it replaces a list whole. Two lists hold what others wrote: ``spec.sources`` and,
as entries that stay, ``status.history``. Where items of theirs hold more than our types do, they are
kept as they were read, and a patch of ours that replaces the list gets them back.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from tiphys.reconcile.statuses import merge_patch
from tiphys.resources.application import Application, to_json
from tiphys.resources.identity import Manifest


class Unknown(msgspec.Struct, frozen=True):
    """Items as they were read; ``history`` by the entry's id. Empty where our types say it all."""

    sources: tuple[Manifest, ...] = ()
    history: Mapping[int, Manifest] = {}


NOTHING = Unknown()


def unknown_of(
    old: Application | None, new: Application, manifest: Manifest, before: Unknown | None
) -> Unknown | None:
    """What to keep of an Application that was read, None for nothing.

    Args:
        old: what was held before, and ``before`` what was kept of it: entries of an unchanged history
            are not looked through again.
    """
    sources = (manifest.get("spec") or {}).get("sources") or ()
    if [to_json(source) for source in new.spec.sources or ()] == list(sources):
        sources = ()
    if old is not None and old.status.history == new.status.history:
        history = (before or NOTHING).history
    else:
        read = (manifest.get("status") or {}).get("history") or ()
        known = [to_json(entry) for entry in new.status.history or ()]
        history = {} if known == list(read) else {entry.get("id", 0): entry for entry in read}
    return Unknown(tuple(sources), history) if sources or history else None


def with_unknown(app: Application, body: dict[str, Any], kept: Unknown | None) -> dict[str, Any]:
    """A patch of ``app`` whose lists hold what we do not know, too."""
    if kept is None:
        return body
    spec, status = body.get("spec") or {}, body.get("status") or {}
    if kept.sources and len(spec.get("sources") or ()) == len(kept.sources) == len(app.spec.sources or ()):
        triples = zip(kept.sources, app.spec.sources or (), spec["sources"], strict=True)
        items = [_merged(raw, merge_patch(to_json(known), wanted)) for raw, known, wanted in triples]
        body = {**body, "spec": {**spec, "sources": items}}
    if kept.history and status.get("history"):
        known = {entry.id: to_json(entry) for entry in app.status.history or ()}
        entries = [
            kept.history.get(entry["id"], entry) if known.get(entry["id"]) == entry else entry
            for entry in status["history"]
        ]
        body = {**body, "status": {**status, "history": entries}}
    return body


def _merged(value: Manifest, patch: Mapping[str, Any]) -> Manifest:
    """RFC 7386: ``patch`` applied."""
    result = {key: each for key, each in value.items() if patch.get(key, each) is not None}
    for key, each in patch.items():
        if isinstance(each, dict) and isinstance(result.get(key), dict):
            result[key] = _merged(result[key], each)
        elif each is not None:
            result[key] = each
    return result
