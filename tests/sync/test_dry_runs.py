"""Dry runs of a sync against a real API server: what they say, and that they refuse nothing that the
sync itself would do by making an object anew (sync.md 13.1, 16)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sync.builders import HOOK, OPTIONS, config, manifest
from tests.sync.harness import Rig
from tests.sync.test_applying import binding
from tiphys.kube.client import ClusterClient
from tiphys.resources.identity import GVK, Manifest

pytestmark = pytest.mark.controlplane
CONFIG = GVK("", "v1", "ConfigMap")
HUGE = {"key": "x" * 300_000}


def sealed(value: str, options: str = "", **annotations: str) -> Manifest:
    """A ConfigMap that cannot be changed, only made anew."""
    given = {**annotations, **({OPTIONS: options} if options else {})}
    return config("a", {"key": value}, immutable=True, annotations=given)


@pytest.mark.parametrize(
    ("first", "then", "options", "message"),
    [
        pytest.param(
            sealed("1"), sealed("2", "Force=true"), (), "configmap/a configured (dry run)", id="force"
        ),
        pytest.param(
            sealed("1"),
            sealed("2", "Force=true,Replace=true"),
            (),
            "configmap/a replaced (dry run)",
            id="force and replace",
        ),
        pytest.param(
            None,
            config("a", HUGE, annotations={OPTIONS: "ServerSideApply=true"}),
            (),
            "configmap/a created (dry run)",
            id="too large for client-side apply",
        ),
        pytest.param(
            config("a", HUGE, annotations={OPTIONS: "ServerSideApply=true"}),
            config("a", {"key": "y" * 300_000}, annotations={OPTIONS: "ServerSideApply=true"}),
            (),
            "configmap/a configured (dry run)",
            id="a change too large for client-side apply",
        ),
        pytest.param(
            config("a"),
            config("a"),
            ("ServerSideApply=true",),
            "configmap/a unchanged (dry run)",
            id="nothing to change",
        ),
    ],
)
async def test_words(
    client: ClusterClient,
    namespace: str,
    first: Manifest | None,
    then: Manifest,
    options: Sequence[str],
    message: str,
) -> None:
    rig = Rig(client, namespace)
    before: dict[str, Any] = {}
    if first is not None:
        rig.targets = [first]
        assert (await rig.finish()).phase == "Succeeded"
        before = await client.get(CONFIG, namespace, "a")
    rig.targets = [then]
    rig.begin(dry_run=True, sync_options=tuple(options))
    state = await rig.finish()
    assert (state.phase, rig.messages()["ConfigMap/a"]) == ("Succeeded", message)
    assert not await rig.exists("ConfigMap", "a") or await client.get(CONFIG, namespace, "a") == before


async def test_a_hook_that_would_be_made_anew(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.hooks = [sealed("1", **{HOOK: "PreSync"})]
    assert (await rig.finish()).phase == "Succeeded"
    rig.hooks = [sealed("2", **{HOOK: "PreSync"})]
    rig.begin(datetime.now(UTC) + timedelta(seconds=1), dry_run=True)
    state = await rig.finish()
    assert (state.phase, rig.messages()) == ("Succeeded", {"ConfigMap/a": "configmap/a created (dry run)"})
    assert (await client.get(CONFIG, namespace, "a"))["data"] == {"key": "1"}


async def test_a_binding_that_would_be_made_anew(client: ClusterClient, namespace: str) -> None:
    rig = Rig(client, namespace)
    rig.targets = [binding("b", "one")]
    assert (await rig.finish()).phase == "Succeeded"
    rig.targets = [binding("b", "two")]
    rig.begin(dry_run=True)
    state = await rig.finish()
    assert (state.phase, rig.messages()["RoleBinding/b"]) == (
        "Succeeded",
        "rolebinding.rbac.authorization.k8s.io/b reconciled (dry run). reconciliation required recreate"
        "rolebinding.rbac.authorization.k8s.io/b configured (dry run)",
    )


async def test_force_and_server_side_apply_are_refused_as_in_the_sync(
    client: ClusterClient, namespace: str
) -> None:
    rig = Rig(client, namespace)
    rig.targets = [manifest("ConfigMap", "a", annotations={OPTIONS: "Force=true,ServerSideApply=true"})]
    rig.begin(dry_run=True)
    assert (await rig.finish()).phase == "Failed"
    assert rig.messages()["ConfigMap/a"] == (
        "error validating options: --force cannot be used with --server-side"
    )
