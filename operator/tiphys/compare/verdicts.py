"""Verdicts: would applying this target change this live object?

``compare`` answers from what is at hand. First the proof by ``managedFields``, then the structural
comparison; ignore rules are looked at only when something differs without them. What only the API
server can know (``undecided``) costs the caller one dry run: ``dry_run_request`` says which,
``decide`` judges its answer. Verdicts are about content: who owns a field never makes an object
differ. ``predict`` shows people what would come out (sync.md 4.4, 7).

What the caller remembers: a verdict holds for (target digest, live uid and resourceVersion, rules
digest). An ``undecided`` verdict carries ``doubt``, a digest of the doubtful places alone: an
answer holds for (target digest, uid, rules digest, doubt) as well, so a Deployment whose status
moves does not cost a dry run each time. Forget them when the server's version, the kind's CRD or
an admission configuration changes (findings, rule 15).
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import orjson
from msgspec import Struct
from msgspec.structs import replace

from tiphys.compare import merging
from tiphys.compare.ignore import Exclusion
from tiphys.compare.ownership import (
    FIELD_MANAGER,
    foreign_fields,
    own_fields,
    shown_key,
)
from tiphys.compare.proof import Open, nearly_proves
from tiphys.compare.removals import removed_by_apply, removed_by_patch
from tiphys.compare.rules import Rules
from tiphys.compare.schemas import Node, metadata_node, schema_named
from tiphys.compare.strategic import child, merge
from tiphys.compare.structure import APPLY, MERGE, Different, Doubt, Path, Walk, dotted
from tiphys.compare.threeway import content_patch, last_applied
from tiphys.resources.identity import Manifest, key_of

SAME, DIFFERENT, UNDECIDED = "same", "different", "undecided"
SERVER_SIDE_APPLY = "application/apply-patch+yaml"


class Verdict(Struct, frozen=True):
    """``outcome`` is ``same``, ``different`` or ``undecided``.

    Attributes:
        reason: the first place that differs or is doubtful, with why; never a value.
        doubt: for ``undecided``: digest of the doubtful places and both sides' values there.
        ignoring: unless ``different``: something differs that the rules ignore, so an apply is not idle.
    """

    outcome: str
    reason: str
    doubt: str = ""
    ignoring: bool = False


class DryRun(Struct, frozen=True):
    """A PATCH request with ``dryRun=All``; ``body`` is decoded JSON."""

    content_type: str
    body: Manifest
    field_manager: str
    force: bool


class Prediction(Struct, frozen=True):
    """What people see compared: live without what never counts, and what an apply makes of it."""

    normalized_live: Manifest | None
    predicted_live: Manifest | None


_PROVEN = Verdict(SAME, "managedFields prove that an apply would change nothing")
_PROVEN_WITH_DEFAULTS = Verdict(SAME, "managedFields and the schema prove that an apply would change nothing")
_EQUAL = Verdict(SAME, "every desired value lives and nothing would be removed")
_EQUAL_IGNORING = Verdict(SAME, "what differs is ignored", ignoring=True)
_EXTRA = Verdict(SAME, "there is no target")
_UNKNOWN_MANAGER = Verdict(UNDECIDED, "the fields of a trusted manager are not in the cache", "managers")
_MISSING = Verdict(DIFFERENT, "the object is missing")


def compare(target: Manifest | None, live: Manifest | None, rules: Rules) -> Verdict:
    """Judge a pair without asking anyone.

    ``target`` is normalised (as ``prepare_targets`` gives it), ``live`` is at the target's version;
    its ``managedFields`` may be reduced to our own entry and the names of others.

    With server-side diff a difference is for the API server to judge: what its admission makes of the
    apply, or that it refuses it (sync.md 7).

    Raises:
        ValueError: both are None.
    """
    verdict = _compare(target, live, rules)
    if rules.server_side_diff and verdict.outcome == DIFFERENT and target is not None and live is not None:
        return Verdict(UNDECIDED, verdict.reason)
    return verdict


def _compare(target: Manifest | None, live: Manifest | None, rules: Rules) -> Verdict:
    if target is None:
        if live is None:
            raise ValueError("both live and config are null objects")
        return _EXTRA
    if live is None:
        return _MISSING
    if target.get("apiVersion") != live.get("apiVersion"):
        reason = f"live was read at version {live.get('apiVersion')}"
        return Verdict(UNDECIDED, reason, _digest([Doubt(("apiVersion",), reason, None, reason)]))
    server_side = rules.applies_server_side(target)
    fields = own_fields(live)
    nodes: tuple[Open, ...] | None = None
    if fields is not None and (server_side or not _has_original(live)):
        nodes = nearly_proves(target, live, fields)
        if nodes == ():
            return _PROVEN
    if nodes is not None and server_side:
        verdict = _judge_open(target, nodes)
    else:
        verdict = _judge(target, live, server_side)
    if verdict.outcome == SAME:
        return verdict
    exclusion = rules.exclusion(key_of(target))
    if not exclusion and rules.tracking is None:
        return verdict
    pair = _without_ignored(target, live, rules, exclusion, (live,))
    if pair is None:
        return Verdict(
            UNDECIDED, "the fields of a trusted manager are not in the cache", verdict.doubt or "managers"
        )
    if pair[0] is target and pair[1] is live:
        return verdict
    ignoring = _judge(*pair, server_side)
    if ignoring.outcome == SAME:
        return _EQUAL_IGNORING
    if ignoring.outcome == UNDECIDED and verdict.outcome == DIFFERENT:
        return replace(ignoring, ignoring=True)
    return ignoring


def _judge_open(target: Manifest, nodes: Sequence[Open]) -> Verdict:
    """The verdict of :func:`_judge` where all but these nodes is proven: an apply replaces each as a
    whole, and the server may fill in what it does not say.

    Remembered by a digest of the nodes: most objects of a kind have their defaults in the same few places,
    and one whose status moves has what it had before.
    """
    api_version, kind = target["apiVersion"], target["kind"]
    try:
        body = orjson.dumps((api_version, kind, [(node.path, node.wanted, node.present) for node in nodes]))
    except TypeError:  # no JSON, such as numbers over 64 bits
        return _judge_nodes(api_version, kind, nodes)
    key = hashlib.blake2b(body, digest_size=16).digest()
    verdict = _judged.get(key)
    if verdict is None:
        if len(_judged) >= _MOST_JUDGED:
            _judged.clear()
        verdict = _judged[key] = _judge_nodes(api_version, kind, nodes)
    return verdict


_MOST_JUDGED = 8192
_judged: dict[bytes, Verdict] = {}


def _judge_nodes(api_version: str, kind: str, nodes: Sequence[Open]) -> Verdict:
    walk = Walk(APPLY, custom=schema_named(api_version, kind) is None)
    try:
        for node in nodes:
            parent, path = _place_of(api_version, kind, node.path)
            walk.member(node.path[-1], node.wanted, node.present, parent, path)
    except Different as difference:
        return Verdict(DIFFERENT, str(difference))
    return _of_doubts(walk) if walk.doubts else _PROVEN_WITH_DEFAULTS


@lru_cache(maxsize=4096)
def _place_of(api_version: str, kind: str, path: Path) -> tuple[Node | None, Path]:
    """The schema's node above a path through ``managedFields``, and the path for people."""
    schema = schema_named(api_version, kind)
    parent = schema.root if schema is not None else None
    above = path[:-1]
    if above and above[0] == "metadata":
        parent, above = metadata_node(), above[1:]
    for part in above:
        is_item = part.startswith("k:")
        parent = child(parent, part) if not is_item else parent.item if parent is not None else None
    return parent, tuple(shown_key(part) if part.startswith("k:") else part for part in path)


def _of_doubts(walk: Walk) -> Verdict:
    first = walk.doubts[0]
    return Verdict(UNDECIDED, f"{dotted(first.path)}: {first.why}", _digest(walk.doubts))


def _has_original(live: Manifest) -> bool:
    annotations = live["metadata"].get("annotations")
    return bool(annotations) and "kubectl.kubernetes.io/last-applied-configuration" in annotations


def _judge(target: Manifest, live: Manifest, server_side: bool) -> Verdict:
    schema = schema_named(target["apiVersion"], target["kind"])
    node = schema.root if schema is not None else None
    walk = Walk(APPLY if server_side else MERGE, custom=node is None)
    try:
        if server_side:
            fields = own_fields(live)
            walk.root(target, live, node, metadata_node(), fields)
            if fields is not None:
                removed_by_apply(walk, fields, target, live, node, metadata_node(), foreign_fields(live))
        else:
            walk.root(target, live, node, metadata_node(), None)
            original = last_applied(live)
            if original is not None and not _is_target(original, target):
                removed_by_patch(walk, original, target, live, node, metadata_node())
    except Different as difference:
        return Verdict(DIFFERENT, str(difference))
    if not walk.doubts:
        return _EQUAL
    if not server_side and content_patch(target, live, last_applied(live)) is None:
        return _EQUAL
    return _of_doubts(walk)


def _is_target(original: Manifest, target: Manifest) -> bool:
    """Whether what was applied last is the target (kubectl adds empty annotations); quick."""
    metadata = original.get("metadata")
    if type(metadata) is dict and not metadata.get("annotations", True):
        original = {**original, "metadata": {k: v for k, v in metadata.items() if k != "annotations"}}
    return original == target


def _digest(doubts: Sequence[Doubt]) -> str:
    body = orjson.dumps(
        [(doubt.path, doubt.wanted, doubt.live) for doubt in doubts],
        default=lambda _: None,
        option=orjson.OPT_SORT_KEYS,
    )
    return hashlib.blake2b(body, digest_size=12).hexdigest()


def _without_ignored(
    target: Manifest, live: Manifest, rules: Rules, exclusion: Exclusion, holders: Sequence[Manifest]
) -> tuple[Manifest, Manifest] | None:
    """Both sides as the rules see them; None when a trusted manager's fields are not known."""
    trusted = exclusion.trusted_fields(*holders)
    if trusted is None:
        return None
    if rules.tracking is not None:
        live = rules.tracking.migrate_live(live, target)
    return exclusion.apply(target, trusted), exclusion.apply(live, trusted)


def dry_run_request(target: Manifest, live: Manifest, rules: Rules) -> DryRun:
    """The request that settles an undecided pair.

    Forced, as the sync will be: that somebody else owns a field is drift, and no reason not to know
    the outcome (the reference does not force, docs/differences.md).
    """
    if rules.applies_server_side(target):
        return DryRun(SERVER_SIDE_APPLY, target, FIELD_MANAGER, True)
    patch = content_patch(target, live, last_applied(live))
    if patch is None:
        return DryRun("application/merge-patch+json", {}, FIELD_MANAGER, False)
    return DryRun(patch.content_type, patch.body, FIELD_MANAGER, False)


def decide(target: Manifest, live: Manifest, answer: Manifest, rules: Rules) -> Verdict:
    """Judge a pair by the answer to its dry run.

    An answer about another version of the live object decides nothing: read it again. Of a
    client-side patch only the patched places count, of a server-side apply only fields of ours,
    so what admission webhooks add is no difference (unless the rules include it, sync.md 7).
    """
    if _version(answer) != _version(live):
        return Verdict(UNDECIDED, "the live object changed since it was read", "moved")
    exclusion = rules.exclusion(key_of(target))
    pair = _without_ignored(answer, live, rules, exclusion, (live, answer))
    if pair is None:
        return _UNKNOWN_MANAGER
    path = _changed(target, live, answer, pair, rules)
    if path is not None:
        return Verdict(DIFFERENT, f"{dotted(path)}: a dry run changed it")
    untouched = pair[0] is answer and pair[1] is live
    ignoring = not untouched and _changed(target, live, answer, (answer, live), rules) is not None
    return Verdict(SAME, "a dry run changed nothing", ignoring=ignoring)


def _changed(
    target: Manifest, live: Manifest, answer: Manifest, pair: tuple[Manifest, Manifest], rules: Rules
) -> Path | None:
    """The first place that a dry run changed; ``pair`` is what is to be seen of answer and live."""
    after, before = (merging.comparable(side) for side in pair)
    if not rules.applies_server_side(target):
        patch = content_patch(target, live, last_applied(live))
        return merging.patched_difference(after, before, patch.body if patch else {})
    after_fields = own_fields(answer)
    if rules.include_mutation_webhook or after_fields is None:
        return merging.first_difference(after, before)
    return merging.owned_difference(after, before, after_fields, own_fields(live) or {})


def _version(manifest: Manifest) -> Any:
    return (manifest.get("metadata") or {}).get("resourceVersion")


def predict(
    target: Manifest | None, live: Manifest | None, rules: Rules, answer: Manifest | None = None
) -> Prediction:
    """What to show people for a pair; ``answer`` is that of its dry run, if there was one.

    Without a target nothing is predicted; without live the prediction is the target (sync.md 4.4).
    """
    if target is None or live is None:
        return Prediction(None if live is None else merging.shown(live), target)
    exclusion = rules.exclusion(key_of(target))
    holders = (live,) if answer is None else (live, answer)
    pair = _without_ignored(target, live, rules, exclusion, holders)
    wanted, present = pair if pair is not None else (target, live)
    shown = merging.shown(present)
    if answer is not None:
        if decide(target, live, answer, rules).outcome == SAME:
            return Prediction(shown, shown)
        trusted = exclusion.trusted_fields(*holders) or []
        return Prediction(shown, merging.shown(exclusion.apply(answer, trusted)))
    if compare(target, live, rules).outcome == SAME:
        return Prediction(shown, shown)
    schema = schema_named(target.get("apiVersion") or "", target.get("kind") or "")
    node = schema.root if schema is not None else None
    if rules.applies_server_side(target):
        return Prediction(shown, merging.shown(merging.applied(wanted, present, node, own_fields(live))))
    original = last_applied(present)
    return Prediction(shown, merging.shown(merge(_content(original), wanted, present, node)))


def _content(original: Manifest | None) -> Manifest | None:
    """What was applied last, without identity (an apply never removes it) and status."""
    if original is None:
        return None
    kept = {key: value for key, value in original.items() if key not in ("status", "apiVersion", "kind")}
    metadata = {
        key: value
        for key, value in (original.get("metadata") or {}).items()
        if key not in ("name", "namespace", "creationTimestamp") and value
    }
    return {**kept, "metadata": metadata}
