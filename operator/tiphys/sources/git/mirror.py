"""One bare clone on disk: made when first needed, fetched once per new commit, rebuilt when corrupt.

Everything in it can be fetched again, so it has no backup and no repair: what cannot be read is
thrown away. Objects are never pruned while the mirror lives, so a force-push during a render is
harmless. One process owns the store, hence lock files found at the first use are leavings of a killed
one.
"""

import asyncio
import os
import shutil
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from tiphys.settings.repositories import Repository
from tiphys.sources.errors import (
    AccessDenied,
    CommandTimeout,
    RepositoryUnreachable,
    RevisionNotFound,
    SourceError,
)
from tiphys.sources.git.access import clean_url
from tiphys.sources.git.flights import Flights
from tiphys.sources.git.objects import CorruptMirror, ObjectReader
from tiphys.sources.git.options import GitOptions, GitRequest
from tiphys.sources.git.process import disk_full, is_disk_full
from tiphys.sources.git.refs import Listing, is_commit
from tiphys.sources.git.runner import GitRunner

_EVERYTHING = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_KNOWN_COMMITS = 4096
_USED = "tiphys-used"


class Mirror:
    """The clone of one ``mirror_key``. ``report`` hears of each conversation with the remote."""

    def __init__(
        self,
        path: Path,
        runner: GitRunner,
        options: GitOptions,
        report: Callable[[GitRequest], None],
    ) -> None:
        self.path = path
        self._runner = runner
        self._options = options
        self._report = report
        self._lock = asyncio.Lock()
        self._flights: Flights[str] = Flights()
        self._known: OrderedDict[str, str] = OrderedDict()
        self._failures: dict[str, tuple[float, SourceError]] = {}
        self._opened = False
        self._used = False
        self.generation = 0
        """How often it was thrown away."""
        self.reader = ObjectReader(
            path, runner.env, timeout=options.exec_timeout, idle_seconds=options.reader_idle_seconds
        )
        self.users = 0
        """Calls that are using the mirror; it is not thrown away meanwhile."""

    async def ensure(self, repository: Repository, revision: str, listing: Listing) -> str:
        """The full SHA of a commit that is in the mirror afterwards; fetched only if it was not.

        ``listing`` is the latest known one, for servers that give out tips only. Concurrent callers
        of one revision share the fetch. Raises SourceError types of ``sources.md`` 14.3.
        """
        self._used = True
        return await self._flights.share(revision, lambda: self._ensure(repository, revision, listing))

    def known(self, revision: str) -> str | None:
        """The full SHA if the commit was seen in the mirror by this process."""
        found = self._known.get(revision)
        if found is not None:
            self._used = True
            self._known.move_to_end(revision)
        return found

    async def _ensure(self, repository: Repository, revision: str, listing: Listing) -> str:
        if self._opened:
            # what is here needs not wait for a slow fetch of something else
            try:
                if found := await self._commit(revision):
                    return self._remember(revision, found)
            except CorruptMirror:
                pass
        async with self._lock:
            self._raise_recent_failure(revision)
            try:
                return await self._ensure_locked(repository, revision, listing)
            except CorruptMirror:
                await self._discard()
            except (AccessDenied, CommandTimeout, RepositoryUnreachable, RevisionNotFound) as error:
                self._failures[revision] = (asyncio.get_running_loop().time(), error)
                raise
            try:
                return await self._ensure_locked(repository, revision, listing)
            except CorruptMirror as error:
                await self._discard()
                raise SourceError(
                    "Internal", f"Failed to fetch default: {error}", repository=clean_url(repository.url)
                ) from error

    async def _ensure_locked(self, repository: Repository, revision: str, listing: Listing) -> str:
        await self._open()
        found = await self._commit(revision)
        if found is None:
            await self._fetch(repository, revision, listing)
            found = await self._commit(revision)
        if found is None:
            url = clean_url(repository.url)
            raise RevisionNotFound(
                "Internal",
                f"Failed to checkout revision {revision}: the repository has no such commit",
                repository=url,
                revision=revision,
            )
        return self._remember(revision, found)

    def _remember(self, revision: str, found: str) -> str:
        self._known[revision] = found
        if len(self._known) > _KNOWN_COMMITS:
            self._known.popitem(last=False)
        return found

    def _raise_recent_failure(self, revision: str) -> None:
        now = asyncio.get_running_loop().time()
        for each, (moment, _) in list(self._failures.items()):
            if now - moment >= self._options.failure_cache_seconds:
                del self._failures[each]
        if revision in self._failures:
            raise self._failures[revision][1].with_prefix("")

    def forget_failures(self) -> None:
        """Access may have changed: the next attempt is made at once."""
        self._failures.clear()

    async def _commit(self, revision: str) -> str | None:
        """The commit's SHA if commit and root tree are here; ``None`` also for ambiguous text."""
        (found,) = await self.reader.info([f"{revision}^{{commit}}"])
        if found is None:
            return None
        (tree,) = await self.reader.info([f"{found.oid}^{{tree}}"])
        if tree is None:
            raise CorruptMirror(f"commit {found.oid} has no tree")
        return found.oid

    async def _open(self) -> None:
        if self._opened and (self.path / "HEAD").exists():
            return
        await self.reader.close()
        try:
            if (self.path / "HEAD").exists():
                await asyncio.to_thread(_remove_leavings, self.path)
            else:
                await asyncio.to_thread(_obliterate, self.path)
                self.path.mkdir(parents=True, mode=0o700)
                made = await self._runner.local(
                    ["init", "--quiet", "--bare", "--template=", "--initial-branch=tiphys", str(self.path)],
                    cwd=self.path,
                )
                if made.disk_full:
                    raise disk_full("Failed to initialize git repo")
                if not made.ok:
                    text = self._runner.explanation(made)
                    raise SourceError("Internal", f"Failed to initialize git repo: {text}")
            (self.path / _USED).touch()
        except OSError as error:
            if is_disk_full(error):
                raise disk_full("Failed to initialize git repo") from error
            raise SourceError("Internal", f"Failed to initialize git repo: {error.strerror}") from error
        self._opened = True

    async def _fetch(self, repository: Repository, revision: str, listing: Listing) -> None:
        depth = repository.depth
        url = clean_url(repository.url)
        common = [f"--git-dir={self.path}", "fetch", "--quiet", "--force", "--no-write-fetch-head"]
        if depth > 0:
            common.append(f"--depth={depth}")
        else:
            await self._talk(repository, [*common, "--prune", "--no-tags", "--", url, *_EVERYTHING])
            if await self._commit(revision) is not None:
                return
        if not is_commit(revision):
            # a truncated SHA: history is all here now, or (with depth) cannot be asked for
            return
        try:
            await self._talk(repository, [*common, "--no-tags", "--", url, revision])
        except SourceError as refused:
            if type(refused) is not SourceError:
                raise  # the remote was not even asked, or the disk is full
            # servers may give out only what has a name
            name = listing.name_of(revision)
            if name is None:
                raise RevisionNotFound(
                    refused.code,
                    f"Failed to checkout revision {revision}: {refused.message}",
                    repository=url,
                    revision=revision,
                ) from refused
            await self._talk(repository, [*common, "--no-tags", "--", url, name])

    async def fetch_tag(self, repository: Repository, tag: str) -> None:
        """Have a tag as the remote has it now: one may be signed anew without moving. Raises
        SourceError types of ``sources.md`` 14.3."""
        await self.fetch_ref(repository, f"refs/tags/{tag}")

    async def fetch_ref(self, repository: Repository, ref: str) -> None:
        """Have a ref as the remote has it now. Raises SourceError types of ``sources.md`` 14.3."""
        async with self._lock:
            await self._open()
            arguments = [f"--git-dir={self.path}", "fetch", "--quiet", "--force", "--no-write-fetch-head"]
            url = clean_url(repository.url)
            await self._talk(repository, [*arguments, "--no-tags", "--", url, f"+{ref}:{ref}"])

    async def open(self) -> None:
        """Have the clone on disk, be it empty: what is written begins there. Raises SourceError."""
        async with self._lock:
            await self._open()

    async def _talk(self, repository: Repository, arguments: list[str]) -> None:
        started = time.monotonic()
        failed = True
        try:
            finished = await self._runner.remote(repository, arguments, cwd=self.path)
            if not finished.ok:
                raise self._runner.failure(finished, "Failed to fetch default", repository.url)
            failed = False
        finally:
            if failed:
                await asyncio.to_thread(_remove_leavings, self.path)
            url = clean_url(repository.url)
            self._report(GitRequest("fetch", url, time.monotonic() - started, failed))

    async def rebuild(self, generation: int | None = None) -> None:
        """Throw the clone away; the next :meth:`ensure` fetches anew. With ``generation``: only if
        nobody else did since then."""
        async with self._lock:
            if generation is None or generation == self.generation:
                await self._discard()

    async def _discard(self) -> None:
        self._known.clear()
        self._opened = False
        self.generation += 1
        await self.reader.close()
        await asyncio.to_thread(_obliterate, self.path)

    async def tidy(self) -> None:
        """Merge many packs into few; nothing is pruned. Does nothing while it is not needed."""
        async with self._lock:
            objects = self.path / "objects"
            packs = len(list((objects / "pack").glob("*.pack")))
            loose = sum(len(list(each.iterdir())) for each in objects.glob("[0-9a-f][0-9a-f]"))
            if packs > self._options.repack_after_packs or loose > 5000:
                await self._runner.local(
                    [f"--git-dir={self.path}", "repack", "--quiet", "-d", "--geometric=2"], cwd=self.path
                )

    def last_used(self) -> float:
        """Seconds since the epoch of the last use, by this process or an earlier one; 0 if unknown.

        To be asked now and then: uses since the last time are written down by it.
        """
        if self._used:
            self._used = False
            (self.path / _USED).touch()
        try:
            return (self.path / _USED).stat().st_mtime
        except OSError:
            return 0.0

    async def close(self) -> None:
        await self._flights.close()
        await self.reader.close()


def _obliterate(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _remove_leavings(path: Path) -> None:
    """Locks and half-written packs of a killed or failed fetch (we hold the mirror alone)."""
    for lock in path.rglob("*.lock"):
        lock.unlink(missing_ok=True)
    pack = path / "objects" / "pack"
    if pack.is_dir():
        for name in os.listdir(pack):
            if name.startswith(("tmp_", ".tmp-")):
                (pack / name).unlink(missing_ok=True)
    for quarantine in (path / "objects").glob("*incoming-*"):
        shutil.rmtree(quarantine, ignore_errors=True)
