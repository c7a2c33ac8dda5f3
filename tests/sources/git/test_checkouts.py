"""Shared read-only directories."""

import asyncio
import hashlib
import os
import stat
import zlib
from pathlib import Path

import pytest

from tests.gitservers import GitRepo, enlarge, small_disk
from tests.sources.git.conftest import MakeStore
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import DiskFull, OutOfBoundsSymlink, SourceError
from tiphys.sources.git import GitStore


def tree_of(path: Path) -> dict[str, str]:
    """Relative path → content, or ``-> target``."""
    found = {}
    for folder, directories, files in os.walk(path):
        for name in [*files, *directories]:
            each = Path(folder) / name
            relative = str(each.relative_to(path))
            if each.is_symlink():
                found[relative] = f"-> {os.readlink(each)}"
            elif each.is_file():
                found[relative] = each.read_text()
    return found


async def test_whole_commit(repo: GitRepo, store: GitStore) -> None:
    repo.write({"a/x.yaml": "1", "b/y.sh": "#!", "ünï/ c.yaml": "2", "empty": ""})
    (repo.path / "b/y.sh").chmod(0o755)
    repo.link("a/link", "../b/y.sh")
    repo.link("dir", "b")
    sha = repo.commit()
    async with store.materialize(Repository(url=repo.url), sha) as path:
        assert tree_of(path) == {
            "a/x.yaml": "1",
            "a/link": "-> ../b/y.sh",
            "b/y.sh": "#!",
            "dir": "-> b",
            "ünï/ c.yaml": "2",
            "empty": "",
        }
        assert stat.S_IMODE((path / "b/y.sh").stat().st_mode) == 0o555
        assert stat.S_IMODE((path / "a/x.yaml").stat().st_mode) == 0o444
        assert stat.S_IMODE((path / "a").stat().st_mode) == 0o555
        assert stat.S_IMODE(path.stat().st_mode) == 0o555


async def test_some_paths_at_their_places(repo: GitRepo, store: GitStore) -> None:
    sha = repo.commit({"base/b.yaml": "b", "env/prod/k.yaml": "p", "env/dev/k.yaml": "d", "README": "r"})
    repository = Repository(url=repo.url)
    async with store.materialize(repository, sha, ["base/", "./env/prod", "missing", "README"]) as path:
        assert tree_of(path) == {"base/b.yaml": "b", "env/prod/k.yaml": "p", "README": "r"}


async def test_equal_content_is_shared_across_commits(repo: GitRepo, store: GitStore) -> None:
    first = repo.commit({"a/x": "1", "b/x": "1"})
    second = repo.commit({"b/x": "2"})
    repository = Repository(url=repo.url)
    async with store.materialize(repository, first, ["a"]) as one:
        async with store.materialize(repository, second, ["a"]) as two:
            assert one == two
        async with store.materialize(repository, second, ["b"]) as other:
            assert other != one


async def test_many_at_once_write_once(repo: GitRepo, store: GitStore) -> None:
    sha = repo.commit({f"d{number}/x": str(number) for number in range(200)})
    repository = Repository(url=repo.url)

    async def use() -> str:
        async with store.materialize(repository, sha) as path:
            await asyncio.sleep(0)
            return f"{path} {len(tree_of(path))}"

    assert len(set(await asyncio.gather(*(use() for _ in range(30))))) == 1
    assert not list((store._root / "tmp").iterdir())


async def test_unused_ones_go_when_it_is_too_much(repo: GitRepo, make_store: MakeStore) -> None:
    store = make_store(checkout_cache_bytes=30_000)
    sha = repo.commit({f"d{number}/x": str(number) * 8000 for number in range(8)})
    repository = Repository(url=repo.url)
    async with store.materialize(repository, sha, ["d0"]) as held:
        for number in range(1, 8):
            async with store.materialize(repository, sha, [f"d{number}"]) as path:
                assert tree_of(path)
        assert (held / "d0/x").read_text() == "0" * 8000
        assert store.checkouts.total_bytes <= 30_000
    # what was removed is made anew
    async with store.materialize(repository, sha, ["d1"]) as path:
        assert (path / "d1/x").read_text() == "1" * 8000


async def test_old_ones_go(repo: GitRepo, make_store: MakeStore) -> None:
    store = make_store(checkout_max_age=0.0)
    sha = repo.commit({"a": "1"})
    async with store.materialize(Repository(url=repo.url), sha) as path:
        await store.maintain()
        assert path.is_dir()
    await store.maintain()
    assert not path.exists()


async def test_use_and_removal_at_the_same_time(repo: GitRepo, make_store: MakeStore) -> None:
    store = make_store(checkout_cache_bytes=1, checkout_max_age=0.0)
    sha = repo.commit({f"d{number}/x": str(number) for number in range(6)})
    repository = Repository(url=repo.url)

    async def use(number: int) -> None:
        for turn in range(15):
            which = (number + turn) % 6
            async with store.materialize(repository, sha, [f"d{which}"]) as path:
                await asyncio.sleep(0)
                assert tree_of(path) == {f"d{which}/x": str(which)}

    await asyncio.gather(*(use(number) for number in range(12)))


async def test_deleted_behind_our_back(repo: GitRepo, store: GitStore) -> None:
    sha = repo.commit({"a": "1"})
    repository = Repository(url=repo.url)
    async with store.materialize(repository, sha) as path:
        path.chmod(0o700)
        path.rename(path.with_name("elsewhere"))
    async with store.materialize(repository, sha) as path:
        assert tree_of(path) == {"a": "1"}


@pytest.mark.parametrize(
    ("place", "target"),
    [("a/link", "/etc/passwd"), ("a/link", "../../x"), ("link", "a/../../repo"), ("a/b/link", "../../../x")],
)
async def test_links_out_of_bounds(place: str, target: str, repo: GitRepo, store: GitStore) -> None:
    """sources.md 3: the whole repository counts, not only what is asked for."""
    repo.link(place, target)
    sha = repo.commit({"ok/x": "1"})
    repository = Repository(url=repo.url)
    text = f"^repository contains out-of-bounds symlinks. file: {place}$"
    with pytest.raises(OutOfBoundsSymlink, match=text):
        async with store.materialize(repository, sha, ["ok"]):
            pass
    with pytest.raises(OutOfBoundsSymlink, match=text):
        await store.check_links(repository, sha)
    repo.write({place: None})
    mended = repo.commit()
    await store.check_links(repository, mended)


async def test_links_out_of_bounds_allowed(repo: GitRepo, make_store: MakeStore) -> None:
    store = make_store(allow_out_of_bounds_symlinks=True)
    repo.link("link", "/etc/hostname")
    sha = repo.commit({"ok/x": "1"})
    async with store.materialize(Repository(url=repo.url), sha) as path:
        assert tree_of(path)["link"] == "-> /etc/hostname"


async def test_links_of_a_commit(repo: GitRepo, store: GitStore) -> None:
    repo.link("a/b/l", "../x")
    repo.link("l", "a")
    repo.link("c/b/l", "../x")
    sha = repo.commit()
    assert await store.links(Repository(url=repo.url), sha) == {"a/b/l": "../x", "l": "a", "c/b/l": "../x"}


def put_object(repo: GitRepo, kind: str, data: bytes) -> str:
    """Write an object that git itself would refuse to make."""
    full = f"{kind} {len(data)}\0".encode() + data
    oid = hashlib.sha1(full).hexdigest()
    path = repo.path / ".git" / "objects" / oid[:2] / oid[2:]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(zlib.compress(full))
    return oid


@pytest.mark.parametrize("name", ["..", ".", ".git", ".GIT", "a/b", "/abs", "../x"])
async def test_hostile_names(name: str, repo: GitRepo, tmp_path: Path, store: GitStore) -> None:
    repo.commit({"a": "1"})
    blob = put_object(repo, "blob", b"evil")
    tree = put_object(repo, "tree", b"100644 " + name.encode() + b"\0" + bytes.fromhex(blob))
    commit = f"tree {tree}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n"
    sha = put_object(repo, "commit", commit.encode())
    repo.git("update-ref", "refs/heads/evil", sha)
    with pytest.raises(SourceError):
        async with store.materialize(Repository(url=repo.url), sha):
            pass
    assert "evil" not in tree_of(tmp_path / "store" / "checkouts").values()
    assert list((tmp_path / "store" / "tmp").iterdir()) == []


async def test_link_and_directory_of_one_name(repo: GitRepo, tmp_path: Path, store: GitStore) -> None:
    """A tree with ``x`` twice (a link and a directory) writes through no link."""
    repo.commit({"a": "1"})
    outside = tmp_path / "outside"
    outside.mkdir()
    blob = put_object(repo, "blob", b"evil")
    link = put_object(repo, "blob", b"a/b")
    inner = put_object(repo, "tree", b"100644 f\0" + bytes.fromhex(blob))
    tree = put_object(repo, "tree", b"120000 x\0" + bytes.fromhex(link) + b"40000 x\0" + bytes.fromhex(inner))
    commit = f"tree {tree}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n"
    sha = put_object(repo, "commit", commit.encode())
    repo.git("update-ref", "refs/heads/evil", sha)
    with pytest.raises(SourceError):
        async with store.materialize(Repository(url=repo.url), sha):
            pass


async def test_size_limit(repo: GitRepo, make_store: MakeStore) -> None:
    store = make_store(max_checkout_bytes=1000)
    sha = repo.commit({"a": "x" * 600, "b": "x" * 601})
    repository = Repository(url=repo.url)
    with pytest.raises(SourceError, match="larger than"):
        async with store.materialize(repository, sha):
            pass
    async with store.materialize(repository, sha, ["a"]) as path:
        assert tree_of(path)


async def test_full_disk(repo: GitRepo, tmp_path: Path, make_store: MakeStore) -> None:
    with small_disk(tmp_path / "disk", "6m") as disk:
        store = make_store(disk / "store")
        repository = Repository(url=repo.url)
        data = "".join(hashlib.sha256(bytes([number])).hexdigest() for number in range(200))
        sha = repo.commit({f"d{part}/f{number}": data for part in range(2) for number in range(150)})
        async with store.materialize(repository, sha, ["d0"]):
            pass
        # unused checkouts make room
        async with store.materialize(repository, sha, ["d1"]) as path:
            assert len(tree_of(path)) == 150
            with pytest.raises(DiskFull, match="no space left on device"):
                async with store.materialize(repository, sha):
                    pass
        enlarge(disk, "40m")
        async with store.materialize(repository, sha) as path:
            assert len(tree_of(path)) == 300
        await store.close()
