"""Renders sources: from a request to the JSON of its objects, as seldom as possible.

A request is planned from a few reads of the repository (tool, options, closure), the plan has a
content key, and only a key never seen is rendered; whoever asks for it meanwhile gets the same
answer. Planning itself is spared in two ways: the same request at the same revision keeps its key,
and at a new revision the look-ups of the last planning are repeated: if all answers are equal, so
is the key. So a commit costs each application it does not touch one look-up.

Results are cached in memory within a bound of bytes. Failures are remembered and, after several,
answered without trying (``sources.md`` 17.2). The room below (``render/``) knows the tools; this
module knows caches, limits and whose turn it is.
"""

import asyncio
import os
import re
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import AsyncIterator, Hashable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from tiphys.resources.source import (
    ApplicationSource,
    ApplicationSourceDirectory,
    ApplicationSourceHelm,
    ApplicationSourceKustomize,
)
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import DiskFull, SourceError
from tiphys.sources.git.flights import Flights
from tiphys.sources.git.store import GitStore
from tiphys.sources.processes import Limits, is_disk_full
from tiphys.sources.render.cache import Failures, ParsedFiles, RenderCache
from tiphys.sources.render.charts import ChartOptions, ChartStore
from tiphys.sources.render.detection import app_directory, source_type, with_overrides
from tiphys.sources.render.directory import plan_directory
from tiphys.sources.render.environment import build_environment
from tiphys.sources.render.files import Child, CommitFiles, Entry, Files, FolderFiles, WorktreeFiles
from tiphys.sources.render.helm import plan_helm
from tiphys.sources.render.kustomize import plan_kustomize
from tiphys.sources.render.request import Plan, RefSource, Rendered, RenderRequest, SourceType
from tiphys.sources.render.tools import Tools
from tiphys.sources.turns import Turns

__all__ = ["RefSource", "RenderOptions", "RenderRequest", "Rendered", "Renderer", "Seen"]

_OPENED = 1000
_PATIENCE = 5.0
"""Seconds that a render may take before others have its turn, too."""
_REF = re.compile(r"^\$([A-Za-z0-9_-]+)(?:/|$)")


class RenderOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes in bytes, times in seconds. ``root`` is a folder of the renderer's own, emptied at start
    and best on the file system of the Git store; ``None``: a new one in the temporary folder."""

    root: Path | None = None
    helm: str = "helm"
    kustomize: str = "kustomize"
    limits: Limits = Limits()
    cache_bytes: int = 64 << 20
    known_requests: int = 20_000
    parallelism: int = 0
    """Helm and Kustomize at a time; 0: two, or as many as there are processors."""
    max_directory_size: int = 10 * 1000 * 1000
    """``--max-combined-directory-manifests-size``; 0: unlimited."""
    pause_after_failures: int = 3
    pause_seconds: float = 3600.0
    pause_requests: int = 0
    charts: ChartOptions = ChartOptions()


class Seen(msgspec.Struct, frozen=True):
    """A source before it is rendered: its tool, and the files that tool would start from.

    Attributes:
        source: with the overrides of the repository.
        directory: the application's own.
        roots: files of the source (under ``""``) and of the refs its value files name.
    """

    source_type: SourceType
    source: ApplicationSource
    directory: Entry
    children: Mapping[str, Child]
    roots: Mapping[str, Files]


class _Known(msgspec.Struct):
    """The last planning of a request: at which revisions, with which answer, from which look-ups."""

    revisions: tuple[str, ...]
    key: str
    traces: tuple[tuple[Mapping[str, str], Mapping[str, str]], ...] | None
    """Look-ups and links of the source's and each ref's files; ``None``: the key holds for these
    revisions only."""


class Renderer:
    """All renders of a process. Call :meth:`close` at the end."""

    def __init__(self, git: GitStore, options: RenderOptions | None = None) -> None:
        self._git = git
        self._options = options or RenderOptions()
        self._root = self._options.root or Path(tempfile.mkdtemp(prefix="tiphys-renders-"))
        self.tools = Tools(
            self._options.helm,
            self._options.kustomize,
            self._options.limits,
            self._root / "runs",
            git.lend,
        )
        self.charts = ChartStore(self._root / "charts", self.tools, self._options.charts)
        self.cache = RenderCache(self._options.cache_bytes)
        self._parsed = ParsedFiles(self._options.cache_bytes // 4)
        self._known: OrderedDict[Hashable, _Known] = OrderedDict()
        self._failures = Failures(
            self._options.pause_after_failures,
            self._options.pause_seconds,
            self._options.pause_requests,
        )
        self._opened: OrderedDict[tuple[str, str], CommitFiles] = OrderedDict()
        self._digests: dict[int, tuple[Repository, str]] = {}
        self._flights: Flights[Rendered] = Flights()
        count = self._options.parallelism or max(2, os.cpu_count() or 2)
        self._turns = Turns(count, patience=_PATIENCE, late_each=count, late_all=2 * count)
        self.renders = 0
        """Renders so far; cached answers do not count."""
        shutil.rmtree(self._root, ignore_errors=True)

    async def close(self) -> None:
        """Ends running renders and removes the folder."""
        await self._flights.close()
        await self.charts.close()
        await asyncio.to_thread(shutil.rmtree, self._root, ignore_errors=True)

    async def render(self, request: RenderRequest) -> Rendered:
        """The objects of one source.

        Equal content is rendered once. A source with neither path nor chart (a mere ``$ref``) has no
        objects. Raises SourceError.
        """
        source = request.source
        _refuse_oci(source)
        if not source.path and not source.chart:
            return Rendered((), "", request.revision, "")
        refs = {name: request.refs[name] for name in _refs_used(source) if name in request.refs}
        identity = self._identity(request, refs)
        revisions = (request.revision, *(ref.revision for ref in refs.values()))
        async with AsyncExitStack() as stack:
            known = self._known.get(identity)
            if not request.no_cache and known is not None and known.revisions == revisions:
                found = self._cached(known.key, request)
                if found is not None:
                    self._known.move_to_end(identity)
                    return found
            roots = await self._open(request, refs, stack)
            if not request.no_cache and known is not None and await _unchanged(known, roots):
                known.revisions = revisions
                found = self._cached(known.key, request)
                if found is not None:
                    return found
            return await self._render(request, roots, identity, revisions)

    async def render_folder(self, request: RenderRequest, folder: Path, whole: str) -> Rendered:
        """The objects of a source whose repository is ``folder``, which nobody changes meanwhile;
        ``whole`` names its content. Raises SourceError."""
        _refuse_oci(request.source)
        plan, _ = await self._plan(request, {"": FolderFiles(folder, whole)})
        return await self._execute(plan, plan.key(), request.revision, request.repository.url)

    async def content_key(self, request: RenderRequest) -> str:
        """The content key of a request; nothing is rendered. Raises SourceError."""
        refs = {name: request.refs[name] for name in _refs_used(request.source) if name in request.refs}
        async with AsyncExitStack() as stack:
            plan, _ = await self._plan(request, await self._open(request, refs, stack))
            return plan.key()

    @asynccontextmanager
    async def inspect(self, request: RenderRequest) -> AsyncIterator[Seen]:
        """What a request would be rendered from; its files are there as long as the block lasts.

        Raises SourceError.
        """
        _refuse_oci(request.source)
        refs = {name: request.refs[name] for name in _refs_used(request.source) if name in request.refs}
        async with AsyncExitStack() as stack:
            yield await _seen(request, await self._open(request, refs, stack))

    @asynccontextmanager
    async def files(self, repository: Repository, sha: str) -> AsyncIterator[Files]:
        """All files of a commit, its links checked. Raises SourceError."""
        async with AsyncExitStack() as stack:
            yield await self._commit(repository, sha, stack)

    def reads(self, request: RenderRequest) -> tuple[str, ...] | None:
        """Paths that the last planning of this request looked at (a directory stands for all below
        it); ``None``: unknown, or more than one tree of files."""
        refs = {name: request.refs[name] for name in _refs_used(request.source) if name in request.refs}
        known = self._known.get(self._identity(request, refs))
        if known is None or known.traces is None or len(known.traces) != 1:
            return None
        trace, links = known.traces[0]
        return None if links else tuple(trace)

    def _cached(self, key: str, request: RenderRequest) -> Rendered | None:
        found = self.cache.get(key)
        if found is None or found.revision == request.revision:
            return found
        return msgspec.structs.replace(found, revision=request.revision)

    async def _render(
        self,
        request: RenderRequest,
        roots: Mapping[str, Files],
        identity: Hashable,
        revisions: tuple[str, ...],
    ) -> Rendered:
        failure = (identity, revisions)
        now = asyncio.get_running_loop().time()
        if not request.no_cache:
            self._failures.check(failure, now)
        try:
            plan, uses_revision = await self._plan(request, roots)
            key = plan.key()
            traces: list[tuple[Mapping[str, str], Mapping[str, str]]] = []
            for files in roots.values():
                if isinstance(files, CommitFiles):
                    traces.append((files.trace, files.links))
            sure = len(traces) == len(roots) and not uses_revision
            self._remember(identity, _Known(revisions, key, tuple(traces) if sure else None))
            found = None if request.no_cache else self._cached(key, request)
            if found is None:
                whose = request.repository.url
                found = await self._flights.share(
                    key, lambda: self._execute(plan, key, request.revision, whose)
                )
                found = msgspec.structs.replace(found, revision=request.revision)
        except DiskFull:
            raise
        except SourceError as error:
            self._failures.note(failure, error, now)
            raise
        except OSError as error:
            if is_disk_full(error):
                raise DiskFull(
                    "Internal", "no space left on device: free space under the cache folder"
                ) from None
            raise SourceError("Internal", f"cannot read the source: {error.strerror}") from None
        self._failures.forget(failure)
        return found

    def _remember(self, identity: Hashable, known: _Known) -> None:
        self._known[identity] = known
        self._known.move_to_end(identity)
        if len(self._known) > self._options.known_requests:
            self._known.popitem(last=False)

    async def _execute(self, plan: Plan, key: str, revision: str, whose: str) -> Rendered:
        if plan.source_type == "Directory":
            output = await plan.run()
        else:
            async with self._turns.turn(whose):
                output = await plan.run()
        self.renders += 1
        rendered = Rendered(output.manifests, plan.source_type, revision, key, output.commands)
        self.cache.put(key, rendered)
        return rendered

    async def _open(
        self, request: RenderRequest, refs: Mapping[str, RefSource], stack: AsyncExitStack
    ) -> dict[str, Files]:
        """Files of the source (under ``""``) and of the refs it uses."""
        roots: dict[str, Files] = {}
        if request.source.chart:
            roots[""] = await self.charts.files(request)
        else:
            roots[""] = await self._commit(request.repository, request.revision, stack)
        for name, ref in refs.items():
            roots[name] = await self._commit(ref.repository, ref.revision, stack)
        return roots

    async def _commit(self, repository: Repository, revision: str, stack: AsyncExitStack) -> Files:
        files = CommitFiles(self._git, repository, revision)
        key = (self._digest(repository), revision)
        opened = self._opened.get(key)
        if opened is not None:
            return files.like(opened)
        if await self._git.worktree_reason(repository, revision):
            path = await stack.enter_async_context(self._git.materialize(repository, revision, ("",)))
            whole = await self._git.root_tree(repository, revision)
            return WorktreeFiles(path, whole, self._git, repository, revision)
        await files.open()
        self._opened[key] = CommitFiles(self._git, repository, revision).like(files)
        if len(self._opened) > _OPENED:
            self._opened.popitem(last=False)
        return files

    def _digest(self, repository: Repository) -> str:
        """The repository's credential digest (it covers the URL), computed once per object."""
        known = self._digests.get(id(repository))
        if known is not None and known[0] is repository:
            return known[1]
        if len(self._digests) > _OPENED:
            self._digests.clear()
        digest = repository.credential_digest
        self._digests[id(repository)] = (repository, digest)
        return digest

    def _identity(self, request: RenderRequest, refs: Mapping[str, RefSource]) -> Hashable:
        """What a planning depends on besides the files and the revisions."""
        return (
            self._digest(request.repository),
            msgspec.json.encode(request.source),
            request.app_name,
            request.project,
            request.destination_namespace,
            request.kube_version,
            request.api_versions,
            request.settings,
            request.access_digest,
            tuple((name, self._digest(ref.repository)) for name, ref in refs.items()),
        )

    async def _plan(self, request: RenderRequest, roots: Mapping[str, Files]) -> tuple[Plan, bool]:
        """The plan, and whether its key depends on more than the look-ups of the planning."""
        seen = await _seen(request, roots)
        files, directory, children, source = roots[""], seen.directory, seen.children, seen.source
        found, settings = seen.source_type, request.settings
        environment = build_environment(request)
        if found == "Helm":
            helm = source.helm or ApplicationSourceHelm()
            plan = await plan_helm(self.tools, roots, directory, children, request, helm, environment)
        elif found == "Kustomize":
            kustomize = source.kustomize or ApplicationSourceKustomize()
            plan = await plan_kustomize(
                self.tools, files, directory, children, request, kustomize, environment
            )
        elif found == "Directory":
            plan = await plan_directory(
                self.tools,
                files,
                directory,
                children,
                source.directory or ApplicationSourceDirectory(),
                environment,
                parsed=self._parsed,
                max_size=self._options.max_directory_size,
                jsonnet="jsonnet" in settings.enabled_tools,
            )
        else:
            raise SourceError(
                "Unimplemented",
                "config management plugins are not supported yet: use Helm, Kustomize or a directory",
            )
        return plan, plan.uses_revision or plan.everything or environment.used_revision


async def _seen(request: RenderRequest, roots: Mapping[str, Files]) -> Seen:
    files = roots[""]
    directory = await app_directory(files, "" if request.source.chart else request.source.path)
    children = await files.children(directory)
    source = await with_overrides(files, directory, children, request.source, request.app_name)
    found: SourceType = source_type(source, children, request.settings.enabled_tools)
    if source.chart and found == "Directory":
        found = "Helm"
    return Seen(found, source, directory, children, roots)


def _refuse_oci(source: ApplicationSource) -> None:
    if source.repo_url.startswith("oci://"):
        raise SourceError("Unimplemented", "OCI sources are not supported yet: use Git or a chart repository")


async def _unchanged(known: _Known, roots: Mapping[str, Files]) -> bool:
    """Whether planning again would find what it found last time."""
    if known.traces is None or len(known.traces) != len(roots):
        return False
    for files, (trace, links) in zip(roots.values(), known.traces, strict=True):
        if not isinstance(files, CommitFiles) or files.links != links or not await files.still(trace):
            return False
    return True


def _refs_used(source: ApplicationSource) -> list[str]:
    """Names that value files and file parameters mention as ``$name``."""
    if source.helm is None:
        return []
    given = (*source.helm.value_files, *(each.path for each in source.helm.file_parameters))
    return list(dict.fromkeys(match.group(1) for each in given if (match := _REF.match(each))))
