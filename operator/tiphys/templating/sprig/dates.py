"""Moments and durations."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from tiphys.templating.errors import GoError
from tiphys.templating.gotemplate.values import ANY, Function, GoObject, Int64
from tiphys.templating.sprig import times

_HTML = "2006-01-02"


class Duration(Int64):
    """Go's ``time.Duration``, in nanoseconds."""

    go_type = "time.Duration"
    go_kind = "int64"

    def go_string(self) -> str:
        """Such as ``1h2m3.5s``."""
        return times.duration_text(self)

    def go_fields(self) -> Mapping[str, Any]:
        """None."""
        return {}

    def go_methods(self) -> Mapping[str, Function]:
        """Its length in units."""
        values: dict[str, Any] = {
            "Seconds": self / 1e9,
            "Minutes": self / 60e9,
            "Hours": self / 3600e9,
            "Milliseconds": Int64(self // 1_000_000),
            "String": self.go_string(),
        }
        return {name: Function((), lambda value=value: value) for name, value in values.items()}


class Month(int):
    """Go's ``time.Month``."""

    go_type = "time.Month"
    go_kind = "int"

    def go_string(self) -> str:
        """Its name."""
        return times.MONTHS[self - 1]


class Weekday(int):
    """Go's ``time.Weekday``: Sunday is 0."""

    go_type = "time.Weekday"
    go_kind = "int"

    def go_string(self) -> str:
        """Its name."""
        return times.DAYS[self - 1]


class Moment(msgspec.Struct, GoObject, frozen=True):
    """Go's ``time.Time``."""

    at: datetime

    go_type = "time.Time"

    def go_string(self) -> str:
        """As ``Time.String`` prints it."""
        return times.formatted(self.at, "2006-01-02 15:04:05.999999999 -0700 MST")

    def go_methods(self) -> Mapping[str, Function]:
        """The methods that templates use."""
        at = self.at
        plain: dict[str, Any] = {
            "Year": at.year,
            "Month": Month(at.month),
            "Day": at.day,
            "Weekday": Weekday(at.isoweekday() % 7),
            "Hour": at.hour,
            "Minute": at.minute,
            "Second": at.second,
            "YearDay": at.timetuple().tm_yday,
            "Unix": Int64(_unix(at)),
            "UnixMilli": Int64(int(_nanoseconds(at - _EPOCH) // 1_000_000)),
            "UnixNano": Int64(_nanoseconds(at - _EPOCH)),
            "String": self.go_string(),
            "IsZero": at.replace(tzinfo=UTC) == _ZERO and at.utcoffset() == timedelta(0),
        }
        found = {name: Function((), lambda value=value: value) for name, value in plain.items()}
        return found | {
            "UTC": Function((), lambda: Moment(at.astimezone(UTC))),
            "Format": Function(("string",), lambda layout: times.formatted(at, layout)),
            "Add": Function(("time.Duration",), lambda duration: added(self, duration)),
            "AddDate": Function(("int", "int", "int"), lambda y, m, d: times.add_date(at, y, m, d, Moment)),
            "Sub": Function(("time.Time",), lambda other: Duration(_nanoseconds(at - other.at))),
            "After": Function(("time.Time",), lambda other: at > other.at),
            "Before": Function(("time.Time",), lambda other: at < other.at),
            "Equal": Function(("time.Time",), lambda other: at == other.at),
        }


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZERO = datetime(1, 1, 1, tzinfo=UTC)


def _unix(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(seconds=1)


def _nanoseconds(length: timedelta) -> int:
    return (length // timedelta(microseconds=1)) * 1000


def added(moment: Moment, nanoseconds: int) -> Moment:
    """A moment some nanoseconds later (to the microsecond)."""
    return Moment(moment.at + timedelta(microseconds=int(nanoseconds) // 1000))


def zone_of(name: str, local: tzinfo) -> tzinfo:
    """A time zone by name; ``Local`` is ours, an unknown one UTC."""
    if name == "Local":
        return local
    try:
        return UTC if name in ("", "UTC") else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


class Dates:
    """The functions that need a clock.

    Args:
        clock: the present moment.
        local: the time zone that counts as local.
    """

    def __init__(self, clock: Callable[[], datetime], local: tzinfo) -> None:
        self._clock = clock
        self._local = local

    def _now(self) -> datetime:
        return self._clock().astimezone(self._local)

    def _moment(self, value: Any) -> datetime:
        if isinstance(value, Moment):
            return value.at
        if isinstance(value, int) and not isinstance(value, bool | Duration):
            try:
                return _EPOCH + timedelta(seconds=int(value))
            except OverflowError:
                raise GoError("time out of range") from None
        return self._now()

    def in_zone(self, layout: str, value: Any, zone: str) -> str:
        """A moment (or seconds since 1970; else now) in a layout and a zone."""
        return times.formatted(self._moment(value).astimezone(zone_of(zone, self._local)), layout)

    def parsed(self, layout: str, value: str) -> Moment:
        """A text in a layout.

        Raises:
            GoError: it is not.
        """
        try:
            return Moment(times.parsed(layout, value, self._local))
        except ValueError as error:
            raise GoError(str(error)) from None

    def _parsed_or_zero(self, layout: str, value: str) -> Moment:
        try:
            return self.parsed(layout, value)
        except GoError:
            return Moment(_ZERO)

    def _since(self, value: Any) -> int:
        return _nanoseconds(self._now() - self._moment(value))

    def ago(self, value: Any) -> str:
        """How long ago, in seconds."""
        seconds = (abs(since := self._since(value)) + 500_000_000) // 1_000_000_000
        return times.duration_text((seconds if since >= 0 else -seconds) * 1_000_000_000)

    def rounded(self, value: Any) -> str:
        """A duration in its largest unit."""
        if isinstance(value, Moment):
            return times.rough(self._since(value))
        if isinstance(value, str):
            try:
                return times.rough(times.parse_duration(value))
            except ValueError:
                return "0s"
        return times.rough(int(value)) if isinstance(value, Int64) else "0s"

    def functions(self) -> Mapping[str, Function]:
        """Their table."""
        modify, must_modify = (
            Function(("string", "time.Time"), _modified_or_same),
            Function(("string", "time.Time"), modified),
        )
        in_zone = Function(("string", ANY, "string"), self.in_zone)
        return {
            "ago": Function((ANY,), self.ago),
            "date": Function(("string", ANY), lambda layout, value: self.in_zone(layout, value, "Local")),
            "dateInZone": in_zone,
            "dateModify": modify,
            "date_in_zone": in_zone,
            "date_modify": modify,
            "duration": Function((ANY,), _seconds),
            "durationRound": Function((ANY,), self.rounded),
            "htmlDate": Function((ANY,), lambda value: self.in_zone(_HTML, value, "Local")),
            "htmlDateInZone": Function((ANY, "string"), lambda value, zone: self.in_zone(_HTML, value, zone)),
            "mustDateModify": must_modify,
            "mustToDate": Function(("string", "string"), self.parsed),
            "must_date_modify": must_modify,
            "now": Function((), lambda: Moment(self._now())),
            "toDate": Function(("string", "string"), self._parsed_or_zero),
            "unixEpoch": Function(("time.Time",), lambda moment: str(_unix(moment.at))),
        }


def modified(duration: str, moment: Moment) -> Moment:
    """A moment a duration later.

    Raises:
        GoError: not a duration, or no such moment.
    """
    try:
        return added(moment, times.parse_duration(duration))
    except (ValueError, OverflowError) as error:
        raise GoError(str(error)) from None


def _modified_or_same(duration: str, moment: Moment) -> Moment:
    try:
        return modified(duration, moment)
    except GoError:
        return moment


def _seconds(value: Any) -> str:
    is_number = isinstance(value, str) and value.lstrip("+-").isdecimal() and len(value) < 20
    number = int(value) if is_number or type(value) is Int64 else 0
    return times.duration_text(number * 1_000_000_000)
