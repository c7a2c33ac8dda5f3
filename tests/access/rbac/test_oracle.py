"""Every decision of random policies equals that of pycasbin (api.md 13)."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.access.building import project
from tests.access.rbac.oracle import Oracle, glob_like
from tiphys.access.identity import Identity
from tiphys.access.rbac.enforcer import Enforcer
from tiphys.access.rbac.patterns import GLOB, matcher
from tiphys.resources.project import AppProject
from tiphys.settings.globs import glob_matches

USERS = ("ann", "proj:web:ci", "proj:api:ci", "")
GROUPS = ("dev", "ops")
ROLES = ("role:a", "role:b", "role:readonly", "proj:web:ci")
SUBJECTS = ("ann", "dev", "ops", "role:a", "role:b", "proj:web:ci")
REQUESTS = [
    ("applications", "sync", "web/a"),
    ("applications", "update/x", "web/ns/b"),
    ("applications", "get", "api/a"),
    ("applications", "get", "none/a"),
    ("clusters", "get", "web/c"),
    ("clusters", "update", "c"),
    ("projects", "get", "web"),
    ("accounts", "update", "ann"),
    ("gpgkeys", "get", ""),
]

resources = st.sampled_from(["applications", "clusters", "projects", "accounts", "*", "app*"])
actions = st.sampled_from(["get", "sync", "update", "update/*", "*"])
objects = st.sampled_from(
    ["*", "*/*", "web/*", "web/a", "*/a", "w?b/*", '"{web,api}/*"', "[aw]*", "c", "web"]
)
effects = st.sampled_from(["allow", "allow", "allow", "deny", "perhaps"])

p_lines = st.builds(
    lambda *fields: f"p, {', '.join(fields)}", st.sampled_from(SUBJECTS), resources, actions, objects, effects
)
g_lines = st.builds(
    lambda member, role: f"g, {member}, {role}",
    st.sampled_from(("ann", "dev", "role:a", "role:b", "proj:web:ci")),
    st.sampled_from(ROLES),
)
texts = st.lists(p_lines | g_lines, max_size=8).map("\n".join)


@st.composite
def projects(draw: Any) -> tuple[AppProject, ...]:
    lines = st.builds(
        lambda res, act, obj, eft: f"p, proj:web:ci, {res}, {act}, {obj}, {eft}",
        resources,
        actions,
        objects,
        effects,
    )
    role = {
        "name": "ci",
        "policies": draw(st.lists(lines, max_size=3)),
        "groups": draw(st.lists(st.sampled_from(GROUPS), max_size=2, unique=True)),
    }
    return project("web", role), project("api")


@settings(max_examples=60)
@given(texts, st.sampled_from(["", "role:readonly", "role:a"]), projects())
def test_decisions_equal_those_of_pycasbin(text: str, default: str, some: tuple[AppProject, ...]) -> None:
    oracle = Oracle(text, default, "glob", some)
    ours = Enforcer({each.name: each for each in some}.get)
    ours.use({"policy.csv": text, "policy.default": default})
    for user in USERS:
        groups = () if user.startswith("proj:") else GROUPS
        caller = Identity(user_id=user, groups=groups if user else ())
        for request in REQUESTS:
            expected = oracle.allows(user, caller.groups, *request)
            assert ours.allows(caller, *request) is expected, (user, request)
            assert ours.permits(caller, request[0], request[1])(request[2]) is expected


@settings(max_examples=25)
@given(
    st.lists(
        st.builds(
            lambda sub, res, act, obj, eft: f"p, {sub}, {res}, {act}, {obj}, {eft}",
            st.sampled_from(SUBJECTS),
            st.sampled_from(["applications", "app.*", "cl|pro", "^accounts$"]),
            st.sampled_from(["get", "sync|get", ".*", "^up"]),
            st.sampled_from(["web", "^web/", "a$", ".*", "^c$", "[ab]"]),
            effects,
        ),
        max_size=8,
    ).map("\n".join)
)
def test_so_do_regular_expressions(text: str) -> None:
    oracle = Oracle(text, "", "regex", ())
    ours = Enforcer(lambda name: None)
    ours.use({"policy.csv": text, "policy.matchMode": "regex"})

    for user in ("ann", "role:a"):  # who have nothing of the built-in roles
        for request in REQUESTS:
            assert ours.allows(Identity(user_id=user), *request) is oracle.allows(user, (), *request)


pieces = st.lists(
    st.sampled_from(["a", "b", "/", "*", "?", "[ab]", "[!a]", "{a,b/}", "{,a*}"]), max_size=6
).map("".join)


@settings(max_examples=400)
@given(st.lists(pieces, min_size=1, max_size=12), st.text("ab/", max_size=6))
def test_many_globs_match_as_each_of_them(patterns: list[str], text: str) -> None:
    assert matcher(patterns, GLOB)(text) is any(glob_like(text, each) for each in patterns)


odd = st.text("ab/*?[]{}!^-\\,.+()|$&~ \n#é", max_size=10)


@settings(max_examples=500)
@given(st.lists(odd, min_size=1, max_size=4), odd)
def test_odd_globs_match_as_everywhere_else(patterns: list[str], text: str) -> None:
    """RE2 and Python's expressions agree on what a glob became."""
    assert matcher(patterns, GLOB)(text) is any(glob_matches(each, text) for each in patterns)
