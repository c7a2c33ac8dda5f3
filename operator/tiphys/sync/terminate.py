"""Ending an operation early (sync.md 12.4).

Running hooks are judged, released and deleted; plain resources stay as they are and SyncFail hooks
do not run. Two passes, so that a kill in between loses no verdict: the first records what each
running hook came to, the second, from the persisted state, deletes.
"""

from tiphys.kube.errors import NotFound
from tiphys.sync import messages
from tiphys.sync.bounded import for_each
from tiphys.sync.cluster import CLUSTER_ERRORS, describe
from tiphys.sync.health import judge_hook
from tiphys.sync.inputs import StepResult
from tiphys.sync.objects import delete_object, remove_hook_finalizer
from tiphys.sync.operating import PERSIST_FIRST, Operating
from tiphys.sync.ownership import is_stamped, is_terminating
from tiphys.sync.plan import gvk_and_name
from tiphys.sync.tasks import Code, Outcome, Task


class Termination(Operating):
    """Works on an operation in phase Terminating for one pass."""

    async def run(self) -> StepResult:
        try:
            await self.prepare()
        except CLUSTER_ERRORS:
            return self._end(Outcome.ERROR, messages.TERMINATION_ERRORS)
        self._adopt_hooks()
        running = [task for task in self.tasks if task.is_hook and task.running]
        if running and not self.options.dry_run:
            await for_each(running, self._conclude, self.engine.parallelism)
            return self.result(Outcome.TERMINATING, self.state.message, PERSIST_FIRST)
        await for_each(self._unseen(), self._find, self.engine.parallelism)
        cleaned = all(await for_each(self._ours(), self._clear, self.engine.parallelism))
        failed = any(t.is_hook and t.outcome is Outcome.ERROR for t in self.tasks)
        if not cleaned or failed:
            return self._end(Outcome.ERROR, messages.TERMINATION_ERRORS)
        return self._end(Outcome.FAILED, messages.TERMINATED)

    def _adopt_hooks(self) -> None:
        """Hooks that a killed step of this operation created without recording it."""
        for task in self.tasks:
            if task.is_hook and task.pending and is_stamped(task.live, self.stamp(task)):
                text = messages.applied(task.gvk, task.key.name, "created")
                self.results.record(task, Code.SYNCED, Outcome.RUNNING, text)

    async def _conclude(self, task: Task) -> None:
        """First pass: the verdict on one running hook."""
        try:
            live = task.live or await self.cluster.get(*gvk_and_name(task.manifest))
        except NotFound:
            self.results.record(task, task.status, Outcome.SUCCEEDED, messages.TASK_TERMINATED)
            return
        except CLUSTER_ERRORS as error:
            text = f"Failed to get live resource: {describe(error)}"
            self.results.record(task, Code.SYNC_FAILED, Outcome.ERROR, text)
            return
        health = self.inputs.assess(live)
        if health is not None and health.error:
            text = f"Failed to get hook health: {health.error}"
            self.results.record(task, task.status, Outcome.ERROR, text)
            return
        found = judge_hook(health, task.key.name)
        if found.outcome is Outcome.RUNNING:
            self.results.record(task, task.status, Outcome.FAILED, messages.TASK_TERMINATED)
        else:
            self.results.record(task, task.status, found.outcome, found.message)

    def _unseen(self) -> list[Task]:
        """Hooks that ended and that the live set does not show: it may be behind, or not follow them."""
        ended = (Outcome.FAILED, Outcome.SUCCEEDED)
        return [t for t in self.tasks if t.is_hook and t.outcome in ended and t.live is None]

    async def _find(self, task: Task) -> None:
        try:
            task.live = await self.cluster.get(*gvk_and_name(task.manifest))
        except NotFound:
            return
        except CLUSTER_ERRORS as error:
            text = f"Failed to get live resource: {describe(error)}"
            self.results.record(task, Code.SYNC_FAILED, Outcome.ERROR, text)

    def _ours(self) -> list[Task]:
        return [t for t in self.tasks if t.is_hook and t.completed and is_stamped(t.live, self.stamp(t))]

    async def _clear(self, task: Task) -> bool:
        """Second pass: releases one hook, and deletes it unless it ended by itself.

        "By itself" is read from its health again: a hook that still runs, whose health is unknown,
        or whose policy is HookFailed goes.
        """
        assert task.live is not None
        health = self.inputs.assess(task.live)
        found = judge_hook(health, task.key.name)
        unknown = health is not None and health.status == "Unknown"
        doomed = found.outcome is Outcome.RUNNING or unknown or task.deletes_on(Outcome.FAILED)
        try:
            live = await remove_hook_finalizer(self.cluster, task.live)
        except CLUSTER_ERRORS as error:
            text = f"Failed to remove hook finalizer: {describe(error)}"
            self.results.record(task, task.status, Outcome.ERROR, text)
            return False
        if live is None or not doomed or is_terminating(live):
            return True
        try:
            await delete_object(self.cluster, live, self.options.propagation_policy)
        except CLUSTER_ERRORS as error:
            text = f"Failed to delete: {describe(error)}"
            self.results.record(task, Code.SYNC_FAILED, Outcome.ERROR, text)
            return False
        return True
