"""Getting and listing Applications over REST (api.md 3, 8.2)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.server.applications.place import KINDS, Place, refusal

pytestmark = pytest.mark.controlplane


async def test_get_shows_the_application_as_it_is_stored(place: Place) -> None:
    name = (await place.create())["metadata"]["name"]
    await place.settled(name)
    await place.patch_stored(name, '{"metadata":{"labels":{"fresh":"yes"}}}')
    shown = (await place.reader.get(f"{KINDS}/{name}")).json
    stored = await place.stored(name)
    assert shown["metadata"]["labels"] == {"fresh": "yes"}
    assert shown["spec"] == stored["spec"]
    assert not {"kind", "apiVersion"} & set(shown)
    assert "managedFields" not in shown["metadata"]


async def test_a_refresh_is_waited_for(place: Place) -> None:
    name = (await place.create())["metadata"]["name"]
    before = await place.settled(name)
    for kind in ("normal", "hard", "anything", ""):
        answer = await place.reader.get(f"{KINDS}/{name}", params={"refresh": kind})
        assert answer.status == 200, answer.text
        metadata = answer.json["metadata"]
        assert not any("refresh" in key for key in metadata.get("annotations", {}))
        assert int(metadata["resourceVersion"]) > int(before["metadata"]["resourceVersion"])
        before = answer.json


async def test_a_refresh_shows_a_new_commit(place: Place) -> None:
    name = (await place.create())["metadata"]["name"]
    await place.settled(name)
    files = {"one/b.yaml": f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n"}
    head = await asyncio.to_thread(place.repository.commit, files)
    shown = (await place.reader.get(f"{KINDS}/{name}", params={"refresh": "normal"})).json
    assert shown["status"]["sync"]["revision"] == head
    assert name in [each["name"] for each in shown["status"]["resources"]]
    await asyncio.to_thread(place.repository.commit, {"one/b.yaml": None})


@pytest.mark.parametrize("patience", ["1n", "1u", "1m", "50m", "1S"])
async def test_a_refresh_ends_with_the_caller_s_patience(place: Place, patience: str) -> None:
    """api.md 8.2: Unknown with this text, wherever the call is when the caller's time is up."""
    name = await never_refreshed(place)
    answer = await place.reader.get(
        f"{KINDS}/{name}", params={"refresh": "normal"}, headers={"Grpc-Timeout": patience}
    )
    assert refusal(answer) == (500, 2, "application refresh deadline exceeded")
    other = await place.reader.get(f"{KINDS}/{name}", headers={"Grpc-Timeout": "1n"})
    assert refusal(other) == (504, 4, "context deadline exceeded")


async def never_refreshed(place: Place) -> str:
    """An Application that no controller looks at."""
    annotations = {"argocd.argoproj.io/skip-reconcile": "true"}
    name: str = (await place.create(metadata={"annotations": annotations}))["metadata"]["name"]
    return name


async def test_a_refresh_of_what_is_deleted_meanwhile(place: Place) -> None:
    annotations = {"argocd.argoproj.io/skip-reconcile": "true"}
    name = (await place.create(metadata={"annotations": annotations}))["metadata"]["name"]
    waiting = asyncio.create_task(place.reader.get(f"{KINDS}/{name}", params={"refresh": "normal"}))
    await place.admin.until(
        f"{KINDS}/{name}",
        lambda answer: "argocd.argoproj.io/refresh" in answer.json["metadata"]["annotations"],
    )
    await place.tenant.call("DELETE", f"{KINDS}/{name}", params={"cascade": "false"})
    assert refusal(await waiting) == (404, 5, f'applications.argoproj.io "{name}" not found')


async def test_the_health_of_resources_comes_from_the_tree(place: Place) -> None:
    name = (await place.create())["metadata"]["name"]
    await place.settled(name)
    shown = (await place.reader.get(f"{KINDS}/{name}", params={"refresh": "normal"})).json
    assert shown["status"]["resourceHealthSource"] == "appTree"
    listed = (await place.reader.get(KINDS, params={"name": name})).json["items"][0]
    assert all("health" not in each for each in listed["status"]["resources"])


async def test_at_most_one_project(place: Place) -> None:
    query = [("projects", "team"), ("projects", "other")]
    assert refusal(await place.admin.get(f"{KINDS}/web", params=query)) == (
        400,
        3,
        "multiple projects specified - the get endpoint accepts either zero or one project",
    )


# List


def names(answer: Any) -> list[str]:
    return [item["metadata"]["name"] for item in answer.json["items"] or ()]


def etag_of(answer: Any) -> str:
    found = {name.lower(): value for name, value in answer.headers.items()}
    return found["etag"]


async def labelled(place: Place, label: str, count: int, **spec: Any) -> list[str]:
    made = [await place.create(metadata={"labels": {"set": label}}, **spec) for _ in range(count)]
    return sorted(app["metadata"]["name"] for app in made)


async def test_filters_of_a_list(place: Place) -> None:
    mine = await labelled(place, "filters", 2)
    others = await labelled(place, "filters", 1, project="other")

    async def listed(user: Any = place.admin, **query: str) -> list[str]:
        return names(await user.get(KINDS, params={"selector": "set=filters", **query}))

    assert await listed() == sorted(mine + others)
    assert await listed(projects="other") == others
    assert await listed(project="team", projects="other") == mine
    assert await listed(name=mine[0]) == mine[:1]
    assert await listed(repo=place.repository.url) == sorted(mine + others)
    assert await listed(repo="https://other") == []
    assert await listed(appNamespace=place.namespace) == sorted(mine + others)
    assert await listed(appNamespace="elsewhere") == []
    assert await listed(selector="set=filters,set!=filters") == []
    assert await listed(place.reader) == mine
    assert await listed(place.stranger) == others
    assert await listed(place.stranger, name=mine[0]) == []


async def test_the_form_of_a_list(place: Place) -> None:
    await labelled(place, "form", 1)
    answer = await place.admin.get(KINDS, params={"selector": "set=form"})
    assert answer.body.endswith(b"\n")
    assert answer.body.startswith(b'{"metadata":{"resourceVersion":"')
    item = answer.json["items"][0]
    got = (await place.admin.get(f"{KINDS}/{item['metadata']['name']}")).json
    assert item["spec"] == got["spec"]
    empty = await place.admin.get(KINDS, params={"selector": "set=none"})
    assert empty.json["items"] is None
    assert int(empty.json["metadata"]["resourceVersion"]) >= int(got["metadata"]["resourceVersion"])


async def test_a_list_is_the_same_in_one_piece_and_in_many(place: Place) -> None:
    values = "x" * 100_000  # more than is written at a stretch
    source = {"repoURL": place.repository.url, "path": "one", "helm": {"values": values}}
    mine = await labelled(place, "pieces", 4, source=source)
    query = {"selector": "set=pieces"}
    packed = await place.reader.get(KINDS, params=query)
    plain = await place.reader.get(KINDS, params=query, headers={"Accept-Encoding": "identity"})
    assert (plain.json["items"], names(plain)) == (packed.json["items"], mine)
    assert {name.lower(): value for name, value in plain.headers.items()}["content-length"] == str(
        len(plain.body)
    )


async def test_a_bad_selector(place: Place) -> None:
    status, code, message = refusal(await place.admin.get(KINDS, params={"selector": "a in b"}))
    assert (status, code) == (500, 2)
    assert message.startswith("error parsing the selector: ")


async def test_fields_of_a_list(place: Place) -> None:
    name = (await labelled(place, "fields", 1))[0]
    await place.settled(name)
    fields = "items.metadata.name,items.spec.project,items.status.sync.status,items.operation.sync,nonsense"
    for _ in range(2):
        answer = await place.reader.get(KINDS, params={"selector": "set=fields", "fields": fields})
        assert answer.json["items"] == [
            {
                "metadata": {"name": name},
                "spec": {"project": "team"},
                "status": {"sync": {"status": answer.json["items"][0]["status"]["sync"]["status"]}},
            }
        ]
        assert answer.json["metadata"]["resourceVersion"]
    other = await place.reader.get(
        KINDS, params={"selector": "set=fields", "fields": "items.spec,items.spec.project"}
    )
    assert list(other.json["items"][0]) == ["spec"]
    assert other.json["items"][0]["spec"]["source"]["path"] == "one"
    without = await place.reader.get(
        KINDS, params={"selector": "set=fields", "fields": "-items.status.sync.status"}
    )
    assert "sync" not in without.json["items"][0]["status"] or (
        "status" not in without.json["items"][0]["status"]["sync"]
    )
    assert without.json["items"][0]["metadata"]["name"] == name


async def test_pages(place: Place) -> None:
    mine = await labelled(place, "pages", 5)
    query = {"selector": "set=pages", "limit": "2"}
    found: list[str] = []
    left = []
    for _ in range(3):
        answer = await place.reader.get(KINDS, params=query)
        found += names(answer)
        left.append(answer.json["metadata"].get("remainingItemCount"))
        query["continue"] = answer.json["metadata"].get("continue", "")
    assert (found, left, query["continue"]) == (mine, [3, 1, None], "")
    backwards = await place.reader.get(KINDS, params={"selector": "set=pages", "sort": "-name"})
    assert names(backwards) == mine[::-1]
    assert refusal(await place.reader.get(KINDS, params={"limit": "many"}))[:2] == (400, 3)


async def test_an_unchanged_list_is_not_sent_again(place: Place) -> None:
    name = (await labelled(place, "etag", 1))[0]
    await place.settled(name)
    query = {"selector": "set=etag"}
    first = await place.reader.get(KINDS, params=query)
    tag = etag_of(first)
    same = await place.reader.get(KINDS, params=query, headers={"If-None-Match": tag})
    assert (same.status, same.body) == (304, b"")
    patch = json.dumps({"metadata": {"labels": {"set": "etag", "more": "x"}}})
    body = {"patch": patch, "patchType": "merge"}
    assert (await place.tenant.call("PATCH", f"{KINDS}/{name}", body=body)).status == 200
    other = await place.reader.get(KINDS, params=query, headers={"If-None-Match": tag})
    assert (other.status, names(other)) == (200, [name])
    assert etag_of(other) != tag
