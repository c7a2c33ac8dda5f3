"""What the controllers work with, put together once by the composition root."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import msgspec

from tiphys.compare.rules import Rules
from tiphys.reconcile.clusters import ClusterPool
from tiphys.reconcile.comparison import Comparer
from tiphys.reconcile.desired import DesiredStates
from tiphys.reconcile.elapsed import Elapsed
from tiphys.reconcile.events import EventSender
from tiphys.reconcile.notices import Notices
from tiphys.reconcile.options import ControllerOptions
from tiphys.reconcile.queue import Priority, WorkQueue
from tiphys.reconcile.refresh import Level
from tiphys.reconcile.retrying import start_of
from tiphys.reconcile.stores import Store
from tiphys.reconcile.writing import ApplicationWriter
from tiphys.resources.application import Application
from tiphys.resources.identity import AppKey
from tiphys.resources.project import AppProject
from tiphys.resources.times import Timestamp, from_timestamp
from tiphys.settings.model import Settings
from tiphys.settings.store import SettingsStore
from tiphys.sync.cluster import SyncCluster
from tiphys.sync.engine import SyncEngine
from tiphys.telemetry.metrics import ControllerMetrics

REMEMBERED_STARTS = 64
"""Beginnings of an application's operations that are remembered, so that none is used again."""


class Memory:
    """What is known only in memory and may be lost: open requests, last looks, first errors.

    Moments that are floats are of the steady clock.
    """

    def __init__(self) -> None:
        self._requested: dict[AppKey, Level] = {}
        self._later: dict[AppKey, tuple[float, Level]] = {}
        self.looked_at: dict[AppKey, datetime] = {}
        self.changed_at: dict[AppKey, float] = {}  # when it appeared, or its spec changed last
        self.hard_at: dict[AppKey, datetime] = {}  # last hard look, or the first of any kind
        self.started: dict[AppKey, deque[Timestamp]] = {}  # when the last operations began
        self.late: dict[AppKey, tuple[Timestamp, timedelta]] = {}  # by how much the last one is dated late
        self.first_error: dict[AppKey, float] = {}
        self.elapsed = Elapsed()
        self.rules: dict[AppKey, tuple[Any, Rules]] = {}  # compiled comparison rules and their inputs
        self.hold_until: dict[AppKey, float] = {}  # an operation between two waves
        self.orphans: dict[AppKey, int] = {}  # as last counted; none where the project does not look

    def request(self, key: AppKey, level: Level) -> None:
        """Ask for a look of at least this level."""
        self._requested[key] = max(level, self._requested.get(key, level))

    def request_at(self, key: AppKey, level: Level, due: float) -> None:
        """Ask for a look from a moment on; of several the earliest moment and highest level count."""
        known = self._later.get(key)
        self._later[key] = (min(due, known[0]), max(level, known[1])) if known else (due, level)

    def requested(self, key: AppKey, now: float) -> Level | None:
        """The level that is asked for by now."""
        later = self._later.get(key)
        if later is not None and later[0] <= now:
            self.request(key, later[1])
            del self._later[key]
        return self._requested.get(key)

    def take(self, key: AppKey) -> None:
        """A look begins: what was asked for is answered by it."""
        self._requested.pop(key, None)

    @contextmanager
    def answering(self, key: AppKey, level: Level) -> Iterator[None]:
        """What is done inside answers what was asked for up to this level, unless it fails."""
        asked = self._requested.get(key)
        if asked is None or asked > level:
            yield
            return
        self.take(key)
        try:
            yield
        except BaseException:
            self.request(key, asked)
            raise

    def begin(self, app: Application, now: datetime) -> Timestamp:
        """``startedAt`` of an operation of ``app`` that begins now; none has had it before."""
        state = app.status.operation_state
        known = self.started.setdefault(app.key, deque(maxlen=REMEMBERED_STARTS))
        used = {*known, *(entry.deploy_started_at for entry in app.status.history or ())}
        if state is not None:
            used.add(state.started_at)
        begin = start_of(used, now)
        known.append(begin)
        self.late[app.key] = (begin, from_timestamp(begin) - now.replace(microsecond=0))
        return begin

    def dated_late(self, key: AppKey, begin: Timestamp) -> timedelta:
        """By how much the ``startedAt`` of an operation is later than its beginning."""
        of, late = self.late.get(key, ("", timedelta()))
        return late if of == begin else timedelta()

    def forget(self, key: AppKey) -> None:
        """The application is gone."""
        for known in (
            self._requested,
            self._later,
            self.looked_at,
            self.changed_at,
            self.hard_at,
            self.started,
            self.late,
            self.first_error,
            self.rules,
            self.hold_until,
            self.orphans,
        ):
            known.pop(key, None)
        self.elapsed.forget(key)


class Services(msgspec.Struct, frozen=True, eq=False):
    """See the module."""

    apps: Store[Application]
    projects: Store[AppProject]
    settings_store: SettingsStore
    pool: ClusterPool
    desired: DesiredStates
    comparer: Comparer
    writer: ApplicationWriter
    events: EventSender
    queue: WorkQueue[AppKey]
    memory: Memory
    metrics: ControllerMetrics
    live_options: Callable[[], ControllerOptions]
    engine: Callable[[SyncCluster], SyncEngine]
    clock: Callable[[], datetime]
    steady: Callable[[], float] = time.monotonic
    notices: Notices = msgspec.field(default_factory=Notices)

    @property
    def settings(self) -> Settings:
        """The settings as they are now."""
        return self.settings_store.snapshot

    @property
    def options(self) -> ControllerOptions:
        """The switches as they are now; some of them live in ``argocd-cm``."""
        return self.live_options()

    def ask(self, key: AppKey, level: Level, priority: Priority, *, after: float = 0.0) -> None:
        """Ask for a look at an application, now or ``after`` seconds from now."""
        if after > 0:
            self.memory.request_at(key, level, self.steady() + after)
        else:
            self.memory.request(key, level)
        self.queue.add(key, priority, after=after)

    def since(self, key: AppKey, what: str, moment: Timestamp) -> float:
        """Seconds since a stored moment, whatever the wall clock does (:mod:`~tiphys.reconcile.elapsed`)."""
        wall = self.clock().timestamp()
        return self.memory.elapsed.since(key, what, moment, wall=wall, steady=self.steady())

    def forget(self, key: AppKey) -> None:
        """Drop what is remembered of an application that is gone."""
        self.memory.forget(key)
        self.desired.forget(key)
        self.comparer.forget(key)
