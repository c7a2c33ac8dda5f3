"""Signatures and ancestry of commits, as git reads them out of a mirror (``sources.md`` 20).

Git runs gpg with a home that is given; other kinds of signatures have no program here and so never
count. Grafts and replaced objects are not looked at: what was signed is what is read.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tiphys.sources.git.objects import CorruptMirror
from tiphys.sources.git.runner import GitRunner
from tiphys.sources.gpg.signatures import CommitSignature, parse_signatures, tag_signature

SEAL = "Argocd-gpg-seal"
"""Trailer of a commit that vouches for everything before it."""

_COMMON = (
    "--no-replace-objects",
    "-c",
    "gpg.format=openpgp",
    "-c",
    "gpg.program=gpg",
    "-c",
    "gpg.ssh.program=false",
    "-c",
    "gpg.x509.program=false",
    "-c",
    "gpg.minTrustLevel=undefined",
)


class Ancestor(NamedTuple):
    """One commit of a history."""

    parents: tuple[str, ...]
    is_seal: bool
    """Whether it carries the trailer; what that is worth depends on its signature."""


async def read_signatures(
    runner: GitRunner, git_dir: Path, shas: Sequence[str], home: Path
) -> tuple[CommitSignature, ...]:
    """The signatures of commits, in their order. Raises CorruptMirror."""
    layout = "--format=%H%x00%G?%x00%GK%x00%GP%x00%an <%ae>"
    arguments = ["log", "--no-walk=unsorted", "--no-show-signature", layout, *shas, "--"]
    finished = await runner.local(
        [f"--git-dir={git_dir}", *_COMMON, *arguments], cwd=git_dir.parent, env={"GNUPGHOME": str(home)}
    )
    found = parse_signatures(finished.stdout)
    if not finished.ok or [each.revision for each in found] != list(shas):
        raise CorruptMirror(runner.explanation(finished))
    return found


async def read_tag_signature(
    runner: GitRunner, git_dir: Path, tag: str, home: Path
) -> tuple[str, CommitSignature | None]:
    """The commit that a tag names, and its own signature; None for a tag that is no object.

    Raises CorruptMirror if there is no such tag.
    """
    ref = f"refs/tags/{tag}"
    layout = "--format=%(objecttype)%00%(objectname)%00%(*objectname)%00%(taggername) %(taggeremail)"
    shown = await runner.local([f"--git-dir={git_dir}", "for-each-ref", layout, ref], cwd=git_dir.parent)
    fields = shown.stdout.decode("utf-8", "replace").rstrip("\n").split("\0")
    if not shown.ok or len(fields) != 4:
        raise CorruptMirror(f"no tag {tag}")
    kind, oid, peeled, tagger = fields
    if kind != "tag":
        return oid, None
    verified = await runner.local(
        [f"--git-dir={git_dir}", *_COMMON, "verify-tag", "--raw", oid],
        cwd=git_dir.parent,
        env={"GNUPGHOME": str(home)},
    )
    return peeled, tag_signature(tag, tagger, verified.stderr)


async def read_ancestry(runner: GitRunner, git_dir: Path, sha: str) -> Mapping[str, Ancestor]:
    """Every commit that leads to ``sha``, itself first, newest first. Raises CorruptMirror."""
    layout = f"--format=%H%x00%P%x00%(trailers:key={SEAL},separator=%x20)"
    finished = await runner.local(
        [
            f"--git-dir={git_dir}",
            "--no-replace-objects",
            "log",
            "--topo-order",
            "--no-show-signature",
            layout,
            sha,
            "--",
        ],
        cwd=git_dir.parent,
    )
    if not finished.ok:
        raise CorruptMirror(runner.explanation(finished))
    found: dict[str, Ancestor] = {}
    for line in finished.stdout.decode("utf-8", "replace").splitlines():
        name, parents, seal = line.split("\0")
        found[name] = Ancestor(tuple(parents.split()), bool(seal.strip()))
    return found
