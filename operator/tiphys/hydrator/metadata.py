"""``hydrator.metadata``: what hydrated manifests were made of (``sources.md`` 21.4)."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from tiphys.sources.git.history import CommitReference, RevisionMetadata

_TRAILER = re.compile(r"argocd-reference-commit-[a-z]+\s*:", re.IGNORECASE)


class DryCommit(msgspec.Struct, frozen=True):
    """A commit of a dry source, as people will read of it."""

    sha: str
    author: str = ""
    """``Name <email>``"""
    date: str = ""
    """RFC 3339"""
    subject: str = ""
    body: str = ""
    references: tuple[CommitReference, ...] = ()


def dry_commit(sha: str, metadata: RevisionMetadata) -> DryCommit:
    """The commit's message parted into subject and body; references to other commits are told apart."""
    subject, _, body = metadata.message.partition("\n")
    kept = [line for line in body.split("\n") if not _TRAILER.match(line)]
    return DryCommit(
        sha, metadata.author, metadata.date, subject.strip(), "\n".join(kept).strip(), metadata.references
    )


def fields_of(repo_url: str, commit: DryCommit, commands: Sequence[str] = ()) -> dict[str, Any]:
    """The fields in their order; what is empty is left out."""
    fields: dict[str, Any] = {
        "repoURL": repo_url,
        "drySha": commit.sha,
        "commands": list(commands),
        "author": commit.author,
        "date": commit.date,
        "subject": commit.subject,
        "body": commit.body,
        "references": [{"commit": msgspec.to_builtins(each)} for each in commit.references],
    }
    return {name: value for name, value in fields.items() if value}


def to_text(fields: dict[str, Any]) -> str:
    """Two blanks a level, a newline at the end, nothing escaped for HTML."""
    return msgspec.json.format(msgspec.json.encode(fields), indent=2).decode() + "\n"
