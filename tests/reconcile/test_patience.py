"""One tenant's endless expression costs only the looks at his own applications (sync.md 5.1)."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from tests.compare.test_rules import SCALED, TARGET, ignore, rules
from tiphys.compare.verdicts import compare
from tiphys.reconcile.patience import patiently


@pytest.mark.parametrize(
    ("expression", "waits"),
    [
        (".spec.replicas", False),
        ('.spec.template.spec.containers[] | select(.name == "x").image', False),
        ("def g: g; g | .patience", True),
        (".spec | to_entries[] | .patience", True),
    ],
)
async def test_others_go_on_meanwhile(expression: str, waits: bool) -> None:
    made = rules(ignore(jq_path_expressions=(expression,)), jq_timeout=0.4)
    assert made.may_wait is waits
    begun = 0

    async def others() -> None:
        nonlocal begun
        while True:
            begun += 1
            await asyncio.sleep(0.01)

    task = asyncio.create_task(others())
    await asyncio.sleep(0)
    verdict = await patiently(made, partial(compare, TARGET, SCALED, made))
    task.cancel()
    assert verdict.outcome in ("same", "different", "undecided")
    if expression.startswith("def"):
        assert begun > 5
