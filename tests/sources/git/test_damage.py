"""Damaged mirrors, dying and stuck processes, full disks: nothing is lost but time."""

import asyncio
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

import pytest

from tests.gitservers import GitRepo, HttpGitServer, enlarge, small_disk
from tests.sources.git.conftest import MakeStore, content, mirrors
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import (
    CommandTimeout,
    DiskFull,
    SourceError,
)
from tiphys.sources.git import GitStore

DAMAGES = ["deleted", "no HEAD", "objects gone", "packs cut", "config", "locked", "packed-refs", "file"]


def damage(mirror: Path, kind: str) -> None:
    match kind:
        case "deleted":
            shutil.rmtree(mirror)
        case "no HEAD":
            (mirror / "HEAD").unlink()
        case "objects gone":
            shutil.rmtree(mirror / "objects")
            (mirror / "objects").mkdir()
        case "packs cut":
            for path in [*mirror.glob("objects/pack/*.pack"), *mirror.glob("objects/??/*")]:
                path.chmod(0o600)
                path.write_bytes(path.read_bytes()[:20])
        case "config":
            (mirror / "config").write_text("[broken")
        case "locked":
            (mirror / "refs" / "heads" / "main.lock").write_text("")
            (mirror / "packed-refs.lock").write_text("")
        case "packed-refs":
            (mirror / "packed-refs").write_text("garbage\n")
        case "file":
            shutil.rmtree(mirror)
            mirror.write_text("")


@pytest.mark.parametrize("running", [True, False], ids=["while running", "between two runs"])
@pytest.mark.parametrize("kind", DAMAGES)
async def test_damaged_mirror_is_rebuilt(
    kind: str, running: bool, repo: GitRepo, tmp_path: Path, make_store: MakeStore
) -> None:
    first = repo.commit({"a": "1", "many": os.urandom(2000)})
    repository = Repository(url=repo.url)
    store = make_store()
    await store.ensure(repository, first)
    (mirror,) = mirrors(tmp_path)
    if not running:
        await store.close()
    damage(mirror, kind)
    if not running:
        store = make_store()
    second = repo.commit({"a": "2"})
    assert await content(store, repository, second) == b"2"
    assert await content(store, repository, first) == b"1"
    assert len(await store.entries(repository, second)) == 2


async def test_damaged_remote_is_an_error_not_a_loop(repo: GitRepo, store: GitStore) -> None:
    sha = repo.commit({"a": "1"})
    for path in (repo.path / ".git" / "objects").glob("??/*"):
        path.chmod(0o600)
        path.write_bytes(b"")
    with pytest.raises(SourceError):
        await store.entry(Repository(url=repo.url), sha, "a")
    assert store.requests["fetch"] <= 3


async def test_reader_that_dies_starts_again(repo: GitRepo, store: GitStore) -> None:
    sha = repo.commit({"a": "1"})
    repository = Repository(url=repo.url)
    await store.ensure(repository, sha)
    for held in store._held.values():
        process = held.mirror.reader._process
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
    assert await content(store, repository, sha) == b"1"
    assert store.requests["fetch"] == 1


def group_members(text: str) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if text in (process / "cmdline").read_bytes().decode("utf-8", "replace"):
                found.append(int(process.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("how", ["time limit", "cancelled"])
async def test_stuck_fetch_is_killed_with_its_children(
    how: str, repo: GitRepo, tmp_path: Path, make_store: MakeStore
) -> None:
    store = make_store(
        exec_timeout=1.0 if how == "time limit" else 60.0,
        exec_fatal_timeout=2.0,
        failure_cache_seconds=0.0,
    )
    sha = repo.commit({"a": "1"})
    stuck, release = threading.Event(), threading.Event()

    def hang(_: str) -> None:
        stuck.set()
        release.wait(30)

    with HttpGitServer(tmp_path / "remote") as server:
        repository = Repository(url=f"{server.url}/app")
        server.interrupt = hang
        task = asyncio.create_task(store.ensure(repository, sha))
        await asyncio.get_running_loop().run_in_executor(None, stuck.wait, 10)
        assert group_members(server.url)
        if how == "cancelled":
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await store._held[next(iter(store._held))].mirror.rebuild()  # waits for the lock
        else:
            with pytest.raises(CommandTimeout, match=r"failed timeout after 1s"):
                await task
        assert not group_members(server.url)
        server.interrupt = None
        release.set()
        assert await content(store, repository, sha) == b"1"


async def test_full_disk(repo: GitRepo, tmp_path: Path, make_store: MakeStore) -> None:
    with small_disk(tmp_path / "disk", "3m") as disk:
        store = make_store(disk / "store")
        repository = Repository(url=repo.url)
        small = repo.commit({"a": "1"})
        assert await content(store, repository, small) == b"1"
        big = repo.commit({"big": os.urandom(4 << 20)})
        with pytest.raises(DiskFull, match="no space left on device") as caught:
            await store.ensure(repository, big)
        assert str(disk) not in caught.value.message
        # what was there goes on working, and after space was made so does the rest
        assert await content(store, repository, small) == b"1"
        enlarge(disk, "40m")
        assert len(await store.entries(repository, big)) == 2
        await store.close()


async def test_full_disk_from_the_start(repo: GitRepo, tmp_path: Path, make_store: MakeStore) -> None:
    sha = repo.commit({"a": "1"})
    repository = Repository(url=repo.url)
    with small_disk(tmp_path / "disk", "64k") as disk:
        filler = disk / "filler"
        try:
            filler.write_bytes(b"x" * (1 << 20))
        except OSError:
            pass
        store = make_store(disk / "store")
        with pytest.raises(DiskFull):
            await store.ensure(repository, sha)
        filler.unlink()
        enlarge(disk, "10m")
        assert await content(store, repository, sha) == b"1"
        await store.close()


KILLED = """
import asyncio, sys
from pathlib import Path
from tiphys.settings.repositories import Repository
from tiphys.sources.git import GitStore
async def main():
    store = GitStore(Path(sys.argv[1]))
    await store.ensure(Repository(url=sys.argv[2]), sys.argv[3])
asyncio.run(main())
"""


async def test_killed_while_fetching(repo: GitRepo, tmp_path: Path, make_store: MakeStore) -> None:
    """SIGKILL of the whole operator in the middle of a fetch costs a fetch, nothing else."""
    sha = repo.commit({"a": "1"})
    stuck, release = threading.Event(), threading.Event()

    def hang(path: str) -> None:
        if path.endswith("git-upload-pack"):
            stuck.set()
            release.wait(30)

    with HttpGitServer(tmp_path / "remote") as server:
        server.interrupt = hang
        url = f"{server.url}/app"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", KILLED, str(tmp_path / "store"), url, sha
        )
        await asyncio.get_running_loop().run_in_executor(None, stuck.wait, 20)
        process.kill()
        await process.wait()
        server.interrupt = None
        release.set()
        store = make_store()
        assert await content(store, Repository(url=url), sha) == b"1"


async def test_everything_deleted_while_running(repo: GitRepo, tmp_path: Path, make_store: MakeStore) -> None:
    store = make_store()
    first = repo.commit({"a": "1"})
    with HttpGitServer(tmp_path / "remote", basic=("ada", "right")) as server:
        repository = Repository(url=f"{server.url}/app", username="ada", password="right")
        async with store.materialize(repository, first):
            pass
        for each in (tmp_path / "store").iterdir():
            if each.is_dir():
                shutil.rmtree(each)
        async with store.materialize(repository, first) as path:
            assert (path / "a").read_text() == "1"
        second = repo.commit({"a": "2"})
        assert await store.resolve(repository, "main", fresh=True) == second
        assert await content(store, repository, second) == b"2"
        assert await content(store, repository, first) == b"1"
