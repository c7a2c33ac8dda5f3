"""Texts of operations and results (sync.md 13.5, 13.7, 14.1)."""

import pytest

from tests.sync.builders import create_task, manifest, prune_task
from tiphys.resources.identity import GVK, ResourceKey
from tiphys.sync import messages
from tiphys.sync.tasks import Phase, Task


def resource(name: str) -> Task:
    return Task(Phase.SYNC, manifest("Pod", name))


def hook(name: str) -> Task:
    return Task(Phase.PRE_SYNC, manifest("Job", name, api="batch/v1"), is_hook=True)


@pytest.mark.parametrize(
    ("tasks", "deletion", "text"),
    [
        ([], False, ""),
        ([resource("a")], False, "waiting for healthy state of /Pod/a"),
        ([resource("a"), resource("b")], False, "waiting for healthy state of /Pod/a and 1 more resources"),
        ([hook("h")], False, "waiting for completion of hook batch/Job/h"),
        ([hook("h"), hook("i")], False, "waiting for completion of hook batch/Job/h and 1 more hooks"),
        (
            [resource("a"), hook("h"), resource("b")],
            False,
            "waiting for completion of hook batch/Job/h and 2 more resources",
        ),
        ([resource("a")], True, "waiting for deletion of /Pod/a"),
        ([hook("h"), hook("i")], True, "waiting for deletion of hook batch/Job/h and 1 more hooks"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_running_message(tasks: list[Task], deletion: bool, text: str) -> None:
    assert messages.waiting(tasks, deletion=deletion) == text


def test_confirmation_message_counts_only_those_that_ask() -> None:
    tasks = [prune_task("a", 0), prune_task("b", 0)]
    text = "waiting for pruning confirmation of /ConfigMap/a and 1 more resources"
    assert messages.waiting(tasks, confirmation=True) == text


@pytest.mark.parametrize(
    ("constant", "text"),
    [
        (messages.ALL_TASKS_RUN, "successfully synced (all tasks run)"),
        (messages.NO_MORE_TASKS, "successfully synced (no more tasks)"),
        (messages.TASKS_INVALID, "one or more synchronization tasks are not valid"),
        (messages.DRY_RUN_FAILED, "one or more objects failed to apply (dry run)"),
        (messages.APPLY_FAILED, "one or more objects failed to apply"),
        (messages.TASKS_UNSUCCESSFUL, "one or more synchronization tasks completed unsuccessfully"),
        (messages.NAMESPACE_FAILED, "the namespace failed to apply"),
        (messages.TASKS_RUNNING, "one or more tasks are running"),
        (messages.TERMINATED, "Operation terminated"),
        (messages.TERMINATION_ERRORS, "Operation termination had errors"),
        (messages.TASK_TERMINATED, "Terminated"),
        (messages.REQUIRES_PRUNING, "ignored (requires pruning)"),
        (messages.NO_PRUNE, "ignored (no prune)"),
        (messages.PRUNED, "pruned"),
        (messages.PRUNED_DRY_RUN, "pruned (dry run)"),
        (messages.waiting([create_task("Pod", "p")]), "waiting for healthy state of /Pod/p"),
        (
            messages.missing_object(ResourceKey("batch", "Job", "ns", "j")),
            "Resource batch/Job/j is missing, it might have been deleted",
        ),
        (
            messages.missing_last_applied("services", "x"),
            "resource services/x is missing the kubectl.kubernetes.io/last-applied-configuration annotation"
            " which is required by  apply.  apply should only be used on resources created declaratively by"
            " either  create --save-config or  apply. The missing annotation will be patched automatically.",
        ),
        (
            messages.being_deleted("x"),
            "Detected changes to resource x which is currently being deleted.",
        ),
        (
            messages.unknown_kind(GVK("e.com", "v9", "Foo"), version_known=False),
            "failed to discover server resources for group version e.com/v9:"
            " the server could not find the requested resource",
        ),
    ],
)
def test_the_catalogue(constant: str, text: str) -> None:  # 12.2, 13.5, 14
    assert constant == text


def test_causes_are_distinct() -> None:
    assert messages.with_causes("text", ["b", "a", "b", ""]) == "text: a; b"
    assert messages.with_causes("text", []) == "text"
    assert messages.with_reason("text", ["b", "a", "b"]) == "text, reason: b,a"


def test_success_message_with_warnings() -> None:
    gvk = GVK("apps", "v1", "Deployment")
    text = messages.applied(gvk, "web", "configured", dry_run=True, warnings=["one", "two"])
    assert text == "deployment.apps/web configured (dry run). Warning: one\nWarning: two"


@pytest.mark.parametrize(
    ("installed", "text"),
    [
        (
            None,
            'The Kubernetes API could not find e.com/Foo for requested resource ns/x. Make sure the "Foo"'
            " CRD is installed on the destination cluster.",
        ),
        (
            GVK("e.com", "v2", "Foo"),
            'The Kubernetes API could not find version "v1" of e.com/Foo for requested resource ns/x.'
            ' Version "v2" of e.com/Foo is installed on the destination cluster.',
        ),
    ],
    ids=["no CRD", "other version"],
)
def test_missing_kind_is_explained(installed: GVK | None, text: str) -> None:
    key = ResourceKey("e.com", "Foo", "ns", "x")
    problem = "the server could not find the requested resource"
    assert messages.augment(problem, GVK("e.com", "v1", "Foo"), key, installed) == text


def test_too_long_annotation_gets_advice_once() -> None:
    key = ResourceKey("", "ConfigMap", "ns", "x")
    gvk = GVK("", "v1", "ConfigMap")
    problem = "metadata.annotations: Too long: must have at most 262144 bytes"
    once = messages.augment(problem, gvk, key, None)
    assert once.startswith(problem + "\n-Additional Info:")
    assert messages.augment(once, gvk, key, None) == once


@pytest.mark.parametrize(
    ("spec", "images"),
    [
        ({"containers": [{"image": "a"}], "initContainers": [{"image": "i"}]}, ("a",)),
        ({"initContainers": [{"image": "i"}]}, ()),
        ({"containers": [{"image": "a"}, {}, "odd", {"image": 1}, {"image": "b"}]}, ("a", "b")),
        ({"template": {"spec": {"containers": [{"image": "b"}]}}}, ("b",)),
        ({"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"image": "c"}]}}}}}, ("c",)),
        ({"replicas": 1}, ()),
        ("text", ()),
    ],
    ids=[
        "pod",
        "no containers but first ones",
        "malformed containers",
        "template",
        "job template",
        "no containers",
        "malformed",
    ],
)
def test_images(spec: object, images: tuple[str, ...]) -> None:
    assert messages.images_of({"spec": spec}) == images


def test_core_kinds_have_no_group_in_names() -> None:
    task = create_task("ConfigMap", "x")
    assert task.display == "/ConfigMap/x"
    assert messages.unknown_kind(GVK("e.com", "v1", "Foo"), version_known=True) == 'Foo.e.com "" not found'
