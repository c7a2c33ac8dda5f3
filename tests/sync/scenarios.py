"""Operations to be disturbed: each is small, and together they have everything a sync does."""

from __future__ import annotations

from typing import Any

from tests.sync.builders import OPTIONS, config
from tests.sync.harness import Rig
from tests.sync.test_applying import binding, role
from tests.sync.test_flow import job, note, waved
from tiphys.kube.client import ClusterClient
from tiphys.resources.application import OperationState
from tiphys.resources.identity import GVK, Manifest
from tiphys.sync.deadlines import HOOK_TIMEOUT


class Scenario:
    """``before`` is synced first and undisturbed; then comes the operation."""

    def __init__(
        self,
        targets: list[Manifest],
        hooks: list[Manifest] | None = None,
        before: list[Manifest] | None = None,
        terminate_at: str = "",
        **sync: Any,
    ) -> None:
        self.targets = targets
        self.hooks = hooks or []
        self.before = before or []
        self.terminate_at = terminate_at
        self.sync = sync


def forced(name: str, value: str) -> Manifest:
    return config(name, {"key": value}, annotations={OPTIONS: "Replace=true,Force=true"})


def late(hook: Manifest) -> Manifest:
    hook["metadata"]["annotations"][HOOK_TIMEOUT] = "3s"  # by then nobody else writes to it
    return hook


SCENARIOS = {
    "waves": Scenario([waved("a", 0), waved("b", 1), waved("c", 1)]),
    "change and prune": Scenario(
        [config("a", {"key": "new"}), config("d")],
        before=[config("a"), config("b"), waved("c", 3)],
        prune=True,
    ),
    "hooks": Scenario(
        [config("a")],
        [note("pre", "PreSync", "HookSucceeded"), note("both", "PreSync,PostSync"), note("post", "PostSync")],
    ),
    "failing hook": Scenario(
        [config("a")],
        [
            job("pre", "PreSync", "fail", "HookFailed"),
            note("other", "PreSync", "HookSucceeded"),
            note("cleanup", "SyncFail"),
        ],
    ),
    "late hook": Scenario(
        [config("a")],
        [late(job("endless", "PreSync", "pending")), note("cleanup", "SyncFail")],
    ),
    "server side": Scenario(
        [config("a", {"key": "new"}), config("b")],
        before=[config("a")],
        sync_options=("ServerSideApply=true",),
    ),
    "replace by force": Scenario([forced("a", "new")], before=[forced("a", "old")]),
    "roles": Scenario([role("r", "get"), binding("b", "r")], before=[binding("b", "old")]),
    "terminated": Scenario(
        [config("a")],
        [note("pre", "PreSync"), job("endless", "Sync", "run")],
        terminate_at="-endless",
    ),
}
KINDS = {
    GVK("", "v1", "ConfigMap"),
    GVK("batch", "v1", "Job"),
    GVK("rbac.authorization.k8s.io", "v1", "Role"),
    GVK("rbac.authorization.k8s.io", "v1", "RoleBinding"),
}


async def begin(rig: Rig, scenario: Scenario, tag: str) -> None:
    """Come to where the operation begins, with names that no other run has."""
    prefix = f"{tag}-"
    rig.hooks = []
    if scenario.before:
        rig.targets = named(scenario.before, prefix)
        await rig.finish()
    rig.targets = named(scenario.targets, prefix)
    rig.hooks = named(scenario.hooks, prefix)
    rig.begin(**scenario.sync)


def named(manifests: list[Manifest], prefix: str) -> list[Manifest]:
    """Copies with names of their own, so that runs share a namespace."""

    def one(found: Manifest) -> Manifest:
        metadata = {**found["metadata"], "name": prefix + found["metadata"]["name"]}
        return {**found, "metadata": metadata}

    return [one(found) for found in manifests]


async def content(client: ClusterClient, rig: Rig, tag: str) -> dict[str, Any]:
    """What the run left in the namespace, apart from what servers fill in."""
    found: dict[str, Any] = {}
    for key, gvk in rig.tracked.items():
        if gvk not in KINDS or not key.name.startswith(f"{tag}-"):
            continue
        for manifest_ in [m for k, m in (await rig.live()).items() if k == key]:
            if not manifest_["metadata"].get("deletionTimestamp"):
                name = f"{gvk.kind}/{key.name.removeprefix(tag + '-')}"
                found[name] = manifest_.get("data") or manifest_.get("roleRef") or {}
    return found


def summary(state: OperationState, tag: str) -> dict[str, Any]:
    """Phase, message and results, without what may differ: the wording (created or unchanged), and,
    where prunes were done already, that the rest is a sync of one wave or of none."""
    assert state.sync_result is not None
    results = {
        f"{r.kind}/{r.name.removeprefix(tag + '-')}:{r.sync_phase}": (
            r.status,
            r.hook_phase if r.hook_type or r.hook_phase in ("Failed", "Error") else "",
        )
        for r in state.sync_result.resources
        if r.status != "Pruned"  # an object that is gone leaves no entry in a repeated step
    }
    message = state.message.replace(f"{tag}-", "").replace("(no more tasks)", "(all tasks run)")
    return {"phase": state.phase, "message": message, "results": results}
