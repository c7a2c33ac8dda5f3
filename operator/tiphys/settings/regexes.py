"""Regular expressions of users: RE2, the dialect of the reference, in linear time whatever they hold.

A tenant writes globs and expressions into projects, charts and annotations. Python's own engine goes
back over what it has read: a dozen stars on a name of thirty letters take it seconds, and the whole
process with it. So every pattern that is not ours is compiled here, globs too (``settings.globs``
and the dialects of other rooms translate them first).
"""

from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]


class PatternError(ValueError):
    """A regular expression that RE2 does not take; the text is its cause."""


@lru_cache(maxsize=4096)
def re2_compile(pattern: str) -> Any:
    """A compiled RE2 expression.

    Raises:
        PatternError: with the cause.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        cause = error.args[0] if error.args else ""
        raise PatternError(
            cause.decode("utf-8", "replace") if isinstance(cause, bytes) else str(cause)
        ) from None
    except UnicodeEncodeError:
        raise PatternError("not valid UTF-8") from None


class Pattern:
    """An expression and the two questions that are asked of it; text that is no UTF-8 matches nothing.

    Raises:
        PatternError: RE2 does not take the expression.
    """

    __slots__ = ("_compiled", "pattern")

    def __init__(self, pattern: str, *, across_lines: bool = False) -> None:
        """``across_lines``: a dot matches line breaks, too."""
        self.pattern = pattern
        self._compiled = re2_compile(f"(?s:{pattern})" if across_lines else pattern)

    def fullmatch(self, text: str) -> bool:
        """Whether the whole text matches."""
        try:
            return self._compiled.fullmatch(text) is not None
        except UnicodeEncodeError:
            return False

    def search(self, text: str) -> bool:
        """Whether it matches anywhere in the text."""
        try:
            return self._compiled.search(text) is not None
        except UnicodeEncodeError:
            return False
