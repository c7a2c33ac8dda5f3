"""A parsed template: its trees, its functions, its options."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from tiphys.templating.gotemplate.builtins import BUILTINS
from tiphys.templating.gotemplate.execution import Execution
from tiphys.templating.gotemplate.limits import Limits
from tiphys.templating.gotemplate.nodes import ListNode
from tiphys.templating.gotemplate.parser import parse
from tiphys.templating.gotemplate.values import Function

MissingKey = Literal["invalid", "zero", "error"]
_OPTIONS: Mapping[str, MissingKey] = {
    "missingkey=default": "invalid",
    "missingkey=invalid": "invalid",
    "missingkey=zero": "zero",
    "missingkey=error": "error",
}


class UnknownOption(ValueError):
    """Not an option of templates (Go panics; applicationset.md 10)."""


class Template(msgspec.Struct, frozen=True, eq=False):
    """See the module. Made by :meth:`parse`; may be rendered often, and in threads."""

    name: str
    text: str
    trees: Mapping[str, ListNode]
    functions: Mapping[str, Function]
    missing_key: MissingKey = "invalid"

    @classmethod
    def parse(
        cls,
        text: str,
        name: str = "base",
        *,
        functions: Mapping[str, Function] | None = None,
        options: Iterable[str] = (),
    ) -> "Template":
        """Parse a text.

        Args:
            name: stands in the texts of errors.
            functions: beside the built-in ones; of the same name, they win.
            options: ``missingkey=default|invalid|zero|error``; the last counts.

        Raises:
            TemplateError: Go's text.
            UnknownOption: of ``options``.
        """
        missing_key: MissingKey = "invalid"
        for option in options:
            if option not in _OPTIONS:
                raise UnknownOption(_refusal(option))
            missing_key = _OPTIONS[option]
        known = {**BUILTINS, **(functions or {})}
        return cls(name, text, parse(name, text, known), known, missing_key)

    def render(self, data: Any, limits: Limits | None = None) -> str:
        """The text over some data (:mod:`values`; functions such as ``set`` may change it).

        Raises:
            TemplateError: Go's text, or a limit was reached.
        """
        return Execution(
            self.name, self.trees, self.functions, self.missing_key, limits or Limits(), self.text
        ).run(data)


def _refusal(option: str) -> str:
    if not option:
        return "empty option string"
    return f"unrecognized option: {option}"
