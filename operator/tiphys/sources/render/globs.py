"""Globs of value files: the doublestar dialect. Pure.

``*`` stays in one directory, ``**`` crosses them (``sources.md`` 9.4). File names of directories are
matched by the globs of :mod:`tiphys.settings.globs`, without separators.
"""

import re
from functools import lru_cache

from tiphys.settings.regexes import Pattern, PatternError


@lru_cache(maxsize=1024)
def path_glob(pattern: str) -> Pattern | None:
    """With ``/`` as separator and ``**``; ``None``: the pattern is malformed (and matches nothing)."""
    out: list[str] = []
    depth = 0
    position, end = 0, len(pattern)
    while position < end:
        char = pattern[position]
        position += 1
        if char == "\\":
            if position >= end:
                return None
            out.append(re.escape(pattern[position]))
            position += 1
        elif char == "*":
            if pattern.startswith("*", position):
                position += 1
                at_start = position == 2 or pattern[position - 3] == "/"
                if at_start and pattern.startswith("/", position):
                    position += 1
                    out.append("(?:[^/]*/)*")
                else:
                    out.append(".*" if at_start and position == end else "[^/]*")
            else:
                out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[":
            close = pattern.find("]", position + 1)
            if close < 0:
                return None
            inside = pattern[position:close]
            position = close + 1
            negated = inside[:1] in ("!", "^")
            inside = inside[1:] if negated else inside
            if not inside:
                return None
            body = inside.replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^").replace("&", "\\&")
            separator = "/" if negated else ""
            out.append(f"[{'^' if negated else ''}{body}{separator}]")
        elif char == "{":
            depth += 1
            out.append("(?:")
        elif char == "}" and depth:
            depth -= 1
            out.append(")")
        elif char == "," and depth:
            out.append("|")
        else:
            out.append(re.escape(char))
    if depth:
        return None
    try:
        return Pattern("".join(out), across_lines=True)
    except PatternError:
        return None


def is_glob(path: str) -> bool:
    """Whether a value file is a glob: braces alone do not make one."""
    return any(char in path for char in "*?[")
