"""Whether and how deeply an application must be looked at again (applications.md 9).

Pure: the stored application, the requests made in memory since the last look, and the moment go
in; a decision with its reason comes out. Unlike the reference, a look that finds nothing new
writes nothing, so the moment of the last look is kept in memory and passed in as ``looked_at``
(``status.reconciledAt`` serves after a restart).
"""

import enum
from datetime import datetime, timedelta

import msgspec

from tiphys.resources.application import Application
from tiphys.resources.times import from_timestamp

REFRESH_ANNOTATION = "argocd.argoproj.io/refresh"
REFRESH_TIMESTAMP_ANNOTATION = "argocd.argoproj.io/refresh-timestamp"
SKIP_RECONCILE_ANNOTATION = "argocd.argoproj.io/skip-reconcile"
COMPARE_OPTIONS_ANNOTATION = "argocd.argoproj.io/compare-options"

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})


class Level(enum.IntEnum):
    """How much of the world a look takes in; higher includes lower."""

    TREE = 0
    RECENT = 1  # compare with the revision of the last comparison
    LATEST = 2  # compare with the latest revision
    FORCE = 3  # latest revision, asked from the repository again


ASKED_NOW = 0.05
"""Age in seconds of a repository's answer that still counts as asked now: callers within the same
instant share one request."""

CHANGED_NOW = 1.0
"""The same for a new or changed application: a thousand made at once ask a few times, not each."""


CLOCKS_DIFFER = timedelta(minutes=1)
"""How far ahead a stored time may be before our clock counts as set back."""


class Refresh(msgspec.Struct, frozen=True):
    """A look that is due."""

    level: Level
    hard: bool
    why: str
    asked: bool = False  # by the refresh annotation
    waited: float = 0.0  # seconds since the change that it answers

    @property
    def max_age(self) -> float | None:
        """Seconds that the repository's last answer may be old; None: as long as its cycle."""
        if self.level < Level.FORCE:
            return None
        # What was asked after the change is news for it, however long it waited for its turn.
        return ASKED_NOW if self.asked else max(CHANGED_NOW, self.waited)


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds after which a comparison is too old; 0 switches that expiry off."""

    soft: float
    hard: float = 0.0

    @property
    def shortest(self) -> float:
        """Seconds between two looks without any event; 0: there are none."""
        return min((seconds for seconds in (self.soft, self.hard) if seconds > 0), default=0.0)


def is_skipped(app: Application) -> bool:
    """The user told us to leave this application alone (Go's ParseBool decides what is true)."""
    return (app.metadata.annotations or {}).get(SKIP_RECONCILE_ANNOTATION, "") in _TRUE


def asked_refresh(app: Application) -> Refresh | None:
    """The look that the refresh annotation asks for, if it is there."""
    kind = (app.metadata.annotations or {}).get(REFRESH_ANNOTATION)
    if kind is None:
        return None
    return Refresh(Level.FORCE, kind == "hard", f"refresh annotation {kind!r}", asked=True)


def decide_refresh(
    app: Application,
    *,
    requested: Level | None,
    now: datetime,
    looked_at: datetime | None,
    timeouts: Timeouts,
    hard_at: datetime | None = None,
    waited: float = 0.0,
) -> Refresh | None:
    """The first rule of applications.md 9 that applies, or None when nothing is due.

    A deeper look that was requested in memory is not lost to a rule that is content with less.

    Args:
        looked_at: the last look at the latest revision; None: not since the start.
        hard_at: from when on the hard expiry counts, where it is not ``looked_at``: the last hard
            look. Looks in between do not put it off (docs/differences.md).
        waited: seconds since the application appeared or its spec changed.
    """
    due = _due(app, now, looked_at, hard_at, timeouts, waited)
    if requested is None or (due is not None and due.level >= requested):
        return due
    why = f"requested at level {int(requested)}"
    if due is None:
        return Refresh(requested, False, why)
    return Refresh(requested, due.hard, f"{due.why}, {why}")


def _due(
    app: Application,
    now: datetime,
    looked_at: datetime | None,
    hard_at: datetime | None,
    timeouts: Timeouts,
    waited: float,
) -> Refresh | None:
    """What the stored application and the clock ask for."""
    status = app.status
    if (asked := asked_refresh(app)) is not None:
        return asked
    compared = status.sync.compared_to
    spec = app.spec
    sources = spec.effective_sources()
    if sources != _compared_sources(app):
        return Refresh(Level.FORCE, False, "spec.source differs", waited=waited)
    last = looked_at or (from_timestamp(status.reconciled_at) if status.reconciled_at else None)
    if last is None:
        return Refresh(Level.LATEST, timeouts.hard > 0, "never compared")
    if last - CLOCKS_DIFFER > now:
        # The next expiry would be as far away as the clock was set back.
        return Refresh(Level.LATEST, timeouts.hard > 0, "the clock was set back")
    if timeouts.hard > 0 and (hard_at or last) + timedelta(seconds=timeouts.hard) < now:
        return Refresh(Level.LATEST, True, f"comparison expired (hard, {timeouts.hard:.0f} s)")
    if timeouts.soft > 0 and last + timedelta(seconds=timeouts.soft) < now:
        return Refresh(Level.LATEST, False, f"comparison expired ({timeouts.soft:.0f} s)")
    if spec.destination != compared.destination:
        return Refresh(Level.LATEST, False, "spec.destination differs")
    if namespace_metadata_differs(app):
        return Refresh(Level.LATEST, False, "spec.syncPolicy.managedNamespaceMetadata differs")
    if (spec.ignore_differences or ()) != (compared.ignore_differences or ()):
        return Refresh(Level.LATEST, False, "spec.ignoreDifferences differs")
    return None


def namespace_metadata_differs(app: Application) -> bool:
    """``managedNamespaceMetadata`` is set and not what the last sync applied (sync.md 8.2)."""
    policy = app.spec.sync_policy
    wanted = policy.managed_namespace_metadata if policy else None
    state = app.status.operation_state
    if wanted is None or state is None or state.sync_result is None:
        return False
    return state.sync_result.managed_namespace_metadata != wanted


def _compared_sources(app: Application) -> tuple[object, ...]:
    compared = app.status.sync.compared_to
    if app.spec.has_multiple_sources:
        return tuple(compared.sources or ())
    return (compared.source,)
