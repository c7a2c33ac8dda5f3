"""``manifest.yaml`` is written as the reference writes it (sources.md 21.4).

``yaml_cases.json`` holds what go-yaml 3.0.1 with two blanks of indentation makes of values. Whatever is
written is read back as it was, by our reader of Go's YAML.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.hydrator.yamltext import to_documents
from tiphys.sources.yamlgo import load_value

CASES = json.loads((Path(__file__).parent / "yaml_cases.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_as_the_reference_writes_it(case: dict[str, Any]) -> None:
    assert to_documents([case["value"]]) == case["text"]


def test_documents() -> None:
    assert to_documents([]) == ""
    assert to_documents([{"a": 1}]) == "a: 1\n"
    assert to_documents([{"a": 1}, {"b": [1]}]) == "a: 1\n---\nb:\n  - 1\n"


@pytest.mark.parametrize("text", ["\nb\n", "\n\n", "\tb\nc", "\n\tb", "\t\n"])
def test_what_go_yaml_cannot_read_back_is_kept(text: str) -> None:
    """It loses a line break at the beginning, and writes a tab there that nobody reads."""
    assert load_value(to_documents([{"a": text}]).encode(), "") == {"a": text}


_TEXTS = st.text(st.sampled_from("ab01.-+_: \n\t#exo~y'\"\\{[?,*&!|>%@`é😀\u0085\u00a0\r"), max_size=12)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | _TEXTS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_TEXTS, _VALUES, min_size=1, max_size=4))
def test_what_is_written_is_read_back(value: dict[str, Any]) -> None:
    assert load_value(to_documents([value]).encode(), "") == value
