"""Schedules: their fields, their errors, and a cron library as the oracle where both agree."""

from datetime import datetime, timedelta

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.projects.cron import CronError, parse_cron

NOW = datetime(2026, 3, 11, 12, 0, 0)  # a Wednesday


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("* * * * *", datetime(2026, 3, 11, 11, 59)),
        ("0 12 * * *", datetime(2026, 3, 10, 12, 0)),  # strictly before
        ("*/15 * * * *", datetime(2026, 3, 11, 11, 45)),
        ("5/15 * * * *", datetime(2026, 3, 11, 11, 50)),
        ("0 9-10 * * mon-fri", datetime(2026, 3, 11, 10, 0)),
        ("0 0 * * SUN", datetime(2026, 3, 8)),
        ("0 0 1 jan *", datetime(2026, 1, 1)),
        ("0 0 29 2 *", datetime(2024, 2, 29)),
        ("0 0 30 2 *", None),
        ("0 0 1 * mon", datetime(2026, 3, 9)),  # either day field suffices
        ("0 0 ? * mon", datetime(2026, 3, 9)),
        ("0 0 */31 * wed", datetime(2026, 3, 11)),  # */n restricts: either suffices
        ("0,30 8,20 * * *", datetime(2026, 3, 11, 8, 30)),
    ],
)
def test_last_start_before(schedule: str, expected: datetime | None) -> None:
    assert parse_cron(schedule).last_before(NOW, NOW - timedelta(days=1500)) == expected


def test_the_earliest_moment_is_excluded() -> None:
    cron = parse_cron("0 12 * * *")
    start = datetime(2026, 3, 10, 12)
    assert cron.last_before(NOW, start) is None
    assert cron.last_before(NOW, start - timedelta(seconds=1)) == start


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("0 * * * * *", "expected exactly 5 fields, found 6: [0 * * * * *]"),
        ("@daily", "parser does not accept descriptors: @daily"),
        ("TZ=Nowhere/City * * * * *", "provided bad location Nowhere/City: unknown time zone Nowhere/City"),
        ("TZ=UTC", "expected exactly 5 fields, found 0: []"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("a * * * *", "failed to parse int from a"),
        ("* * L * *", "failed to parse int from L"),
    ],
)
def test_errors(schedule: str, problem: str) -> None:
    with pytest.raises(CronError) as caught:
        parse_cron(schedule)
    assert problem in str(caught.value)


def _field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    # The library takes "0-0/1" of week days for the whole week.
    pair = st.tuples(number, number).map(sorted).filter(lambda ends: ends[0] < ends[1])
    return st.one_of(
        st.just("*"),
        number.map(str),
        pair.map(lambda ends: f"{ends[0]}-{ends[1]}"),
        st.tuples(pair, st.integers(1, 9)).map(lambda given: f"{given[0][0]}-{given[0][1]}/{given[1]}"),
        st.lists(number, min_size=1, max_size=3).map(lambda values: ",".join(map(str, values))),
    )


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(_field(0, 59), _field(0, 23), _field(1, 28), _field(1, 12), _field(0, 6)),
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),
)
def test_agrees_with_a_cron_library(fields: tuple[str, ...], moment: datetime) -> None:
    # Without "*/n" in a day field, where the two differ by design.
    schedule = " ".join(fields)
    first = next(CronSim(schedule, moment.replace(second=0, microsecond=0)))
    probe = first + timedelta(seconds=30)
    assert parse_cron(schedule).last_before(probe, moment - timedelta(days=1)) == first
    assert parse_cron(schedule).last_before(first, moment) is None
