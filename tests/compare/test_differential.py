"""Our verdicts against the real API server: never "same" where an apply changes something, never
"different" where it changes nothing, and a dry run settles what is undecided (sync.md 4, findings)."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compare.differential import CLIENT_SIDE, SERVER_SIDE, Outcome, explore
from tests.compare.samples import objects, renamed
from tests.compare.server import Server
from tiphys.compare.rules import Rules
from tiphys.resources.identity import Manifest

pytestmark = pytest.mark.controlplane

EXAMPLES, ROUNDS = 4, 3
"""Of each object: how often it is made, and edited each time."""


@pytest.mark.parametrize("rules", [CLIENT_SIDE, SERVER_SIDE], ids=["client-side apply", "server-side apply"])
def test_verdicts_agree_with_the_api_server(server: Server, namespace: str, rules: Rules) -> None:
    outcomes = [each for written in objects(namespace) for each in outcomes_of(server, written, rules)]
    counts = Counter(outcome.verdict.outcome for outcome in outcomes if outcome.changes is not None)
    # half of the edits put nulls and empty values or remove defaulted fields; people do that less
    assert counts["undecided"] < 0.3 * counts.total(), counts
    assert set(counts) >= {"same", "different"}, counts


def outcomes_of(server: Server, written: Manifest, rules: Rules) -> list[Outcome]:
    """What hypothesis found out about one object; none is wrong."""
    outcomes: list[Outcome] = []
    numbers = itertools.count()

    @settings(max_examples=EXAMPLES)
    @given(st.randoms(use_true_random=False))
    def example(chance: random.Random) -> None:
        explored = explore(server, renamed(written, next(numbers)), chance, rules, rounds=ROUNDS)
        # an object nobody touched is proven without a request; only a custom kind's defaults are not known
        assert explored[0].verdict.outcome == ("undecided" if written["kind"] == "Widget" else "same")
        assert [outcome for outcome in explored if outcome.wrong] == []
        outcomes.extend(explored)

    example()
    return outcomes
