"""Revisions of real repositories: shared listings, freshness, failures."""

import asyncio
import threading
from pathlib import Path

import pytest

from tests.gitservers import GitRepo, HttpGitServer
from tests.sources.git.conftest import MakeStore
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import AccessDenied, RepositoryUnreachable, RevisionNotFound, SourceError
from tiphys.sources.git import GitStore


async def test_every_kind_of_revision(repo: GitRepo, store: GitStore) -> None:  # sources.md 14.1
    first = repo.commit({"a": "1"})
    repo.tag("v1.0.0", annotated=True)
    second = repo.commit({"a": "2"})
    repo.tag("v1.1.0")
    repo.git("branch", "release/1", first)
    repository = Repository(url=repo.url)
    for revision, expected in {
        "": second,
        "main": second,
        "HEAD": second,
        "release/1": first,
        "v1.0.0": first,
        "1.x": second,
        "~1.0": first,
        "refs/tags/v1.0.0": first,
        first: first,
        first[:8]: first,
    }.items():
        assert await store.resolve(repository, revision) == expected, revision
    assert store.requests["ls-remote"] == 1


async def test_full_sha_needs_no_network(store: GitStore) -> None:
    sha = "0123456789abcdef0123456789abcdef01234567"
    assert await store.resolve(Repository(url="https://nowhere.invalid/x"), sha) == sha
    assert not any(store.requests.values())


async def test_500_applications_cost_one_listing(repo: GitRepo, store: GitStore) -> None:
    sha = repo.commit({"a": "1"})
    repository = Repository(url=repo.url)
    found = await asyncio.gather(*(store.resolve(repository, "main") for _ in range(500)))
    assert set(found) == {sha}
    for _ in range(500):
        await store.resolve(repository, "HEAD")
    assert store.requests["ls-remote"] == 1


async def test_cached_until_asked_fresh(repo: GitRepo, store: GitStore) -> None:
    first = repo.commit({"a": "1"})
    repository = Repository(url=repo.url)
    assert await store.resolve(repository, "main") == first
    began = asyncio.get_running_loop().time()
    second = repo.commit({"a": "2"})
    assert await store.resolve(repository, "main") == first
    assert await store.resolve(repository, "main", since=began) == second
    assert await store.resolve(repository, "main", since=began) == second
    assert store.requests["ls-remote"] == 2


async def test_period_of_the_cache(repo: GitRepo, make_store: MakeStore) -> None:
    store = make_store(revision_cache_seconds=0.0)
    repository = Repository(url=repo.url)
    repo.commit({"a": "1"})
    await store.resolve(repository, "main")
    second = repo.commit({"a": "2"})
    assert await store.resolve(repository, "main") == second


async def test_fresh_does_not_join_a_request_from_before(
    repo: GitRepo, tmp_path: Path, make_store: MakeStore
) -> None:
    """A push during a running listing is seen by whoever asks fresh after the push."""
    store = make_store(fresh_share_seconds=0.0)
    first = repo.commit({"a": "1"})
    started, go_on = threading.Event(), threading.Event()

    with HttpGitServer(tmp_path / "remote") as server:
        repository = Repository(url=f"{server.url}/app")
        loop = asyncio.get_running_loop()
        await store.resolve(repository, "main")

        def hold_answer(path: str) -> None:
            if path.endswith("git-upload-pack") and not started.is_set():
                started.set()
                go_on.wait(10)

        # the server has read the old refs before the push when held at the end of the answer; holding
        # at the beginning is the weaker case, so the listing may see either commit
        server.interrupt = hold_answer
        early = asyncio.create_task(store.resolve(repository, "main", fresh=True))
        await loop.run_in_executor(None, started.wait, 10)
        second = repo.commit({"a": "2"})
        late = [asyncio.create_task(store.resolve(repository, "main", fresh=True)) for _ in range(20)]
        await asyncio.sleep(0)
        go_on.set()
        assert await early in (first, second)
        assert set(await asyncio.gather(*late)) == {second}
        assert store.requests["ls-remote"] == 3


async def test_unknown_branch(repo: GitRepo, store: GitStore) -> None:
    repo.commit({"a": "1"})
    with pytest.raises(RevisionNotFound) as caught:
        await store.resolve(Repository(url=repo.url), "nope")
    assert caught.value.message == "unable to resolve 'nope' to a commit SHA: revision not found"
    assert caught.value.repository == repo.url


async def test_unknown_short_commit(repo: GitRepo, store: GitStore) -> None:
    repo.commit({"a": "1"})
    with pytest.raises(RevisionNotFound, match="Failed to checkout revision abcdef1"):
        await store.resolve(Repository(url=repo.url), "abcdef1")


async def test_empty_repository(repo: GitRepo, store: GitStore) -> None:
    with pytest.raises(SourceError, match=r"^failed to list refs: remote repository is empty$"):
        await store.resolve(Repository(url=repo.url), "HEAD")


async def test_unreachable_costs_one_attempt_for_all(store: GitStore) -> None:
    repository = Repository(url="http://localhost:1/x.git")
    results = await asyncio.gather(
        *(store.resolve(repository, "main") for _ in range(100)), return_exceptions=True
    )
    assert {type(each) for each in results} == {RepositoryUnreachable}
    assert str(results[0]).startswith("failed to list refs: ")
    with pytest.raises(RepositoryUnreachable):
        await store.resolve(repository, "main")
    assert store.requests["ls-remote"] == 1


async def test_missing_repository(tmp_path: Path, store: GitStore) -> None:
    (tmp_path / "remote").mkdir()
    text = r"^failed to list refs: repository not found"
    with HttpGitServer(tmp_path / "remote") as server, pytest.raises(RepositoryUnreachable, match=text):
        await store.resolve(Repository(url=f"{server.url}/nothing"), "main")
    with pytest.raises(RepositoryUnreachable, match=text):
        await store.resolve(Repository(url=f"file://{tmp_path}/nothing"), "main")


async def test_attempts_are_counted(repo: GitRepo, make_store: MakeStore) -> None:  # sources.md 14.4
    store = make_store(attempts=3, retry_duration=0.01)
    with pytest.raises(RepositoryUnreachable):
        await store.resolve(Repository(url="http://localhost:1/x"), "main")
    assert store.requests["ls-remote"] == 3


async def test_time_limit(repo: GitRepo, tmp_path: Path, make_store: MakeStore) -> None:
    store = make_store(request_timeout=0.5)
    repo.commit({"a": "1"})
    release = threading.Event()
    with HttpGitServer(tmp_path / "remote") as server:
        server.interrupt = lambda path: release.wait(20)
        with pytest.raises(SourceError, match=r"`git ls-remote -- .*` failed timeout after 500ms") as caught:
            await store.resolve(Repository(url=f"{server.url}/app"), "main")
        release.set()
        assert caught.value.code == "DeadlineExceeded"


async def test_recovers_after_a_failure(repo: GitRepo, tmp_path: Path, make_store: MakeStore) -> None:
    store = make_store(failure_cache_seconds=0.0)
    sha = repo.commit({"a": "1"})
    with HttpGitServer(tmp_path / "remote", basic=("u", "right")) as server:
        repository = Repository(url=f"{server.url}/app", username="u", password="wrong")
        with pytest.raises(AccessDenied):
            await store.resolve(repository, "main")
        server.basic = ("u", "wrong")
        assert await store.resolve(repository, "main") == sha


@pytest.mark.parametrize("url", ["ext::sh -c id", "--upload-pack=touch /tmp/x", "-x", "fd::17", ""])
async def test_dangerous_addresses(url: str, store: GitStore) -> None:
    with pytest.raises(SourceError, match="failed to list refs"):
        await store.resolve(Repository(url=url), "main")
