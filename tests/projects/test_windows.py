"""Sync windows: applications.md 17."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.projects.building import SERVER, app, project
from tiphys.projects.windows import can_sync, is_active, matching_windows
from tiphys.resources.project import SyncWindow

ALWAYS = {"schedule": "* * * * *", "duration": "1h"}
NEVER = {"schedule": "0 0 1 1 *", "duration": "1s"}
NOW = datetime(2026, 3, 11, 12, 30, tzinfo=UTC)


def window(kind: str = "allow", **rest: Any) -> SyncWindow:
    return project(syncWindows=[{"kind": kind, **rest}]).spec.sync_windows[0]


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        ({}, False),
        ({"applications": ["web"]}, True),
        ({"applications": ["w*"]}, True),
        ({"applications": ["!other"]}, False),  # no negation
        ({"namespaces": ["shop"]}, True),
        ({"clusters": [SERVER]}, True),
        ({"clusters": ["in-cluster"]}, False),  # as the spec says it, not resolved
        ({"applications": ["x"], "namespaces": ["shop"]}, True),
        ({"applications": ["x"], "namespaces": ["shop"], "andOperator": True}, False),
        ({"applications": ["web"], "namespaces": ["shop"], "andOperator": True}, True),
        ({"andOperator": True}, False),
    ],
)
def test_matching(selectors: dict[str, Any], expected: bool) -> None:
    given = project(syncWindows=[{"kind": "allow", **ALWAYS, **selectors}])
    found = matching_windows(given, app("web", destination={"server": SERVER, "namespace": "shop"}))
    assert bool(found) is expected


@pytest.mark.parametrize(
    ("schedule", "duration", "zone", "now", "expected"),
    [
        ("0 12 * * *", "1h", "", "2026-03-11T12:30:00+00:00", True),
        ("0 12 * * *", "1h", "", "2026-03-11T12:00:00+00:00", False),  # both ends are strict
        ("0 12 * * *", "1h", "", "2026-03-11T12:00:01+00:00", True),
        ("0 12 * * *", "1h", "", "2026-03-11T13:00:00+00:00", False),
        ("0 12 * * *", "1h", "", "2026-03-11T12:59:59+00:00", True),
        ("0 22 * * *", "8h", "", "2026-03-11T05:00:00+00:00", True),  # over midnight
        ("0 12 * * *", "1h30m", "Europe/Amsterdam", "2026-03-11T12:15:00+00:00", True),
        ("0 12 * * *", "1h", "Europe/Amsterdam", "2026-03-11T12:15:00+00:00", False),
        ("0 12 * * *", "1h", "Europe/Amsterdam", "2026-07-11T10:15:00+00:00", True),  # summer time
        ("0 12 * * *", "1h", "Nowhere/City", "2026-03-11T12:30:00+00:00", True),  # unknown: UTC
        ("0 12 * * *", "1h", "", "2026-03-11T14:30:00+02:00", True),
        ("TZ=Europe/Amsterdam 0 12 * * *", "1h", "", "2026-03-11T11:15:00+00:00", True),
        ("CRON_TZ=Europe/Amsterdam 0 12 * * *", "1h", "UTC", "2026-03-11T12:15:00+00:00", False),
        # The night in which the clock goes from 2:00 to 3:00: the current offset counts.
        ("30 1 * * *", "2h", "Europe/Amsterdam", "2026-03-29T01:15:00+00:00", True),
        ("* * * * *", "0", "", "2026-03-11T12:30:30+00:00", False),
        ("0 0 30 2 *", "1000000h", "", "2026-03-11T12:30:30+00:00", False),
    ],
)
def test_active(schedule: str, duration: str, zone: str, now: str, expected: bool) -> None:
    given = window(schedule=schedule, duration=duration, timeZone=zone)
    assert is_active(given, datetime.fromisoformat(now)) is expected


MANUAL = {"manualSync": True}


@pytest.mark.parametrize(
    ("windows", "automatic", "manual"),
    [
        ([], True, True),
        ([window("allow", **ALWAYS)], True, True),
        ([window("allow", **NEVER)], False, False),
        ([window("allow", **NEVER, **MANUAL)], False, True),
        ([window("deny", **NEVER)], True, True),
        ([window("deny", **ALWAYS)], False, False),
        ([window("deny", **ALWAYS, **MANUAL)], False, True),
        ([window("deny", **ALWAYS, **MANUAL), window("deny", **ALWAYS)], False, False),
        ([window("allow", **ALWAYS), window("deny", **ALWAYS)], False, False),  # deny wins
        ([window("allow", **ALWAYS), window("deny", **NEVER)], True, True),
        ([window("allow", **NEVER), window("deny", **NEVER)], False, False),
        ([window("allow", **ALWAYS), window("allow", **NEVER)], True, True),
        ([window("allow", **NEVER, **MANUAL), window("allow", **NEVER)], False, False),
        ([window("nonsense", **ALWAYS)], True, True),  # inert
    ],
)
def test_can_sync(windows: list[SyncWindow], automatic: bool, manual: bool) -> None:
    assert can_sync(windows, manual=False, now=NOW).allowed is automatic
    assert can_sync(windows, manual=True, now=NOW).allowed is manual


NOON_TO_ONE = {"schedule": "0 12 * * *", "duration": "1h"}
OVERRUN = {"syncOverrun": True}
BEFORE, DURING, AFTER = (datetime(2026, 3, 11, hour, 30, tzinfo=UTC) for hour in (11, 12, 13))


@pytest.mark.parametrize(
    ("windows", "start", "now", "expected"),
    [
        ([window("deny", **NOON_TO_ONE, **OVERRUN)], BEFORE, DURING, True),
        ([window("deny", **NOON_TO_ONE)], BEFORE, DURING, False),
        ([window("deny", **NOON_TO_ONE, **OVERRUN)], None, DURING, False),
        ([window("deny", **NOON_TO_ONE, **OVERRUN)], DURING, DURING, False),
        ([window("allow", **NOON_TO_ONE, **OVERRUN)], DURING, AFTER, True),
        ([window("allow", **NOON_TO_ONE)], DURING, AFTER, False),
        ([window("allow", **NOON_TO_ONE, **OVERRUN)], BEFORE, AFTER, False),
        (
            [window("allow", **NOON_TO_ONE, **OVERRUN), window("allow", **NEVER)],
            DURING,
            AFTER,
            False,
        ),
    ],
)
def test_overrun(windows: list[SyncWindow], start: datetime | None, now: datetime, expected: bool) -> None:
    assert can_sync(windows, manual=False, now=now, operation_start=start).allowed is expected


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (
            {"schedule": "x", "duration": "1h"},
            "invalid sync windows: cannot parse schedule 'x': expected exactly 5 fields, found 1: [x]",
        ),
        (
            {"schedule": "* * * * *", "duration": "1d"},
            'invalid sync windows: cannot parse duration \'1d\': time: unknown unit "d" in duration "1d"',
        ),
    ],
)
def test_a_broken_window_forbids_and_says_so(broken: dict[str, str], error: str) -> None:
    decision = can_sync([window("allow", **ALWAYS), window("deny", **broken)], manual=True, now=NOW)
    assert not decision.allowed
    assert decision.error == error


def test_the_decision_says_why() -> None:
    assert (
        can_sync([window("deny", **ALWAYS)], manual=False, now=NOW).reason
        == "blocked by an active deny window"
    )
