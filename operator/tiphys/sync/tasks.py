"""One thing to do for one object in one phase, and the words used for it.

A ``Task`` is built anew in every step from the desired set, the live set and the results that the
operation recorded so far (``plan``); it lives for that step only. That is what makes a step safe
to repeat: no task remembers anything that is not in the stored operation or in the cluster.
"""

from dataclasses import dataclass
from enum import StrEnum

from tiphys.compare import hooks
from tiphys.resources.identity import GVK, Manifest, ResourceKey, gvk_of, key_of


class Phase(StrEnum):
    """Phases of a sync in the order in which they run (sync.md 1.2)."""

    PRE_SYNC = "PreSync"
    SYNC = "Sync"
    POST_SYNC = "PostSync"
    SYNC_FAIL = "SyncFail"


PHASE_ORDER = {Phase.PRE_SYNC: -1, Phase.SYNC: 0, Phase.POST_SYNC: 1, Phase.SYNC_FAIL: 2}


class Outcome(StrEnum):
    """Phases of an operation, also used for single tasks (sync.md 1.2)."""

    RUNNING = "Running"
    TERMINATING = "Terminating"
    FAILED = "Failed"
    ERROR = "Error"
    SUCCEEDED = "Succeeded"

    @property
    def completed(self) -> bool:
        return self in (Outcome.FAILED, Outcome.ERROR, Outcome.SUCCEEDED)

    @property
    def successful(self) -> bool:
        return self is Outcome.SUCCEEDED


class Code(StrEnum):
    """``status`` of a resource result (sync.md 1.2)."""

    SYNCED = "Synced"
    SYNC_FAILED = "SyncFailed"
    PRUNED = "Pruned"
    PRUNE_SKIPPED = "PruneSkipped"


class TaskKey:
    """Builder of the text that names a result: ``group/kind/namespace/name:phase``."""

    @staticmethod
    def of(group: str, kind: str, namespace: str, name: str, phase: str) -> str:
        return f"{group}/{kind}/{namespace}/{name}:{phase}"


@dataclass(slots=True, eq=False)
class Task:
    """``target`` is ``None`` for a prune; ``live`` is ``None`` for a creation."""

    phase: Phase
    target: Manifest | None
    live: Manifest | None = None
    is_hook: bool = False
    modified: bool | None = None
    """Whether target and live differ; ``None`` when that is not known."""
    ignoring: bool = False
    """They differ where ignore rules look away; an apply is not idle."""
    status: Code | None = None
    outcome: Outcome | None = None
    message: str = ""
    skip_dry_run: bool = False
    """The kind is unknown now and may appear during the sync: no validation before its turn."""
    auto_namespace: bool = False
    """The Namespace of ``CreateNamespace=true``, which no source contains."""
    wave_override: int | None = None
    phase_override: Phase | None = None
    default_namespace: str = ""
    """Written into the result of a target without namespace, cluster-scoped ones too (sync.md 23.3)."""
    manifest: Manifest = None  # type: ignore[assignment]
    key: ResourceKey = None  # type: ignore[assignment]
    gvk: GVK = None  # type: ignore[assignment]
    own_wave: int = 0

    def __post_init__(self) -> None:
        manifest = self.target if self.target is not None else self.live
        if manifest is None:
            raise ValueError("a task needs a target or a live object")
        self.manifest = manifest
        self.key = key_of(manifest)
        if not self.key.namespace and self.default_namespace:
            self.key = self.key._replace(namespace=self.default_namespace)
        if not self.key.name:  # what cannot be named is refused; its result says which it is
            self.key = self.key._replace(name=(manifest.get("metadata") or {}).get("generateName") or "")
        self.gvk = gvk_of(manifest)
        self.own_wave = hooks.wave(manifest)

    @property
    def wave(self) -> int:
        return self.own_wave if self.wave_override is None else self.wave_override

    @property
    def order_phase(self) -> Phase:
        """The phase in which the task runs: a Namespace runs with the first object in it."""
        return self.phase if self.phase_override is None else self.phase_override

    @property
    def result_key(self) -> str:
        """Names the result; of what moved, the phase it moved to counts (sync.md 9.2)."""
        key = self.key
        return TaskKey.of(key.group, key.kind, key.namespace, key.name, self.order_phase)

    @property
    def is_prune(self) -> bool:
        return self.target is None

    @property
    def pending(self) -> bool:
        return self.outcome is None

    @property
    def running(self) -> bool:
        return self.outcome is Outcome.RUNNING

    @property
    def completed(self) -> bool:
        return self.outcome is not None and self.outcome.completed

    @property
    def successful(self) -> bool:
        return self.outcome is Outcome.SUCCEEDED

    @property
    def failed(self) -> bool:
        return self.completed and not self.successful

    @property
    def display(self) -> str:
        """``group/Kind/name``; the core group gives a leading slash (sync.md 14.1)."""
        return f"{self.key.group}/{self.key.kind}/{self.key.name}"

    def deletes_on(self, outcome: Outcome) -> bool:
        """Whether the hook's policies ask for deletion after this outcome (sync.md 9.1)."""
        if not self.is_hook:
            return False
        policies = hooks.delete_policies(self.manifest)
        if outcome is Outcome.SUCCEEDED:
            return "HookSucceeded" in policies
        return outcome in (Outcome.FAILED, Outcome.ERROR) and "HookFailed" in policies

    @property
    def deletes_before_creation(self) -> bool:
        return self.is_hook and "BeforeHookCreation" in hooks.delete_policies(self.manifest)
