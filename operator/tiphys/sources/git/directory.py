"""The store's directory on disk: owned by one process, swept at the start.

What must not survive a crash of the machine (checkouts, which are not synced to disk, and scratch
files) is put aside at once and removed in the background; mirrors stay.
"""

import asyncio
import fcntl
import os
import time
from pathlib import Path

from tiphys.sources.errors import SourceError
from tiphys.sources.git.checkouts import remove_all
from tiphys.sources.git.process import disk_full, is_disk_full

_DOING = "cannot prepare the repository cache"


class OwnedDirectory:
    """Locked from :meth:`own` to :meth:`release`; the lock ends with the process, too."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock: int | None = None
        self._sweeping: asyncio.Task[None] | None = None

    @property
    def is_owned(self) -> bool:
        return self._lock is not None

    def own(self) -> None:
        """Lock and sweep. Raises SourceError (another process has it, no permission) and DiskFull."""
        lock: int | None = None
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._root.chmod(0o700)
            lock = os.open(self._root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for name in ("checkouts", "tmp"):
                if (self._root / name).exists():
                    (self._root / name).rename(self._root / f"gone-{name}-{os.getpid()}-{time.time_ns()}")
            for name in ("mirrors", "checkouts", "tmp", "home"):
                (self._root / name).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            if lock is not None:
                os.close(lock)
            if isinstance(error, BlockingIOError):
                text = "another process uses this repository cache: give each its own directory"
                raise SourceError("Internal", text) from error
            if is_disk_full(error):
                raise disk_full(_DOING) from error
            raise SourceError("Internal", f"{_DOING}: {error.strerror}") from error
        self._lock = lock
        # may be gigabytes: not on the event loop; the task is ours until release()
        gone = list(self._root.glob("gone-*"))
        if gone:
            self._sweeping = asyncio.get_running_loop().create_task(asyncio.to_thread(remove_all, gone))

    async def release(self) -> None:
        if self._sweeping is not None:
            await asyncio.wait([self._sweeping])
            self._sweeping = None
        self.disown()

    def disown(self) -> None:
        """Unlock at once."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
