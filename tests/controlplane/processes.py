"""Starting, watching and stopping the programs of a control plane.

Each program gets its own session (a Ctrl-C for the person's command does not reach it; whoever
started it stops it in order), a log file and a pid file. Owned programs also die with their
parent, however it ends, where the system offers that (Linux).
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1


class ProgramFailed(Exception):
    """A program ended or did not become ready; ``log`` holds the last lines it wrote."""

    def __init__(self, name: str, what: str, log_file: Path) -> None:
        self.name = name
        self.log_file = log_file
        self.log = tail(log_file)
        super().__init__(f"{name} {what}; its log {log_file} ends with:\n{self.log}")


def tail(path: Path, lines: int = 15) -> str:
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def free_ports(count: int) -> list[int]:
    """Loopback TCP ports that nobody listens on at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _die_with_parent() -> None:
    # Runs in the child between fork and exec: a bare system call, nothing else.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Program:
    """One running program."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log_file: Path) -> None:
        self.name = name
        self.process = process
        self.log_file = log_file

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str | os.PathLike[str]],
        *,
        folder: Path,
        env: Mapping[str, str] | None = None,
        owned: bool = True,
    ) -> Program:
        """Start ``command`` with ``logs/NAME.log`` and ``pids/NAME.pid`` under ``folder``.

        ``owned``: killed when the starting process ends. Not owned: outlives it.
        """
        log_file = folder / "logs" / f"{name}.log"
        pid_file = folder / "pids" / f"{name}.pid"
        for path in (log_file, pid_file):
            path.parent.mkdir(parents=True, exist_ok=True)
        with log_file.open("ab") as log:
            process = subprocess.Popen(
                [os.fspath(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=None if env is None else dict(env),
                start_new_session=True,
                preexec_fn=_die_with_parent if owned and sys.platform == "linux" else None,
            )
        pid_file.write_text(str(process.pid))
        return cls(name, process, log_file)

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_until(self, ready: Callable[[], bool], *, seconds: float, every: float = 0.1) -> None:
        """Ask ``ready`` until it says yes.

        Raises:
            ProgramFailed: the program ended, or the time is over.
        """
        limit = time.monotonic() + seconds
        while not ready():
            if self.process.poll() is not None:
                raise ProgramFailed(self.name, f"ended with code {self.process.returncode}", self.log_file)
            if time.monotonic() > limit:
                raise ProgramFailed(self.name, f"was not ready within {seconds:.0f} s", self.log_file)
            time.sleep(every)

    def stop(self, *, seconds: float = 10) -> int:
        """SIGTERM, then SIGKILL for the whole session after ``seconds``; the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.wait()

    def kill(self) -> None:
        """SIGKILL to the program and everything in its session's process group."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def stop_by_pid_file(pid_file: Path, *, seconds: float = 10) -> None:
    """Stop a program that another process started (and forget its pid file)."""
    try:
        pid = int(pid_file.read_text())
    except (OSError, ValueError):
        return
    limit = time.monotonic() + seconds
    signal_number = signal.SIGTERM
    while True:
        try:
            os.kill(pid, signal_number)
        except ProcessLookupError:
            break
        if time.monotonic() > limit:
            signal_number = signal.SIGKILL
        time.sleep(0.1)
        if _is_zombie(pid):
            break
    pid_file.unlink(missing_ok=True)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[:1] == ["Z"]
