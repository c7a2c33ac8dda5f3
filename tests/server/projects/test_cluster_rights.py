"""Who may do what with a cluster, and what others learn of it (api.md 9 "Cluster")."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.projects.clusters import IN_CLUSTER, MASKED, SERVICE, config_of, server_of
from tests.server.projects.house import House

RIGHTS: list[tuple[str, dict[str, Any], str]] = [
    ("Get", {}, "get"),
    ("Update", {"cluster": {}, "updatedFields": ["name"]}, "update"),
    ("Delete", {}, "delete"),
    ("RotateAuth", {}, "update"),
    ("InvalidateCache", {}, "update"),
]


@pytest.mark.parametrize("place", [IN_CLUSTER, "https://nowhere"])
@pytest.mark.parametrize(("method", "request_", "action"), RIGHTS, ids=[each[0] for each in RIGHTS])
async def test_what_is_forbidden_and_what_is_not_there_look_alike(
    shop: House, method: str, request_: dict[str, Any], action: str, place: str
) -> None:
    others = [each for each in ("get", "update", "delete", "create") if each != action]
    stranger = shop.user("stranger", *(f"clusters, {each}, *" for each in others))
    asked = {**request_, "id": {"value": place}}
    assert await shop.refused(f"{SERVICE}/{method}", asked, by=stranger) == MASKED
    if place != IN_CLUSTER:
        assert await shop.refused(f"{SERVICE}/{method}", asked) == MASKED


async def test_creating_needs_the_right_on_project_and_server(shop: House) -> None:
    maker = shop.user("maker", "clusters, create, mine/*")
    for project, name in (("", "https://x"), ("theirs", "theirs/https://x")):
        request = {"cluster": {"server": "https://x", "project": project}}
        assert await shop.refused(f"{SERVICE}/Create", request, by=maker) == (
            "PermissionDenied",
            f"permission denied: clusters, create, {name}, sub: maker",
        )


async def test_a_cluster_moves_to_a_project_of_the_callers_only(shop: House) -> None:
    server = server_of(shop)
    config = config_of(shop)
    await shop.call(
        f"{SERVICE}/Create",
        {"cluster": {"server": server, "name": "moving", "config": config, "project": "here"}},
    )
    mover = shop.user("mover", "clusters, update, here/*", "clusters, get, *")
    move = {"cluster": {"project": "there"}, "id": {"value": server}, "updatedFields": ["project"]}
    assert await shop.refused(f"{SERVICE}/Update", move, by=mover) == MASKED
    whole = {"cluster": {"server": server, "config": config, "project": "there"}}
    assert await shop.refused(f"{SERVICE}/Update", whole, by=mover) == MASKED
    mover = shop.user("mover", "clusters, update, here/*", "clusters, update, there/*", "clusters, get, *")
    assert (await shop.call(f"{SERVICE}/Update", move, by=mover))["project"] == "there"


async def test_all_clusters_of_a_name_are_deleted_or_none(shop: House) -> None:
    servers = [server_of(shop) for _ in range(2)]
    for server in servers:
        await shop.call(
            f"{SERVICE}/Create", {"cluster": {"server": server, "name": "twins", "config": config_of(shop)}}
        )
    deleter = shop.user("deleter", f"clusters, delete, {min(servers)}", "clusters, get, *")
    by_name = {"id": {"type": "name", "value": "twins"}}
    assert await shop.refused(f"{SERVICE}/Delete", by_name, by=deleter) == MASKED
    assert all(shop.state.settings.clusters.get(server) for server in servers)
    await shop.call(f"{SERVICE}/Delete", by_name)
    assert not set(servers) & set(shop.state.settings.clusters.by_server)


async def test_clusters_of_others_are_not_in_the_way(shop: House) -> None:
    """Two projects have a cluster of one name; neither learns of the other's."""
    servers = {project: server_of(shop) for project in ("cl-one", "cl-two")}
    for project, server in servers.items():
        body = {"server": server, "name": "same", "project": project, "config": config_of(shop)}
        await shop.call(f"{SERVICE}/Create", {"cluster": body})
    by_name = {"id": {"type": "name", "value": "same"}}
    for project, server in servers.items():
        owner = shop.user(f"{project}-owner", f"clusters, *, {project}/*")
        assert (await shop.call(f"{SERVICE}/Get", by_name, by=owner))["server"] == server
        for asked in ({"name": "same"}, by_name, {}):
            listed = await shop.call(f"{SERVICE}/List", asked, by=owner)
            assert [each["server"] for each in listed["items"]] == [server]
    # a server that is another's: neither what it has nor where it differs
    thief = shop.user("cl-two-owner", "clusters, *, cl-two/*")
    for config in (config_of(shop), {**config_of(shop), "username": "x"}):
        for upsert in (False, True):
            body = {"server": servers["cl-one"], "name": "same", "project": "cl-two", "config": config}
            request = {"cluster": body, "upsert": upsert}
            assert await shop.refused(f"{SERVICE}/Create", request, by=thief) == MASKED
    await shop.call(f"{SERVICE}/Delete", by_name, by=thief)
    kept = shop.state.settings.clusters.by_server
    assert servers["cl-one"] in kept
    assert servers["cl-two"] not in kept
