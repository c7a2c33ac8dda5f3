"""How the git binary runs: own process group, clean environment, limits, and a certain end.

A command never sees the operator's environment, home or terminal. When its time is up or its caller
is cancelled, the whole group (``ssh``, ``git-remote-https``, hooks, LFS) gets SIGTERM, so that git
removes its lock and temporary files, and SIGKILL after a grace time.
"""

import asyncio
import errno
import os
import signal
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from tiphys.settings.urls import without_credentials
from tiphys.sources.errors import CACHED_SOURCE, CommandTimeout, DiskFull, SourceError

_NO_SPACE = ("no space left on device", "disk quota exceeded")
_CANCEL_GRACE = 2.0


class Finished(msgspec.Struct, frozen=True):
    """How a command ended. ``stderr`` is text as git wrote it: redact before showing."""

    command: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: str

    @property
    def ok(self) -> bool:
        return self.returncode == 0

    @property
    def disk_full(self) -> bool:
        text = self.stderr.lower()
        return any(sign in text for sign in _NO_SPACE)


def redact(text: str, secrets: Iterable[str] = (), paths: Iterable[Path] = ()) -> str:
    """``text`` without secrets, user information in URLs, and paths of our cache."""
    for secret in secrets:
        # very short values would blank out letters all over the text and hide nothing
        if len(secret) > 3:
            text = text.replace(secret, "******")
    text = without_credentials(text)
    for path in paths:
        text = text.replace(str(path), CACHED_SOURCE)
    return text


def disk_full(doing: str) -> DiskFull:
    return DiskFull(
        "Internal",
        f"{doing}: no space left on device: the disk under the repository cache is full; "
        "free space or enlarge it, the next attempt goes on by itself",
    )


def is_disk_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def go_duration(seconds: float) -> str:
    """Seconds as the reference prints a time limit: ``1m30s``, ``15s``, ``250ms``."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    text = f"{hours:.0f}h" if hours else ""
    text += f"{minutes:.0f}m" if hours or minutes else ""
    return text + f"{rest:g}s"


async def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    timeout: float,
    fatal_timeout: float,
    output_limit: int = 256 << 20,
) -> Finished:
    """Run to the end and return how it ended; a non-zero status is not an error here.

    Raises CommandTimeout (``sources.md`` 14.4), SourceError if the output exceeds ``output_limit``
    bytes, DiskFull if the process cannot be started for want of space.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=dict(env),
            cwd=cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        if is_disk_full(error):
            raise disk_full(command[0]) from error
        raise SourceError("Internal", f"cannot run {command[0]}: {error.strerror}") from error
    assert process.stdout is not None
    assert process.stderr is not None
    shown = " ".join(part for part in command if not part.startswith("--git-dir="))
    try:
        async with asyncio.timeout(timeout):
            stdout, stderr, _ = await asyncio.gather(
                _read(process.stdout, output_limit), _read(process.stderr, 1 << 20), process.wait()
            )
    except TimeoutError:
        died = await end_group(process, fatal_timeout)
        word = "failed timeout" if died else "failed fatal timeout"
        limit = timeout if died else timeout + fatal_timeout
        raise CommandTimeout("DeadlineExceeded", f"`{shown}` {word} after {go_duration(limit)}") from None
    except _TooMuchOutput:
        await end_group(process, fatal_timeout)
        raise SourceError("Internal", f"`{shown}` printed more than {output_limit} bytes") from None
    except BaseException:
        await _uninterrupted(end_group(process, _CANCEL_GRACE))
        raise
    assert process.returncode is not None
    return Finished(tuple(command), process.returncode, stdout, stderr.decode("utf-8", "replace"))


class _TooMuchOutput(Exception):
    pass


async def _read(stream: asyncio.StreamReader, limit: int) -> bytes:
    parts: list[bytes] = []
    total = 0
    while part := await stream.read(1 << 18):
        total += len(part)
        if total > limit:
            raise _TooMuchOutput
        parts.append(part)
    return b"".join(parts)


async def end_group(process: asyncio.subprocess.Process, grace: float) -> bool:
    """End the process and all of its group; whether SIGTERM was enough."""
    _signal_group(process.pid, signal.SIGTERM)
    died = True
    try:
        async with asyncio.timeout(grace):
            await process.wait()
    except TimeoutError:
        died = False
    # the leader is gone or deaf: what is left of the group goes without further notice
    _signal_group(process.pid, signal.SIGKILL)
    await process.wait()
    return died


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


async def _uninterrupted(work: Coroutine[object, object, bool]) -> None:
    """Finish ``work`` even if cancelled again meanwhile; the cancellation is raised by the caller."""
    task = asyncio.ensure_future(work)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            continue
