"""The application controller: takes keys from the queue and brings each application forward.

The triggers of applications.md 8 arrive here as method calls (from the handlers, the live caches,
the settings) and become keys with a level; nothing is worked on outside the queue.
"""

import logging
import random

from tiphys.kube.errors import ApiError, ClusterUnreachable
from tiphys.live.records import Change
from tiphys.projects.orphans import monitors_orphans
from tiphys.reconcile.application import Look, look
from tiphys.reconcile.autosync import COMPLETED
from tiphys.reconcile.deletion import finalize
from tiphys.reconcile.measuring import revision_text, working_on
from tiphys.reconcile.namespaces import is_namespace_enabled
from tiphys.reconcile.operation import advance
from tiphys.reconcile.picture import labels_of
from tiphys.reconcile.projects import finalize_project
from tiphys.reconcile.queue import Priority
from tiphys.reconcile.refresh import Level, decide_refresh, is_skipped
from tiphys.reconcile.services import Services
from tiphys.reconcile.writing import Stale, Vanished
from tiphys.resources.application import Application
from tiphys.resources.identity import AppKey, Manifest
from tiphys.resources.project import AppProject
from tiphys.settings.store import SettingsChange
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

OPERATION_BATCH = 5.0  # seconds in which live changes of a running operation are gathered at most
RETRY_UNREACHABLE = 10.0


class Controller:
    """See the module's story."""

    def __init__(self, services: Services):
        self._s = services
        services.settings_store.subscribe(self.settings_changed)
        services.desired.on_moved = self.revision_moved

    # Triggers -------------------------------------------------------------------------------

    def application_seen(self, manifest: Manifest) -> None:
        """An Application was added or changed."""
        old, new = self._s.apps.put(manifest)
        if new is None:
            return
        if old is None:
            # New, or seen for the first time since the start: much may have happened meanwhile.
            self._s.ask(new.key, Level.LATEST, Priority.TIMER)
        elif (priority := _concern(old, new)) is not None:
            if _automation_enabled(old, new):
                self._s.memory.request(new.key, Level.LATEST)
            self._s.queue.add(new.key, priority)

    def application_gone(self, key: AppKey, uid: str) -> None:
        """An Application was deleted."""
        gone = self._s.apps.delete(key, uid)
        if gone is None:
            return
        self._s.memory.forget(key)
        self._s.desired.forget(key)
        self._s.comparer.forget(key)
        self._s.queue.forget(key)
        for project in self._s.projects:
            if project.metadata.deletion_timestamp:
                self.project_seen_again(project)

    def project_seen(self, manifest: Manifest) -> None:
        """An AppProject was added or changed."""
        old, new = self._s.projects.put(manifest)
        if new is None:
            return
        if old is not None and old.spec == new.spec and not new.metadata.deletion_timestamp:
            return
        self.project_seen_again(new)

    def project_seen_again(self, project: AppProject) -> None:
        """Look at the applications of a project (its rules changed) and at its own deletion."""
        for app in self._s.apps:
            if (app.spec.project or "default") == project.metadata.name:
                self._s.ask(app.key, Level.RECENT, Priority.CHANGE)
        if project.metadata.deletion_timestamp:
            self._s.queue.add(_project_key(project), Priority.CHANGE)

    def project_gone(self, key: AppKey, uid: str) -> None:
        """An AppProject was deleted; its applications learn of it."""
        gone = self._s.projects.delete(key, uid)
        if gone is not None:
            for app in self._s.apps:
                if (app.spec.project or "default") == gone.metadata.name:
                    self._s.ask(app.key, Level.RECENT, Priority.CHANGE)

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
        running = app.operation is not None or app.metadata.deletion_timestamp
        level = Level.RECENT if change.is_root else Level.TREE
        self._s.ask(key, level, Priority.OPERATION if running else Priority.CHANGE)

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
        if key.namespace.startswith(PROJECT_PREFIX):
            await finalize_project(self._s, AppKey(key.namespace.removeprefix(PROJECT_PREFIX), key.name))
            return
        app = self._s.apps.get(key)
        if (
            app is None
            or is_skipped(app)
            or not is_namespace_enabled(app.metadata.namespace, self._s.settings)
        ):
            return
        try:
            with working_on(app, labels_of(self._s, app)):
                await self._bring_forward(app)
        except Stale:
            self._s.queue.add(key, Priority.CHANGE)
        except Vanished:
            self._s.queue.forget(key)
        except (ApiError, ClusterUnreachable) as error:
            log.warning("not done: %s", error, extra={"app": str(key)})
            self._s.queue.add(key, Priority.TIMER, after=RETRY_UNREACHABLE * random.uniform(0.8, 1.2))

    async def _bring_forward(self, app: Application) -> None:
        key = app.key
        if app.metadata.deletion_timestamp and app.operation is None:
            await finalize(self._s, app)
            return
        seen: Look | None = None
        if app.operation is not None and not _is_waiting(app):
            # A new operation goes before any refresh; it compares for itself.
            app = await advance(self._s, app)
        refresh = decide_refresh(
            app,
            requested=self._s.memory.requested.get(key),
            now=self._s.clock(),
            looked_at=self._s.memory.looked_at.get(key),
            timeouts=self._s.options.timeouts,
        )
        if refresh is not None:
            started = self._s.clock()
            had_operation = app.operation is not None
            before = app.metadata.resource_version
            seen = await look(self._s, app, refresh)
            app = seen.app
            seconds = (self._s.clock() - started).total_seconds()
            self._s.metrics.reconciled(labels_of(self._s, app), seconds)
            wrote = app.metadata.resource_version != before
            log.log(
                logging.INFO if wrote else logging.DEBUG,
                "Reconciliation completed",
                extra={
                    "time_ms": round(seconds * 1000),
                    "why": refresh.why,
                    "revision": revision_text(app),
                },
            )
            if app.operation is not None and not had_operation:
                app = await advance(self._s, app, seen)
            elif app.operation is not None:
                app = await advance(self._s, app)
        elif app.operation is not None and _is_waiting(app):
            app = await advance(self._s, app)
        self._next_look(app)

    def _next_look(self, app: Application) -> None:
        """The next look without any event: the polling interval plus jitter."""
        interval = self._s.options.timeouts.soft
        if interval > 0:
            pause = interval + random.uniform(0.01, max(0.02, self._s.options.jitter))
            self._s.queue.add(app.key, Priority.TIMER, after=pause)

    def _orphan_changed(self, change: Change) -> None:
        for app in self._s.apps:
            if app.spec.destination.namespace != change.key.namespace:
                continue
            project = self._s.projects.get(
                AppKey(self._s.settings.control_namespace, app.spec.project or "default")
            )
            if project is not None and monitors_orphans(project):
                self._s.ask(app.key, Level.TREE, Priority.CHANGE)


PROJECT_PREFIX = "project:"


def _project_key(project: AppProject) -> AppKey:
    return AppKey(f"{PROJECT_PREFIX}{project.metadata.namespace}", project.metadata.name)


def _is_waiting(app: Application) -> bool:
    """The stored operation was begun and waits for something."""
    state = app.status.operation_state
    return state is not None and state.phase not in COMPLETED and state.operation == app.operation


def _concern(old: Application, new: Application) -> Priority | None:
    """How urgently a changed Application must be looked at; None if nothing of ours changed."""
    if new.operation is not None and new.operation != old.operation:
        return Priority.USER
    if new.metadata.deletion_timestamp != old.metadata.deletion_timestamp:
        return Priority.USER
    if new.metadata.annotations != old.metadata.annotations:
        return Priority.USER
    before, after = old.status.operation_state, new.status.operation_state
    if (
        after is not None
        and after.phase == "Terminating"
        and (before is None or before.phase != "Terminating")
    ):
        return Priority.USER
    if new.spec != old.spec or new.metadata.labels != old.metadata.labels:
        return Priority.USER
    if new.metadata.deletion_timestamp and new.metadata.finalizers != old.metadata.finalizers:
        return Priority.CHANGE
    return None


def _automation_enabled(old: Application, new: Application) -> bool:
    """Automatic sync or self-heal was newly switched on."""

    def flags(app: Application) -> tuple[bool, bool]:
        automated = app.spec.sync_policy.automated if app.spec.sync_policy else None
        on = automated is not None and automated.enabled is not False
        return on, bool(on and automated is not None and automated.self_heal)

    (before_on, before_heal), (after_on, after_heal) = flags(old), flags(new)
    return (after_on and not before_on) or (after_heal and not before_heal)
