"""GPG keys over the API (api.md 9), with keys of the real gpg."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.server.repositories.conftest import Place, refused, says
from tests.sources.gpg.people import Person, people

LIST = "/api/v1/gpgkeys"


@pytest.fixture(scope="module")
def both() -> Iterator[list[Person]]:
    with people("Ada", "Bob") as made:
        yield made


async def test_keys_are_added_shown_and_removed(place: Place, both: list[Person]) -> None:
    api, (ada, bob) = place.admin, both
    made = await api.call("POST", LIST, body={"keyData": ada.public})
    assert made.status == 200, made.text
    [item] = made.json["created"]["items"]
    assert (item["keyID"], item["fingerprint"], item["owner"], item["subType"], item["trust"]) == (
        ada.key_id,
        ada.fingerprint,
        ada.owner,
        "ed25519",
        "unknown",
    )
    assert "skipped" not in made.json or made.json["skipped"] is None
    both_at_once = await api.call("POST", LIST, body={"keyData": ada.public + bob.public})
    assert both_at_once.json["skipped"] == [ada.key_id]
    assert [each["keyID"] for each in both_at_once.json["created"]["items"]] == [bob.key_id]

    listed = (await api.get(LIST)).json
    assert listed["metadata"] == {}
    assert [each["keyID"] for each in listed["items"]] == sorted((ada.key_id, bob.key_id))
    assert not any(each.get("keyData") for each in listed["items"])
    for name in (ada.key_id, ada.fingerprint, ada.key_id.lower()):
        shown = (await api.get(f"{LIST}/{name}")).json
        assert shown["owner"] == ada.owner
        assert shown["keyData"].startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")
    held = api.plane.kubectl.json("-n", api.namespace, "get", "configmap", "argocd-gpg-keys-cm")
    assert sorted(held["data"]) == sorted((ada.key_id, bob.key_id))

    assert (await api.call("DELETE", LIST, params={"keyID": ada.key_id})).json == {}
    assert [each["keyID"] for each in (await api.get(LIST)).json["items"]] == [bob.key_id]
    await api.call("DELETE", LIST, params={"keyID": bob.fingerprint})
    assert (await api.get(LIST)).json["items"] is None


@pytest.mark.parametrize(
    ("verb", "path", "query", "body", "message"),
    [
        ("POST", "", {}, {"keyData": " "}, "submitted key data is empty"),
        ("POST", "", {}, None, "submitted key data is empty"),
        ("POST", "", {}, {"keyData": "x"}, "no valid PGP public key found in input data"),
        ("GET", "/4AEE18F83AFDEB23", {}, None, "no such key: 4AEE18F83AFDEB23"),
        ("GET", "/short", {}, None, "KeyID is malformed or empty"),
        ("DELETE", "", {"keyID": "4AEE18F83AFDEB23"}, None, "no such key configured: 4AEE18F83AFDEB23"),
        ("DELETE", "", {}, None, "KeyID is malformed or empty"),
    ],
)
async def test_refused(
    place: Place, verb: str, path: str, query: dict[str, str], body: Any, message: str
) -> None:
    answer = await place.admin.call(verb, LIST + path, params=query, body=body)
    assert refused(answer) == (500, 2, message)


async def test_a_broken_entry_hides_no_other(place: Place, both: list[Person]) -> None:
    api, (ada, bob) = place.admin, both
    data = {ada.key_id: ada.public, bob.key_id: ada.public, "0" * 16: "x", "1" * 16: ada.public + bob.public}
    api.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-gpg-keys-cm"}, "data": data}
    )
    found = await api.until(f"{LIST}/{'1' * 16}", lambda answer: "no such key" not in answer.text)
    assert refused(found) == (500, 2, "more than one key found in input data")
    assert [each["keyID"] for each in (await api.get(LIST)).json["items"]] == [ada.key_id]
    for name in data:
        await api.call("DELETE", LIST, params={"keyID": name})


@pytest.mark.parametrize(
    ("verb", "path", "body", "action"),
    [
        ("GET", "", None, "get"),
        ("GET", "/4AEE18F83AFDEB23", None, "get"),
        ("POST", "", {"keyData": "x"}, "create"),
        ("DELETE", "", None, "delete"),
    ],
)
async def test_rights(place: Place, verb: str, path: str, body: Any, action: str) -> None:
    answer = await place.dev.call(verb, LIST + path, body=body)
    assert answer.json["message"].startswith(says("dev", "gpgkeys", action, ""))
