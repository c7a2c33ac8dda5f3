"""Durations as users write them in retry and back-off settings.

An integer without a unit is seconds; otherwise Go's duration syntax (``1h30m``, ``1.5s``,
``300ms``). Values are float seconds.
"""

import re

from tiphys.resources.times import go_duration

_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)


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
    if _INTEGER.fullmatch(text):
        return float(int(text))
    try:
        return go_duration(text)
    except (ValueError, OverflowError):
        raise DurationError(text) from None
