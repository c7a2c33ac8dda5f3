"""The engine: one step of a stored operation at a time.

``reconcile`` calls ``step`` with the stored state and fresh inputs, persists the state that comes
back, and comes back itself after ``wait`` seconds or when a live object changed. Killing it at any
moment changes nothing but the time: ``step`` is safe to repeat from the last persisted state.
"""

from tiphys.resources.application import OperationState
from tiphys.sync.cluster import SyncCluster
from tiphys.sync.inputs import StepResult, SyncInputs
from tiphys.sync.operating import EngineOptions
from tiphys.sync.step import Step
from tiphys.sync.terminate import Termination

__all__ = ["EngineOptions", "SyncEngine"]

_DEFAULTS = EngineOptions()


class SyncEngine:
    """Advances operations on one cluster with one identity."""

    def __init__(self, cluster: SyncCluster, options: EngineOptions = _DEFAULTS) -> None:
        self._cluster = cluster
        self._options = options

    async def step(self, inputs: SyncInputs, state: OperationState) -> StepResult:
        """Runs at most one wave with writes. Refused and failed requests are results, not errors."""
        return await Step(self._cluster, self._options, inputs, state).run()

    async def terminate(self, inputs: SyncInputs, state: OperationState) -> StepResult:
        """Ends an operation early; to be repeated while ``wait`` is not ``None`` (sync.md 12.4)."""
        return await Termination(self._cluster, self._options, inputs, state).run()
