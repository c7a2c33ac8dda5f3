"""Moments written as a Go layout says: the reference time itself, put as the result shall look.

``Mon Jan _2 15:04:05.000 2006`` is such a layout; whatever is no part of the reference time stands
for itself. Moments are UTC.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

_PART = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST"
    r"|2006|002|__2|_2(?!006)|0[1-6]|15|[1-5]|PM|pm"
    r"|-07:00:00|-070000|-07:00|-0700|-07|Z07:00:00|Z070000|Z07:00|Z0700|Z07"
    r"|[.,](?:0+|9+)(?![0-9])"
)

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)

_WRITERS: Mapping[str, Callable[[datetime], str]] = {
    "January": lambda t: _MONTHS[t.month - 1],
    "Jan": lambda t: _MONTHS[t.month - 1][:3],
    "Monday": lambda t: _WEEKDAYS[t.weekday()],
    "Mon": lambda t: _WEEKDAYS[t.weekday()][:3],
    "MST": lambda t: "UTC",
    "2006": lambda t: f"{t.year:04}",
    "06": lambda t: f"{t.year % 100:02}",
    "01": lambda t: f"{t.month:02}",
    "1": lambda t: str(t.month),
    "02": lambda t: f"{t.day:02}",
    "_2": lambda t: f"{t.day:2}",
    "2": lambda t: str(t.day),
    "002": lambda t: f"{t.timetuple().tm_yday:03}",
    "__2": lambda t: f"{t.timetuple().tm_yday:3}",
    "15": lambda t: f"{t.hour:02}",
    "03": lambda t: f"{t.hour % 12 or 12:02}",
    "3": lambda t: str(t.hour % 12 or 12),
    "04": lambda t: f"{t.minute:02}",
    "4": lambda t: str(t.minute),
    "05": lambda t: f"{t.second:02}",
    "5": lambda t: str(t.second),
    "PM": lambda t: "AM" if t.hour < 12 else "PM",
    "pm": lambda t: "am" if t.hour < 12 else "pm",
}


def write_time(layout: str, moment: datetime) -> str:
    """``moment`` (aware, taken to UTC) in a Go ``layout``."""
    moment = moment.astimezone(UTC)

    def part(match: re.Match[str]) -> str:
        text = match[0]
        writer = _WRITERS.get(text)
        if writer is not None:
            return writer(moment)
        if text[0] == "Z":
            return "Z"
        if text[0] == "-":
            return "+" + text[1:].replace("7", "0")
        digits = f"{moment.microsecond:06}".ljust(9, "0")[: len(text) - 1].ljust(len(text) - 1, "0")
        if text[1] == "9":
            digits = digits.rstrip("0")
        return text[0] + digits if digits else ""

    return _PART.sub(part, layout)
