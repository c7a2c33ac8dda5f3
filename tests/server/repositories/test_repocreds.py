"""Credential templates over the API (api.md 9, sources.md 18)."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.server.repositories.conftest import PASSWORD, Place, escaped, refused, says

LIST = "/api/v1/repocreds"
URL = "https://git.example/org"
BODY = {"url": URL, "username": "ada", "password": PASSWORD}


@pytest.fixture(params=["/api/v1/repocreds", "/api/v1/write-repocreds"])
def kind(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


def at(kind: str, url: str) -> str:
    """Only the reading side is routed by the escaped path (api.md 1)."""
    once = escaped(url)
    return f"{kind}/{escaped(once) if 'write' in kind else once}"


async def test_one_is_created_listed_changed_and_deleted(place: Place, kind: str) -> None:
    api = place.admin
    made = await api.call("POST", kind, body={**BODY, "type": "git"})
    assert (made.status, made.json) == (200, {"url": URL})
    label = "repo-write-creds" if "write" in kind else "repo-creds"
    [secret] = place.secrets(label)
    assert secret["metadata"]["name"].startswith("creds-write-" if "write" in kind else "creds-")
    assert base64.b64decode(secret["data"]["password"]).decode() == PASSWORD
    assert (await api.get(kind)).json == {
        "metadata": {},
        "items": [{"url": URL, "username": "ada", "type": "git"}],
    }
    changed = await api.call("PUT", at(kind, URL), body={**BODY, "username": "bob"})
    assert (changed.status, changed.json) == (200, {"url": URL})
    assert (await api.get(kind)).json["items"][0]["username"] == "bob"
    assert (await api.call("DELETE", at(kind, URL))).json == {}
    assert (await api.get(kind)).json == {"metadata": {}, "items": None}


async def test_creating_twice(place: Place, kind: str) -> None:
    api = place.admin
    for _ in range(2):
        assert (await api.call("POST", kind, body=BODY)).status == 200
    other = {**BODY, "password": "other", "tlsClientCertData": "x"}
    assert refused(await api.call("POST", kind, body=other)) == (
        400,
        3,
        "existing repository credentials spec is different; use upsert flag to force update; "
        'difference in keys "Password,TLSClientCertData"',
    )
    answer = await api.call("POST", kind, body=other, params={"upsert": "true"})
    assert (answer.status, answer.json) == (200, {"url": URL})
    await api.call("DELETE", at(kind, URL))


@pytest.mark.parametrize(
    ("verb", "path", "body", "failure"),
    [
        ("POST", "", None, (400, 3, "missing payload in request")),
        ("POST", "", {"username": "x"}, (400, 3, "must specify URL")),
        (
            "PUT",
            "https://absent.example/",
            {"url": "https://absent.example/"},
            (404, 5, "repository credentials 'https://absent.example/' not found"),
        ),
        (
            "DELETE",
            "https://absent.example/",
            None,
            (404, 5, "repository credentials 'https://absent.example/' not found"),
        ),
    ],
)
async def test_refused(place: Place, verb: str, path: str, body: Any, failure: tuple[int, int, str]) -> None:
    answer = await place.admin.call(verb, at(LIST, path) if path else LIST, body=body)
    assert refused(answer) == failure


@pytest.mark.parametrize(("verb", "action"), [("POST", "create"), ("PUT", "update"), ("DELETE", "delete")])
async def test_rights_are_about_the_url(place: Place, kind: str, verb: str, action: str) -> None:
    resource = "write-repositories" if "write" in kind else "repositories"
    path = kind if verb == "POST" else at(kind, URL)
    answer = await place.dev.call(verb, path, body=None if verb == "DELETE" else BODY)
    assert answer.json["message"].startswith(says("dev", resource, action, URL))


async def test_lists_hold_what_one_may_get(place: Place) -> None:
    for url in (URL, "https://public.example/"):
        await place.admin.call("POST", LIST, body={**BODY, "url": url})
    assert [each["url"] for each in (await place.dev.get(LIST)).json["items"]] == ["https://public.example/"]
    assert (await place.guest.get(LIST)).json["items"] is None
    for url in (URL, "https://public.example/"):
        await place.admin.call("DELETE", at(LIST, url))


async def test_a_prefix_of_another_is_left_alone(place: Place) -> None:
    longer = f"{URL}/team"
    await place.admin.call("POST", LIST, body=BODY)
    answer = await place.admin.call("DELETE", at(LIST, longer))
    assert answer.status == 404  # the reference would delete the shorter one
    assert (await place.admin.call("POST", LIST, body={**BODY, "url": longer})).status == 200
    assert len((await place.admin.get(LIST)).json["items"]) == 2
    for url in (URL, longer):
        await place.admin.call("DELETE", at(LIST, url))
