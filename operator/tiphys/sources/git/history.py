"""What a commit says about itself and what it touched (``sources.md`` 14.6, 15)."""

import asyncio
import json
import os
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from tiphys.sources.git.objects import CorruptMirror
from tiphys.sources.git.runner import GitRunner

_ISOLATED = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C"}
_SECONDS = 30
_TRAILER = "argocd-reference-commit-"
_REFERENCE_SHA = re.compile(r"^[0-9a-f]{5,40}$")
_ADDRESS = re.compile(r"^(?:(.*?)\s*)<([^<>]+)>$")


class CommitReference(msgspec.Struct, frozen=True, omit_defaults=True):
    """A commit elsewhere that led to this one, from its trailers."""

    author: str = ""
    date: str = ""
    subject: str = ""
    body: str = ""
    sha: str = ""
    repo_url: str = msgspec.field(name="repoUrl", default="")


class RevisionMetadata(msgspec.Struct, frozen=True):
    author: str
    """``Name <email>``"""
    date: str
    """Author date, RFC 3339 in UTC."""
    tags: tuple[str, ...]
    message: str
    references: tuple[CommitReference, ...] = ()


async def read_changed_paths(runner: GitRunner, git_dir: Path, old: str, new: str) -> list[str]:
    """Sorted paths whose mode or content differs; a rename counts as two. Raises CorruptMirror."""
    if old == new:
        return []
    arguments = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", old, new, "--"]
    finished = await runner.local([f"--git-dir={git_dir}", *arguments], cwd=git_dir.parent)
    if not finished.ok:
        raise CorruptMirror(runner.explanation(finished))
    return sorted(name.decode("utf-8", "surrogateescape") for name in finished.stdout.split(b"\0") if name)


async def read_metadata(git_dir: Path, sha: str) -> RevisionMetadata:
    """Raises CorruptMirror if the commit cannot be read."""
    return await asyncio.to_thread(_read_metadata, git_dir, sha)


def _read_metadata(git_dir: Path, sha: str) -> RevisionMetadata:
    # Rarely needed (the API, signed commits): the library and its memory come with the first use.
    from git import Repo
    from git.exc import GitError
    from gitdb.exc import ODBError

    try:
        with Repo(git_dir) as repo:
            repo.git.update_environment(**_ISOLATED)
            commit = repo.commit(sha)
            tags = repo.git.for_each_ref(
                "refs/tags", points_at=sha, format="%(refname:strip=2)", kill_after_timeout=_SECONDS
            )
            message, trailers = str(commit.message), commit.trailers_list
            author, date = commit.author, commit.authored_date
    except (GitError, ODBError, ValueError) as error:
        raise CorruptMirror(f"commit {sha} cannot be read: {error}") from None
    reference = _reference(trailers)
    return RevisionMetadata(
        author=f"{author.name} <{author.email}>",
        date=_utc(date),
        tags=tuple(tags.split()),
        message=message.strip(),
        references=(reference,) if reference is not None else (),
    )


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _reference(trailers: Iterable[tuple[str, str]]) -> CommitReference | None:
    """The reference that trailers ``Argocd-reference-commit-*`` describe; bad values are ignored."""
    found: dict[str, str] = {}
    for name, value in trailers:
        name = name.strip().lower()
        if not name.startswith(_TRAILER):
            continue
        parsed = _value(name.removeprefix(_TRAILER), value.strip())
        if parsed is not None:
            found |= parsed
    return msgspec.convert(found, CommitReference) if found else None


def _value(name: str, value: str) -> Mapping[str, str] | None:
    match name:
        case "author":
            return {"author": value} if _ADDRESS.match(value) else None
        case "subject":
            return {"subject": value}
        case "date":
            return {"date": value} if _is_date(value) else None
        case "sha":
            return {"sha": value} if _REFERENCE_SHA.match(value) else None
        case "repourl":
            return {"repoUrl": value} if value else None
        case "body":
            try:
                body: Any = json.loads(value)
            except ValueError:
                return None
            return {"body": body} if isinstance(body, str) else None
    return None


def _is_date(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
