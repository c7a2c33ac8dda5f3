"""The two pattern dialects of projects (``applications.md`` 16).

Sources, destinations, namespaces, windows and service accounts use gobwas globs (``settings``
has the translation); kinds use Go's ``filepath.Match``, which knows neither ``**`` nor ``{a,b}``.
An invalid pattern matches nothing in either. Tenants write them: RE2 decides (``settings.regexes``).
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from tiphys.settings.globs import glob_matches
from tiphys.settings.regexes import Pattern, PatternError


def matches(pattern: str, text: str, separators: str = "") -> bool:
    """Whether a gobwas glob matches the whole text; ``*`` alone always does."""
    return pattern == "*" or glob_matches(pattern, text, separators)


def matches_any(patterns: Iterable[str], text: str) -> bool:
    """Whether one of the globs (no separators) matches."""
    return any(matches(pattern, text) for pattern in patterns)


def matches_negatable(pattern: str, text: str) -> bool:
    """As :func:`matches`; ``!pattern`` matches what ``pattern`` does not."""
    if is_negative(pattern):
        return not matches(pattern[1:], text)
    return matches(pattern, text)


def is_negative(pattern: str) -> bool:
    """Whether a pattern forbids (``!...``)."""
    return pattern.startswith("!")


def matches_name_list(patterns: Iterable[str], text: str) -> bool:
    """Lists of namespaces: an entry ``/.../`` is a regular expression (searched, as well as tried
    as a glob), anything else a glob."""
    return any(matches(pattern, text) or _regex_matches(pattern, text) for pattern in patterns)


def _regex_matches(pattern: str, text: str) -> bool:
    if len(pattern) < 2 or not (pattern.startswith("/") and pattern.endswith("/")):
        return False
    compiled = _compile_regex(pattern[1:-1])
    return compiled is not None and compiled.search(text)


@lru_cache(maxsize=4096)
def _compile_regex(expression: str) -> Pattern | None:
    try:
        return Pattern(expression)
    except PatternError:
        return None


def matches_path(pattern: str, text: str) -> bool:
    """Go's ``filepath.Match`` on the whole text: ``*`` and ``?`` do not cross ``/``, ``[a-z]`` and
    ``[^a-z]`` are classes, ``\\`` escapes; a malformed pattern matches nothing."""
    compiled = _compile_path(pattern)
    return compiled is not None and compiled.fullmatch(text)


@lru_cache(maxsize=4096)
def _compile_path(pattern: str) -> Pattern | None:
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "*":
            parts.append("[^/]*")
        elif character == "?":
            parts.append("[^/]")
        elif character == "\\":
            if at == len(pattern):
                return None
            parts.append(re.escape(pattern[at]))
            at += 1
        elif character == "[":
            read = _read_class(pattern, at)
            if read is None:
                return None
            part, at = read
            parts.append(part)
        else:
            parts.append(re.escape(character))
    try:
        return Pattern("".join(parts), across_lines=True)
    except PatternError:  # larger than RE2 takes
        return None


def _read_class(pattern: str, at: int) -> tuple[str, int] | None:
    """The regular expression of a class that begins after ``[`` at ``at``, and where it ends;
    ``None`` when it is malformed."""
    negated = pattern.startswith("^", at)
    at += negated
    ranges: list[str] = []
    count = 0
    while at < len(pattern):
        if pattern[at] == "]" and count:
            return _class_expression(ranges, negated), at + 1
        low = _read_class_character(pattern, at)
        if low is None:
            return None
        first, at = low
        last = first
        if pattern.startswith("-", at):
            high = _read_class_character(pattern, at + 1)
            if high is None:
                return None
            last, at = high
        count += 1
        if first <= last:
            ranges.append(f"{re.escape(first)}-{re.escape(last)}")
    return None


def _class_expression(ranges: list[str], negated: bool) -> str:
    """Ranges that run backwards (``z-a``) are left out: they match nothing."""
    if not ranges:
        return r"[\s\S]" if negated else r"[^\s\S]"
    return f"[{'^' if negated else ''}{''.join(ranges)}]"


def _read_class_character(pattern: str, at: int) -> tuple[str, int] | None:
    if at >= len(pattern) or pattern[at] in "-]":
        return None
    if pattern[at] == "\\":
        at += 1
        if at >= len(pattern):
            return None
    return pattern[at], at + 1
