"""Matching objects against many patterns at once (api.md 13 "Evaluation").

In glob mode ``*`` crosses everything and a broken pattern matches nothing; in regex mode a pattern is
Go's RE2, searched anywhere in the text. Both are the text of users, so nothing here may backtrack:
plain names and prefixes (nearly all patterns) are looked up in sets, globs with ``*`` only are
walked, and the rest goes through RE2, many patterns in one automaton.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache

from tiphys.settings.globs import GlobError, compile_glob, star_matcher
from tiphys.settings.regexes import PatternError, re2_compile

Matcher = Callable[[str], bool]

GLOB, REGEX = "glob", "regex"

_SPECIAL = frozenset("*?[]{}\\")
_TOGETHER = 100
"""Patterns in one automaton: more would outgrow RE2's memory limit."""


def nothing(text: str) -> bool:
    """Matches nothing."""
    return False


def everything(text: str) -> bool:
    """Matches every text."""
    return True


@lru_cache(maxsize=16384)
def matches(pattern: str, text: str, mode: str) -> bool:
    """Whether one pattern matches; a broken one does not."""
    return one_matcher(pattern, mode)(text)


def one_matcher(pattern: str, mode: str) -> Matcher:
    """The matcher of one pattern."""
    return matcher((pattern,), mode)


def matcher(patterns: Iterable[str], mode: str) -> Matcher:
    """Whether one of the patterns matches a text."""
    if mode == REGEX:
        return _any_of(_automata(patterns))
    return _globs(frozenset(patterns))


def _globs(patterns: frozenset[str]) -> Matcher:
    names: set[str] = set()
    prefixes: dict[int, set[str]] = {}
    walked: list[tuple[str, ...]] = []
    others: list[str] = []
    for pattern in patterns:
        special = _SPECIAL.intersection(pattern)
        if not special:
            names.add(pattern)
        elif special != {"*"}:
            others.append(pattern)
        else:
            first, *rest = pattern.split("*")
            if not any(rest):
                if not first:
                    return everything
                prefixes.setdefault(len(first), set()).add(first)
            else:
                walked.append((first, *rest))
    found: list[Matcher] = []
    if names:
        found.append(names.__contains__)
    if prefixes:
        found.append(_prefix_matcher(prefixes))
    if len(walked) <= 8:
        found.extend(star_matcher(parts) for parts in walked)
    else:
        others.extend("*".join(parts) for parts in walked)
    found.extend(_automata(_glob_expressions(others)))
    return _any_of(found)


def _prefix_matcher(prefixes: dict[int, set[str]]) -> Matcher:
    if len(prefixes) == 1:
        ((length, only),) = prefixes.items()
        return lambda text: text[:length] in only
    by_length = tuple(prefixes.items())

    def match(text: str) -> bool:
        for length, starts in by_length:  # noqa: SIM110 - a generator costs more than the look-ups
            if text[:length] in starts:
                return True
        return False

    return match


def _glob_expressions(patterns: Iterable[str]) -> Iterable[str]:
    for pattern in patterns:
        try:
            yield f"^(?s:{compile_glob(pattern).pattern})$"
        except GlobError:
            continue  # matches nothing


def _automata(expressions: Iterable[str]) -> list[Matcher]:
    usable: list[str] = []
    for expression in expressions:
        try:
            re2_compile(expression)
        except PatternError:
            continue
        usable.append(expression)
    found: list[Matcher] = []
    for start in range(0, len(usable), _TOGETHER):
        part = usable[start : start + _TOGETHER]
        try:
            found.append(_searcher("|".join(f"(?:{expression})" for expression in part)))
        except PatternError:  # too large together
            found.extend(_searcher(expression) for expression in part)
    return found


def _searcher(expression: str) -> Matcher:
    search = re2_compile(expression).search

    def match(text: str) -> bool:
        try:
            return search(text) is not None
        except UnicodeEncodeError:
            return False

    return match


def _any_of(found: list[Matcher]) -> Matcher:
    if not found:
        return nothing
    if len(found) == 1:
        return found[0]
    several = tuple(found)

    def match(text: str) -> bool:
        for each in several:  # noqa: SIM110 - as above
            if each(text):
                return True
        return False

    return match
