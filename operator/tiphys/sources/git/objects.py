"""Reading objects of one mirror through one long-lived ``git cat-file``.

A process start costs more than a thousand look-ups, so each mirror keeps one reader; it ends after a
quiet time and starts again when asked. One question is a batch: all names go in, all answers come
out. A reader whose conversation was cut short (a cancelled caller, a dead process, a time limit) is
thrown away, never resumed, so an answer can not belong to another question.
"""

import asyncio
import re
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from tiphys.sources.errors import CommandTimeout, SourceError
from tiphys.sources.git.conversation import Conversation, EndedEarly, Found, Speaker, speaker
from tiphys.sources.git.process import end_group

ObjectType: TypeAlias = Literal["blob", "tree", "commit"]
_OID = re.compile(r"^[0-9a-f]{40}$")


class TreeEntry(msgspec.Struct, frozen=True):
    """One name in a directory of a commit."""

    mode: int
    """As git writes it: 0o100644, 0o100755, 0o120000 (symbolic link), 0o40000, 0o160000."""
    type: ObjectType
    """``commit`` is a submodule."""
    oid: str
    path: str
    """From the repository's root, without leading slash; the root itself is ``""``."""

    @property
    def is_link(self) -> bool:
        return self.mode == 0o120000

    @property
    def is_directory(self) -> bool:
        return self.type == "tree"

    @property
    def is_executable(self) -> bool:
        return self.mode == 0o100755


class RawEntry(NamedTuple):
    """A directory entry without its place in the repository."""

    mode: int
    oid: str

    @property
    def type(self) -> ObjectType:
        if self.mode == 0o40000:
            return "tree"
        return "commit" if self.mode == 0o160000 else "blob"


Directory: TypeAlias = Mapping[str, RawEntry]
"""Name → entry of one tree object, in git's order."""


class CorruptMirror(Exception):
    """The mirror lacks or cannot read what it must have; it is to be fetched anew."""


class UnsafeName(SourceError):
    """A tree holds a name that no file system may see."""


def parse_tree(data: bytes) -> Directory:
    """The entries of a raw tree object.

    Raises UnsafeName for names that would leave their directory or that come twice: git itself never
    writes them, a hostile repository may.
    """
    entries: dict[str, RawEntry] = {}
    position = 0
    end = len(data)
    while position < end:
        space = data.index(b" ", position)
        zero = data.index(b"\0", space)
        name = data[space + 1 : zero].decode("utf-8", "surrogateescape")
        if name in ("", ".", "..") or "/" in name or name.lower() == ".git" or name in entries:
            raise UnsafeName("Internal", f"repository contains a forbidden file name: {name!r}")
        entries[name] = RawEntry(int(data[position:space], 8), data[zero + 1 : zero + 21].hex())
        position = zero + 21
    return entries


class ObjectReader:
    """One ``git cat-file --batch-command``; batches follow one another."""

    def __init__(self, git_dir: Path, env: Mapping[str, str], *, timeout: float, idle_seconds: float) -> None:
        self._git_dir = git_dir
        self._env = env
        self._timeout = timeout
        self._idle_seconds = idle_seconds
        self._lock = asyncio.Lock()
        self._process: Process | None = None
        self._speaker: Speaker | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    async def info(self, names: Sequence[str]) -> list[Found | None]:
        """Type of each object (``None``: there is no such object). Names may be any revision
        expression without line breaks."""
        return await self._batch("info", names, 0)

    async def contents(self, names: Sequence[str], *, limit: int) -> list[Found | None]:
        """Type and bytes of each object.

        Raises SourceError when the objects together exceed ``limit`` bytes, before reading the one
        that does.
        """
        return await self._batch("contents", names, limit)

    async def close(self) -> None:
        async with self._lock:
            await self._end()

    async def _batch(self, verb: str, names: Sequence[str], limit: int) -> list[Found | None]:
        if not names:
            return []
        for name in names:
            if "\n" in name or "\0" in name:
                raise SourceError("InvalidArgument", f"not an object name: {name!r}")
        async with self._lock:
            if self._idle is not None:
                self._idle.cancel()
                self._idle = None
            git = await self._running()
            complete = False
            try:
                async with asyncio.timeout(self._timeout):
                    answers = await git.ask(Conversation(verb, names, limit))
                complete = True
            except TimeoutError:
                raise CommandTimeout("DeadlineExceeded", "`git cat-file` failed timeout") from None
            except (EndedEarly, BrokenPipeError, ConnectionResetError) as error:
                raise CorruptMirror("git cat-file ended early") from error
            finally:
                if not complete:
                    await self._end()
            self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._when_idle)
            return answers

    async def _running(self) -> Speaker:
        if self._speaker is not None and self._process is not None and self._process.returncode is None:
            return self._speaker
        try:
            self._process, self._speaker = await speaker(self._git_dir, self._env)
        except OSError as error:
            raise SourceError("Internal", f"cannot run git: {error.strerror}") from error
        return self._speaker

    def _when_idle(self) -> None:
        self._idle = None
        # kept in an attribute: close() of the mirror waits for the lock and so for this
        self._ending = asyncio.get_running_loop().create_task(self.close())

    async def _end(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        process, self._process, self._speaker = self._process, None, None
        if process is not None:
            if process.stdin is not None:
                process.stdin.close()
            await end_group(process, 1.0)
