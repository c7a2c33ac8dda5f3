"""One running API for the commands of the published command line, and a repository to deploy from."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from tests.controlplane import ControlPlane
from tests.gitservers import GitRepo
from tests.server.conftest import unique_namespace
from tests.server.grpc.client import Client
from tests.server.running import Running, running

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: guestbook-settings}\ndata: {colour: %s}\n"
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: guestbook}
spec:
  replicas: 0
  selector: {matchLabels: {app: guestbook}}
  template:
    metadata: {labels: {app: guestbook}}
    spec: {containers: [{name: web, image: registry.example.com/web:1}]}
"""
SERVER = "https://kubernetes.default.svc"

_numbers = itertools.count(1)


class Shell(msgspec.Struct, eq=False):
    """Where commands are typed: a client of one transport, logged in as admin.

    Attributes:
        first, second: commits of the repository; ``main`` is the second.
    """

    api: Running
    client: Client
    web: bool
    repository: str
    first: str
    second: str

    async def begin(self) -> None:
        """The probe before every command (api.md 5)."""
        assert (await self.client.call("version.VersionService/Version"))["Version"].startswith("v3.6.0")

    def application(self, **spec: object) -> dict[str, object]:
        """An Application that no other test has."""
        return {
            "metadata": {"name": f"guestbook-{next(_numbers)}"},
            "spec": {
                "project": "default",
                "source": {"repoURL": self.repository, "path": "guestbook", "targetRevision": "main"},
                "destination": {"server": SERVER, "namespace": self.api.namespace},
                **spec,
            },
        }


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def served(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Running, GitRepo, str]]:
    """Everything running; the repository, and its first commit."""
    folder = tmp_path_factory.mktemp("cli")
    repository = GitRepo(folder / "repository")
    first = repository.commit({"guestbook/a.yaml": CONFIG_MAP % "blue", "guestbook/b.yaml": DEPLOYMENT})
    repository.commit({"guestbook/a.yaml": CONFIG_MAP % "green"})
    settings = {"accounts.robot": "apiKey, login", "timeout.reconciliation": "0s"}
    async with running(control_plane, folder / "cache", unique_namespace("cli"), settings=settings) as api:
        yield api, repository, first


@pytest_asyncio.fixture(params=[False, True], ids=["grpc", "grpc-web"], loop_scope="session")
async def shell(served: tuple[Running, GitRepo, str], request: pytest.FixtureRequest) -> AsyncIterator[Shell]:
    api, repository, first = served
    async with api.grpc(web=request.param) as client:
        yield Shell(api, client, request.param, repository.url, first, repository.head())
