"""``tiphys health``, ``actions`` and ``action`` on files and streams."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tiphys.cli import main

ISSUER = """
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: i, namespace: ns}
status: {conditions: [{type: Ready, status: "True", message: fine}]}
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec: {paused: true}
"""
SETTINGS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-cm}
data:
  resource.customizations.health.cert-manager.io_Issuer: |
    return {status="Degraded", message=obj.kind}
  resource.customizations.actions.cert-manager.io_Issuer: |
    discovery.lua: return {renew={params={{name="days"}}}}
    definitions:
    - name: renew
      action.lua: |
        obj.spec = {days=actionParams["days"]}
        return {{operation="patch", resource=obj},
          {operation="create", resource={apiVersion="v1", kind="ConfigMap", metadata={name="n"}}}}
"""


def call(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, list(arguments), input=stdin)


def lines(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def settings(tmp_path: Path) -> str:
    path = tmp_path / "cm.yaml"
    path.write_text(SETTINGS)
    return str(path)


HEALTHY = {
    "group": "cert-manager.io",
    "kind": "Issuer",
    "namespace": "ns",
    "name": "i",
    "status": "Healthy",
    "message": "fine",
}


def test_health_of_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"{ISSUER}---{DEPLOYMENT}---\n# nothing\n---\n")
    (tmp_path / "b.json").write_text('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}')
    found = lines(call("health", str(tmp_path / "a.yaml"), str(tmp_path / "b.json")))
    assert found[0] == HEALTHY
    assert [(each["name"], each["status"]) for each in found] == [
        ("i", "Healthy"),
        ("d", "Suspended"),
        ("c", ""),
    ]


JSON_ISSUER = {
    "apiVersion": "cert-manager.io/v1",
    "kind": "Issuer",
    "metadata": {"name": "i", "namespace": "ns"},
    "status": {"conditions": [{"type": "Ready", "status": "True", "message": "fine"}]},
}
BARE = {name: value for name, value in JSON_ISSUER.items() if name not in ("apiVersion", "kind")}
STREAMS = {
    "lines": json.dumps(JSON_ISSUER) + "\n\n" + json.dumps(JSON_ISSUER),
    "pretty": json.dumps(JSON_ISSUER, indent=4) + "\n" + json.dumps(JSON_ISSUER, indent=4),
    "without indentation": json.dumps(JSON_ISSUER, indent=0) + "\n" + json.dumps(JSON_ISSUER, indent=0),
    "documents without indentation": f"---\n{json.dumps(JSON_ISSUER, indent=0)}\n" * 2,
    "on one line": json.dumps(JSON_ISSUER) + json.dumps(JSON_ISSUER),
    "list": json.dumps({"apiVersion": "v1", "kind": "List", "items": [JSON_ISSUER, JSON_ISSUER]}),
    "array": json.dumps([JSON_ISSUER, JSON_ISSUER], indent=1),
    "arrays": f"---\n{json.dumps([JSON_ISSUER])}\n---\n{json.dumps([JSON_ISSUER])}\n---\n[]\n",
    "list in a list": json.dumps(
        {"kind": "List", "items": [{"kind": "List", "items": [JSON_ISSUER]}, {"kind": "List"}, JSON_ISSUER]}
    ),
    "typed list": json.dumps(
        {"apiVersion": "cert-manager.io/v1", "kind": "IssuerList", "items": [BARE, BARE]}, indent=1
    ),
    "yaml": f"{ISSUER}---{ISSUER}",
    "both": f"---\n{json.dumps(JSON_ISSUER, indent=4)}\n---{ISSUER}",
}


@pytest.mark.parametrize("text", STREAMS.values(), ids=STREAMS)
def test_health_of_streams(text: str) -> None:
    assert lines(call("health", "-", stdin=text)) == [HEALTHY, HEALTHY]


def test_an_answer_comes_while_the_stream_is_open() -> None:
    command = [sys.executable, "-c", "from tiphys.cli import main; main()", "health", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(JSON_ISSUER).encode() + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == HEALTHY
        process.stdin.close()
        assert process.stdout.read() == b""
    assert process.returncode == 0


def test_a_bad_document_costs_only_itself() -> None:
    result = call("health", "-", stdin=f"a: [\n---{ISSUER}---\n3\n---{ISSUER}")
    assert lines(result) == [HEALTHY, HEALTHY]
    assert result.exit_code == 1
    assert result.stderr.count("part") == 2


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("kind: Pod\nmetadata: x", "metadata of a Pod is no object"),
        ("kind: Pod\nmetadata: {name: 3}", "metadata.name of a Pod is no text"),
        ("kind: Pod\napiVersion: [v1]", "apiVersion of a Pod is no text"),
        ("kind: List\nitems: [3]", "items[0] is no object"),
        ("kind: List\nitems: [{}]", "an object without kind"),
        ("[3]", "items[0] is no object"),
        ("- kind: Pod", "cannot unmarshal array"),
    ],
)
def test_what_is_no_object_costs_only_itself(text: str, complaint: str) -> None:
    result = call("health", "-", stdin=f"{text}\n---{ISSUER}")
    assert lines(result) == [HEALTHY]
    assert result.exit_code == 1
    assert result.stderr.startswith("-: part 1: ")
    assert complaint in result.stderr


def test_a_kind_that_is_named_like_a_list() -> None:
    text = '{"apiVersion": "x.io/v1", "kind": "AllowList", "metadata": {"name": "a"}, "items": ["b"]}'
    (found,) = lines(call("health", "-", stdin=text))
    assert found["kind"] == "AllowList"


def test_texts_and_numbers_that_json_hardly_holds() -> None:
    text = '{"apiVersion": "v1", "kind": "Pod", "status": {"phase": "Pending", "message": "\\ud800"}}'
    (found,) = lines(call("health", "-", stdin=text))
    assert found["status"] == "Progressing"
    fields = '"spec": {"jobTemplate": {"spec": {"x": 123456789012345678901234567890}}}'
    cron = f'{{"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {{"name": "c"}}, {fields}}}'
    assert call("action", "create-job", "-", stdin=cron).exit_code == 0


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert call("health", str(tmp_path)).exit_code == 2


@pytest.mark.parametrize("data", ["[1]", "{resource.customizations: 3}"])
def test_settings_that_are_no_texts(tmp_path: Path, data: str) -> None:
    path = tmp_path / "cm.yaml"
    path.write_text(f"kind: ConfigMap\ndata: {data}")
    result = call("health", "-", "--settings", str(path), stdin=ISSUER)
    assert result.exit_code == 1
    assert "texts by key" in result.stderr


def test_settings_are_tried(settings: str) -> None:
    (found,) = lines(call("health", "-", "--settings", settings, stdin=ISSUER))
    assert (found["status"], found["message"]) == ("Degraded", "Issuer")


def test_bad_settings_name_the_key(tmp_path: Path) -> None:
    path = tmp_path / "cm.yaml"
    path.write_text('kind: ConfigMap\ndata: {resource.customizations.useOpenLibs.X: "perhaps"}')
    result = call("health", "-", "--settings", str(path), stdin=ISSUER)
    assert result.exit_code == 1
    assert "resource.customizations.useOpenLibs.X" in result.stderr


def test_actions(settings: str) -> None:
    (found,) = lines(call("actions", "-", stdin=DEPLOYMENT))
    assert found["name"] == "d"
    listed = {each["name"]: each.get("disabled", False) for each in found["actions"]}  # type: ignore[attr-defined]
    assert listed == {"restart": False, "pause": True, "resume": False, "scale": False}
    (found,) = lines(call("actions", "-", "--settings", settings, stdin=ISSUER))
    assert found["actions"] == [{"name": "renew", "params": [{"name": "days"}]}]


def test_action() -> None:
    (found,) = lines(call("action", "scale", "-", "--param", "replicas=3", stdin=DEPLOYMENT))
    names = {"group": "apps", "kind": "Deployment", "namespace": "", "name": "d"}
    assert found == {"operation": "patch", **names, "patch": {"spec": {"replicas": 3}}}


def test_action_of_settings(settings: str) -> None:
    arguments = ("action", "renew", "-", "--param", "days=3", "--settings", settings)
    patch, create = lines(call(*arguments, stdin=ISSUER))
    assert patch["patch"] == {"spec": {"days": "3"}}
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "n"}}
    assert create == {"operation": "create", "resource": config_map}


def test_action_errors() -> None:
    result = call("action", "scale", "-", "--param", "replicas=many", stdin=DEPLOYMENT)
    assert result.exit_code == 1
    assert result.stderr == "Deployment d: error executing Lua resource action: invalid number: many\n"
    assert call("action", "scale", "-", "--param", "replicas", stdin=DEPLOYMENT).exit_code == 2


def test_help_names_every_command() -> None:
    assert {"run", "health", "actions", "action"} <= set(call("--help").stdout.split())
