"""An API with accounts of several kinds."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from tests.access.building import hashed
from tests.controlplane import ControlPlane
from tests.server.conftest import unique_namespace
from tests.server.running import Running, running

PASSWORD = "correct-horse"
SETTINGS = {
    "accounts.ann": "login, apiKey",
    "accounts.ben": "login",
    "accounts.cat": "login",
    "accounts.eve": "login",
    "accounts.off": "login",
    "accounts.off.enabled": "false",
    "ui.bannercontent": "maintenance at noon",
    "help.chatUrl": "https://chat.example.com",
    "statusbadge.enabled": "true",
}
RBAC = {
    "policy.csv": "\n".join(
        (
            "p, ben, accounts, get, *, allow",
            "p, ben, accounts, update, cat, allow",
            "p, ben, applications, sync, web/*, allow",
            "p, ben, exec, create, web/*, deny",
        )
    )
}
SECRET = {f"accounts.{name}.password": hashed(PASSWORD) for name in ("ann", "ben", "cat", "eve", "off")}


class People(msgspec.Struct, eq=False):
    """The API as each of them sees it."""

    admin: Running
    ann: Running
    ben: Running
    eve: Running
    nobody: Running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def people(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[People]:
    folder = tmp_path_factory.mktemp("api")
    namespace = unique_namespace("accounts")
    async with running(
        control_plane, folder, namespace, settings=SETTINGS, rbac=RBAC, secret=SECRET
    ) as admin:
        tokens = {name: await admin.login(name, PASSWORD) for name in ("ann", "ben", "eve")}
        acting = {name: admin.acting(token) for name, token in tokens.items()}
        yield People(admin=admin, nobody=admin.acting(""), **acting)
