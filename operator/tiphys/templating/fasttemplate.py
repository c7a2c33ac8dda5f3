"""The older templates of ApplicationSets: ``{{name}}`` stands for a parameter (applicationset.md 9).

Nothing else has a meaning: no functions, no nesting, no second look at what was put in. What is no
parameter stays as it is written, so Go templates pass through.
"""

import re
from collections.abc import Mapping
from typing import Any

from tiphys.templating.errors import TemplateError

_SOMETHING = re.compile(r"\{\{.*\}\}")
_BEGIN, _END = "{{", "}}"


def replace(text: str, parameters: Mapping[str, Any]) -> str:
    """The text with the parameters in it.

    Raises:
        TemplateError: a ``{{`` without ``}}`` behind a complete one.
    """
    if _SOMETHING.search(text) is None:
        return text
    parts: list[str] = []
    position = 0
    while True:
        begin = text.find(_BEGIN, position)
        if begin < 0:
            parts.append(text[position:])
            return "".join(parts)
        end = text.find(_END, begin + len(_BEGIN))
        if end < 0:
            rest = text[begin + len(_BEGIN) :]
            raise TemplateError(
                f'invalid template: Cannot find end tag="{_END}" in the template="{text}" '
                f'starting from "{rest}"'
            )
        tag = text[begin + len(_BEGIN) : end]
        value = parameters.get(tag.strip()) if tag.strip() else None
        parts += (text[position:begin], value if isinstance(value, str) else f"{_BEGIN}{tag}{_END}")
        position = end + len(_END)
