"""What the controllers work with, put together once by the composition root."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from tiphys.compare.rules import Rules
from tiphys.reconcile.autosync import SelfHealBackoff
from tiphys.reconcile.clusters import ClusterPool
from tiphys.reconcile.comparison import Comparer
from tiphys.reconcile.desired import DesiredStates
from tiphys.reconcile.events import EventSender
from tiphys.reconcile.queue import Priority, WorkQueue
from tiphys.reconcile.refresh import Level, Timeouts
from tiphys.reconcile.stores import Store
from tiphys.reconcile.writing import ApplicationWriter
from tiphys.resources.application import Application
from tiphys.resources.identity import AppKey
from tiphys.resources.project import AppProject
from tiphys.settings.model import Settings
from tiphys.settings.store import SettingsStore
from tiphys.sync.cluster import SyncCluster
from tiphys.sync.engine import SyncEngine
from tiphys.telemetry.metrics import ControllerMetrics


class ControllerOptions(msgspec.Struct, frozen=True):
    """Switches of the application controller (applications.md 26); times are seconds."""

    timeouts: Timeouts
    jitter: float
    backoff: SelfHealBackoff
    repo_error_grace: float
    sync_timeout: float
    workers: int
    server_side_diff: bool
    persist_health: bool


class Memory:
    """What is known only in memory and may be lost: open requests, last looks, first errors."""

    def __init__(self) -> None:
        self.requested: dict[AppKey, Level] = {}
        self.looked_at: dict[AppKey, datetime] = {}
        self.first_error: dict[AppKey, datetime] = {}
        self.rules: dict[AppKey, tuple[Any, Rules]] = {}  # compiled comparison rules and their inputs
        self.hold_until: dict[AppKey, datetime] = {}  # an operation between two waves

    def request(self, key: AppKey, level: Level) -> None:
        """Ask for a look of at least this level."""
        self.requested[key] = max(level, self.requested.get(key, level))

    def forget(self, key: AppKey) -> None:
        """The application is gone."""
        self.requested.pop(key, None)
        self.looked_at.pop(key, None)
        self.first_error.pop(key, None)
        self.hold_until.pop(key, None)
        self.rules.pop(key, None)


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

    @property
    def settings(self) -> Settings:
        """The settings as they are now."""
        return self.settings_store.snapshot

    @property
    def options(self) -> ControllerOptions:
        """The switches as they are now; some of them live in ``argocd-cm``."""
        return self.live_options()

    def ask(self, key: AppKey, level: Level, priority: Priority, *, after: float = 0.0) -> None:
        """Ask for a look at an application."""
        if after <= 0:
            self.memory.request(key, level)
        self.queue.add(key, priority, after=after)
