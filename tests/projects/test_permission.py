"""What a project permits: applications.md 16."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.projects.building import SERVER, cluster, project
from tiphys.projects.permission import (
    permits_app_namespace,
    permits_destination,
    permits_kind,
    permits_live,
    permits_source,
    permits_wherever_it_is,
)
from tiphys.resources.identity import ResourceKey


@pytest.mark.parametrize(
    ("repos", "url", "expected"),
    [
        ([], "https://git.example.com/a", False),
        (["*"], "https://git.example.com/a/b", True),
        (["https://git.example.com/a"], "https://git.example.com/a.git", True),
        (["https://git.example.com/a.git"], "https://GIT.example.com/A", True),
        (["git@git.example.com:a/b.git"], "ssh://git@git.example.com/a/b", True),
        (["https://git.example.com/a/*"], "https://git.example.com/a/b", True),
        (["https://git.example.com/a/*"], "https://git.example.com/a/b/c", False),
        (["https://git.example.com/a/**"], "https://git.example.com/a/b/c", True),
        (["!https://git.example.com/secret"], "https://git.example.com/a", True),
        (["!https://git.example.com/secret"], "https://git.example.com/secret.git", False),
        (["*", "!https://git.example.com/secret"], "https://git.example.com/secret", False),
        (["!https://git.example.com/secret", "*"], "https://git.example.com/secret", False),
        (["https://git.example.com/b", "!https://git.example.com/s/*"], "https://git.example.com/c", True),
        (["https://git.example.com/["], "https://git.example.com/[", False),
    ],
)
def test_sources(repos: list[str], url: str, expected: bool) -> None:
    assert permits_source(project(sourceRepos=repos), url) is expected


def test_a_url_that_cannot_be_parsed_does_not_slip_past_a_denial() -> None:
    forbidding = project(sourceRepos=["*", "!https://git.example.com/**"])
    assert not permits_source(forbidding, "https://git.example.com/%zz")


IN = {"server": SERVER, "name": "in-cluster"}
ANY = {"server": "*", "namespace": "*"}


@pytest.mark.parametrize(
    ("rules", "namespace", "expected"),
    [
        ([], "shop", False),
        ([ANY], "shop", True),
        ([{"server": SERVER, "namespace": "shop"}], "shop", True),
        ([{"server": SERVER, "namespace": "shop"}], "other", False),
        ([{"server": SERVER, "namespace": "shop-*"}], "shop-a", True),
        ([{"name": "in-cluster", "namespace": "*"}], "shop", True),
        ([{"name": "other", "namespace": "*"}], "shop", False),
        ([{"server": "https://kubernetes.*", "namespace": "*"}], "shop", True),
        ([{"server": SERVER}], "shop", False),  # empty pattern: only an empty value
        ([{"server": SERVER}], "", True),
        ([{"namespace": "shop"}], "shop", False),
        # denials
        ([ANY, {"server": "*", "namespace": "!kube-system"}], "kube-system", False),
        ([ANY, {"server": "*", "namespace": "!kube-system"}], "shop", True),
        ([{"server": "*", "namespace": "!kube-system"}], "shop", True),
        ([ANY, {"server": f"!{SERVER}", "namespace": "*"}], "shop", False),
        ([ANY, {"server": f"!{SERVER}", "namespace": "other"}], "shop", True),
        ([ANY, {"name": "!in-cluster", "namespace": "other"}], "shop", False),  # whatever the namespace
        ([ANY, {"name": "!elsewhere", "namespace": "*"}], "shop", True),
        # a name match does not count for a denial by namespace
        ([ANY, {"name": "in-cluster", "namespace": "!shop"}], "shop", True),
    ],
)
def test_destinations(rules: list[dict[str, str]], namespace: str, expected: bool) -> None:
    assert permits_destination(project(destinations=rules), **IN, namespace=namespace) is expected


@pytest.mark.parametrize(
    ("scoped", "expected"),
    [
        ([], False),
        ([cluster()], True),
        ([cluster("https://other", "in-cluster")], True),
        ([cluster("https://other", "other")], False),
    ],
)
def test_only_project_scoped_clusters(scoped: list[Any], expected: bool) -> None:
    strict = project(destinations=[ANY], permitOnlyProjectScopedClusters=True)
    assert permits_destination(strict, **IN, namespace="a", scoped_clusters=scoped) is expected


NAMESPACE = [{"group": "", "kind": "Namespace"}]


@pytest.mark.parametrize(
    ("spec", "group", "kind", "name", "expected"),
    [
        ({}, "", "Namespace", "a", False),
        ({"clusterResourceWhitelist": NAMESPACE}, "", "Namespace", "a", True),
        ({"clusterResourceWhitelist": [{"group": "*", "kind": "*"}]}, "rbac.x.io", "ClusterRole", "a", True),
        ({"clusterResourceWhitelist": [{"group": "*", "kind": "Namesp*"}]}, "", "Namespace", "a", True),
        (
            {"clusterResourceWhitelist": NAMESPACE, "clusterResourceBlacklist": NAMESPACE},
            "",
            "Namespace",
            "a",
            False,
        ),
        (
            {"clusterResourceWhitelist": [{"group": "", "kind": "Namespace", "name": "shop-*"}]},
            "",
            "Namespace",
            "shop-a",
            True,
        ),
        (
            {"clusterResourceWhitelist": [{"group": "", "kind": "Namespace", "name": "shop-*"}]},
            "",
            "Namespace",
            "other",
            False,
        ),
    ],
)
def test_cluster_scoped_kinds(spec: dict[str, Any], group: str, kind: str, name: str, expected: bool) -> None:
    assert permits_kind(project(**spec), group, kind, namespaced=False, name=name) is expected


@pytest.mark.parametrize(
    ("spec", "group", "kind", "expected"),
    [
        ({}, "apps", "Deployment", True),
        ({"namespaceResourceWhitelist": []}, "apps", "Deployment", False),
        ({"namespaceResourceWhitelist": [{"group": "apps", "kind": "*"}]}, "apps", "Deployment", True),
        ({"namespaceResourceWhitelist": [{"group": "apps", "kind": "*"}]}, "", "Secret", False),
        ({"namespaceResourceBlacklist": [{"group": "", "kind": "Secret"}]}, "", "Secret", False),
        ({"namespaceResourceBlacklist": [{"group": "", "kind": "Secret"}]}, "x.io", "Secret", True),
        ({"namespaceResourceBlacklist": [{"group": "*", "kind": "[S]ecret"}]}, "x.io", "Secret", False),
        ({"namespaceResourceBlacklist": [{"group": "*", "kind": "["}]}, "", "Secret", True),
    ],
)
def test_namespaced_kinds(spec: dict[str, Any], group: str, kind: str, expected: bool) -> None:
    assert permits_kind(project(**spec), group, kind, namespaced=True) is expected


@pytest.mark.parametrize(
    ("spec", "key", "expected"),
    [
        ({"destinations": [ANY]}, ResourceKey("apps", "Deployment", "shop", "a"), True),
        ({}, ResourceKey("apps", "Deployment", "shop", "a"), False),
        ({"destinations": [ANY]}, ResourceKey("", "Namespace", "", "a"), False),
        ({"clusterResourceWhitelist": NAMESPACE}, ResourceKey("", "Namespace", "", "a"), True),
    ],
)
def test_live_objects(spec: dict[str, Any], key: ResourceKey, expected: bool) -> None:
    assert permits_live(project(**spec), key, cluster=cluster()) is expected


@pytest.mark.parametrize(("owner", "expected"), [("shop", True), ("other", False), ("", False)])
def test_live_objects_in_project_scoped_clusters(owner: str, expected: bool) -> None:
    strict = project(destinations=[ANY], permitOnlyProjectScopedClusters=True)
    key = ResourceKey("apps", "Deployment", "shop", "a")
    assert permits_live(strict, key, cluster=cluster(project=owner)) is expected


@pytest.mark.parametrize(
    ("patterns", "namespace", "expected"),
    [
        ([], "argocd", True),
        ([], "", True),
        ([], "team-a", False),
        (["team-*"], "team-a", True),
        (["/^team-[ab]$/"], "team-c", False),
    ],
)
def test_app_namespaces(patterns: list[str], namespace: str, expected: bool) -> None:
    assert permits_app_namespace(project(sourceNamespaces=patterns), namespace, "argocd") is expected


NO_PROD = {"server": "!https://prod.*", "namespace": "*"}


@pytest.mark.parametrize(
    ("rules", "namespace", "expected"),
    [
        ([], "shop", False),
        ([ANY], "shop", True),
        ([{"name": "far", "namespace": "*"}], "shop", True),
        ([{"server": "https://*", "namespace": "*"}], "shop", False),
        ([ANY, NO_PROD], "shop", False),
        ([NO_PROD], "shop", False),
        ([ANY, {**NO_PROD, "namespace": "other"}], "shop", True),
        ([ANY, {**NO_PROD, "name": "far"}], "shop", True),
        ([ANY, {"server": "https://prod.*", "namespace": "!shop"}], "shop", False),
        ([ANY, {"server": "https://prod.*", "namespace": "!shop"}], "other", True),
        ([ANY, {"name": "!far", "server": "none", "namespace": "*"}], "shop", False),
        ([ANY, {"name": "!near", "server": "none", "namespace": "*"}], "shop", True),
        ([ANY, {"name": "!near", "server": "none", "namespace": "other"}], "shop", True),
    ],
)
def test_a_cluster_of_which_only_the_name_is_known(
    rules: list[dict[str, str]], namespace: str, expected: bool
) -> None:
    found = permits_wherever_it_is(project(destinations=rules), name="far", namespace=namespace)
    assert found is expected


def _patterns(*texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from(["", "*", "**", "[", *texts, *(f"!{text}" for text in texts)])


@given(
    rules=st.lists(
        st.fixed_dictionaries(
            {
                "server": _patterns("https://a", "https://*", "http*", "?ttps://b"),
                "name": _patterns("far", "f*", "near"),
                "namespace": _patterns("shop", "s*", "other"),
            }
        ),
        max_size=4,
    ),
    name=st.sampled_from(["far", "near"]),
    namespace=st.sampled_from(["shop", "other", ""]),
    scoped=st.booleans(),
)
def test_what_is_permitted_wherever_it_is_is_permitted_everywhere(
    rules: list[dict[str, str]], name: str, namespace: str, scoped: bool
) -> None:
    made = project(destinations=rules, permitOnlyProjectScopedClusters=scoped)
    own = [cluster("https://a", "far")]
    if permits_wherever_it_is(made, name=name, namespace=namespace, scoped_clusters=own):
        for server in ("https://a", "https://b", "http://c", "x"):
            assert permits_destination(
                made, server=server, name=name, namespace=namespace, scoped_clusters=own
            )
