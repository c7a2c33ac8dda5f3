"""Our verdicts against the real API server: never "same" where an apply changes something, never
"different" where it changes nothing, and a dry run settles what is undecided (sync.md 4, findings)."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.compare.differential import CLIENT_SIDE, SERVER_SIDE, Outcome, explore
from tests.compare.samples import objects
from tests.compare.server import Server
from tiphys.compare.rules import Rules

pytestmark = pytest.mark.controlplane


@pytest.mark.parametrize("rules", [CLIENT_SIDE, SERVER_SIDE], ids=["client-side apply", "server-side apply"])
@pytest.mark.parametrize("seed", [1, 42])
def test_verdicts_agree_with_the_api_server(server: Server, namespace: str, rules: Rules, seed: int) -> None:
    outcomes: list[Outcome] = []
    for written in objects(namespace):
        explored = explore(server, written, seed, rules, rounds=6)
        # an object nobody touched is proven without a request; only a custom kind's defaults are not known
        assert explored[0].verdict.outcome == ("undecided" if written["kind"] == "Widget" else "same")
        outcomes.extend(explored)
    assert [outcome for outcome in outcomes if outcome.wrong] == []
    counts = Counter(outcome.verdict.outcome for outcome in outcomes if outcome.changes is not None)
    # half of the edits put nulls and empty values or remove defaulted fields; people do that less
    assert counts["undecided"] < 0.3 * counts.total(), counts
