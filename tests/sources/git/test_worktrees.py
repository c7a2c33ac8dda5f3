"""Submodules and LFS."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.gitservers import GitRepo, HttpGitServer
from tests.sources.git.conftest import MakeStore
from tests.sources.git.test_checkouts import tree_of
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import OutOfBoundsSymlink, SourceError
from tiphys.sources.git import GitStore


def with_submodule(repo: GitRepo, library: GitRepo, url: str) -> str:
    """Commit ``lib`` (a submodule at the library's head) without fetching it."""
    repo.write({".gitmodules": f'[submodule "lib"]\n\tpath = lib\n\turl = {url}\n'})
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{library.head()},lib")
    repo.git("add", ".gitmodules")
    repo.git("commit", "-q", "-m", "submodule")
    return repo.head()


@pytest.fixture
def library(tmp_path: Path) -> GitRepo:
    library = GitRepo(tmp_path / "remote" / "library")
    library.commit({"chart/values.yaml": "v"})
    return library


@pytest.mark.parametrize("kind", ["password", "basic", "bearer"])
@pytest.mark.parametrize("relative", [True, False], ids=["relative", "absolute"])
async def test_submodule(
    relative: bool, kind: str, repo: GitRepo, library: GitRepo, tmp_path: Path, store: GitStore
) -> None:
    """The repository's credentials serve submodules on its own host."""
    repo.commit({"a": "1"})
    bearer = kind == "bearer"
    basic = None if bearer else ("ada", 'ri"ght')
    with HttpGitServer(tmp_path / "remote", basic=basic, bearer="token" if bearer else None) as server:
        sha = with_submodule(repo, library, "../library" if relative else f"{server.url}/library")
        url = f"{server.url}/app"
        if bearer:
            repository = Repository(url=url, bearer_token="token")
        else:
            repository = Repository(
                url=url, username="ada", password='ri"ght', force_http_basic_auth=kind == "basic"
            )
        assert await store.worktree_reason(repository, sha) == "submodules"
        async with store.materialize(repository, sha, ["lib/chart"]) as path:
            found = tree_of(path)
        assert found.pop(".gitmodules")
        assert found == {"a": "1", "lib/chart/values.yaml": "v"}
    assert not list((tmp_path / "store" / "tmp").iterdir())


async def test_submodules_off(repo: GitRepo, library: GitRepo, make_store: MakeStore) -> None:
    store = make_store(submodules=False)
    repo.commit({"a": "1"})
    sha = with_submodule(repo, library, "../library")
    repository = Repository(url=repo.url)
    assert await store.worktree_reason(repository, sha) == ""
    async with store.materialize(repository, sha) as path:
        assert (path / "lib").is_dir()
        assert set(tree_of(path)) == {"a", ".gitmodules"}


async def test_submodule_that_is_not_there(
    repo: GitRepo, library: GitRepo, tmp_path: Path, store: GitStore
) -> None:
    repo.commit({"a": "1"})
    with HttpGitServer(tmp_path / "remote") as server:
        sha = with_submodule(repo, library, f"{server.url}/nothing")
        with pytest.raises(SourceError, match="Failed to checkout revision"):
            async with store.materialize(Repository(url=f"{server.url}/app"), sha):
                pass


@pytest.mark.parametrize("address", ["file", "ext"])
async def test_submodule_may_not_reach_the_disk(
    address: str, repo: GitRepo, library: GitRepo, tmp_path: Path, store: GitStore
) -> None:
    """A repository's author must not read the operator's disk, nor run a program on it."""
    url = library.url if address == "file" else f"ext::touch% {tmp_path}/ran"
    sha = with_submodule(repo, library, url)
    with pytest.raises(SourceError, match="not allowed"):
        async with store.materialize(Repository(url=repo.url), sha):
            pass
    assert not (tmp_path / "ran").exists()


async def test_submodule_does_not_get_foreign_credentials(
    repo: GitRepo, library: GitRepo, tmp_path: Path, store: GitStore
) -> None:
    """Credentials of the repository's host are not shown to a submodule's."""
    repo.commit({"a": "1"})
    with (
        HttpGitServer(tmp_path / "remote", basic=("ada", "right")) as server,
        HttpGitServer(tmp_path / "remote", basic=("eve", "x")) as other,
    ):
        sha = with_submodule(repo, library, f"{other.url}/library")
        for force in (False, True):
            repository = Repository(
                url=f"{server.url}/app", username="ada", password="right", force_http_basic_auth=force
            )
            with pytest.raises(SourceError):
                async with store.materialize(repository, sha):
                    pass
        assert other.requests
        assert other.seen_authorization == []


async def test_links_of_submodules_are_checked(
    repo: GitRepo, library: GitRepo, tmp_path: Path, store: GitStore
) -> None:
    repo.commit({"a": "1"})
    library.link("up", "../../../x")
    library.commit()
    with HttpGitServer(tmp_path / "remote") as server:
        sha = with_submodule(repo, library, f"{server.url}/library")
        with pytest.raises(OutOfBoundsSymlink, match="file: lib/up"):
            async with store.materialize(Repository(url=f"{server.url}/app"), sha):
                pass


def lfs_pointer(repo: GitRepo, data: bytes) -> str:
    """Commit ``big.bin`` through LFS with the file kept beside the repository."""
    subprocess.run(["git", "lfs", "install", "--local"], cwd=repo.path, check=True, capture_output=True)
    repo.git("lfs", "track", "*.bin")
    return repo.commit({"big.bin": data})


async def test_lfs(repo: GitRepo, store: GitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("git-lfs") is None:
        sha = repo.commit({"big.bin": "version https://git-lfs.github.com/spec/v1\n"})
        with pytest.raises(SourceError, match="git-lfs is not installed"):
            async with store.materialize(Repository(url=repo.url, enable_lfs=True), sha):
                pass
        return
    data = os.urandom(5000)
    sha = lfs_pointer(repo, data)
    repository = Repository(url=repo.url, enable_lfs=True)
    assert await store.worktree_reason(repository, sha) == "lfs"
    async with store.materialize(repository, sha) as path:
        assert (path / "big.bin").read_bytes() == data
    async with store.materialize(Repository(url=repo.url), sha) as path:
        assert (path / "big.bin").read_bytes().startswith(b"version https://git-lfs")


async def test_lfs_is_missing(
    repo: GitRepo, tmp_path: Path, store: GitStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha = repo.commit({"a": "1"})
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("git", "sh"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(SourceError, match="enableLfs, but git-lfs is not installed"):
        async with store.materialize(Repository(url=repo.url, enable_lfs=True), sha):
            pass
