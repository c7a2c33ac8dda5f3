"""Watching Applications over REST (api.md 10): the snapshot, the changes, who sees what."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.server.applications.place import KINDS, Place
from tests.server.running import Running

pytestmark = pytest.mark.controlplane

STREAM = "/api/v1/stream/applications"


class Watch:
    """An open stream; gives its events one after the other."""

    def __init__(self, content: Any):
        self._content = content

    async def next(self, seconds: float = 20.0) -> tuple[str, str, dict[str, Any]]:
        """Kind, name and Application of the next event."""
        async with asyncio.timeout(seconds):
            line = await self._content.readline()
        event = json.loads(line)["result"]
        return event["type"], event["application"]["metadata"]["name"], event["application"]

    async def until(self, kind: str, name: str) -> dict[str, Any]:
        """Events up to one of this kind for this name."""
        while True:
            found = await self.next()
            if found[:2] == (kind, name):
                return found[2]


@asynccontextmanager
async def watching(user: Running, **query: str) -> AsyncIterator[Watch]:
    async with user.session.get(
        user.base + STREAM, params=query, headers={"Authorization": f"Bearer {user.token}"}
    ) as answer:
        assert answer.status == 200, await answer.text()
        yield Watch(answer.content)


async def newest(place: Place) -> str:
    answer = await place.admin.get(KINDS, params={"selector": "none=none"})
    version: str = answer.json["metadata"]["resourceVersion"]
    return version


async def test_what_is_there_comes_first_in_the_order_of_names(place: Place) -> None:
    made = [await place.create(metadata={"labels": {"set": "first"}}) for _ in range(3)]
    expected = sorted(app["metadata"]["name"] for app in made)
    async with watching(place.reader, selector="set=first") as watch:
        first = [await watch.next() for _ in expected]
        assert [(kind, name) for kind, name, _ in first if kind == "ADDED"] == [
            ("ADDED", name) for name in expected
        ]


async def test_changes_in_their_order_until_the_end(place: Place) -> None:
    async with watching(place.tenant, selector="set=order", resourceVersion=await newest(place)) as watch:
        name = (await place.create(metadata={"labels": {"set": "order"}}))["metadata"]["name"]
        assert (await watch.next())[:2] == ("ADDED", name)
        body = {"patch": '{"metadata":{"labels":{"x":"1"}}}', "patchType": "merge"}
        assert (await place.tenant.call("PATCH", f"{KINDS}/{name}", body=body)).status == 200
        versions = [0]
        while True:
            kind, _, app = await watch.next()
            versions.append(int(app["metadata"]["resourceVersion"]))
            if kind == "MODIFIED" and app["metadata"]["labels"].get("x") == "1":
                break
        assert (
            await place.tenant.call("DELETE", f"{KINDS}/{name}", params={"cascade": "false"})
        ).status == 200
        gone = await watch.until("DELETED", name)
        assert gone["metadata"]["labels"] == {"set": "order", "x": "1"}  # the last known state
        assert versions == sorted(versions)


async def test_with_a_version_only_later_changes_come(place: Place) -> None:
    name = (await place.create(metadata={"labels": {"set": "later"}}))["metadata"]["name"]
    await place.settled(name)
    async with watching(place.tenant, selector="set=later", resourceVersion=await newest(place)) as watch:
        other = (await place.create(metadata={"labels": {"set": "later"}}))["metadata"]["name"]
        assert (await watch.next())[:2] == ("ADDED", other)


async def test_the_end_of_what_was_there_before_the_version(place: Place) -> None:
    name = (await place.create(metadata={"labels": {"set": "end"}}))["metadata"]["name"]
    await place.settled(name)
    async with watching(place.tenant, selector="set=end", resourceVersion=await newest(place)) as watch:
        await place.tenant.call("DELETE", f"{KINDS}/{name}", params={"cascade": "false"})
        await watch.until("DELETED", name)


async def test_a_version_that_is_no_number_counts_as_none_but_is_given(place: Place) -> None:
    await place.create(metadata={"labels": {"set": "odd"}})
    async with watching(place.tenant, selector="set=odd", resourceVersion="x") as watch:
        other = (await place.create(metadata={"labels": {"set": "odd"}}))["metadata"]["name"]
        await watch.until("ADDED", other)


async def test_a_named_application_comes_in_spite_of_a_version(place: Place) -> None:
    name = (await place.create())["metadata"]["name"]
    await place.settled(name)
    async with watching(place.tenant, name=name) as watch:
        assert (await watch.next())[:2] == ("ADDED", name)
        await place.create()
        await place.patch_stored(name, '{"metadata":{"labels":{"y":"1"}}}')
        while (found := await watch.next())[0] != "MODIFIED":
            pass
        assert found[1] == name


async def test_what_is_hidden_leaves_no_trace(place: Place) -> None:
    """A stranger's stream shows the stranger's Application and nothing of the team's before it."""
    async with watching(place.stranger, selector="set=hidden") as watch:
        for _ in range(3):
            await place.create(metadata={"labels": {"set": "hidden"}})
        own = (await place.create(metadata={"labels": {"set": "hidden"}}, project="other"))["metadata"][
            "name"
        ]
        assert (await watch.next())[:2] == ("ADDED", own)


async def test_projects_limit_a_watch(place: Place) -> None:
    async with watching(place.admin, selector="set=project", projects="other") as watch:
        await place.create(metadata={"labels": {"set": "project"}})
        own = (await place.create(metadata={"labels": {"set": "project"}}, project="other"))["metadata"][
            "name"
        ]
        assert (await watch.next())[:2] == ("ADDED", own)


async def test_a_name_that_may_not_be_seen_gives_a_silent_stream(place: Place) -> None:
    name = (await place.create())["metadata"]["name"]
    async with watching(place.stranger, name=name) as watch:
        await place.patch_stored(name, '{"metadata":{"labels":{"z":"1"}}}')
        await place.admin.until(
            f"{KINDS}/{name}", lambda answer: answer.json["metadata"].get("labels") == {"z": "1"}
        )
        with pytest.raises(TimeoutError):
            await watch.next(0.3)


async def test_fields_of_a_watch(place: Place) -> None:
    name = (await place.create())["metadata"]["name"]
    fields = "result.type,result.application.metadata.name"
    async with place.tenant.session.get(
        place.tenant.base + STREAM,
        params={"name": name, "fields": fields},
        headers={"Authorization": f"Bearer {place.tenant.token}"},
    ) as answer:
        event = json.loads(await answer.content.readline())
    assert event == {"result": {"application": {"metadata": {"name": name}}, "type": "ADDED"}}


async def test_a_bad_selector(place: Place) -> None:
    answer = await place.tenant.get(STREAM, params={"selector": "a in b"})
    assert answer.status == 500
    assert "unable to parse requirement" in answer.text
