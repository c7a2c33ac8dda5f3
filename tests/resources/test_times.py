"""Instants and Go's durations."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tiphys.resources.times import from_timestamp, go_duration, to_timestamp


def test_timestamps_are_utc_with_seconds() -> None:
    moment = datetime(2026, 1, 31, 13, 0, 0, 999, tzinfo=timezone(timedelta(hours=1)))
    assert to_timestamp(moment) == "2026-01-31T12:00:00Z"
    assert from_timestamp("2026-01-31T13:00:00.5+01:00") == datetime(
        2026, 1, 31, 12, 0, 0, 500000, tzinfo=UTC
    )


@pytest.mark.parametrize("text", ["", "2026-01-31T12:00:00", "yesterday"])
def test_no_timestamp(text: str) -> None:
    with pytest.raises(ValueError):
        from_timestamp(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1h30m", 5400.0),
        ("1.5s", 1.5),
        ("300ms", 0.3),
        ("0", 0.0),
        ("-2m", -120.0),
        ("+.5h", 1800.0),
        ("1us", 1e-6),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert go_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", 'time: invalid duration ""'),
        ("5", 'time: missing unit in duration "5"'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
        ("1h x", 'time: unknown unit "h x" in duration "1h x"'),
        ("h", 'time: invalid duration "h"'),
    ],
)
def test_no_durations(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        go_duration(text)
    assert str(caught.value) == problem
