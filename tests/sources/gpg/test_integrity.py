"""Signatures of commits and tags as projects demand them (sources.md 20, applications.md 22)."""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from tests.gitservers import GitRepo
from tests.sources.gpg.people import Person, people
from tiphys.projects.integrity import Verification
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import SourceError
from tiphys.sources.git import GitStore
from tiphys.sources.git.signing import Ancestor
from tiphys.sources.gpg.signatures import parse_signatures, tag_signature
from tiphys.sources.integrity import signature_problems, up_to_seals

THEN = "20200102T000000"
SEAL = "release\n\nArgocd-gpg-seal: reviewed\n"


@pytest.fixture(scope="module")
def signers() -> Iterator[list[Person]]:
    """Ada is trusted and allowed, Bob trusted only, Eve a stranger."""
    with people("Ada", "Bob", "Eve") as made:
        yield made


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    return GitRepo(tmp_path / "remote")


@pytest.fixture
async def git(tmp_path: Path) -> AsyncIterator[GitStore]:
    async with GitStore(tmp_path / "store") as store:
        yield store


class Project:
    """What a project demands, and the keys of the settings."""

    def __init__(self, git: GitStore, repo: GitRepo, allowed: Sequence[Person], trusted: Sequence[Person]):
        self.git = git
        self.repo = repo
        self.allowed = tuple(each.key_id for each in allowed)
        self.keys = {each.key_id: each.public for each in trusted}

    async def problems(self, mode: str = "head", asked: str = "main", depth: int = 0) -> list[str]:
        repository = Repository(url=self.repo.url, depth=depth)
        commit = await self.git.resolve(repository, asked)
        wanted = Verification(mode, self.allowed)
        return list(await signature_problems(self.git, repository, commit, asked, wanted, self.keys))


@pytest.fixture
def project(git: GitStore, repo: GitRepo, signers: list[Person]) -> Project:
    return Project(git, repo, signers[:1], signers[:2])


# --- head ----------------------------------------------------------------------------------------


async def test_a_signed_commit(project: Project, repo: GitRepo, signers: list[Person]) -> None:
    repo.commit({"a": "1"})
    repo.commit({"a": "2"}, **signers[0].signs())
    assert await project.problems() == []


@pytest.mark.parametrize(
    ("who", "result"),
    [
        (None, "unsigned (key_id=)"),
        (1, "signed with unallowed key (key_id={key})"),
        (2, "signed with key not in keyring (key_id={key})"),
    ],
    ids=["nobody", "trusted only", "stranger"],
)
async def test_a_commit_that_does_not_count(
    project: Project, repo: GitRepo, signers: list[Person], who: int | None, result: str
) -> None:
    person = signers[who] if who is not None else None
    sha = repo.commit({"a": "1"}, **(person.signs() if person else {}))
    author = f"{person.name} <{person.name.lower()}@example.org>" if person else "Ada <ada@example.org>"
    text = result.format(key=person.key_id if person else "")
    assert await project.problems() == [f"Failed verifying revision {sha} by '{author}': {text}"]


async def test_a_forged_commit(project: Project, repo: GitRepo, signers: list[Person]) -> None:
    repo.commit({"a": "1"}, message="honest", **signers[0].signs())
    body = repo.git("cat-file", "commit", "HEAD").replace("honest", "forged")
    sha = repo.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=f"{body}\n".encode())
    repo.git("update-ref", "refs/heads/main", sha)
    [problem] = await project.problems()
    assert problem.endswith(f"bad signature (key_id={signers[0].key_id})")


async def test_keys_of_the_past(git: GitStore, repo: GitRepo, tmp_path: Path) -> None:
    """A key that ran out, and one that was taken back."""
    folder = Path(tempfile.mkdtemp(prefix="gpg-"))
    old = Person(folder / "Old", "Old", expires="1y", then="20200101T000000")
    gone = Person(folder / "Gone", "Gone")
    try:
        program = tmp_path / "gpg-then"
        program.write_text(f'#!/bin/sh\nexec gpg --faked-system-time {THEN} "$@"\n')
        program.chmod(stat.S_IRWXU)
        project = Project(git, repo, [old, gone], [old])
        repo.commit({"a": "1"}, **old.signs(program))
        [problem] = await project.problems()
        assert problem.endswith(f"signed with expired key (key_id={old.key_id})")
        repo.commit({"a": "2"}, **gone.signs())
        gone.revoke()
        project = Project(git, repo, [old, gone], [old, gone])
        git.set_revision_cache(0)
        [problem] = await project.problems()
        assert problem.endswith(f"signed with revoked key (key_id={gone.key_id})")
    finally:
        for each in (old, gone):
            each.end()
        shutil.rmtree(folder, ignore_errors=True)


async def test_a_key_that_is_trusted_later(
    git: GitStore, repo: GitRepo, signers: list[Person], project: Project
) -> None:
    repo.commit({"a": "1"}, **signers[2].signs())
    assert "not in keyring" in (await project.problems())[0]
    assert await Project(git, repo, signers, signers).problems() == []


async def test_a_broken_key_harms_no_other(project: Project, repo: GitRepo, signers: list[Person]) -> None:
    project.keys["0" * 16] = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n"
    repo.commit({"a": "1"}, **signers[0].signs())
    assert await project.problems() == []


async def test_without_keys_nothing_counts(git: GitStore, repo: GitRepo, signers: list[Person]) -> None:
    repo.commit({"a": "1"}, **signers[0].signs())
    [problem] = await Project(git, repo, signers[:1], []).problems()
    assert "signed with key not in keyring" in problem


async def test_an_unknown_mode(project: Project, repo: GitRepo) -> None:
    repo.commit({"a": "1"})
    with pytest.raises(SourceError, match='unknown GPG mode "all" configured for GIT source integrity'):
        await project.problems("all")


# --- tags ----------------------------------------------------------------------------------------


async def test_a_signed_tag_stands_for_its_commit(
    project: Project, repo: GitRepo, signers: list[Person]
) -> None:
    repo.commit({"a": "1"})
    repo.git("tag", "-s", "-m", "release", "v1.0.0", **signers[0].signs())
    for asked in ("v1.0.0", "refs/tags/v1.0.0", "1.*"):
        assert await project.problems(asked=asked) == []
    assert "unsigned" in (await project.problems())[0]  # the branch at the same commit


@pytest.mark.parametrize(
    ("arguments", "who", "result"),
    [
        (["-a", "-m", "x"], None, "unsigned (key_id=)"),
        (["-s", "-m", "x"], 1, "signed with unallowed key (key_id={key})"),
        (["-s", "-m", "x"], 2, "signed with key not in keyring (key_id={key})"),
    ],
    ids=["nobody", "trusted only", "stranger"],
)
async def test_a_tag_that_does_not_count(
    project: Project,
    repo: GitRepo,
    signers: list[Person],
    arguments: list[str],
    who: int | None,
    result: str,
) -> None:
    repo.commit({"a": "1"}, **signers[0].signs())
    person = signers[who] if who is not None else None
    repo.git("tag", *arguments, "v1", **(person.signs() if person else {}))
    tagger = f"{person.name if person else 'Ada'} <ada@example.org>"
    text = result.format(key=person.key_id if person else "")
    assert await project.problems(asked="v1") == [f"Failed verifying revision v1 by '{tagger}': {text}"]


async def test_a_light_tag_is_its_commit(project: Project, repo: GitRepo, signers: list[Person]) -> None:
    repo.commit({"a": "1"}, **signers[0].signs())
    repo.git("tag", "v1")
    assert await project.problems(asked="v1") == []


async def test_a_tag_that_is_signed_later_at_its_place(
    project: Project, repo: GitRepo, signers: list[Person]
) -> None:
    repo.commit({"a": "1"})
    repo.git("tag", "-a", "-m", "x", "v1")
    assert "unsigned" in (await project.problems(asked="v1"))[0]
    repo.git("tag", "-f", "-s", "-m", "x", "v1", **signers[0].signs())
    assert await project.problems(asked="v1") == []


async def test_a_forged_tag(project: Project, repo: GitRepo, signers: list[Person]) -> None:
    repo.commit({"a": "1"})
    repo.git("tag", "-s", "-m", "honest", "v1", **signers[0].signs())
    body = repo.git("cat-file", "tag", "v1").replace("honest", "forged")
    oid = repo.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=f"{body}\n".encode())
    repo.git("update-ref", "refs/tags/v1", oid)
    [problem] = await project.problems(asked="v1")
    assert problem.endswith(f"bad signature (key_id={signers[0].key_id})")


# --- strict --------------------------------------------------------------------------------------


async def test_the_whole_history_counts(project: Project, repo: GitRepo, signers: list[Person]) -> None:
    root = repo.commit({"a": "1"})
    repo.commit({"a": "2"}, **signers[0].signs())
    repo.commit({"a": "3"}, **signers[0].signs())
    assert await project.problems("head") == []
    [problem] = await project.problems("strict")
    assert problem.startswith(f"Failed verifying revision {root} by ")


async def test_a_shallow_repository_hides_nothing(
    project: Project, repo: GitRepo, signers: list[Person]
) -> None:
    repo.commit({"a": "1"})
    repo.commit({"a": "2"}, **signers[0].signs())
    assert len(await project.problems("strict", depth=1)) == 1
    assert await project.problems("head", depth=1) == []


async def test_a_seal_vouches_for_what_was_before(
    project: Project, repo: GitRepo, signers: list[Person]
) -> None:
    repo.commit({"a": "1"})
    repo.commit({"a": "2"}, message=SEAL, **signers[0].signs())
    repo.commit({"a": "3"}, **signers[0].signs())
    assert await project.problems("strict") == []


@pytest.mark.parametrize("who", [None, 1], ids=["nobody", "trusted only"])
async def test_a_seal_must_count_itself(
    project: Project, repo: GitRepo, signers: list[Person], who: int | None
) -> None:
    repo.commit({"a": "1"})
    seal = repo.commit({"a": "2"}, message=SEAL, **(signers[who].signs() if who is not None else {}))
    repo.commit({"a": "3"}, **signers[0].signs())
    [problem] = await project.problems("strict")
    assert seal in problem


async def test_a_signed_tag_makes_no_seal_of_an_unsigned_commit(
    project: Project, repo: GitRepo, signers: list[Person]
) -> None:
    repo.commit({"a": "1"})
    seal = repo.commit({"a": "2"}, message=SEAL)
    repo.git("tag", "-s", "-m", "x", "v1", **signers[0].signs())
    [problem] = await project.problems("strict", asked="v1")
    assert seal in problem


async def test_a_side_branch_counts(project: Project, repo: GitRepo, signers: list[Person]) -> None:
    repo.commit({"a": "1"}, **signers[0].signs())
    repo.git("checkout", "-q", "-b", "side")
    side = repo.commit({"b": "1"})
    repo.git("checkout", "-q", "main")
    repo.commit({"a": "2"}, **signers[0].signs())
    repo.git("merge", "-q", "--no-ff", "-m", "merge", "side", **signers[0].signs())
    [problem] = await project.problems("strict")
    assert side in problem


async def test_problems_are_few(project: Project, repo: GitRepo, signers: list[Person]) -> None:
    """One for each key and result, the nearest commit of each."""
    repo.commit({"a": "1"})
    repo.commit({"a": "2"})
    newest = repo.commit({"a": "3"})
    repo.commit({"a": "4"}, **signers[1].signs())
    repo.commit({"a": "5"}, **signers[2].signs())
    problems = await project.problems("strict")
    assert [each.rpartition(": ")[2].partition(" (")[0] for each in problems] == [
        "signed with key not in keyring",
        "signed with unallowed key",
        "unsigned",
    ]
    assert newest in problems[2]


# --- values --------------------------------------------------------------------------------------


def test_the_walk_stops_at_seals_and_passes_each_commit_once() -> None:
    history = {
        "d": Ancestor(("b", "c"), False),
        "c": Ancestor(("a",), False),
        "b": Ancestor(("a",), True),
        "a": Ancestor((), False),
    }
    assert list(up_to_seals(history, "d")) == ["d", "b", "c", "a"]
    assert list(up_to_seals(history, "b")) == ["b"]


@pytest.mark.parametrize(
    ("status", "letter", "key"),
    [
        ("", "N", ""),
        ("[GNUPG:] GOODSIG 1111111111111111 A\n[GNUPG:] TRUST_ULTIMATE 0 pgp", "G", "1" * 16),
        ("[GNUPG:] GOODSIG 1111111111111111 A\n[GNUPG:] TRUST_UNDEFINED 0 pgp", "U", "1" * 16),
        ("[GNUPG:] GOODSIG 1111111111111111 A", "U", "1" * 16),
        ("[GNUPG:] EXPSIG 1111111111111111 A\n[GNUPG:] TRUST_ULTIMATE 0 pgp", "X", "1" * 16),
        ("[GNUPG:] ERRSIG 1111111111111111 1 8 00 1 9 -\n[GNUPG:] NO_PUBKEY 1111111111111111", "E", "1" * 16),
        (
            "[GNUPG:] GOODSIG 1111111111111111 A\n[GNUPG:] TRUST_ULTIMATE 0 pgp\n"
            "[GNUPG:] GOODSIG 2222222222222222 B\n[GNUPG:] TRUST_ULTIMATE 0 pgp",
            "B",
            "1" * 16,
        ),
        ("a line of [GNUPG:] GOODSIG 1111111111111111", "N", ""),
    ],
)
def test_status_lines_of_a_tag(status: str, letter: str, key: str) -> None:
    found = tag_signature("v1", "A <a@x>", status)
    assert (found.letter, found.key) == (letter, key)


def test_lines_that_are_none_are_left_out() -> None:
    assert parse_signatures(b"x\n") == ()
