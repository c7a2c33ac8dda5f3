"""What the API server refuses in the middle of a sync, word for word (sync.md 11, 12, 14.2).

Admission policies of the real API server refuse; for reads, which no policy sees, a user without the
right asks.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

from tests.sync.builders import HOOK, config, health
from tests.sync.harness import Rig, gone
from tests.sync.test_flow import CONFIG, note
from tiphys.health.model import failed
from tiphys.kube.client import ClusterClient
from tiphys.kube.errors import ApiError
from tiphys.resources.identity import Manifest

pytestmark = pytest.mark.controlplane
ADMISSION = "admissionregistration.k8s.io/v1"
LABEL = "tiphys.test/refused"
Refuse = Callable[..., Awaitable[None]]


@pytest_asyncio.fixture
async def refuse(client: ClusterClient, namespace: str) -> AsyncIterator[Refuse]:
    """Refuses operations on ConfigMaps and Namespaces that a CEL expression does not like."""
    async with AsyncExitStack() as made:

        async def create(manifest: Manifest) -> None:
            answer = await client.create(manifest)
            kind, name = manifest["kind"], answer["metadata"]["name"]
            path = f"/apis/{ADMISSION}/{kind.lower().removesuffix('y')}ies/{name}"
            if kind.endswith("Binding"):
                path = f"/apis/{ADMISSION}/{kind.lower()}s/{name}"
            made.push_async_callback(client.raw, "DELETE", path)

        async def apply(
            operations: list[str], place: str, allowed: str, probe: Callable[[], Awaitable[Any]]
        ) -> None:
            name = f"refuse-{uuid.uuid4().hex[:10]}"
            rules = [
                {
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "operations": operations,
                    "resources": ["configmaps", "namespaces"],
                }
            ]
            here = {"matchLabels": {"kubernetes.io/metadata.name": place}}
            spec = {
                "failurePolicy": "Ignore",
                "matchConstraints": {"resourceRules": rules, "namespaceSelector": here},
                "validations": [{"expression": allowed, "message": "so it is"}],
            }
            metadata = {"name": name}
            await create(
                {
                    "apiVersion": ADMISSION,
                    "kind": "ValidatingAdmissionPolicy",
                    "metadata": metadata,
                    "spec": spec,
                }
            )
            binding = {"policyName": name, "validationActions": ["Deny"]}
            await create(
                {
                    "apiVersion": ADMISSION,
                    "kind": "ValidatingAdmissionPolicyBinding",
                    "metadata": metadata,
                    "spec": binding,
                }
            )
            async with asyncio.timeout(30):
                while True:  # until every request meets the policy
                    try:
                        await probe()
                    except ApiError as error:
                        if "so it is" in str(error):
                            return
                    await asyncio.sleep(0.05)

        yield apply


async def no_deletion(refuse: Refuse, client: ClusterClient, namespace: str, name: str) -> None:
    """ConfigMaps of this name in this namespace cannot be deleted."""
    probe = config(f"{name}-probe", namespace=namespace)
    await client.create(probe)
    await refuse(
        ["DELETE"],
        namespace,
        f"!request.name.startsWith('{name}')",
        lambda: client.delete(CONFIG, namespace, f"{name}-probe", dry_run=True),
    )


async def no_update(refuse: Refuse, client: ClusterClient, namespace: str, name: str) -> None:
    """ConfigMaps of this name in this namespace cannot be changed."""
    await client.create(config(f"{name}-probe", namespace=namespace))
    await refuse(
        ["UPDATE"],
        namespace,
        f"!request.name.startsWith('{name}')",
        lambda: client.patch(
            CONFIG,
            namespace,
            f"{name}-probe",
            {"data": {"x": "y"}},
            "application/merge-patch+json",
            dry_run=True,
        ),
    )


async def test_a_hook_that_cannot_be_deleted_before_it_is_made_again(
    client: ClusterClient, namespace: str, refuse: Refuse
) -> None:
    await client.create(config("hook", namespace=namespace, annotations={HOOK: "PreSync"}))
    await no_deletion(refuse, client, namespace, "hook")
    rig = Rig(client, namespace)
    rig.hooks = [note("hook", "PreSync")]
    state = await rig.finish()
    message = rig.messages()["ConfigMap/hook"]
    assert message.startswith('failed to delete resource: configmaps "hook" is forbidden: ')
    assert message.endswith("so it is")
    assert (state.phase, state.message) == (
        "Failed",
        f"one or more objects failed to apply, reason: {message}",
    )
    assert rig.entries()["ConfigMap/hook"].status == "SyncFailed"


async def test_a_hook_whose_policy_cannot_be_carried_out(
    client: ClusterClient, namespace: str, refuse: Refuse
) -> None:
    await no_deletion(refuse, client, namespace, "hook")
    rig = Rig(client, namespace)
    rig.hooks = [note("hook", "PreSync", "HookSucceeded")]
    state = await rig.finish()
    assert state.phase == "Succeeded"
    entry = rig.entries()["ConfigMap/hook"]
    assert entry.hook_phase == "Error"
    assert entry.message.startswith('failed to delete resource: configmaps "hook" is forbidden: ')


async def test_a_finalizer_that_cannot_be_taken_off(
    client: ClusterClient, namespace: str, refuse: Refuse
) -> None:
    rig = Rig(client, namespace)
    rig.hooks = [note("hook", "PreSync")]
    rig.targets = [config("main")]
    await rig.until(lambda: "ConfigMap/hook" in rig.entries())
    await no_update(refuse, client, namespace, "hook")
    state = await rig.finish()
    assert (state.phase, state.message) == (
        "Failed",
        "one or more synchronization tasks completed unsuccessfully",
    )
    entry = rig.entries()["ConfigMap/hook"]
    assert (entry.status, entry.hook_phase) == ("Synced", "Error")
    assert entry.message.startswith('Failed to remove hook finalizer: configmaps "hook" is forbidden: ')
    # the next sync finds it still held (12.1 stage 1)
    rig.begin()
    rig.state = replace(rig.state, retry_count=1)
    state = await rig.finish()
    assert (state.phase, state.message) == ("Failed", "one or more objects failed to apply")
    entry = rig.entries()["ConfigMap/hook"]
    assert (entry.status, entry.hook_phase) == ("", "Error")
    assert entry.message.startswith('failed to remove hook finalizer: configmaps "hook" is forbidden: ')


async def test_a_running_hook_that_cannot_be_ended(
    client: ClusterClient, namespace: str, refuse: Refuse
) -> None:
    await no_deletion(refuse, client, namespace, "hook")
    rig = Rig(client, namespace)
    rig.more = {"assess": lambda manifest: health("Progressing")}
    rig.hooks = [note("hook", "PreSync")]
    await rig.until(lambda: "ConfigMap/hook" in rig.entries())
    rig.state = replace(rig.state, phase="Terminating")
    state = await rig.finish()
    assert (state.phase, state.message) == ("Error", "Operation termination had errors")
    entry = rig.entries()["ConfigMap/hook"]
    assert (entry.status, entry.hook_phase) == ("SyncFailed", "Error")
    assert entry.message.startswith('Failed to delete: configmaps "hook" is forbidden: ')


@pytest.mark.parametrize("terminating", [False, True])
async def test_a_hook_whose_health_cannot_be_told(
    client: ClusterClient, namespace: str, terminating: bool
) -> None:
    answers: list[Any] = [health("Progressing")]
    rig = Rig(client, namespace)
    rig.more = {"assess": lambda manifest: answers[-1]}
    rig.hooks = [note("hook", "PreSync")]
    await rig.until(lambda: "ConfigMap/hook" in rig.entries())
    answers.append(failed("line 1: no"))
    if terminating:
        rig.state = replace(rig.state, phase="Terminating")
    state = await rig.finish()
    entry = rig.entries()["ConfigMap/hook"]
    assert (entry.status, entry.hook_phase) == ("Synced", "Error")
    if terminating:
        assert (state.phase, state.message) == ("Error", "Operation termination had errors")
        assert entry.message == "Failed to get hook health: line 1: no"
        await gone(rig, "ConfigMap", "hook")
    else:
        assert (state.phase, state.message) == (
            "Failed",
            "one or more synchronization tasks completed unsuccessfully",
        )
        assert entry.message == "failed to get resource health: line 1: no"


async def test_a_namespace_that_cannot_be_made(client: ClusterClient, namespace: str, refuse: Refuse) -> None:
    missing = f"{namespace}-more"
    await refuse(
        ["CREATE"],
        missing,
        "request.name == ''",
        lambda: client.create(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": missing}}, dry_run=True
        ),
    )
    rig = Rig(client, missing)
    rig.targets = [config("main")]
    rig.hooks = [note("failed", "SyncFail")]
    rig.begin(sync_options=("CreateNamespace=true",))
    state = await rig.finish()
    message = rig.messages()[f"Namespace/{missing}"]
    assert message.startswith(f'namespaces "{missing}" is forbidden: ')
    assert (state.phase, state.message) == ("Failed", f"the namespace failed to apply, reason: {message}")
    assert list(rig.entries()) == [f"Namespace/{missing}"]  # no SyncFail hook has run


async def test_a_migration_that_is_refused(client: ClusterClient, namespace: str, refuse: Refuse) -> None:
    target = config("main", namespace=namespace)
    applied = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    live = {**target, "metadata": {**target["metadata"], "annotations": applied}}
    await client.create(live, field_manager="kubectl-client-side-apply")
    await no_update(refuse, client, namespace, "main")
    rig = Rig(client, namespace)
    rig.targets = [{**target, "data": {"key": "new"}}]
    rig.begin(sync_options=("ServerSideApply=true",))
    state = await rig.finish()
    message = rig.messages()["ConfigMap/main"]
    where = f"/ConfigMap/{namespace}/main"
    assert message.startswith(
        f'Failed to perform client-side apply migration for {where}: configmaps "main" is forbidden: '
    )
    assert state.message == f"one or more objects failed to apply, reason: {message}"


@pytest.mark.parametrize("terminating", [False, True])
async def test_an_object_that_may_not_be_read(
    client: ClusterClient, namespace: str, terminating: bool
) -> None:
    """Somebody who may write and not read, as impersonation has it (18.2)."""
    user = f"writer-{namespace}"
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "patch", "delete"]}]
    rbac = "rbac.authorization.k8s.io"
    place = {"name": "writer", "namespace": namespace}
    await client.create({"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": place, "rules": rules})
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "RoleBinding",
        "metadata": place,
        "subjects": [{"kind": "User", "name": user, "apiGroup": rbac}],
        "roleRef": {"kind": "Role", "name": "writer", "apiGroup": rbac},
    }
    await client.create(binding)
    writer = client.impersonating(user)
    async with asyncio.timeout(30):
        while True:  # until the authorizer knows of it
            try:
                await writer.create(config("probe", namespace=namespace), dry_run=True)
                break
            except ApiError:
                await asyncio.sleep(0.05)
    rig = Rig(writer, namespace)  # the rig reads with the same rights: it sees nothing
    rig.hooks = [note("hook", "PreSync")]
    step = await rig.step()
    assert step.state.message == "waiting for completion of hook /ConfigMap/hook"
    if terminating:
        rig.state = replace(rig.state, phase="Terminating")
    state = await rig.finish()
    entry = rig.entries()["ConfigMap/hook"]
    forbidden = f'configmaps "hook" is forbidden: User "{user}" cannot get resource'
    if terminating:
        assert (state.phase, state.message) == ("Error", "Operation termination had errors")
        assert entry.message.startswith(f"Failed to get live resource: {forbidden}")
    else:
        assert state.phase == "Failed"
        assert (entry.status, entry.hook_phase) == ("Synced", "Error")
        assert entry.message.startswith(f"Failed to get live resource {forbidden}")


@pytest.mark.parametrize("option", ["", "ServerSideApply=true"], ids=["client-side", "server-side"])
@pytest.mark.parametrize("changed", [False, True])
async def test_an_object_on_its_way_out_is_told_of(
    client: ClusterClient, namespace: str, option: str, changed: bool
) -> None:  # 13.5
    def target(value: str) -> Manifest:
        made = config("main", {"key": value})
        made["metadata"]["finalizers"] = ["tiphys.test/held"]
        return made

    rig = Rig(client, namespace)
    rig.targets = [target("old")]
    options = (option,) if option else ()
    rig.begin(sync_options=options)
    await rig.finish()
    await client.delete(CONFIG, namespace, "main", propagation_policy="Background")
    rig.targets = [target("new" if changed else "old")]
    rig.begin(sync_options=options)
    await rig.finish()
    verb = "unchanged" if not changed else "serverside-applied" if option else "configured"
    assert rig.messages()["ConfigMap/main"] == (
        f"configmap/main {verb}. Warning: Detected changes to resource main which is currently being deleted."
    )
    body = {"metadata": {"finalizers": None}}
    await client.patch(CONFIG, namespace, "main", body, "application/merge-patch+json")
