"""Mirrors: fetched once per new commit, never shared across ways of access."""

import asyncio
import os
import shutil
import threading
from pathlib import Path

import pytest

from tests.gitservers import GitRepo, HttpGitServer
from tests.sources.git.conftest import MakeStore, content, mirrors
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import (
    AccessDenied,
    RepositoryUnreachable,
    RevisionNotFound,
    SourceError,
)
from tiphys.sources.git import GitRequest, GitStore


async def test_many_readers_share_one_fetch(repo: GitRepo, store: GitStore) -> None:
    sha = repo.commit({"a": "1"})
    repository = Repository(url=repo.url)
    found = await asyncio.gather(*(content(store, repository, sha) for _ in range(50)))
    assert set(found) == {b"1"}
    assert store.requests["fetch"] == 1


async def test_one_fetch_brings_all_new_commits(repo: GitRepo, store: GitStore) -> None:
    first = repo.commit({"a": "1"})
    second = repo.commit({"a": "2"})
    repo.git("branch", "other", first)
    repository = Repository(url=repo.url)
    await asyncio.gather(store.ensure(repository, first), store.ensure(repository, second))
    assert store.requests["fetch"] == 1
    third = repo.commit({"a": "3"})
    assert await content(store, repository, third) == b"3"
    assert store.requests["fetch"] == 2


async def test_survives_a_restart(repo: GitRepo, make_store: MakeStore) -> None:
    sha = repo.commit({"a": "1"})
    repository = Repository(url=repo.url)
    first = make_store()
    await first.ensure(repository, sha)
    await first.close()
    shutil.rmtree(repo.path)
    second = make_store()
    assert await content(second, repository, sha) == b"1"
    assert second.requests["fetch"] == 0


async def test_one_process_owns_a_store(repo: GitRepo, make_store: MakeStore) -> None:
    repo.commit({"a": "1"})
    await make_store().resolve(Repository(url=repo.url), "main")
    with pytest.raises(SourceError, match="another process uses this repository cache"):
        await make_store().resolve(Repository(url=repo.url), "main")


async def test_force_push_keeps_what_is_in_use(repo: GitRepo, store: GitStore) -> None:
    repo.commit({"a": "1"})
    old = repo.commit({"a": "2"})
    repository = Repository(url=repo.url)
    entry = await store.entry(repository, old, "a")
    assert entry is not None
    repo.git("reset", "-q", "--hard", "HEAD~1")
    new = repo.commit({"a": "3"})
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "-q", "--prune=now")
    assert await store.resolve(repository, "main", fresh=True) == new
    assert await content(store, repository, new) == b"3"
    await store.maintain()
    assert await store.blobs(repository, old, [entry.oid]) == [b"2"]


async def test_commit_without_a_name(repo: GitRepo, store: GitStore) -> None:
    """Pull requests, or a commit of a deleted branch: asked for by its SHA."""
    first = repo.commit({"a": "1"})
    hidden = repo.commit({"a": "2"})
    repo.git("update-ref", "refs/pull/1/head", hidden)
    repo.git("reset", "-q", "--hard", first)
    repository = Repository(url=repo.url)
    assert await store.resolve(repository, "pull/1/head") == hidden
    assert await content(store, repository, hidden) == b"2"


async def test_commit_that_is_given_out_by_name_only(repo: GitRepo, store: GitStore) -> None:
    repo.git("config", "uploadpack.allowAnySHA1InWant", "false")
    repo.git("config", "protocol.version", "0")
    first = repo.commit({"a": "1"})
    hidden = repo.commit({"a": "2"})
    repo.git("update-ref", "refs/changes/1", hidden)
    repo.git("reset", "-q", "--hard", first)
    repository = Repository(url=repo.url)
    assert await store.resolve(repository, "refs/changes/1") == hidden
    assert await content(store, repository, hidden) == b"2"


async def test_unknown_commit(repo: GitRepo, store: GitStore) -> None:  # sources.md 14.3
    repo.commit({"a": "1"})
    sha = "0123456789abcdef0123456789abcdef01234567"
    with pytest.raises(RevisionNotFound, match=f"^Failed to checkout revision {sha}: ") as caught:
        await store.entry(Repository(url=repo.url), sha, "a")
    assert (caught.value.code, caught.value.revision) == ("Internal", sha)


async def test_a_commit_that_is_a_tree(repo: GitRepo, store: GitStore) -> None:
    repo.commit({"a": "1"})
    tree = repo.git("rev-parse", "HEAD^{tree}")
    with pytest.raises(RevisionNotFound):
        await store.entry(Repository(url=repo.url), tree, "a")


async def test_short_commits(repo: GitRepo, store: GitStore) -> None:
    sha = repo.commit({"a": "1"})
    repository = Repository(url=repo.url)
    assert await store.resolve(repository, sha[:7]) == sha
    assert await content(store, repository, sha[:10]) == b"1"


async def test_depth(repo: GitRepo, tmp_path: Path, store: GitStore) -> None:
    repo.commit({"a": "1"})
    repo.commit({"a": "2"})
    sha = repo.commit({"a": "3"})
    repository = Repository(url=repo.url, depth=1)
    assert await content(store, repository, sha) == b"3"
    (mirror,) = mirrors(tmp_path)
    assert repo.git(f"--git-dir={mirror}", "rev-list", "--count", sha) == "1"
    newer = repo.commit({"a": "4"})
    assert await content(store, repository, newer) == b"4"


async def test_mirror_is_not_shared_across_access(repo: GitRepo, tmp_path: Path, store: GitStore) -> None:
    """What one tenant's credentials fetched, nobody reads without them."""
    sha = repo.commit({"a": "secret"})
    with HttpGitServer(tmp_path / "remote", basic=("ada", "right")) as server:
        url = f"{server.url}/app"
        owner = Repository(url=url, username="ada", password="right")
        assert await content(store, owner, sha) == b"secret"
        for stranger in (Repository(url=url), Repository(url=url, username="ada", password="wrong")):
            with pytest.raises(AccessDenied):
                await store.entry(stranger, sha, "a")
        careless = Repository(url=url, username="ada", password="right", insecure=True)
        assert await content(store, careless, sha) == b"secret"
    assert store.requests["fetch"] == 4


async def test_own_mirrors_are_no_repositories(repo: GitRepo, tmp_path: Path, store: GitStore) -> None:
    sha = repo.commit({"a": "secret"})
    await store.ensure(Repository(url=repo.url), sha)
    (mirror,) = mirrors(tmp_path)
    (tmp_path / "link").symlink_to(mirror)
    inside = f"{tmp_path}/store/mirrors/{mirror.name}"
    for url in (
        f"file://{inside}",
        inside,
        inside.removesuffix(".git"),
        f"file://{tmp_path}/x/../store/mirrors/{mirror.name}",
        f"file://{tmp_path}/link",
        f"file:/{inside}",
        f"FILE://{inside}",
        f"file://{inside.lstrip('/')}",
        f"file://{inside}".replace("store", "st%6Fre"),
        f"../mirrors/{mirror.name}",
        f"  ../mirrors/{mirror.name}",
    ):
        with pytest.raises(RepositoryUnreachable):
            await store.resolve(Repository(url=url), "main")
        with pytest.raises(RepositoryUnreachable):
            await store.entry(Repository(url=url), sha, "a")


async def test_idle_reader_ends(repo: GitRepo, make_store: MakeStore) -> None:
    store = make_store(reader_idle_seconds=0.01)
    sha = repo.commit({"a": "1"})
    repository = Repository(url=repo.url)
    await store.ensure(repository, sha)
    (held,) = store._held.values()
    process = held.mirror.reader._process
    assert process is not None
    await asyncio.wait_for(process.wait(), 10)
    assert await content(store, repository, sha) == b"1"


async def test_cancelled_reader_leaves_no_answer_behind(repo: GitRepo, store: GitStore) -> None:
    sha = repo.commit({f"f{number}": str(number) * 1000 for number in range(300)})
    repository = Repository(url=repo.url)
    entries = await store.entries(repository, sha)
    oids = [each.oid for each in entries.values()]
    for turns in range(12):
        task = asyncio.create_task(store.blobs(repository, sha, oids))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await content(store, repository, sha, f"f{turns}") == str(turns).encode() * 1000


async def test_size_limit_of_files(repo: GitRepo, make_store: MakeStore) -> None:
    store = make_store(max_blob_bytes=10_000)
    sha = repo.commit({"big": "x" * 20_000, "small": "y"})
    repository = Repository(url=repo.url)
    with pytest.raises(SourceError, match="larger than 10000 bytes"):
        await content(store, repository, sha, "big")
    assert await content(store, repository, sha, "small") == b"y"


async def test_one_cancelled_caller_does_not_stop_the_others(
    repo: GitRepo, tmp_path: Path, store: GitStore
) -> None:
    sha = repo.commit({"a": "1"})
    stuck, release = threading.Event(), threading.Event()

    def hang(_: str) -> None:
        stuck.set()
        release.wait(30)

    with HttpGitServer(tmp_path / "remote") as server:
        repository = Repository(url=f"{server.url}/app")
        server.interrupt = hang
        first = asyncio.create_task(store.ensure(repository, sha))
        second = asyncio.create_task(store.ensure(repository, sha))
        await asyncio.get_running_loop().run_in_executor(None, stuck.wait, 10)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        release.set()
        assert await second == sha
    assert store.requests["fetch"] == 1


async def test_unauthorised_fetch(repo: GitRepo, tmp_path: Path, store: GitStore) -> None:
    sha = repo.commit({"a": "1"})
    refused = pytest.raises(AccessDenied, match=r"^Failed to fetch default: authentication required")
    with HttpGitServer(tmp_path / "remote", basic=("u", "p")) as server, refused:
        await store.ensure(Repository(url=f"{server.url}/app"), sha)


async def test_requests_are_reported(repo: GitRepo, make_store: MakeStore) -> None:
    seen: list[GitRequest] = []
    store = make_store(on_request=seen.append)
    repo.commit({"a": "1"})
    sha = await store.resolve(Repository(url=repo.url), "main")
    await store.ensure(Repository(url=repo.url), sha)
    assert [(each.kind, each.url, each.failed) for each in seen] == [
        ("ls-remote", repo.url, False),
        ("fetch", repo.url, False),
    ]


async def test_packs_are_merged_and_nothing_is_lost(
    repo: GitRepo, tmp_path: Path, make_store: MakeStore
) -> None:
    store = make_store(repack_after_packs=3)
    repository = Repository(url=repo.url)
    commits = []
    for number in range(6):
        commits.append(repo.commit({f"{number}/{name}": os.urandom(50) for name in range(110)}))
        await store.ensure(repository, commits[-1])
    (mirror,) = mirrors(tmp_path)
    before = len(list((mirror / "objects" / "pack").glob("*.pack")))
    assert before > 3
    await store.maintain()
    assert len(list((mirror / "objects" / "pack").glob("*.pack"))) < before
    for commit in commits:
        assert await store.entries(repository, commit, recursive=True)
    assert store.requests["fetch"] == 6


async def test_forgotten_mirrors_go(repo: GitRepo, tmp_path: Path, make_store: MakeStore) -> None:
    store = make_store(mirror_max_age=3600.0)
    sha = repo.commit({"a": "1"})
    repository = Repository(url=repo.url)
    await store.ensure(repository, sha)
    (mirror,) = mirrors(tmp_path)
    await store.maintain()
    assert mirrors(tmp_path) == [mirror]
    os.utime(mirror / "tiphys-used", (0, 0))
    await store.maintain()
    assert mirrors(tmp_path) == []
    assert await content(store, repository, sha) == b"1"


async def test_restart_throws_checkouts_away(repo: GitRepo, tmp_path: Path, make_store: MakeStore) -> None:
    sha = repo.commit({"a": "1"})
    repository = Repository(url=repo.url)
    first = make_store()
    async with first.materialize(repository, sha) as path:
        pass
    await first.close()
    second = make_store()
    await second.ensure(repository, sha)
    assert not path.exists()
    async with second.materialize(repository, sha) as again:
        assert (again / "a").read_text() == "1"
    await second.close()
    assert sorted(each.name for each in (tmp_path / "store").iterdir()) == [
        "checkouts",
        "home",
        "lock",
        "mirrors",
        "tmp",
    ]


async def test_branch_that_becomes_a_folder_of_branches(repo: GitRepo, make_store: MakeStore) -> None:
    store = make_store(fresh_share_seconds=0.0)
    repo.commit({"a": "1"})
    repo.git("branch", "x")
    repository = Repository(url=repo.url)
    await store.ensure(repository, await store.resolve(repository, "x"))
    repo.git("branch", "-D", "x")
    sha = repo.commit({"a": "2"})
    repo.git("branch", "x/y")
    assert await store.resolve(repository, "x/y", fresh=True) == sha
    assert await content(store, repository, sha) == b"2"


async def test_only_commits_are_read(repo: GitRepo, store: GitStore) -> None:
    repo.commit({"a": "1"})
    for revision in ("main", "HEAD~1", ":/change", "", "-x"):
        with pytest.raises(SourceError, match="must be resolved"):
            await store.entry(Repository(url=repo.url), revision, "a")


async def test_failed_fetch_costs_one_attempt_for_all(repo: GitRepo, tmp_path: Path, store: GitStore) -> None:
    repo.commit({"a": "1"})
    sha = "0123456789abcdef0123456789abcdef01234567"
    repository = Repository(url=repo.url)
    for _ in range(20):
        with pytest.raises(RevisionNotFound):
            await store.entry(repository, sha, "a")
    assert store.requests["fetch"] == 2


async def test_slow_fetch_does_not_hold_up_what_is_there(
    repo: GitRepo, tmp_path: Path, store: GitStore
) -> None:
    first = repo.commit({"a": "1"})
    older = repo.git("rev-parse", "--short=12", "HEAD")
    stuck, release = threading.Event(), threading.Event()

    def hang(_: str) -> None:
        stuck.set()
        release.wait(30)

    with HttpGitServer(tmp_path / "remote") as server:
        repository = Repository(url=f"{server.url}/app")
        await store.ensure(repository, first)
        second = repo.commit({"a": "2"})
        server.interrupt = hang
        task = asyncio.create_task(store.ensure(repository, second))
        await asyncio.get_running_loop().run_in_executor(None, stuck.wait, 10)
        assert await content(store, repository, older) == b"1"
        assert not task.done()
        release.set()
        assert await task == second
