"""What the first start makes (operations.md 1.3), also when replicas start at once."""

import asyncio

import bcrypt
import pytest

from tests.access.building import NOW, config_map
from tiphys.access.accounts import SECRET
from tiphys.access.first_start import INITIAL, PENDING, prepare
from tiphys.access.passwords import Passwords, new_password
from tiphys.kube.client import MERGE_PATCH, ClusterClient
from tiphys.kube.errors import NotFound
from tiphys.settings.params import Params
from tiphys.settings.reading import data_of
from tiphys.settings.store import SettingsStore

pytestmark = pytest.mark.controlplane


async def start(client: ClusterClient, namespace: str, main: dict[str, str] | None = None) -> SettingsStore:
    settings = SettingsStore(namespace, Params())
    settings.put(config_map("argocd-cm", main or {}, namespace))
    passwords = Passwords()
    try:
        await prepare(settings, client, namespace, passwords, lambda: NOW)
    finally:
        passwords.close()
    return settings


async def read(client: ClusterClient, namespace: str, name: str) -> dict[str, str]:
    return data_of({**await client.get(SECRET, namespace, name), "kind": "Secret"})


async def test_key_and_password_are_made_and_kept(client: ClusterClient, namespace: str) -> None:
    settings = await start(client, namespace)
    made = await read(client, namespace, "argocd-secret")
    plain = (await read(client, namespace, INITIAL))["password"]
    assert len(plain) == 16
    assert bcrypt.checkpw(plain.encode(), made["admin.password"].encode())
    assert made["admin.passwordMtime"] == "2026-01-31T12:00:00Z"
    assert settings.snapshot.references.main == made  # the writer reads its own write
    await start(client, namespace)
    assert await read(client, namespace, "argocd-secret") == made


async def test_replicas_that_start_at_once_agree(client: ClusterClient, namespace: str) -> None:
    stores = await asyncio.gather(*(start(client, namespace) for _ in range(4)))
    made = await read(client, namespace, "argocd-secret")
    plain = (await read(client, namespace, INITIAL))["password"]
    assert bcrypt.checkpw(plain.encode(), made["admin.password"].encode())
    assert {settings.snapshot.references.main["server.secretkey"] for settings in stores} == {
        made["server.secretkey"]
    }


async def test_a_kill_between_password_and_hash_loses_neither(client: ClusterClient, namespace: str) -> None:
    await start(client, namespace)
    plain = (await read(client, namespace, INITIAL))["password"]
    gone: dict[str, None] = {"admin.password": None, "admin.passwordMtime": None}
    await client.patch(SECRET, namespace, "argocd-secret", {"data": gone}, MERGE_PATCH)
    pending = {"metadata": {"annotations": {PENDING: "true"}}}
    await client.patch(SECRET, namespace, INITIAL, pending, MERGE_PATCH)
    await start(client, namespace)
    made = await read(client, namespace, "argocd-secret")
    assert bcrypt.checkpw(plain.encode(), made["admin.password"].encode())


async def test_a_removed_hash_gets_a_new_password(client: ClusterClient, namespace: str) -> None:
    await start(client, namespace)
    before = (await read(client, namespace, INITIAL))["password"]
    gone: dict[str, None] = {"admin.password": None, "admin.passwordMtime": None}
    await client.patch(SECRET, namespace, "argocd-secret", {"data": gone}, MERGE_PATCH)
    await start(client, namespace)
    after = (await read(client, namespace, INITIAL))["password"]
    made = await read(client, namespace, "argocd-secret")
    assert before != after
    assert bcrypt.checkpw(after.encode(), made["admin.password"].encode())


async def test_no_password_for_an_admin_that_is_off(client: ClusterClient, namespace: str) -> None:
    await start(client, namespace, {"admin.enabled": "false"})
    assert set(await read(client, namespace, "argocd-secret")) == {"server.secretkey"}
    with pytest.raises(NotFound):
        await client.get(SECRET, namespace, INITIAL)


def test_passwords_are_made_of_the_alphabet() -> None:
    made = {new_password() for _ in range(50)}
    assert len(made) == 50
    assert all(c.isascii() and (c.isalnum() or c == "-") for each in made for c in each)
