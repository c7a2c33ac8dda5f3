"""Expressions have the values, and the lack of one, that they have in expr-lang."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.templating.cases import cases
from tiphys.templating.expr import ExpressionError, Program
from tiphys.templating.gotemplate.values import Function, from_json


def value_of(text: str, variables: dict[str, Any]) -> Any:
    """The value of an expression."""
    return Program.compile(text).run(variables, lambda: datetime(2026, 1, 2, tzinfo=UTC))


@pytest.mark.parametrize(("case", "data"), cases("expr.json"))
def test_as_expr(case: dict[str, Any], data: Any) -> None:
    if "error" in case:
        with pytest.raises(ExpressionError):
            value_of(case["text"], from_json(data))
        return
    found = value_of(case["text"], from_json(data))
    assert found == case.get("value")
    assert isinstance(found, bool) == (case["output"] == "bool")


def test_functions_of_objects() -> None:
    variables = {"time": {"Now": Function((), lambda: 5), "Twice": Function(("string",), lambda x: x * 2)}}
    assert value_of('time.Now() + 1 == 6 and time.Twice("a") == "aa"', variables) is True
    with pytest.raises(ExpressionError, match="not enough arguments"):
        value_of("time.Twice()", variables)


@pytest.mark.parametrize(
    "text",
    [
        "1..1000000000",
        "map(1..1000, map(1..1000, map(1..1000, 1)))",
        'repeat("x", 1000000000)',
        "(" * 500 + "1" + ")" * 500,
        "!" * 2000 + "true",
        "[" * 2000,
        "let x = 1..90000; map(x, len(x) + len(x))",
        '"' + "x" * 20000 + '"',
    ],
)
def test_bounded(text: str) -> None:
    with pytest.raises(ExpressionError):
        value_of(text, {})
