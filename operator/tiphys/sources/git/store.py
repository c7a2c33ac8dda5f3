"""The door to Git: revisions to commits, commits to directories and files, all out of mirrors.

In come a Repository (address and credentials) and a revision; out go commit SHAs, tree entries, file
contents and shared read-only directories. One ``ls-remote`` of a repository answers all its
applications for a period; one fetch brings each new commit; every read goes through the mirror's
long-lived reader. The store owns its directory alone. All of it is a cache: mirrors survive restarts
and may be deleted at any moment, checkouts are made anew by each process.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from tiphys.settings.repositories import Repository
from tiphys.sources.errors import DiskFull, RevisionNotFound, SourceError
from tiphys.sources.git.access import Trust, clean_path, clean_url, mirror_key
from tiphys.sources.git.branches import BranchCommit, BranchHead, commit_branch
from tiphys.sources.git.checkouts import Checkouts
from tiphys.sources.git.credentials import Handover
from tiphys.sources.git.directory import OwnedDirectory
from tiphys.sources.git.history import RevisionMetadata, read_changed_paths, read_metadata
from tiphys.sources.git.links import check_links
from tiphys.sources.git.listing import Listings
from tiphys.sources.git.mirror import Mirror
from tiphys.sources.git.objects import CorruptMirror, TreeEntry
from tiphys.sources.git.options import GitOptions, GitRequest
from tiphys.sources.git.refs import Listing, is_commit, is_short_commit
from tiphys.sources.git.runner import GitRunner
from tiphys.sources.git.signing import Ancestor, read_ancestry, read_signatures, read_tag_signature
from tiphys.sources.git.trees import TreeCache, Trees
from tiphys.sources.git.worktrees import make_worktree
from tiphys.sources.gpg.keyrings import Keyrings
from tiphys.sources.gpg.signatures import CommitSignature

__all__ = ["GitStore", "RevisionMetadata"]

T = TypeVar("T")


class _Held:
    """A mirror in memory and what is remembered of it."""

    def __init__(self, mirror: Mirror, trees: Trees) -> None:
        self.mirror = mirror
        self.trees = trees
        self.checked: set[str] = set()
        """Root trees whose links were found harmless."""
        self.writing = asyncio.Lock()
        """Held by whoever makes a commit: notes are one ref for all branches."""


class GitStore:
    """All mirrors and checkouts below one directory.

    Paths given and returned are from the repository's root with ``/`` and without leading slash; the
    root is ``""``. Every method raises :class:`SourceError` and its subclasses, nothing else. Call
    :meth:`close` at the end, or use it with ``async with``.
    """

    def __init__(self, root: Path, options: GitOptions | None = None) -> None:
        self._options = options or GitOptions()
        self._root = root
        self._runner = GitRunner(root, self._options)
        self._cache = TreeCache(self._options.tree_cache_entries)
        self._held: dict[str, _Held] = {}
        self._home = OwnedDirectory(root)
        self.checkouts = Checkouts(root / "checkouts", root / "tmp", self._options)
        self.keyrings = Keyrings(root / "keyrings")
        self._listings = Listings(self._runner, self._options, self._report)
        self.requests = {"ls-remote": 0, "fetch": 0, "push": 0}
        """Conversations with remotes so far, by kind."""

    async def __aenter__(self) -> "GitStore":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def set_revision_cache(self, seconds: float) -> None:
        """How long an answer about refs counts from now on."""
        self._listings.cache_seconds = seconds

    def set_trust(self, trust: Trust) -> None:
        """Known hosts and certificates for the next conversations (from the settings). What was
        listed under another trust answers nobody any more."""
        if trust != self._runner.trust:
            self._runner.trust = trust
            self._listings.expire()
            for held in self._held.values():
                held.mirror.forget_failures()

    # --- revisions -------------------------------------------------------------------------------

    async def resolve(
        self,
        repository: Repository,
        target_revision: str,
        *,
        tag_prefix: str = "",
        fresh: bool = False,
        since: float | None = None,
    ) -> str:
        """The commit SHA that a revision means now (``sources.md`` 14.1).

        A full SHA comes back without any request. Otherwise the listing of the repository's refs
        answers; it is asked for when older than ``revision_cache_seconds``, when ``fresh``, or when
        its request began before ``since`` (event-loop time, e.g. that of a webhook). A truncated SHA
        is looked up in the mirror. Raises RevisionNotFound, AccessDenied, RepositoryUnreachable.
        """
        if is_commit(target_revision):
            return target_revision
        listing = await self._listing(repository, fresh=fresh, since=since)
        try:
            found = listing.find(target_revision, tag_prefix)
        except RevisionNotFound as error:
            error.repository = clean_url(repository.url)
            raise
        if is_commit(found) or not is_short_commit(found):
            return found
        async with self._using(repository) as held:
            return await self._ensure(held, repository, found)

    async def listing(self, repository: Repository, *, fresh: bool = False) -> Listing:
        """All refs of the remote, in the order listed, tags peeled; shared as in :meth:`resolve`."""
        return await self._listing(repository, fresh=fresh, since=None)

    @asynccontextmanager
    async def lend(self, repository: Repository) -> AsyncIterator[Handover]:
        """The environment of a tool that runs git itself, for as long as the block lasts."""
        self._prepare()
        async with self._runner.lend(repository) as handover:
            yield handover

    async def _listing(self, repository: Repository, *, fresh: bool, since: float | None) -> Listing:
        self._prepare()
        return await self._listings.get(mirror_key(repository), repository, fresh=fresh, since=since)

    async def ensure(self, repository: Repository, sha: str) -> str:
        """Have the commit in the mirror; its full SHA. Fetches at most once per new commit."""
        async with self._using(repository) as held:
            return await self._ensure(held, repository, sha)

    # --- reading ---------------------------------------------------------------------------------

    async def root_tree(self, repository: Repository, sha: str) -> str:
        """Object id of the commit's root directory: equal ids, equal content."""
        return await self._read(repository, sha, lambda held, full: held.trees.root(full))

    async def entry(self, repository: Repository, sha: str, path: str) -> TreeEntry | None:
        """The entry at ``path``, ``None`` if there is none. Symbolic links are not followed, neither
        at the end nor on the way."""
        clean = clean_path(path)
        return await self._read(repository, sha, lambda held, full: held.trees.entry(full, clean))

    async def entries_at(
        self, repository: Repository, sha: str, paths: Sequence[str]
    ) -> list[TreeEntry | None]:
        """:meth:`entry` of many paths in one go, in the order asked: directories are read together,
        level by level."""
        clean = [clean_path(path) for path in paths]
        return await self._read(repository, sha, lambda held, full: held.trees.entries_at(full, clean))

    async def entries(
        self, repository: Repository, sha: str, path: str = "", recursive: bool = False
    ) -> Mapping[str, TreeEntry]:
        """Full path → entry of what a directory holds, in git's order within each directory; empty
        if ``path`` is no directory."""
        clean = clean_path(path)

        async def read(held: _Held, full: str) -> Mapping[str, TreeEntry]:
            top = await held.trees.entry(full, clean)
            if top is None or not top.is_directory:
                return {}
            return await held.trees.below(top, recursive=recursive)

        return await self._read(repository, sha, read)

    async def links(self, repository: Repository, sha: str) -> Mapping[str, str]:
        """Path → target text of every symbolic link of the commit (cheap after the first time)."""

        async def read(held: _Held, full: str) -> Mapping[str, str]:
            return await held.trees.links(await held.trees.root(full))

        return await self._read(repository, sha, read)

    async def check_links(self, repository: Repository, sha: str) -> None:
        """Raises OutOfBoundsSymlink if any link of the commit leads outside (``sources.md`` 3)."""
        if self._options.allow_out_of_bounds_symlinks:
            return

        async def read(held: _Held, full: str) -> None:
            root = await held.trees.root(full)
            if root not in held.checked:
                check_links(await held.trees.links(root))
                held.checked.add(root)

        await self._read(repository, sha, read)

    async def blobs(self, repository: Repository, sha: str, oids: Sequence[str]) -> list[bytes]:
        """Contents of files of commit ``sha``, in the order asked.

        Raises SourceError when they exceed ``max_blob_bytes`` together.
        """

        async def read(held: _Held, full: str) -> list[bytes]:
            found = await held.mirror.reader.contents(oids, limit=self._options.max_blob_bytes)
            result = []
            for oid, each in zip(oids, found, strict=True):
                if each is None:
                    raise CorruptMirror(f"no object {oid}")
                result.append(each.data)
            return result

        return await self._read(repository, sha, read)

    # --- directories -----------------------------------------------------------------------------

    async def worktree_reason(self, repository: Repository, sha: str) -> str:
        """Why this commit's files are not all in its trees: ``"submodules"``, ``"lfs"`` or ``""``.

        With a reason, read from :meth:`materialize` (which then holds the whole repository) instead
        of :meth:`entries` and :meth:`blobs`.
        """
        if repository.enable_lfs:
            return "lfs"
        if not self._options.submodules:
            return ""
        modules = await self.entry(repository, sha, ".gitmodules")
        return "submodules" if modules is not None and modules.type == "blob" else ""

    @asynccontextmanager
    async def materialize(
        self, repository: Repository, sha: str, paths: Iterable[str] = ("",)
    ) -> AsyncIterator[Path]:
        """A read-only directory that holds ``paths`` of the commit at their places.

        Shared by all who ask for equal content, never changed, and kept at least as long as the
        block lasts. Paths that do not exist are left out. All symbolic links of the commit are
        checked first. Never write into it: copy.
        """
        await self.check_links(repository, sha)
        wanted = sorted({clean_path(path) for path in paths})
        reason = await self.worktree_reason(repository, sha)
        if reason:
            key = self.checkouts.key(
                ["worktree", reason, mirror_key(repository), await self.root_tree(repository, sha)]
            )

            async def fill(target: Path) -> None:
                await self._read(
                    repository,
                    sha,
                    lambda held, full: make_worktree(
                        self._runner, repository, held.mirror.path, full, target, reason
                    ),
                )
        else:
            tops = [each for path in wanted if (each := await self.entry(repository, sha, path)) is not None]
            key = self.checkouts.key([f"{each.mode:o} {each.oid} {each.path}" for each in tops])

            async def fill(target: Path) -> None:
                await self._read(repository, sha, lambda held, _: self._write(held, tops, target))

        async with self.checkouts.lease(key, fill) as path:
            yield path

    async def _write(self, held: _Held, tops: Sequence[TreeEntry], target: Path) -> None:
        files: dict[str, TreeEntry] = {}
        for top in tops:
            if top.is_directory:
                files[top.path] = top
                files |= await held.trees.below(top, recursive=True)
            else:
                files[top.path] = top
        await self.checkouts.write(target, list(files.values()), held.mirror.reader)

    # --- history ---------------------------------------------------------------------------------

    async def changed_paths(self, repository: Repository, old: str, new: str) -> list[str]:
        """Paths that differ between two commits (renames: both names), sorted."""
        await self.ensure(repository, old)
        return await self._read(
            repository,
            new,
            lambda held, full: read_changed_paths(self._runner, held.mirror.path, old, full),
        )

    async def metadata(self, repository: Repository, sha: str) -> RevisionMetadata:
        """Author, date, message, tags and references of a commit (``sources.md`` 14.6)."""
        if not is_short_commit(sha):
            raise SourceError("InvalidArgument", f"revision {sha} must be resolved", revision=sha)
        return await self._read(repository, sha, lambda held, full: read_metadata(held.mirror.path, full))

    # --- signatures ------------------------------------------------------------------------------

    async def tag_of(self, repository: Repository, revision: str, *, tag_prefix: str = "") -> str | None:
        """The tag that a revision means, by the answer that resolved it last."""
        if is_commit(revision):
            return None
        listing = await self._listing(repository, fresh=False, since=None)
        return listing.tag_of(revision, tag_prefix)

    async def signatures(
        self, repository: Repository, shas: Sequence[str], home: Path
    ) -> Sequence[CommitSignature]:
        """What git and gpg (with the keys in ``home``) say of commits that lead to one another, in
        the order asked."""
        return await self._read(
            repository, shas[0], lambda held, _: read_signatures(self._runner, held.mirror.path, shas, home)
        )

    async def tag_signature(
        self, repository: Repository, tag: str, sha: str, home: Path
    ) -> CommitSignature | None:
        """What they say of an annotated tag, as the remote has it now; ``None``: it is no object of
        its own.

        Raises RevisionNotFound when it does not name commit ``sha`` any more.
        """
        async with self._using(repository) as held:
            await self._ensure(held, repository, sha)
            await held.mirror.fetch_tag(repository, tag)
        named, found = await self._read(
            repository, sha, lambda held, _: read_tag_signature(self._runner, held.mirror.path, tag, home)
        )
        if named != sha:
            raise RevisionNotFound("Unknown", f"tag {tag} does not name {sha} any more", revision=tag)
        return found

    async def ancestry(self, repository: Repository, sha: str) -> Mapping[str, Ancestor]:
        """Every commit that leads to ``sha``, itself included."""
        return await self._read(
            repository, sha, lambda held, full: read_ancestry(self._runner, held.mirror.path, full)
        )

    # --- writing ---------------------------------------------------------------------------------

    async def commit(
        self,
        repository: Repository,
        commit: BranchCommit,
        on_request: Callable[[GitRequest], None] = lambda request: None,
    ) -> BranchHead:
        """Make a commit on a branch of the remote, with the credentials of ``repository``.

        Raises AccessDenied, RepositoryUnreachable and other SourceErrors; then nothing, or only what
        the next call finds and goes on with, was pushed.
        """

        def report(request: GitRequest) -> None:
            self._report(request)
            on_request(request)

        async with self._using(repository) as held:
            return await commit_branch(
                self._runner, repository, held.mirror, held.trees, held.writing, report, commit
            )

    # --- housekeeping ----------------------------------------------------------------------------

    async def maintain(self) -> None:
        """Housekeeping, to be called now and then (every ten minutes is plenty): merges packs,
        removes checkouts and mirrors that nobody used for long."""
        self._prepare()
        await self.checkouts.evict()
        for held in list(self._held.values()):
            if not held.mirror.users:
                await held.mirror.tidy()
        await self._remove_old_mirrors(time.time())

    async def _remove_old_mirrors(self, now: float) -> None:
        for path in (self._root / "mirrors").glob("*.git"):
            held = self._held.get(path.stem)
            if held is not None and held.mirror.users:
                continue
            mirror = held.mirror if held is not None else self._mirror(path)
            if now - mirror.last_used() > self._options.mirror_max_age:
                self._held.pop(path.stem, None)
                await mirror.rebuild()
                await mirror.close()

    async def close(self) -> None:
        """End readers and running commands; what is on disk stays for the next process."""
        await self._listings.close()
        await self._runner.close()
        await self.checkouts.close()
        await self.keyrings.close()
        for held in self._held.values():
            await held.mirror.close()
        self._held.clear()
        await self._home.release()

    # --- inside ----------------------------------------------------------------------------------

    def _mirror(self, path: Path) -> Mirror:
        return Mirror(path, self._runner, self._options, self._report)

    async def _ensure(self, held: _Held, repository: Repository, revision: str) -> str:
        full = held.mirror.known(revision)
        if full is None:
            if not is_short_commit(revision):
                text = f"revision {revision} must be resolved"
                raise SourceError("InvalidArgument", text, revision=revision)
            self._runner.admit(repository)
            listing = self._listings.known(mirror_key(repository))
            try:
                full = await held.mirror.ensure(repository, revision, listing)
            except DiskFull:
                if not await self.checkouts.evict(everything=True):
                    raise
                full = await held.mirror.ensure(repository, revision, listing)
        return full

    @asynccontextmanager
    async def _using(self, repository: Repository) -> AsyncIterator[_Held]:
        self._prepare()
        key = mirror_key(repository)
        held = self._held.get(key)
        if held is None:
            mirror = self._mirror(self._root / "mirrors" / f"{key}.git")
            held = self._held[key] = _Held(mirror, Trees(mirror.reader, self._cache))
        held.mirror.users += 1
        try:
            yield held
        finally:
            held.mirror.users -= 1

    async def _read(self, repository: Repository, sha: str, read: Callable[[_Held, str], Awaitable[T]]) -> T:
        """Read of a commit that is there; a mirror that fails at it is fetched anew, once."""
        async with self._using(repository) as held:
            full = await self._ensure(held, repository, sha)
            generation = held.mirror.generation
            try:
                return await read(held, full)
            except CorruptMirror:
                pass
            # perhaps only the reader died: that is cheaper to find out than to fetch all
            try:
                return await read(held, full)
            except CorruptMirror:
                await held.mirror.rebuild(generation)
            full = await self._ensure(held, repository, sha)
            try:
                return await read(held, full)
            except CorruptMirror as error:
                url = clean_url(repository.url)
                raise SourceError(
                    "Internal",
                    f"Failed to checkout revision {sha}: the repository itself is damaged: {error}",
                    repository=url,
                    revision=sha,
                ) from error

    def _prepare(self) -> None:
        if not self._home.is_owned:
            self._home.own()
            try:
                self._runner.prepare()
            except SourceError:
                self._home.disown()
                raise

    def _report(self, request: GitRequest) -> None:
        self.requests[request.kind] += 1
        if self._options.on_request is not None:
            self._options.on_request(request)
