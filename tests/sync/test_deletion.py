"""Delete hooks and the cascade against a real API server (sync.md 19, applications.md 13)."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sync.builders import HOOK, OPTIONS, POLICY, WAVE, config, manifest
from tests.sync.harness import Metered, Rig, assess, gone
from tests.sync.test_flow import job, waved
from tiphys.compare.hooks import HOOK_FINALIZER
from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import NotFound
from tiphys.resources.identity import GVK, AppKey, Manifest, ResourceKey, gvk_of, key_of
from tiphys.sync.deletion import (
    Awaited,
    CascadeRules,
    Progress,
    cascade,
    clean_up_delete_hooks,
    is_kept,
    next_to_delete,
    run_delete_hooks,
)

NOW = datetime(2026, 1, 31, tzinfo=UTC)
CONFIG = GVK("", "v1", "ConfigMap")


def rules(**more: Any) -> CascadeRules:
    return CascadeRules(app=AppKey("argocd", "app"), deletion_timestamp=NOW, **more)


@pytest.mark.parametrize(
    ("found", "options", "kept"),
    [
        (config("x"), (), False),
        (manifest("CustomResourceDefinition", "x", api="apiextensions.k8s.io/v1"), (), True),
        (manifest("Application", "app", api="argoproj.io/v1alpha1", namespace="argocd"), (), True),
        (manifest("Application", "other", api="argoproj.io/v1alpha1", namespace="argocd"), (), False),
        (config("x", annotations={OPTIONS: "Delete=false"}), (), True),
        (config("x"), ("Delete=false",), True),
        (config("x", annotations={OPTIONS: "Delete=true"}), ("Delete=false",), False),
        (config("x", annotations={"helm.sh/resource-policy": "keep"}), (), True),
    ],
)
def test_what_the_cascade_leaves_alone(found: Manifest, options: tuple[str, ...], kept: bool) -> None:
    assert is_kept(found, rules(sync_options=options)) is kept


def test_an_application_of_its_name_in_another_cluster_is_another_one() -> None:
    """applications.md 23."""
    own = manifest("Application", "app", api="argoproj.io/v1alpha1", namespace="argocd")
    own["metadata"]["uid"] = "a"
    other = {**own, "metadata": {**own["metadata"], "uid": "b"}}
    assert is_kept(own, rules(app_uid="a"))
    assert not is_kept(other, rules(app_uid="a"))


def test_what_the_project_forbids_is_left_alone() -> None:
    assert is_kept(config("x"), rules(permitted=lambda manifest: False))


def test_only_the_highest_wave_goes_first() -> None:
    found = next_to_delete([waved("a", 0), waved("b", 2), waved("c", 2), waved("d", -1)])
    assert [m["metadata"]["name"] for m in found] == ["b", "c"]


async def live_of(client: ClusterClient, namespace: str, *wanted: Manifest) -> list[Manifest]:
    found = []
    for each in wanted:
        try:
            found.append(await client.get(gvk_of(each), namespace, key_of(each).name))
        except NotFound:
            continue
    return found


async def by_key(client: ClusterClient, namespace: str, *wanted: Manifest) -> dict[ResourceKey, Manifest]:
    return {key_of(found): found for found in await live_of(client, namespace, *wanted)}


def placed(found: Manifest, namespace: str) -> Manifest:
    return {**found, "metadata": {**found["metadata"], "namespace": namespace}}


async def pass_over(
    cluster: Metered, client: ClusterClient, namespace: str, objects: list[Manifest]
) -> Progress:
    return await cascade(cluster, await live_of(client, namespace, *objects), rules())


async def done(once: Callable[[], Awaitable[Progress]]) -> None:
    """Passes until there is nothing left to do."""
    async with asyncio.timeout(30):
        while True:
            if (await once()).done:
                return
            await asyncio.sleep(0.1)


@pytest.mark.controlplane
async def test_cascade_goes_wave_by_wave(client: ClusterClient, namespace: str) -> None:
    objects = [waved("a", 0), waved("b", 1), waved("c", 1)]
    held = waved("held", 1)
    held["metadata"]["finalizers"] = ["example.com/never"]
    objects.append(held)
    for each in objects:
        await client.create(placed(each, namespace))
    metered = Metered(client)
    progress = await cascade(metered, await live_of(client, namespace, *objects), rules())
    assert sorted(metered.log) == ["delete ConfigMap/b", "delete ConfigMap/c", "delete ConfigMap/held"]
    assert not progress.done

    metered.log.clear()
    for name in ("b", "c"):
        await gone(Rig(client, namespace), "ConfigMap", name)
    progress = await cascade(metered, await live_of(client, namespace, *objects), rules())
    assert metered.log == []
    assert [item.key.name for item in progress.awaited] == ["held"]
    assert "example.com/never" in progress.awaited[0].finalizers

    body = {"metadata": {"finalizers": None}}
    await client.patch(CONFIG, namespace, "held", body, "application/merge-patch+json")
    await done(lambda: pass_over(metered, client, namespace, objects))
    assert metered.log == ["delete ConfigMap/a"]


@pytest.mark.controlplane
async def test_cascade_waits_for_confirmation(client: ClusterClient, namespace: str) -> None:
    target = config("a", annotations={OPTIONS: "Delete=confirm"})
    await client.create(placed(target, namespace))
    live = await live_of(client, namespace, target)
    asking = await cascade(client, live, rules(approved_at=NOW - timedelta(seconds=1)))
    key = ResourceKey("", "ConfigMap", namespace, "a")
    assert asking == Progress(False, (Awaited(key),), "waiting for deletion confirmation")
    asking = await cascade(client, live, rules(needs_confirmation=frozenset({key})))
    assert asking.awaited
    await cascade(client, live, rules(approved_at=NOW))
    await gone(Rig(client, namespace), "ConfigMap", "a")


@pytest.mark.controlplane
async def test_cascade_frees_sync_hooks_of_our_finalizer(client: ClusterClient, namespace: str) -> None:
    hook = config("h", annotations={HOOK: "PreSync"})
    hook["metadata"]["finalizers"] = [HOOK_FINALIZER]
    await client.create(placed(hook, namespace))
    await cascade(client, await live_of(client, namespace, hook), rules())
    await gone(Rig(client, namespace), "ConfigMap", "h")


@pytest.mark.controlplane
async def test_a_refused_deletion_is_named_and_stops_nobody(client: ClusterClient, namespace: str) -> None:
    protected = await client.get(GVK("", "v1", "Namespace"), "", "kube-system")
    await client.create(placed(config("a"), namespace))
    live = [protected, *await live_of(client, namespace, config("a"))]
    progress = await cascade(client, live, rules())
    assert not progress.done
    assert progress.error.startswith("failed to delete /Namespace /kube-system: ")
    await gone(Rig(client, namespace), "ConfigMap", "a")


@pytest.mark.controlplane
@pytest.mark.parametrize("hook_type", ["PreDelete", "PostDelete"])
async def test_delete_hooks_run_once_and_are_cleaned_up(
    client: ClusterClient, namespace: str, hook_type: str
) -> None:
    hook = placed(job("bye", hook_type, policy="HookSucceeded"), namespace)
    other = placed(job("sync", "PreSync"), namespace)
    metered = Metered(client)

    async def once() -> Progress:
        live = await by_key(client, namespace, hook)
        return await run_delete_hooks(metered, hook_type, [hook, other], live, app_uid="u", assess=assess)

    first = await once()
    assert (first.done, [item.key.name for item in first.awaited]) == (False, ["bye"])
    again = await run_delete_hooks(metered, hook_type, [hook], {}, app_uid="u", assess=assess)
    assert not again.done  # a cache that is behind: adopted, not an error
    await done(once)
    assert metered.counts()["create"] == 2
    assert metered.counts()["delete"] == 0

    async def clean() -> Progress:
        live = await live_of(client, namespace, hook)
        return await clean_up_delete_hooks(metered, hook_type, live, assess=assess)

    await done(clean)
    assert metered.counts()["delete"] == 1
    assert await live_of(client, namespace, hook) == []


@pytest.mark.controlplane
async def test_a_failed_delete_hook_is_an_error_and_runs_anew(client: ClusterClient, namespace: str) -> None:
    hook = placed(job("bye", "PreDelete", "fail"), namespace)
    error = ""
    async with asyncio.timeout(30):
        while not error:
            live = await by_key(client, namespace, hook)
            progress = await run_delete_hooks(client, "PreDelete", [hook], live, app_uid="u", assess=assess)
            error = progress.error
            await asyncio.sleep(0.1)
    assert error == f"error executing pre-delete hooks: PreDelete hook(s) failed: {namespace}/bye"
    await gone(Rig(client, namespace), "Job", "bye", "batch/v1")
    progress = await run_delete_hooks(client, "PreDelete", [hook], {}, app_uid="u", assess=assess)
    assert not progress.error
    assert progress.awaited


@pytest.mark.controlplane
async def test_a_hook_of_an_earlier_application_is_replaced(client: ClusterClient, namespace: str) -> None:
    hook = placed(config("h", annotations={HOOK: "PostDelete"}), namespace)
    await run_delete_hooks(client, "PostDelete", [hook], {}, app_uid="old", assess=assess)
    live = await by_key(client, namespace, hook)
    assert (await run_delete_hooks(client, "PostDelete", [hook], live, app_uid="old", assess=assess)).done
    progress = await run_delete_hooks(client, "PostDelete", [hook], live, app_uid="new", assess=assess)
    assert not progress.done
    await gone(Rig(client, namespace), "ConfigMap", "h")


@pytest.mark.controlplane
async def test_hooks_without_policy_stay(client: ClusterClient, namespace: str) -> None:  # sync.md 23.24
    kept = placed(config("h", annotations={HOOK: "PostDelete"}), namespace)
    failed = placed(config("f", annotations={HOOK: "PostDelete", POLICY: "HookFailed", WAVE: "1"}), namespace)
    for each in (kept, failed):
        await client.create(each)
    live = await live_of(client, namespace, kept, failed)
    assert (await clean_up_delete_hooks(client, "PostDelete", live, assess=assess)).done


@pytest.mark.controlplane
@pytest.mark.parametrize("hook_type", ["PreDelete", "PostDelete"])
async def test_hooks_that_leave_their_name_to_the_server_run_once(
    client: ClusterClient, namespace: str, hook_type: str
) -> None:
    hook = placed(config("", annotations={HOOK: hook_type, POLICY: "HookSucceeded"}), namespace)
    hook["metadata"]["generateName"] = "bye-"
    hooks = [hook, {**hook, "data": {"key": "other"}}]
    metered = Metered(client)
    seen: dict[ResourceKey, Manifest] = {}

    async def once() -> Progress:
        progress = await run_delete_hooks(metered, hook_type, hooks, seen, app_uid="u", assess=assess)
        seen.update({key_of(made): made for made in progress.writes})
        return progress

    await done(once)
    assert [name.rpartition("-")[0] for name in sorted(key.name for key in seen)] == ["bye", "bye"]
    again = await run_delete_hooks(metered, hook_type, hooks, {}, app_uid="u", assess=assess)
    assert again.done, "a cache that is behind: the same names are asked for"

    async def clean() -> Progress:
        live = await live_of(client, namespace, *seen.values())
        return await clean_up_delete_hooks(client, hook_type, live, assess=assess)

    await done(clean)
    assert await live_of(client, namespace, *seen.values()) == []


@pytest.mark.controlplane
async def test_a_delete_hook_whose_namespace_is_gone_is_an_error(client: ClusterClient) -> None:
    hook = placed(config("h", annotations={HOOK: "PostDelete"}), "nowhere")
    progress = await run_delete_hooks(client, "PostDelete", [hook], {}, app_uid="u", assess=assess)
    assert (progress.done, progress.error) == (False, 'namespaces "nowhere" not found')
