"""An expression that was understood, to be run over variables."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from tiphys.templating.errors import GoError
from tiphys.templating.expr.errors import ExpressionError, Mistake
from tiphys.templating.expr.parser import parse
from tiphys.templating.expr.scope import Compute, Scope

LONGEST = 10_000


class Program(msgspec.Struct, frozen=True, eq=False):
    """See the module. Made by :meth:`compile`."""

    text: str
    compute: Compute

    @classmethod
    def compile(cls, text: str) -> "Program":
        """Understand an expression.

        Raises:
            ExpressionError: not one.
        """
        if len(text) > LONGEST:
            raise ExpressionError(f"expression is longer than {LONGEST} characters")
        return cls(text, parse(text))

    def run(self, variables: Mapping[str, Any], clock: Callable[[], datetime]) -> Any:
        """The value over some variables; one that is not there is nil.

        Args:
            clock: what ``now()`` gives.

        Raises:
            ExpressionError: it has none.
        """
        try:
            return self.compute(Scope(variables, clock))
        except (Mistake, GoError) as error:
            raise ExpressionError(str(error)) from None
        except (RecursionError, OverflowError, MemoryError, TypeError, ValueError) as error:
            # what Go would turn into an error of the program, too
            raise ExpressionError(f"cannot be computed: {error}") from None
