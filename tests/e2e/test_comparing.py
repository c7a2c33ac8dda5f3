"""What counts as a difference, and what does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.story import Story, conditions, config_map, sync_status

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: main, image: "example.org/web:1"}
        - {name: side, image: "example.org/side:1"}
"""


def patch(story: Story, kind: str, name: str, body: Any, *, manager: str = "kubectl-patch") -> None:
    arguments = (kind, name, "-n", story.namespace, "--type=strategic", f"--field-manager={manager}")
    if kind == "configmap":
        arguments = (kind, name, "-n", story.namespace, "--type=merge", f"--field-manager={manager}")
    story.kubectl("patch", *arguments, "-p", json.dumps(body))


def states(app: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["status"] for each in app["status"].get("resources") or ()}


def out_of_sync(story: Story) -> None:
    story.wait("OutOfSync", lambda app: sync_status(app) == "OutOfSync")


@pytest.mark.parametrize(
    "rule",
    [
        {"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]},
        {"group": "*", "kind": "*", "name": "web", "jsonPointers": ["/spec/replicas"]},
        {"group": "apps", "kind": "Deployment", "jqPathExpressions": [".spec.replicas"]},
        {"group": "apps", "kind": "Deployment", "managedFieldsManagers": ["scaler"]},
    ],
    ids=["pointer", "pointer-any-kind", "jq", "manager"],
)
def test_ignored_differences_of_an_application(story: Story, rule: dict[str, Any]) -> None:
    story.commit({"app/web.yaml": DEPLOYMENT})
    story.create_application(ignoreDifferences=[rule], syncPolicy=story.automated())
    story.wait_synced()
    patch(story, "deployment", "web", {"spec": {"replicas": 2}}, manager="scaler")
    story.refresh("hard")
    assert sync_status(story.get()) == "Synced"
    # the same drift counts as soon as the rule is gone
    story.create_application(syncPolicy=story.automated())
    out_of_sync(story)


def test_a_jq_rule_ignores_one_container_only(story: Story) -> None:
    story.commit({"app/web.yaml": DEPLOYMENT})
    expression = '.spec.template.spec.containers[] | select(.name == "side") | .image'
    rule = {"group": "apps", "kind": "Deployment", "jqPathExpressions": [expression]}
    story.create_application(ignoreDifferences=[rule], syncPolicy=story.automated())
    story.wait_synced()

    def image(container: str, name: str) -> dict[str, Any]:
        return {"spec": {"template": {"spec": {"containers": [{"name": container, "image": name}]}}}}

    patch(story, "deployment", "web", image("side", "example.org/side:2"))
    story.refresh("hard")
    assert sync_status(story.get()) == "Synced"
    patch(story, "deployment", "web", image("main", "example.org/web:2"))
    out_of_sync(story)


def test_a_malformed_rule_is_a_condition(story: Story) -> None:
    revision = story.commit({"app/one.yaml": config_map("one")})
    rule = {"group": "", "kind": "ConfigMap", "jqPathExpressions": [".data["]}
    story.create_application(ignoreDifferences=[rule])
    app = story.wait_condition("ComparisonError", ".data[")
    assert sync_status(app) == "Unknown"
    # What was loaded is told all the same (sync.md 8.4).
    assert (app["status"]["sync"]["revision"], app["status"]["sourceType"]) == (revision, "Directory")


def test_what_others_add_is_no_difference(story: Story) -> None:
    """Labels, annotations and fields that Git does not name belong to others."""
    story.commit({"app/web.yaml": DEPLOYMENT, "app/one.yaml": config_map("one")})
    story.create_application(syncPolicy=story.automated())
    story.wait_synced()
    patch(story, "configmap", "one", {"metadata": {"labels": {"team": "blue"}}, "data": {"more": "x"}})
    patch(story, "deployment", "web", {"spec": {"minReadySeconds": 1}})
    story.refresh("hard")
    assert states(story.get()) == {"one": "Synced", "web": "Synced"}


def test_equal_values_in_other_words_are_no_difference(story: Story) -> None:
    """Quantities, defaults and empty maps are compared by meaning."""
    limits = DEPLOYMENT.replace(
        'image: "example.org/web:1"}',
        'image: "example.org/web:1", resources: {limits: {cpu: 1000m, memory: 1024Mi}}, env: []}',
    )
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "creationTimestamp": None},
        "stringData": {"key": "value"},
    }
    story.commit({"app/web.yaml": limits, "app/secret.yaml": json.dumps(secret)})
    story.create_application(syncPolicy=story.automated())
    story.wait_synced()
    story.refresh("hard")
    assert states(story.get()) == {"s": "Synced", "web": "Synced"}


@pytest.mark.parametrize("apply", ["client-side", "server-side"])
def test_server_side_diff_by_annotation(story: Story, apply: str) -> None:
    """With it, the API server's own view of an apply decides."""
    options = ["ServerSideApply=true"] if apply == "server-side" else []
    story.commit({"app/web.yaml": DEPLOYMENT})
    story.create_application(
        metadata={"annotations": {"argocd.argoproj.io/compare-options": "ServerSideDiff=true"}},
        syncPolicy={"automated": {}, "syncOptions": options},
    )
    story.wait_synced()
    patch(story, "deployment", "web", {"metadata": {"labels": {"team": "blue"}}})
    story.refresh("hard")
    assert sync_status(story.get()) == "Synced"
    patch(story, "deployment", "web", {"spec": {"replicas": 2}})
    out_of_sync(story)


def test_server_side_diff_shows_what_the_api_server_refuses(story: Story) -> None:
    story.commit({"app/web.yaml": DEPLOYMENT})
    annotation = {"argocd.argoproj.io/compare-options": "ServerSideDiff=true"}
    story.create_application(metadata={"annotations": annotation}, syncPolicy=story.automated())
    story.wait_synced()
    story.commit({"app/web.yaml": DEPLOYMENT.replace("{app: web}", "{app: other}")})
    story.refresh()
    app = story.wait("the refusal", lambda app: conditions(app))
    text = json.dumps(conditions(app))
    assert "Deployment/web" in text
    assert "immutable" in text
    assert sync_status(app) == "Unknown"


def test_a_removed_field_is_removed(story: Story) -> None:
    """The three-way comparison knows what we applied before."""
    story.commit({"app/one.yaml": config_map("one", {"a": "1", "b": "2"})})
    story.create_application(syncPolicy=story.automated())
    story.wait_synced()
    revision = story.commit({"app/one.yaml": config_map("one", {"a": "1"})})
    story.refresh()
    story.wait_synced(revision)
    found = story.object("configmap", "one")
    assert found is not None
    assert found["data"] == {"a": "1"}


def test_extraneous_objects_may_be_ignored(story: Story) -> None:
    annotation = {"argocd.argoproj.io/compare-options": "IgnoreExtraneous"}
    story.commit(
        {"app/one.yaml": config_map("one", annotations=annotation), "app/two.yaml": config_map("two")}
    )
    story.create_application(syncPolicy=story.automated())
    story.wait_synced()
    story.commit({"app/one.yaml": None})
    story.refresh()
    app = story.wait_synced()
    assert states(app) == {"one": "OutOfSync", "two": "Synced"}


@pytest.mark.parametrize("hook", [None, "PreSync", "PreSync,PostDelete"])
def test_two_applications_want_one_object(story: Story, hook: str | None) -> None:  # sync.md 3.3
    marks = {"argocd.argoproj.io/hook": hook, "argocd.argoproj.io/hook-delete-policy": "HookFailed"}
    story.commit({"app/one.yaml": config_map("one", annotations=marks if hook else {})})
    story.create_application()
    story.sync()
    story.wait_operation("Succeeded")
    other = f"{story.name}-other"
    story.create_application(other)
    text = f"ConfigMap/one is part of applications argocd/{other} and {story.name}"
    story.wait(
        "told",
        lambda app: (
            ("SharedResourceWarning", text) in [(each["type"], each["message"]) for each in conditions(app)]
        ),
        name=other,
    )
