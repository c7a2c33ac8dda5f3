"""Templates print, and fail, as in Go (applicationset.md 10)."""

from typing import Any

import pytest

from tests.templating.cases import cases
from tiphys.templating.gotemplate import Template, TemplateError, from_json


def answer(case: dict[str, Any], data: Any, **options: Any) -> tuple[str | None, str | None]:
    """What a template prints, or its error."""
    try:
        template = Template.parse(case["text"], options=case.get("options", ()), **options)
        return template.render(from_json(data)), None
    except TemplateError as error:
        return None, str(error)


@pytest.mark.parametrize(("case", "data"), cases("templates.json"))
def test_as_go(case: dict[str, Any], data: Any) -> None:
    assert answer(case, data) == (case.get("output"), case.get("error"))
