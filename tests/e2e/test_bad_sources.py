"""Repositories that do not answer, charts that do not end, and disks that are full.

An operator of its own with a short limit for tools, no grace period, and a small disk for its
caches; its healthy Application shares all of that with the broken ones.
"""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tests.controlplane.installation import Operator
from tests.e2e.beside import operator_beside
from tests.e2e.neighbours import Neighbour
from tests.e2e.story import Story, conditions, config_map, sync_status
from tests.gitservers import HttpGitServer, small_disk

pytestmark = pytest.mark.timeout(120)

CONTROL = "argocd-bad"
CHART = "apiVersion: v2\nname: chart\nversion: 1.0.0\n"
TOOL_SECONDS = 4
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with small_disk(tmp_path_factory.mktemp("cache") / "disk", "24m") as path:
        yield path


@pytest.fixture(scope="module")
def strict_operator(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory, disk: Path
) -> Iterator[Operator]:
    environment = {
        "ARGOCD_EXEC_TIMEOUT": f"{TOOL_SECONDS}s",
        "ARGOCD_REPO_ERROR_GRACE_PERIOD_SECONDS": "0s",
        "TIPHYS_CACHE_DIR": str(disk),
    }
    folder = tmp_path_factory.mktemp("strict")
    with operator_beside(control_plane, folder, CONTROL, environment=environment) as running:
        yield running


def make_story(control_plane: ControlPlane, folder: Path, name: str) -> Story:
    return Story(control_plane.kubectl, folder / f"repository-{name}", name, CONTROL)


@pytest.fixture(scope="module")
def healthy(
    strict_operator: Operator, control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Neighbour]:
    story = make_story(control_plane, tmp_path_factory.mktemp("healthy"), "bad-healthy")
    yield Neighbour(story)
    story.clean_up()


@pytest.fixture
def bad(healthy: Neighbour, control_plane: ControlPlane, tmp_path: Path) -> Iterator[Story]:
    """A story of the strict operator; the healthy Application goes on when it ends."""
    story = make_story(control_plane, tmp_path, f"bad-{next(_numbers)}")
    yield story
    healthy.still_syncs()
    story.clean_up()


SPECS: dict[str, tuple[dict[str, Any], str, str]] = {
    "both types": (
        {"source": {"helm": {"releaseName": "a"}, "kustomize": {"namePrefix": "a-"}}},
        "ComparisonError",
        "multiple application sources defined: Kustomize,Helm",
    ),
    "a chart without revision": (
        {"source": {"chart": "nginx", "path": "", "targetRevision": ""}},
        "InvalidSpecError",
        "spec.source.targetRevision is required if the manifest source is a helm chart",
    ),
    "neither path nor chart": (
        {"source": {"path": ""}},
        "InvalidSpecError",
        "spec.source.repoURL and either spec.source.path or spec.source.chart are required",
    ),
    "an unknown project": (
        {"project": "nobody"},
        "InvalidSpecError",
        "Application referencing project nobody which does not exist",
    ),
    "an unknown cluster by name": (
        {"destination": {"name": "nowhere", "namespace": "default"}},
        "InvalidSpecError",
        "there are no clusters with this name: nowhere",
    ),
    "an unknown cluster by server": (
        {"destination": {"server": "https://nowhere.example.org", "namespace": "default"}},
        "InvalidSpecError",
        'cluster "https://nowhere.example.org" not found',
    ),
    "two destinations": (
        {"destination": {"server": "https://kubernetes.default.svc", "name": "in-cluster"}},
        "InvalidSpecError",
        "application destination can't have both name and server defined: in-cluster https://",
    ),
    "no destination": (
        {"destination": {"namespace": "default"}},
        "InvalidSpecError",
        "Destination server missing from app spec",
    ),
    "an unknown branch": (
        {"source": {"targetRevision": "gone"}},
        "ComparisonError",
        "unable to resolve 'gone' to a commit SHA",
    ),
    "an unreachable repository": (
        {"source": {"repoURL": "http://127.0.0.1:1/repository.git"}},
        "ComparisonError",
        "failed to list refs",
    ),
}


@pytest.fixture(scope="module")
def impossible(
    healthy: Neighbour, control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    """One Application for each of SPECS."""
    story = make_story(control_plane, tmp_path_factory.mktemp("impossible"), "bad-spec")
    story.commit({"app/one.yaml": config_map("one")})
    for number, (spec, _, _) in enumerate(SPECS.values()):
        story.create_application(f"bad-spec-{number}", syncPolicy=story.automated(), **spec)
    yield story
    story.clean_up()


@pytest.mark.parametrize("name", SPECS)
def test_an_impossible_spec(name: str, impossible: Story, healthy: Neighbour) -> None:
    _, kind, text = SPECS[name]
    app = impossible.wait_condition(kind, text, name=f"bad-spec-{list(SPECS).index(name)}")
    assert sync_status(app) == "Unknown"
    assert "operationState" not in app["status"], "what cannot be compared is not synced"
    assert impossible.object("configmap", "one") is None
    healthy.still_syncs()


def test_an_unauthorised_repository_until_it_has_credentials(bad: Story) -> None:
    bad.commit({"app/one.yaml": config_map("one")})
    with HttpGitServer(bad.repository.parent, basic=("ada", "s3cret-word")) as server:
        url = f"{server.url}/{bad.repository.name}"
        bad.create_application(source={"repoURL": url}, syncPolicy=bad.automated())
        app = bad.wait_condition("ComparisonError", "authentication required")
        assert sync_status(app) == "Unknown"
        credentials = {"type": "git", "url": url, "username": "ada", "password": "s3cret-word"}
        literals = [f"--from-literal={key}={value}" for key, value in credentials.items()]
        bad.kubectl("create", "secret", "generic", bad.name, "-n", CONTROL, *literals)
        label = "argocd.argoproj.io/secret-type=repository"
        bad.kubectl("label", "secret", bad.name, "-n", CONTROL, label)
        assert not conditions(bad.wait_synced())
        bad.kubectl("delete", "secret", bad.name, "-n", CONTROL)


def test_a_repository_that_goes_away_and_comes_back(bad: Story) -> None:
    bad.commit({"app/one.yaml": config_map("one")})
    with HttpGitServer(bad.repository.parent) as server:
        url = f"{server.url}/{bad.repository.name}"
        bad.create_application(source={"repoURL": url}, syncPolicy=bad.automated(prune=True))
        bad.wait_synced()
        hidden = bad.repository.rename(bad.repository.with_name("hidden"))
        app = bad.wait_condition("ComparisonError", "Failed to load target state")
        assert sync_status(app) == "Unknown"
        assert bad.object("configmap", "one"), "nothing is pruned for want of a repository"
        hidden.rename(bad.repository)
        assert not conditions(bad.wait_synced())


@pytest.mark.parametrize(
    ("template", "text"),
    [
        pytest.param(
            "{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}",
            f"helm exceeded the time limit of {TOOL_SECONDS} s and was killed",
            id="one that never ends",
        ),
        pytest.param('{{ range until 1024 }}{{ repeat 1048576 "x" }}{{ end }}', "limit of", id="one of 1 GB"),
    ],
)
def test_a_helm_chart_without_measure(
    template: str, text: str, bad: Story, strict_operator: Operator
) -> None:
    bad.commit({"app/Chart.yaml": CHART, "app/templates/keep.yaml": config_map("keep")})
    bad.create_application(syncPolicy=bad.automated(prune=True))
    bad.wait_synced()
    bad.commit({"app/templates/more.yaml": template})
    app = bad.wait_condition("ComparisonError", "helm exceeded the ")
    (message,) = [c["message"] for c in conditions(app)]
    assert text in message
    assert sync_status(app) == "Unknown"
    assert bad.object("configmap", "keep")
    assert not children_named("helm", strict_operator.program.pid)
    bad.commit({"app/templates/more.yaml": None})
    assert not conditions(bad.wait_synced())


def children_named(name: str, parent: int) -> list[int]:
    """Processes of this name that ``parent`` started."""
    done = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(parent)], capture_output=True, text=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    return [int(row[0]) for row in rows if row[1] == name]


def test_a_force_push_during_a_render(bad: Story, strict_operator: Operator) -> None:
    """The commit that is being rendered is gone from the repository: the new one is what counts."""
    slow = "{{ range until 4000 }}{{ range until 3000 }}{{ end }}{{ end }}"
    files = {
        "app/Chart.yaml": CHART,
        "app/templates/slow.yaml": slow,
        "app/templates/one.yaml": config_map("one", {"from": "old"}),
        "app/templates/only-old.yaml": config_map("only-old"),
    }
    bad.commit(files)
    bad.create_application(syncPolicy=bad.automated(prune=True))
    for _ in range(200):
        if children_named("helm", strict_operator.program.pid):
            break
        subprocess.run(["sleep", "0.05"], check=True)
    else:
        raise AssertionError("no render was seen")
    (bad.repository / "app/templates/one.yaml").write_text(config_map("one", {"from": "new"}))
    (bad.repository / "app/templates/only-old.yaml").unlink()
    bad.git("add", "-A")
    bad.git("commit", "-q", "--amend", "-m", "other history")
    bad.git("reflog", "expire", "--expire=now", "--all")
    bad.git("gc", "-q", "--prune=now")
    app = bad.wait_synced(bad.git("rev-parse", "HEAD"))
    assert not conditions(app)
    one = bad.object("configmap", "one")
    assert one is not None
    assert one["data"] == {"from": "new"}
    assert bad.object("configmap", "only-old") is None


def test_a_full_disk(bad: Story, disk: Path, control_plane: ControlPlane, tmp_path: Path) -> None:
    """It is named with its cure; what is fetched already goes on; nobody has to help afterwards."""
    bad.commit({"app/one.yaml": config_map("one")})
    bad.create_application(syncPolicy=bad.automated(selfHeal=True))
    bad.wait_synced()
    other = make_story(control_plane, tmp_path, f"{bad.name}-other")
    filler = disk / "filler"
    with filler.open("wb") as file:
        try:
            while True:
                file.write(b"\0" * 65536)
                file.flush()
        except OSError:
            pass
    try:
        other.commit({"app/two.yaml": config_map("two")})
        other.create_application(syncPolicy=bad.automated())
        app = other.wait_condition("ComparisonError", "no space left on device")
        (message,) = [c["message"] for c in conditions(app)]
        assert "free space" in message
        assert str(disk) not in message
        # What is known already needs no disk: drift is healed.
        bad.kubectl("delete", "configmap", "one", "-n", bad.namespace)
        bad.wait_object("configmap", "one", bool)
    finally:
        filler.unlink()
    assert not conditions(other.wait_synced())
    other.clean_up()
