"""Orphaned resources (applications.md 21) and impersonation (applications.md 19)."""

from typing import Any

import pytest

from tests.projects.building import SERVER, app, cluster, project
from tiphys.projects.impersonation import ImpersonationError, impersonated_user
from tiphys.projects.orphans import is_orphan, monitors_orphans, orphan_message, warns_of_orphans
from tiphys.resources.identity import ResourceKey

ANYWHERE = [{"server": "*", "namespace": "*"}]


@pytest.mark.parametrize(
    ("setting", "monitors", "warns"),
    [(None, False, False), ({}, True, False), ({"warn": False}, True, False), ({"warn": True}, True, True)],
)
def test_whether_orphans_are_looked_for(setting: dict[str, Any] | None, monitors: bool, warns: bool) -> None:
    given = project(**({} if setting is None else {"orphanedResources": setting}))
    assert (monitors_orphans(given), warns_of_orphans(given)) == (monitors, warns)


def key(group: str, kind: str, name: str, namespace: str = "shop") -> ResourceKey:
    return ResourceKey(group, kind, namespace, name)


@pytest.mark.parametrize(
    ("ignore", "found", "expected"),
    [
        ([], key("", "ConfigMap", "a"), True),
        ([], key("", "Service", "kubernetes", "default"), False),
        ([], key("", "Service", "kubernetes", "shop"), True),
        ([], key("x.io", "Service", "kubernetes", "default"), True),
        ([], key("", "ServiceAccount", "default"), False),
        ([], key("", "ServiceAccount", "other"), True),
        ([], key("", "ConfigMap", "kube-root-ca.crt"), False),
        ([], key("", "Secret", "denied"), False),  # kind not permitted by the project
        ([{}], key("", "ConfigMap", "a"), False),
        ([{}], key("apps", "Deployment", "a"), True),  # an empty group is the core group
        ([{"group": "*"}], key("apps", "Deployment", "a"), False),
        ([{"group": "apps", "kind": "Deploy*"}], key("apps", "Deployment", "a"), False),
        ([{"group": "apps", "kind": "Deployment", "name": "b*"}], key("apps", "Deployment", "a"), True),
        ([{"group": "apps", "kind": "Deployment", "name": "b*"}], key("apps", "Deployment", "b1"), False),
    ],
)
def test_what_is_an_orphan(ignore: list[dict[str, str]], found: ResourceKey, expected: bool) -> None:
    given = project(
        destinations=ANYWHERE,
        namespaceResourceBlacklist=[{"group": "", "kind": "Secret"}],
        orphanedResources={"ignore": ignore},
    )
    assert is_orphan(given, found, cluster=cluster(), tracked_by_existing_app=False) is expected
    assert not is_orphan(given, found, cluster=cluster(), tracked_by_existing_app=True)


def test_without_monitoring_nothing_is_an_orphan() -> None:
    given = project(destinations=ANYWHERE)
    assert not is_orphan(given, key("", "ConfigMap", "a"), cluster=cluster(), tracked_by_existing_app=False)


def test_text_of_the_condition() -> None:
    assert orphan_message(3) == "Application has 3 orphaned resources"


def entry(account: str, server: str = SERVER, namespace: str = "shop") -> dict[str, str]:
    return {"server": server, "namespace": namespace, "defaultServiceAccount": account}


@pytest.mark.parametrize(
    ("entries", "namespace", "user"),
    [
        ([entry("sa")], "shop", "system:serviceaccount:shop:sa"),
        ([entry("other:sa")], "shop", "system:serviceaccount:other:sa"),
        ([entry("sa", namespace="*")], "", "system:serviceaccount:argocd:sa"),
        (
            [entry("a", "https://x"), entry("b", "*", "sh*"), entry("c", "*", "*")],
            "shop",
            "system:serviceaccount:shop:b",
        ),
        ([entry("sa", namespace="!other")], "shop", ""),  # no negation
        ([], "shop", ""),
    ],
)
def test_service_account(entries: list[dict[str, str]], namespace: str, user: str) -> None:
    given = app(destination={"server": SERVER, "namespace": namespace})
    found = impersonated_user(project(destinationServiceAccounts=entries), given, SERVER, enforced=False)
    assert found == user


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], f"no matching service account found for destination server {SERVER} and namespace shop"),
        (
            [entry("a*")],
            "failed to derive service account to impersonate: default service account contains "
            "invalid chars 'a*'",
        ),
        (
            [entry("sa", server="[")],
            "failed to derive service account to impersonate: invalid glob pattern for destination server: ",
        ),
        (
            [entry("sa", server="https://elsewhere", namespace="["), entry("sa")],
            "failed to derive service account to impersonate: "
            "invalid glob pattern for destination namespace: ",
        ),
        (
            [entry("sa", namespace="[")],
            "failed to derive service account to impersonate: "
            "invalid glob pattern for destination namespace: ",
        ),
    ],
)
def test_no_service_account(entries: list[dict[str, str]], message: str) -> None:
    given = app(destination={"server": SERVER, "namespace": "shop"})
    with pytest.raises(ImpersonationError) as caught:
        impersonated_user(project(destinationServiceAccounts=entries), given, SERVER, enforced=True)
    assert str(caught.value).startswith(message)
