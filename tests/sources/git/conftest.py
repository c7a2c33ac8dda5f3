"""Stores, repositories and servers for the Git tests."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.gitservers import Authority, GitRepo, SshGitServer
from tiphys.settings.repositories import Repository
from tiphys.sources.git import GitOptions, GitStore

MakeStore = Callable[..., GitStore]


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    return GitRepo(tmp_path / "remote" / "app")


@pytest.fixture
async def make_store(tmp_path: Path) -> AsyncIterator[MakeStore]:
    """``make_store(**options)``: a store in ``tmp_path/store`` (closed at the end)."""
    stores: list[GitStore] = []

    def make(root: Path | None = None, **options: object) -> GitStore:
        store = GitStore(root or tmp_path / "store", GitOptions(**options))  # type: ignore[arg-type]
        stores.append(store)
        return store

    yield make
    for store in stores:
        await store.close()


@pytest.fixture
def store(make_store: MakeStore) -> GitStore:
    return make_store()


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshGitServer]:
    with SshGitServer(tmp_path_factory.mktemp("sshd")) as server:
        yield server


def mirrors(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "store" / "mirrors").iterdir())


async def content(store: GitStore, repository: Repository, sha: str, path: str = "a") -> bytes:
    entry = await store.entry(repository, sha, path)
    assert entry is not None
    return (await store.blobs(repository, sha, [entry.oid]))[0]
