"""What the API refuses in a project: applications.md 17 and 18."""

from typing import Any

import pytest

from tests.projects.building import project
from tiphys.projects.validate_project import InvalidProject, validate_project

WINDOW = {"kind": "allow", "schedule": "* * * * *", "duration": "1h", "applications": ["*"]}
POLICY = "p, proj:shop:ci, applications, sync, shop/*, allow"


def role(**rest: Any) -> dict[str, Any]:
    return {"roles": [{"name": "ci", **rest}]}


def policy(text: str) -> dict[str, Any]:
    return role(policies=[text])


GOOD = [
    {},
    {"destinations": [{"server": "*", "namespace": "*"}, {"server": "*", "namespace": "!kube-*"}]},
    {"sourceRepos": ["*", "!https://a"]},
    policy(POLICY),
    policy("p, proj:shop:ci, applications, action/apps/Deployment/restart, shop/ns/app-*, deny"),
    policy("p, proj:shop:ci, applications, update/*, shop/app, allow"),
    role(groups=["people", '"a,b"', "my people"]),
    {"syncWindows": [WINDOW, WINDOW | {"duration": "2h"}]},
    {"destinationServiceAccounts": [{"server": "*", "namespace": "a*", "defaultServiceAccount": "ns:sa"}]},
]


@pytest.mark.parametrize("spec", GOOD)
def test_accepted(spec: dict[str, Any]) -> None:
    validate_project(project(**spec))


RULE = "invalid policy rule '{}': {}"
BAD = [
    ({"destinations": [{"name": "!*"}]}, "InvalidArgument", "name has an invalid format, '!*'"),
    ({"destinations": [{"server": "!*"}]}, "InvalidArgument", "server has an invalid format, '!*'"),
    ({"destinations": [{"namespace": "!*"}]}, "InvalidArgument", "namespace has an invalid format, '!*'"),
    (
        {"destinations": [{"server": "s", "namespace": "n"}, {"server": "s", "namespace": "n"}]},
        "InvalidArgument",
        "destination 's/n' already added",
    ),
    (
        {"destinations": [{"name": "c", "namespace": "n"}, {"name": "c", "namespace": "n"}]},
        "InvalidArgument",
        "destination 'c/n' already added",
    ),
    ({"sourceNamespaces": ["a", "a"]}, "InvalidArgument", "source namespace 'a' already added"),
    ({"sourceRepos": ["!*"]}, "InvalidArgument", "source repository has an invalid format, '!*'"),
    ({"sourceRepos": ["u", "u"]}, "InvalidArgument", "source repository 'u' already added"),
    ({"roles": [{"name": "r"}, {"name": "r"}]}, "AlreadyExists", "role 'r' already exists"),
    (
        {"roles": [{"name": "-r"}]},
        "InvalidArgument",
        "invalid role name '-r'. Must consist of alphanumeric characters, '-' or '_', and must start "
        "and end with an alphanumeric character",
    ),
    (
        role(policies=[POLICY, POLICY]),
        "AlreadyExists",
        f"policy '{POLICY}' already exists for role 'ci'",
    ),
    (role(groups=["g", "g"]), "AlreadyExists", "group 'g' already exists for role 'ci'"),
    (role(groups=["a,b"]), "InvalidArgument", "group 'a,b' must be quoted"),
    (role(groups=[""]), "InvalidArgument", "group '' is empty"),
    (role(groups=[" "]), "InvalidArgument", "group '' is empty"),
    (role(groups=['""']), "InvalidArgument", "group '' is empty"),
    (role(groups=[" g"]), "InvalidArgument", "group 'g' contains a leading space"),
    (role(groups=["g "]), "InvalidArgument", "group 'g' contains a trailing space"),
    (role(groups=["\tg"]), "InvalidArgument", "group 'g' contains a leading space"),
    (role(groups=['a"b']), "InvalidArgument", "group 'a\"b' contains invalid characters"),
    (role(groups=["a\tb"]), "InvalidArgument", "group 'a\tb' contains invalid characters"),
    (
        policy("p, a"),
        "InvalidArgument",
        RULE.format("p, a", "must be of the form: 'p, sub, res, act, obj, eft'"),
    ),
    (
        policy(POLICY.replace("shop:ci", "shop:cd")),
        "InvalidArgument",
        RULE.format(
            POLICY.replace("shop:ci", "shop:cd"),
            "policy subject must be: 'proj:shop:ci', not 'proj:shop:cd'",
        ),
    ),
    (
        policy(POLICY.replace("applications", "accounts")),
        "InvalidArgument",
        RULE.format(
            POLICY.replace("applications", "accounts"),
            "project resource must be: 'applications', 'applicationsets', 'repositories', 'exec', "
            "'logs' or 'clusters', not 'accounts'",
        ),
    ),
    (
        policy(POLICY.replace("sync", "fly")),
        "InvalidArgument",
        RULE.format(POLICY.replace("sync", "fly"), "invalid action 'fly'"),
    ),
    (
        policy(POLICY.replace("shop/*", "other/*")),
        "InvalidArgument",
        RULE.format(
            POLICY.replace("shop/*", "other/*"),
            "object must be of form 'shop/*', 'shop[/<NAMESPACE>]/<APPNAME>' or 'shop/<APPNAME>', "
            "not 'other/*'",
        ),
    ),
    (
        policy(POLICY.replace("allow", "maybe")),
        "InvalidArgument",
        RULE.format(POLICY.replace("allow", "maybe"), "effect must be: 'allow' or 'deny'"),
    ),
    (
        {"syncWindows": [WINDOW | {"kind": "x"}]},
        "InvalidArgument",
        "kind 'x' mismatch: can only be allow or deny",
    ),
    (
        {"syncWindows": [WINDOW | {"schedule": "@daily"}]},
        "InvalidArgument",
        "cannot parse schedule '@daily': parser does not accept descriptors: @daily",
    ),
    (
        {"syncWindows": [WINDOW | {"duration": "1d"}]},
        "InvalidArgument",
        'cannot parse duration \'1d\': time: unknown unit "d" in duration "1d"',
    ),
    (
        {"syncWindows": [WINDOW | {"description": "x" * 256}]},
        "InvalidArgument",
        "description must not exceed 255 characters",
    ),
    (
        {"syncWindows": [WINDOW | {"applications": []}]},
        "OutOfRange",
        "window 'allow':'* * * * *':'1h' requires one of application, cluster or namespace",
    ),
    (
        {"destinationServiceAccounts": [{"server": "!a", "defaultServiceAccount": "sa"}]},
        "InvalidArgument",
        "server has an invalid format, '!a'",
    ),
    (
        {"destinationServiceAccounts": [{"server": "a", "namespace": "[", "defaultServiceAccount": "sa"}]},
        "InvalidArgument",
        "namespace has an invalid format, '['",
    ),
    (
        {"destinationServiceAccounts": [{"server": "a", "defaultServiceAccount": "a*"}]},
        "InvalidArgument",
        "defaultServiceAccount has an invalid format, 'a*'",
    ),
    (
        {"destinationServiceAccounts": [{"server": "a", "defaultServiceAccount": "x"}] * 2},
        "InvalidArgument",
        "destinationServiceAccount 'a/' already added",
    ),
]


@pytest.mark.parametrize(("spec", "code", "message"), BAD, ids=[message for _, _, message in BAD])
def test_refused(spec: dict[str, Any], code: str, message: str) -> None:
    with pytest.raises(InvalidProject) as caught:
        validate_project(project(**spec))
    assert (caught.value.code, caught.value.message) == (code, message)


def test_duplicate_window() -> None:
    # An absent time zone is UTC; the description is no part of a window's identity.
    again = WINDOW | {"timeZone": "UTC", "description": "again"}
    with pytest.raises(InvalidProject) as caught:
        validate_project(project(syncWindows=[WINDOW, again]))
    assert caught.value.code == "AlreadyExists"
    assert "duplicate detected" in caught.value.message
