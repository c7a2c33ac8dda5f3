"""The calls that the published command line makes for these services (api.md 16), over gRPC."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.server.grpc.client import Client
from tests.server.repositories.conftest import PASSWORD, Place
from tests.server.repositories.test_certificates import ssh
from tests.sources.gpg.people import Person, people


@pytest.fixture(params=[False, True], ids=["grpc", "grpc-web"])
async def client(place: Place, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with Client(place.admin.target, token=place.admin.token, web=request.param) as made:
        yield made


@pytest.fixture(scope="module")
def ada() -> Iterator[Person]:
    with people("Ada") as [made]:
        yield made


async def test_repo_add_list_get_rm(client: Client, own: str) -> None:
    service = "repository.RepositoryService/"
    await client.call(f"{service}ValidateAccess", {"repo": own, "username": "ada", "password": PASSWORD})
    repo = {"repo": own, "username": "ada", "password": PASSWORD}
    for upsert in (False, True):
        made: Any = await client.call(f"{service}CreateRepository", {"repo": repo, "upsert": upsert})
        assert made["repo"] == own
    listed: Any = await client.call(f"{service}ListRepositories", {"forceRefresh": True})
    [item] = [each for each in listed["items"] if each["repo"] == own]
    assert item["connectionState"]["status"] == "Successful"
    assert PASSWORD not in json.dumps(listed, default=str)
    shown: Any = await client.call(f"{service}Get", {"repo": own})
    assert shown["username"] == "ada"
    await client.call(f"{service}DeleteRepository", {"repo": own})


async def test_repocreds_add_list_rm(client: Client) -> None:
    service = "repocreds.RepoCredsService/"
    creds = {"url": "https://git.example/cli", "username": "ada", "password": PASSWORD}
    await client.call(f"{service}CreateRepositoryCredentials", {"creds": creds, "upsert": True})
    listed: Any = await client.call(f"{service}ListRepositoryCredentials", {})
    assert creds["url"] in [each["url"] for each in listed["items"]]
    assert PASSWORD not in json.dumps(listed, default=str)
    await client.call(f"{service}DeleteRepositoryCredentials", {"url": creds["url"]})


async def test_cert_add_list_rm(client: Client) -> None:
    service = "certificate.CertificateService/"
    item = ssh("cli.example")
    sent = {**item, "certData": base64.b64decode(item["certData"])}
    await client.call(f"{service}CreateCertificate", {"certificates": {"items": [sent]}, "upsert": True})
    query = {"hostNamePattern": "cli.example", "certType": "ssh"}
    listed: Any = await client.call(f"{service}ListCertificates", query)
    assert [each["certInfo"][:7] for each in listed["items"]] == ["SHA256:"]
    removed: Any = await client.call(f"{service}DeleteCertificate", query)
    assert len(removed["items"]) == 1


async def test_gpg_add_list_get_rm(client: Client, ada: Person) -> None:
    service = "gpgkey.GPGKeyService/"
    made: Any = await client.call(f"{service}Create", {"publickey": {"keyData": ada.public}})
    assert [each["keyID"] for each in made["created"]["items"]] == [ada.key_id]
    listed: Any = await client.call(f"{service}List", {})
    assert ada.key_id in [each["keyID"] for each in listed["items"]]
    shown: Any = await client.call(f"{service}Get", {"keyID": ada.key_id})
    assert shown["owner"] == ada.owner
    await client.call(f"{service}Delete", {"keyID": ada.key_id})
