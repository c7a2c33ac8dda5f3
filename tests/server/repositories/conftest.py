"""One API for the tests of this folder, and the real servers that repositories live on.

``admin`` may everything; ``dev`` has what a team has (its project's repositories, its applications,
URLs under ``/team/``); ``guest`` has nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
import pytest_asyncio

from tests.access.building import hashed
from tests.controlplane import ControlPlane
from tests.gitservers import Authority, GitRepo, HttpGitServer, SshGitServer
from tests.server.conftest import unique_namespace
from tests.server.running import Answer, Running, running
from tests.sources.queries.conftest import FILES

PASSWORD = "hunter2-hunter2"
"""Of every repository here; no answer and no line of the log may hold it."""

POLICY = """
p, dev, repositories, *, team/*, allow
p, dev, repositories, get, *public*, allow
p, dev, repositories, get, *app*, allow
p, dev, write-repositories, get, *public*, allow
p, dev, applications, get, team/*, allow
p, dev, applications, create, team/new*, allow
"""


class Place(msgspec.Struct, eq=False):
    """The API as each of them sees it."""

    admin: Running
    dev: Running
    guest: Running

    def secrets(self, label: str) -> list[dict[str, Any]]:
        """Secrets of one kind, straight from Kubernetes."""
        listed = self.admin.plane.kubectl.json(
            "-n", self.admin.namespace, "get", "secrets", "-l", f"argocd.argoproj.io/secret-type={label}"
        )
        items: list[dict[str, Any]] = listed["items"]
        return items


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def place(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    settings = {"accounts.dev": "login", "accounts.guest": "login"}
    secret = {f"accounts.{name}.password": hashed("correct-horse") for name in ("dev", "guest")}
    async with running(
        control_plane,
        tmp_path_factory.mktemp("repositories"),
        unique_namespace("repos"),
        settings=settings,
        rbac={"policy.csv": POLICY},
        secret=secret,
        flags={"--hydrator-enabled": "true"},
    ) as admin:
        tokens = {name: await admin.login(name, "correct-horse") for name in ("dev", "guest")}
        made = Place(admin, **{name: admin.acting(token) for name, token in tokens.items()})
        admin.apply(project("team"), project("narrow", repos=["https://nowhere.example/*"]))
        await admin.until("/api/v1/projects/narrow", lambda answer: answer.status == 200)
        yield made


def project(name: str, repos: list[str] | None = None) -> dict[str, Any]:
    """An AppProject that permits everything, or only some repositories."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": name},
        "spec": {"sourceRepos": repos or ["*"], "destinations": [{"server": "*", "namespace": "*"}]},
    }


@pytest.fixture(scope="session")
def remote(tmp_path_factory: pytest.TempPathFactory) -> GitRepo:
    """A repository with a directory of every kind, two branches and two tags."""
    repo = GitRepo(tmp_path_factory.mktemp("remote") / "app")
    repo.commit(FILES)
    repo.git("branch", "feature")
    repo.tag("v1", annotated=True)
    repo.tag("v2")
    return repo


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def https(remote: GitRepo, authority: Authority) -> Iterator[HttpGitServer]:
    """The repository over HTTPS with a password and a certificate nobody trusts at first."""
    with HttpGitServer(remote.path.parent, basic=("ada", PASSWORD), authority=authority) as server:
        yield server


@pytest.fixture(scope="session")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshGitServer]:
    with SshGitServer(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def own(remote: GitRepo, tmp_path: Path) -> str:
    """A URL of the repository that no other test uses."""
    (tmp_path / "app").symlink_to(remote.path)
    return f"file://{tmp_path}/app"


def escaped(url: str) -> str:
    """A URL as one segment of a path."""
    return quote(url, safe="")


def refused(answer: Answer) -> tuple[int, int, str]:
    """HTTP status, code and message of a failure."""
    return answer.status, answer.json["code"], answer.json["message"]


def says(name: str, resource: str, action: str, what: str) -> str:
    """How a refusal in the detailed style begins."""
    return f"permission denied: {resource}, {action}, {what}, sub: {name}, iat: "
