"""jq paths of ignore rules: plain paths are walked natively and mean what jq means (sync.md 5.1)."""

from __future__ import annotations

from typing import Any

import jq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.compare.jqpaths import JqError, compile_path, plain_path


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        (".a", ("a",)),
        (".spec.replicas", ("spec", "replicas")),
        ('.metadata.annotations."x.y/z"', ("metadata", "annotations", "x.y/z")),
        ('.metadata.annotations["x.y/z"]', ("metadata", "annotations", "x.y/z")),
        (' .a."b" ', ("a", "b")),
        (".", None),
        (".a[]", None),
        (".a[0]", None),
        (".a, .b", None),
        (".a | .b", None),
        ('["a"]', None),
        ('.a."b\\u0041"', None),
        (".a?", None),
        ("..", None),
    ],
)
def test_which_expressions_are_plain(expression: str, names: tuple[str, ...] | None) -> None:
    assert plain_path(expression) == names


_NAMES = st.sampled_from(["a", "b", "c.d"])
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(_NAMES, _VALUES, max_size=3), st.lists(_NAMES, min_size=1, max_size=3))
def test_a_plain_path_deletes_what_jq_deletes(document: dict[str, Any], names: list[str]) -> None:
    expression = "." + ".".join(f'"{name}"' for name in names)
    assert plain_path(expression) == tuple(names)
    before = repr(document)
    try:
        expected = jq.compile(f"del({expression})").input_value(document).first()
    except ValueError:
        with pytest.raises(JqError):
            compile_path(expression).delete_from(document)
    else:
        assert compile_path(expression).delete_from(document) == expected
    assert repr(document) == before
