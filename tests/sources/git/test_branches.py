"""Commits of hydrated manifests on real remotes (sources.md 21.4, 18.4)."""

import json
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from tests.gitservers import Authority, GitRepo, HttpGitServer, SshGitServer
from tests.sources.git.conftest import MakeStore
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import AccessDenied, RepositoryUnreachable, SourceError
from tiphys.sources.git import GitStore, Trust
from tiphys.sources.git.branches import BranchCommit, Content

ROOT = Path(__file__).resolve().parents[3]
DRY = "d" * 40
NOTES = "refs/notes/hydrator.metadata"
SECRET = "s3cr3t-p4ssw0rd"

Decide = Callable[[Content], Awaitable[Mapping[str, bytes]]]


def writes(files: Mapping[str, str]) -> Decide:
    """Decide to write what differs."""

    async def decide(present: Content) -> Mapping[str, bytes]:
        return {name: text.encode() for name, text in files.items() if present[name] != text.encode()}

    return decide


def commit_of(
    files: Mapping[str, str],
    *,
    branch: str = "env/dev",
    sync: str = "",
    dry: str = DRY,
    message: str = "abc: change\n\nwhy\n",
    decide: Decide | None = None,
) -> BranchCommit:
    return BranchCommit(
        sync_branch=sync or branch,
        branch=branch,
        dry_sha=dry,
        message=message,
        author=("Bob", "bob@example.org"),
        reads=tuple(files),
        decide=decide or writes(files),
    )


def note(repo: GitRepo, revision: str) -> str:
    return str(json.loads(repo.git("notes", f"--ref={NOTES}", "show", revision))["drySha"])


def log(repo: GitRepo, branch: str = "env/dev") -> list[str]:
    return repo.git("log", "--format=%s", branch).splitlines()


@pytest.fixture
def remote(repo: GitRepo) -> GitRepo:
    repo.commit({"README.md": "dry"})
    return repo


async def test_a_missing_branch_begins_empty(remote: GitRepo, store: GitStore) -> None:  # 21.4 step 2
    head = await store.commit(Repository(url=remote.url), commit_of({"app/manifest.yaml": "a: 1\n"}))
    assert head.written
    assert remote.git("rev-parse", "env/dev") == head.sha
    assert log(remote) == ["abc: change", "Initial commit for env/dev"]
    assert remote.git("ls-tree", "-r", "--name-only", "env/dev") == "app/manifest.yaml"
    assert remote.git("show", "env/dev:app/manifest.yaml") == "a: 1"
    assert remote.git("ls-tree", "env/dev~1") == ""
    assert remote.git("log", "-1", "--format=%an <%ae> %cn <%ce>%n%B", "env/dev").splitlines() == [
        "Bob <bob@example.org> Bob <bob@example.org>",
        "abc: change",
        "",
        "why",
    ]
    assert note(remote, "env/dev") == DRY


async def test_an_empty_repository(repo: GitRepo, store: GitStore) -> None:
    head = await store.commit(Repository(url=repo.url), commit_of({"app/m": "1"}))
    assert repo.git("rev-parse", "env/dev") == head.sha


async def test_what_was_there_stays(remote: GitRepo, store: GitStore) -> None:
    repository = Repository(url=remote.url)
    await store.commit(repository, commit_of({"one/m": "1", "two/m": "2"}))
    remote.git("switch", "-q", "env/dev")
    by_hand = remote.commit({"one/kept": "by hand"})
    remote.git("switch", "-q", "main")
    head = await store.commit(repository, commit_of({"one/m": "changed"}, dry="e" * 40))
    assert remote.git("rev-parse", "env/dev~1") == by_hand
    assert remote.git("diff", "--name-only", "env/dev~1", "env/dev") == "one/m"
    assert note(remote, head.sha) == "e" * 40


async def test_no_change_makes_no_commit_but_a_note(remote: GitRepo, store: GitStore) -> None:  # step 6
    repository = Repository(url=remote.url)
    first = await store.commit(repository, commit_of({"app/m": "1"}))
    again = await store.commit(repository, commit_of({"app/m": "1"}, dry="e" * 40))
    assert (again.sha, again.written) == (first.sha, False)
    assert note(remote, first.sha) == "e" * 40
    before = remote.git("rev-parse", NOTES)
    pushes = store.requests["push"]
    await store.commit(repository, commit_of({"app/m": "1"}, dry="e" * 40))
    assert remote.git("rev-parse", NOTES) == before
    assert store.requests["push"] == pushes


async def test_the_target_begins_with_the_sync_branch(remote: GitRepo, store: GitStore) -> None:  # step 3
    repository = Repository(url=remote.url)
    await store.commit(repository, commit_of({"one/m": "1"}, branch="env/dev"))
    await store.commit(repository, commit_of({"two/m": "2"}, branch="env/dev-next", sync="env/dev"))
    assert log(remote, "env/dev-next")[1:] == log(remote, "env/dev")
    assert remote.git("ls-tree", "-r", "--name-only", "env/dev-next").split() == ["one/m", "two/m"]


async def test_both_branches_missing(remote: GitRepo, store: GitStore) -> None:
    await store.commit(
        Repository(url=remote.url), commit_of({"app/m": "1"}, branch="env/dev-next", sync="env/dev")
    )
    assert log(remote, "env/dev") == ["Initial commit for env/dev"]
    assert log(remote, "env/dev-next") == ["abc: change", "Initial commit for env/dev"]


async def test_only_the_sync_branch_missing(remote: GitRepo, store: GitStore) -> None:
    repository = Repository(url=remote.url)
    await store.commit(repository, commit_of({"app/m": "1"}, branch="env/dev-next"))
    await store.commit(repository, commit_of({"app/m": "2"}, branch="env/dev-next", sync="env/dev"))
    assert log(remote, "env/dev") == ["Initial commit for env/dev"]
    assert log(remote, "env/dev-next")[-1] == "Initial commit for env/dev-next"


async def test_links_and_files_in_the_way_are_replaced(
    remote: GitRepo, store: GitStore, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    remote.git("switch", "-q", "-c", "env/dev")
    remote.link("linked", str(tmp_path / "outside"))
    remote.commit({"file": "in the way"})
    remote.git("switch", "-q", "main")
    await store.commit(Repository(url=remote.url), commit_of({"linked/m": "1", "file/m": "2"}))
    names = remote.git("ls-tree", "-r", "--name-only", "env/dev").split()
    assert names == ["README.md", "file/m", "linked/m"]
    assert list((tmp_path / "outside").iterdir()) == []


async def test_many_files(remote: GitRepo, store: GitStore) -> None:
    files = {f"app-{number}/manifest.yaml": f"a: {number}\n" for number in range(450)}
    await store.commit(Repository(url=remote.url), commit_of(files))
    assert len(remote.git("ls-tree", "-r", "--name-only", "env/dev").split()) == 450


async def test_somebody_pushes_meanwhile(remote: GitRepo, store: GitStore) -> None:
    repository = Repository(url=remote.url)
    await store.commit(repository, commit_of({"app/m": "1"}))
    looks = 0

    async def decide(present: Content) -> Mapping[str, bytes]:
        nonlocal looks
        looks += 1
        if looks == 1:
            remote.git("switch", "-q", "env/dev")
            remote.commit({"other": "theirs"}, "theirs")
            remote.git("switch", "-q", "main")
        return {"app/m": b"2"}

    head = await store.commit(repository, commit_of({"app/m": "2"}, decide=decide))
    assert looks == 2
    assert log(remote)[:2] == ["abc: change", "theirs"]
    assert note(remote, head.sha) == DRY


async def test_somebody_pushes_always(remote: GitRepo, store: GitStore) -> None:
    async def decide(present: Content) -> Mapping[str, bytes]:
        remote.git("switch", "-q", "env/dev")
        remote.commit(message="theirs")
        remote.git("switch", "-q", "main")
        return {"app/m": b"2"}

    remote.git("branch", "env/dev")
    with pytest.raises(SourceError, match="was changed by others at each of 5 attempts"):
        await store.commit(Repository(url=remote.url), commit_of({"app/m": "2"}, decide=decide))


async def test_a_branch_in_the_way_is_named(remote: GitRepo, store: GitStore) -> None:
    remote.git("branch", "env")
    asked = 0

    async def decide(present: Content) -> Mapping[str, bytes]:
        nonlocal asked
        asked += 1
        return {"f": b"x"}

    with pytest.raises(SourceError, match="'refs/heads/env' exists") as caught:
        await store.commit(Repository(url=remote.url), commit_of({"f": "x"}, decide=decide))
    assert "credentials" not in str(caught.value)
    assert asked == 1


async def test_two_stores_share_the_notes(remote: GitRepo, make_store: MakeStore, tmp_path: Path) -> None:
    stores = [make_store(tmp_path / name) for name in ("one", "two")]
    repository = Repository(url=remote.url)
    for number in range(3):
        for place, each in enumerate(stores):
            text, dry = f"{number}", f"{number}{place}".ljust(40, "0")
            head = await each.commit(repository, commit_of({"app/m": text}, branch=f"env/{place}", dry=dry))
            assert note(remote, head.sha) == dry
    assert len(remote.git("notes", f"--ref={NOTES}", "list").splitlines()) == 6


async def test_a_lost_mirror(remote: GitRepo, make_store: MakeStore, tmp_path: Path) -> None:
    repository = Repository(url=remote.url)
    first = await make_store(tmp_path / "one").commit(repository, commit_of({"app/m": "1"}))
    second = await make_store(tmp_path / "two").commit(repository, commit_of({"app/m": "1"}))
    assert (second.sha, second.written) == (first.sha, False)


async def test_shallow(remote: GitRepo, store: GitStore) -> None:
    repository = Repository(url=remote.url, depth=1)
    remote.git("switch", "-q", "-c", "env/dev")
    for number in range(3):
        remote.commit({"kept": str(number)})
    remote.git("switch", "-q", "main")
    for number in range(2):
        await store.commit(repository, commit_of({"app/m": str(number)}))
    assert len(log(remote)) == 6
    assert remote.git("show", "env/dev:kept") == "2"


async def test_a_protected_branch(remote: GitRepo, tmp_path: Path, store: GitStore) -> None:
    hook = remote.path / ".git/hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'only robots push here'\nexit 1\n")
    hook.chmod(0o755)
    said = r"failed to push to env/dev: .*pre-receive hook declined.*only robots push here.*write credentials"
    with HttpGitServer(tmp_path / "remote") as server, pytest.raises(AccessDenied, match=said):
        await store.commit(Repository(url=f"{server.url}/app"), commit_of({"app/m": "1"}))


async def test_a_note_that_was_not_pushed(remote: GitRepo, store: GitStore) -> None:
    """As after a kill between the two pushes."""
    repository = Repository(url=remote.url)
    first = await store.commit(repository, commit_of({"app/m": "1"}))
    remote.git("update-ref", "-d", NOTES)
    second = await store.commit(repository, commit_of({"app/m": "1"}))
    assert (second.sha, second.written) == (first.sha, False)
    assert note(remote, "env/dev") == DRY


CHILD = """
import asyncio, sys
from pathlib import Path
from tests.sources.git.test_branches import commit_of
from tiphys.settings.repositories import Repository
from tiphys.sources.git import GitStore

async def main():
    root, url, text = sys.argv[1:]
    async with GitStore(Path(root)) as store:
        await store.commit(Repository(url=url), commit_of({"app/m": text}, dry=text * 40))

asyncio.run(main())
"""


def test_killed_at_every_request(remote: GitRepo, tmp_path: Path) -> None:
    """Each life ends one request later than the one before; in the end all is there, once."""
    child: subprocess.Popen[bytes] | None = None
    left = 0

    def interrupt(path: str) -> None:
        nonlocal left
        left -= 1
        if not left and child is not None:
            child.kill()

    with HttpGitServer(tmp_path / "remote") as server:
        server.interrupt = interrupt
        for life in range(1, 20):
            left = life
            arguments = [str(tmp_path / "store"), f"{server.url}/app", "1"]
            child = subprocess.Popen([sys.executable, "-c", CHILD, *arguments], cwd=ROOT)
            code = child.wait(60)
            assert code in (0, -signal.SIGKILL)
            if not code:
                break
        assert life > 5, "it died often"
    assert log(remote) == ["abc: change", "Initial commit for env/dev"]
    assert remote.git("show", "env/dev:app/m") == "1"
    assert note(remote, "env/dev") == "1" * 40


async def test_https(remote: GitRepo, tmp_path: Path, store: GitStore, authority: Authority) -> None:
    with HttpGitServer(tmp_path / "remote", basic=("ada", SECRET), authority=authority) as server:
        store.set_trust(Trust(tls_certificates={"localhost": authority.pem}))
        url = f"{server.url}/app"
        head = await store.commit(
            Repository(url=url, username="ada", password=SECRET), commit_of({"app/m": "1"})
        )
        assert remote.git("rev-parse", "env/dev") == head.sha
        for wrong in (Repository(url=url), Repository(url=url, username="ada", password="wr0ng-p4ss")):
            with pytest.raises(AccessDenied) as refused:
                await store.commit(wrong, commit_of({"app/m": "2"}))
            assert "wr0ng" not in str(refused.value)


async def test_http_that_may_only_be_read(remote: GitRepo, tmp_path: Path, store: GitStore) -> None:
    remote.git("config", "http.receivepack", "false")
    said = "failed to push: authorization failed"
    with HttpGitServer(tmp_path / "remote") as server, pytest.raises(AccessDenied, match=said):
        await store.commit(Repository(url=f"{server.url}/app"), commit_of({"app/m": "1"}))


async def test_ssh(remote: GitRepo, ssh_server: SshGitServer, store: GitStore) -> None:
    store.set_trust(Trust(ssh_known_hosts=ssh_server.known_hosts))
    url = ssh_server.url(remote.path)
    repository = Repository(url=url, ssh_private_key=ssh_server.private_key)
    head = await store.commit(repository, commit_of({"app/m": "1"}))
    assert remote.git("rev-parse", "env/dev") == head.sha
    with pytest.raises((AccessDenied, RepositoryUnreachable)):
        await store.commit(Repository(url=url), commit_of({"app/m": "2"}))


async def test_nothing_secret_is_left(remote: GitRepo, tmp_path: Path, store: GitStore) -> None:
    with HttpGitServer(tmp_path / "remote", basic=("ada", SECRET)) as server:
        url = f"{server.url}/app".replace("://", f"://ada:{SECRET}@")
        await store.commit(Repository(url=url), commit_of({"app/m": "1"}))
    assert "push" in store.requests
    for path in (tmp_path / "store").rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path
    assert list((tmp_path / "store" / "tmp").iterdir()) == []


async def test_our_own_folder_is_no_repository(store: GitStore, tmp_path: Path) -> None:
    with pytest.raises(RepositoryUnreachable):
        await store.commit(
            Repository(url=f"file://{tmp_path}/store/mirrors/x.git"), commit_of({"app/m": "1"})
        )
