"""Globs as users write them in settings: the gobwas dialect (applications.md 16).

Settings (resource filters, health overrides, event labels) match without separators, so ``*``
crosses everything; sources match with ``/`` as separator, where ``*`` stays in one segment and
``**`` crosses. Names and patterns with nothing but ``*`` are walked; any other becomes one expression
of RE2 (``regexes``), since tenants write patterns, too. Answers are remembered. An invalid pattern
matches nothing, which is what the reference does after a warning.

    ``*`` any run    ``**`` any run over separators    ``?`` one character
    ``[abc]`` ``[a-z]`` ``[!abc]`` one of a class    ``{a,b}`` alternatives    ``\\`` escape
"""

import re
from collections.abc import Callable
from functools import lru_cache

from tiphys.settings.regexes import Pattern, PatternError

_SPECIAL = frozenset("*?[]{}\\")


class GlobError(ValueError):
    """The pattern is not a glob; ``pattern`` is the pattern and ``why`` what is wrong with it."""

    def __init__(self, pattern: str, why: str) -> None:
        super().__init__(f"invalid glob pattern {pattern!r}: {why}")
        self.pattern = pattern
        self.why = why


@lru_cache(maxsize=4096)
def compile_glob(pattern: str, separators: str = "") -> Pattern:
    """The expression of a glob, to be used with ``fullmatch``.

    Raises:
        GlobError: an unclosed class or alternative, or a dangling escape.
    """
    body = _Translation(pattern, separators).run()
    try:
        return Pattern(body, across_lines=True)
    except PatternError as error:
        raise GlobError(pattern, str(error)) from None


@lru_cache(maxsize=16384)
def glob_matches(pattern: str, text: str, separators: str = "") -> bool:
    """Whether the whole text matches; an invalid pattern matches nothing."""
    if pattern == "*" and not separators:
        return True
    return _matcher(pattern, separators)(text)


@lru_cache(maxsize=4096)
def _matcher(pattern: str, separators: str) -> Callable[[str], bool]:
    special = _SPECIAL.intersection(pattern)
    if not special:
        return lambda text: text == pattern
    if special == {"*"} and not separators:
        return star_matcher(tuple(pattern.split("*")))
    try:
        return compile_glob(pattern, separators).fullmatch
    except GlobError:
        return lambda text: False


def star_matcher(parts: tuple[str, ...]) -> Callable[[str], bool]:
    """A glob with stars only, given the texts between them (two at least): each at its first place."""
    first, *middle, last = parts
    middle = [part for part in middle if part]
    shortest = len(first) + len(last)

    def match(text: str) -> bool:
        if len(text) < shortest or not text.startswith(first) or not text.endswith(last):
            return False
        at, end = len(first), len(text) - len(last)
        for part in middle:
            at = text.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True

    return match


class _Translation:
    """One pass over a pattern, writing the regular expression."""

    def __init__(self, pattern: str, separators: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.depth = 0
        excluded = "".join(re.escape(separator) for separator in separators)
        self.one = f"[^{excluded}]" if excluded else "."

    def run(self) -> str:
        parts: list[str] = []
        while self.at < len(self.pattern):
            parts.append(self._next())
        if self.depth:
            raise GlobError(self.pattern, "an alternative '{' is not closed")
        return "".join(parts)

    def _next(self) -> str:
        character = self.pattern[self.at]
        self.at += 1
        match character:
            case "*":
                if self.pattern.startswith("*", self.at):
                    while self.pattern.startswith("*", self.at):
                        self.at += 1
                    return ".*"
                return f"{self.one}*"
            case "?":
                return self.one
            case "[":
                return self._character_class()
            case "{":
                self.depth += 1
                return "(?:"
            case "}" if self.depth:
                self.depth -= 1
                return ")"
            case "," if self.depth:
                return "|"
            case "\\":
                if self.at >= len(self.pattern):
                    raise GlobError(self.pattern, "nothing follows the escape")
                self.at += 1
                return re.escape(self.pattern[self.at - 1])
            case _:
                return re.escape(character)

    def _character_class(self) -> str:
        end = self.pattern.find("]", self.at + 1)
        if end < 0:
            raise GlobError(self.pattern, "a class '[' is not closed")
        inner = self.pattern[self.at : end]
        self.at = end + 1
        negated = inner.startswith("!")
        if negated:
            inner = inner[1:]
        if not inner:
            raise GlobError(self.pattern, "a class is empty")
        escaped = re.sub(r"([\\\]\[^&~|])", r"\\\1", inner)
        return f"[{'^' if negated else ''}{escaped}]"
