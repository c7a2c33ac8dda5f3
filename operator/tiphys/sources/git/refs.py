"""What a remote lists, and which commit a ``targetRevision`` means (``sources.md`` 14.1). Pure."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from tiphys.resources.semver import InvalidVersion, is_constraint, is_version, max_matching
from tiphys.sources.errors import RevisionNotFound

_COMMIT = re.compile(r"^[0-9a-fA-F]{40}$")
_SHORT_COMMIT = re.compile(r"^[0-9a-fA-F]{7,40}$")
_REF = re.compile(rb"^([0-9a-f]{40})\t(.+)$")
_REMEMBERED = 10_000
_PREFIXES = ("refs/heads/", "refs/tags/", "refs/remotes/", "refs/")


class Ref(NamedTuple):
    name: str
    """``HEAD`` or a full name."""
    sha: str
    """The commit, also for annotated tags."""

    @property
    def short(self) -> str:
        for prefix in _PREFIXES:
            if self.name.startswith(prefix):
                return self.name[len(prefix) :]
        return self.name


def is_commit(revision: str) -> bool:
    """Whether the text is a full commit SHA."""
    return bool(_COMMIT.match(revision))


def is_short_commit(revision: str) -> bool:
    """Whether the text may be a (truncated) commit SHA: at least 7 hexadecimal digits."""
    return bool(_SHORT_COMMIT.match(revision))


def parse_listing(output: bytes) -> tuple[Ref, ...]:
    """Refs in the order listed, annotated tags peeled to their commit."""
    refs: list[Ref] = []
    places: dict[str, int] = {}
    for line in output.splitlines():
        match = _REF.match(line)
        if match is None:
            continue
        sha, name = match.group(1).decode(), match.group(2).decode("utf-8", "surrogateescape")
        if name.endswith("^{}"):
            place = places.get(name[:-3])
            if place is not None:
                refs[place] = Ref(name[:-3], sha)
            continue
        places[name] = len(refs)
        refs.append(Ref(name, sha))
    return tuple(refs)


class Listing:
    """One answer of a remote, indexed once: all applications of the repository ask the same few
    revisions of it, so what was found is kept."""

    def __init__(self, refs: Sequence[Ref]) -> None:
        self.refs = tuple(refs)
        self.tags = [ref.short for ref in refs if ref.name.startswith("refs/tags/")]
        """Short names, in the order listed."""
        self._full: dict[str, str] = {}
        self._short: dict[str, str] = {}
        self._names: dict[str, str] = {}
        for ref in refs:
            # of equal short names (a branch and a tag) the one listed first counts
            self._full.setdefault(ref.name, ref.sha)
            self._short.setdefault(ref.short, ref.sha)
            if ref.name != "HEAD":
                self._names.setdefault(ref.sha, ref.name)
        self._found: dict[tuple[str, str], str] = {}

    def find(self, target_revision: str, tag_prefix: str = "") -> str:
        """The commit SHA that a revision means; a truncated SHA comes back as it is.

        Raises RevisionNotFound.
        """
        key = (target_revision, tag_prefix)
        found = self._found.get(key)
        if found is None:
            found = self._find(target_revision, tag_prefix)
            if len(self._found) < _REMEMBERED:
                self._found[key] = found
        return found

    def name_of(self, sha: str) -> str | None:
        """The full name of a ref at this commit, for servers that give out nothing else."""
        return self._names.get(sha)

    def tag_of(self, target_revision: str, tag_prefix: str = "") -> str | None:
        """The short name of the tag that a revision means; ``None`` if it means something else."""
        if is_commit(target_revision):
            return None
        wanted = self._version_step(target_revision or "HEAD", tag_prefix)
        for ref in self.refs:
            if wanted in (ref.name, ref.short):  # of equal short names the one listed first counts
                return ref.short if ref.name.startswith("refs/tags/") else None
        return None

    def _find(self, target_revision: str, tag_prefix: str) -> str:
        if is_commit(target_revision):
            return target_revision
        wanted = self._version_step(target_revision or "HEAD", tag_prefix)
        full = wanted == "HEAD" or wanted.startswith("refs/")
        sha = (self._full if full else self._short).get(wanted)
        if sha is not None:
            return sha
        if is_short_commit(wanted):
            return wanted
        raise RevisionNotFound(
            "Unknown", f"unable to resolve '{wanted}' to a commit SHA: revision not found", revision=wanted
        )

    def _version_step(self, revision: str, tag_prefix: str) -> str:
        """Step 4 of 14.1. Where the reference swallows an error, the literal text stays."""
        if is_version(revision):
            return tag_prefix + revision
        if not is_constraint(revision):
            return revision
        tags = [tag[len(tag_prefix) :] for tag in self.tags if tag.startswith(tag_prefix)]
        try:
            best = max_matching(revision, tags)
        except InvalidVersion:
            return revision
        return revision if best is None else tag_prefix + best


NOTHING_LISTED = Listing(())
