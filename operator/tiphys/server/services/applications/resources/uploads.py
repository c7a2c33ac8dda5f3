"""Files that a client sends to be rendered: a gzipped tar in pieces, unpacked without trusting it.

Bounded in every direction: the bytes sent, the bytes unpacked, the number of files, the size of a
header. Files are written by plain paths below the folder and nothing else is made: no devices, no
hard links; symbolic links come last, so that no file can be written through one, and none may lead
out of the folder.
"""

import asyncio
import gzip
import hashlib
import os
import posixpath
import tarfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, cast

import msgspec

from tiphys.resources.messages.application import ApplicationManifestQueryWithFilesWrapper
from tiphys.server.api.failures import ApiFailure, Code, unknown

IDLE_SECONDS = 60.0
"""A client that sends nothing for so long is given up, and what it sent goes."""

PIECE = 1 << 20
HEADER_LIMIT = 1 << 20
"""Largest single read that a tar header may cause."""


class UploadLimits(msgspec.Struct, frozen=True):
    """``sent`` and ``unpacked`` in bytes; 0: unlimited."""

    sent: int
    unpacked: int
    files: int = 20_000


async def receive(
    messages: AsyncIterator[ApplicationManifestQueryWithFilesWrapper], place: Path, limits: UploadLimits
) -> str:
    """Write the chunks that follow the query to ``place``; their SHA-256 in hex.

    Raises:
        ApiFailure: ResourceExhausted, too much; Unknown, something else than chunks.
        TimeoutError: the client went silent.
    """
    digest, size = hashlib.sha256(), 0
    with place.open("wb") as file:
        while (message := await _next(messages)) is not None:
            if message.chunk is None:
                raise unknown("error receiving manifest file stream: expected a chunk")
            chunk = message.chunk.chunk
            size += len(chunk)
            if limits.sent and size > limits.sent:
                raise ApiFailure(
                    Code.RESOURCE_EXHAUSTED,
                    f"error receiving manifest file stream: file exceeded max size of {limits.sent} bytes",
                )
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


async def _next(
    messages: AsyncIterator[ApplicationManifestQueryWithFilesWrapper],
) -> ApplicationManifestQueryWithFilesWrapper | None:
    """The next message; None at the end. Raises TimeoutError: the client went silent."""
    async with asyncio.timeout(IDLE_SECONDS):
        return await anext(messages, None)


def unpack(archive: Path, folder: Path, limits: UploadLimits) -> None:
    """Unpack a gzipped tar into an empty folder; in a thread, since it blocks.

    Raises:
        ApiFailure: what is wrong with it.
    """
    plain = archive.with_suffix(".tar")
    try:
        _decompress(archive, plain, limits.unpacked)
        with (
            plain.open("rb") as file,
            tarfile.open(fileobj=cast(IO[bytes], _Guarded(file)), mode="r:") as packed,
        ):
            _Unpacking(folder, limits).take_all(packed)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, UnicodeError, ValueError) as error:
        raise unknown(f"error receiving manifest file stream: {error}") from None
    except OSError as error:  # a file below a file, a name too long, a full disk
        raise unknown(f"error receiving manifest file stream: {error.strerror}") from None
    finally:
        plain.unlink(missing_ok=True)


def _decompress(archive: Path, plain: Path, limit: int) -> None:
    size = 0
    with gzip.open(archive, "rb") as source, plain.open("wb") as target:
        while piece := source.read(PIECE):
            size += len(piece)
            if limit and size > limit:
                raise _too_much()
            target.write(piece)


class _Guarded:
    """A file whose headers cannot ask for much memory (``tarfile`` reads one in a single go)."""

    def __init__(self, file: IO[bytes]):
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= HEADER_LIMIT:
            raise tarfile.ReadError("a header is too large")
        return self._file.read(size)


class _Unpacking:
    def __init__(self, folder: Path, limits: UploadLimits):
        self._folder = Path(os.path.realpath(folder))
        self._limits = limits
        self._links: dict[str, str] = {}

    def take_all(self, packed: tarfile.TarFile) -> None:
        total = 0
        for count, member in enumerate(packed, 1):
            total += member.size
            if count > self._limits.files or (self._limits.unpacked and total > self._limits.unpacked):
                raise _too_much()
            name = _inside(member.name)
            if member.isdir():
                (self._folder / name).mkdir(parents=True, exist_ok=True)
            elif member.isreg():
                self._write(packed, member, name)
            elif member.issym():
                self._links[name] = member.linkname
            else:
                raise unknown(f"error receiving manifest file stream: {name} is no file")
        for name, target in self._links.items():
            self._link(name, target)
        for name in self._links:
            real = Path(os.path.realpath(self._folder / name))
            if real != self._folder and self._folder not in real.parents:
                raise _out_of_bounds(name)

    def _write(self, packed: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> None:
        place = self._folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        source = packed.extractfile(member)
        assert source is not None
        with place.open("wb") as file:
            while piece := source.read(HEADER_LIMIT // 2):
                file.write(piece)
        if member.mode & 0o100:
            place.chmod(0o755)

    def _link(self, name: str, target: str) -> None:
        place = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        if target.startswith("/") or place == ".." or place.startswith("../") or "\0" in target:
            raise _out_of_bounds(name)
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(path):
            raise unknown(f"error receiving manifest file stream: {name} comes twice")
        path.symlink_to(target)


def _inside(name: str) -> str:
    """A member's path below the folder. Raises ApiFailure."""
    clean = posixpath.normpath(name)
    if name.startswith("/") or clean == ".." or clean.startswith("../") or "\0" in name:
        raise unknown(f"error receiving manifest file stream: illegal filepath in archive: {name}")
    return clean


def _out_of_bounds(name: str) -> ApiFailure:
    return unknown(f"streamed files contains out-of-bounds symlinks. file: {name}")


def _too_much() -> ApiFailure:
    return ApiFailure(
        Code.RESOURCE_EXHAUSTED, "error receiving manifest file stream: the files exceed the limit"
    )
