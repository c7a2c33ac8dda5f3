"""Moments in layouts of Go (operations.md 7.1)."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tiphys.telemetry.golayout import write_time

MOMENT = datetime(2024, 7, 4, 21, 5, 9, 120_000, UTC)


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        pytest.param("2006-01-02T15:04:05Z07:00", "2024-07-04T21:05:09Z", id="RFC3339"),
        pytest.param("2006-01-02T15:04:05.999999999Z07:00", "2024-07-04T21:05:09.12Z", id="RFC3339Nano"),
        pytest.param("2006-01-02T15:04:05.000Z", "2024-07-04T21:05:09.120Z", id="milliseconds"),
        pytest.param("02 Jan 06 15:04 -0700", "04 Jul 24 21:05 +0000", id="RFC822Z"),
        pytest.param("Monday, 02-Jan-06 15:04:05 MST", "Thursday, 04-Jul-24 21:05:09 UTC", id="RFC850"),
        pytest.param("Mon Jan _2 15:04:05 2006", "Thu Jul  4 21:05:09 2024", id="ANSIC"),
        pytest.param("3:04PM", "9:05PM", id="Kitchen"),
        pytest.param("Jan _2 15:04:05.000000", "Jul  4 21:05:09.120000", id="StampMicro"),
        pytest.param("2006.002 __2", "2024.186 186", id="day-of-the-year"),
        pytest.param("1/2/06 03h4m5s pm", "7/4/24 09h5m9s pm", id="short"),
        pytest.param("05,000 January_2006", "09,120 July_2024", id="comma-and-underscore"),
        pytest.param("Janet Money -07:00:00", "Janet Money +00:00:00", id="words-are-words"),
        pytest.param("", "", id="empty"),
    ],
)
def test_layout(layout: str, text: str) -> None:
    assert write_time(layout, MOMENT) == text


def test_moments_of_other_zones_are_written_as_utc() -> None:
    moment = MOMENT.astimezone(timezone(timedelta(hours=2)))
    assert write_time("15:04 -07", moment) == "21:05 +00"


def test_no_fraction_is_left_out_with_its_point() -> None:
    assert write_time("05.999|05.000", MOMENT.replace(microsecond=0)) == "09|09.000"
