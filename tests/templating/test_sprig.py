"""The functions do, and refuse, what sprig's do (applicationset.md 10)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.templating.cases import cases
from tests.templating.test_templates import answer
from tiphys.sources.yamlgo import load_value
from tiphys.templating import extra, sprig

FUNCTIONS = {
    **sprig.functions(lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
    **extra.functions(lambda text: load_value(text.encode(), "text")),
}


@pytest.mark.parametrize(("case", "data"), cases("sprig.json"))
def test_as_sprig(case: dict[str, Any], data: Any) -> None:
    assert answer(case, data, functions=FUNCTIONS) == (case.get("output"), case.get("error"))
