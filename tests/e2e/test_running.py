"""Running it: metrics, health, logs, flags, variables and keys, namespaces, and leaving.

A second installation with a control-plane namespace of its own; each test starts the operator as it
needs it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tests.controlplane.installation import Operator
from tests.controlplane.kubectl import clean_environment
from tests.controlplane.processes import ProgramFailed
from tests.e2e.installed import install_elsewhere, patch_config_map, put_secret, uninstall_elsewhere
from tests.e2e.story import (
    APPLICATIONS,
    IN_CLUSTER,
    Story,
    conditions,
    config_map,
    health_status,
    operation_state,
    sync_status,
)

SETTINGS = {"timeout.reconciliation": "2s", "timeout.reconciliation.jitter": "0s"}
PARAMS = "argocd-cmd-params-cm"


@pytest.fixture(scope="module")
def home(
    operator: Operator, control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The control-plane namespace of an installation with cluster-wide rights and no process."""
    folder = tmp_path_factory.mktemp("elsewhere")
    namespace = f"elsewhere-{folder.parent.name.rpartition('-')[2]}"
    install_elsewhere(control_plane.kubectl, folder, namespace, cluster_wide=True, settings=SETTINGS)
    yield namespace
    uninstall_elsewhere(control_plane.kubectl, namespace)


@pytest.fixture
def running(home: str, control_plane: ControlPlane, tmp_path: Path) -> Iterator[Callable[..., Operator]]:
    """Starts the installation's operator with arguments and variables; stopped at the end."""
    with ExitStack() as stack:

        def start(*arguments: str, **environment: str) -> Operator:
            operator = Operator.start(
                control_plane.kubectl,
                control_plane.bin,
                tmp_path / "elsewhere",
                namespace=home,
                arguments=arguments,
                environment={"ARGOCD_SYNC_WAVE_DELAY": "0", **environment},
            )
            stack.callback(operator.kill)
            return operator

        yield start


@pytest.fixture
def story(control_plane: ControlPlane, home: str, tmp_path: Path) -> Iterator[Story]:
    """A story that belongs to the second installation."""
    name = f"{home}-{abs(hash(str(tmp_path))) % 10**6}"
    made = Story(control_plane.kubectl, tmp_path / "repository", name, control=home)
    yield made
    made.clean_up()


@contextmanager
def params(story: Story, data: Mapping[str, str]) -> Iterator[None]:
    patch_config_map(story.kubectl, PARAMS, dict(data), namespace=story.control)
    yield
    patch_config_map(story.kubectl, PARAMS, dict.fromkeys(data), namespace=story.control)


def samples(operator: Operator, name: str) -> list[tuple[dict[str, str], float]]:
    """Labels and value of each sample of a series."""
    found = []
    for line in operator.metrics().splitlines():
        if match := re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line):
            labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match.group(1) or ""))
            found.append((labels, float(match.group(2))))
    return found


def lines(operator: Operator) -> list[dict[str, Any]]:
    return [json.loads(line) for line in operator.program.log_file.read_text().splitlines()]


def get(operator: Operator, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(operator.metrics_url + path, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_metrics_health_and_logs(story: Story, running: Callable[..., Operator]) -> None:
    """operations.md 2.1, 2.2, 7.1."""
    password = "very-secret-passphrase"
    url = f"file://{story.repository}"
    put_secret(
        story.kubectl,
        "repository-logs",
        "repository",
        {"url": url, "username": "ada", "password": password},
        namespace=story.control,
    )
    operator = running("--metrics-application-labels", "team", "--metrics-application-conditions=SyncError")
    assert get(operator, "/healthz") == (200, "ok")
    assert get(operator, "/readyz") == (200, "ok")
    revision = story.commit({"app/one.yaml": config_map("one")})
    story.create_application(metadata={"labels": {"team": "blue"}}, syncPolicy=story.automated())
    story.wait_synced(revision)
    identity = {"namespace": story.control, "name": story.name, "project": "default"}
    assert samples(operator, "argocd_app_info") == [
        (
            {
                **identity,
                "autosync_enabled": "true",
                "repo": url,
                "dest_server": IN_CLUSTER,
                "dest_namespace": story.namespace,
                "sync_status": "Synced",
                "health_status": "Healthy",
                "operation": "",
            },
            1.0,
        )
    ]
    synced = {**identity, "dest_server": IN_CLUSTER}
    assert samples(operator, "argocd_app_sync_total") == [
        ({**synced, "phase": "Succeeded", "dry_run": "false"}, 1.0)
    ]
    assert samples(operator, "argocd_app_sync_duration_seconds_total")[0][0] == synced
    assert samples(operator, "argocd_app_labels") == [({**identity, "label_team": "blue"}, 1.0)]
    ((labels, count),) = samples(operator, "argocd_app_reconcile_count")
    assert (labels, count >= 1) == ({"namespace": story.control, "dest_server": IN_CLUSTER}, True)
    requests = [labels for labels, _ in samples(operator, "argocd_app_k8s_request_total")]
    assert {
        **identity,
        "server": IN_CLUSTER,
        "response_code": "201",
        "verb": "Create",
        "resource_kind": "configmaps",
        "resource_namespace": story.namespace,
        "dry_run": "false",
    } in requests or any(each["verb"] in ("Apply", "Patch") for each in requests), requests
    assert samples(operator, "argocd_kubectl_exec_total")
    assert {value for _, value in samples(operator, "argocd_kubectl_exec_pending")} == {0.0}
    info = samples(operator, "argocd_cluster_info")
    assert [(labels["server"], labels["name"]) for labels, _ in info] == [(IN_CLUSTER, "in-cluster")]
    assert info[0][0]["k8s_version"].startswith("v1.") or info[0][0]["k8s_version"].startswith("1.")
    assert samples(operator, "argocd_cluster_connection_status")[0][1] == 1.0
    assert samples(operator, "argocd_cluster_api_resources")[0][1] > 20
    assert samples(operator, "argocd_cluster_api_resource_objects")[0][1] > 10
    assert 0 <= samples(operator, "argocd_cluster_cache_age_seconds")[0][1] < 60
    events = samples(operator, "argocd_cluster_events_total")
    assert {"server": IN_CLUSTER, "group": "", "kind": "ConfigMap"} in [labels for labels, _ in events]
    assert samples(operator, "argocd_resource_events_processing_count")[0][1] > 0
    for name in ("request_duration_seconds", "request_size_bytes", "response_size_bytes"):
        assert samples(operator, f"argocd_kubectl_{name}_count"), name
    assert samples(operator, "argocd_kubectl_rate_limiter_duration_seconds_count")
    assert {"GET", "PATCH"} <= {
        labels["method"] for labels, _ in samples(operator, "argocd_kubectl_requests_total")
    }
    queues = {labels["name"] for labels, _ in samples(operator, "workqueue_adds_total")}
    assert "app_reconciliation_queue" in queues

    ended = [line for line in lines(operator) if line["msg"].startswith("operation Succeeded")]
    assert len(ended) == 1
    wanted = {
        "level": "info",
        "application": story.name,
        "app-namespace": story.control,
        "project": "default",
        "operation": "sync",
        "revision": revision,
    }
    assert wanted.items() <= ended[0].items()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", ended[0]["time"])
    token = json.loads((operator.program.log_file.parents[1] / "tiphys.kubeconfig").read_text())
    text = operator.program.log_file.read_text() + operator.metrics()
    assert password not in text
    assert token["users"][0]["user"]["token"] not in text


def test_not_ready_without_watches(
    story: Story, running: Callable[..., Operator], control_plane: ControlPlane
) -> None:
    """/readyz names the watches that are down; /healthz stays well, a restart would not help."""
    operator = running()
    assert get(operator, "/readyz") == (200, "ok")
    control_plane.stop_program("apiserver")
    try:
        deadline = time.monotonic() + 20
        while (answer := get(operator, "/readyz"))[0] == 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert "watches: no live watch of " in answer[1]
        assert get(operator, "/healthz") == (200, "ok")
    finally:
        control_plane.start_program("apiserver")
        control_plane.wait_ready()
    operator.program.wait_until(operator.is_ready, seconds=60)


def test_flags_beat_variables_beat_keys(story: Story, running: Callable[..., Operator]) -> None:
    """operations.md 1.7: shown by the log's format, level and by the labels in metrics."""
    chosen = {
        "controller.log.format": "text",
        "controller.log.level": "debug",
        "controller.metrics.application.labels": "from-key",
    }
    with params(story, chosen):
        operator = running(
            "--metrics-application-labels=from-flag", ARGOCD_APPLICATION_CONTROLLER_LOGLEVEL="info"
        )
        story.commit({"app/one.yaml": config_map("one")})
        story.create_application(metadata={"labels": {"from-flag": "yes", "from-key": "no"}})
        story.wait("compared", sync_status)
        ((labels, _),) = samples(operator, "argocd_app_labels")
        assert labels["label_from_flag"] == "yes"
        assert "label_from_key" not in labels
        text = operator.program.log_file.read_text()
        assert "level=info" in text
        assert "level=debug" not in text
        assert f"application={story.name}" in text


def test_parameters_change_while_it_runs(story: Story, running: Callable[..., Operator]) -> None:
    """docs/operating.md: at once, but variables and flags still win."""
    operator = running("--metrics-application-conditions=SyncError", ARGOCD_ENABLE_K8S_EVENT="all")
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(metadata={"labels": {"team": "blue"}}, syncPolicy=story.automated())
    story.wait_synced()
    assert not samples(operator, "argocd_app_labels")
    chosen = {
        "controller.log.level": "debug",
        "controller.metrics.application.labels": "team",
        "controller.self.heal.timeout.seconds": "soon",
        "application.namespaces": "elsewhere",
    }
    with params(story, chosen):
        operator.program.wait_until(lambda: bool(samples(operator, "argocd_app_labels")), seconds=20)
        assert samples(operator, "argocd_app_labels")[0][0]["label_team"] == "blue"
        story.refresh()
        told = lines(operator)
        assert "debug" in {line["level"] for line in told}
        warnings = [line["msg"] for line in told if line["level"] == "warning"]
        assert any(f"{PARAMS} controller.self.heal.timeout.seconds" in each for each in warnings), warnings
        assert any("after a restart" in each for each in warnings), warnings
    operator.program.wait_until(lambda: not samples(operator, "argocd_app_labels"), seconds=20)


def test_events_can_be_switched_off(story: Story, running: Callable[..., Operator]) -> None:
    running(ARGOCD_ENABLE_K8S_EVENT="OperationCompleted")
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(syncPolicy=story.automated())
    story.wait_synced()

    def reasons() -> list[str]:
        chosen = f"involvedObject.name={story.name}"
        found = story.kubectl.json("get", "events", "-n", story.control, "--field-selector", chosen)
        return [each["reason"] for each in found["items"]]

    story.wait("told", lambda app: reasons())
    assert reasons() == ["OperationCompleted"]


def test_a_value_that_cannot_be_read_is_named(story: Story, running: Callable[..., Operator]) -> None:
    with params(story, {"controller.status.processors": "many"}):
        operator = running()
        told = [line["msg"] for line in lines(operator) if line["level"] == "warning"]
        assert any(f"{PARAMS} controller.status.processors" in each for each in told), told


def test_an_unknown_flag_is_refused_with_its_name(home: str, running: Callable[..., Operator]) -> None:
    with pytest.raises(ProgramFailed) as failed:
        running("--no-such-flag=1")
    assert "--no-such-flag" in str(failed.value)


@pytest.mark.parametrize("where", ["flag", "variable", "key"])
def test_applications_in_other_namespaces(story: Story, running: Callable[..., Operator], where: str) -> None:
    """applications.md 23: permitted by the installation, then by the project."""
    kubectl, patterns = story.kubectl, f"{story.namespace}*"
    names = {"flag": ["--application-namespaces", patterns]}
    with ExitStack() as stack:
        if where == "key":
            stack.enter_context(params(story, {"application.namespaces": patterns}))
        variables = {"ARGOCD_APPLICATION_NAMESPACES": patterns} if where == "variable" else {}
        running(*names.get(where, []), **variables)
        forbidden = f"outside-{story.namespace}"
        kubectl("create", "namespace", forbidden)
        stack.callback(kubectl, "delete", "namespace", forbidden, "--wait=false")
        story.commit({"app/one.yaml": config_map("one")})
        project = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": "team", "namespace": story.control},
            "spec": {
                "sourceRepos": ["*"],
                "sourceNamespaces": [story.namespace],
                "destinations": [{"server": "*", "namespace": "*"}],
            },
        }
        story.apply(project)
        # its namespace is permitted, but not by the project default
        story.create_application("refused", namespace=story.namespace)
        # not by the installation: nobody looks at it
        story.create_application("outside", namespace=forbidden, project="team")
        story.create_application(
            "inside", namespace=story.namespace, project="team", syncPolicy=story.automated()
        )
        app = story.wait(
            "Synced", lambda app: sync_status(app) == "Synced", name="inside", namespace=story.namespace
        )
        assert app["status"]["controllerNamespace"] == story.control
        found = story.object("configmap", "one")
        assert found is not None
        tracking = found["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"]
        assert tracking == f"{story.namespace}_inside:/ConfigMap:{story.namespace}/one"
        app = story.wait(
            "refused",
            lambda app: app.get("status", {}).get("conditions"),
            name="refused",
            namespace=story.namespace,
        )
        assert "is not permitted to use project 'default'" in app["status"]["conditions"][0]["message"]
        assert "status" not in story.get("outside", forbidden)


def test_a_project_that_does_not_admit_a_namespace_any_more(
    story: Story, running: Callable[..., Operator]
) -> None:
    """applications.md 23: nothing is compared, nor deleted, until it does."""
    running("--application-namespaces", story.namespace)

    def admit(*namespaces: str) -> None:
        spec = {
            "sourceRepos": ["*"],
            "sourceNamespaces": list(namespaces),
            "destinations": [{"server": "*", "namespace": "*"}],
        }
        metadata = {"name": "team", "namespace": story.control}
        kind = {"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject"}
        story.apply({**kind, "metadata": metadata, "spec": spec})

    admit("/^story-/", story.namespace)
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(
        "inside",
        namespace=story.namespace,
        project="team",
        syncPolicy=story.automated(),
        metadata={"finalizers": ["resources-finalizer.argocd.argoproj.io"]},
    )
    place = {"name": "inside", "namespace": story.namespace}
    story.wait("Synced", lambda app: sync_status(app) == "Synced" and "operation" not in app, **place)
    why = f"application 'inside' in namespace '{story.namespace}' is not permitted to use project 'team'"

    def says(app: dict[str, Any], kind: str) -> bool:
        return (kind, why) in [(each["type"], each["message"]) for each in conditions(app)]

    admit("another")
    app = story.wait("refused", lambda app: says(app, "UnknownError"), **place)
    assert (sync_status(app), health_status(app)) == ("Unknown", "Unknown")
    story.kubectl("delete", APPLICATIONS, "inside", "-n", story.namespace, "--wait=false")
    story.wait("held", lambda app: says(app, "DeletionError"), **place)
    assert story.object("configmap", "one")
    admit(story.namespace)
    story.kubectl("wait", "--for=delete", APPLICATIONS, "inside", "-n", story.namespace, "--timeout=60s")
    assert story.object("configmap", "one") is None


def test_without_permission_other_namespaces_are_left_alone(
    story: Story, running: Callable[..., Operator]
) -> None:
    running()
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application("elsewhere", namespace=story.namespace, syncPolicy=story.automated())
    story.create_application(syncPolicy=story.automated())
    story.wait_synced()
    assert "status" not in story.get("elsewhere", story.namespace)


def test_watching_leaves_no_trace(story: Story, running: Callable[..., Operator]) -> None:
    """Nor in projects, sets, ConfigMaps and Secrets: nothing of them is written at all."""
    kubectl = story.kubectl

    def objects() -> dict[str, str]:
        kinds = "configmaps,secrets,appprojects.argoproj.io,applicationsets.argoproj.io"
        items = kubectl.json("get", kinds, "-n", story.control, "--show-managed-fields=true")["items"]
        return {f"{each['kind']}/{each['metadata']['name']}": json.dumps(each["metadata"]) for each in items}

    put_secret(
        kubectl, "repository-trace", "repository", {"url": "https://git.example/x"}, namespace=story.control
    )
    template = {key: story.application()[key] for key in ("metadata", "spec")}
    family = {"generators": [{"list": {"elements": []}}], "template": template}
    story.apply(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "ApplicationSet",
            "metadata": {"name": "trace", "namespace": story.control},
            "spec": family,
        }
    )
    running()
    before = objects()
    assert "ApplicationSet/trace" in before
    story.commit({"app/one.yaml": config_map("one")})
    story.create_application(syncPolicy=story.automated())
    app = story.wait_synced()
    assert objects() == before
    assert "kopf" not in json.dumps(objects()).lower()
    assert "kopf" not in json.dumps(app).lower()
    peers = kubectl("get", "crd", "-o", "name")
    assert "kopf" not in peers


def test_sigterm_leaves_at_once(story: Story, running: Callable[..., Operator]) -> None:
    """Also while a sync waits, whose state is then in the Application."""
    operator = running()
    pending = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, annotations: {argocd.argoproj.io/sync-wave: "0"}}
spec:
  selector: {matchLabels: {app: web}}
  progressDeadlineSeconds: 600
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {no: where}
      containers: [{name: main, image: "example.org/web:1"}]
"""
    later = config_map("later", annotations={"argocd.argoproj.io/sync-wave": "1"})
    story.commit({"app/web.yaml": pending, "app/later.yaml": later})
    story.create_application(syncPolicy=story.automated())
    story.wait("running", lambda app: operation_state(app).get("syncResult"))
    begun = time.monotonic()
    assert operator.stop(seconds=10) == 0
    assert time.monotonic() - begun < 5
    app = story.get()
    assert app["status"]["operationState"]["phase"] == "Running"
    assert lines(operator)[-1]["level"] in ("info", "warning")
    assert not [line for line in lines(operator) if line["level"] == "error"]
    # started anew, it goes on
    running()
    patch = {"spec": {"template": {"spec": {"nodeSelector": None}}}}
    story.kubectl(
        "patch", "deployment", "web", "-n", story.namespace, "--type=merge", "-p", json.dumps(patch)
    )
    state = story.wait_operation("Succeeded")
    assert {each["name"] for each in state["syncResult"]["resources"]} == {"web", "later"}


def test_the_program_says_what_is_wrong(control_plane: ControlPlane, tmp_path: Path) -> None:
    """A kubeconfig that leads nowhere: one line, no traceback, and a code that says so."""
    broken = tmp_path / "kubeconfig"
    broken.write_text(
        control_plane.kubeconfig.read_text().replace(control_plane.server, "https://127.0.0.1:1")
    )
    done = subprocess.run(
        [Path(sys.executable).with_name("tiphys"), "run", f"--kubeconfig={broken}", "--namespace=x"],
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "https://127.0.0.1:1" in done.stderr
