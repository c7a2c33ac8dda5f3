"""What a step is given and what it gives back.

``SyncInputs`` is the whole knowledge of one step besides the stored operation: the desired set
paired with the live set, the hooks, the moment, and the questions that other rooms answer
(permission, health). Nothing in it is changed by the engine.
"""

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from tiphys.health.model import Health
from tiphys.resources.application import ManagedNamespaceMetadata, OperationState
from tiphys.resources.identity import AppKey, Manifest, ResourceKey
from tiphys.sync.cluster import ApiResourceLike

Permission = Callable[[Manifest, ApiResourceLike], str | None]
"""The reason why the project forbids an object of an API resource, or ``None`` (sync.md 18.1)."""

Assess = Callable[[Manifest], Health | None]
"""Health of a live object, or ``None`` for kinds without health."""

Owned = Callable[[Manifest], bool]
"""Whether a live object is the Application's by its marks."""

Age = Callable[[Manifest], float]
"""Seconds since a live hook was made."""


class SyncPair(Struct, frozen=True):
    """One object: desired, live or both. ``modified`` is ``None`` when it is not known whether
    they differ; ``self_referenced`` is the verdict of sync.md 2.5; ``ignoring``: they are the same
    only for what ignore rules leave out, which an apply writes all the same."""

    key: ResourceKey
    target: Manifest | None
    live: Manifest | None
    modified: bool | None = None
    self_referenced: bool = True
    ignoring: bool = False


class SyncInputs(Struct, frozen=True, kw_only=True):
    """Everything a step knows. Times are aware."""

    app: AppKey
    app_uid: str
    namespace: str
    """Of the destination; may be empty."""
    pairs: tuple[SyncPair, ...]
    """With live hook objects among them (their target is ``None``)."""
    hooks: tuple[Manifest, ...] = ()
    """Desired hook objects, stamped with tracking like other targets."""
    now: datetime
    revision: str = ""
    """Of the operation, resolved; part of the names of unnamed hooks."""
    permitted: Permission
    assess: Assess
    age: Age = lambda hook: 0.0
    owned: Owned = lambda manifest: True
    deletion_approved_at: datetime | None = None
    """From the Application's annotation ``deletion-approved``."""
    managed_namespace_metadata: ManagedNamespaceMetadata | None = None
    """From ``spec.syncPolicy``."""
    namespace_live: Manifest | None = None
    """The destination Namespace if the live cache has it; saves a request."""
    migration_manager: str = ""
    """From the Application's annotation; empty for the default (sync.md 13.4)."""
    note: Callable[[Manifest], None] = lambda answer: None
    """Told the server's answer to each own write at once, before its watch event comes."""
    gone: Callable[[Manifest], None] = lambda live: None
    """Told of each pruned object that went at once, before its watch event comes."""


class StepResult(Struct, frozen=True):
    """The new state, and when to come back.

    With ``wait`` above zero (or ``None``) the state must be persisted before the next step. With
    exactly ``0.0`` the next step may follow at once without a write in between: repeating both
    after a kill gives the same.
    """

    state: OperationState
    wait: float | None
    """Seconds after which to step again at the latest; ``None`` when the operation completed."""
    writes: tuple[Manifest, ...] = ()
    """The server's answers to own writes, for the live cache."""
    hold: bool = False
    """Do not step again before ``wait`` has passed, whatever happens (delay between waves)."""
