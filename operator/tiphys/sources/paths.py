"""``argocd.argoproj.io/manifest-generate-paths``: does a change concern an application? Pure.

The annotation lists, separated by ``;``, what an application's manifests are made of: paths from the
repository's root (``/charts/x``), paths from the source's own path (``.``, ``../base``), or shell
patterns of either kind (``sources.md`` 15).
"""

import posixpath
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from tiphys.settings.regexes import Pattern, PatternError

ANNOTATION = "argocd.argoproj.io/manifest-generate-paths"


def refresh_paths(annotation: str, source_path: str) -> tuple[str, ...]:
    """The annotation's entries as clean paths or patterns from the repository's root; the root
    itself is ``""``. Empty parts are ignored; no entries at all means "not restricted"."""
    entries = []
    for part in annotation.split(";"):
        part = part.strip()
        if part:
            joined = part if part.startswith("/") else f"/{source_path}/{part}"
            entries.append(posixpath.normpath("/" + joined.lstrip("/")).lstrip("/"))
    return tuple(entries)


def is_affected(entries: Sequence[str], changed: Iterable[str], *, when_empty: bool = False) -> bool:
    """Whether any changed file concerns the entries of :func:`refresh_paths`.

    A file matches an entry when it equals it, lies below it, or matches it as a pattern whose ``*``
    does not cross ``/``. Without entries always true. ``when_empty`` is the answer for an empty list
    of changes: true for webhooks (which may not tell), false for a real difference of two commits.
    """
    files = list(changed)
    if not entries:
        return True
    if not files:
        return when_empty
    return any(_matches(entry, file.lstrip("/")) for file in files for entry in entries)


def _matches(entry: str, file: str) -> bool:
    if entry in ("", file) or file.startswith(entry + "/"):
        return True
    pattern = _compiled(entry)
    return pattern is not None and pattern.fullmatch(file)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> Pattern | None:
    """A shell pattern as Go's ``filepath.Match`` reads it; ``None`` if it is malformed."""
    result = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*":
            result.append("[^/]*")
        elif char == "?":
            result.append("[^/]")
        elif char == "\\":
            if position == len(pattern):
                return None
            result.append(re.escape(pattern[position]))
            position += 1
        elif char == "[":
            klass, position = _char_class(pattern, position)
            if klass is None:
                return None
            result.append(klass)
        else:
            result.append(re.escape(char))
    try:
        return Pattern("".join(result), across_lines=True)
    except PatternError:  # larger than RE2 takes
        return None


def _char_class(pattern: str, position: int) -> tuple[str | None, int]:
    """``[a-z]`` or ``[^a-z]`` from behind the bracket; (regular expression, place behind it)."""
    negated = pattern[position : position + 1] == "^"
    if negated:
        position += 1
    ranges: list[str] = []
    while position < len(pattern):
        if pattern[position] == "]" and ranges:
            return "[" + ("^" if negated else "") + "".join(ranges) + "]", position + 1
        low, position = _char(pattern, position)
        high = low
        if low and pattern[position : position + 1] == "-":
            high, position = _char(pattern, position + 1)
        if not low or not high:
            return None, position
        # an empty range (z-a) matches nothing
        ranges.append(f"{re.escape(low)}-{re.escape(high)}" if low <= high else "")
        if not ranges[-1]:
            ranges[-1] = re.escape("\0")
    return None, position


def _char(pattern: str, position: int) -> tuple[str, int]:
    if position >= len(pattern) or pattern[position] in "-]":
        return "", position
    if pattern[position] == "\\":
        position += 1
        if position >= len(pattern):
            return "", position
    return pattern[position], position + 1
