"""What a running program sees: variables, the element of a predicate, and how much it may still do."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from tiphys.templating.expr.errors import Mistake

STEPS = 100_000
ITEMS = 100_000
"""Elements of a range; the reference has a budget of a million."""

Compute = Callable[["Scope"], Any]


class Element:
    """What ``#``, ``#index`` and ``#acc`` mean in a predicate."""

    __slots__ = ("accumulated", "index", "value")

    def __init__(self, value: Any, index: int, accumulated: Any = None) -> None:
        self.value, self.index, self.accumulated = value, index, accumulated


class Scope:
    """See the module."""

    def __init__(self, variables: Mapping[str, Any], clock: Callable[[], datetime]) -> None:
        self.variables = variables
        self.clock = clock
        self.local: dict[str, Any] = {}
        self.elements: list[Element] = []
        self.steps = 0

    def step(self, *over: Any) -> None:
        """Count; what a function walks through counts by its size.

        Raises:
            Mistake: it is enough.
        """
        self.steps += 1 + sum(len(value) // 16 for value in over if isinstance(value, str | list | dict))
        if self.steps > STEPS:
            raise Mistake(f"takes more than {STEPS} steps")

    def element(self) -> Element:
        """The innermost predicate's.

        Raises:
            Mistake: outside a predicate.
        """
        if not self.elements:
            raise Mistake("unexpected # outside of a predicate")
        return self.elements[-1]
