"""What commits touched and say."""

import pytest

from tests.gitservers import GitRepo
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import SourceError
from tiphys.sources.git import GitStore


async def test_changed_paths(repo: GitRepo, store: GitStore) -> None:
    old = repo.commit({"a/x": "1", "a/y": "1", "b": "1", "ü": "1"})
    new = repo.commit({"a/x": "2", "a/y": None, "c/y": "1", "ü": "2"})
    repository = Repository(url=repo.url)
    assert await store.changed_paths(repository, old, new) == ["a/x", "a/y", "c/y", "ü"]
    assert await store.changed_paths(repository, new, new) == []


async def test_metadata(repo: GitRepo, store: GitStore) -> None:  # sources.md 14.6
    body = (
        "Subject\n\nText.\n\n"
        "Argocd-reference-commit-author: Bob <bob@example.org>\n"
        "Argocd-reference-commit-sha: abcdef0\n"
        "Argocd-reference-commit-sha: 1234567\n"
        "Argocd-reference-commit-repourl: https://example.org/x\n"
        "Argocd-reference-commit-date: 2025-01-02T03:04:05Z\n"
        "Argocd-reference-commit-subject: feat: it\n"
        'Argocd-reference-commit-body: "two\\nlines"\n'
    )
    sha = repo.commit({"a": "1"}, body, GIT_AUTHOR_DATE="2025-06-01T10:00:00+02:00")
    repo.tag("v1", annotated=True)
    repo.tag("other")
    found = await store.metadata(Repository(url=repo.url), sha[:10])
    assert found.author == "Ada <ada@example.org>"
    assert found.date == "2025-06-01T08:00:00Z"
    assert found.tags == ("other", "v1")
    assert found.message == body.strip()
    (reference,) = found.references
    assert (reference.author, reference.sha) == ("Bob <bob@example.org>", "1234567")
    assert (reference.repo_url, reference.subject) == ("https://example.org/x", "feat: it")
    assert (reference.date, reference.body) == ("2025-01-02T03:04:05Z", "two\nlines")


async def test_metadata_ignores_bad_references(repo: GitRepo, store: GitStore) -> None:
    body = "S\n\nArgocd-reference-commit-sha: nothex\nArgocd-reference-commit-body: not json\n"
    sha = repo.commit({"a": "1"}, body)
    assert (await store.metadata(Repository(url=repo.url), sha)).references == ()


async def test_metadata_of_an_empty_message(repo: GitRepo, store: GitStore) -> None:
    sha = repo.commit({"a": "1"}, "")
    assert (await store.metadata(Repository(url=repo.url), sha)).message == ""


async def test_metadata_needs_a_commit(store: GitStore) -> None:
    with pytest.raises(SourceError, match=r"^revision main must be resolved$"):
        await store.metadata(Repository(url="file:///nowhere"), "main")


async def test_a_thousand_look_ups(repo: GitRepo, store: GitStore) -> None:
    """Trees are resolved once: a second commit of 1,000 directories reads what it changed."""
    first = repo.commit({f"app{number}/cm.yaml": str(number) for number in range(1000)})
    paths = [f"app{number}/cm.yaml" for number in range(1000)]
    repository = Repository(url=repo.url)
    before = await store.entries_at(repository, first, paths)
    second = repo.commit({"app7/cm.yaml": "new"})
    await store.ensure(repository, second)
    (held,) = store._held.values()
    reads: list[int] = []
    original = held.mirror.reader.contents

    async def counting(names: list[str], *, limit: int) -> object:
        reads.append(len(names))
        return await original(names, limit=limit)

    held.mirror.reader.contents = counting  # type: ignore[method-assign,assignment]
    after = await store.entries_at(repository, second, paths)
    changed = [path for path, one, two in zip(paths, before, after, strict=True) if one != two]
    assert changed == ["app7/cm.yaml"]
    assert reads == [1, 1]
    await store.entries_at(repository, second, paths)
    assert reads == [1, 1]  # nothing is read again


async def test_entries(repo: GitRepo, store: GitStore) -> None:
    repo.link("a/l", "x")
    sha = repo.commit({"a/x": "1", "a/b/c": "2", "d": "3"})
    repository = Repository(url=repo.url)
    assert list(await store.entries(repository, sha)) == ["a", "d"]
    assert list(await store.entries(repository, sha, "a")) == ["a/b", "a/l", "a/x"]
    assert set(await store.entries(repository, sha, recursive=True)) == {
        "a",
        "d",
        "a/b",
        "a/l",
        "a/x",
        "a/b/c",
    }
    assert await store.entries(repository, sha, "d") == {}
    assert await store.entries(repository, sha, "nope") == {}
    link = await store.entry(repository, sha, "a/l")
    assert link is not None
    assert (link.is_link, link.type, link.path) == (True, "blob", "a/l")
    root = await store.entry(repository, sha, ".")
    assert root is not None
    assert (root.is_directory, root.path, root.oid) == (True, "", await store.root_tree(repository, sha))
    assert await store.entry(repository, sha, "a/l/further") is None
    with pytest.raises(SourceError, match="app path outside root"):
        await store.entry(repository, sha, "../x")
