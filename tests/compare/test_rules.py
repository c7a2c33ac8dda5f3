"""Ignore rules and system settings of comparison (sync.md 5), masks (6), answers of dry runs (7)."""

from __future__ import annotations

import copy
import time
from typing import Any

import orjson
import pytest

from tests.compare.samples import sample
from tiphys.compare.ignore import canonical_duration
from tiphys.compare.jqpaths import JqError, compile_path, is_harmless
from tiphys.compare.masking import mask_secret
from tiphys.compare.respect import respect_ignored
from tiphys.compare.rules import IgnoreRuleError, Rules, build_rules
from tiphys.compare.threeway import LAST_APPLIED, with_last_applied
from tiphys.compare.verdicts import compare, decide, dry_run_request, predict
from tiphys.resources.spec import ResourceIgnoreDifferences
from tiphys.settings.model import CompareOptions, IgnoreRules, KnownTypeField, ResourceOverride


def rules(
    *ignored: ResourceIgnoreDifferences,
    overrides: dict[str, ResourceOverride] | None = None,
    options: CompareOptions | None = None,
    **flags: Any,
) -> Rules:
    return build_rules(ignored, overrides or {}, options or CompareOptions(), **flags)


def ignore(group: str = "apps", kind: str = "Deployment", **changes: Any) -> ResourceIgnoreDifferences:
    return ResourceIgnoreDifferences(group=group, kind=kind, **changes)


def changed(manifest: dict[str, Any], *path: Any, to: Any) -> dict[str, Any]:
    made = copy.deepcopy(manifest)
    place = made
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = to
    return made


TARGET = sample("Deployment")
SCALED = changed(TARGET, "spec", "replicas", to=9)
IMAGE = changed(TARGET, "spec", "template", "spec", "containers", 0, "image", to="other")


@pytest.mark.parametrize(
    ("live", "rule", "outcome"),
    [
        (SCALED, ignore(json_pointers=("/spec/replicas",)), "same"),
        (SCALED, ignore(json_pointers=("/spec/nothing",)), "different"),
        (SCALED, ignore(kind="Dep*", group="a*", json_pointers=("/spec/replicas",)), "same"),
        (SCALED, ignore(kind="StatefulSet", json_pointers=("/spec/replicas",)), "different"),
        (SCALED, ignore(name="web", namespace="ns", json_pointers=("/spec/replicas",)), "same"),
        (SCALED, ignore(name="other", json_pointers=("/spec/replicas",)), "different"),
        (SCALED, ignore(namespace="other", json_pointers=("/spec/replicas",)), "different"),
        (IMAGE, ignore(json_pointers=("/spec/template/spec/containers/0/image",)), "same"),
        (IMAGE, ignore(jq_path_expressions=(".spec.template.spec.containers[].image",)), "same"),
        (
            IMAGE,
            ignore(jq_path_expressions=('.spec.template.spec.containers[] | select(.name == "web")',)),
            "same",
        ),
        (
            IMAGE,
            ignore(jq_path_expressions=('.spec.template.spec.containers[] | select(.name | test("w"))',)),
            "same",
        ),
        (IMAGE, ignore(jq_path_expressions=(".spec.nothing[]",)), "different"),
        (IMAGE, ignore(jq_path_expressions=(".spec | to_entries",)), "different"),
    ],
)
def test_ignore_differences(live: Any, rule: ResourceIgnoreDifferences, outcome: str) -> None:  # 5.1
    assert compare(TARGET, live, rules()).outcome == "different"
    verdict = compare(TARGET, live, rules(rule))
    assert verdict.outcome == outcome
    # it is in sync, and still an apply would change it
    assert verdict.ignoring is (outcome == "same")


@pytest.mark.parametrize(
    ("key", "outcome"),
    [("apps/Deployment", "same"), ("*/*", "same"), ("apps/*", "same"), ("Deployment", "different")],
)
def test_system_overrides_are_appended(key: str, outcome: str) -> None:  # 5.2
    override = ResourceOverride(ignore_differences=IgnoreRules(json_pointers=("/spec/replicas",)))
    assert compare(TARGET, SCALED, rules(overrides={key: override})).outcome == outcome


def test_an_invalid_expression_is_named() -> None:  # 5.1
    with pytest.raises(IgnoreRuleError, match=r"\.spec\[") as caught:
        rules(ignore(jq_path_expressions=(".spec[",)))
    assert caught.value.expression == ".spec["


def test_an_endless_expression_is_stopped_and_then_left_out() -> None:  # 5.1
    endless = rules(ignore(jq_path_expressions=("def f: f; f",)), jq_timeout=0.1)
    began = time.monotonic()
    for _ in range(10):
        assert compare(TARGET, SCALED, endless).outcome == "different"
    assert time.monotonic() - began < 10
    path = compile_path("def f: f; f")
    with pytest.raises(JqError, match="left out"):
        path.delete_from(TARGET, 0.1)
    with pytest.raises(JqError, match=r"timed out \(0\.2s\)$"):  # more time: it is tried again
        path.delete_from(TARGET, 0.2)


@pytest.mark.parametrize(
    ("expression", "harmless"),
    [
        (".spec.replicas", True),
        ('.a[] | select(.name == "x" and (.b | not)).c', True),
        ('.metadata.annotations["a/b"]', True),
        ("..", False),
        ("env.HOME", False),
        ("$ENV", False),
        ("range(1e9)", False),
        ('.a | test("(a+)+$")', False),
        ('"\\(env)"', False),
        (".a[][][][][]", False),
        ('.a[] | select(.b == "x") | .c[] | select(.d >= -1).e', True),
        ('(.a[]? | select(.n | startswith("x"))).b', True),
        ('select(.a[]?.n == "x").b', True),
        ('.a[1:] , .b[-1], .c["d"]', True),
        (".a // .b | .c", True),
        ("select(.a[] == .b[])", False),  # as many comparisons as pairs
        ("select(.a[] == 1) | .b[]", False),
        (".[] | select(.a[] == 1) | select(.b[] == 1)", False),
        ("|".join(["(.,.)"] * 40), False),  # twice as many results at each step
        ("|".join(["(.//.)"] * 40), False),
        ("[.,.]", False),
        (".a - .b", False),  # every element against every other
        (".a | contains(.b)", False),
        (".a | index(.b)", False),
        (".a" * 600, False),
    ],
)
def test_what_runs_in_process(expression: str, harmless: bool) -> None:
    assert is_harmless(expression) is harmless


def test_the_environment_is_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "x")
    document = {"spec": {"a": 1}, "kept": 1}
    assert compile_path('select(env.SECRET_OF_OURS == "x") | .spec').delete_from(document) == document


def test_trusted_managers() -> None:  # 5.3
    entry = {
        "manager": "autoscaler",
        "operation": "Update",
        "apiVersion": "apps/v1",
        "fieldsV1": {"f:spec": {"f:replicas": {}}},
    }
    live = {**SCALED, "metadata": {**SCALED["metadata"], "managedFields": [entry]}}
    trusting = rules(ignore(managed_fields_managers=("autoscaler",)))
    assert compare(TARGET, live, trusting).outcome == "same"
    assert compare(TARGET, live, rules(ignore(managed_fields_managers=("x",)))).outcome == "different"
    reduced = {**SCALED, "metadata": {**SCALED["metadata"], "managedFields": [{"manager": "autoscaler"}]}}
    assert compare(TARGET, reduced, trusting).outcome == "undecided"


def test_trusted_managers_of_the_system_are_matched_exactly() -> None:  # 5.3
    entry = {"manager": "m", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    live = {**SCALED, "metadata": {**SCALED["metadata"], "managedFields": [entry]}}
    override = ResourceOverride(ignore_differences=IgnoreRules(managed_fields_managers=("m",)))
    assert compare(TARGET, live, rules(overrides={"apps/Deployment": override})).outcome == "same"
    assert compare(TARGET, live, rules(overrides={"*/*": override})).outcome == "same"
    assert compare(TARGET, live, rules(overrides={"apps/*": override})).outcome == "different"


@pytest.mark.parametrize(
    ("setting", "kind", "outcome"),
    [
        ("all", "Widget", "same"),
        ("crd", "Widget", "undecided"),
        ("none", "Widget", "undecided"),
    ],
)
def test_status(setting: str, kind: str, outcome: str) -> None:  # 5.4
    live = sample(kind)
    target = {**live, "status": {"x": 1}}
    options = CompareOptions(ignore_resource_status_field=setting)
    assert compare(target, live, rules(options=options)).outcome == outcome


def test_aggregated_roles() -> None:  # 4.3
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "r"},
        "aggregationRule": {"clusterRoleSelectors": []},
        "rules": [],
    }
    live = {**role, "rules": [{"verbs": ["get"]}]}
    assert compare(role, live, rules()).outcome == "undecided"
    options = CompareOptions(ignore_aggregated_roles=True)
    assert compare(role, live, rules(options=options)).outcome == "same"


def test_known_types() -> None:  # 5.2
    rollout = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "r", "namespace": "ns"},
        "spec": {
            "template": {"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "1000m"}}}]}}
        },
    }
    live = changed(rollout, "spec", "template", "spec", "containers", 0, "resources", "limits", "cpu", to="1")
    assert compare(rollout, live, rules()).outcome == "same"
    widget = sample("Widget")
    other = changed(widget, "spec", "cpu", to="1")
    assert compare(widget, other, rules()).outcome == "different"
    override = ResourceOverride(known_type_fields=(KnownTypeField("spec.cpu", "core/Quantity"),))
    assert compare(widget, other, rules(overrides={"compare.tiphys.test/Widget": override})).outcome == "same"


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("90s", "1m30s"),
        ("1h", "1h0m0s"),
        ("0", "0s"),
        ("1500ms", "1.5s"),
        ("10us", "10µs"),
        ("x", "x"),
        ("-5m", "-5m0s"),
    ],
)
def test_durations(given: str, canonical: str) -> None:
    assert canonical_duration(given) == canonical


def test_the_digest_names_the_rules() -> None:
    assert rules().digest == rules().digest
    assert rules().digest != rules(ignore(json_pointers=("/a",))).digest
    assert rules().digest != rules(server_side_diff=True).digest
    assert rules().digest != rules(jq_timeout=2.0).digest


def test_pairs_with_a_missing_side() -> None:  # sync.md 4.4
    assert compare(TARGET, None, rules()).outcome == "different"
    assert compare(None, TARGET, rules()).outcome == "same"
    with pytest.raises(ValueError, match="both live and config are null objects"):
        compare(None, None, rules())
    assert predict(TARGET, None, rules()).normalized_live is None
    assert predict(None, TARGET, rules()).predicted_live is None


def test_names_that_look_like_keys_of_items() -> None:  # a custom kind's maps have any names
    key = 'k:{"name":"a"}'
    target = {
        "apiVersion": "example.com/v1",
        "kind": "Thing",
        "metadata": {"name": "x", "namespace": "y"},
        "spec": {"k:a": {"list": [{"a": 1}]}, key: [{"a": 1}], "k:1": [{"a": 1}]},
    }
    fields = {"f:spec": {"f:k:a": {"f:list": {}}, f"f:{key}": {}, "f:k:1": {}}}
    entry = {"manager": "argocd-controller", "operation": "Apply", "apiVersion": "example.com/v1"}
    metadata = {**target["metadata"], "managedFields": [{**entry, "fieldsV1": fields}]}
    live = {**target, "metadata": metadata}
    verdict = compare(target, live, rules(server_side_apply=True))
    assert verdict.outcome == "same"
    for path in (("k:a", "list"), (key,), ("k:1",)):
        other = changed(live, "spec", *path, to=[{"a": 2}])
        assert compare(target, other, rules(server_side_apply=True)).outcome == "different"


def test_what_was_applied_and_is_no_longer_wanted_differs() -> None:  # 4.4
    config = sample("ConfigMap")
    live = with_last_applied(changed(config, "data", "old", to="x"))
    assert compare(config, live, rules()).reason == "data.old: would be removed"
    untracked = changed(config, "data", "foreign", to="x")
    assert compare(config, untracked, rules()).outcome == "same"
    assert "old" not in (predict(config, live, rules()).predicted_live or {})["data"]


def test_answers_count_only_where_the_patch_touched() -> None:  # 7: webhooks
    live = {**TARGET, "metadata": {**TARGET["metadata"], "resourceVersion": "5"}}
    target = changed(TARGET, "spec", "template", "spec", "securityContext", to={})
    verdict = compare(target, live, rules())
    assert verdict.outcome == "undecided"
    assert verdict.doubt
    request = dry_run_request(target, live, rules())
    assert request.content_type == "application/strategic-merge-patch+json"
    stamped = changed(live, "metadata", "annotations", to={"webhook": "now"})
    assert decide(target, live, stamped, rules()).outcome == "same"
    kept = changed(stamped, "spec", "template", "spec", "securityContext", to={})
    assert decide(target, live, kept, rules()).outcome == "different"
    moved = changed(live, "metadata", "resourceVersion", to="6")
    assert decide(target, live, moved, rules()).outcome == "undecided"
    context = rules(ignore(json_pointers=("/spec/template/spec/securityContext",)))
    assert (decide(target, live, kept, context).outcome, decide(target, live, kept, context).ignoring) == (
        "same",
        True,
    )
    assert not decide(target, live, stamped, rules()).ignoring
    scaled = changed(live, "spec", "replicas", to=9)
    assert compare(target, scaled, rules(ignore(json_pointers=("/spec/replicas",)))).ignoring


def test_webhooks_under_server_side_diff() -> None:  # 7
    fields = {"manager": "argocd-controller", "operation": "Apply", "apiVersion": "v1"}
    config = sample("ConfigMap")
    owned = {"f:data": {".": {}, "f:a": {}, "f:b": {}, "f:c": {}}}
    metadata = {
        **config["metadata"],
        "resourceVersion": "1",
        "managedFields": [{**fields, "fieldsV1": owned}],
    }
    live = {**config, "metadata": metadata}
    answer = changed(live, "data", "injected", to="x")
    assert decide(config, live, answer, rules(server_side_diff=True)).outcome == "same"
    including = rules(server_side_diff=True, include_mutation_webhook=True)
    assert decide(config, live, answer, including).outcome == "different"
    overwritten = changed(live, "data", "a", to="x")
    assert decide(config, live, overwritten, rules(server_side_diff=True)).outcome == "different"
    assert dry_run_request(config, live, rules(server_side_diff=True)).force is True
    assert dry_run_request(config, live, rules(server_side_apply=True)).force is True


def test_respecting_ignored_fields() -> None:  # 5.5
    replicas = rules(ignore(json_pointers=("/spec/replicas",)))
    assert respect_ignored(TARGET, SCALED, replicas)["spec"]["replicas"] == 9
    assert respect_ignored(TARGET, None, replicas) is TARGET
    image = rules(
        ignore(jq_path_expressions=('.spec.template.spec.containers[] | select(.name == "web").image',))
    )
    live = changed(IMAGE, "spec", "template", "spec", "containers", 1, "image", to="live")
    containers = respect_ignored(TARGET, live, image)["spec"]["template"]["spec"]["containers"]
    assert [container["image"] for container in containers] == ["other", "envoy:1"]
    gone = copy.deepcopy(SCALED)
    del gone["spec"]["replicas"]
    assert "replicas" not in respect_ignored(TARGET, gone, replicas)["spec"]


def test_respecting_keeps_what_stands_beside(  # 5.5: PDB selector, status
) -> None:
    target = sample("PodDisruptionBudget")
    live = changed(target, "spec", "selector", to={"matchLabels": {"app": "live", "x": "y"}})
    live["status"] = {"disruptionsAllowed": 1}
    ignoring = rules(ignore("policy", "PodDisruptionBudget", json_pointers=("/spec/selector/matchLabels/x",)))
    result = respect_ignored(target, live, ignoring)
    assert result["spec"]["selector"]["matchLabels"] == {"app": "web", "x": "y"}
    assert "status" not in result


def secret(data: dict[str, Any], **annotations: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "annotations": annotations},
        "data": data,
    }


def test_masks_show_differences_and_nothing_else() -> None:  # 6
    target = {**secret({"same": "YQ==", "differs": "YQ=="}), "stringData": {"plain": "x"}}
    live = with_last_applied(secret({"same": "YQ==", "differs": "Yg==", "plain": "eA==", "old": "Yg=="}))
    masked_target, masked_live = mask_secret(target, live)
    assert masked_target is not None
    assert masked_live is not None
    assert masked_target["data"] == {"same": "++++++++", "differs": "++++++++", "plain": "++++++++"}
    assert masked_live["data"] == {
        "same": "++++++++",
        "differs": "++++++++++++",
        "plain": "++++++++",
        "old": "++++++++",
    }
    original = orjson.loads(masked_live["metadata"]["annotations"][LAST_APPLIED])
    assert original["data"] == masked_live["data"]
    assert "Yg==" not in str((masked_target, masked_live))


def test_masks_are_given_in_order() -> None:  # 6, health-and-resources.md 12.2
    """Target, live, what the target was applied from, what the live object was: one value, one mask."""
    target = secret({"a": "MQ=="}, **{LAST_APPLIED: orjson.dumps(secret({"a": "Mw=="})).decode()})
    live = secret({"a": "Mg=="}, **{LAST_APPLIED: orjson.dumps(secret({"a": "NA==", "b": "MQ=="})).decode()})
    masked = [side for side in mask_secret(target, live) if side is not None]
    originals = [orjson.loads(side["metadata"]["annotations"][LAST_APPLIED]) for side in masked]
    found = [each["data"]["a"] for each in (*masked, *originals)]
    assert found == ["+" * 8, "+" * 12, "+" * 16, "+" * 20]
    assert originals[1]["data"]["b"] == "+" * 8  # counted for each key
    equal = mask_secret(target, secret({"a": "MQ=="}))
    assert [side["data"]["a"] for side in equal if side is not None] == ["+" * 8] * 2


def test_what_was_applied_last_is_hidden_wholly_when_it_is_listed() -> None:  # 6
    target, live = (secret({}, **{LAST_APPLIED: text, "token": text}) for text in ("{}", '{"a": 1}'))
    masked = [
        side["metadata"]["annotations"] for side in mask_secret(target, live, {LAST_APPLIED, "token"}) if side
    ]
    assert masked == [
        {LAST_APPLIED: "++++++++", "token": "++++++++"},
        {LAST_APPLIED: "++++++++", "token": "++++++++++++"},
    ]


def test_hidden_annotations_and_unreadable_originals() -> None:  # 6
    target, live = secret({}, token="a", shown="s"), secret({}, token="b", **{LAST_APPLIED: "{nonsense"})
    masked = mask_secret(target, live, {"token"})
    annotations = [side["metadata"]["annotations"] for side in masked if side is not None]
    assert annotations == [
        {"token": "++++++++", "shown": "s"},
        {"token": "++++++++++++", LAST_APPLIED: "++++++++"},
    ]
    config = sample("ConfigMap")
    assert mask_secret(config, config) == (config, config)
