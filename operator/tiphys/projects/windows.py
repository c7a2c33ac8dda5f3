"""Sync windows: whether an application may be synced now (``applications.md`` 17).

``matching_windows`` picks the windows of a project that concern an application, ``can_sync``
decides over them. The moment is an argument. A window is active at ``t`` if one of its starts
``s`` satisfies ``t - duration < s < t``, computed in local time with the zone's current offset.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from tiphys.projects.cron import CronError, parse_cron
from tiphys.projects.glob import matches, matches_any
from tiphys.resources.application import Application
from tiphys.resources.project import AppProject, SyncWindow
from tiphys.resources.times import go_duration

ALLOW = "allow"
DENY = "deny"


class WindowError(ValueError):
    """A window's schedule or duration cannot be parsed; the message is the reference's."""

    def __init__(self, window: SyncWindow, message: str) -> None:
        super().__init__(message)
        self.window = window


class WindowDecision(msgspec.Struct, frozen=True):
    """Whether syncing is allowed, and why; ``error`` names a window that cannot be read."""

    allowed: bool
    reason: str
    error: str = ""


def matching_windows(project: AppProject, app: Application) -> tuple[SyncWindow, ...]:
    """The windows that concern an application.

    One hit in any selector suffices; under ``andOperator`` every selector given must be hit. The
    cluster is compared as the application's destination names it, unresolved.
    """
    return tuple(window for window in project.spec.sync_windows if _concerns(window, app))


def _concerns(window: SyncWindow, app: Application) -> bool:
    destination = app.spec.destination
    hits: list[bool] = []
    if window.applications:
        hits.append(matches_any(window.applications, app.metadata.name))
    if window.clusters:
        named = [name for name in (destination.name, destination.server) if name]
        hits.append(any(matches(pattern, name) for pattern in window.clusters for name in named))
    if window.namespaces:
        hits.append(matches_any(window.namespaces, destination.namespace))
    return (all(hits) and bool(hits)) if window.and_operator else any(hits)


def is_active(window: SyncWindow, now: datetime) -> bool:
    """Whether a window is open at ``now`` (aware).

    Raises:
        WindowError: the schedule or duration cannot be parsed.
    """
    try:
        cron = parse_cron(window.schedule)
    except CronError as error:
        raise WindowError(window, f"cannot parse schedule '{window.schedule}': {error}") from None
    try:
        duration = timedelta(seconds=go_duration(window.duration))
    except (ValueError, OverflowError) as error:
        raise WindowError(window, f"cannot parse duration '{window.duration}': {error}") from None
    local = now.astimezone(zone_of(window.time_zone)).replace(tzinfo=None)
    if cron.zone is not None:  # counts from there, as in the reference; nobody sets both
        local = local.replace(tzinfo=UTC).astimezone(cron.zone).replace(tzinfo=None)
    try:
        earliest = local - duration
    except OverflowError:
        earliest = datetime.min
    return cron.last_before(local, max(earliest, local - _LONGEST_SEARCH)) is not None


# As far as the reference looks for the next start; a schedule may never come (30 February).
_LONGEST_SEARCH = timedelta(days=5 * 366)


@lru_cache(maxsize=256)
def zone_of(name: str) -> tzinfo:
    """The time zone of an IANA name; UTC for an empty or unknown one."""
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, ValueError, OSError):  # unknown, no name at all, or a folder of the database
        return UTC


def can_sync(
    windows: Iterable[SyncWindow],
    *,
    manual: bool,
    now: datetime,
    operation_start: datetime | None = None,
) -> WindowDecision:
    """Whether an application with these (matching) windows may be synced at ``now``.

    Args:
        manual: a person asked for it; windows with ``manualSync`` then do not forbid.
        operation_start: when the operation began, if it runs already; windows with
            ``syncOverrun`` then let it end.
    """
    windows = tuple(windows)
    if not windows:
        return WindowDecision(True, "no sync window concerns the application")
    try:
        active = [window for window in windows if is_active(window, now)]
    except WindowError as error:
        return WindowDecision(False, "a sync window is invalid", error=f"invalid sync windows: {error}")

    denying = [window for window in active if window.kind == DENY]
    if denying:
        return _despite(windows, denying, "an active deny window", manual, operation_start)
    if any(window.kind == ALLOW for window in active):
        return WindowDecision(True, "an allow window is active")
    waiting = [window for window in windows if window.kind == ALLOW]
    if waiting:
        return _despite(windows, waiting, "no active allow window", manual, operation_start)
    return WindowDecision(True, "no deny window is active")


def _despite(
    windows: tuple[SyncWindow, ...],
    forbidding: list[SyncWindow],
    obstacle: str,
    manual: bool,
    operation_start: datetime | None,
) -> WindowDecision:
    """Whether syncing is allowed although ``forbidding`` windows stand against it."""
    if manual and all(window.manual_sync for window in forbidding):
        return WindowDecision(True, f"manual syncs are allowed despite {obstacle}")
    if operation_start is not None and all(window.sync_overrun for window in forbidding):
        at_start = can_sync(windows, manual=manual, now=operation_start)
        if at_start.allowed:
            return WindowDecision(True, f"the sync began when it was allowed and may overrun {obstacle}")
    return WindowDecision(False, f"blocked by {obstacle}")
