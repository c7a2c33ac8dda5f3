"""What a project inherits: applications.md 16 (last paragraph) and 20."""

import msgspec
import pytest

from tests.projects.building import cluster, project
from tiphys.projects.effective import effective_project
from tiphys.resources.project import AppProject
from tiphys.resources.shape import to_json
from tiphys.settings.clusters import Clusters
from tiphys.settings.model import GlobalProject, LabelSelector, Settings
from tiphys.settings.repositories import Repositories, Repository

SETTINGS = Settings(control_namespace="argocd")
EVERYONE = LabelSelector()
SHOPS = LabelSelector(match_labels=(("kind", "shop"),))

PARENT = project(
    "parent",
    sourceRepos=["https://git.example.com/base"],
    destinations=[{"server": "*", "namespace": "base"}],
    clusterResourceWhitelist=[{"group": "", "kind": "Namespace"}],
    clusterResourceBlacklist=[{"group": "x", "kind": "Y"}],
    namespaceResourceWhitelist=[{"group": "apps", "kind": "*"}],
    namespaceResourceBlacklist=[{"group": "", "kind": "Secret"}],
    syncWindows=[{"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"]}],
    destinationServiceAccounts=[{"server": "*", "namespace": "*", "defaultServiceAccount": "sa"}],
    roles=[{"name": "r"}],
    orphanedResources={"warn": True},
    sourceNamespaces=["team-a"],
    permitOnlyProjectScopedClusters=True,
)


def with_globals(*rules: GlobalProject) -> Settings:
    return msgspec.structs.replace(SETTINGS, global_projects=rules)


def test_nothing_to_inherit_gives_the_same_project() -> None:
    given = project()
    assert effective_project(given, [given], SETTINGS) is given


def test_lists_are_appended_and_the_rest_is_not_inherited() -> None:
    given = project("shop", sourceRepos=["https://git.example.com/own"], labels={"kind": "shop"})
    rules = with_globals(GlobalProject("parent", SHOPS))
    inherited = to_json(effective_project(given, [given, PARENT], rules))["spec"]
    expected = to_json(PARENT)["spec"]
    for own in ("roles", "orphanedResources", "sourceNamespaces", "permitOnlyProjectScopedClusters"):
        del expected[own]
    expected["sourceRepos"] = ["https://git.example.com/own", "https://git.example.com/base"]
    assert inherited == expected


@pytest.mark.parametrize(
    ("rules", "repositories"),
    [
        ([GlobalProject("parent", SHOPS)], ()),  # labels do not match
        ([GlobalProject("shop", EVERYONE)], ()),  # not to itself
        ([GlobalProject("missing", EVERYONE), GlobalProject("parent", EVERYONE)], ()),  # ends the scan
        ([GlobalProject("parent", EVERYONE), GlobalProject("more", EVERYONE)], ("base", "more")),
    ],
)
def test_which_global_projects_apply(rules: list[GlobalProject], repositories: tuple[str, ...]) -> None:
    given = project("shop")
    more = project("more", sourceRepos=["https://git.example.com/more"])
    found = effective_project(given, [given, PARENT, more], with_globals(*rules))
    assert found.spec.source_repos == tuple(f"https://git.example.com/{name}" for name in repositories)


def test_a_project_of_the_same_name_elsewhere_does_not_count() -> None:
    given = project("shop")
    foreign: AppProject = msgspec.structs.replace(
        PARENT, metadata=msgspec.structs.replace(PARENT.metadata, namespace="team-a")
    )
    found = effective_project(given, [given, foreign], with_globals(GlobalProject("parent", EVERYONE)))
    assert found is given


def test_scoped_repositories_and_clusters() -> None:
    given = project("shop", destinations=[{"server": "https://a", "namespace": "a"}])
    settings = msgspec.structs.replace(
        SETTINGS,
        repositories=Repositories.of(
            [
                Repository(url="https://git.example.com/scoped", project="shop"),
                Repository(url="https://git.example.com/other", project="other"),
            ]
        ),
        clusters=Clusters.of(
            (
                cluster("https://b", "b", project="shop"),
                cluster("https://c", "c", project="shop", namespaces=("x", "y")),
                cluster("https://d", "d", project="other"),
            )
        ),
    )
    spec = effective_project(given, [given], settings).spec
    assert spec.source_repos == ("https://git.example.com/scoped",)
    assert [(d.server, d.namespace) for d in spec.destinations] == [
        ("https://a", "a"),
        ("https://b", "*"),
        ("https://c", "x"),
        ("https://c", "y"),
    ]
