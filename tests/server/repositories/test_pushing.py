"""Repositories for pushing (api.md 9): the same methods, another right, only with the hydrator."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.repositories.conftest import PASSWORD, Place, escaped, refused, says
from tests.server.running import Running

LIST = "/api/v1/write-repositories"
BODY = {"username": "ada", "password": PASSWORD}


def at(url: str) -> str:
    return f"{LIST}/{escaped(url)}"


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("GET", "", None),
        ("POST", "", {"repo": "x"}),
        ("GET", "/x", None),
        ("PUT", "/x", {"repo": "x"}),
        ("DELETE", "/x", None),
        ("POST", "/x/validate", "x"),
    ],
)
async def test_without_the_hydrator_there_are_none(api: Running, verb: str, path: str, body: Any) -> None:
    answer = await api.call(verb, LIST + path, body=body)
    assert refused(answer) == (501, 12, "hydrator is disabled")


async def test_one_is_created_listed_changed_and_deleted(place: Place, own: str) -> None:
    api = place.admin
    made = await api.call("POST", LIST, body={"repo": own, **BODY})
    assert made.status == 200, made.text
    [secret] = place.secrets("repository-write")
    assert secret["metadata"]["name"].startswith("repo-write-")
    items = (await api.get(LIST)).json["items"]
    assert [(each["repo"], each["username"], each["connectionState"]["status"]) for each in items] == [
        (own, "ada", "Successful")
    ]
    assert PASSWORD not in str(items)
    assert own not in str((await api.get("/api/v1/repositories")).json)
    # the reference routes these by the unescaped path (api.md 1): clients escape twice
    twice = escaped(escaped(own))
    assert (await api.get(f"{LIST}/{twice}")).json["username"] == "ada"
    changed = await api.call("PUT", f"{LIST}/{twice}", body={"repo": own, **BODY, "username": "bob"})
    assert changed.status == 200, changed.text
    assert (await api.get(f"{LIST}/{twice}")).json["username"] == "bob"
    assert (await api.call("DELETE", f"{LIST}/{twice}")).json == {}
    assert place.secrets("repository-write") == []


async def test_credentials_are_needed(place: Place, own: str) -> None:
    answer = await place.admin.call("POST", LIST, body={"repo": own})
    assert refused(answer) == (400, 3, "missing credentials in request")


async def test_it_has_a_right_of_its_own(place: Place, own: str) -> None:
    answer = await place.dev.call("POST", LIST, body={"repo": own, **BODY, "project": "team"})
    assert answer.json["message"].startswith(says("dev", "write-repositories", "create", f"team/{own}"))
    assert (await place.dev.get(LIST)).json["items"] is None


async def test_validating(place: Place, own: str) -> None:
    answer = await place.admin.call("POST", f"{LIST}/{escaped(escaped(own))}/validate", body=own)
    assert (answer.status, answer.json) == (200, {})
