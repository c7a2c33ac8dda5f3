"""The operator dies at every write of a sync and of a deletion: the end is the same as without.

A proxy counts what the operator writes. One run is undisturbed; in the others each life of the
operator ends at its first or second write (before the API server has it, after it was carried out
but not answered, or with SIGTERM), and the next life goes on. The end state, the hooks that ran and
every write to the destination must be those of the undisturbed run.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.controlplane import ControlPlane
from tests.controlplane.installation import Operator
from tests.controlplane.kubectl import Kubectl, write_kubeconfig
from tests.controlplane.processes import ProgramFailed
from tests.e2e.beside import install_beside
from tests.e2e.proxy import CountingProxy, Way
from tests.e2e.story import APPLICATIONS, Story, config_map, operation_state
from tests.e2e.test_hooks_and_waves import job

pytestmark = pytest.mark.timeout(240)

CONTROL = "argocd-killed"
LIVES = 60


class ProxiedKubectl(Kubectl):
    """Gives kubeconfigs that lead through the proxy, with one token for all lives."""

    def __init__(self, plane: ControlPlane, proxy: CountingProxy, home: Path):
        super().__init__(plane.kubectl.program, plane.kubectl.kubeconfig, home)
        self._proxy = proxy
        self._tokens: dict[tuple[str, str], str] = {}

    def service_account_token(self, namespace: str, name: str, *, hours: int = 24) -> str:
        known = self._tokens.get((namespace, name))
        if known is None:
            known = self._tokens[(namespace, name)] = super().service_account_token(namespace, name)
        return known

    def kubeconfig_with_token(self, path: Path, token: str, *, namespace: str = "default") -> Path:
        return write_kubeconfig(path, {"server": self._proxy.url}, {"token": token}, namespace=namespace)


class Stage:
    """Starts lives of the operator behind the proxy."""

    def __init__(
        self,
        plane: ControlPlane,
        proxy: CountingProxy,
        folder: Path,
        namespace: str = CONTROL,
        environment: Mapping[str, str] | None = None,
    ):
        self._plane = plane
        self.proxy = proxy
        self._folder = folder
        self._namespace = namespace
        self._environment = {"ARGOCD_SYNC_WAVE_DELAY": "0", **(environment or {})}
        self._kubectl = ProxiedKubectl(plane, proxy, folder)
        self.lives = 0

    def live(self, way: Way, at: int) -> Operator | None:
        """A life that will end at a write; None if it ended before it was ready."""
        self.lives += 1
        self.proxy.aim(way, at)
        try:
            return Operator.start(
                self._kubectl,
                self._plane.bin,
                self._folder,
                namespace=self._namespace,
                environment=self._environment,
            )
        except ProgramFailed:
            if not self.proxy.struck:
                raise
            return None

    def play(self, way: Way, at: int, done: Any) -> None:
        """Lives follow each other until ``done()`` holds."""
        for _ in range(LIVES):
            running = self.live(way, at)
            if running is None:
                continue
            try:
                while not _ended(running):
                    if done() and not self.proxy.struck:
                        return
            finally:
                code = running.stop()
            assert code in ((0, -15) if way == "terminated" else (-9,)), code
        raise AssertionError(f"not done after {LIVES} lives")


def _ended(running: Operator) -> bool:
    """Whether it ended, within a moment in which others may have the processor."""
    try:
        running.program.process.wait(0.4)
    except subprocess.TimeoutExpired:
        return False
    return True


class Outcome(msgspec.Struct, frozen=True):
    """What a run left: in the cluster, in the Application, and of writes to the destination."""

    objects: dict[str, Any]
    operation: dict[str, Any]
    history: int
    writes: Counter[str]
    deletes: set[str]


WAVE = "argocd.argoproj.io/sync-wave"
BEFORE = {
    "app/changed.yaml": config_map("changed", {"version": "1"}),
    "app/gone.yaml": config_map("gone"),
    "app/same.yaml": config_map("same"),
}
AFTER = {
    "app/before.yaml": job("before", "PreSync"),
    "app/changed.yaml": config_map("changed", {"version": "2"}),
    "app/gone.yaml": None,
    "app/new.yaml": config_map("new", annotations={WAVE: "1"}),
    "app/after.yaml": job("after", "PostSync", policy="HookSucceeded"),
}


def act(stage: Stage, story: Story, way: Way, at: int) -> Outcome:
    """A first sync without disturbance, a second one with, and what is there then."""
    proxy = stage.proxy
    story.commit(BEFORE)
    story.create_application(metadata={"finalizers": ["resources-finalizer.argocd.argoproj.io"]})
    story.sync()
    stage.play(way, 0, lambda: finished(story, 1))
    proxy.writes.clear()
    story.commit(AFTER)
    story.sync(prune=True)
    stage.play(way, at, lambda: finished(story, 2))
    app = story.get()
    state = operation_state(app)
    return Outcome(
        objects=objects(story),
        operation={
            "phase": state["phase"],
            "message": state["message"],
            "results": {
                f"{r['kind']}/{r['name']}": (r["status"], r.get("hookPhase") if r.get("hookType") else "")
                for r in state["syncResult"]["resources"]
                if r["status"] != "Pruned"  # what is gone leaves no entry in a repeated step
            },
            "sync": app["status"]["sync"]["status"],
            "health": app["status"]["health"]["status"],
        },
        history=len(app["status"]["history"]),
        writes=Counter(f"{w.method} {w.path}" for w in destination(proxy, story) if w.method != "DELETE"),
        deletes={w.path for w in destination(proxy, story) if w.method == "DELETE"},
    )


def destination(proxy: CountingProxy, story: Story) -> list[Any]:
    """Writes to the destination namespace, with its name taken out."""
    found = [w for w in proxy.writes if f"/namespaces/{story.namespace}/" in w.path]
    return [msgspec.structs.replace(w, path=w.path.replace(story.namespace, "NAME")) for w in found]


def finished(story: Story, count: int) -> bool:
    app = story.get()
    state = operation_state(app)
    return (
        "operation" not in app
        and state.get("phase") in ("Succeeded", "Failed", "Error")
        and len(app["status"].get("history") or ()) >= count
    )


def objects(story: Story) -> dict[str, Any]:
    text = story.kubectl("get", "configmaps,jobs", "-n", story.namespace, "-o", "json")
    return {
        f"{item['kind']}/{item['metadata']['name']}": item.get("data")
        for item in json.loads(text)["items"]
        if item["metadata"]["name"] != "kube-root-ca.crt" and "deletionTimestamp" not in item["metadata"]
    }


@pytest.fixture(scope="module")
def stage(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    install_beside(control_plane, CONTROL)
    folder = tmp_path_factory.mktemp("stage")
    with CountingProxy(control_plane, folder / "pids" / "tiphys.pid") as proxy:
        yield Stage(control_plane, proxy, folder)


@pytest.fixture(scope="module")
def stories(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("deaths")
    made: list[Story] = []

    def make(name: str) -> Story:
        made.append(Story(control_plane.kubectl, folder / name, name, CONTROL))
        return made[-1]

    yield make
    for story in made:
        story.clean_up()


@pytest.fixture(scope="module")
def undisturbed(stage: Stage, stories: Any) -> Outcome:
    found = act(stage, stories("death-never"), "killed before", 0)
    assert found.operation["phase"] == "Succeeded"
    assert set(found.objects) == {"ConfigMap/changed", "ConfigMap/same", "ConfigMap/new", "Job/before"}
    assert found.writes == {
        "POST /apis/batch/v1/namespaces/NAME/jobs": 2,
        "PATCH /api/v1/namespaces/NAME/configmaps/changed": 1,
        "POST /api/v1/namespaces/NAME/configmaps": 1,
        "PATCH /apis/batch/v1/namespaces/NAME/jobs/before": 1,  # the hook's finalizer leaves
        "PATCH /apis/batch/v1/namespaces/NAME/jobs/after": 1,
    }
    return found


@pytest.mark.parametrize(
    ("way", "at"),
    [
        pytest.param("killed after", 1, id="killed after each write"),
        pytest.param("killed before", 2, id="killed before each write"),
        pytest.param("terminated", 2, id="SIGTERM at each write"),
    ],
)
def test_a_sync_ends_the_same(way: Way, at: int, stage: Stage, stories: Any, undisturbed: Outcome) -> None:
    lives = stage.lives
    found = act(stage, stories(f"death-{way.replace(' ', '-')}"), way, at)
    assert stage.lives - lives > 8, "it died often"
    assert msgspec.structs.asdict(found) == msgspec.structs.asdict(undisturbed)


@pytest.mark.parametrize("way", ["killed after", "terminated"])
def test_a_deletion_ends_the_same(way: Way, stage: Stage, stories: Any) -> None:
    """Every object is deleted once, and the Application goes after the last."""
    story = stories(f"doom-{way.replace(' ', '-')}")
    story.commit(BEFORE)
    story.create_application(
        metadata={"finalizers": ["resources-finalizer.argocd.argoproj.io"]}, syncPolicy=story.automated()
    )
    stage.play(way, 0, lambda: finished(story, 1))
    stage.proxy.writes.clear()
    story.kubectl("delete", APPLICATIONS, story.name, "-n", CONTROL, "--wait=false")
    stage.play(way, 1 if way == "killed after" else 2, lambda: gone(story))
    assert objects(story) == {}
    deleted = Counter(w.path.rpartition("/")[2] for w in destination(stage.proxy, story))
    assert deleted == {"changed": 1, "gone": 1, "same": 1}


def gone(story: Story) -> bool:
    return not story.kubectl.exists(APPLICATIONS, story.name, "-n", CONTROL)
