"""Building the tasks of an operation (sync.md 10)."""

from typing import Any

import pytest

from tests.sync.builders import HOOK, OPTIONS, STARTED, config, crd, inputs, manifest, pair, state
from tiphys.kube.discovery import ApiResource, Discovery
from tiphys.resources.application import (
    ManagedNamespaceMetadata,
    ResourceResult,
    SyncOperationResource,
    SyncStrategy,
    SyncStrategyApply,
    SyncStrategyHook,
)
from tiphys.resources.identity import Manifest, ResourceKey
from tiphys.sync.inputs import SyncInputs
from tiphys.sync.naming import named_hook
from tiphys.sync.ownership import HOOK_STAMP, has_hook_finalizer
from tiphys.sync.plan import (
    NamespaceFacts,
    NamespaceState,
    Plan,
    Selection,
    build_plan,
    options_of,
    other_version,
)
from tiphys.sync.tasks import Code, Outcome, Phase


def known(group: str, version: str, kind: str, namespaced: bool = True) -> ApiResource:
    return ApiResource(group, version, kind, kind.lower() + "s", namespaced, ("get",), True)


DISCOVERY = Discovery(
    (
        known("", "v1", "ConfigMap"),
        known("", "v1", "Pod"),
        known("", "v1", "Namespace", False),
        known("batch", "v1", "Job"),
        known("rbac.authorization.k8s.io", "v1", "ClusterRole", False),
        known("apiextensions.k8s.io", "v1", "CustomResourceDefinition", False),
        known("example.com", "v2", "Thing"),
    ),
    "v1.36.3",
    {"broken.example.com/v1": "the backend of this API does not answer"},
    {},
    ("v1", "batch/v1", "example.com/v2"),
)


def planned(
    given: SyncInputs,
    recorded: dict[str, ResourceResult] | None = None,
    namespace: NamespaceFacts = NamespaceFacts(),  # noqa: B008 (frozen)
    **sync: Any,
) -> Plan:
    operation = state(**sync).operation.sync
    assert operation is not None
    return build_plan(
        given,
        operation,
        options_of(operation),
        DISCOVERY,
        started_at=STARTED,
        retry_count=0,
        recorded=recorded or {},
        namespace=namespace,
    )


def thing(version: str = "v1", options: str = "") -> Manifest:
    return manifest("Thing", "t", api=f"example.com/{version}", annotations={OPTIONS: options})


def names(plan: Plan) -> list[str]:
    return [f"{task.phase}:{task.key.kind}/{task.key.name}" for task in plan.tasks]


def test_objects_get_the_destination_namespace_in_their_results() -> None:  # 23.3
    role = manifest("ClusterRole", "r", api="rbac.authorization.k8s.io/v1")
    plan = planned(inputs([pair(config("a")), pair(role), pair(config("b", namespace="own"))]))
    found = {task.key.name: (task.key.namespace, task.target) for task in plan.tasks}
    assert {name: namespace for name, (namespace, _) in found.items()} == {
        "a": "dest",
        "b": "own",
        "r": "dest",
    }
    assert found["a"][1] is not None
    assert found["a"][1]["metadata"]["namespace"] == "dest"
    assert found["r"][1] == role


def test_hooks_are_never_resource_tasks() -> None:
    hook = config("h", annotations={HOOK: "PreSync"})
    skipped = config("s", annotations={HOOK: "Skip"})
    ignored = config("i", annotations={"helm.sh/hook": "test"})
    pairs = [pair(hook), pair(None, hook), pair(skipped), pair(None, ignored), pair(config("a"))]
    assert names(planned(inputs(pairs), prune=True)) == ["Sync:ConfigMap/a"]


def test_one_task_for_each_phase_of_a_hook() -> None:
    hooks = [
        config("h", annotations={HOOK: "PreSync,PostSync,PreSync"}),
        config("g", annotations={"helm.sh/hook": "pre-install,pre-upgrade"}),
        config("d", annotations={HOOK: "PreDelete"}),
        config("m", annotations={HOOK: "Skip,Sync"}),
    ]
    assert names(planned(inputs(hooks=hooks))) == [
        "PreSync:ConfigMap/g",
        "PreSync:ConfigMap/h",
        "Sync:ConfigMap/m",
        "PostSync:ConfigMap/h",
    ]


def test_hooks_carry_finalizer_and_the_run_they_belong_to() -> None:
    plan = planned(inputs(hooks=[config("h", annotations={HOOK: "PreSync"})]))
    target = plan.tasks[0].target
    assert target is not None
    assert has_hook_finalizer(target)
    assert target["metadata"]["annotations"][HOOK_STAMP] == f"uid-1/{STARTED}/0/PreSync"


@pytest.mark.parametrize(
    ("revision", "suffix"),
    [("0123456789", "0123456"), ("01234567", "0123456"), ("0123456", "0123456"), ("ABC", "abc"), ("", "")],
)
def test_unnamed_hooks(revision: str, suffix: str) -> None:
    hook = config("")
    hook["metadata"]["generateName"] = "h-"
    name = named_hook(hook, Phase.POST_SYNC, revision, STARTED)["metadata"]["name"]
    assert name == f"h-{suffix}-postsync-1769860800"
    assert "name" not in hook["metadata"]


def test_live_hooks_are_found_by_name() -> None:
    live = config("h", namespace="dest", annotations={HOOK: "PreSync"})
    other = config("h", namespace="elsewhere", annotations={HOOK: "PreSync"})
    hook = config("h", annotations={HOOK: "PreSync"})
    plan = planned(inputs([pair(None, other), pair(None, live)], [hook]))
    assert plan.tasks[0].live is live


@pytest.mark.parametrize(
    ("target", "options", "tolerated"),
    [
        (thing(), (), False),
        (thing(), ("SkipDryRunOnMissingResource=true",), True),
        (thing(options="SkipDryRunOnMissingResource=true"), (), True),
        (thing("v2", "SkipDryRunOnMissingResource=true"), (), False),
    ],
    ids=["unknown", "option", "annotation", "known kinds keep their validation"],
)
def test_unknown_kinds(target: Manifest, options: tuple[str, ...], tolerated: bool) -> None:
    plan = planned(inputs([pair(target)]), sync_options=options)
    assert plan.tasks[0].skip_dry_run is tolerated
    known_kind = target["apiVersion"] == "example.com/v2"
    assert bool(plan.failures) is not (tolerated or known_kind)


@pytest.mark.parametrize("as_hook", [False, True])
def test_a_definition_in_the_same_sync_makes_its_kind_known(as_hook: bool) -> None:
    definition = crd("new.example.com", "Widget")
    widget = manifest("Widget", "w", api="new.example.com/v1")
    if as_hook:
        definition["metadata"]["annotations"] = {HOOK: "PreSync"}
    pairs = [pair(widget)] if as_hook else [pair(widget), pair(definition)]
    plan = planned(inputs(pairs, [definition] if as_hook else []))
    assert not plan.failures
    assert [task.skip_dry_run for task in plan.tasks if task.key.kind == "Widget"] == [True]


@pytest.mark.parametrize(
    ("api", "text"),
    [
        ("example.com/v2", 'Gadget.example.com "" not found'),
        (
            "absent.example.com/v1",
            "failed to discover server resources for group version absent.example.com/v1: the server could"
            " not find the requested resource",
        ),
        (
            "broken.example.com/v1",
            "failed to discover server resources for group version broken.example.com/v1: the backend of"
            " this API does not answer",
        ),
    ],
)
def test_discovery_texts(api: str, text: str) -> None:
    plan = planned(
        inputs([pair(manifest("Gadget", "g", api=api))]),
        sync_options=("SkipDryRunOnMissingResource=true",) if api.startswith("broken") else (),
    )
    assert [failure.message for failure in plan.failures] == [text]


def test_another_version_of_the_kind_is_found() -> None:
    found = other_version(DISCOVERY, planned(inputs([pair(thing())])).tasks[0].gvk)
    assert found == ("example.com", "v2", "Thing")


def test_permission_is_asked_for_prunes_and_the_made_namespace_too() -> None:
    given = inputs([pair(None, config("old"))], permitted=lambda m, resource: f"no {resource.kind}")
    missing = NamespaceFacts(NamespaceState.MISSING)
    plan = planned(given, namespace=missing, sync_options=("CreateNamespace=true",), prune=True)
    assert sorted(failure.message for failure in plan.failures) == ["no ConfigMap", "no Namespace"]


@pytest.mark.parametrize(
    ("facts", "metadata", "pairs", "expected"),
    [
        (NamespaceFacts(NamespaceState.MISSING), None, [], True),
        (NamespaceFacts(NamespaceState.EXISTS), None, [], False),
        (NamespaceFacts(NamespaceState.EXISTS), ManagedNamespaceMetadata(), [], True),
        (NamespaceFacts(NamespaceState.MISSING), None, [pair(manifest("Namespace", "dest"))], False),
        (NamespaceFacts(NamespaceState.MISSING), None, [pair(manifest("Namespace", "other"))], True),
    ],
    ids=["missing", "exists", "managed metadata", "in the source", "another in the source"],
)
def test_auto_created_namespace(
    facts: NamespaceFacts, metadata: ManagedNamespaceMetadata | None, pairs: list[Any], expected: bool
) -> None:
    plan = planned(
        inputs(pairs, managed_namespace_metadata=metadata),
        namespace=facts,
        sync_options=("CreateNamespace=true",),
    )
    made = [task for task in plan.tasks if task.auto_namespace]
    assert bool(made) is expected
    if made:
        assert (made[0].phase, made[0].key) == (Phase.PRE_SYNC, ResourceKey("", "Namespace", "", "dest"))


def test_a_namespace_of_the_source_is_left_alone_by_a_sync_that_leaves_it_out() -> None:  # 10.1
    plan = planned(
        inputs(
            [pair(manifest("Namespace", "dest")), pair(config("a"))],
            managed_namespace_metadata=ManagedNamespaceMetadata(labels={"team": "blue"}),
        ),
        namespace=NamespaceFacts(NamespaceState.EXISTS),
        sync_options=("CreateNamespace=true",),
        resources=(SyncOperationResource(kind="ConfigMap", name="a"),),
    )
    assert names(plan) == ["Sync:ConfigMap/a"]


def test_a_namespace_that_cannot_be_read_is_a_failure() -> None:
    facts = NamespaceFacts(error="namespace auto creation failed: no")
    plan = planned(inputs(), namespace=facts, sync_options=("CreateNamespace=true",))
    assert [failure.message for failure in plan.failures] == ["namespace auto creation failed: no"]


def test_recorded_results_are_taken_over() -> None:
    result = ResourceResult(
        kind="ConfigMap", version="v1", namespace="dest", name="a", status="Synced", message="m",
        hook_phase="Running", sync_phase="Sync",
    )  # fmt: skip
    plan = planned(inputs([pair(config("a"))]), recorded={"/ConfigMap/dest/a:Sync": result})
    task = plan.tasks[0]
    assert (task.status, task.outcome, task.message) == (Code.SYNCED, Outcome.RUNNING, "m")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (SyncOperationResource(kind="ConfigMap", name="a"), True),
        (SyncOperationResource(kind="ConfigMap", name="a", namespace="dest"), True),
        (SyncOperationResource(kind="ConfigMap", name="a", namespace="other"), False),
        (SyncOperationResource(kind="ConfigMap", name="A"), False),
        (SyncOperationResource(group="apps", kind="ConfigMap", name="a"), False),
    ],
)
def test_selection(entry: SyncOperationResource, expected: bool) -> None:  # 16.8
    operation = state(resources=(entry,)).operation.sync
    assert operation is not None
    assert (ResourceKey("", "ConfigMap", "dest", "a") in Selection(operation)) is expected


def test_objects_of_others_are_left_out() -> None:
    mine = pair(config("a"))
    foreign = type(mine)(mine.key, mine.target, mine.live, None, False)
    assert planned(inputs([foreign])).tasks == ()


@pytest.mark.parametrize(
    ("strategy", "force", "hooks"),
    [
        (None, False, True),
        (SyncStrategy(hook=SyncStrategyHook(force=True)), True, True),
        (SyncStrategy(apply=SyncStrategyApply()), False, False),
        (SyncStrategy(apply=SyncStrategyApply(force=True)), True, False),
    ],
)
def test_strategy(strategy: SyncStrategy | None, force: bool, hooks: bool) -> None:
    operation = state(sync_strategy=strategy).operation.sync
    assert operation is not None
    options = options_of(operation)
    assert (options.force, options.hooks_enabled) == (force, hooks)
