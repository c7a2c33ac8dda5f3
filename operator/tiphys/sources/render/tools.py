"""Running Helm and Kustomize for a plan: where the binaries are, what they may use, private
folders, and errors without our paths.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec

from tiphys.settings.repositories import Repository
from tiphys.sources import processes
from tiphys.sources.errors import CACHED_SOURCE, CommandTimeout, DiskFull, SourceError
from tiphys.sources.git.access import host_of
from tiphys.sources.git.credentials import Handover
from tiphys.sources.processes import Completed, Limits

NO_NETWORK = {
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "",
    "GIT_TERMINAL_PROMPT": "0",
}
"""A proxy that nobody answers, for builds that need no network."""


_ERROR_TEXT = 8192


class Tools(msgspec.Struct, frozen=True):
    """Binaries (names are looked up in PATH), limits of one run, and the folder for private ones.

    Attributes:
        roots: host name → PEM bundle that replaces the system's roots for it (``sources.md`` 19); the
            settings change it at any time.
        lend: what a tool needs that runs git itself for a repository; ``None``: nothing.
    """

    helm: str
    kustomize: str
    limits: Limits
    scratch: Path
    lend: Callable[[Repository], AbstractAsyncContextManager[Handover]] | None = None
    roots: dict[str, str] = msgspec.field(default_factory=dict)

    def roots_for(self, url: str) -> str:
        """The bundle that counts for the host of a URL or of a registry's name; empty: the system's."""
        return self.roots.get(host_of(url if "://" in url else f"oci://{url}"), "")

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        home: Path,
        environment: Mapping[str, str] | None = None,
        stdin: bytes = b"",
    ) -> Completed:
        """Raises SourceError where a limit was met or the tool is missing; not for exit codes."""
        try:
            done = await processes.run(
                argv, cwd=cwd, home=home, environment=environment, limits=self.limits, stdin=stdin
            )
            if len(done.errors) <= _ERROR_TEXT:
                return done
            # Errors end up in the Application's status: the end says what went wrong.
            return msgspec.structs.replace(done, errors="…" + done.errors[-_ERROR_TEXT:])
        except processes.TimeLimit as error:
            raise CommandTimeout("DeadlineExceeded", error.message) from None
        except (processes.OutputLimit, processes.MemoryLimit) as error:
            raise SourceError("ResourceExhausted", error.message) from None
        except processes.ProcessError as error:
            raise SourceError("Internal", error.message) from None

    @asynccontextmanager
    async def folder(self) -> AsyncIterator[Path]:
        """A private folder with an empty ``home`` in it, removed afterwards. Raises DiskFull."""
        try:
            self.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = Path(tempfile.mkdtemp(prefix="render-", dir=self.scratch))
            (path / "home").mkdir()
        except OSError as error:
            raise disk_error("cannot make a working folder", error) from None
        try:
            yield path
        except OSError as error:
            raise disk_error("cannot write to the working folder", error) from None
        finally:
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)


def disk_error(doing: str, error: OSError) -> SourceError:
    """DiskFull where that is the cause."""
    if processes.is_disk_full(error):
        return DiskFull("Internal", f"{doing}: no space left on device: free space under the cache folder")
    return SourceError("Internal", f"{doing}: {error.strerror or error}")


async def copy_tree(source: Path, target: Path) -> None:
    """A private copy of a shared read-only folder: own folders and links, files hard-linked where
    possible. Files are to be replaced, never written in place. Raises OSError."""
    await asyncio.to_thread(_copy_tree, source, target)


def _copy_tree(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    with os.scandir(source) as entries:
        for entry in entries:
            place = target / entry.name
            if entry.is_symlink():
                place.symlink_to(os.readlink(entry.path))
            elif entry.is_dir(follow_symlinks=False):
                _copy_tree(Path(entry.path), place)
            else:
                try:
                    os.link(entry.path, place)
                except OSError as error:
                    if processes.is_disk_full(error):
                        raise
                    shutil.copyfile(entry.path, place)


def replace_file(path: Path, content: bytes) -> None:
    """Writes a new file in place of a hard-linked or linked one."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def hide_paths(text: str, root: Path, others: Sequence[Path] = ()) -> str:
    """The text with the repository's root as ``.`` and other folders of ours named as the cache."""
    for path in (root, Path(os.path.realpath(root))):
        text = text.replace(str(path), ".")
    for other in others:
        for path in (other, Path(os.path.realpath(other))):
            text = text.replace(str(path), CACHED_SOURCE)
    return text
