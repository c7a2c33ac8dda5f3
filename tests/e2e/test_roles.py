"""Roles in processes of their own, each under the ServiceAccount: either one stops and starts alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.controlplane import ControlPlane
from tests.controlplane.installation import Operator
from tests.controlplane.processes import free_ports
from tests.e2e.api import Api, log_in
from tests.e2e.beside import install_beside
from tests.e2e.story import IN_CLUSTER, Story, config_map

CONTROL = "argocd-roles"


@pytest.fixture
def start(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Callable[[str], Operator]]:
    """Starts a role; stopped at the end."""
    install_beside(control_plane, CONTROL)
    (port,) = free_ports(1)
    flags = {"controller": f"--inside-port={port}", "server": f"--controller-address=127.0.0.1:{port}"}
    with ExitStack() as stack:

        def starting(role: str) -> Operator:
            operator = Operator.start(
                control_plane.kubectl,
                control_plane.bin,
                tmp_path / role,
                namespace=CONTROL,
                arguments=[flags[role]],
                environment={"ARGOCD_SYNC_WAVE_DELAY": "0"},
                role=role,
            )
            stack.callback(operator.kill)
            return operator

        yield starting


@pytest.fixture
def story(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Story]:
    made = Story(
        control_plane.kubectl, tmp_path / "repository", f"roles-{tmp_path.parent.name[-4:]}", CONTROL
    )
    yield made
    made.clean_up()


def test_either_one_stops_and_starts_alone(start: Callable[[str], Operator], story: Story) -> None:
    controller, server = start("controller"), start("server")
    first = story.commit({"app/one.yaml": config_map("one")})
    api = log_in(server, story.kubectl, CONTROL)
    app = f"/api/v1/applications/{story.name}"
    spec = story.application()["spec"]
    api.done("POST", "/api/v1/applications", {"metadata": {"name": story.name}, "spec": spec})
    api.done("POST", f"{app}/sync", {})
    story.wait_synced(first)
    assert kinds(api, app) == {"ConfigMap"}

    # without controllers: what is stored is shown, and what is asked for waits for them
    assert controller.stop() == 0
    assert server.is_ready()
    assert [each["metadata"]["name"] for each in api.done("GET", "/api/v1/applications")["items"]] == [
        story.name
    ]
    asked = api.call("GET", f"{app}/resource-tree")
    assert asked.status >= 500, "who knows the live objects is away"
    second = story.commit({"app/two.yaml": config_map("two")})
    api.done("POST", f"{app}/sync", {})
    controller = start("controller")
    story.wait_synced(second)
    assert story.object("configmap", "two")
    cluster = api.done("GET", "/api/v1/clusters/in-cluster?id.type=name")
    assert cluster["server"] == IN_CLUSTER

    # without the API: work goes on, and a token from before is good afterwards
    assert server.stop() == 0
    assert controller.is_ready()
    third = story.commit({"app/two.yaml": config_map("two", {"key": "new"})})
    story.sync()
    story.wait_synced(third)
    again = start("server")
    api = Api(f"https://{again.api_address}", api.certificate, api.token)
    assert kinds(api, app) == {"ConfigMap"}
    for each in (controller, again):
        text = each.program.log_file.read_text()
        assert "orbidden" not in text
        assert '"level":"error"' not in text


def kinds(api: Api, app: str) -> set[str]:
    return {node["kind"] for node in api.done("GET", f"{app}/resource-tree")["nodes"]}
