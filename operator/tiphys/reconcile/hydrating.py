"""The source hydrator at work: which Applications are due, and one run for each group of them.

Two queues. The first takes Applications whenever they are seen or their time has come, and decides
(``hydrator.deciding``); who is due is marked ``Hydrating`` in its status, and its group goes into the
second. A run of a group validates, renders and commits for all members at once, then writes to each how
it ended and asks for a refresh, which finds the new commit.

All that must outlive the process is in the status. After a kill the mark is still there and nobody works
on it: the run begins again, finds what was pushed, and ends as the first would have.
"""

import asyncio
import random
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from tiphys.hydrator.deciding import (
    ANNOTATION,
    TIMESTAMP_ANNOTATION,
    Decision,
    asked,
    decide,
    decide_by_revision,
    is_asked,
    retry_in,
)
from tiphys.hydrator.destinations import Destinations, rivals
from tiphys.hydrator.grouping import GroupKey, group_of, members
from tiphys.hydrator.statuses import HYDRATED, HYDRATING, begun, compared, failed, succeeded
from tiphys.hydrator.texts import MESSAGE_KEY, README_KEY
from tiphys.hydrator.validating import problems_of, with_the_others
from tiphys.kube.errors import ApiError, ClusterUnreachable
from tiphys.reconcile.admission import is_left_alone
from tiphys.reconcile.dry import DrySources, HydrationError, Member
from tiphys.reconcile.queue import Priority, WorkQueue
from tiphys.reconcile.refresh import REFRESH_ANNOTATION
from tiphys.reconcile.services import Services
from tiphys.reconcile.situation import SpecProblems, find_project
from tiphys.reconcile.statuses import status_patch
from tiphys.reconcile.writing import Stale, TooLarge, Vanished
from tiphys.resources.application import Application, SourceHydratorStatus
from tiphys.resources.identity import AppKey
from tiphys.resources.project import AppProject
from tiphys.settings.store import SettingsChange
from tiphys.sources.errors import SourceError
from tiphys.sources.git.store import GitStore
from tiphys.telemetry.commit_metrics import CommitMetrics
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

_LOOKERS = 4
_CURES = frozenset({"repositories", "projects", "rendering", "parameters"})
_WRITES = 10
"""Statuses of a group that are written at a time."""


class Outcome(msgspec.Struct, frozen=True):
    """How a run ended: ``hydrated`` for all, or a problem for each (those of ``problems`` in the members'
    order). ``concerned`` are Applications of other groups that have a problem with one of these."""

    dry_sha: str
    hydrated: Mapping[AppKey, str] = {}
    problems: Mapping[AppKey, str] = {}
    concerned: Sequence[AppKey] = ()


class Hydrating:
    """See the module."""

    def __init__(self, services: Services, git: GitStore):
        self._s = services
        self._dry = DrySources(services, git, CommitMetrics(services.metrics.registry))
        self._apps: WorkQueue[AppKey] = WorkQueue(observer=services.metrics.queue("app_hydration_queue"))
        self._groups: WorkQueue[GroupKey] = WorkQueue(
            observer=services.metrics.queue("manifest_hydration_queue")
        )
        self._waiting: set[GroupKey] = set()
        self._running: set[GroupKey] = set()
        self._cured: set[AppKey] = set()  # what they failed of may be mended
        self._destinations = Destinations()
        services.apps.listen(self._seen)
        services.projects.listen(self._project_seen)
        services.settings_store.subscribe(self._settings_changed)

    # Triggers -------------------------------------------------------------------------------

    def _seen(self, old: Application | None, new: Application | None) -> None:
        left = self._destinations.moved(old, new)
        self._look_again(app for key in left if (app := self._s.apps.get(key)) is not None)
        if new is None:
            if old is not None:
                self._apps.forget(old.key)
                self._cured.discard(old.key)
            return
        if new.spec.source_hydrator is None:
            return
        if old is None or _is_news(old, new):
            self._apps.add(new.key, Priority.USER if is_asked(new) else Priority.CHANGE)

    def _project_seen(self, old: AppProject | None, new: AppProject | None) -> None:
        if new is not None and old is not None and old.spec != new.spec:
            self._look_again(app for app in self._s.apps if app.spec.project_name == new.name)

    def _settings_changed(self, change: SettingsChange) -> None:
        texts = (MESSAGE_KEY, README_KEY)
        if change.areas & _CURES or any(change.old.raw.get(key) != change.new.raw.get(key) for key in texts):
            self._look_again(self._s.apps)

    def _look_again(self, apps: Iterable[Application]) -> None:
        for app in apps:
            if app.spec.source_hydrator is not None:
                self._cured.add(app.key)
                self._apps.add(app.key, Priority.TIMER)

    async def run(self) -> None:
        """Work until cancelled."""
        processors = self._s.settings.params.hydration_processors
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._apps.run(self._consider, _LOOKERS))
            tasks.create_task(self._groups.run(self._process, max(1, processors)))

    # One Application ------------------------------------------------------------------------

    def _is_ours(self, app: Application) -> bool:
        enabled = self._s.settings.params.hydrator_enabled
        gone = app.metadata.deletion_timestamp
        return bool(enabled and not gone and not is_left_alone(app, self._s.settings))

    async def _consider(self, key: AppKey) -> None:
        app = self._s.apps.get(key)
        cured = key in self._cured
        self._cured.discard(key)
        group = group_of(app) if app is not None else None
        if app is None or group is None or not self._is_ours(app):
            return
        try:
            decision, dry_sha = await self._decision(app, perhaps_cured=cured)
            if decision.in_progress:
                if group not in self._running and group not in self._waiting:
                    log.info("hydration goes on where a process ended", extra={"app": str(key)})
                    self._add(group)
                return
            log.debug("%s", decision.why, extra={"app": str(key)})
            status = app.status.source_hydrator
            if decision.needed and app.spec.source_hydrator is not None:
                status = begun(status, app.spec.source_hydrator, self._s.clock())
            if dry_sha:
                status = compared(status, dry_sha)
            done = {} if decision.needed or not is_asked(app) else _NOT_ASKED
            # Guarded: what was decided is for this very spec and these annotations.
            await self._write(app, status, done, guard=True)
        except Stale:
            self._apps.add(key, Priority.CHANGE)
            return
        except Vanished:
            return
        except (ApiError, ClusterUnreachable, TooLarge) as error:
            log.warning("not done: %s", error, extra={"app": str(key)})
        else:
            if decision.needed:
                log.info("hydration begins: %s", decision.why, extra={"app": str(key)})
                self._add(group)
        self._next_look(key)

    async def _decision(self, app: Application, *, perhaps_cured: bool) -> tuple[Decision, str]:
        """The decision, and the dry commit that it was made with (``""``: without)."""
        decision = decide(app, self._s.clock(), perhaps_cured=perhaps_cured)
        if decision is not None:
            return decision, ""
        project = self._project(app)
        if isinstance(project, str) or app.spec.source_hydrator is None:
            return Decision(False, "cannot determine if hydration is needed"), ""
        look, sha = await self._dry.look(Member(app, app.spec.source_hydrator, project))
        return decide_by_revision(look), sha

    def _add(self, group: GroupKey) -> None:
        self._waiting.add(group)
        self._groups.add(group, Priority.CHANGE)

    def _next_look(self, key: AppKey) -> None:
        """The next one without any event: the polling interval, or the retry of a failed hydration."""
        app = self._s.apps.get(key)
        options = self._s.options
        pauses = []
        if (poll := options.until_next_look(random.random())) is not None:
            pauses.append(poll)
        if app is not None and (rest := retry_in(app, self._s.clock())) > 0:
            pauses.append(rest + 0.1)
        if pauses:
            self._apps.add(key, Priority.TIMER, after=min(pauses))

    def _project(self, app: Application) -> AppProject | str:
        found = find_project(self._s, app, self._s.settings)
        return "; ".join(text for _, text in found.found) if isinstance(found, SpecProblems) else found

    # One group ------------------------------------------------------------------------------

    async def _process(self, group: GroupKey) -> None:
        self._waiting.discard(group)
        self._running.add(group)
        try:
            await self._hydrate(group)
        except (ApiError, ClusterUnreachable):
            self._waiting.add(group)  # the queue brings it again
            raise
        finally:
            self._running.discard(group)

    async def _hydrate(self, group: GroupKey) -> None:
        apps = [app for app in members(group, self._s.apps) if self._is_ours(app)]
        requests = {app.key: asked(app) for app in apps}
        apps = await self._all(self._begin(app) for app in apps)
        apps = [app for app in apps if group_of(app) == group]
        if not apps:
            return
        try:
            outcome = await self._work(apps, requests)
        except HydrationError as error:
            outcome = Outcome("", problems=dict.fromkeys((app.key for app in apps), str(error)))
        except Exception as error:
            log.exception("hydration failed", extra={"group": str(group)})
            text = f"internal error ({type(error).__name__}): the controller's log has the details"
            outcome = Outcome("", problems=dict.fromkeys((app.key for app in apps), text))
        await self._all(self._end(app, requests[app.key], outcome) for app in apps)
        for key in outcome.concerned:
            self._tell(key)

    async def _work(self, apps: Sequence[Application], requests: Mapping[AppKey, tuple[str, str]]) -> Outcome:
        others = self._beside(apps)
        projects = {app.key: self._project(app) for app in (*apps, *others)}
        found = problems_of(apps, projects, others)
        if problems := {app.key: found[app.key] for app in apps if app.key in found}:
            concerned = [app.key for app in others if app.key in found]
            return Outcome("", problems=with_the_others(apps, problems), concerned=concerned)
        group = [
            Member(app, hydrator, project)
            for app in apps
            if (hydrator := app.spec.source_hydrator) is not None
            and not isinstance(project := projects[app.key], str)
        ]
        first = group[0]
        try:
            sha = await self._dry.resolve(first)
        except SourceError as error:
            why = f'failed to get manifests: failed to get repo objects for app "{first.key}": {error}'
            return Outcome("", problems=with_the_others(apps, {first.key: why}))
        hard = any(kind == "hard" for kind, _ in requests.values())
        if not hard and (known := _all_done(group, sha)):
            return Outcome(sha, hydrated=known)
        paths, problems = await self._dry.render_all(group, sha, no_cache=hard)
        if problems:
            return Outcome(sha, problems=with_the_others(apps, problems))
        try:
            head = await self._dry.commit(group, paths, sha)
        except HydrationError as error:
            return Outcome(sha, problems=dict.fromkeys((app.key for app in apps), str(error)))
        return Outcome(sha, hydrated=dict.fromkeys((app.key for app in apps), head))

    def _beside(self, apps: Sequence[Application]) -> list[Application]:
        """Applications of other groups that are hydrated to the same places."""
        found = map(self._s.apps.get, self._destinations.beside(apps))
        return rivals(apps, [app for app in found if app is not None and self._is_ours(app)])

    def _tell(self, key: AppKey) -> None:
        """Have an Application of another group find that it is in the way, unless it knows."""
        app = self._s.apps.get(key)
        current = app.status.source_hydrator.current_operation if app is not None else None
        group = group_of(app) if app is not None else None
        if group is not None and current is not None and current.phase in (HYDRATING, HYDRATED):
            self._add(group)

    # Writing --------------------------------------------------------------------------------

    async def _begin(self, app: Application) -> Application:
        hydrator = app.spec.source_hydrator
        assert hydrator is not None
        status = begun(app.status.source_hydrator, hydrator, self._s.clock())
        return await self._write(app, status, {})

    async def _end(self, worked_on: Application, request: tuple[str, str], outcome: Outcome) -> Application:
        """Write how it ended to the Application as it is now, for the spec that was worked on."""
        app, hydrator = self._s.apps.get(worked_on.key), worked_on.spec.source_hydrator
        if app is None or hydrator is None or app.metadata.uid != worked_on.metadata.uid:
            raise Vanished(str(worked_on.key))
        status, now = app.status.source_hydrator, self._s.clock()
        # Who asked meanwhile asked for a commit that this run may not have seen.
        annotations: dict[str, str | None] = (
            dict(_NOT_ASKED) if is_asked(app) and asked(app) == request else {}
        )
        problem = outcome.problems.get(app.key)
        if problem is not None:
            status = failed(status, hydrator, outcome.dry_sha, problem, now)
        else:
            status = succeeded(status, hydrator, outcome.dry_sha, outcome.hydrated[app.key], now)
            if REFRESH_ANNOTATION not in (app.metadata.annotations or {}):
                annotations[REFRESH_ANNOTATION] = "normal"
        app = await self._write(app, status, annotations)
        if problem is not None:
            log.warning("hydration failed: %s", problem, extra={"app": str(app.key)})
        else:
            told = {"app": str(app.key), "dry": outcome.dry_sha, "hydrated": outcome.hydrated[app.key]}
            log.info("hydrated", extra=told)
        self._s.queue.add(app.key, Priority.CHANGE)
        self._next_look(app.key)
        return app

    async def _write(
        self,
        app: Application,
        status: SourceHydratorStatus,
        annotations: Mapping[str, str | None],
        *,
        guard: bool = False,
    ) -> Application:
        body: dict[str, Any] = {}
        if changed := status_patch(app.status, msgspec.structs.replace(app.status, source_hydrator=status)):
            body["status"] = changed
        if annotations:
            body["metadata"] = {"annotations": dict(annotations)}
        return await self._s.writer.patch(app, body, guard=guard)

    async def _all(self, works: Iterable[Awaitable[Application]]) -> list[Application]:
        """Some at a time; the Applications that are still there. What an API server refuses is raised
        when all were tried."""
        turns = asyncio.Semaphore(_WRITES)

        async def one(work: Awaitable[Application]) -> Application | Exception:
            async with turns:
                try:
                    return await work
                except (Vanished, Stale, TooLarge, ApiError, ClusterUnreachable) as error:
                    return error

        async with asyncio.TaskGroup() as tasks:
            working = [tasks.create_task(one(work)) for work in works]
        found = [task.result() for task in working]
        for each in found:
            if isinstance(each, ApiError | ClusterUnreachable):
                raise each
            if isinstance(each, TooLarge):
                log.warning("the status is too large to be written: %s", each)
        return [each for each in found if isinstance(each, Application)]


_NOT_ASKED: Mapping[str, str | None] = {ANNOTATION: None, TIMESTAMP_ANNOTATION: None}


def _is_news(old: Application, new: Application) -> bool:
    """Something that a decision depends on changed."""
    return (
        old.metadata.uid != new.metadata.uid
        or old.spec != new.spec
        or old.metadata.annotations != new.metadata.annotations
        or old.status.source_hydrator != new.status.source_hydrator
    )


def _all_done(group: Iterable[Member], sha: str) -> dict[AppKey, str]:
    """The hydrated commit of each, if every one was hydrated from this commit by this very spec."""
    known = {}
    for member in group:
        last = member.app.status.source_hydrator.last_successful_operation
        if last is None or last.dry_sha != sha or last.source_hydrator != member.hydrator:
            return {}
        known[member.key] = last.hydrated_sha
    return known
