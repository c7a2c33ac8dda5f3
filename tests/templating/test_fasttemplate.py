"""``{{name}}`` (applicationset.md 9)."""

from typing import Any

import pytest

from tests.templating.cases import cases
from tiphys.templating.errors import TemplateError
from tiphys.templating.fasttemplate import replace


@pytest.mark.parametrize(("case", "data"), cases("fast.json"))
def test_as_fasttemplate(case: dict[str, Any], data: Any) -> None:
    if "error" in case:
        with pytest.raises(TemplateError) as caught:
            replace(case["text"], data)
        assert str(caught.value) == f"invalid template: {case['error']}"
    else:
        assert replace(case["text"], data) == case["output"]


@pytest.mark.parametrize("text", ["{{name", "{{na\nme}}", "a {{ b\n}}"])
def test_without_a_tag_in_one_line_nothing_happens(text: str) -> None:
    assert replace(text, {"name": "x", "na\nme": "y"}) == text
