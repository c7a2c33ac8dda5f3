"""Durations as users write them in retry and back-off settings.

An integer without a unit is seconds; otherwise Go's duration syntax (``1h30m``, ``1.5s``,
``300ms``). Values are float seconds.
"""

import re

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


class DurationError(ValueError):
    """``text`` is no duration; the message is the reference's."""

    def __init__(self, text: str):
        super().__init__(f"unable to parse {text} as a duration")
        self.text = text


def parse_duration(text: str) -> float:
    """Seconds of ``text`` (applications.md 2.3).

    Raises:
        DurationError: neither an integer nor a Go duration.
    """
    stripped = text.strip()
    if re.fullmatch(r"[+-]?\d+", stripped):
        return float(int(stripped))
    sign, body = (-1.0, stripped[1:]) if stripped.startswith("-") else (1.0, stripped.removeprefix("+"))
    position = 0
    seconds = 0.0
    while match := _PART.match(body, position):
        seconds += float(match[1]) * _UNITS[match[2]]
        position = match.end()
    if not body or position != len(body):
        raise DurationError(text)
    return sign * seconds
