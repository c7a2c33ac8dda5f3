"""The provider's process, and SSO that is configured for it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.access.building import config_map, store
from tests.access.oidc.idp import CLIENT, SECRET
from tiphys.access.access import Access


class Clock:
    """The real time, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Provider(msgspec.Struct):
    """The provider of the tests, from outside."""

    issuer: str
    http: aiohttp.ClientSession

    async def behave(self, **behaviour: Any) -> None:
        await self.http.post(f"{self.issuer}/behave", json=behaviour)

    async def asked(self, path: str) -> list[dict[str, Any]]:
        async with self.http.get(f"{self.issuer}/asked") as answer:
            return [each for each in await answer.json() if each["path"] == path]

    async def sign(self, claims: dict[str, Any], key: str = "rsa", **header: Any) -> str:
        wanted = {"claims": claims, "key": key, "header": header}
        async with self.http.post(f"{self.issuer}/sign", json=wanted) as answer:
            return await answer.text()

    async def authorize(self, url: str, name: str = "ann") -> str:
        """Log in as somebody: where the browser is sent back to."""
        async with self.http.get(f"{url}&login_hint={name}", allow_redirects=False) as answer:
            assert answer.status == 303, await answer.text()
            return answer.headers["Location"]


@pytest.fixture(scope="session")
def issuer() -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-m", "tests.access.oidc.idp"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["issuer"]
        process.terminate()


@pytest.fixture
async def provider(issuer: str) -> AsyncIterator[Provider]:
    async with aiohttp.ClientSession() as http:
        found = Provider(issuer, http)
        await found.behave()
        yield found


URL = "https://cd.example.com"


def oidc_config(issuer: str, **more: Any) -> str:
    return json.dumps(
        {"name": "Test", "issuer": issuer, "clientID": CLIENT, "clientSecret": "$oidc.secret", **more}
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Configured(msgspec.Struct):
    """Access with SSO; ``use`` changes oidc.config."""

    access: Access
    issuer: str

    def use(self, main: dict[str, str] | None = None, **more: Any) -> None:
        data = {"url": URL, "oidc.config": oidc_config(self.issuer, **more), **(main or {})}
        self.access._settings.put(config_map("argocd-cm", data))


@pytest.fixture
async def sso(issuer: str, clock: Clock) -> AsyncIterator[Configured]:
    settings = store(secrets={"oidc.secret": f" {SECRET}\n"}, rbac={"scopes": "[groups, email]"})
    access = Access(settings, lambda name: None, lambda listener: lambda: None, None, "argocd", clock)  # type: ignore[arg-type]
    configured = Configured(access, issuer)
    configured.use()
    yield configured
    await access.sso.close()
    access.close()
