"""Actions on live objects over the API (health-and-resources.md 5)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.server.resources.site import APPS, Site, named, refusal
from tests.server.running import Answer, Running

pytestmark = pytest.mark.controlplane
PATH = f"{APPS}/actions/resource/actions"
CUSTOM = """
discovery.lua: |
  return {["mark"] = {}, ["refused"] = {["disabled"] = true}}
definitions:
- name: mark
  action.lua: |
    obj.data["marked"] = actionParams["how"] or "plain"
    return obj
- name: copy
  action.lua: |
    local copy = {}
    copy.apiVersion = "v1"
    copy.kind = "ConfigMap"
    copy.metadata = {}
    copy.metadata.name = obj.metadata.name .. "-copy"
    copy.metadata.namespace = obj.metadata.namespace
    return {{operation = "create", resource = copy}}
- name: broken-copy
  action.lua: |
    local bad = {}
    bad.apiVersion = "v1"
    bad.kind = "ConfigMap"
    bad.metadata = {}
    bad.metadata.name = "Not A Name"
    bad.metadata.namespace = obj.metadata.namespace
    obj.data["marked"] = "half"
    return {{operation = "patch", resource = obj}, {operation = "create", resource = bad}}
- name: forbidden
  action.lua: |
    local limit = {}
    limit.apiVersion = "v1"
    limit.kind = "LimitRange"
    limit.metadata = {}
    limit.metadata.name = "limits"
    limit.metadata.namespace = obj.metadata.namespace
    return {{operation = "create", resource = limit}}
- name: nothing
  action.lua: |
    return {}
- name: fails
  action.lua: |
    error("no way")
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def actions(site: Site) -> AsyncIterator[Site]:
    await site.create("actions")
    async with site.setting("resource.customizations.actions.ConfigMap", CUSTOM):
        yield site


async def run(caller: Running, site: Site, action: str, *, kind: str = "ConfigMap", **more: Any) -> Answer:
    group, name = ("apps", "actions-web") if kind == "Deployment" else ("", "actions-map")
    body = {**named(kind, name, site.place, group), "action": action, **more}
    return await caller.call("POST", f"{PATH}/v2", body=body)


async def test_what_can_be_done(actions: Site) -> None:
    answer = await actions.reader.get(PATH, params=named("Deployment", "actions-web", actions.place, "apps"))
    assert answer.status == 200, answer.text
    found = {each["name"]: each for each in answer.json["actions"]}
    assert {"restart", "scale", "pause"} <= set(found)
    assert "disabled" not in found["restart"]
    assert found["scale"]["params"] == [{"name": "replicas"}]
    answer = await actions.admin.until(
        PATH,
        lambda a: a.json.get("actions"),
        params=named("ConfigMap", "actions-map", actions.place),
    )
    assert answer.json["actions"] == [{"name": "mark"}, {"name": "refused", "disabled": True}]


async def test_nothing_can_be_done(actions: Site) -> None:
    tree = await actions.admin.until(
        f"{APPS}/actions/resource-tree", lambda a: any(n["kind"] == "ReplicaSet" for n in a.json["nodes"])
    )
    name = next(n["name"] for n in tree.json["nodes"] if n["kind"] == "ReplicaSet")
    answer = await actions.admin.get(PATH, params=named("ReplicaSet", name, actions.place, "apps"))
    assert (answer.status, answer.json) == (200, {})


async def test_restarting(actions: Site) -> None:
    answer = await run(actions.patcher, actions, "restart", kind="Deployment")
    assert (answer.status, answer.json) == (200, {}), answer.text
    found = await actions.live("Deployment", "actions-web", "apps")
    assert found is not None
    assert found["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"]
    ran = "patcher ran action restart"
    await actions.told(
        "Application", "actions", "ResourceActionRan", f"{ran} on resource apps/Deployment/actions-web"
    )
    await actions.told("Deployment", "actions-web", "ResourceActionRan", ran)


async def test_the_first_version_has_no_parameters(actions: Site) -> None:
    params = named("Deployment", "actions-web", actions.place, "apps")
    answer = await actions.admin.call("POST", PATH, params=params, body="pause")
    assert (answer.status, answer.json) == (200, {}), answer.text
    found = await actions.live("Deployment", "actions-web", "apps")
    assert found is not None
    assert found["spec"]["paused"] is True


async def test_parameters(actions: Site) -> None:
    more = {"resourceActionParameters": [{"name": "replicas", "value": "0"}]}
    answer = await run(actions.admin, actions, "scale", kind="Deployment", **more)
    assert answer.status == 200, answer.text
    found = await actions.live("Deployment", "actions-web", "apps")
    assert found is not None
    assert found["spec"]["replicas"] == 0


async def test_scripts_of_the_admin(actions: Site) -> None:
    more = {"resourceActionParameters": [{"name": "how", "value": "red"}]}
    answer = await run(actions.admin, actions, "mark", **more)
    assert answer.status == 200, answer.text
    found = await actions.live("ConfigMap", "actions-map")
    assert found is not None
    assert found["data"]["marked"] == "red"


async def test_what_an_action_creates(actions: Site) -> None:
    assert (await run(actions.admin, actions, "copy")).status == 200
    assert await actions.live("ConfigMap", "actions-map-copy") is not None
    answer = await run(actions.admin, actions, "copy")
    assert answer.status == 409, "the code of Kubernetes stays"
    assert answer.json["message"].startswith("error creating resource: ")


async def test_nothing_is_written_where_something_cannot_be_created(actions: Site) -> None:
    # 5.2 step 4
    answer = await run(actions.admin, actions, "broken-copy")
    assert answer.status == 400, answer.text
    found = await actions.live("ConfigMap", "actions-map")
    assert found is not None
    assert found["data"].get("marked") != "half"


async def test_the_project_bounds_what_actions_do(actions: Site) -> None:
    # 5.2 step 3
    answer = await run(actions.admin, actions, "forbidden")
    assert refusal(answer) == (
        500,
        f"application is not permitted to manage /LimitRange/limits in {actions.place}",
    )


@pytest.mark.parametrize(
    ("action", "text"),
    [
        ("no-such", "error getting Lua resource action: built-in script does not exist"),
        ("fails", "error executing Lua resource action: "),
    ],
)
async def test_what_cannot_be_run(actions: Site, action: str, text: str) -> None:
    answer = await run(actions.admin, actions, action)
    assert answer.status == 500
    assert answer.json["message"].startswith(text)


async def test_an_action_that_does_nothing(actions: Site) -> None:
    # the reference fails here (docs/differences.md)
    assert (await run(actions.admin, actions, "nothing")).status == 200


@pytest.mark.parametrize("action", ["pause", "no-such"])
async def test_each_action_is_a_right_of_its_own(actions: Site, action: str) -> None:
    for caller in (actions.patcher, actions.reader, actions.stranger):
        answer = await run(caller, actions, action, kind="Deployment")
        assert refusal(answer) == (403, "permission denied")


async def test_the_application_itself(actions: Site) -> None:
    # 5.2 step 1, 6
    params = named("Application", "actions", actions.admin.namespace, "argoproj.io", "v1alpha1")
    answer = await actions.admin.get(PATH, params=params)
    assert answer.status == 200, answer.text
    names = {each["name"] for each in answer.json.get("actions", [])}
    assert names == {"toggle-auto-sync"}
    answer = await actions.admin.call("POST", f"{PATH}/v2", body={**params, "action": "toggle-auto-sync"})
    assert answer.status == 200, answer.text
    await actions.admin.until(
        f"{APPS}/actions", lambda a: a.json["spec"].get("syncPolicy", {}).get("automated") is not None
    )
    await actions.told("Application", "actions", "ResourceActionRan", "admin ran action toggle-auto-sync")
