"""One differential experiment: our verdict on a pair, and what the real API server would do.

The oracle is a dry run compared with the live object, content only (who owns a field does not
count). For a client-side apply the patch is ours; that it equals kubectl's in effect is a test of
its own (``test_threeway_kubectl.py``).
"""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass
from typing import Any

from tests.compare.edits import edit_once, foreign_patch
from tests.compare.server import Refused, Server, content
from tiphys.compare.equality import same
from tiphys.compare.normalize import normalize
from tiphys.compare.rules import Rules, build_rules
from tiphys.compare.threeway import three_way_patch, with_last_applied
from tiphys.compare.verdicts import Verdict, compare, decide, dry_run_request
from tiphys.resources.identity import Manifest
from tiphys.settings.model import CompareOptions

CLIENT_SIDE = build_rules((), {}, CompareOptions())
SERVER_SIDE = build_rules((), {}, CompareOptions(), server_side_apply=True)


@dataclass
class Outcome:
    """``changes``: whether an apply changes something; None when the server refuses it."""

    kind: str
    edits: list[str]
    verdict: Verdict
    changes: bool | None
    settled: str
    refusal: str = ""

    @property
    def wrong(self) -> bool:
        if self.changes is None:
            return self.verdict.outcome == "same"
        if self.verdict.outcome == "undecided":
            return self.settled != ("different" if self.changes else "same")
        return (self.verdict.outcome == "different") is not self.changes


def put(server: Server, manifest: Manifest, rules: Rules) -> Manifest:
    """Create an object as an apply of this strategy would, and read it."""
    if rules is SERVER_SIDE:
        server.apply(manifest)
    else:
        server.create(with_last_applied(manifest))
    return server.get(manifest)


def dry_run(server: Server, target: Manifest, live: Manifest, rules: Rules) -> Manifest:
    if rules is SERVER_SIDE:
        return server.apply(target, dry_run=True)
    patch = three_way_patch(target, live)
    if patch is None:
        return live
    return server.patch(target, patch.body, patch.content_type, manager="argocd-controller", dry_run=True)


def judge(server: Server, target: Manifest, live: Manifest, rules: Rules, edits: list[str]) -> Outcome:
    """Judge a pair; again if a controller wrote to the live object meanwhile."""
    for _ in range(20):
        outcome = judge_once(server, target, live, rules, edits)
        now = server.get(live)
        if now["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"]:
            return outcome
        live = now
    raise AssertionError(f"{target['kind']} does not come to rest")


def judge_once(server: Server, target: Manifest, live: Manifest, rules: Rules, edits: list[str]) -> Outcome:
    verdict = compare(target, live, rules)
    try:
        answer = dry_run(server, target, live, rules)
    except Refused as refusal:
        return Outcome(target["kind"], edits, verdict, None, "", str(refusal)[:200])
    changes = not same(content(answer), content(live))
    settled = ""
    if verdict.outcome == "undecided":
        request = dry_run_request(target, live, rules)
        answer = server.patch(
            target,
            request.body,
            request.content_type,
            manager=request.field_manager,
            dry_run=True,
            force=request.force,
        )
        settled = decide(target, live, answer, rules).outcome
    return Outcome(target["kind"], edits, verdict, changes, settled)


def explore(
    server: Server, written: Manifest, chance: random.Random, rules: Rules, *, rounds: int
) -> list[Outcome]:
    """Create one object, then judge it unchanged, with an edited target, and edited by others."""
    original = normalize(copy.deepcopy(written))
    live = put(server, original, rules)
    outcomes = [judge(server, original, live, rules, [])]
    try:
        for _ in range(rounds):
            edits: list[str] = []
            if chance.random() < 0.4:
                patch = foreign_patch(chance, live)
                try:
                    server.patch(original, patch, "application/merge-patch+json", manager="other")
                    edits.append(f"live {patch}")
                except Refused:
                    pass
                live = server.get(original)
            source: Any = copy.deepcopy(written)
            if chance.random() < 0.85:
                for _ in range(chance.choice([1, 1, 1, 2])):
                    done = edit_once(chance, source)
                    if done:
                        edits.append(done)
            outcomes.append(judge(server, normalize(source), live, rules, edits))
    finally:
        server.patch(
            original, {"metadata": {"finalizers": None}}, "application/merge-patch+json", manager="x"
        )
        server.delete(original)
    return outcomes
