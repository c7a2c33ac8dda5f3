"""The files a render may read, and what it looked at.

``Files`` shows one immutable tree of files: those of a commit straight out of the mirror's objects
(``CommitFiles``), or those of a folder on disk (``FolderFiles``: checkouts with LFS or submodules,
unpacked charts). Paths are from the root, with ``/``; symbolic links are followed inside the root
and never out of it, and each link passed is reported, so that a closure contains it.

``CommitFiles.trace`` remembers every look-up and its answer. Equal answers at another commit mean
that planning would come to the same result, without planning again.
"""

import asyncio
import contextlib
import hashlib
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from tiphys.settings.repositories import Repository
from tiphys.sources.errors import SourceError
from tiphys.sources.git.access import clean_path
from tiphys.sources.git.objects import TreeEntry
from tiphys.sources.git.store import GitStore

_HOPS = 40


class Entry(NamedTuple):
    """A file or directory. ``path`` is its real place; ``oid`` names its content."""

    path: str
    is_directory: bool
    oid: str


class Found(NamedTuple):
    """A look-up's answer: the entry, and the links passed on the way."""

    entry: Entry
    links: tuple[str, ...]


class Child(NamedTuple):
    """What a directory lists: a path from the root that may be a symbolic link."""

    path: str
    is_link: bool
    entry: Entry
    """Of the name itself; for a link without meaning: look it up."""


class OutsideRoot(Exception):
    """A path or link leads out of the root."""


class Files(Protocol):
    """An immutable tree of files."""

    whole: str
    """Names the content of the whole tree."""

    async def find(self, path: str) -> Found | None:
        """What lies at ``path``, links followed; ``None``: nothing. Raises OutsideRoot."""

    async def children(self, directory: Entry) -> Mapping[str, Child]:
        """What a directory holds by name, in lexical order."""

    async def below(self, directory: Entry) -> Sequence[Child]:
        """Files and links at any depth, in the order of a walk that visits names lexically."""

    async def read(self, entries: Sequence[Entry], limit: int) -> list[bytes]:
        """Contents; raises SourceError when they exceed ``limit`` bytes together."""

    def materialize(self, paths: Iterable[str]) -> AbstractAsyncContextManager[Path]:
        """A read-only folder with ``paths`` at their places (others may be there, too)."""


def clean(path: str) -> str:
    """``./a//b/../c`` → ``a/c``; the root is ``""``. Raises OutsideRoot."""
    try:
        return clean_path(path)
    except SourceError:
        raise OutsideRoot(path) from None


def join(directory: str, path: str) -> str:
    """``path`` as seen from ``directory``, cleaned. Raises OutsideRoot."""
    return clean(f"{directory}/{path}")


class CommitFiles:
    """Files of one commit, read from the mirror without a checkout."""

    def __init__(self, git: GitStore, repository: Repository, sha: str) -> None:
        self._git = git
        self._repository = repository
        self.sha = sha
        self.whole = ""
        self.links: Mapping[str, str] = {}
        self.trace: dict[str, str] = {}

    def like(self, other: "CommitFiles") -> "CommitFiles":
        """Opened as ``other``, of the same commit, is: without asking again."""
        self.links, self.whole = other.links, other.whole
        return self

    async def open(self) -> "CommitFiles":
        """Checks the commit's links and reads its root. Raises SourceError."""
        await self._git.check_links(self._repository, self.sha)
        self.links = await self._git.links(self._repository, self.sha)
        self.whole = await self._git.root_tree(self._repository, self.sha)
        return self

    async def still(self, trace: Mapping[str, str]) -> bool:
        """Whether every look-up of ``trace`` has the same answer here."""
        for path, oid in trace.items():
            entry = await self._git.entry(self._repository, self.sha, path)
            if (entry.oid if entry else "") != oid:
                return False
        return True

    async def _entry(self, path: str) -> TreeEntry | None:
        entry = await self._git.entry(self._repository, self.sha, path)
        self.trace[path] = entry.oid if entry else ""
        return entry

    async def find(self, path: str) -> Found | None:
        passed: list[str] = []
        todo = path
        if self.links:
            here: list[str] = []
            parts = path.split("/")[::-1]
            while parts:
                part = parts.pop()
                if part in ("", "."):
                    continue
                if part == "..":
                    if not here:
                        raise OutsideRoot(path)
                    here.pop()
                    continue
                here.append(part)
                place = "/".join(here)
                target = self.links.get(place)
                if target is not None:
                    if target.startswith("/"):
                        raise OutsideRoot(path)
                    passed.append(place)
                    if len(passed) > _HOPS:
                        return None
                    here.pop()
                    parts.extend(target.split("/")[::-1])
            todo = "/".join(here)
        else:
            todo = clean(path)
        for link in passed:
            await self._entry(link)
        entry = await self._entry(todo)
        if entry is None or entry.is_link:
            return None
        return Found(Entry(todo, entry.type != "blob", entry.oid), tuple(passed))

    async def children(self, directory: Entry) -> Mapping[str, Child]:
        entries = await self._git.entries(self._repository, self.sha, directory.path)
        return {path.rpartition("/")[2]: _child(path, entries[path]) for path in sorted(entries)}

    async def below(self, directory: Entry) -> Sequence[Child]:
        entries = await self._git.entries(self._repository, self.sha, directory.path, recursive=True)
        return sorted(
            (_child(path, entry) for path, entry in entries.items() if entry.type == "blob"),
            key=lambda child: child.path.split("/"),
        )

    async def read(self, entries: Sequence[Entry], limit: int) -> list[bytes]:
        if not entries:
            return []
        contents = await self._git.blobs(self._repository, self.sha, [entry.oid for entry in entries])
        _refuse_too_much(contents, limit)
        return contents

    def materialize(self, paths: Iterable[str]) -> AbstractAsyncContextManager[Path]:
        return self._git.materialize(self._repository, self.sha, paths)


def _child(path: str, entry: TreeEntry) -> Child:
    return Child(path, entry.is_link, Entry(path, entry.type != "blob", entry.oid))


class FolderFiles:
    """Files of a folder that nobody changes. ``whole`` names its content; an entry's ``oid`` is
    that name and its path."""

    def __init__(self, root: Path, whole: str) -> None:
        self.root = Path(os.path.realpath(root))
        self.whole = whole

    def _entry(self, real: str) -> Entry:
        return Entry(real, (self.root / real).is_dir(), f"{self.whole}:{real}")

    async def find(self, path: str) -> Found | None:
        return self._find(clean(path))

    def _find(self, path: str) -> Found | None:
        real = Path(os.path.realpath(self.root / path))
        if real != self.root and self.root not in real.parents:
            raise OutsideRoot(path)
        if not real.exists():
            return None
        relative = real.relative_to(self.root).as_posix()
        return Found(self._entry("" if relative == "." else relative), ())

    async def children(self, directory: Entry) -> Mapping[str, Child]:
        return self._children(directory)

    def _children(self, directory: Entry) -> dict[str, Child]:
        prefix = f"{directory.path}/" if directory.path else ""
        with os.scandir(self.root / directory.path) as entries:
            listed = sorted((each.name, each.is_symlink()) for each in entries)
        return {name: Child(prefix + name, link, self._entry(prefix + name)) for name, link in listed}

    async def below(self, directory: Entry) -> Sequence[Child]:
        return await asyncio.to_thread(self._below, directory)

    def _below(self, directory: Entry) -> list[Child]:
        found: list[Child] = []
        for folder, _, names in os.walk(self.root / directory.path):
            for name in names:
                place = Path(folder, name)
                mode = place.lstat().st_mode
                if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
                    path = place.relative_to(self.root).as_posix()
                    found.append(Child(path, stat.S_ISLNK(mode), self._entry(path)))
        return sorted(found, key=lambda child: child.path.split("/"))

    async def read(self, entries: Sequence[Entry], limit: int) -> list[bytes]:
        return await asyncio.to_thread(self._read, entries, limit)

    def _read(self, entries: Sequence[Entry], limit: int) -> list[bytes]:
        places = [self.root / entry.path for entry in entries]
        if sum(place.stat().st_size for place in places) > limit:
            _refuse_too_much(None, limit)
        return [place.read_bytes() for place in places]

    def materialize(self, paths: Iterable[str]) -> AbstractAsyncContextManager[Path]:
        """The folder itself, which nobody changes."""
        return contextlib.nullcontext(self.root)


class WorktreeFiles(FolderFiles):
    """A checkout with submodules or LFS files, which are not in the commit's trees."""

    def __init__(self, root: Path, whole: str, git: GitStore, repository: Repository, sha: str) -> None:
        super().__init__(root, whole)
        self._git = git
        self._repository = repository
        self._sha = sha

    def materialize(self, paths: Iterable[str]) -> AbstractAsyncContextManager[Path]:
        """Leased anew: the caller may outlive the lease under which this was made."""
        return self._git.materialize(self._repository, self._sha, ("",))


def _refuse_too_much(contents: Sequence[bytes] | None, limit: int) -> None:
    if contents is None or sum(map(len, contents)) > limit:
        raise SourceError("Unknown", "exceeded max combined manifest file size")


def digest(*parts: str) -> str:
    """A short name for a list of texts."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]
