"""What ``git cat-file --batch-command`` answers to one batch of questions.

git writes a few kilobytes at a time. They are taken apart as they come, and who asked is woken once, when
the last answer is whole: a thousand files cost one wake-up instead of hundreds.
"""

import asyncio
from asyncio.subprocess import Process, SubprocessStreamProtocol
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tiphys.sources.errors import SourceError

LONGEST_HEAD = 1 << 20
"""Bytes; a line longer than that is not git's."""


class EndedEarly(Exception):
    """git ended before it had answered."""


class Found(NamedTuple):
    """Answer to one question; ``data`` is empty where only the type was asked."""

    oid: str
    type: str
    data: bytes


class Conversation:
    """One batch: questions go in, answers are collected.

    Args:
        verb: ``info`` or ``contents``.
        limit: bytes that the contents may have together.
    """

    def __init__(self, verb: str, names: Sequence[str], limit: int) -> None:
        self.done: asyncio.Future[list[Found | None]] = asyncio.get_running_loop().create_future()
        self._verb, self._names, self._limit = verb, names, limit
        self._answers: list[Found | None] = []
        self._rest = bytearray()
        self._head: tuple[str, str, int] | None = None  # of the content that is awaited
        self._total = 0

    @property
    def question(self) -> bytes:
        """What git is sent."""
        lines = "".join(f"{self._verb} {name}\n" for name in self._names) + "flush\n"
        return lines.encode("utf-8", "surrogateescape")

    def feed(self, data: bytes) -> None:
        """The next piece of what git writes."""
        if self.done.done():
            return
        self._rest += data
        try:
            while len(self._answers) < len(self._names) and self._next():
                pass
        except (SourceError, ValueError) as error:
            problem = error if isinstance(error, SourceError) else EndedEarly()
            self.done.set_exception(problem)
            return
        if len(self._answers) == len(self._names):
            self.done.set_result(self._answers)

    def lost(self) -> None:
        """git writes no more."""
        if not self.done.done():
            self.done.set_exception(EndedEarly())

    def _next(self) -> bool:
        """Take one head or one content off what came; whether there was a whole one."""
        if self._head is not None:
            oid, kind, size = self._head
            if len(self._rest) <= size:  # a line end follows
                return False
            self._answers.append(Found(oid, kind, bytes(memoryview(self._rest)[:size])))
            del self._rest[: size + 1]
            self._head = None
            return True
        end = self._rest.find(b"\n")
        if end < 0:
            if len(self._rest) > LONGEST_HEAD:
                raise ValueError("no head of an answer")
            return False
        head = self._rest[:end].decode("utf-8", "surrogateescape")
        del self._rest[: end + 1]
        name = self._names[len(self._answers)]
        if head.startswith(name) and head[len(name) :] in (" missing", " ambiguous"):
            self._answers.append(None)
            return True
        oid, kind, length = head.rsplit(" ", 2)
        size = int(length)
        if self._verb == "info":
            self._answers.append(Found(oid, kind, b""))
            return True
        self._total += size
        if self._total > self._limit:
            raise SourceError("Internal", f"files are larger than {self._limit} bytes together")
        self._head = oid, kind, size
        return True


class Speaker(SubprocessStreamProtocol):
    """The process at the other end; its standard output goes to the conversation."""

    def __init__(self) -> None:
        super().__init__(limit=LONGEST_HEAD, loop=asyncio.get_running_loop())
        self.conversation: Conversation | None = None
        self.silent = False

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        if fd != 1:
            super().pipe_data_received(fd, data)
        elif self.conversation is not None and isinstance(data, bytes):
            self.conversation.feed(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        super().pipe_connection_lost(fd, exc)
        if fd == 1:
            self.silent = True
            if self.conversation is not None:
                self.conversation.lost()

    async def ask(self, conversation: Conversation) -> list[Found | None]:
        """The answers.

        Raises:
            EndedEarly: git ended, or what it says is none of its answers.
            SourceError: the contents are larger than the conversation's limit.
        """
        assert self.stdin is not None
        if self.silent:
            raise EndedEarly
        self.conversation = conversation
        # not drained: git may be blocked writing answers, which are taken meanwhile
        self.stdin.write(conversation.question)
        try:
            return await conversation.done
        finally:
            self.conversation = None


async def speaker(git_dir: Path, env: Mapping[str, str]) -> tuple[Process, Speaker]:
    """Start ``git cat-file`` of a mirror, in a process group of its own.

    Raises:
        OSError: git cannot be started.
    """
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.subprocess_exec(
        Speaker,
        "git",
        f"--git-dir={git_dir}",
        "cat-file",
        "--batch-command",
        "--buffer",
        env=dict(env),
        cwd=git_dir.parent,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    return Process(transport, protocol, loop), protocol
