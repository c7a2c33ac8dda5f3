"""Runs a tool as a stranger in the house: own process group, clean environment, own HOME, limits.

Helm, Kustomize and their plugins run on input that other people wrote. Here a command line goes in
and its output comes out, or an error that says which limit was met. Each run gets an environment
with nothing of ours in it, a private HOME that is removed afterwards, a limit on wall time, memory,
bytes written to standard output and size of any file; whatever happens (a limit, a cancelled
caller, a normal end), the whole process group is killed before the call returns, so no grandchild
outlives it.

Memory is limited with RLIMIT_DATA rather than RLIMIT_AS: Go reserves gigabytes of address space
that it never uses, and counts only what it makes writable. Limits are set from outside
(``prlimit``) right after the start, which spares a fork of our own process; where the platform
has no ``prlimit`` the memory limit is left to GOMEMLIMIT.
"""

import asyncio
import contextlib
import errno
import os
import resource
import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

MIB: Final = 1 << 20


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one run may use: seconds of wall time, bytes otherwise."""

    timeout: float = 90.0
    memory: int = 1024 * MIB
    output: int = 100 * MIB
    file_size: int = 1024 * MIB


class Completed(msgspec.Struct, frozen=True):
    """A run that ended by itself. ``errors`` is the (bounded) text of standard error."""

    code: int
    output: bytes
    errors: str


class ProcessError(Exception):
    """A run that did not end by itself, or could not start. ``tool`` is the program's base name."""

    def __init__(self, tool: str, message: str) -> None:
        super().__init__(message)
        self.tool = tool
        self.message = message


class ToolMissing(ProcessError):
    """The program is not installed."""


class TimeLimit(ProcessError):
    """The run took longer than allowed."""


class OutputLimit(ProcessError):
    """The run printed more than allowed."""


class MemoryLimit(ProcessError):
    """The run wanted more memory than allowed."""


class NoSpace(ProcessError):
    """No room for the run's private folder."""


_STDERR_KEPT: Final = 256 * 1024
_LAST_WORDS: Final = 1.0
"""Seconds after the end of a process in which its pipes are read."""
_OUT_OF_MEMORY: Final = ("cannot allocate memory", "out of memory", "failed to reserve page summary")


async def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    stdin: bytes = b"",
    scratch: Path | None = None,
    home: Path | None = None,
) -> Completed:
    """Runs ``argv`` in ``cwd``. ``environment`` adds to the clean one; ``scratch`` is the folder in
    which the private HOME is made, unless the caller owns one and gives it as ``home``.

    Raises:
        ToolMissing, TimeLimit, OutputLimit, MemoryLimit, NoSpace: with texts for people.
    """
    limits = limits or Limits()
    tool = os.path.basename(argv[0])
    if home is not None:
        return await _run(argv, tool, cwd, clean_environment(str(home), limits, environment), limits, stdin)
    try:
        own = tempfile.mkdtemp(prefix="home-", dir=scratch)
    except OSError as error:
        raise NoSpace(tool, f"no room for the working folder of {tool}: {error.strerror}") from None
    try:
        return await _run(argv, tool, cwd, clean_environment(own, limits, environment), limits, stdin)
    finally:
        shutil.rmtree(own, ignore_errors=True)


def clean_environment(home: str, limits: Limits, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a run: nothing of ours but PATH and the language."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": home,
        "TMPDIR": home,
        "XDG_CACHE_HOME": f"{home}/.cache",
        "XDG_CONFIG_HOME": f"{home}/.config",
        "XDG_DATA_HOME": f"{home}/.local/share",
        "LANG": "C.UTF-8",
        # Short runs on small input: collect garbage only when the heap has grown.
        "GOGC": "400",
        "GOMEMLIMIT": str(limits.memory * 3 // 4),
    }
    environment.update(extra or {})
    return environment


async def _run(
    argv: Sequence[str],
    tool: str,
    cwd: Path,
    environment: Mapping[str, str],
    limits: Limits,
    stdin: bytes,
) -> Completed:
    loop = asyncio.get_running_loop()
    try:
        transport, watcher = await loop.subprocess_exec(
            lambda: _Watcher(tool, limits.output),
            *argv,
            cwd=cwd,
            env=environment,
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        if error.filename is not None and str(error.filename) == str(cwd):
            raise ProcessError(tool, f"working folder of {tool} does not exist") from None
        raise ToolMissing(tool, f"{tool} is not installed (looked for {argv[0]})") from None
    except PermissionError:
        raise ToolMissing(tool, f"{argv[0]} is not executable") from None
    pid = transport.get_pid()
    try:
        _limit(pid, limits)
        _feed(transport, stdin)
        async with asyncio.timeout(limits.timeout):
            await watcher.finished
    except TimeoutError:
        text = f"{tool} exceeded the time limit of {limits.timeout:g} s and was killed"
        raise TimeLimit(tool, text) from None
    finally:
        _kill_group(pid)
        await asyncio.shield(watcher.exited)
        transport.close()
    code = transport.get_returncode() or 0
    text = bytes(watcher.errors).decode(errors="replace")
    if code != 0 and any(marker in text for marker in _OUT_OF_MEMORY):
        raise MemoryLimit(tool, f"{tool} exceeded the memory limit of {limits.memory // MIB} MiB")
    return Completed(code, bytes(watcher.output), text)


class _Watcher(asyncio.SubprocessProtocol):
    """Collects what a process prints. ``finished``: it ended and both pipes are read to the end, or
    it printed too much; ``exited``: the process itself is gone."""

    def __init__(self, tool: str, limit: int) -> None:
        loop = asyncio.get_running_loop()
        self.finished: asyncio.Future[None] = loop.create_future()
        self.exited: asyncio.Future[None] = loop.create_future()
        self.output = bytearray()
        self.errors = bytearray()
        self._tool = tool
        self._limit = limit
        self._printed = {1: 0, 2: 0}
        self._open = {1, 2}
        self._pid = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._pid = transport.get_pid()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._printed[fd] += len(data)
        if self._printed[fd] > self._limit:
            if not self.finished.done():
                text = f"{self._tool} printed more than {self._limit / MIB:g} MiB and was killed"
                self.finished.set_exception(OutputLimit(self._tool, text))
                _kill_group(self._pid)
        elif fd == 1:
            self.output += data
        elif len(self.errors) < _STDERR_KEPT:
            self.errors += data[: _STDERR_KEPT - len(self.errors)]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open.discard(fd)
        self._check()

    def process_exited(self) -> None:
        # Stragglers of the group would hold the pipes open; one that left the group cannot keep us.
        _kill_group(self._pid)
        if not self.exited.done():
            self.exited.set_result(None)
        self._check()
        asyncio.get_running_loop().call_later(_LAST_WORDS, self._give_up)

    def _check(self) -> None:
        if self.exited.done() and not self._open:
            self._give_up()

    def _give_up(self) -> None:
        if not self.finished.done():
            self.finished.set_result(None)


def _feed(transport: asyncio.SubprocessTransport, stdin: bytes) -> None:
    pipe = transport.get_pipe_transport(0)
    if isinstance(pipe, asyncio.WriteTransport):
        pipe.write(stdin)
        pipe.close()


def _limit(pid: int, limits: Limits) -> None:
    prlimit = getattr(resource, "prlimit", None)
    if prlimit is None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError, ValueError):
        prlimit(pid, resource.RLIMIT_DATA, (limits.memory, limits.memory))
        prlimit(pid, resource.RLIMIT_FSIZE, (limits.file_size, limits.file_size))
        prlimit(pid, resource.RLIMIT_CORE, (0, 0))


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def is_disk_full(error: OSError) -> bool:
    """Whether the failure is a full disk or an exhausted quota."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
