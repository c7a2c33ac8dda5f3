"""A caller of the engine in the small, against the real API server.

``Rig`` plays the controller: it reads the live objects, calls the engine, keeps the persisted
state, and goes on until the operation ends. ``Metered`` wraps the client: it counts requests and
can die before or after the nth of them, which is how a kill between two requests looks.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.sync.builders import inputs, pair
from tiphys.compare import hooks as hook_rules
from tiphys.health import assess
from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import ApiError, NotFound
from tiphys.resources.application import (
    ManagedNamespaceMetadata,
    Operation,
    OperationState,
    ResourceResult,
    SyncOperation,
    SyncOperationResult,
)
from tiphys.resources.identity import GVK, Manifest, ResourceKey, gvk_of, key_of
from tiphys.resources.times import from_timestamp, to_timestamp
from tiphys.sync.engine import EngineOptions, SyncEngine
from tiphys.sync.inputs import StepResult, SyncInputs
from tiphys.sync.naming import named_hook
from tiphys.sync.proof import covers
from tiphys.sync.tasks import Phase

COUNTED = ("get", "create", "replace", "patch", "apply", "delete")
WRITES = ("create", "replace", "patch", "apply", "delete")


class Killed(Exception):
    """The process died here."""


class Metered:
    """Counts the requests of a client, in order, and dies at one of them if told to."""

    def __init__(self, client: ClusterClient) -> None:
        self.client = client
        self.log: list[str] = []
        self.kill_at = 0
        self.kill_after_sending = False
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)
        if name not in COUNTED:
            return method

        async def counted(*args: Any, **kwargs: Any) -> Any:
            if self.dead:
                raise Killed
            asked = "dry-run " if kwargs.get("dry_run") else ""
            self.log.append(f"{asked}{name} {_object_of(args)}")
            self.dead = dying = len(self.log) == self.kill_at
            if dying and not self.kill_after_sending:
                raise Killed
            answer = await method(*args, **kwargs)
            if dying:
                raise Killed
            return answer

        return counted

    def revive(self) -> None:
        """A new process."""
        self.kill_at, self.dead = 0, False

    def counts(self) -> Counter[str]:
        return Counter(line.split()[0] for line in self.log)

    def writes(self) -> list[str]:
        return [line for line in self.log if line.split()[0] in WRITES]


def _object_of(args: tuple[Any, ...]) -> str:
    if isinstance(args[0], dict):
        key = key_of(args[0])
        return f"{key.kind}/{key.name}"
    return f"{args[0].kind}/{args[2]}"


def age(hook: Manifest) -> float:
    """Seconds since a hook was made; both clocks are this machine's."""
    return (datetime.now(UTC) - from_timestamp(hook["metadata"]["creationTimestamp"])).total_seconds()


class Rig:
    """One application with one operation."""

    def __init__(self, client: ClusterClient, namespace: str, **options: Any) -> None:
        self.client = Metered(client)
        self.namespace = namespace
        self.targets: list[Manifest] = []
        self.hooks: list[Manifest] = []
        self.tracked: dict[ResourceKey, GVK] = {}
        self.engine = SyncEngine(self.client, EngineOptions(**{"wave_delay": 0.0, **options}))
        self.steps: list[StepResult] = []
        self.more: dict[str, Any] = {}
        self.sees_hooks = True
        self.state: OperationState
        self.begin()

    def begin(self, started: datetime | None = None, **sync: Any) -> None:
        moment = started or datetime.now(UTC)
        self.state = OperationState(
            operation=Operation(sync=SyncOperation(**sync)),
            phase="Running",
            sync_result=SyncOperationResult(revision="0123456789"),
            started_at=to_timestamp(moment),
        )
        self.client.log.clear()
        self.steps.clear()

    def _names(self) -> dict[ResourceKey, GVK]:
        named = dict(self.tracked)
        started = self.state.started_at
        all_hooks = [
            named_hook(h, Phase(p), "0123456789", started)
            for h in self.hooks
            for p in hook_rules.sync_types(h)
        ]
        for manifest in (*self.targets, *(all_hooks if self.sees_hooks else ())):
            key = key_of(manifest)
            if not key.namespace and not self._is_cluster_scoped(manifest):
                key = key._replace(namespace=self.namespace)
            named[key] = gvk_of(manifest)
        self.tracked = named
        return named

    @staticmethod
    def _is_cluster_scoped(manifest: Manifest) -> bool:
        return manifest["kind"] in {"Namespace", "CustomResourceDefinition", "ClusterRole"}

    async def live(self) -> dict[ResourceKey, Manifest]:
        found: dict[ResourceKey, Manifest] = {}

        async def one(key: ResourceKey, gvk: GVK) -> None:
            with contextlib.suppress(ApiError):
                found[key] = await self.client.client.get(gvk, key.namespace, key.name)

        async with asyncio.TaskGroup() as group:
            for key, gvk in self._names().items():
                group.create_task(one(key, gvk))
        return found

    async def inputs(self) -> SyncInputs:
        live = await self.live()
        pairs = []
        for target in self.targets:
            key = key_of(target)
            if not key.namespace and not self._is_cluster_scoped(target):
                key = key._replace(namespace=self.namespace)
            found = live.pop(key, None)
            modified = None if found is None else not covers(target, found)
            pairs.append(pair(target, found, modified))
        pairs += [pair(None, found) for found in live.values()]
        defaults: dict[str, Any] = {
            "namespace": self.namespace,
            "now": datetime.now(UTC),
            "revision": "0123456789",
            "assess": assess,
            "age": age,
        }
        return inputs(pairs, self.hooks, **{**defaults, **self.more})

    async def step(self) -> StepResult:
        """One step; its state counts as persisted."""
        act = self.engine.terminate if self.state.phase == "Terminating" else self.engine.step
        result = await act(await self.inputs(), self.state)
        self.state = result.state
        self.steps.append(result)
        return result

    async def finish(self, seconds: float = 30.0) -> OperationState:
        """Steps until the operation ends; waits at most a quarter second at a time."""
        async with asyncio.timeout(seconds):
            while True:
                result = await self.step()
                if result.wait is None:
                    return self.state
                await asyncio.sleep(min(result.wait, 0.25))

    async def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        """Steps until something holds."""
        async with asyncio.timeout(seconds):
            while not condition():
                result = await self.step()
                await asyncio.sleep(min(result.wait or 0.0, 0.25))

    def entries(self) -> dict[str, ResourceResult]:
        assert self.state.sync_result is not None
        return {f"{r.kind}/{r.name}": r for r in self.state.sync_result.resources}

    def messages(self) -> dict[str, str]:
        return {name: entry.message for name, entry in self.entries().items()}

    async def exists(self, kind: str, name: str, api: str = "v1") -> bool:
        group, _, version = api.rpartition("/")
        try:
            await self.client.client.get(GVK(group, version, kind), self.namespace, name)
        except NotFound:
            return False
        return True


async def gone(rig: Rig, kind: str, name: str, api: str = "v1") -> None:
    """Waits until an object has left; the garbage collector takes a moment."""
    async with asyncio.timeout(20):
        while await rig.exists(kind, name, api):  # noqa: ASYNC110 (the server tells nobody)
            await asyncio.sleep(0.05)


__all__ = ["Killed", "ManagedNamespaceMetadata", "Metered", "Rig", "assess", "gone"]
