"""Cron schedules of sync windows, with the reference's meaning.

Five fields: minute, hour, day of month, month, day of week (0 is Sunday, 7 is refused); each a
list of ``*``, ``?``, ``a``, ``a-b``, with ``/step``; names of months and days. ``5/15`` means
"from 5, every 15". A time zone may stand in front (``TZ=Europe/Paris 0 9 * * *``, ``CRON_TZ=``).
If both day fields restrict, either suffices. Only a bare ``*`` counts as unrestricted: ``*/2``
restricts, where Debian's cron (and so the cron libraries of Python) takes it for a star. That
difference, and the texts of errors, are why this is not a library; the tests hold it against one.
"""

import calendar
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec


class CronError(ValueError):
    """The schedule cannot be parsed; the message says why."""


class _Field(NamedTuple):
    low: int
    high: int
    names: dict[str, int]


_MINUTE = _Field(0, 59, {})
_HOUR = _Field(0, 23, {})
_DAY = _Field(1, 31, {})
_MONTH = _Field(1, 12, {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name})
_WEEKDAY = _Field(
    0, 6, {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
)


_ZONE_PREFIXES = ("TZ=", "CRON_TZ=")


class Cron(msgspec.Struct, frozen=True):
    """A parsed schedule: the values of each field, and which day fields are unrestricted."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool
    zone: ZoneInfo | None = None
    """Whose local times these are, if the schedule says so."""

    def last_before(self, moment: datetime, earliest: datetime) -> datetime | None:
        """The latest start that is before ``moment`` and after ``earliest``; both ends excluded.

        The values are naive local times; the search is bounded by ``earliest``.
        """
        day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        while day > earliest - timedelta(days=1):
            if self._has_day(day):
                for hour in reversed(self.hours):
                    for minute in reversed(self.minutes):
                        start = day.replace(hour=hour, minute=minute)
                        if start < moment:
                            return start if start > earliest else None
            day -= timedelta(days=1)
        return None

    def _has_day(self, day: datetime) -> bool:
        if day.month not in self.months:
            return False
        in_month = day.day in self.days
        in_week = day.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return in_month and in_week
        return in_month or in_week


@lru_cache(maxsize=1024)
def parse_cron(schedule: str) -> Cron:
    """Parse a schedule of five fields.

    Raises:
        CronError: the number of fields or one of them is wrong, or the time zone is unknown.
    """
    if not schedule:
        raise CronError("empty spec string")
    zone = None
    if schedule.startswith(_ZONE_PREFIXES):
        place, _, schedule = schedule.partition(" ")
        zone = _zone(place.partition("=")[2])
        schedule = schedule.strip()
    if schedule.startswith("@"):
        raise CronError(f"parser does not accept descriptors: {schedule}")
    fields = schedule.split()
    if len(fields) != 5:
        listed = " ".join(fields)
        raise CronError(f"expected exactly 5 fields, found {len(fields)}: [{listed}]")
    minutes, hours, days, months, weekdays = (
        _parse_field(text, field)
        for text, field in zip(fields, (_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY), strict=True)
    )
    return Cron(
        tuple(sorted(minutes[0])),
        tuple(sorted(hours[0])),
        days[0],
        months[0],
        weekdays[0],
        any_day=days[1],
        any_weekday=weekdays[1],
        zone=zone,
    )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise CronError(f"provided bad location {name}: unknown time zone {name}") from None


def _parse_field(text: str, field: _Field) -> tuple[frozenset[int], bool]:
    """The values of a field, and whether it is unrestricted."""
    values: set[int] = set()
    unrestricted = False
    for part in text.split(","):
        if not part:
            continue
        numbers, star = _parse_range(part, field)
        values.update(numbers)
        unrestricted = unrestricted or star
    return frozenset(values), unrestricted


def _parse_range(text: str, field: _Field) -> tuple[range, bool]:
    bounds, *steps = text.split("/")
    if len(steps) > 1:
        raise CronError(f"too many slashes: {text}")
    ends = bounds.split("-")
    star = ends[0] in ("*", "?")
    if star:
        low, high = field.low, field.high
    else:
        low = _parse_number(ends[0], field)
        high = _parse_number(ends[1], field) if len(ends) == 2 else low
        if len(ends) > 2:
            raise CronError(f"too many hyphens: {text}")
    step = 1
    if steps:
        step = _parse_number(steps[0], _Field(0, 0, {}))
        if len(ends) == 1 and not star:
            high = field.high
    if low < field.low:
        raise CronError(f"beginning of range ({low}) below minimum ({field.low}): {text}")
    if high > field.high:
        raise CronError(f"end of range ({high}) above maximum ({field.high}): {text}")
    if low > high:
        raise CronError(f"beginning of range ({low}) beyond end of range ({high}): {text}")
    if step == 0:
        raise CronError(f"step of range should be a positive number: {text}")
    return range(low, high + 1, step), star and step == 1


def _parse_number(text: str, field: _Field) -> int:
    named = field.names.get(text.lower())
    if named is not None:
        return named
    if not text.isascii() or not text.isdigit():
        raise CronError(f"failed to parse int from {text}")
    return int(text)
