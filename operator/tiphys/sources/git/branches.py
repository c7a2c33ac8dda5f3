"""Writing: one commit on a branch of a remote, made in the mirror and pushed.

The branch's head is fetched into the mirror, the new tree is made with a throw-away index (no checkout,
so no link of the repository leads anywhere), and the commit is pushed without force: whoever pushed
meanwhile is not overwritten; we begin again from what is there then. Which dry commit a head stands for
is in a note on it, in a ref that all branches of the repository share.

Nothing is remembered between two calls. What a killed process left is either not pushed, and then lost
with nobody's harm, or found at the next call: the same content makes no second commit.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tiphys.settings.repositories import Repository
from tiphys.sources.errors import AccessDenied, SourceError
from tiphys.sources.git.access import clean_url
from tiphys.sources.git.mirror import Mirror
from tiphys.sources.git.objects import CorruptMirror
from tiphys.sources.git.options import GitRequest
from tiphys.sources.git.process import Finished, disk_full, is_disk_full
from tiphys.sources.git.refs import Listing, parse_listing
from tiphys.sources.git.runner import GitRunner
from tiphys.sources.git.trees import Trees

NOTES = "refs/notes/hydrator.metadata"
_ATTEMPTS = 5
_NOTE_SECONDS = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_ARGUMENTS = 200

Content = Mapping[str, bytes | None]
"""Files by place from the root; None: there is none."""


class BranchCommit(msgspec.Struct, frozen=True, kw_only=True):
    """A commit to be made.

    Attributes:
        sync_branch: made empty if it is missing, and what ``branch`` begins with if that is missing.
        branch: what is written.
        dry_sha: what the note on the branch's head shall say.
        reads: files that ``decide`` wants to see.
        decide: from those files of the head to what is to be written over it; nothing: no commit.
    """

    sync_branch: str
    branch: str
    dry_sha: str
    message: str
    author: tuple[str, str]
    reads: tuple[str, ...]
    decide: Callable[[Content], Awaitable[Mapping[str, bytes]]]


class BranchHead(msgspec.Struct, frozen=True):
    """The head of the branch afterwards; ``written``: it is a new commit."""

    sha: str
    written: bool


class Outrun(Exception):
    """Somebody else pushed first."""


async def commit_branch(
    runner: GitRunner,
    repository: Repository,
    mirror: Mirror,
    trees: Trees,
    lock: asyncio.Lock,
    report: Callable[[GitRequest], None],
    commit: BranchCommit,
) -> BranchHead:
    """Make the commit; a mirror that fails at it is made anew, once. Raises SourceError."""
    runner.admit(repository)
    for last in (False, True):
        generation = mirror.generation
        await mirror.open()
        try:
            return await _BranchWriter(runner, repository, mirror, trees, lock, report).write(commit)
        except CorruptMirror as error:
            if last:
                url = clean_url(repository.url)
                raise SourceError("Internal", f"cannot write the commit: {error}", repository=url) from error
            await mirror.rebuild(generation)
    raise AssertionError("unreachable")


class _BranchWriter:
    """Writes to one repository through its mirror; one commit at a time (:attr:`lock`)."""

    def __init__(
        self,
        runner: GitRunner,
        repository: Repository,
        mirror: Mirror,
        trees: Trees,
        lock: asyncio.Lock,
        report: Callable[[GitRequest], None],
    ) -> None:
        self._runner = runner
        self._repository = repository
        self._mirror = mirror
        self._trees = trees
        self._lock = lock
        self._report = report

    async def write(self, commit: BranchCommit) -> BranchHead:
        """Make the commit unless nothing changes, and note what it stands for.

        Raises SourceError: the remote is not reached, refuses, or others push all the time.
        """
        async with self._lock:
            for _ in range(_ATTEMPTS):
                try:
                    head = await self._write(commit)
                    break
                except Outrun:
                    continue
            else:
                raise self._error(
                    f"branch {commit.branch} was changed by others at each of {_ATTEMPTS} attempts"
                )
            await self._note(head.sha, commit)
            return head

    async def _write(self, commit: BranchCommit) -> BranchHead:
        refs = await self._list(commit)
        sync = refs.get(f"refs/heads/{commit.sync_branch}")
        known = refs.get(f"refs/heads/{commit.branch}")
        pushed: dict[str, str] = {}
        if sync is None:
            sync = await self._commit(
                await self._empty_tree(), "", f"Initial commit for {commit.sync_branch}", commit
            )
            pushed[commit.sync_branch] = sync
        else:
            await self._have(sync, refs)
        head = known or sync
        await self._have(head, refs)
        files = await commit.decide(await self._read(head, commit.reads))
        written = bool(files)
        if written:
            tree = await self._tree(head, files)
            head = await self._commit(tree, head, commit.message, commit)
        if head != known:
            pushed[commit.branch] = head
        if pushed:
            await self._push([f"{sha}:refs/heads/{name}" for name, sha in pushed.items()])
        return BranchHead(head, written)

    # The note -------------------------------------------------------------------------------

    async def _note(self, head: str, commit: BranchCommit) -> None:
        """Notes are shared by all branches, so others get in between: fetched, added, pushed again."""
        text = json.dumps({"drySha": commit.dry_sha}, separators=(",", ":"))
        loop = asyncio.get_running_loop()
        limit, pause = loop.time() + _NOTE_SECONDS, _FIRST_PAUSE
        while True:
            refs = await self._list(commit)
            await self._take_notes(refs.get(NOTES))
            if await self._noted(head) == commit.dry_sha:
                break
            await self._local(["notes", f"--ref={NOTES}", "add", "--force", "-m", text, head], commit)
            try:
                await self._push([f"{NOTES}:{NOTES}"])
                break
            except Outrun:
                if loop.time() + pause > limit:
                    raise self._error(
                        f"the note on {head} was outrun by others for {_NOTE_SECONDS:.0f} s"
                    ) from None
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _take_notes(self, sha: str | None) -> None:
        """Have the notes as the remote has them."""
        if sha is None:
            await self._git(["update-ref", "-d", NOTES])
            return
        here = await self._git(["rev-parse", "--quiet", "--verify", NOTES])
        if here.stdout.decode().strip() != sha:
            await self._mirror.fetch_ref(self._repository, NOTES)

    async def _noted(self, head: str) -> str:
        """The dry commit that the note on a commit names; ``""``: there is no such note."""
        shown = await self._git(["notes", f"--ref={NOTES}", "show", head])
        try:
            note = json.loads(shown.stdout) if shown.ok else None
        except ValueError:
            return ""
        return str(note.get("drySha", "")) if isinstance(note, dict) else ""

    # Reading and making objects -------------------------------------------------------------

    async def _have(self, sha: str, refs: Mapping[str, str]) -> None:
        if self._mirror.known(sha) is None:
            listing = Listing(parse_listing("".join(f"{s}\t{n}\n" for n, s in refs.items()).encode()))
            await self._mirror.ensure(self._repository, sha, listing)

    async def _read(self, head: str, places: Sequence[str]) -> Content:
        entries = await self._trees.entries_at(head, places)
        blobs = [each for each in entries if each is not None and each.type == "blob" and not each.is_link]
        limit = self._runner.options.max_blob_bytes
        found = await self._mirror.reader.contents([each.oid for each in blobs], limit=limit)
        texts = {entry.path: each.data for entry, each in zip(blobs, found, strict=True) if each is not None}
        return {place: texts.get(place) for place in places}

    async def _empty_tree(self) -> str:
        return await self._made(["mktree"])

    async def _tree(self, head: str, files: Mapping[str, bytes]) -> str:
        """The root directory of ``head`` with ``files`` over it."""
        with self._folder() as folder:
            index = {"GIT_INDEX_FILE": str(folder / "index")}
            await self._made(["read-tree", head], index)
            places = list(files)
            for start in range(0, len(places), _ARGUMENTS):
                some = places[start : start + _ARGUMENTS]
                names = [str(folder / str(number)) for number in range(len(some))]
                await asyncio.to_thread(_write_all, names, [files[place] for place in some])
                oids = (await self._made(["hash-object", "-w", "--no-filters", "--", *names])).split()
                entries = [f"100644,{oid},{place}" for oid, place in zip(oids, some, strict=True)]
                arguments = [part for entry in entries for part in ("--cacheinfo", entry)]
                await self._made(["update-index", "--add", "--replace", *arguments], index)
            return await self._made(["write-tree"], index)

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """For files that git reads; it goes with the block. Raises SourceError."""
        try:
            with tempfile.TemporaryDirectory(prefix="commit-", dir=self._runner.scratch) as folder:
                yield Path(folder)
        except OSError as error:
            if is_disk_full(error):
                raise disk_full("cannot write the commit") from error
            raise self._error(f"cannot write the commit: {error.strerror}") from error

    async def _commit(self, tree: str, parent: str, message: str, commit: BranchCommit) -> str:
        with self._folder() as folder:
            text = folder / "message"
            text.write_text(message, "utf-8")
            parents = ["-p", parent] if parent else []
            return await self._made(["commit-tree", tree, *parents, "-F", str(text)], _identity(commit))

    async def _local(self, arguments: Sequence[str], commit: BranchCommit) -> None:
        await self._made(arguments, _identity(commit))

    async def _made(self, arguments: Sequence[str], env: Mapping[str, str] | None = None) -> str:
        finished = await self._git(arguments, env)
        if finished.disk_full:
            raise disk_full("cannot write the commit")
        if not finished.ok:
            raise CorruptMirror(self._runner.explanation(finished))
        return finished.stdout.decode().strip()

    async def _git(self, arguments: Sequence[str], env: Mapping[str, str] | None = None) -> Finished:
        place = self._mirror.path
        return await self._runner.local([f"--git-dir={place}", *arguments], cwd=place, env=env)

    # The remote -----------------------------------------------------------------------------

    async def _list(self, commit: BranchCommit) -> dict[str, str]:
        """The refs that matter, as the remote has them now."""
        names = {f"refs/heads/{commit.sync_branch}", f"refs/heads/{commit.branch}", NOTES}
        finished = await self._talk("ls-remote", ["ls-remote", "--", self._url, *sorted(names)])
        if not finished.ok:
            raise self._failure(finished, "failed to list refs")
        return {ref.name: ref.sha for ref in parse_listing(finished.stdout) if ref.name in names}

    async def _push(self, refspecs: Sequence[str]) -> None:
        """Raises Outrun and SourceError."""
        finished = await self._talk(
            "push", ["push", "--porcelain", "--no-verify", "--", self._url, *refspecs]
        )
        if finished.ok:
            return
        refused = [
            line for line in finished.stdout.decode("utf-8", "replace").splitlines() if line[:2] == "!\t"
        ]
        words = [line[8:].strip() for line in finished.stderr.splitlines() if line.startswith("remote: ")]
        text = "; ".join([*map(_refusal, refused), *(each for each in words if each)])
        if refused and any(_IN_THE_WAY in each for each in words):
            raise self._error(f"failed to push to {text}")
        if any(_is_race(line) for line in refused):
            raise Outrun
        if refused:
            raise AccessDenied(
                "PermissionDenied",
                f"failed to push to {text}; let the repository's write credentials push there",
                repository=self._url,
            )
        raise self._failure(finished, "failed to push")

    async def _talk(self, kind: str, arguments: Sequence[str]) -> Finished:
        started, failed = time.monotonic(), True
        try:
            place = [f"--git-dir={self._mirror.path}"]
            finished = await self._runner.remote(
                self._repository, [*place, *arguments], cwd=self._mirror.path
            )
            failed = not finished.ok
            return finished
        finally:
            seconds = time.monotonic() - started
            self._report(GitRequest("push" if kind == "push" else "ls-remote", self._url, seconds, failed))

    @property
    def _url(self) -> str:
        return clean_url(self._repository.url)

    def _failure(self, finished: Finished, doing: str) -> SourceError:
        try:
            return self._runner.failure(finished, doing, self._url)
        except CorruptMirror as error:
            return self._error(f"{doing}: {error}")

    def _error(self, text: str) -> SourceError:
        return SourceError("Internal", text, repository=self._url)


def _write_all(names: Sequence[str], contents: Sequence[bytes]) -> None:
    for name, content in zip(names, contents, strict=True):
        Path(name).write_bytes(content)


def _identity(commit: BranchCommit) -> dict[str, str]:
    name, email = commit.author
    return {
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": email,
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": email,
    }


_RACES = ("cannot lock ref", "failed to update ref", "reference already exists", "incorrect old value")
_IN_THE_WAY = "exists; cannot create"
"""A branch ``env`` leaves no room for ``env/dev``: no race, however often it is tried."""


def _refusal(line: str) -> str:
    """``branch: reason`` of a line of ``push --porcelain``."""
    _, refs, reason = (*line.split("\t"), "", "")[:3]
    return f"{refs.rpartition(':')[2].removeprefix('refs/heads/')}: {reason}"


def _is_race(line: str) -> bool:
    """A ref that was refused because it is not what we had seen."""
    reason = line.split("\t")[-1]
    return reason.startswith("[rejected]") or any(each in reason for each in _RACES)
