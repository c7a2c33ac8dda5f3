"""Every bundled check against its case table, and every rule line against the cases."""

from collections import defaultdict
from pathlib import Path

import pytest

from tests.health.bundled.reading import Case, read_cases
from tiphys.health import Health, assess
from tiphys.health.bundled import kinds, rules
from tiphys.health.bundled.engine import compile_rules
from tiphys.health.bundled.tables import _entry
from tiphys.health.bundled.vocabulary import NotText, Unreadable
from tiphys.resources.identity import GroupKind

CASES = list(read_cases(Path(__file__).parent / "cases"))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:  # health-and-resources.md 4, health-kinds-1.md, -2.md
    health = assess(case.manifest)
    assert health is not None
    if case.expected is None:
        assert health.status == "Unknown", health
        assert health.error.startswith("cannot assess ")
    else:
        assert health == case.expected


BY_ENTRY: dict[str, list[Case]] = defaultdict(list)
for _case in CASES:
    BY_ENTRY[_entry(GroupKind(_case.group, _case.kind)) or ""].append(_case)


@pytest.mark.parametrize("name", kinds())
def test_every_rule_decides_a_case(name: str) -> None:
    group, _, kind = name.rpartition("/")
    lines = rules(GroupKind(group, kind))
    assert lines is not None
    traced = compile_rules(name, lines, traced=True)
    decided = set()
    for case in BY_ENTRY[name]:
        try:
            number, _ = traced(case.manifest)
        except Unreadable as error:
            number = error.line
        except (NotText, TypeError, AttributeError):
            continue
        decided.add(number)
    idle = [line for number, line in enumerate(lines) if "->" in line and number not in decided]
    assert not idle


def test_there_are_as_many_checks_as_the_reference_has() -> None:  # 4.1
    assert len(kinds()) == 241


def test_a_message_that_is_no_text_leaves_nothing() -> None:  # health-kinds-2.md, legend
    bad = {"type": "Ready", "status": "True", "message": 3}
    manifest = {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Issuer",
        "metadata": {},
        "status": {"conditions": [bad]},
    }
    assert assess(manifest) == Health()
