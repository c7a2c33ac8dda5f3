"""Many change one thing at once: each change is made, none undoes another's (api.md 9)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
import pytest_asyncio

from tests.controlplane import ControlPlane
from tests.server.conftest import unique_namespace
from tests.server.running import Answer, Running, running

pytestmark = pytest.mark.controlplane

MANY = 12
HOST_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIGaq3HG5I9SPM8UkRB6MPLqR04Ygj8gYWcYgmCYoADWa"
IN_CLUSTER = "/api/v1/clusters/in-cluster"
BY_NAME = ("id.type", "name")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def api(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    folder = tmp_path_factory.mktemp("at-once")
    settings = {"accounts.bot": "apiKey"}
    async with running(control_plane, folder, unique_namespace("once"), settings=settings) as server:
        yield server


async def all_well(calls: Iterable[Any]) -> list[Answer]:
    answers: list[Answer] = await asyncio.gather(*calls)
    assert {(each.status, each.text if each.status != 200 else "") for each in answers} == {(200, "")}
    return answers


async def test_tokens_of_a_role(api: Running) -> None:
    project = {"metadata": {"name": "many"}, "spec": {"roles": [{"name": "ci"}]}}
    await all_well([api.call("POST", "/api/v1/projects", body={"project": project})])
    path = "/api/v1/projects/many/roles/ci/token"
    made = await all_well(api.call("POST", path, body={"id": f"t{n}"}) for n in range(MANY))
    for each in made:
        assert (await api.get("/api/v1/account", token=each.json["token"])).status == 200
    stored = (await api.get("/api/v1/projects/many")).json["status"]["jwtTokensByRole"]["ci"]["items"]
    assert {each["id"] for each in stored} == {f"t{n}" for n in range(MANY)}
    await all_well(api.call("DELETE", f"{path}/0", params={"id": f"t{n}"}) for n in range(MANY))
    for each in made:
        assert (await api.get("/api/v1/account", token=each.json["token"])).status == 401


async def test_tokens_of_an_account(api: Running) -> None:
    path = "/api/v1/account/bot/token"
    made = await all_well(api.call("POST", path, body={"id": f"t{n}"}) for n in range(MANY))
    for each in made:
        assert (await api.get("/api/v1/account", token=each.json["token"])).status == 200
    await all_well(api.call("DELETE", f"{path}/t{n}") for n in range(MANY))
    assert "tokens" not in (await api.get("/api/v1/account/bot")).json


async def test_host_keys_where_there_were_none(api: Running) -> None:
    def items(number: int) -> dict[str, Any]:
        key = {"serverName": f"h{number}", "certType": "ssh", "certSubType": "ssh-ed25519"}
        return {"items": [{**key, "certData": base64.b64encode(HOST_KEY.encode()).decode()}]}

    await all_well(api.call("POST", "/api/v1/certificates", body=items(n)) for n in range(MANY))
    listed = (await api.get("/api/v1/certificates", params={"certType": "ssh"})).json["items"]
    assert {each["serverName"] for each in listed} >= {f"h{n}" for n in range(MANY)}


async def test_fields_of_the_cluster_that_has_no_secret_yet(api: Running) -> None:
    changes: list[tuple[str, Any]] = [("labels", {"a": "b"}), ("annotations", {"c": "d"}), ("shard", 1)]
    await all_well(
        api.call("PUT", IN_CLUSTER, body={field: value}, params=[BY_NAME, ("updatedFields", field)])
        for field, value in changes
    )
    found = (await api.get(IN_CLUSTER, params=[BY_NAME])).json
    assert {field: found.get(field) for field, _ in changes} == dict(changes)
