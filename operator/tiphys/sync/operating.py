"""What every pass over a stored operation begins and ends with (sync.md 10 and 13.7).

It begins with the plan, made anew from the inputs and what the stored state says was done, and ends
with the state to persist. What lies between is told by ``step`` (going on) and ``terminate`` (ending
early).
"""

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from tiphys.kube.errors import NotFound
from tiphys.resources.application import OperationState, SyncOperation, SyncOperationResult
from tiphys.resources.identity import Manifest
from tiphys.resources.times import from_timestamp, to_timestamp
from tiphys.sync import messages
from tiphys.sync.apply import Applier
from tiphys.sync.cluster import CLUSTER_ERRORS, DiscoveryLike, SyncCluster, describe
from tiphys.sync.inputs import StepResult, SyncInputs
from tiphys.sync.options import OperationOptions
from tiphys.sync.ownership import is_stamped, stamp_of
from tiphys.sync.plan import (
    NAMESPACE_GVK,
    NamespaceFacts,
    NamespaceState,
    Plan,
    build_plan,
    options_of,
    other_version,
)
from tiphys.sync.recording import Results
from tiphys.sync.tasks import Code, Outcome, Task
from tiphys.sync.wave import WaveRunner

PERSIST_FIRST = 0.001
"""Wait of a step that has to be persisted before the next, which may follow at once."""


class EngineOptions(Struct, frozen=True):
    """Times in seconds."""

    wave_delay: float = 2.0
    """Between waves, so that controllers can act on what was written (sync.md 11 step 10)."""
    parallelism: int = 16
    """Objects of one kind written at the same time; below 1: all of them (sync.md 1.4)."""
    poll: float = 30.0
    """Longest wait for health or hooks; events of live objects come earlier."""
    deletion_poll: float = 2.0
    """Longest wait for objects that are being deleted."""
    namespace_settle: float = 1.0
    """After making a Namespace for bare Pods: its ServiceAccount is made by another controller."""


class Operating:
    """An operation being worked on for one pass."""

    def __init__(
        self, cluster: SyncCluster, engine: EngineOptions, inputs: SyncInputs, state: OperationState
    ) -> None:
        self.cluster = cluster
        self.engine = engine
        self.inputs = inputs
        self.state = state
        self.operation = state.operation.sync or SyncOperation()
        self.options: OperationOptions = options_of(self.operation)
        self.recorded = state.sync_result or SyncOperationResult()
        self.results = Results(self.recorded.resources)
        approved_at = inputs.deletion_approved_at
        self.approved = approved_at is not None and approved_at >= from_timestamp(state.started_at)
        self.tasks: list[Task] = []
        self.writes: list[Manifest] = _Told(inputs.note)
        self.discovery: DiscoveryLike | None = None
        self.applier: Applier
        self.runner: WaveRunner

    async def prepare(self) -> Plan:
        """Plans, asking for what the plan needs: discovery and the destination Namespace."""
        discovery = await self.cluster.discovery()
        facts = await self._namespace_facts()
        plan = self._plan(discovery, facts)
        if plan.unknown_kinds and plan.failures:
            discovery = await self.cluster.refresh_discovery()
            plan = self._plan(discovery, facts)
        self.discovery = discovery
        self.tasks = list(plan.tasks)
        self.applier = Applier(
            self.cluster,
            discovery,
            self.options,
            migration_manager=self.inputs.migration_manager,
            created_since=self.state.started_at,
            writes=self.writes,
            owned=self.inputs.owned,
        )
        unmade = {t.key.name for t in self.tasks if t.gvk == NAMESPACE_GVK and t.target and t.live is None}
        self.runner = WaveRunner(
            self.cluster,
            self.applier,
            self.results,
            self.options,
            permitted=self.inputs.permitted,
            owned=self.inputs.owned,
            gone=self.inputs.gone,
            approved=self.approved,
            parallelism=self.engine.parallelism,
            unmade_namespaces=frozenset(unmade),
        )
        for task in self.tasks:
            # of a hook that ran, only the object made by this operation counts
            if task.is_hook and not task.pending and not is_stamped(task.live, self.stamp(task)):
                task.live = None
        return plan

    def _plan(self, discovery: DiscoveryLike, facts: NamespaceFacts) -> Plan:
        return build_plan(
            self.inputs,
            self.operation,
            self.options,
            discovery,
            started_at=self.state.started_at,
            retry_count=self.state.retry_count,
            recorded=self.results.by_key,
            namespace=facts,
        )

    async def _namespace_facts(self) -> NamespaceFacts:
        """One GET where the cache does not know the Namespace that may have to be made."""
        inputs = self.inputs
        if not self.options.create_namespace or not inputs.namespace:
            return NamespaceFacts()
        if inputs.namespace_live is not None:
            return NamespaceFacts(NamespaceState.EXISTS, inputs.namespace_live)
        if self.results.started and inputs.managed_namespace_metadata is None:
            return NamespaceFacts(NamespaceState.EXISTS)  # the first step saw to it
        try:
            live = await self.cluster.get(NAMESPACE_GVK, "", inputs.namespace)
        except NotFound:
            return NamespaceFacts(NamespaceState.MISSING)
        except CLUSTER_ERRORS as error:
            return NamespaceFacts(error=f"namespace auto creation failed: {describe(error)}")
        return NamespaceFacts(NamespaceState.EXISTS, live)

    def stamp(self, task: Task) -> str:
        state = self.state
        return stamp_of(self.inputs.app_uid, state.started_at, state.retry_count, task.phase)

    def result(self, outcome: Outcome, message: str, wait: float | None, hold: bool = False) -> StepResult:
        """The state to persist, its entries with help added (sync.md 13.7)."""
        if self.discovery is not None:
            for task in self.tasks:
                if task.status is Code.SYNC_FAILED:
                    installed = other_version(self.discovery, task.gvk)
                    text = messages.augment(task.message, task.gvk, task.key, installed)
                    self.results.record(task, task.status, task.outcome, text)
        sync_result = replace(
            self.recorded,
            resources=self.results.as_tuple(),
            managed_namespace_metadata=self.inputs.managed_namespace_metadata,
        )
        state = replace(self.state, phase=str(outcome), message=message, sync_result=sync_result)
        if outcome.completed:
            state = replace(state, finished_at=to_timestamp(self.inputs.now))
        return StepResult(state, wait, tuple(self.writes), hold)

    def _end(self, outcome: Outcome, message: str) -> StepResult:
        return self.result(outcome, message, None)


class _Told(list[Manifest]):
    """Answers, each of which somebody is told of as it comes."""

    def __init__(self, tell: Callable[[Manifest], None]) -> None:
        super().__init__()
        self._tell = tell

    def append(self, answer: Manifest, /) -> None:
        super().append(answer)
        self._tell(answer)
