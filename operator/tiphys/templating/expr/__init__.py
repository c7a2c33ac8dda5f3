"""The expressions of ``if:`` in deep links and ``when:`` in triggers: the language expr-lang.

Literals, members (``a.b?.c``, ``a[0]``, slices), operators with words (``in``, ``contains``, ``matches``,
``and``, ``not`` …), ``?:`` and ``??``, ``let``, pipes, and functions with predicates (``filter(x, .y > 1)``).
A text becomes a :class:`Program` once (:mod:`lexer`, :mod:`parser`) and runs over variables often
(:mod:`operations`, :mod:`functions`). Values are those of templates (``gotemplate.values``); objects may
have methods, and functions can be variables.

Types are looked at only when an expression runs: ``1 == "x"`` is false here, where expr-lang's compiler
refuses to compare two literals of different types.

Not here: the reflection of Go types that no JSON value has, ``toPairs`` and the other functions that
nobody can need in a condition; a program that uses them does not compile.
"""

from tiphys.templating.expr.errors import ExpressionError
from tiphys.templating.expr.program import Program

__all__ = ["ExpressionError", "Program"]
