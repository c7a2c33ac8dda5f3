"""One step of a stored operation, told once (sync.md 11).

Plan; make the destination Namespace; validate; see how the running tasks are doing; wait for them;
wait for what is being deleted; let finished hooks go; fail if something failed; else run the next
wave. Each ``_wait``, ``_fail`` or ``_end`` ends the step with the state to persist.

Two rules make a step safe to repeat after a kill between any two requests: what a request destroys
(a finished hook, and with it its verdict) is persisted first, and what a request creates can be
recognised when its turn comes again (hooks carry the operation's stamp, others are compared).
"""

from collections.abc import Sequence

from tiphys.kube.errors import NotFound
from tiphys.sync import messages
from tiphys.sync.bounded import for_each
from tiphys.sync.cluster import CLUSTER_ERRORS, describe
from tiphys.sync.deadlines import is_late, late_text, time_left, time_limit
from tiphys.sync.health import Judgement, judge_hook, judge_resource
from tiphys.sync.inputs import StepResult
from tiphys.sync.objects import delete_object, remove_hook_finalizer
from tiphys.sync.operating import PERSIST_FIRST, Operating
from tiphys.sync.ordering import first_wave, is_multi_step
from tiphys.sync.ownership import has_hook_finalizer, is_stamped, is_terminating
from tiphys.sync.plan import awaits_confirmation, gvk_and_name, is_namespace_target
from tiphys.sync.tasks import Code, Outcome, Phase, Task
from tiphys.sync.wave import RunState


class Step(Operating):
    """Works on one operation for one step."""

    # -- the story ----------------------------------------------------------------------------

    async def run(self) -> StepResult:
        if self.state.operation.sync is None:
            return self._end(Outcome.ERROR, "Invalid operation request: no operation specified")
        try:
            plan = await self.prepare()
        except CLUSTER_ERRORS as error:
            return self._end(Outcome.ERROR, f"failed to initialize sync context: {describe(error)}")
        if plan.failures:
            for failure in plan.failures:
                self.results.record(failure.task, Code.SYNC_FAILED, None, failure.message)
            return self._fail(messages.with_causes(messages.TASKS_INVALID, self.results.failure_messages()))

        if not self.results.started:
            ended = await self._begin()
            if ended is not None:
                return ended
        multi_step = is_multi_step(self.tasks)
        while True:
            ended = await self._await_running(multi_step) or await self._settle_finished()
            if ended is not None:
                return ended
            ended = await self._run_next_wave(multi_step)
            if ended is not None:
                return ended

    async def _begin(self) -> StepResult | None:
        """First step only: the Namespace for real, then the validation of the rest."""
        namespace = None
        if not self.options.dry_run:
            namespace = next((t for t in self.tasks if self._makes_namespace(t)), None)
        if namespace is not None:
            if await self.runner.run([namespace]) is not RunState.SUCCESSFUL:
                return await self._sync_fail([], [namespace], messages.NAMESPACE_FAILED)
            if namespace.auto_namespace:
                # it has no part in the waves; its entry stays as it is (sync.md 23.4)
                self.tasks.remove(namespace)
        if not self.runner.validate([t for t in self.tasks if t is not namespace and not self._is_clean(t)]):
            return self._fail(messages.DRY_RUN_FAILED)
        if namespace is not None and any(task.key.kind == "Pod" for task in self.tasks):
            return self._wait(messages.waiting([namespace]), self.engine.namespace_settle)
        return None

    def _makes_namespace(self, task: Task) -> bool:
        wanted = task.auto_namespace or is_namespace_target(task, self.inputs.namespace)
        return wanted and task.live is None and task.pending

    async def _await_running(self, multi_step: bool) -> StepResult | None:
        """Takes the state of running tasks from their health and waits for them (steps 2 and 3)."""
        finished_hooks = False
        for task in self.tasks:
            if task.running and task.live is not None:
                finished_hooks |= self._judge(task)
        unseen = [t for t in self.tasks if t.running and t.live is None and (multi_step or t.is_hook)]
        await for_each(unseen, self._look_up, self.engine.parallelism)
        for task in unseen:
            if task.running and task.live is not None:
                finished_hooks |= self._judge(task)
        running = [task for task in self.tasks if task.running and (multi_step or task.is_hook)]
        if running:
            return self._wait(messages.waiting(running), self._until_deadline(running))
        if finished_hooks:
            # the next step takes the finalizer off and may delete the hook: record its verdict first
            return self._wait(self.state.message or messages.TASKS_RUNNING, PERSIST_FIRST)
        return None

    def _until_deadline(self, running: Sequence[Task]) -> float:
        """When to look again if nothing is heard of: at the first deadline of a hook, or after a while."""
        age = self.inputs.age
        hooks = [task.live for task in running if task.is_hook and task.live is not None]
        left = [left for hook in hooks if (left := time_left(hook, age(hook))) is not None]
        return max(PERSIST_FIRST, min([self.engine.poll, *left]))

    def _judge(self, task: Task) -> bool:
        """Sets the state of a running task; whether a hook finished by it."""
        assert task.live is not None
        health = self.inputs.assess(task.live)
        found = judge_hook(health, task.key.name) if task.is_hook else judge_resource(health)
        late = task.is_hook and is_late(task.live, self.inputs.age(task.live))
        if late and found.outcome is Outcome.RUNNING:
            found = Judgement(Outcome.FAILED, late_text(task.live))
        if found.outcome is not task.outcome or (found.message and found.message != task.message):
            self.results.record(task, task.status, found.outcome, found.message)
        return task.is_hook and found.outcome.completed

    async def _look_up(self, task: Task) -> None:
        """A running task that the live set does not have: behind, or gone."""
        gvk, namespace, name = gvk_and_name(task.manifest)
        try:
            task.live = await self.cluster.get(gvk, namespace, name)
        except NotFound:
            self.results.record(task, Code.SYNC_FAILED, Outcome.ERROR, messages.missing_object(task.key))
        except CLUSTER_ERRORS as error:
            text = f"Failed to get live resource {describe(error)}"
            self.results.record(task, task.status, Outcome.ERROR, text)

    async def _settle_finished(self) -> StepResult | None:
        """Pruned objects leave, finished hooks are released, failures end the sync (steps 4–7)."""
        if not self.options.dry_run:
            await self._look_at_pruned()
            leaving = [t for t in self.tasks if t.status is Code.PRUNED and is_terminating(t.live)]
            if leaving:
                return self._wait(messages.waiting(leaving, deletion=True), self.engine.deletion_poll)
            await self._release_completed(self.tasks)
        failed = [t for t in self.tasks if t.phase is not Phase.SYNC_FAIL and t.failed]
        if failed:
            await self._finish_hooks(Outcome.FAILED)
            return await self._sync_fail(self._sync_fail_tasks(), failed, messages.TASKS_UNSUCCESSFUL)
        return None

    async def _look_at_pruned(self) -> None:
        """Pruned objects that the live set still shows untouched: it is behind, so ask."""

        async def one(task: Task) -> None:
            try:
                task.live = await self.cluster.get(*gvk_and_name(task.manifest))
            except CLUSTER_ERRORS:
                task.live = None

        stale = [t for t in self.tasks if t.status is Code.PRUNED and t.live and not is_terminating(t.live)]
        if any(task.pending for task in self.tasks):
            await for_each(stale, one, self.engine.parallelism)

    async def _run_next_wave(self, multi_step: bool) -> StepResult | None:
        """The first wave that is still to be done (steps 8–11); ``None``: go on within this step."""
        pending = [
            t for t in self.tasks if t.pending and t.phase is not Phase.SYNC_FAIL and not self._is_clean(t)
        ]
        if not pending:
            await self._finish_hooks(Outcome.SUCCEEDED)
            return self._end(Outcome.SUCCEEDED, messages.NO_MORE_TASKS)
        wave, later = first_wave(pending)
        writes = len(self.writes)
        result = await self.runner.run(wave)
        hooks = [task for task in wave if task.is_hook]
        if result is RunState.FAILED:
            running = [task for task in hooks if task.running]
            ended = await self._sync_fail(self._sync_fail_tasks(), wave, messages.APPLY_FAILED, hold=running)
            if ended.wait is None:
                await self._finish_hooks(Outcome.FAILED)
                ended = self._refreshed(ended)
            return ended
        if result is RunState.PENDING:
            asking = [t for t in wave if awaits_confirmation(t, self.options, self.approved)]
            if asking:
                return self._wait(messages.waiting(asking, confirmation=True), self.engine.poll)
            return self._wait(messages.waiting(wave, deletion=True), self.engine.deletion_poll)
        if not later and not hooks:
            await self._finish_hooks(Outcome.SUCCEEDED)
            return self._end(Outcome.SUCCEEDED, messages.ALL_TASKS_RUN)
        deleted = not self.options.dry_run and any(task.status is Code.PRUNED for task in wave)
        if len(self.writes) == writes and not deleted:
            return None  # nothing was written: nothing to persist or to give time to
        if later and not self.options.dry_run and self.engine.wave_delay > 0:
            return self._wait(messages.waiting(wave), self.engine.wave_delay, hold=True)
        return self._wait(messages.waiting(wave), self._next_look(wave, multi_step))

    def _next_look(self, tasks: Sequence[Task], multi_step: bool) -> float:
        """At once when what was just written has nothing to wait for; else events come first."""
        for task in tasks:
            if task.running and task.live is not None and (multi_step or task.is_hook):
                health = self.inputs.assess(task.live)
                found = judge_hook(health, "") if task.is_hook else judge_resource(health)
                if found.outcome is Outcome.RUNNING:
                    return self._until_deadline(tasks)
        return 0.0

    # -- hooks --------------------------------------------------------------------------------

    def _sync_fail_tasks(self) -> list[Task]:
        return [task for task in self.tasks if task.phase is Phase.SYNC_FAIL]

    async def _sync_fail(
        self, hooks: Sequence[Task], failed: Sequence[Task], text: str, hold: Sequence[Task] = ()
    ) -> StepResult:
        """The SyncFail routine; ``hold`` are hooks that still run and have to end first."""
        text = messages.with_reason(text, (t.message for t in failed if t.status is Code.SYNC_FAILED))
        if hooks and not all(task.completed for task in hooks):
            result = await self.runner.run([t for t in hooks if not t.completed and not t.running])
            if result is RunState.PENDING:
                return self._wait(messages.waiting(hooks, deletion=True), self.engine.deletion_poll)
            return self._wait(messages.waiting([*hold, *hooks]), self._next_look([*hold, *hooks], True))
        if hold:
            return self._wait(messages.waiting(hold), self._until_deadline(hold))
        causes = [task.message for task in hooks if task.status is Code.SYNC_FAILED]
        if causes:
            text += "\n" + messages.with_reason("one or more SyncFail hooks failed", causes)
        return self._fail(text)

    async def _release_completed(self, tasks: Sequence[Task]) -> None:
        """Takes our finalizer off finished hooks (step 5)."""

        async def one(task: Task) -> None:
            assert task.live is not None
            try:
                task.live = await remove_hook_finalizer(self.cluster, task.live)
                if task.live is not None:
                    self.writes.append(task.live)
            except CLUSTER_ERRORS as error:
                text = f"Failed to remove hook finalizer: {describe(error)}"
                self.results.record(task, task.status, Outcome.ERROR, text)

        done = [t for t in tasks if t.is_hook and t.completed and has_hook_finalizer(t.live)]
        await for_each(done, one, self.engine.parallelism)

    async def _finish_hooks(self, outcome: Outcome) -> None:
        """Lets the hooks of this sync go before it ends: released, and deleted where their policy says so.

        The live set may lack some that were made here: the comparison is older, their kind may be one
        that is not followed. Nobody would ever release them later.
        """

        async def find(task: Task) -> None:
            try:
                live = await self.cluster.get(*gvk_and_name(task.manifest))
            except NotFound:
                return
            except CLUSTER_ERRORS as error:
                text = f"Failed to get live resource {describe(error)}"
                self.results.record(task, task.status, Outcome.ERROR, text)
                return
            if is_stamped(live, self.stamp(task)):
                task.live = live

        if self.options.dry_run:
            return
        made = [t for t in self.tasks if t.is_hook and t.completed and t.status is Code.SYNCED]
        unseen = [t for t in made if t.live is None]
        await for_each(unseen, find, self.engine.parallelism)
        await self._release_completed(unseen)
        await self._delete_hooks(outcome)

    async def _delete_hooks(self, outcome: Outcome) -> None:
        """Deletes hooks whose policy names this outcome of the sync (step 6), leftovers included."""

        async def one(task: Task) -> None:
            assert task.live is not None
            try:
                live = await remove_hook_finalizer(self.cluster, task.live)
                if live is not None:
                    await delete_object(self.cluster, live, self.options.propagation_policy)
            except CLUSTER_ERRORS as error:
                text = f"failed to delete resource: {describe(error)}"
                self.results.record(task, task.status, Outcome.ERROR, text)

        doomed = [
            t
            for t in self.tasks
            if t.live is not None
            and not t.running
            and not is_terminating(t.live)
            and (t.deletes_on(outcome) or self._came_too_late(t))
        ]
        await for_each(doomed, one, self.engine.parallelism)

    def _came_too_late(self, task: Task) -> bool:
        """A hook that failed by its deadline and still runs: nobody else will end it."""
        if not (task.is_hook and task.failed) or task.live is None or time_limit(task.live) is None:
            return False
        return judge_hook(self.inputs.assess(task.live), "").outcome is Outcome.RUNNING

    # -- endings ------------------------------------------------------------------------------

    def _is_clean(self, task: Task) -> bool:
        """Left out by ApplyOutOfSyncOnly: known unmodified, with target and live (step 8)."""
        return (
            self.options.apply_out_of_sync_only
            and not task.is_hook
            and task.modified is False
            and task.target is not None
            and task.live is not None
        )

    def _wait(self, message: str, seconds: float, hold: bool = False) -> StepResult:
        return self.result(Outcome.RUNNING, message, seconds, hold)

    def _fail(self, message: str) -> StepResult:
        return self._end(Outcome.FAILED, message)

    def _refreshed(self, ended: StepResult) -> StepResult:
        """The same ending with what was recorded since."""
        return self.result(Outcome(ended.state.phase), ended.state.message, ended.wait, ended.hold)
