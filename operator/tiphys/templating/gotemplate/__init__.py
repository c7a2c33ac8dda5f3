"""Go's ``text/template`` (applicationset.md 10): what prints, what fails and with which words.

A text goes through :mod:`lexer` and :mod:`parser` into :mod:`nodes`; :mod:`execution` walks them over
data, with the built-in functions of :mod:`builtins` and whatever functions the caller adds.
:mod:`values` says how Go's values look in Python, :mod:`printing` how they print.

>>> Template.parse("{{ .a }}-{{ len .b }}").render({"a": "x", "b": [1.0, 2.0]})
'x-2'
"""

from tiphys.templating.errors import GoError, TemplateError
from tiphys.templating.gotemplate.limits import Limits
from tiphys.templating.gotemplate.template import Template, UnknownOption
from tiphys.templating.gotemplate.values import Function, from_json, from_kubernetes

__all__ = [
    "Function",
    "GoError",
    "Limits",
    "Template",
    "TemplateError",
    "UnknownOption",
    "from_json",
    "from_kubernetes",
]
