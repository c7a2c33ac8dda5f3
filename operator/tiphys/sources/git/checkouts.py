"""Read-only directories shared by everyone who needs the same content.

The name of a directory is the hash of what is in it, so it can never be stored under the wrong
revision and never changes: it is filled under another name and renamed when complete. Users hold a
lease; what nobody holds may be removed when it is old or the whole grows too large. At a full disk
everything unused goes first.
"""

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tiphys.sources.errors import DiskFull, SourceError
from tiphys.sources.git.flights import Flights
from tiphys.sources.git.objects import CorruptMirror, ObjectReader, TreeEntry
from tiphys.sources.git.options import GitOptions
from tiphys.sources.git.process import disk_full, is_disk_full

_FORMAT = "1"
_BATCH_FILES = 500
_DOING = "Failed to checkout revision"


class _Checkout:
    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        self.leases = 0
        self.used = 0.0


class Checkouts:
    """All checkouts of one store."""

    def __init__(self, directory: Path, scratch: Path, options: GitOptions) -> None:
        self._directory = directory
        self._scratch = scratch
        self._options = options
        self._known: dict[str, _Checkout] = {}
        self._flights: Flights[_Checkout] = Flights()
        self._wanted: Counter[str] = Counter()

    @staticmethod
    def key(parts: Iterable[str]) -> str:
        """Name for a content that ``parts`` (object ids and places) determine."""
        text = "\0".join([_FORMAT, *parts])
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:40]

    @property
    def total_bytes(self) -> int:
        return sum(each.size for each in self._known.values())

    @asynccontextmanager
    async def lease(self, key: str, fill: Callable[[Path], Awaitable[None]]) -> AsyncIterator[Path]:
        """The directory of ``key``; ``fill`` writes it if it is not there, once for all who wait."""
        # from here on nobody evicts it, also between its making and our lease
        self._wanted[key] += 1
        try:
            checkout = self._known.get(key)
            if checkout is None or not checkout.path.is_dir():
                checkout = await self._flights.share(key, lambda: self._make(key, fill))
            checkout.leases += 1
        finally:
            self._wanted[key] -= 1
            if not self._wanted[key]:
                del self._wanted[key]
        try:
            yield checkout.path
        finally:
            checkout.leases -= 1
            checkout.used = asyncio.get_running_loop().time()

    async def _make(self, key: str, fill: Callable[[Path], Awaitable[None]]) -> _Checkout:
        try:
            return await self._make_once(key, fill)
        except DiskFull:
            await self.evict(everything=True)
            return await self._make_once(key, fill)

    async def _make_once(self, key: str, fill: Callable[[Path], Awaitable[None]]) -> _Checkout:
        staging: Path | None = None
        try:
            for directory in (self._directory, self._scratch):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(prefix="checkout-", dir=self._scratch))
            target = staging / "files"
            target.mkdir()
            await fill(target)
            size = await asyncio.to_thread(_seal, target)
            path = self._directory / key
            await asyncio.to_thread(_publish, target, path)
        except OSError as error:
            if is_disk_full(error):
                raise disk_full(_DOING) from error
            raise SourceError("Internal", f"{_DOING}: {error.strerror}") from error
        finally:
            if staging is not None:
                await asyncio.to_thread(_remove, staging)
        checkout = self._known[key] = _Checkout(path, size)
        checkout.used = asyncio.get_running_loop().time()
        await self.evict()
        return checkout

    async def write(self, target: Path, entries: Sequence[TreeEntry], reader: ObjectReader) -> None:
        """Write files, links and directories at their places below ``target``.

        Submodules become empty directories, as Git leaves them. Raises OSError, CorruptMirror, and
        SourceError if it exceeds ``max_checkout_bytes``.
        """
        files = [each for each in entries if each.type == "blob"]
        directories = [each.path for each in entries if each.type != "blob"]
        await asyncio.to_thread(_make_directories, target, directories, [each.path for each in files])
        left = self._options.max_checkout_bytes
        for start in range(0, len(files), _BATCH_FILES):
            part = files[start : start + _BATCH_FILES]
            found = await reader.contents([each.oid for each in part], limit=left)
            contents = []
            for entry, each in zip(part, found, strict=True):
                if each is None:
                    raise CorruptMirror(f"no file {entry.oid}")
                contents.append(each.data)
                left -= len(each.data)
            await asyncio.to_thread(_write_files, target, part, contents)

    async def evict(self, *, everything: bool = False) -> int:
        """Remove what nobody holds and is too old or too much; ``everything``: all unheld.

        Returns how many went.
        """
        now = asyncio.get_running_loop().time()
        total = self.total_bytes
        gone: list[Path] = []
        for key, each in sorted(self._known.items(), key=lambda item: item[1].used):
            old = now - each.used > self._options.checkout_max_age
            if (
                each.leases
                or key in self._wanted
                or not (everything or old or total > self._options.checkout_cache_bytes)
            ):
                continue
            total -= each.size
            del self._known[key]
            # renamed at once: whoever asks for the key from now on makes it anew
            trash = self._scratch / f"gone-{key}-{id(each)}"
            try:
                each.path.chmod(0o700)
                each.path.rename(trash)
            except OSError:
                trash = each.path
            gone.append(trash)
        for path in gone:
            await asyncio.to_thread(_remove, path)
        return len(gone)

    async def close(self) -> None:
        await self._flights.close()


def _make_directories(target: Path, directories: Iterable[str], files: Iterable[str]) -> None:
    wanted = set(directories) | {path.rpartition("/")[0] for path in files}
    for path in sorted(wanted):
        os.makedirs(os.path.join(target, path), exist_ok=True)


def _write_files(target: Path, entries: Sequence[TreeEntry], contents: Sequence[bytes]) -> None:
    for entry, data in zip(entries, contents, strict=True):
        path = os.path.join(target, entry.path)
        if entry.is_link:
            os.symlink(data, os.fsencode(path))
            continue
        # O_EXCL and O_NOFOLLOW: names of one tree are unique, whatever the tree claims
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o500 if entry.is_executable else 0o400)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)


def _seal(target: Path) -> int:
    """Take away write permission everywhere but at the top (a rename needs it); the size in bytes."""
    size = 0
    for folder, directories, files in os.walk(target):
        for name in files:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            size += status.st_size + 4096
            if not os.path.islink(path):
                os.chmod(path, 0o555 if status.st_mode & 0o100 else 0o444)
        for name in directories:
            if not os.path.islink(os.path.join(folder, name)):
                os.chmod(os.path.join(folder, name), 0o555)
    return size


def _publish(target: Path, path: Path) -> None:
    try:
        target.rename(path)
    except OSError:
        if not path.is_dir():
            raise
        return  # the same content is there already
    path.chmod(0o555)


def remove_all(paths: Iterable[Path]) -> None:
    """Remove directories of an earlier process."""
    for path in paths:
        _remove(path)


def _remove(path: Path) -> None:
    """Remove a tree that is read-only inside."""
    for folder, _, _ in os.walk(path):
        try:
            os.chmod(folder, 0o700)
        except OSError:
            pass
    shutil.rmtree(path, ignore_errors=True)
