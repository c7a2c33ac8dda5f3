"""Running one wave: hooks' leftovers away, prunes, then creations kind by kind (sync.md 12.1).

Each stage has to succeed before the next begins. A stage that waits (a deletion that takes time, a
prune that awaits confirmation) leaves its tasks pending; the next step comes here again and finds
in the cluster what was done already.
"""

from collections.abc import Callable, Sequence
from enum import IntEnum
from itertools import groupby

from tiphys.resources.identity import Manifest, annotations_of
from tiphys.sync import messages
from tiphys.sync.apply import Applied, Applier, Way, choose, has_name, refusal
from tiphys.sync.bounded import for_each
from tiphys.sync.cluster import CLUSTER_ERRORS, DiscoveryLike, SyncCluster, describe
from tiphys.sync.inputs import Owned, Permission
from tiphys.sync.objects import NotOurs, delete_object, delete_owned, remove_hook_finalizer
from tiphys.sync.options import OperationOptions, prune_value
from tiphys.sync.ownership import HOOK_STAMP, has_hook_finalizer, is_stamped, is_terminating
from tiphys.sync.plan import awaits_confirmation, discovery_problem, settle_namespace
from tiphys.sync.recording import Results
from tiphys.sync.tasks import Code, Outcome, Task

OUTCOME_OF = {
    Code.SYNCED: Outcome.RUNNING,
    Code.SYNC_FAILED: Outcome.FAILED,
    Code.PRUNED: Outcome.SUCCEEDED,
    Code.PRUNE_SKIPPED: Outcome.SUCCEEDED,
}


class RunState(IntEnum):
    """Failed beats pending beats successful."""

    SUCCESSFUL = 0
    PENDING = 1
    FAILED = 2


class WaveRunner:
    """Runs tasks of one step and records what became of them."""

    def __init__(
        self,
        cluster: SyncCluster,
        applier: Applier,
        results: Results,
        options: OperationOptions,
        *,
        permitted: Permission,
        owned: Owned,
        gone: Callable[[Manifest], None],
        approved: bool,
        parallelism: int,
        unmade_namespaces: frozenset[str] = frozenset(),
    ) -> None:
        self.cluster = cluster
        self.applier = applier
        self.results = results
        self.options = options
        self.permitted = permitted
        self.owned = owned
        self.gone = gone
        self.approved = approved
        self.parallelism = parallelism
        self.unmade_namespaces = unmade_namespaces
        """Namespaces that are not there yet; a dry run cannot write into them."""

    def validate(self, tasks: Sequence[Task]) -> bool:
        """The pass before the first apply: what a client dry run finds, found locally.

        Kinds, permissions and namespaces were checked when the plan was made. Only failures are
        recorded (sync.md 12.1).
        """
        ok = True
        for task in tasks:
            if task.target is None or task.skip_dry_run or has_name(task.target):
                continue
            problem = refusal(task.target, choose(task.target, task.live, self.options))
            if problem is not None:
                self.record(task, Code.SYNC_FAILED, problem)
                ok = False
        return ok

    async def run(self, tasks: Sequence[Task]) -> RunState:
        """Runs the tasks of one wave."""
        prunes = [task for task in tasks if task.is_prune]
        creations = [task for task in tasks if not task.is_prune]
        dry_run = self.options.dry_run
        if not dry_run and not await self._release(creations):
            return RunState.FAILED
        if any(awaits_confirmation(task, self.options, self.approved) for task in prunes):
            return RunState.PENDING
        if not all(await for_each(prunes, self._prune, self.parallelism)):
            return RunState.FAILED
        if not dry_run:
            state = await self._delete_before_creation(creations)
            if state is not RunState.SUCCESSFUL:
                return state
        return await self._create(creations)

    async def _release(self, tasks: Sequence[Task]) -> bool:
        """Takes hook finalizers off what earlier syncs left (stage 1)."""

        async def one(task: Task) -> bool:
            assert task.live is not None
            try:
                task.live = await remove_hook_finalizer(self.cluster, task.live)
            except CLUSTER_ERRORS as error:
                text = f"failed to remove hook finalizer: {describe(error)}"
                self.results.record(task, task.status, Outcome.ERROR, text)
                return False
            return True

        left = [task for task in tasks if _is_leftover(task) and has_hook_finalizer(task.live)]
        return all(await for_each(left, one, self.parallelism))

    async def _prune(self, task: Task) -> bool:
        """One prune; the first row that fits decides (sync.md 12.2)."""
        live = task.live
        assert live is not None
        if not self.options.prune_enabled:
            self.record(task, Code.PRUNE_SKIPPED, messages.REQUIRES_PRUNING)
        elif prune_value(live, self.options) == "false":
            self.record(task, Code.PRUNE_SKIPPED, messages.NO_PRUNE)
        elif self.options.dry_run:
            self.record(task, Code.PRUNED, messages.PRUNED_DRY_RUN)
        else:
            if not is_terminating(live):
                try:
                    policy = self.options.propagation_policy
                    answer = await delete_owned(self.cluster, live, policy, self.owned)
                except NotOurs:
                    self.record(task, Code.PRUNE_SKIPPED, messages.NOT_OURS)
                    return True
                except CLUSTER_ERRORS as error:
                    self.record(task, Code.SYNC_FAILED, describe(error))
                    return False
                if answer is not None and is_terminating(answer):
                    task.live = answer
                    self.applier.writes.append(answer)
                elif answer is None or answer.get("kind") == "Status":
                    self.gone(live)
            self.record(task, Code.PRUNED, messages.PRUNED)
        return True

    async def _delete_before_creation(self, tasks: Sequence[Task]) -> RunState:
        """Stage 4: hooks with BeforeHookCreation whose old object is still there, and any whose old
        object is on its way out: the API server lets nothing be made of that one."""

        async def one(task: Task) -> RunState:
            assert task.live is not None
            if is_terminating(task.live):
                return RunState.PENDING
            try:
                found = await delete_object(self.cluster, task.live, self.options.propagation_policy)
            except CLUSTER_ERRORS as error:
                text = f"failed to delete resource: {describe(error)}"
                self.results.record(task, Code.SYNC_FAILED, Outcome.FAILED, text)
                return RunState.FAILED
            if found is not None:
                if is_terminating(found):
                    self.applier.writes.append(found)
                return RunState.PENDING
            task.live = None
            return RunState.SUCCESSFUL

        old = [
            task
            for task in tasks
            if _is_leftover(task) and (task.deletes_before_creation or is_terminating(task.live))
        ]
        return max(await for_each(old, one, self.parallelism), default=RunState.SUCCESSFUL)

    async def _create(self, tasks: Sequence[Task]) -> RunState:
        """Stage 5: consecutive tasks of one kind at once, one kind after another.

        A failed group does not stop later groups (sync.md 23.6).
        """
        state = RunState.SUCCESSFUL
        for _, group in groupby(tasks, key=lambda task: task.key.kind):
            states = await for_each(group, self._create_one, self.parallelism)
            state = max([state, *states])
        return state

    async def _create_one(self, task: Task) -> RunState:
        try:
            applied = await self._write(task)
        except CLUSTER_ERRORS as error:
            applied = Applied(False, describe(error))
        if applied.pending:
            return RunState.PENDING
        if applied.answer is not None:
            task.live = applied.answer
        self.record(task, Code.SYNCED if applied.ok else Code.SYNC_FAILED, applied.message)
        return RunState.SUCCESSFUL if applied.ok else RunState.FAILED

    async def _write(self, task: Task) -> Applied:
        if task.skip_dry_run:
            refused = await self._late_check(task)
            if refused is not None:
                return refused
        target = task.target
        assert target is not None
        if self.options.dry_run and self._would_lack_namespace(task):
            return Applied(True, messages.applied(task.gvk, task.key.name, "created", dry_run=True))
        if self.options.dry_run and task.deletes_before_creation and _is_leftover(task):
            # it would be made anew; the server cannot be asked while the old one has the name
            return Applied(True, messages.applied(task.gvk, task.key.name, "created", dry_run=True))
        if task.is_hook and not self.options.dry_run:
            if _is_ours(task):
                # a killed step of this operation created it without recording it
                return Applied(True, messages.applied(task.gvk, task.key.name, "created"))
            if task.live is None:
                return await self._create_hook(task, target)
        return await self.applier.apply(target, task.live, None if task.ignoring else task.modified)

    async def _create_hook(self, task: Task, target: Manifest) -> Applied:
        """Creates a hook that the cache does not know.

        Where the cache was behind and an object of that name exists, our own stamp means that an
        earlier try of this step made it; any other object is an old hook that has to go first
        where the policy says so.
        """
        if choose(target, None, self.options) is not Way.SERVER_SIDE:
            created = await self.applier.create_new(target)
            if created is not None:
                return created
        task.live = await self.applier.read(target)
        if _is_ours(task):
            return Applied(True, messages.applied(task.gvk, task.key.name, "created"))
        if task.live is not None and task.deletes_before_creation:
            if not await self._release([task]):
                return Applied(False, task.message)
            if task.live is not None and await self._delete_before_creation([task]) is RunState.FAILED:
                return Applied(False, task.message)
            return Applied(True, "", pending=True)
        return await self.applier.apply(target, task.live, None)

    async def _late_check(self, task: Task) -> Applied | None:
        """A kind that was unknown when the plan was made has its turn: it must be known now.

        The project's permission is checked here, since scope was not known before.
        """
        resource = self.applier.discovery.resource(task.gvk)
        if resource is None:
            discovery: DiscoveryLike = await self.cluster.refresh_discovery()
            self.applier.discovery = discovery
            resource = discovery.resource(task.gvk)
        if resource is None:
            if self.options.dry_run:
                return Applied(True, messages.applied(task.gvk, task.key.name, "created", dry_run=True))
            return Applied(False, discovery_problem(self.applier.discovery, task.gvk))
        settle_namespace(task, resource)
        reason = self.permitted(task.manifest, resource)
        return Applied(False, reason) if reason is not None else None

    def _would_lack_namespace(self, task: Task) -> bool:
        namespace = (task.manifest.get("metadata") or {}).get("namespace") or ""
        return namespace in self.unmade_namespaces

    def record(self, task: Task, status: Code, message: str) -> None:
        outcome = OUTCOME_OF[status]
        if self.options.dry_run and outcome is Outcome.RUNNING:
            outcome = Outcome.SUCCEEDED
        self.results.record(task, status, outcome, message)


def _is_ours(task: Task) -> bool:
    """Whether the live hook was made by this run of this operation."""
    return task.target is not None and is_stamped(task.live, annotations_of(task.target).get(HOOK_STAMP, ""))


def _is_leftover(task: Task) -> bool:
    """A hook whose turn comes and whose live object is of an earlier run."""
    return task.is_hook and task.pending and task.live is not None and not _is_ours(task)
