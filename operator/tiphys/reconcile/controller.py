"""The application controller: takes keys from the queue and brings each application forward.

The triggers of applications.md 8 arrive here as method calls (from the handlers, the live caches,
the settings) and become keys with a level; nothing is worked on outside the queue.
"""

import logging
import random
from collections.abc import Iterable, Mapping
from typing import Any

from tiphys.kube.errors import ApiError, ClusterUnreachable
from tiphys.live.records import Change
from tiphys.projects.orphans import monitors_orphans
from tiphys.reconcile.admission import is_left_alone
from tiphys.reconcile.application import Look, look
from tiphys.reconcile.clusters import ClusterPending
from tiphys.reconcile.concern import Concern, after_own_write, concern
from tiphys.reconcile.deletion import finalize, release_hooks
from tiphys.reconcile.measuring import working_on
from tiphys.reconcile.operation import advance
from tiphys.reconcile.pairs import Comparison
from tiphys.reconcile.picture import labels_of
from tiphys.reconcile.projects import finalize_project
from tiphys.reconcile.queue import Priority
from tiphys.reconcile.refresh import Level, Refresh, asked_refresh, decide_refresh
from tiphys.reconcile.retrying import COMPLETED, belongs_to
from tiphys.reconcile.services import Services
from tiphys.reconcile.unexpected import FORESEEN, tell
from tiphys.reconcile.writing import Stale, TooLarge, Vanished
from tiphys.resources.application import Application
from tiphys.resources.identity import AppKey, Manifest
from tiphys.resources.project import AppProject
from tiphys.settings.store import SettingsChange
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

RETRY_UNREACHABLE = 10.0
RULES_SETTLE = (2.0, 6.0)
"""Seconds after a change of a definition or a webhook; they come in bursts, and for many at once."""


class Controller:
    """See the module's story."""

    def __init__(self, services: Services):
        self._s = services
        self._left: dict[AppKey, Application] = {}  # gone during their syncs; hooks may be left behind
        services.settings_store.subscribe(self.settings_changed)
        services.desired.on_moved = self.revision_moved
        services.writer.on_written = self.application_written
        services.pool.on_ready = self.cluster_ready

    # Triggers -------------------------------------------------------------------------------

    def application_seen(self, manifest: Manifest) -> None:
        """An Application was added or changed."""
        old, new = self._s.apps.put(manifest)
        if new is None:
            return
        if old is not None and old.metadata.uid != new.metadata.uid:
            self._s.forget(new.key)  # another one of the same name; nothing of the old one holds
            self._look_after(old)
            old = None
        if old is None or old.spec != new.spec:
            self._s.memory.changed_at[new.key] = self._s.steady()
        if old is None:
            # New, or seen for the first time since the start: much may have happened meanwhile.
            known = bool(new.status.reconciled_at)
            self._s.ask(new.key, Level.LATEST, Priority.TIMER if known else Priority.USER)
        elif (found := concern(old, new)) is not None:
            self._take_up(new.key, found)
        if old is not None and old.spec.project != new.spec.project:
            self._projects_may_go()

    def application_written(self, before: Application, body: Mapping[str, Any], after: Application) -> None:
        """We patched an Application; the answer may hold what others wrote just before."""
        if (found := after_own_write(before, body, after)) is not None:
            if before.spec != after.spec:
                self._s.memory.changed_at[after.key] = self._s.steady()
            self._take_up(after.key, found)

    def application_gone(self, key: AppKey, uid: str) -> None:
        """An Application was deleted."""
        gone = self._s.apps.delete(key, uid)
        if gone is None:
            return
        self._s.forget(key)
        self._s.queue.forget(key)
        self._look_after(gone)
        self._projects_may_go()

    def _look_after(self, gone: Application) -> None:
        """See to what a sync left behind whose Application is gone."""
        if gone.operation is not None:
            self._left[gone.key] = gone
            self._s.queue.add(gone.key, Priority.CHANGE)

    def cluster_ready(self, keys: Iterable[AppKey]) -> None:
        """A cluster's first lists are done, or failed: those who waited for it look again."""
        for key in keys:
            self._s.queue.add(key, Priority.CHANGE)

    def project_seen(self, manifest: Manifest) -> None:
        """An AppProject was added or changed."""
        old, new = self._s.projects.put(manifest)
        if new is None:
            return
        same = old is not None and (old.spec, old.metadata.labels) == (new.spec, new.metadata.labels)
        if same and not new.metadata.deletion_timestamp:
            return
        self.project_seen_again(new)

    def project_seen_again(self, project: AppProject) -> None:
        """Look at the applications of a project (its rules changed) and at its own deletion."""
        self._ask_applications_of(project)
        if project.metadata.deletion_timestamp:
            self._s.queue.add(_project_key(project), Priority.CHANGE)

    def project_gone(self, key: AppKey, uid: str) -> None:
        """An AppProject was deleted; its applications learn of it."""
        gone = self._s.projects.delete(key, uid)
        if gone is not None:
            self._ask_applications_of(gone)

    def _ask_applications_of(self, project: AppProject) -> None:
        """Those that name it; of a global project all, since others may inherit from it."""
        name = project.metadata.name
        everywhere = any(rule.project_name == name for rule in self._s.settings.global_projects)
        for app in self._s.apps:
            if everywhere or (app.spec.project or "default") == name:
                self._s.ask(app.key, Level.RECENT, Priority.CHANGE)

    def _projects_may_go(self) -> None:
        """An application went or moved: a project that waits for its end may have reached it."""
        for project in self._s.projects:
            if project.metadata.deletion_timestamp:
                self._s.queue.add(_project_key(project), Priority.CHANGE)

    def _take_up(self, key: AppKey, found: Concern) -> None:
        if found.level is not None:
            self._s.memory.request(key, found.level)
        self._s.queue.add(key, found.priority)

    def live_changed(self, change: Change) -> None:
        """A live object changed in a destination cluster (health-and-resources.md 10)."""
        if change.key.group == "" and change.key.kind == "Endpoints":
            return
        if not change.app_instance:
            if change.key.namespace:
                self._orphan_changed(change)
            return
        key = AppKey.from_instance(change.app_instance, self._s.settings.control_namespace)
        app = self._s.apps.get(key)
        if app is None or (change.new is not None and change.new.uid == app.metadata.uid):
            return
        self._s.notices.tell(key)
        running = app.operation is not None or app.metadata.deletion_timestamp
        level = Level.RECENT if change.is_root else Level.TREE
        self._s.ask(key, level, Priority.OPERATION if running else Priority.CHANGE)

    def rules_changed(self, server: str, group: str | None) -> None:
        """The API server of a cluster may make something else of what is applied: whose verdicts that
        may change looks again, once the definitions have settled."""
        for key in self._s.comparer.forget_answers(server, group):
            self._s.ask(key, Level.RECENT, Priority.TIMER, after=random.uniform(*RULES_SETTLE))

    def revision_moved(self, key: AppKey) -> None:
        """A new commit touches files that the application reads."""
        self._s.ask(key, Level.LATEST, Priority.CHANGE)

    def settings_changed(self, change: SettingsChange) -> None:
        """A ConfigMap or Secret of the settings changed: only what depends on it looks again."""
        if not change.areas:
            return
        log.info("settings changed: %s", ", ".join(sorted(change.areas)))
        if "clusters" in change.areas:
            self._s.pool.align(change.new.clusters)
        if "comparison" in change.areas:
            self._s.pool.rebuild()
        for app in self._s.apps:
            if change.areas == {"other"}:
                self._next_look(app)  # the interval may be shorter now
            else:
                self._s.ask(app.key, Level.LATEST, Priority.TIMER)

    # Work -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until cancelled."""
        await self._s.queue.run(self.process, self._s.options.workers)

    async def process(self, key: AppKey) -> None:
        """Bring one application (or the deletion of a project) forward."""
        try:
            if key.namespace.startswith(PROJECT_PREFIX):
                project = AppKey(key.namespace.removeprefix(PROJECT_PREFIX), key.name)
                await finalize_project(self._s, project)
            else:
                await self._process_application(key)
        except Stale:
            self._s.queue.add(key, Priority.CHANGE)
        except Vanished:
            if self._s.apps.get(key) is not None:  # another one of the same name
                self._s.ask(key, Level.LATEST, Priority.CHANGE)
        except ClusterPending:
            pass  # the pool wakes it
        except (ApiError, ClusterUnreachable) as error:
            log.warning("not done: %s", error, extra={"app": str(key)})
            self._s.queue.add(key, Priority.TIMER, after=RETRY_UNREACHABLE * random.uniform(0.8, 1.2))

    async def _process_application(self, key: AppKey) -> None:
        if (left := self._left.get(key)) is not None:
            await release_hooks(self._s, left)
            self._left.pop(key, None)
        app = self._s.apps.get(key)
        if app is None or is_left_alone(app, self._s.settings):
            return
        try:
            with working_on(app, labels_of(self._s, app)):
                await self._bring_forward(app)
        except FORESEEN:
            raise
        except Exception as error:
            await self._tell(key, error)
            raise  # the queue logs it and tries again
        finally:
            now = self._s.apps.get(key)
            if now is None or now.metadata.uid != app.metadata.uid:
                self._s.forget(key)  # it went meanwhile; what we remembered last is for nobody
                self._look_after(app)

    async def _tell(self, key: AppKey, error: Exception) -> None:
        """Say in the Application that work on it failed."""
        app = self._s.apps.get(key)
        try:
            if app is not None:
                await tell(self._s.writer, app, error, self._s.clock())
        except (*FORESEEN, TooLarge) as why:
            log.warning("the failure could not be told: %s", why)

    async def _bring_forward(self, app: Application) -> None:
        if app.metadata.deletion_timestamp and app.operation is None:
            if (asked := asked_refresh(app)) is not None:
                # What holds the deletion up may be mended in Git; whoever asks waits for the answer.
                app = (await self._look(app, asked)).app
            await finalize(self._s, app)
            return
        comparison: Comparison | None = None
        advanced = False
        if app.operation is not None and not _is_waiting(app):
            # A new operation goes before any refresh; it compares for itself.
            app = await advance(self._s, app)
            advanced = True
        now = self._s.steady()
        refresh = decide_refresh(
            app,
            requested=self._s.memory.requested(app.key, now),
            now=self._s.clock(),
            looked_at=self._s.memory.looked_at.get(app.key),
            timeouts=self._s.options.timeouts,
            hard_at=self._s.memory.hard_at.get(app.key),
            waited=now - self._s.memory.changed_at.get(app.key, now),
        )
        if refresh is not None:
            seen = await self._look(app, refresh)
            app, comparison = seen.app, seen.comparison
        if app.operation is not None and not advanced:
            app = await advance(self._s, app, comparison)
        self._next_look(app)

    async def _look(self, app: Application, refresh: Refresh) -> Look:
        """One look; what it was to answer is asked for again if it fails."""
        memory = self._s.memory
        started, begin = self._s.clock(), self._s.steady()
        memory.take(app.key)
        try:
            seen = await look(self._s, app, refresh)
        except BaseException:
            memory.request(app.key, refresh.level)
            raise
        if refresh.level >= Level.LATEST:
            memory.looked_at[app.key] = started
            if refresh.hard or app.key not in memory.hard_at:
                memory.hard_at[app.key] = started
        seconds = self._s.steady() - begin
        self._s.metrics.reconciled(labels_of(self._s, seen.app), seconds)
        wrote = seen.app.metadata.resource_version != app.metadata.resource_version
        log.log(
            logging.INFO if wrote else logging.DEBUG,
            "Reconciliation completed",
            extra={
                "time_ms": round(seconds * 1000),
                "why": refresh.why,
                "comparison-level": int(refresh.level),
            },
        )
        return seen

    def _next_look(self, app: Application) -> None:
        """The next look without any event: the polling interval plus jitter."""
        options = self._s.options
        pause = options.until_next_look(random.random())
        if pause is not None:
            pause = options.due_together(pause, self._s.steady())
            self._s.queue.add(app.key, Priority.TIMER, after=pause)

    def _orphan_changed(self, change: Change) -> None:
        """An object of no application: a matter of those that watch its namespace for orphans."""
        watching = {p.metadata.name for p in self._s.projects if monitors_orphans(p)}
        if not watching:
            return
        for app in self._s.apps:
            place = app.spec.destination.namespace  # none: they look everywhere
            if place in ("", change.key.namespace) and (app.spec.project or "default") in watching:
                self._s.notices.tell(app.key)
                self._s.ask(app.key, Level.TREE, Priority.CHANGE)


PROJECT_PREFIX = "project:"


def _project_key(project: AppProject) -> AppKey:
    return AppKey(f"{PROJECT_PREFIX}{project.metadata.namespace}", project.metadata.name)


def _is_waiting(app: Application) -> bool:
    """The stored operation was begun and waits for something."""
    state = app.status.operation_state
    return (
        state is not None
        and state.phase not in COMPLETED
        and app.operation is not None
        and belongs_to(state, app.operation)
    )
