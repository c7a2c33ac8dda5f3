"""``tiphys rbac`` (api.md 13 "argocd admin settings rbac") and ``tiphys dexconfig`` (12)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from click.testing import CliRunner

from tests.access.building import config_map, secret
from tests.controlplane import ControlPlane
from tiphys.cli import main

POLICY = """
p, role:dev, applications, sync, web/*, allow
p, role:dev, logs, get, web/*, deny
g, ann, role:dev
"""


@pytest.fixture
def policy(tmp_path: Path) -> str:
    (tmp_path / "policy.csv").write_text(POLICY)
    return str(tmp_path / "policy.csv")


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        pytest.param("ann sync application web/a", "Yes", id="a user, an alias"),
        pytest.param("role:dev sync apps web/a", "Yes", id="a role"),
        pytest.param("ann sync apps api/a", "No", id="another project"),
        pytest.param("admin get projects", "Yes", id="built-in"),
        pytest.param("admin get projects --no-use-builtin-policy", "No", id="without built-in"),
        pytest.param("role:readonly get apps", "Yes", id="no object is any"),
        pytest.param("role:readonly get apps *", "Yes", id="star is any"),
        pytest.param("eve get apps a/b --default-role role:readonly", "Yes", id="default role"),
        pytest.param("ann what ever --no-strict", "No", id="not strict"),
    ],
)
def test_can(policy: str, arguments: str, answer: str) -> None:
    done = CliRunner().invoke(main, ["rbac", "can", *arguments.split(), "--policy-file", policy])
    assert (done.output, done.exit_code) == (f"{answer}\n", 0 if answer == "Yes" else 1)


@pytest.mark.parametrize(
    "arguments", ["ann sync apples x", "ann jump apps x", "ann sync apps x --namespace argocd"]
)
def test_can_refuses(policy: str, arguments: str) -> None:
    done = CliRunner().invoke(main, ["rbac", "can", *arguments.split(), "--policy-file", policy])
    assert done.exit_code == 2


def test_quietly(policy: str) -> None:
    done = CliRunner().invoke(
        main, ["rbac", "can", "ann", "sync", "apps", "web/a", "-q", "--policy-file", policy]
    )
    assert (done.output, done.exit_code) == ("", 0)


def test_validate(tmp_path: Path, policy: str) -> None:
    good = CliRunner().invoke(main, ["rbac", "validate", "--policy-file", policy])
    assert (good.output, good.exit_code) == ("Policy is valid.\n", 0)
    file = tmp_path / "cm.yaml"
    file.write_text(
        json.dumps(config_map("argocd-rbac-cm", {"policy.csv": "p, a", "policy.x.csv": "g, a, b"}))
    )
    bad = CliRunner().invoke(main, ["rbac", "validate", "--policy-file", str(file)])
    assert (bad.output, bad.exit_code) == ("Policy is invalid: invalid RBAC policy: p, a\n", 1)


@pytest.mark.controlplane
def test_policies_and_dex_of_a_cluster(control_plane: ControlPlane, tmp_path: Path) -> None:
    namespace = f"cli-{uuid4().hex[:8]}"
    control_plane.kubectl("create", "namespace", namespace)
    try:
        main_map = {
            "url": "https://cd",
            "dex.config": "connectors: [{type: oidc, id: o, config: {clientSecret: $oidc}}]",
        }
        objects = [
            config_map("argocd-rbac-cm", {"policy.csv": POLICY}, namespace),
            config_map("argocd-cm", main_map, namespace),
            secret("argocd-secret", {"oidc": "very-hush", "server.secretkey": "k"}, namespace),
        ]
        control_plane.kubectl("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, objects)))
        where = ["--namespace", namespace, "--kubeconfig", str(control_plane.kubeconfig)]
        done = CliRunner().invoke(main, ["rbac", "can", "ann", "sync", "app", "web/a", *where])
        assert done.output == "Yes\n"
        shown = CliRunner().invoke(main, ["dexconfig", *where])
        assert shown.exit_code == 0, shown.output
        assert "very-hush" not in shown.output
        out = tmp_path / "dex.yaml"
        CliRunner().invoke(main, ["dexconfig", *where, "--out", str(out)])
        found = yaml.safe_load(out.read_text())
        assert found["connectors"][0]["config"]["clientSecret"] == "very-hush"
        assert os.stat(out).st_mode & 0o777 == 0o600
    finally:
        control_plane.kubectl("delete", "namespace", namespace, "--wait=false")
