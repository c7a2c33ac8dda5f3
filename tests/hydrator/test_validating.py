"""What forbids to hydrate (sources.md 21.3 step 2)."""

from typing import Any

import pytest

from tests.hydrator.building import DRY, application, project
from tiphys.hydrator.validating import problems_of, with_the_others
from tiphys.resources.application import Application
from tiphys.resources.identity import AppKey
from tiphys.resources.project import AppProject


def problems(*apps: Application, of: AppProject | str | None = None) -> dict[str, str]:
    projects: dict[AppKey, AppProject | str] = {app.key: of or project() for app in apps}
    return {str(key): text for key, text in problems_of(apps, projects).items()}


@pytest.mark.parametrize(
    ("parts", "allowed", "problem"),
    [
        pytest.param({}, (), "", id="fine"),
        pytest.param(
            {},
            ("https://git.example/other",),
            "application repo https://git.example/Dry.git is not permitted in project 'default'",
            id="dry repository",
        ),
        pytest.param(
            {"sync": {"repoURL": "https://git.example/wet"}},
            ("https://git.example/dry",),
            "destination repo https://git.example/wet is not permitted in project 'default'",
            id="destination repository",
        ),
        *(
            pytest.param(
                {"sync": {"path": path}},
                (),
                f'app is configured to hydrate to the repository root (branch "env/dev", path "{path}") '
                "which is not allowed",
                id=f"root {path!r}",
            )
            for path in ("", ".", "./", "/", "//", "a/..")
        ),
        pytest.param(
            {"sync": {"path": "."}, "hydrate_to": "env/next"},
            (),
            'app is configured to hydrate to the repository root (branch "env/next", path ".") '
            "which is not allowed",
            id="root of hydrateTo",
        ),
        *(
            pytest.param(
                {"sync": {"path": path}},
                (),
                f'app is configured to hydrate to path "{path}" of branch "env/dev", {why}',
                id=f"path {path!r}",
            )
            for path, why in (
                ("../x", "which may not contain '..'"),
                ("a/../../x", "which may not contain '..'"),
                ("/etc/x", "which is absolute: name it from the repository's root"),
                (".git/hooks", "which git keeps for itself"),
                ("a/.GIT", "which git keeps for itself"),
                (".git./x", "which git keeps for itself"),
                ("a/.Git . /x", "which git keeps for itself"),
                ("a/.git:b", "which git keeps for itself"),
                ("a\\.git", "which git keeps for itself"),
                ("a\nb", "which holds control characters"),
            )
        ),
        *(
            pytest.param(
                {"sync": {"targetBranch": name}},
                (),
                f"{name!r} is no name that a branch can have: change spec.sourceHydrator",
                id=f"branch {name!r}",
            )
            for name in ("-x", "a..b", "a b", "a:b", "refs//x", ".x", "x.lock", "x/", "a@{1}", "a\nb", "@")
        ),
        pytest.param(
            {"dry": {"repoURL": ""}},
            (),
            "spec.sourceHydrator.drySource.repoURL is required",
            id="no dry repo",
        ),
        pytest.param(
            {"sync": {"targetBranch": ""}},
            (),
            "spec.sourceHydrator.syncSource.targetBranch is required",
            id="no branch",
        ),
        pytest.param(
            {"hydrate_to": ""},
            (),
            "when spec.sourceHydrator.hydrateTo is set, "
            "spec.sourceHydrator.hydrateTo.targetBranch is required",
            id="no hydrateTo branch",
        ),
    ],
)
def test_one(parts: dict[str, Any], allowed: tuple[str, ...], problem: str) -> None:
    assert problems(application(**parts), of=project(*allowed)) == ({"argocd/a": problem} if problem else {})


def test_no_project() -> None:
    assert problems(application(), of="it does not exist") == {
        "argocd/a": 'failed to get project "default": it does not exist'
    }


@pytest.mark.parametrize("path", ["apps/a", "./apps/a", "apps//a/", "apps/b/../a"])
def test_the_same_destination(path: str) -> None:
    found = problems(
        application("a"), application("b", sync={"path": path}), application("c", sync={"path": "c"})
    )
    if ".." in path:
        assert list(found) == ["argocd/b"]
        return
    where = "hydrator uses the same destination: repo=https://git.example/Dry.git, path="
    assert found == {
        "argocd/a": f"app argocd/b {where}{path}",
        "argocd/b": f"app argocd/a {where}{path}",
    }


def test_the_same_destination_of_another_group() -> None:
    mine, theirs = application("b"), application("a", dry={"targetRevision": "next"})
    broken = application("c", dry={"targetRevision": "next", "repoURL": ""}, sync={"repoURL": DRY["repoURL"]})
    projects: dict[AppKey, AppProject | str] = {app.key: project() for app in (mine, theirs, broken)}
    where = "hydrator uses the same destination: repo=https://git.example/Dry.git, path=apps/a"
    assert problems_of([mine], projects, [theirs]) == {
        mine.key: f"app argocd/a {where}",
        theirs.key: f"app argocd/b {where}",
    }
    assert list(problems_of([mine], projects, [broken])) == [broken.key]  # it writes nothing


def test_a_path_below_another_is_one_of_its_own() -> None:
    assert problems(application("a"), application("b", sync={"path": "apps/a/b"})) == {}


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        (["b"], "cannot hydrate because application argocd/b has an error"),
        (["c", "b"], "cannot hydrate because application argocd/b and 1 more have errors"),
        (["d", "c", "b"], "cannot hydrate because application argocd/b and 2 more have errors"),
    ],
)
def test_the_others(broken: list[str], text: str) -> None:
    apps = [application(name) for name in "abcd"]
    found = with_the_others(apps, {AppKey("argocd", name): f"{name} is broken" for name in broken})
    assert {key.name: problem for key, problem in found.items()} == {
        name: f"{name} is broken" if name in broken else text for name in "abcd"
    }
