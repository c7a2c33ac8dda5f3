"""Which Applications a push concerns (sources.md 22.4, 22.5)."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.resources.application import Application, decode
from tiphys.server.webhooks.events import ArtifactPush, Push
from tiphys.server.webhooks.matching import Index, concerned, place_of


def app(name: str = "app", annotations: dict[str, str] | None = None, **spec: Any) -> Application:
    return decode(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": name, "namespace": "argocd", "annotations": annotations or {}},
            "spec": {"project": "default", "destination": {}, **spec},
        }
    )


def source(url: str = "https://github.com/org/repo", target: str = "", path: str = "apps/a") -> Any:
    return {"repoURL": url, "targetRevision": target, "path": path}


def push(**changes: Any) -> Push:
    known: dict[str, Any] = {"urls": ("https://github.com/org/repo",), "revision": "main"}
    return Push(**(known | changes))


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://github.com/org/repo", "github.com/org/repo"),
        ("https://GitHub.com/Org/Repo.git", "github.com/org/repo"),
        ("https://user:pw@github.com:8443/org/repo.git", "github.com/org/repo"),
        ("git@github.com:org/repo.git", "github.com/org/repo"),
        ("ssh://git@ssh.github.com:443/org/repo", "github.com/org/repo"),
        ("git@altssh.bitbucket.org:443/org/repo", "bitbucket.org/org/repo"),
        ("ssh://git@stash:7999/p/r.git", "stash/p/r"),
        ("not an address", ""),
        ("", ""),
    ],
)
def test_places(url: str, place: str) -> None:
    assert place_of(url) == place


def keys(event: Any, *apps: Application) -> list[tuple[str, bool]]:
    index = Index(apps)
    by_key = {each.key: each for each in apps}
    return [(each.key.name, each.hydrate) for each in concerned(event, index, by_key.get)]


PATHS = {"argocd.argoproj.io/manifest-generate-paths": ".;/shared"}
HYDRATOR: dict[str, Any] = {
    "sourceHydrator": {
        "drySource": {"repoURL": "https://github.com/org/repo", "targetRevision": "main", "path": "dry"},
        "syncSource": {"targetBranch": "env/dev", "path": "wet"},
    }
}


@pytest.mark.parametrize(
    ("application", "event", "found"),
    [
        pytest.param(app(source=source()), push(), True, id="head-follows-the-default-branch"),
        pytest.param(app(source=source()), push(touches_default=False), False, id="head-and-another-branch"),
        pytest.param(app(source=source(target="main")), push(touches_default=False), True, id="branch"),
        pytest.param(app(source=source(target="refs/heads/main")), push(), True, id="full-ref"),
        pytest.param(app(source=source(target="dev")), push(), False, id="another-branch"),
        pytest.param(app(source=source(target="1.x")), push(revision="v1.4.0"), True, id="constraint"),
        pytest.param(app(source=source(target="2.x")), push(revision="v1.4.0"), False, id="not-accepted"),
        pytest.param(app(source=source("git@github.com:org/repo.git")), push(), True, id="ssh-address"),
        pytest.param(app(source=source("https://github.com/org/other")), push(), False, id="another-repo"),
        pytest.param(app(sources=[source("https://x/y"), source()]), push(), True, id="second-source"),
        pytest.param(app(annotations=PATHS, source=source()), push(files=("apps/a/x",)), True, id="below"),
        pytest.param(app(annotations=PATHS, source=source()), push(files=("shared/x",)), True, id="shared"),
        pytest.param(
            app(annotations=PATHS, source=source()), push(files=("apps/b/x",)), False, id="elsewhere"
        ),
        pytest.param(app(annotations=PATHS, source=source()), push(files=()), True, id="no-files-told"),
        pytest.param(app(annotations=PATHS, source=source()), push(files=None), True, id="files-unknown"),
        pytest.param(app(source=source()), push(files=("elsewhere",)), True, id="no-annotation"),
    ],
)
def test_pushes(application: Application, event: Push, found: bool) -> None:
    assert keys(event, application) == ([("app", False)] if found else [])


@pytest.mark.parametrize(
    ("event", "found"),
    [
        pytest.param(push(), [("app", True)], id="dry-branch-asks-for-hydration"),
        pytest.param(push(revision="env/dev", files=("wet/x",)), [("app", False)], id="synced-branch"),
        pytest.param(push(revision="env/dev", files=("other/x",)), [], id="synced-branch-elsewhere"),
    ],
)
def test_hydrated(event: Push, found: list[tuple[str, bool]]) -> None:
    assert keys(event, app(**HYDRATOR)) == found


CHART = {"repoURL": "ghcr.io/org", "chart": "chart", "targetRevision": "1.x"}
OCI = {"repoURL": "oci://ghcr.io/org/chart", "path": ".", "targetRevision": "1.2.3"}


@pytest.mark.parametrize(
    ("spec", "tag", "found"),
    [
        pytest.param(CHART, "1.2.3", True, id="chart"),
        pytest.param(CHART, "2.0.0", False, id="chart-not-accepted"),
        pytest.param(OCI, "1.2.3", True, id="oci"),
        pytest.param(OCI, "1.2.4", False, id="oci-another-tag"),
        pytest.param(OCI | {"repoURL": "oci://GHCR.io/Org/Chart"}, "1.2.3", True, id="case"),
    ],
)
def test_artifacts(spec: Any, tag: str, found: bool) -> None:
    event = ArtifactPush("ghcr.io", "org/chart", tag)
    assert keys(event, app(source=spec)) == ([("app", True)] if found else [])


def test_the_index_follows_changes() -> None:
    first, moved = app(source=source()), app(source=source("https://github.com/org/other"))
    index = Index([first])
    assert index.at(["github.com/org/repo"]) == [first.key]
    index.changed(first, moved)
    assert index.at(["github.com/org/repo"]) == []
    assert index.at(["github.com/org/other"]) == [first.key]
    index.changed(moved, None)
    assert index.at(["github.com/org/other"]) == []
