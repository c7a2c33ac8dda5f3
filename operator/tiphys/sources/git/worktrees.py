"""Commits whose files are not all in their trees: submodules and LFS.

For these the whole repository is checked out by git itself into a throw-away clone that borrows the
mirror's objects, submodules and LFS files are fetched into it (``sources.md`` 14.3), every ``.git``
is removed and the links of the result are checked again, for submodules bring their own.
"""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tiphys.settings.repositories import Repository
from tiphys.sources.errors import SourceError
from tiphys.sources.git.access import clean_url
from tiphys.sources.git.links import check_links
from tiphys.sources.git.objects import CorruptMirror
from tiphys.sources.git.runner import GitRunner


async def make_worktree(
    runner: GitRunner, repository: Repository, mirror: Path, sha: str, target: Path, reason: str
) -> None:
    """Fill the empty directory ``target`` with the commit's files, submodules and LFS files.

    ``reason`` is ``"lfs"`` or ``"submodules"``. Raises SourceError, CorruptMirror, OSError.
    """
    if reason == "lfs" and shutil.which("git-lfs") is None:
        raise SourceError(
            "Internal",
            "Failed to checkout revision "
            f"{sha}: the repository has enableLfs, but git-lfs is not installed beside git",
            repository=clean_url(repository.url),
            revision=sha,
        )
    url = clean_url(repository.url)
    clone = Path(tempfile.mkdtemp(prefix="clone-", dir=runner.scratch))
    try:
        git_dir = clone / "git"
        await _local(runner, ["init", "--quiet", "--bare", "--template=", str(git_dir)], clone)
        (git_dir / "objects" / "info").mkdir(exist_ok=True)
        (git_dir / "objects" / "info" / "alternates").write_text(f"{mirror / 'objects'}\n")
        place = [f"--git-dir={git_dir}", f"--work-tree={target}"]
        settings = ["-c", "core.bare=false", "-c", f"remote.origin.url={url}"]
        await _local(runner, [*place, "config", "core.bare", "false"], target)
        await _local(runner, [*place, "config", "remote.origin.url", url], target)
        await _local(runner, [*place, *settings, "checkout", "--quiet", "--force", "--detach", sha], target)
        if reason == "lfs":
            await _remote(runner, repository, [*place, "lfs", "fetch", "origin", sha], target)
            await _remote(runner, repository, [*place, "lfs", "checkout"], target)
        if runner.options.submodules and (target / ".gitmodules").is_file():
            await _local(runner, [*place, "submodule", "sync", "--quiet", "--recursive"], target)
            update = ["submodule", "update", "--quiet", "--init", "--recursive"]
            await _remote(runner, repository, [*place, *update], target)
    finally:
        shutil.rmtree(clone, ignore_errors=True)
    _strip(target)
    if not runner.options.allow_out_of_bounds_symlinks:
        check_links(_links(target))


async def _local(runner: GitRunner, arguments: Sequence[str], cwd: Path) -> None:
    finished = await runner.local(arguments, cwd=cwd)
    if finished.ok:
        return
    if finished.disk_full:
        raise runner.failure(finished, "Failed to checkout revision", "")
    raise CorruptMirror(runner.explanation(finished))


async def _remote(runner: GitRunner, repository: Repository, arguments: Sequence[str], cwd: Path) -> None:
    finished = await runner.remote(repository, arguments, cwd=cwd, children=True)
    if not finished.ok:
        try:
            raise runner.failure(finished, "Failed to checkout revision", repository.url)
        except CorruptMirror as error:
            raise SourceError(
                "Internal", f"Failed to checkout revision: {error}", repository=clean_url(repository.url)
            ) from error


def _strip(target: Path) -> None:
    for folder, directories, files in os.walk(target):
        if ".git" in directories:
            directories.remove(".git")
            shutil.rmtree(os.path.join(folder, ".git"))
        if ".git" in files:
            os.unlink(os.path.join(folder, ".git"))


def _links(target: Path) -> dict[str, str]:
    links: dict[str, str] = {}
    for folder, directories, files in os.walk(target):
        for name in (*directories, *files):
            path = os.path.join(folder, name)
            if os.path.islink(path):
                links[os.path.relpath(path, target)] = os.readlink(path)
    return links
