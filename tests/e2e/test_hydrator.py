"""The source hydrator as a user has it (sources.md 21, applications.md 25).

An operator of its own with the hydrator switched on. One story is told with kubectl and git; in the
others the operator is killed at each write it makes while it hydrates.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tests.controlplane.installation import Operator
from tests.e2e.beside import install_beside, operator_beside
from tests.e2e.installed import patch_config_map, secret, setting
from tests.e2e.proxy import CountingProxy, Way
from tests.e2e.story import Story, conditions, config_map, sync_status
from tests.e2e.test_bad_deaths import Stage
from tests.gitservers import Authority, GitRepo, HttpGitServer

CONTROL = "argocd-hydrator"
KILLED = "argocd-hydrator-killed"
ENABLED = {"ARGOCD_HYDRATOR_ENABLED": "true"}
NOTES = "refs/notes/hydrator.metadata"


_numbers = itertools.count(1)


def unique(word: str) -> str:
    """Objects are told apart by the name of their Application, over the whole plane."""
    return f"{word}-{os.getpid()}-{next(_numbers)}"


def hydrator(story: Story, path: str, **parts: Any) -> dict[str, Any]:
    """A spec.sourceHydrator from ``path`` of main to the same path of env/dev."""
    source = {"repoURL": f"file://{story.repository}", "targetRevision": "main", "path": path}
    sync = {"targetBranch": "env/dev", "path": path, **parts.pop("syncSource", {})}
    return {"drySource": {**source, **parts.pop("drySource", {})}, "syncSource": sync, **parts}


def create(story: Story, path: str, name: str = "", **parts: Any) -> None:
    manifest = story.application(name, syncPolicy=story.automated(prune=True))
    del manifest["spec"]["source"]
    manifest["spec"]["sourceHydrator"] = hydrator(story, path, **parts)
    story.apply(manifest)


def operation(app: dict[str, Any]) -> dict[str, Any]:
    return dict(app.get("status", {}).get("sourceHydrator", {}).get("currentOperation") or {})


def wait_hydrated(story: Story, dry: str, name: str = "") -> dict[str, Any]:
    app = story.wait(
        f"hydrated from {dry}",
        lambda app: operation(app).get("phase") == "Hydrated" and operation(app).get("drySHA") == dry,
        name=name,
    )
    return operation(app)


def wait_failed(story: Story, text: str, name: str = "") -> None:
    story.wait(
        f"failed with {text!r}",
        lambda app: operation(app).get("phase") == "Failed" and text in operation(app)["message"],
        name=name,
    )


def hydrate(story: Story, name: str, kind: str = "normal") -> None:
    """What a webhook does."""
    story.kubectl(
        "annotate",
        "applications.argoproj.io",
        name,
        "-n",
        story.control,
        "--overwrite",
        f"argocd.argoproj.io/hydrate={kind}",
    )


@pytest.fixture(scope="module")
def hydrating(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    folder = tmp_path_factory.mktemp("hydrator")
    with operator_beside(control_plane, folder, CONTROL, environment=ENABLED) as running:
        yield running


@pytest.fixture
def story(hydrating: Operator, control_plane: ControlPlane, tmp_path: Path) -> Iterator[Story]:
    made = Story(control_plane.kubectl, tmp_path / "repository", unique("hydrated"), CONTROL)
    yield made
    made.clean_up()


def test_from_a_dry_commit_to_the_cluster(story: Story) -> None:
    one, two = f"{story.name}-one", f"{story.name}-two"
    first = story.commit(
        {"one/c.yaml": config_map("one", {"a": "1"}), "two/c.yaml": config_map("two", {"a": "1"})},
        "Deploy both\n\nThey belong together.",
    )
    create(story, "one", one)
    create(story, "two", two)
    wait_hydrated(story, first, one)
    wait_hydrated(story, first, two)
    head = story.git("rev-parse", "env/dev")
    for name in (one, two):
        app = story.wait_synced(name=name)
        assert story.git("merge-base", "--is-ancestor", app["status"]["sync"]["revision"], head) == ""
        assert "argocd.argoproj.io/hydrate" not in (app["metadata"].get("annotations") or {})
    files = story.git("ls-tree", "-r", "--name-only", "env/dev").split()
    assert files == [
        ".gitattributes",
        "hydrator.metadata",
        *(
            f"{path}/{name}"
            for path in ("one", "two")
            for name in ("README.md", "hydrator.metadata", "manifest.yaml")
        ),
    ]
    assert story.git("show", "env/dev:one/manifest.yaml").splitlines()[:3] == [
        "apiVersion: v1",
        "data:",
        '  a: "1"',
    ]
    metadata = json.loads(story.git("show", "env/dev:hydrator.metadata"))
    assert metadata["drySha"] == first
    assert (metadata["subject"], metadata["body"]) == ("Deploy both", "They belong together.")
    assert story.git("log", "-1", "--format=%s|%an|%ae", "env/dev") == (
        f"{first[:7]}: Deploy both|Argo CD|argo-cd@example.com"
    )
    found = story.object("configmap", "one")
    assert found is not None
    assert found["data"] == {"a": "1"}

    second = story.commit({"two/c.yaml": config_map("two", {"a": "2"})})
    hydrate(story, one)
    wait_hydrated(story, second, one)
    wait_hydrated(story, second, two)
    assert story.git("rev-parse", "env/dev~1") == head
    assert story.git("diff", "--name-only", "env/dev~1", "env/dev").split() == [
        "hydrator.metadata",
        "two/README.md",
        "two/hydrator.metadata",
        "two/manifest.yaml",
    ]
    found = story.wait_object("configmap", "two", lambda live: live and live["data"] == {"a": "2"})

    third = story.commit({"elsewhere": "nothing that is rendered"})
    hydrate(story, one)
    last = wait_hydrated(story, third, one)
    assert last["hydratedSHA"] == story.git("rev-parse", "env/dev")
    assert story.git("rev-list", "--count", f"{head}..env/dev") == "1"
    note = json.loads(story.git("notes", f"--ref={NOTES}", "show", "env/dev"))
    assert note == {"drySha": third}


def test_one_broken_application_holds_up_its_group(story: Story) -> None:
    good, bad = f"{story.name}-a", f"{story.name}-b"
    story.commit(
        {
            "good/c.yaml": config_map("good"),
            "bad/c.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: [\n",
        }
    )
    create(story, "bad", bad)
    wait_failed(
        story,
        f'Failed to hydrate: failed to get manifests: failed to get repo objects for app "{CONTROL}/{bad}": ',
        bad,
    )
    create(story, "good", good)
    wait_failed(
        story, f"Failed to hydrate: cannot hydrate because application {CONTROL}/{bad} has an error", good
    )
    cured = story.commit({"bad/c.yaml": config_map("bad")})
    hydrate(story, bad)
    wait_hydrated(story, cured, bad)
    wait_hydrated(story, cured, good)
    story.wait_synced(name=good)


def test_a_path_that_two_write_to(story: Story) -> None:
    one, two = f"{story.name}-a", f"{story.name}-b"
    dry = story.commit({"app/c.yaml": config_map("one")})
    create(story, "app", one)
    wait_hydrated(story, dry, one)
    create(story, "app", two)
    wait_failed(story, f"app {CONTROL}/{one} hydrator uses the same destination: repo=", two)
    wait_failed(story, f"app {CONTROL}/{two} hydrator uses the same destination: repo=", one)


def test_a_path_that_two_groups_write_to(story: Story) -> None:
    """Members of different groups never share a run, but they would write over each other."""
    one, two = f"{story.name}-a", f"{story.name}-b"
    dry = story.commit({"app/c.yaml": config_map("one")})
    story.git("branch", "next")
    create(story, "app", one)
    hydrated = wait_hydrated(story, dry, one)["hydratedSHA"]
    create(story, "app", two, drySource={"targetRevision": "next"})
    wait_failed(story, f"app {CONTROL}/{one} hydrator uses the same destination: repo=", two)
    wait_failed(story, f"app {CONTROL}/{two} hydrator uses the same destination: repo=", one)
    assert story.git("rev-parse", "env/dev") == hydrated
    story.kubectl("delete", "applications.argoproj.io", two, "-n", CONTROL)
    wait_hydrated(story, dry, one)  # at once, not with the next commit


def test_a_staging_branch(story: Story) -> None:
    dry = story.commit({"app/c.yaml": config_map("staged")})
    create(story, "app", hydrateTo={"targetBranch": "env/dev-next"})
    wait_hydrated(story, dry)
    text = "app path does not exist - waiting for an external process to update env/dev from env/dev-next"
    story.wait("waiting for a promotion", lambda app: any(text in c["message"] for c in conditions(app)))
    assert story.git("log", "--format=%s", "env/dev") == "Initial commit for env/dev"
    story.git("branch", "-f", "env/dev", "env/dev-next")
    story.refresh()
    story.wait_synced()


def test_only_commits_that_concern_it(story: Story) -> None:
    """The annotation manifest-generate-paths governs the dry source (sources.md 15)."""
    dry = story.commit({"app/c.yaml": config_map("one")})
    create(story, "app")
    story.annotate(**{"manifest-generate-paths": "."})
    wait_hydrated(story, dry)
    elsewhere = story.commit({"elsewhere": "x"})
    story.annotate(hydrate="normal")
    app = story.wait(
        "looked at",
        lambda app: "argocd.argoproj.io/hydrate" not in (app["metadata"].get("annotations") or {}),
    )
    state = app["status"]["sourceHydrator"]
    assert (state["lastComparedDryRevision"], state["currentOperation"]["drySHA"]) == (elsewhere, dry)
    # rewritten history: what was compared is gone
    story.git("reset", "-q", "--hard", dry)
    anew = story.commit({"elsewhere": "y"}, "rewritten")
    story.git("reflog", "expire", "--expire=now", "--all")
    story.git("gc", "-q", "--prune=now")
    concerned = story.commit({"app/c.yaml": config_map("two")})
    story.annotate(hydrate="normal")
    wait_hydrated(story, concerned)
    assert anew != elsewhere
    assert story.git("log", "-1", "--format=%s", "env/dev") == f"{concerned[:7]}: change"


def test_a_branch_that_somebody_deleted_comes_back(story: Story) -> None:
    dry = story.commit({"app/c.yaml": config_map("one")})
    create(story, "app")
    wait_hydrated(story, dry)
    story.wait_synced()
    story.git("branch", "-D", "env/dev")
    hydrate(story, story.name, "hard")
    story.wait(
        "taken up", lambda app: "argocd.argoproj.io/hydrate" not in app["metadata"].get("annotations", {})
    )
    assert "app/manifest.yaml" in story.git("ls-tree", "-r", "--name-only", "env/dev").split()


PASSWORD = "correct-horse-battery"


def test_write_credentials_and_texts(
    hydrating: Operator, control_plane: ControlPlane, story: Story, tmp_path: Path
) -> None:
    """The manifests go to another repository, which wants to know who writes."""
    wet = GitRepo(tmp_path / "served" / "wet")
    authority = Authority()
    kubectl = control_plane.kubectl
    dry = story.commit({"app/c.yaml": config_map("one")}, "Ship it")
    credentials = {"username": "ada", "password": PASSWORD}
    with ExitStack() as stack:
        server = stack.enter_context(
            HttpGitServer(wet.path.parent, basic=("ada", PASSWORD), authority=authority)
        )
        trust = {"localhost": authority.pem}
        stack.enter_context(setting(kubectl, trust, name="argocd-tls-certs-cm", namespace=CONTROL))
        texts = {
            "commit.author.name": "Robot",
            "commit.author.email": "robot@example.org",
            "sourceHydrator.commitMessageTemplate": "{{ .metadata.subject | upper }} ({{ .metadata.nonsense",
            "sourceHydrator.readmeMessageTemplate": "made of {{ .DrySHA }}",
        }
        stack.enter_context(setting(kubectl, texts, namespace=CONTROL))
        create(story, "app", syncSource={"repoURL": f"{server.url}/wet"})
        wait_failed(story, "sourceHydrator.commitMessageTemplate of argocd-cm cannot be rendered")
        # each cure takes effect at once
        texts["sourceHydrator.commitMessageTemplate"] = (
            "{{ .metadata.subject | upper }} by {{ .metadata.author }}"
        )
        patch_config_map(kubectl, "argocd-cm", texts, namespace=CONTROL)
        wait_failed(
            story, "failed to commit hydrated manifests: failed to list refs: authentication required"
        )
        for kind in ("repo-write-creds", "repo-creds"):
            data = {"url": server.url, **credentials}
            stack.enter_context(secret(kubectl, unique(kind), kind, data, namespace=CONTROL))
        wait_hydrated(story, dry)
        story.wait_synced()
        assert wet.git("log", "-1", "--format=%s|%an|%ae", "env/dev") == (
            "SHIP IT by Ada <ada@example.org>|Robot|robot@example.org"
        )
        assert wet.git("show", "env/dev:app/README.md") == f"made of {dry}"
        assert json.loads(wet.git("show", "env/dev:hydrator.metadata"))["repoURL"] == f"{server.url}/wet"
        metrics = hydrating.metrics()
        repo = f'repo="{server.url}/wet"'
        assert f'argocd_commitserver_commit_request_total{{{repo},response_type="success"}} 1.0' in metrics
        assert f'argocd_commitserver_git_request_total{{{repo},request_type="push"}} 2.0' in metrics
        assert 'workqueue_adds_total{name="manifest_hydration_queue"}' in metrics
    told = json.dumps(story.get()) + hydrating.program.log_file.read_text()
    assert PASSWORD not in told


def test_a_project_that_forbids(story: Story) -> None:
    dry = story.commit({"app/c.yaml": config_map("one")})
    project = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": story.name, "namespace": CONTROL},
        "spec": {"sourceRepos": ["https://elsewhere/*"], "destinations": [{"server": "*", "namespace": "*"}]},
    }
    story.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(project))
    try:
        manifest = story.application(project=story.name)
        del manifest["spec"]["source"]
        manifest["spec"]["sourceHydrator"] = hydrator(story, "app")
        story.apply(manifest)
        url = f"file://{story.repository}"
        wait_failed(
            story, f"Failed to hydrate: application repo {url} is not permitted in project '{story.name}'"
        )
        project["spec"]["sourceRepos"] = ["*"]  # type: ignore[index]
        project["spec"]["signatureKeys"] = [{"keyID": "0123456789ABCDEF"}]  # type: ignore[index]
        story.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(project))
        said = f'source integrity verification failed for app "{CONTROL}/{story.name}" dry revision "{dry}": '
        wait_failed(story, said)
        project["spec"]["signatureKeys"] = []  # type: ignore[index]
        story.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(project))
        wait_hydrated(story, dry)
    finally:
        story.kubectl("delete", "appproject", story.name, "-n", CONTROL, "--wait=false")


def test_nobody_hydrates_unless_it_is_switched_on(
    operator: Operator, control_plane: ControlPlane, tmp_path: Path
) -> None:
    story = Story(control_plane.kubectl, tmp_path / "repository", unique("dry"))
    try:
        story.commit({"app/c.yaml": config_map("one")})
        create(story, "app")
        story.wait_condition("ComparisonError", "unable to resolve 'env/dev' to a commit SHA")
        story.refresh()
        assert operation(story.get()) == {}
        assert story.git("branch", "--list", "env/dev") == ""
    finally:
        story.clean_up()


@pytest.fixture(scope="module")
def stage(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    install_beside(control_plane, KILLED)
    folder = tmp_path_factory.mktemp("stage")
    with CountingProxy(control_plane, folder / "pids" / "tiphys.pid") as proxy:
        yield Stage(control_plane, proxy, folder, KILLED, ENABLED)


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("way", "at"),
    [
        pytest.param("killed after", 1, id="killed after each write"),
        pytest.param("killed before", 2, id="killed between a commit and the status"),
        pytest.param("terminated", 2, id="SIGTERM at each write"),
    ],
)
def test_killed_while_it_hydrates(
    way: Way, at: int, stage: Stage, control_plane: ControlPlane, tmp_path: Path
) -> None:
    """The end is that of an undisturbed run: one commit for each dry commit, and the status says so."""
    story = Story(control_plane.kubectl, tmp_path / "repository", unique("killed"), KILLED)
    lives = stage.lives
    try:
        first = story.commit({"app/c.yaml": config_map("one", {"a": "1"})}, "first")
        create(story, "app")
        stage.play(way, at, lambda: is_at(story, first))
        second = story.commit({"app/c.yaml": config_map("one", {"a": "2"})}, "second")
        hydrate(story, story.name)
        stage.play(way, at, lambda: is_at(story, second))
        assert stage.lives - lives >= 4, "it died often"
        assert story.git("log", "--format=%s", "env/dev").splitlines() == [
            f"{second[:7]}: second",
            f"{first[:7]}: first",
            "Initial commit for env/dev",
        ]
        assert operation(story.get())["hydratedSHA"] == story.git("rev-parse", "env/dev")
        note = json.loads(story.git("notes", f"--ref={NOTES}", "show", "env/dev"))
        assert note == {"drySha": second}
        found = story.object("configmap", "one")
        assert found is not None
        assert found["data"] == {"a": "2"}
    finally:
        story.clean_up()


def is_at(story: Story, dry: str) -> bool:
    app = story.get()
    annotations = app["metadata"].get("annotations") or {}
    hydrated = operation(app)
    return bool(
        hydrated.get("phase") == "Hydrated"
        and hydrated.get("drySHA") == dry
        and sync_status(app) == "Synced"
        and app["status"]["sync"]["revision"] == hydrated["hydratedSHA"]
        and "operation" not in app
        and not {"argocd.argoproj.io/hydrate", "argocd.argoproj.io/refresh"} & set(annotations)
    )
