"""Users' actions in Lua (health-and-resources.md 5.1, 5.2)."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tiphys.health.actions import ActionError, ResourceAction, discover_actions, merge_patch, run_action
from tiphys.health.actions.model import ActionParam
from tiphys.settings.model import ResourceOverride

NOW = datetime(2026, 3, 4, tzinfo=UTC)
OBJ = {
    "apiVersion": "x.io/v1",
    "kind": "X",
    "metadata": {"name": "a", "labels": {}},
    "spec": {"sel": {}, "list": [{"m": {}}], "items": [], "n": 3},
}
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {}}


def actions(discovery: str = "", merge: bool = False, **definitions: str) -> dict[str, ResourceOverride]:
    value: dict[str, Any] = {"discovery.lua": discovery, "mergeBuiltinActions": merge}
    value["definitions"] = [{"name": name, "action.lua": text} for name, text in definitions.items()]
    override = ResourceOverride(actions=msgspec.json.encode(value).decode())
    return {"x.io/X": override, "apps/Deployment": override}


FOUND = [
    ("return {}", []),
    ("return {a={}}", [ResourceAction("a")]),
    ('return {a={name="b"}}', [ResourceAction("b")]),
    (
        'return {a={disabled=true, iconClass="i", displayName="d", default=1, params={{name="p", type=1}}}}',
        [ResourceAction("a", (ActionParam("p"),), True, "i", "d")],
    ),
    ("local a = {} a.z = {} a.b = {disabled=obj.spec.n > 2} return a", [
        ResourceAction("b", disabled=True), ResourceAction("z")]),
]  # fmt: skip


@pytest.mark.parametrize(("script", "expected"), FOUND, ids=[f[0] for f in FOUND])
def test_discovery(script: str, expected: list[ResourceAction]) -> None:
    assert discover_actions(OBJ, actions(script)) == expected


BAD = [
    ("return 5", "error executing Lua discovery script: expect table output from Lua script, not number"),
    ("return nil", "error executing Lua discovery script: expect table output from Lua script, not nil"),
    ('return {a={disabled="yes"}}', "error executing Lua discovery script: disabled of action a"),
    ('return {a="x"}', "error executing Lua discovery script: the attributes of action a are no table"),
    ('return {a={params={{name=1}}}}', "error executing Lua discovery script: name of action a is no text"),
    ('return {"a"}', "error executing Lua discovery script: expect a table of actions by name"),
    ('("x"):upper()', "error executing Lua discovery script: "),
]  # fmt: skip


@pytest.mark.parametrize(("script", "text"), BAD, ids=[b[0] for b in BAD])
def test_bad_discovery(script: str, text: str) -> None:
    with pytest.raises(ActionError) as raised:
        discover_actions(OBJ, actions(script))
    assert str(raised.value).startswith(text)


def test_custom_actions_replace_or_join_the_built_in_ones() -> None:
    own = 'return {restart={displayName="Mine"}, other={}}'
    assert [a.name for a in discover_actions(DEPLOYMENT, actions(own))] == ["other", "restart"]
    merged = {a.name: a for a in discover_actions(DEPLOYMENT, actions(own, merge=True))}
    assert set(merged) == {"other", "restart", "pause", "resume", "scale"}
    assert merged["restart"].display_name == "Mine"


def test_a_definition_wins_and_built_in_actions_stay_runnable() -> None:
    settings = actions("return {}", restart="obj.spec.mine = true return obj")
    (mine,) = run_action(DEPLOYMENT, "restart", {}, settings, now=NOW)
    assert merge_patch(DEPLOYMENT, mine.manifest) == {"spec": {"mine": True}}
    (pause,) = run_action(DEPLOYMENT, "pause", {}, settings, now=NOW)
    assert merge_patch(DEPLOYMENT, pause.manifest) == {"spec": {"paused": True}}


RUNS = [
    ("obj.spec.n = 4 return obj", [("patch", {"spec": {"n": 4}})]),
    ("obj.spec.n = tonumber(actionParams['k']) return obj", [("patch", {"spec": {"n": 7}})]),
    ("obj.spec.n = nil return obj", [("patch", {"spec": {"n": None}})]),
    ('return {{operation="patch", resource=obj}}', [("patch", {})]),
    ("return {}", []),
]


@pytest.mark.parametrize(("script", "expected"), RUNS, ids=[r[0] for r in RUNS])
def test_what_scripts_impact(script: str, expected: list[tuple[str, Any]]) -> None:
    found = run_action(OBJ, "go", {"k": "7"}, actions(go=script), now=NOW)
    assert [(i.operation, merge_patch(OBJ, i.manifest)) for i in found] == expected


def test_created_objects_keep_empty_lists() -> None:
    script = 'return {{operation="create", resource={kind="X", metadata={name="n"}, spec={}}}}'
    (created,) = run_action(OBJ, "go", {}, actions(go=script), now=NOW)
    assert (created.operation, created.manifest["spec"]) == ("create", [])


def test_an_empty_map_that_was_a_list_element_is_not_repaired() -> None:
    source = {**OBJ, "spec": {"list": [{"m": {}}, {}]}}
    (patched,) = run_action(source, "go", {}, actions(go="return obj"), now=NOW)
    assert patched.manifest["metadata"]["labels"] == {}
    assert patched.manifest["spec"]["list"] == [{"m": {}}, []]


RUN = "error executing Lua resource action"
FAILS = [
    ("return nil", f"{RUN}: expect table output from Lua script, not nil"),
    ("return 'x'", f"{RUN}: expect table output from Lua script, not string"),
    ('error("no", 0)', f"{RUN}: no"),
    ('return {{operation="delete", resource=obj}}', f'{RUN}: unsupported operation: "delete"'),
    ('return {{operation="create"}}', f"{RUN}: the resource to create is no object"),
]  # fmt: skip


@pytest.mark.parametrize(("script", "text"), FAILS, ids=[f[0] for f in FAILS])
def test_failing_actions(script: str, text: str) -> None:
    with pytest.raises(ActionError) as raised:
        run_action(OBJ, "go", {}, actions(go=script), now=NOW)
    assert str(raised.value) == text


def test_globs_are_not_for_actions() -> None:
    settings = {"x.io/*": actions("return {a={}}")["x.io/X"]}
    assert discover_actions(OBJ, settings) == []


def test_settings_that_cannot_be_read() -> None:
    with pytest.raises(ActionError, match="error getting resource overrides: "):
        discover_actions(OBJ, {"x.io/X": ResourceOverride(actions="[1]")})
