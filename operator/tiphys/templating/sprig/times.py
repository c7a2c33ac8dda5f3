"""Go's layouts of times and its durations."""

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

from tiphys.templating.gotemplate.quoting import quote

MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_LAYOUT = re.compile(
    r"January|Jan|Monday|Mon|MST|2006|__2|_2006|002|01|02|03|04|05|06|_2|15|PM|pm"
    r"|-07:00:00|-07:00|-070000|-0700|-07|Z07:00:00|Z07:00|Z070000|Z0700|Z07"
    r"|[.,]0+(?![0-9])|[.,]9+(?![0-9])|1|2|3|4|5"
)
_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}


def formatted(at: datetime, layout: str) -> str:
    """A moment in a layout."""
    return _LAYOUT.sub(lambda match: _element(at, match.group()), layout)


def _element(at: datetime, name: str) -> str:
    if name[0] in ".,":
        digits = f"{at.microsecond:06d}".ljust(len(name) - 1, "0")[: len(name) - 1]
        if name[1] == "9":
            digits = digits.rstrip("0")
        return f"{name[0]}{digits}" if digits else ""
    if name[0] in "-Z" and name[1:2].isdigit():
        return _offset(at, name)
    match name:
        case "January" | "Jan":
            text = MONTHS[at.month - 1]
            return text if name == "January" else text[:3]
        case "Monday" | "Mon":
            text = DAYS[at.weekday()]
            return text if name == "Monday" else text[:3]
        case "MST":
            zone = at.tzname() or ""
            # a zone that has only an offset
            return _offset(at, "-0700") if zone.startswith(("UTC+", "UTC-")) else zone
        case "_2006":
            return f"_{at.year:04d}"
    plain: dict[str, Callable[[], str]] = {
        "2006": lambda: f"{at.year:04d}",
        "06": lambda: f"{at.year % 100:02d}",
        "01": lambda: f"{at.month:02d}",
        "1": lambda: str(at.month),
        "02": lambda: f"{at.day:02d}",
        "_2": lambda: f"{at.day:2d}",
        "2": lambda: str(at.day),
        "002": lambda: f"{at.timetuple().tm_yday:03d}",
        "__2": lambda: f"{at.timetuple().tm_yday:3d}",
        "15": lambda: f"{at.hour:02d}",
        "03": lambda: f"{at.hour % 12 or 12:02d}",
        "3": lambda: str(at.hour % 12 or 12),
        "04": lambda: f"{at.minute:02d}",
        "4": lambda: str(at.minute),
        "05": lambda: f"{at.second:02d}",
        "5": lambda: str(at.second),
        "PM": lambda: "PM" if at.hour >= 12 else "AM",
        "pm": lambda: "pm" if at.hour >= 12 else "am",
    }
    return plain[name]()


def _offset(at: datetime, name: str) -> str:
    seconds = int((at.utcoffset() or timedelta(0)).total_seconds())
    if name[0] == "Z" and not seconds:
        return "Z"
    sign, seconds = ("-" if seconds < 0 else "+"), abs(seconds)
    parts = [f"{seconds // 3600:02d}"]
    if len(name) > 3:
        parts.append(f"{seconds // 60 % 60:02d}")
    if len(name) > 6:
        parts.append(f"{seconds % 60:02d}")
    return sign + (":" if ":" in name else "").join(parts)


_PATTERNS = {
    "2006": r"(?P<year>\d{4})",
    "06": r"(?P<short_year>\d{2})",
    "January": rf"(?P<month_name>{'|'.join(MONTHS)})",
    "Jan": rf"(?P<month_name>{'|'.join(month[:3] for month in MONTHS)})",
    "Monday": f"(?:{'|'.join(DAYS)})",
    "Mon": f"(?:{'|'.join(day[:3] for day in DAYS)})",
    "01": r"(?P<month>\d{2})",
    "1": r"(?P<month>\d{1,2})",
    "02": r"(?P<day>\d{2})",
    "_2": r" ?(?P<day>\d{1,2})",
    "2": r"(?P<day>\d{1,2})",
    "15": r"(?P<hour>\d{2})",
    "03": r"(?P<half_hour>\d{2})",
    "3": r"(?P<half_hour>\d{1,2})",
    "04": r"(?P<minute>\d{2})",
    "4": r"(?P<minute>\d{1,2})",
    "05": r"(?P<second>\d{2})(?P<fraction>[.,]\d+)?",
    "5": r"(?P<second>\d{1,2})(?P<fraction>[.,]\d+)?",
    "PM": r"(?P<half>AM|PM)",
    "pm": r"(?P<half>am|pm)",
    "MST": r"(?P<zone>[A-Z]{3,4})",
}


def parsed(layout: str, value: str, local: tzinfo) -> datetime:
    """A text in a layout; without a zone in it, local.

    Raises:
        ValueError: Go's text.
    """
    elements = [(match.start(), match.end(), match.group()) for match in _LAYOUT.finditer(layout)]
    found: dict[str, str] = {}
    position, rest = 0, value
    for start, end, name in [*elements, (len(layout), len(layout), "")]:
        literal = layout[position:start]
        if not rest.startswith(literal):
            raise _refusal(layout, value, rest, literal)
        rest = rest[len(literal) :]
        position = end
        if not name:
            break
        match = re.compile(_pattern(name)).match(rest)
        if match is None:
            raise _refusal(layout, value, rest, name)
        found |= {key: text for key, text in match.groupdict().items() if text}
        rest = rest[match.end() :]
    if rest:
        raise ValueError(f"parsing time {quote(value)}: extra text: {quote(rest)}")
    return _moment(found, value, local)


def _refusal(layout: str, value: str, rest: str, element: str) -> ValueError:
    return ValueError(
        f"parsing time {quote(value)} as {quote(layout)}: cannot parse {quote(rest)} as {quote(element)}"
    )


def _pattern(name: str) -> str:
    if name[0] in ".,":
        return r"(?P<fraction>[.,]\d+)" if name[1] == "0" else r"(?P<fraction>[.,]\d+)?"
    if name[0] in "-Z" and name[1:2].isdigit():
        colon = ":" if ":" in name else ""
        body = r"[+-]\d{2}" + (colon + r"\d{2}") * ((len(name) - len(colon)) // 2 - 1 if len(name) > 3 else 0)
        return rf"(?P<offset>Z|{body})" if name[0] == "Z" else rf"(?P<offset>{body})"
    return _PATTERNS.get(name, re.escape(name))


def _moment(found: dict[str, str], value: str, local: tzinfo) -> datetime:
    year = int(found.get("year", 0)) or 1
    if "short_year" in found:
        short = int(found["short_year"])
        year = short + (1900 if short >= 69 else 2000)
    month = int(found.get("month", 1))
    if "month_name" in found:
        month = next(n for n, name in enumerate(MONTHS, 1) if name.startswith(found["month_name"][:3]))
    hour = int(found.get("hour", found.get("half_hour", 0)))
    if found.get("half", "").lower() == "pm" and hour < 12:
        hour += 12
    elif found.get("half", "").lower() == "am" and hour == 12:
        hour = 0
    day, minute, second = int(found.get("day", 1)), int(found.get("minute", 0)), int(found.get("second", 0))
    ranges = (
        ("month", 1 <= month <= 12),
        ("hour", hour < 24),
        ("minute", minute < 60),
        ("second", second < 60),
    )
    for name, fits in ranges:
        if not fits:
            raise ValueError(f"parsing time {quote(value)}: {name} out of range")
    if not 1 <= day <= monthrange(year, month)[1]:
        raise ValueError(f"parsing time {quote(value)}: day out of range")
    micro = int(found.get("fraction", ".0")[1:7].ljust(6, "0"))
    return datetime(year, month, day, hour, minute, second, micro, _zone(found, local))


def _zone(found: dict[str, str], local: tzinfo) -> tzinfo:
    offset = found.get("offset")
    if offset is None:
        return UTC if found.get("zone") in ("UTC", "GMT") else local
    if offset == "Z":
        return UTC
    digits = offset[1:].replace(":", "").ljust(6, "0")
    length = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]), seconds=int(digits[4:6]))
    return timezone(-length if offset[0] == "-" else length) if length else UTC


def add_date(at: datetime, years: int, months: int, days: int, make: Callable[[datetime], Any]) -> Any:
    """A moment some years, months and days later; days that a month has not run into the next."""
    count = at.year * 12 + at.month - 1 + years * 12 + months
    first = at.replace(year=count // 12, month=count % 12 + 1, day=1)
    return make(first + timedelta(days=at.day - 1 + days))


def duration_text(nanoseconds: int) -> str:
    """A duration as Go prints it."""
    number = abs(int(nanoseconds))
    sign = "-" if nanoseconds < 0 else ""
    if not number:
        return "0s"
    if number < 10**9:
        unit, size = ("ns", 1) if number < 10**3 else ("µs", 10**3) if number < 10**6 else ("ms", 10**6)
        return f"{sign}{_fraction(number, size)}{unit}"
    minutes, rest = divmod(number, 60 * 10**9)
    text = f"{_fraction(rest, 10**9)}s"
    if minutes:
        text = f"{minutes % 60}m{text}"
    if minutes >= 60:
        text = f"{minutes // 60}h{text}"
    return sign + text


def _fraction(number: int, size: int) -> str:
    whole, rest = divmod(number, size)
    digits = str(rest).rjust(len(str(size)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


def parse_duration(text: str) -> int:
    """A duration in nanoseconds.

    Raises:
        ValueError: Go's text.
    """
    body = text.lstrip("+-") if text[:2] not in ("++", "--", "+-", "-+") else text
    sign = -1 if text.startswith("-") else 1
    if body == "0":
        return 0
    if not body:
        raise ValueError(f"time: invalid duration {quote(text)}")
    total, position = 0, 0
    while position < len(body):
        number = re.match(r"([0-9]*)(?:\.([0-9]*))?", body[position:])
        assert number is not None
        whole, fraction = number.group(1), number.group(2) or ""
        if not whole and not fraction:
            raise ValueError(f"time: invalid duration {quote(text)}")
        position += number.end()
        unit = re.match(r"[^0-9.]*", body[position:])
        assert unit is not None
        if not unit.group():
            raise ValueError(f"time: missing unit in duration {quote(text)}")
        size = _UNITS.get(unit.group())
        if size is None:
            raise ValueError(f"time: unknown unit {quote(unit.group())} in duration {quote(text)}")
        total += int(whole[:20] or 0) * size + int(fraction[:18] or 0) * size // 10 ** len(fraction[:18])
        position += unit.end()
    if total >= 1 << 63:
        raise ValueError(f"time: invalid duration {quote(text)}")
    return sign * total


_ROUGH = (
    ("y", 24 * 365 * 3600),
    ("mo", 24 * 30 * 3600),
    ("d", 24 * 3600),
    ("h", 3600),
    ("m", 60),
    ("s", 1),
)


def rough(nanoseconds: int) -> str:
    """A duration in its largest unit, without its sign."""
    number = abs(nanoseconds)
    for name, seconds in _ROUGH:
        if number > seconds * 10**9:
            return f"{number // (seconds * 10**9)}{name}"
    return "0s"
