"""Instants as the API writes them: RFC 3339, UTC, whole seconds.

API fields hold times as text (``Timestamp``), so that an object read and written back is
unchanged; arithmetic happens on aware ``datetime`` values given by the caller's clock.
"""

import re
from datetime import UTC, datetime
from typing import NewType

Timestamp = NewType("Timestamp", str)
"""RFC 3339 text such as ``2026-01-31T12:00:00Z``."""


def to_timestamp(moment: datetime) -> Timestamp:
    """Text of an aware ``datetime``, in UTC with second precision."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return Timestamp(moment.isoformat(timespec="seconds")[:19] + "Z")  # strftime costs five times as much


def from_timestamp(text: str) -> datetime:
    """The aware ``datetime`` of RFC 3339 text (fractions and offsets allowed).

    Raises:
        ValueError: the text is no RFC 3339 time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time {text!r} has no offset")
    return moment.astimezone(UTC)


_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_DURATION = re.compile(r"([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h|d))+|0)")
_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h|d)")


def go_duration(text: str, *, days: bool = False) -> float:
    """Seconds of a Go duration such as ``1h30m`` or ``1.5s``.

    Go has no unit for days; with ``days``, ``d`` is one.

    Raises:
        ValueError: with the words of Go.
    """
    match = _DURATION.fullmatch(text)
    if match is None or ("d" in text and not days):
        if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", text):
            raise ValueError(f'time: missing unit in duration "{text}"')
        unit = re.search(r"\d\.?([^\d.+-]+)", text)
        if unit and (unit[1] not in _UNITS or (unit[1] == "d" and not days)):
            raise ValueError(f'time: unknown unit "{unit[1]}" in duration "{text}"')
        raise ValueError(f'time: invalid duration "{text}"')
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(match[2]))
    return -seconds if match[1] == "-" else seconds
