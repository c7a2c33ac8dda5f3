"""Options, RBAC reconciliation, ownership migration and the small proofs (sync.md 13, 15)."""

import pytest

from tests.sync.builders import OPTIONS, config, health, manifest
from tiphys.compare.threeway import LAST_APPLIED
from tiphys.health.model import Health
from tiphys.resources.identity import GVK
from tiphys.sync import rbac
from tiphys.sync.health import judge_hook, judge_resource
from tiphys.sync.migration import managers_to_migrate, migration_patch
from tiphys.sync.options import (
    parse_options,
    prune_value,
    uses_force,
    uses_replace,
    uses_server_side_apply,
)
from tiphys.sync.proof import covers, owns_exactly
from tiphys.sync.tasks import Outcome

ROLE = GVK("rbac.authorization.k8s.io", "v1", "Role")
BINDING = GVK("rbac.authorization.k8s.io", "v1", "RoleBinding")


@pytest.mark.parametrize(
    ("options", "policy"),
    [
        ([], "Foreground"),
        (["PrunePropagationPolicy=background"], "Background"),
        (["PrunePropagationPolicy=orphan"], "Orphan"),
        (["PrunePropagationPolicy=Background"], "Foreground"),
        (["PrunePropagationPolicy=orphan", "PrunePropagationPolicy=foreground"], "Foreground"),
        (["PrunePropagationPolicy=foreground", "PrunePropagationPolicy=background"], "Background"),
    ],
)
def test_propagation_policy(options: list[str], policy: str) -> None:
    assert parse_options(options).propagation_policy == policy


def test_hooks_are_off_for_strategy_apply_and_partial_syncs() -> None:
    assert parse_options([]).hooks_enabled
    assert not parse_options([], strategy_apply=True).hooks_enabled
    assert not parse_options([], partial=True).hooks_enabled


@pytest.mark.parametrize(
    ("annotation", "operation", "expected"),
    [
        ("", [], False),
        ("ServerSideApply=true", [], True),
        ("", ["ServerSideApply=true"], True),
        ("ServerSideApply=false", ["ServerSideApply=true"], False),
        ("ServerSideApply = true", [], False),
    ],
)
def test_server_side_apply(annotation: str, operation: list[str], expected: bool) -> None:
    target = config("x", annotations={OPTIONS: annotation})
    assert uses_server_side_apply(target, parse_options(operation)) is expected


def test_replace_and_force_count_on_target_or_live() -> None:
    marked = config("x", annotations={OPTIONS: "Validate=false, Replace=true,Force=true"})
    plain = config("x")
    for ask in (uses_replace, uses_force):
        assert ask(marked, plain, parse_options([]))
        assert ask(plain, marked, parse_options([]))
        assert not ask(plain, plain, parse_options([]))


def test_prune_option_of_the_object_beats_the_operation() -> None:
    allowed = config("x", annotations={OPTIONS: "Prune=true"})
    assert prune_value(allowed, parse_options(["Prune=false"])) == "true"
    empty = config("x", annotations={OPTIONS: "Prune="})  # any other value is allowed (15)
    assert prune_value(empty, parse_options(["Prune=false"])) == ""
    assert prune_value(config("x"), parse_options(["Prune=false"])) == "false"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("Healthy", Outcome.SUCCEEDED),
        ("Degraded", Outcome.FAILED),
        ("Unknown", Outcome.FAILED),
        ("Progressing", Outcome.RUNNING),
        ("Suspended", Outcome.RUNNING),
        ("Missing", Outcome.SUCCEEDED),
    ],
)
def test_hook_health(status: str, outcome: Outcome) -> None:  # health 1.6
    assert judge_hook(health(status), "x").outcome is outcome


def test_a_hook_without_health_is_done() -> None:
    assert judge_hook(None, "x").message == "x created"


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (None, Outcome.SUCCEEDED),
        (health("Healthy"), Outcome.SUCCEEDED),
        (health("Degraded"), Outcome.FAILED),
        (health("Missing"), Outcome.RUNNING),
        (health("Unknown"), Outcome.RUNNING),
        (health("Suspended"), Outcome.RUNNING),
    ],
)
def test_resource_health(found: Health | None, outcome: Outcome) -> None:  # sync.md 9.3
    assert judge_resource(found).outcome is outcome


def role(*rules: dict[str, list[str]], **more: object) -> dict[str, object]:
    return {**manifest("Role", "x", api="rbac.authorization.k8s.io/v1"), "rules": list(rules), **more}


def rule(verbs: str, groups: str, resources: str, names: str = "") -> dict[str, list[str]]:
    found = {"verbs": verbs.split(), "apiGroups": groups.split(","), "resources": resources.split()}
    return {**found, "resourceNames": names.split()} if names else found


@pytest.mark.parametrize(
    ("wanted", "found", "operation"),
    [
        (rule("get list", "", "pods"), rule("list get watch", "", "pods services"), ""),
        (rule("get", "", "pods"), rule("*", "*", "*"), ""),
        (rule("get", "", "pods/log"), rule("get", "", "*/log"), ""),
        (rule("get", "", "pods/log"), rule("get", "", "pods"), "update"),
        (rule("get", "", "pods"), rule("get", "", "pods", "one"), "update"),
        (rule("get", "", "pods", "one"), rule("get", "", "pods"), ""),
        (rule("get", "apps", "pods"), rule("get", "", "pods"), "update"),
    ],
)
def test_rule_coverage(wanted: dict[str, list[str]], found: dict[str, list[str]], operation: str) -> None:
    assert rbac.reconcile(role(wanted), role(found), ROLE, "x", False).operation == operation


def test_reconcile_text_is_glued_to_what_follows() -> None:  # sync.md 23.19
    wanted = role(rule("get list", "", "pods"))
    assert rbac.reconcile(wanted, wanted, ROLE, "x", False).text == (
        "role.rbac.authorization.k8s.io/x reconciled"
    )
    assert rbac.reconcile(wanted, None, ROLE, "x", False).text == (
        "role.rbac.authorization.k8s.io/x reconciled. reconciliation required create\n\tmissing rules added:"
        "\n\t\t{Verbs:[get list] APIGroups:[] Resources:[pods] ResourceNames:[] NonResourceURLs:[]}"
    )


def test_a_binding_to_another_role_is_made_again() -> None:
    def binding(name: str) -> dict[str, object]:
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        return {**manifest("RoleBinding", "x", api="rbac.authorization.k8s.io/v1"), "roleRef": ref}

    assert rbac.reconcile(binding("a"), binding("b"), BINDING, "x", False).recreate
    assert not rbac.reconcile(binding("a"), binding("a"), BINDING, "x", False).operation


def owned(manager: str, operation: str, fields: dict[str, object]) -> dict[str, object]:
    return {"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields}


def live_with(*entries: dict[str, object]) -> dict[str, object]:
    found = config("x")
    found["metadata"] = {"name": "x", "resourceVersion": "7", "managedFields": list(entries)}
    return found


ANNOTATED = {"f:metadata": {"f:annotations": {f"f:{LAST_APPLIED}": {}}}}


@pytest.mark.parametrize(
    ("entries", "enabled", "expected"),
    [
        ([owned("kubectl-client-side-apply", "Update", {})], True, {"kubectl-client-side-apply"}),
        ([owned("kubectl-client-side-apply", "Update", {})], False, set()),
        ([owned("kubectl-client-side-apply", "Apply", {})], True, set()),
        ([owned("argocd-controller", "Update", ANNOTATED)], False, {"argocd-controller"}),
        ([owned("argocd-controller", "Update", {})], True, set()),
        ([owned("somebody", "Update", ANNOTATED)], True, set()),
    ],
)
def test_who_is_migrated(entries: list[dict[str, object]], enabled: bool, expected: set[str]) -> None:
    found = managers_to_migrate(
        live_with(*entries), "kubectl-client-side-apply", "argocd-controller", enabled=enabled
    )
    assert found == expected


def test_migration_unites_fields_and_guards_the_version() -> None:
    live = live_with(
        owned("argocd-controller", "Apply", {"f:data": {"f:a": {}}}),
        owned("kubectl-client-side-apply", "Update", {"f:data": {"f:b": {}}}),
        owned("other", "Update", {"f:data": {"f:c": {}}}),
    )
    patch = migration_patch(live, {"kubectl-client-side-apply"}, "argocd-controller")
    assert patch is not None
    entries = patch[0]["value"]
    assert [entry["manager"] for entry in entries] == ["argocd-controller", "other"]
    assert entries[0]["fieldsV1"] == {"f:data": {"f:a": {}, "f:b": {}}}
    assert patch[1]["value"] == "7"
    assert migration_patch(live, {"nobody"}, "argocd-controller") is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"f:data": {"f:key": {}}}, True),
        ({"f:data": {"f:key": {}, "f:more": {}}}, False),
        ({"f:data": {}}, True),
        ({}, True),
    ],
    ids=["same", "more owned", "atomic or granular", "nothing known"],
)
def test_exact_ownership(fields: dict[str, object], expected: bool) -> None:
    live = live_with(owned("argocd-controller", "Apply", fields))
    if not fields:
        assert not owns_exactly(config("x"), live_with(), "argocd-controller")
        return
    assert owns_exactly(config("x"), live, "argocd-controller") is expected


def test_exact_ownership_of_keyed_lists() -> None:
    target = manifest("Service", "x", spec={"ports": [{"port": 80, "protocol": "TCP", "name": "http"}]})
    key = 'k:{"port":80,"protocol":"TCP"}'
    item = {".": {}, "f:name": {}, "f:port": {}, "f:protocol": {}}
    live = live_with(owned("argocd-controller", "Apply", {"f:spec": {"f:ports": {key: item}}}))
    assert owns_exactly(target, live, "argocd-controller")
    target["spec"]["ports"].append({"port": 81, "protocol": "TCP"})
    assert not owns_exactly(target, live, "argocd-controller")


def test_covers_compares_types() -> None:
    assert covers({"a": [1, {"b": "c"}]}, {"a": [1, {"b": "c", "d": 0}], "e": 1})
    assert not covers({"a": 1}, {"a": True})
    assert not covers({"a": [1]}, {"a": [1, 2]})
