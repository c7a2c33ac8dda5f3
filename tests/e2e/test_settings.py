"""Settings take effect without a restart; what cannot be read is told and harms nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from tests.controlplane.installation import Operator
from tests.e2e.installed import patch_config_map, setting
from tests.e2e.story import CONTROL_NAMESPACE, Story, config_map, health_status, sync_status

TRACKING_ID = "argocd.argoproj.io/tracking-id"
INSTANCE = "app.kubernetes.io/instance"


def wait_for_log(operator: Operator, condition: Callable[[str], bool], seconds: float = 20) -> str:
    """The first line of the operator's log for which ``condition`` holds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for line in operator.program.log_file.read_text().splitlines():
            if condition(line):
                return line
        time.sleep(0.1)
    raise AssertionError("no such line in the log")


@pytest.mark.parametrize(
    ("method", "label", "annotation"),
    [("label", True, False), ("annotation+label", True, True), ("annotation", False, True)],
)
def test_the_tracking_method_of_new_objects(story: Story, method: str, label: bool, annotation: bool) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    with setting(story.kubectl, {"application.resourceTrackingMethod": method}):
        story.create_application(syncPolicy=story.automated())
        story.wait_synced()
        found = story.object("configmap", "one")
        assert found is not None
        metadata = found["metadata"]
        assert (metadata.get("labels", {}).get(INSTANCE) == story.name) is label
        assert (TRACKING_ID in metadata.get("annotations", {})) is annotation


def test_a_change_of_the_tracking_method_finds_the_objects_again(story: Story) -> None:
    story.commit({"app/one.yaml": config_map("one"), "app/two.yaml": config_map("two")})
    story.create_application(syncPolicy=story.automated(prune=True))
    story.wait_synced()
    with setting(story.kubectl, {"application.resourceTrackingMethod": "label"}):
        # not tracked by a label yet
        story.wait("OutOfSync", lambda app: sync_status(app) == "OutOfSync")
        story.sync()
        story.wait_operation("Succeeded")
        found = story.object("configmap", "one")
        assert found is not None
        assert found["metadata"]["labels"][INSTANCE] == story.name
        story.wait_synced()
        # and pruning goes by the label from now on
        revision = story.commit({"app/two.yaml": None})
        story.refresh()
        story.wait_synced(revision)
        assert story.object("configmap", "two") is None


def test_another_instance_label(story: Story) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    changed = {
        "application.instanceLabelKey": "example.org/instance",
        "application.resourceTrackingMethod": "label",
    }
    with setting(story.kubectl, changed):
        story.create_application(syncPolicy=story.automated())
        story.wait_synced()
        found = story.object("configmap", "one")
        assert found is not None
        assert found["metadata"]["labels"] == {"example.org/instance": story.name}


def test_an_excluded_kind_is_left_out_with_a_warning(story: Story) -> None:
    before = story.kubectl.json("get", "configmap", "argocd-cm", "-n", CONTROL_NAMESPACE)["data"]
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "quota"}, "spec": {}}
    story.commit({"app/one.yaml": config_map("one"), "app/quota.yaml": json.dumps(quota)})
    story.create_application(syncPolicy=story.automated())
    story.wait_synced()
    more = before["resource.exclusions"] + '- apiGroups: [""]\n  kinds: [ResourceQuota]\n'
    with setting(story.kubectl, {"resource.exclusions": more}):
        story.wait_condition("ExcludedResourceWarning", "ResourceQuota quota is excluded in the settings")
        app = story.wait_synced()
        assert [each["name"] for each in app["status"]["resources"]] == ["one"]
    app = story.wait("seen again", lambda app: len(app["status"].get("resources") or ()) == 2)
    assert not app["status"].get("conditions")


def test_a_health_script_of_the_users(story: Story) -> None:
    script = """\
hs = {}
if obj.data ~= nil and obj.data.key == "good" then
  hs.status = "Healthy"
else
  hs.status = "Degraded"
  hs.message = "the key is not good"
end
return hs
"""
    story.commit({"app/one.yaml": config_map("one", {"key": "bad"})})
    story.create_application(syncPolicy=story.automated())
    story.wait_synced()
    with setting(story.kubectl, {"resource.customizations.health.ConfigMap": script}):
        story.wait("Degraded", lambda app: health_status(app) == "Degraded")
        revision = story.commit({"app/one.yaml": config_map("one", {"key": "good"})})
        story.refresh()
        story.wait_synced(revision)


def test_ignored_differences_of_the_installation(story: Story) -> None:
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application()
    story.sync()
    story.wait_synced()
    patch = '{"data":{"key":"drifted"}}'
    story.kubectl("patch", "configmap", "one", "-n", story.namespace, "--type=merge", "-p", patch)
    story.wait("OutOfSync", lambda app: sync_status(app) == "OutOfSync")
    rule = "jsonPointers: [/data/key]\n"
    with setting(story.kubectl, {"resource.customizations.ignoreDifferences.ConfigMap": rule}):
        story.wait_synced()
    story.wait("OutOfSync again", lambda app: sync_status(app) == "OutOfSync")


def test_a_malformed_value_is_named_and_the_last_good_one_stays(story: Story, operator: Operator) -> None:
    kubectl = story.kubectl
    before = kubectl.json("get", "configmap", "argocd-cm", "-n", CONTROL_NAMESPACE)["data"]
    story.commit({"app/one.yaml": config_map("one")})
    rule = "resource.customizations.ignoreDifferences.ConfigMap"
    with setting(kubectl, {rule: "jsonPointers: [/data/key]\n", "timeout.reconciliation": "3s"}):
        story.create_application()
        story.sync()
        story.wait_synced()
        patch_config_map(kubectl, "argocd-cm", {rule: "jsonPointers: {", "timeout.reconciliation": "soon"})
        line = wait_for_log(operator, lambda line: "argocd-cm timeout.reconciliation" in line)
        assert json.loads(line)["level"] == "warning"
        wait_for_log(operator, lambda line: f"argocd-cm {rule}" in line)
        # the last good rule is in force: this drift does not count, and polling goes on
        patch = '{"data":{"key":"drifted"}}'
        kubectl("patch", "configmap", "one", "-n", story.namespace, "--type=merge", "-p", patch)
        revision = story.commit({"app/two.yaml": config_map("two")})
        app = story.wait(
            "polled", lambda app: app["status"]["sync"].get("revision") == revision, seconds=PATIENT
        )
        states = {each["name"]: each["status"] for each in app["status"]["resources"]}
        assert states == {"one": "Synced", "two": "OutOfSync"}
        patch_config_map(kubectl, "argocd-cm", {rule: None})
        story.wait(
            "the rule is gone",
            lambda app: (
                {"one": "OutOfSync"}.items()
                <= {each["name"]: each["status"] for each in app["status"]["resources"]}.items()
            ),
        )
        patch_config_map(kubectl, "argocd-cm", {"timeout.reconciliation": before["timeout.reconciliation"]})
        wait_for_log(operator, lambda line: "in order again: argocd-cm timeout.reconciliation" in line)


def test_polling_begins_when_the_interval_is_set(story: Story) -> None:
    """timeout.reconciliation polls a new commit, and a change of it needs no restart."""
    with setting(story.kubectl, {"timeout.reconciliation": "1h"}):
        story.commit({"app/one.yaml": config_map("one")})
        story.create_application(syncPolicy=story.automated())
        story.wait_synced()
        revision = story.commit({"app/one.yaml": config_map("one", {"key": "new"})})
        patch_config_map(story.kubectl, "argocd-cm", {"timeout.reconciliation": "1s"})
        story.wait_synced(revision)
        story.wait_object("configmap", "one", lambda found: found and found["data"] == {"key": "new"})


PATIENT = 40.0
