"""The order of evaluations, groups, projects and their tokens (api.md 13 "Evaluation")."""

import logging
from collections.abc import Mapping

import pytest

from tests.access.building import project
from tiphys.access.identity import Identity
from tiphys.access.rbac.enforcer import Enforcer, groups_of, read_scopes
from tiphys.access.rbac.policy import PolicyError, policy_text, read_policy
from tiphys.access.switches import may_touch_resource, rollback_is_separate
from tiphys.resources.project import AppProject


def enforcer(policy: str = "", *projects: AppProject, **data: str) -> Enforcer:
    known = {each.name: each for each in projects}
    made = Enforcer(known.get)
    made.use({"policy.csv": policy, **{key.replace("_", "."): value for key, value in data.items()}})
    return made


def allowed(made: Enforcer, who: str, request: str, *groups: str) -> bool:
    resource, action, name = (part.strip() for part in request.split(","))
    return made.allows(Identity(user_id=who, groups=groups), resource, action, name)


@pytest.mark.parametrize(
    ("who", "request_", "is_allowed"),
    [
        pytest.param("admin", "applications, delete, a/b", True, id="admin may everything"),
        pytest.param("admin", "applications, action/apps/Deployment/restart, a/b", True, id="actions"),
        pytest.param("admin", "applications, delete/apps/Deployment/ns/x, a/b", True, id="fine-grained"),
        pytest.param("admin", "extensions, invoke, x", False, id="but extensions"),
        pytest.param("role:readonly", "logs, get, a/b", True, id="read logs"),
        pytest.param("role:readonly", "exec, create, a/b", False, id="no exec"),
        pytest.param("role:readonly", "certificates, get,", True, id="the empty object"),
        pytest.param("role:readonly", "applications, get, name", False, id="*/* needs a slash"),
        pytest.param("eve", "applications, get, a/b", False, id="nobody is permitted anything"),
        pytest.param("", "applications, get, a/b", False, id="nor is nobody"),
    ],
)
def test_built_in_policy(who: str, request_: str, is_allowed: bool) -> None:
    assert allowed(enforcer(), who, request_) is is_allowed


def test_a_default_role_ends_it_so_a_deny_cannot_override() -> None:
    made = enforcer("p, ann, applications, get, */*, deny", policy_default="role:readonly")
    assert allowed(made, "ann", "applications, get, a/b")


def test_a_deny_in_one_evaluation_does_not_block_another() -> None:
    policy = "p, ann, applications, get, */*, deny\np, role:x, applications, get, */*, allow\ng, dev, role:x"
    made = enforcer(policy)
    assert allowed(made, "ann", "applications, get, a/b", "dev")
    assert not allowed(made, "ann", "applications, get, a/b")


def test_a_deny_wins_within_an_evaluation() -> None:
    policy = "p, role:x, applications, *, */*, allow\np, ann, applications, *, a/*, deny\ng, ann, role:x"
    made = enforcer(policy)
    assert not allowed(made, "ann", "applications, get, a/b")
    assert allowed(made, "ann", "applications, get, b/b")


def test_a_group_counts_only_when_a_g_line_names_it() -> None:
    made = enforcer("p, dev, applications, get, */*, allow")
    assert not allowed(made, "ann", "applications, get, a/b", "dev")
    made = enforcer("p, dev, applications, get, */*, allow\ng, dev, role:nothing")
    assert allowed(made, "ann", "applications, get, a/b", "dev")


def test_the_empty_subject_is_everybody() -> None:
    made = enforcer("p, , applications, get, pub/*, allow")
    for who in ("", "ann"):
        assert allowed(made, who, "applications, get, pub/a")


def test_unknown_effects_have_none() -> None:
    assert not allowed(enforcer("p, ann, accounts, get, *, Allow"), "ann", "accounts, get, x")


WEB = project(
    "web",
    {
        "name": "ci",
        "policies": [
            "p, proj:web:ci, applications, sync, web/*, allow",
            "p, proj:web:ci, applications, sync, web/secret, deny",
            "p, proj:web:ci, applications, sync, api/*, allow",
        ],
        "groups": ["web devs", "dev"],
    },
)
API = project("api")


@pytest.mark.parametrize(
    ("who", "groups", "request_", "is_allowed"),
    [
        pytest.param("proj:web:ci", (), "applications, sync, web/a", True, id="token in its project"),
        pytest.param("proj:web:ci", (), "applications, sync, web/secret", False, id="denied"),
        pytest.param("proj:web:ci", (), "projects, get, web", True, id="implied: its project"),
        pytest.param("proj:web:ci", (), "projects, get, api", False, id="not another project"),
        pytest.param("proj:web:ci", (), "applications, sync, api/a", False, id="not another's objects"),
        pytest.param("proj:web:ci", (), "applications, sync, none/a", False, id="nor of one that is not"),
        pytest.param("ann", ("dev",), "applications, sync, web/a", True, id="group of the role"),
        pytest.param("ann", ("web devs",), "applications, sync, web/a", True, id="group with a space"),
        pytest.param("ann", ("ops",), "applications, sync, web/a", False, id="another group"),
        pytest.param("dev", (), "applications, sync, web/a", True, id="a user of that name, too"),
        pytest.param(
            "ann", ("dev",), "write-repositories, get, web/x", False, id="resource without projects"
        ),
    ],
)
def test_roles_of_projects(who: str, groups: tuple[str, ...], request_: str, is_allowed: bool) -> None:
    assert allowed(enforcer("", WEB, API), who, request_, *groups) is is_allowed


def test_global_policy_and_project_tokens() -> None:
    made = enforcer("p, proj:web:ci, *, *, *, allow", WEB, API, policy_default="role:readonly")
    assert allowed(made, "proj:web:ci", "accounts, update, x")  # not about a project
    assert not allowed(made, "proj:web:ci", "applications, sync, api/a")  # another project that exists
    assert allowed(made, "proj:web:ci", "applications, get, api/a")  # policy.default
    assert not allowed(made, "proj:web:ci", "applications, sync, web/secret")


def test_a_change_of_a_project_counts_at_once(caplog: pytest.LogCaptureFixture) -> None:
    known = {"web": WEB}
    made = Enforcer(known.get)
    caller = Identity(user_id="ann", groups=("dev",))
    permits = made.permits(caller, "applications", "sync")
    assert permits("web/a")
    known["web"] = project("web", {"name": "ci", "policies": [], "groups": ["dev"]})
    made.project_changed(WEB, known["web"])
    assert not permits("web/a")  # a stream that goes on sees it, too
    assert not made.allows(caller, "applications", "sync", "web/a")
    broken = project("web", {"name": "ci", "policies": ["p, proj:web:ci, applications"], "groups": ["dev"]})
    known["web"], old = broken, known["web"]
    with caplog.at_level(logging.WARNING):
        made.project_changed(old, broken)
        assert not permits("web/a")
    assert "the roles of a project are not in force" in caplog.text
    made.project_changed(broken, known.pop("web"))
    made.project_changed(broken, None)
    assert not permits("web/a")


def test_a_changed_token_of_a_project_changes_no_decision() -> None:
    made = enforcer("", WEB)
    generation = made.generation
    with_token = project(
        "web",
        {"name": "ci", "policies": list(WEB.spec.roles[0].policies), "groups": ["web devs", "dev"]},
        tokens={"ci": {"items": [{"iat": 1}]}},
    )
    made.project_changed(WEB, with_token)
    assert made.generation == generation


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"policy.csv": "p, ann, accounts, get, *"}, id="five tokens"),
        pytest.param({"policy.csv": "g, ann"}, id="two tokens"),
        pytest.param({"policy.csv": "x, ann, role:admin"}, id="no such kind"),
        pytest.param({"policy.csv": 'p, "ann, accounts, get, *, allow'}, id="open quote"),
        pytest.param({"policy.more.csv": "p"}, id="overlay"),
        pytest.param({"scopes": "[groups"}, id="scopes"),
        pytest.param(
            {"policy.csv": "p, ann, accounts, get, (, allow", "policy.matchMode": "regex"}, id="regex"
        ),
    ],
)
def test_a_broken_policy_leaves_the_last_good_one(data: Mapping[str, str]) -> None:
    made = enforcer("p, ann, accounts, get, *, allow")
    made.use(data)
    assert made.problem.startswith("invalid RBAC policy: ")
    assert allowed(made, "ann", "accounts, get, x")
    made.use({"policy.csv": ""})
    assert made.problem == ""
    assert not allowed(made, "ann", "accounts, get, x")


def test_without_a_good_policy_the_built_in_one_is_in_force() -> None:
    made = enforcer("rubbish")
    assert allowed(made, "admin", "accounts, update, x")
    assert not allowed(made, "ann", "accounts, get, x")


def test_overlays_follow_in_the_order_of_their_keys() -> None:
    data = {
        "policy.z.csv": "z",
        "policy.a.csv": "a",
        "policy.csv": "main",
        "policy.default": "x",
        "x.csv": "x",
    }
    assert policy_text(data) == "main\na\nz"


def test_lines_of_a_policy() -> None:
    text = '# a comment\n\n  p,  "a, b",applications ,get,*/*, allow  \r\ng,x,y\n'
    policy = read_policy(text)
    (rule,), (grouping,) = policy.rules, policy.groupings
    assert (rule.subject, rule.resource, rule.object, rule.effect) == (
        "a, b",
        "applications ",
        "*/*",
        "allow",
    )
    assert (grouping.member, grouping.role) == ("x", "y")


def test_regular_expressions_are_searched_and_built_in_roles_stay() -> None:
    made = enforcer("p, ann, applications, get, web, allow", policy_matchMode="regex")
    made.use({"policy.csv": "p, ann, applications, get, web, allow", "policy.matchMode": "regex"})
    assert allowed(made, "ann", "applications, get, my-webshop/a")
    assert allowed(made, "admin", "applications, delete, a/b")


@pytest.mark.parametrize(
    ("text", "scopes"),
    [
        ("", ("groups",)),
        ("[groups, email]", ("groups", "email")),
        ("email", ("email",)),
        ("- cognito:groups", ("cognito:groups",)),
    ],
)
def test_scopes(text: str, scopes: tuple[str, ...]) -> None:
    assert read_scopes(text) == scopes


@pytest.mark.parametrize("text", ["[1]", "a: b", "["])
def test_scopes_that_are_none(text: str) -> None:
    with pytest.raises(PolicyError):
        read_scopes(text)


def test_groups_are_the_texts_of_the_claims() -> None:
    claims = {"groups": ["a", 1, "b", "a"], "email": "x@y", "roles": {"c": 1}}
    assert groups_of(claims, ("groups", "email", "roles", "none")) == ("a", "b", "x@y")


@pytest.mark.parametrize("mode", ["glob", "regex"])
def test_no_pattern_takes_exponential_time(mode: str) -> None:
    pattern = "(a+)+$" if mode == "regex" else "*a*a*a*a*a*a*a*a*a*a*[b]"
    made = enforcer(f"p, ann, accounts, get, {pattern}, allow")
    made.use({"policy.csv": f"p, ann, accounts, get, {pattern}, allow", "policy.matchMode": mode})
    assert not allowed(made, "ann", f"accounts, get, {'a' * 5000}!")


@pytest.mark.parametrize(
    ("raw", "granted", "may"),
    [
        pytest.param({}, "update", False, id="no inheritance by default"),
        pytest.param({}, "update/apps/Deployment/ns/x", True, id="fine-grained"),
        pytest.param(
            {"server.rbac.disableApplicationFineGrainedRBACInheritance": "false"},
            "update",
            True,
            id="with inheritance plain suffices",
        ),
        pytest.param(
            {"server.rbac.disableApplicationFineGrainedRBACInheritance": "false"},
            "update/apps/Deployment/ns/x",
            True,
            id="with inheritance so does fine-grained",
        ),
    ],
)
def test_resources_of_applications(raw: Mapping[str, str], granted: str, may: bool) -> None:
    allows = granted.__eq__
    assert may_touch_resource(allows, raw, "update", "apps", "Deployment", "ns", "x") is may


def test_rollback_is_a_right_of_its_own_only_when_asked_for() -> None:
    assert not rollback_is_separate({})
    assert rollback_is_separate({"server.rbac.rollback.enforce.enable": "true"})
