"""The desired state of an application: its revisions resolved, its sources rendered, its targets
prepared, and all of it remembered as long as nothing it was made of changes.

For each application the last result is kept with everything that went into it. A look at an
application whose revisions did not move costs a comparison of those inputs. When a revision moved,
the renderer answers with the content key of the new commit; an application whose keys stay the same
keeps its targets (and, unlike the reference, its recorded revision).

Applications that follow the same revision of a repository are a group. The first of them that sees
a new commit wakes those whose files it touches; nobody else is bothered.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import msgspec

from tiphys.compare.targets import PreparedTargets, prepare_targets
from tiphys.compare.tracking import Tracking
from tiphys.kube.discovery import Discovery
from tiphys.projects.permission import permits_source
from tiphys.reconcile import verifying
from tiphys.reconcile.charts import ChartAccesses
from tiphys.reconcile.groups import GroupName, RevisionGroups
from tiphys.reconcile.lanes import lane_of
from tiphys.reconcile.waiting import waiting_for
from tiphys.resources.application import Application, ApplicationSource
from tiphys.resources.identity import AppKey, Manifest
from tiphys.resources.project import AppProject
from tiphys.settings.model import Settings
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import AccessDenied, AppPathMissing, DiskFull, RepositoryUnreachable, SourceError
from tiphys.sources.git.store import GitStore
from tiphys.sources.rendering import RefSource, Rendered, Renderer, RenderRequest

_REF = re.compile(r"[a-zA-Z0-9_-]+")

TRANSIENT = (RepositoryUnreachable, AccessDenied, DiskFull)


class DesiredStateError(Exception):
    """The desired state cannot be had; the text is what follows ``Failed to load target state: ``.

    ``transient`` is set where the repository or our disk may be well again at the next try: a grace
    period may swallow that, but never what is wrong with the content of a commit. ``index``: which of
    the sources it is (from 0).
    """

    def __init__(self, message: str, *, transient: bool, index: int = 0):
        super().__init__(message)
        self.transient = transient
        self.index = index


class UnverifiedSources(DesiredStateError):
    """Commits are not signed as the project demands; each of ``problems`` is a whole condition."""

    def __init__(self, problems: tuple[str, ...]):
        super().__init__("; ".join(problems), transient=False)
        self.problems = problems


class DesiredRequest(msgspec.Struct, frozen=True):
    """Everything a desired state is made of.

    Attributes:
        project: the effective one; it says which credentials a chart's dependencies may use.
        sources: the effective sources, or those an operation overrides them with.
        revisions: one per source; ``""`` means the source's target revision.
        server: the destination cluster, as the settings name it.
        discovery: what it serves; a change of it makes a new snapshot, so its identity says enough.
        max_age: seconds that an answer of the repository may be old; None: as long as its cycle.
            Whoever sets it asks for the commit that is current now, even where it changes nothing.
        no_cache: render again even if nothing changed.
    """

    app: Application
    instance: str
    sources: tuple[ApplicationSource, ...]
    revisions: tuple[str, ...]
    settings: Settings
    tracking: Tracking
    server: str
    discovery: Discovery
    project: AppProject
    max_age: float | None = None
    no_cache: bool = False

    @property
    def fresh(self) -> bool:
        """A person or an operation asked: the current commit is shown."""
        return self.max_age is not None


class Desired(msgspec.Struct, frozen=True):
    """A desired state: the resolved revision and type of each source, and the targets."""

    revisions: tuple[str, ...]
    source_types: tuple[str, ...]
    prepared: PreparedTargets


class _Memo(msgspec.Struct):
    inputs: tuple[Any, ...]
    commits: tuple[str, ...]  # the commits the targets are known to be right for
    keys: tuple[str, ...]  # content key of each source
    reads: tuple[tuple[str, ...] | None, ...]  # paths each source reads; None: any
    desired: Desired


class DesiredStates:
    """Loads desired states and remembers the last of each application."""

    def __init__(self, git: GitStore, renderer: Renderer):
        self._git = git
        self._renderer = renderer
        self._memos: dict[AppKey, _Memo] = {}
        self._charts = ChartAccesses()
        self._groups = RevisionGroups()
        self.on_moved: Callable[[AppKey], None] = lambda key: None
        """Called for each application whose files a new commit touches."""

    def forget(self, key: AppKey) -> None:
        """Drop what is remembered of an application that is gone."""
        self._memos.pop(key, None)
        self._groups.settle(key, set())

    def is_unaffected(self, key: AppKey, before: str, changed: Sequence[str]) -> bool:
        """Whether a commit after ``before`` that changed these paths is known to change nothing for
        an application; what is not known is taken for affected."""
        memo = self._memos.get(key)
        if memo is None or before not in memo.commits:
            return False
        return not any(reads is None or touches(changed, reads) for reads in memo.reads)

    async def load(self, request: DesiredRequest) -> Desired:
        """Resolve, render and prepare.

        Raises:
            UnverifiedSources: a commit is not signed as the project demands.
            DesiredStateError: with the reference's text, naming the source.
        """
        sources = request.sources
        count = len(sources)
        key = request.app.key
        inputs = self._inputs(request)
        memo = self._memos.get(key) if not request.no_cache else None
        if memo is not None and memo.inputs != inputs:
            memo = None
        if memo is not None and request.revisions == memo.desired.revisions and not request.fresh:
            return memo.desired
        repositories: list[Repository] = []
        commits: list[str] = []
        followed: set[GroupName] = set()
        for index, source in enumerate(sources):
            repository = request.settings.repositories.lookup(source.repo_url, request.app.spec.project)
            repositories.append(repository)
            wanted = request.revisions[index] if index < len(request.revisions) else ""
            with waiting_for(lane_of(source)):
                try:
                    commit = await self.resolve(repository, source, wanted, request)
                except SourceError as error:
                    raise _failure(index, count, error, request.app) from error
                commits.append(commit)
                if not wanted and not source.chart:
                    followed.add(await self._follow(key, repository, source, commit))
        if not any(request.revisions):  # pinned revisions say nothing of what is followed
            self._groups.settle(key, followed)

        revisions = tuple(commits)
        if memo is not None and memo.commits == revisions:
            return self._kept(memo, request)

        await self._verify(request, repositories, commits)
        rendered = await self.render_all(request, repositories, commits)
        keys = tuple(each.content_key for each in rendered)
        if memo is not None and memo.keys == keys:
            memo.commits = revisions
            return self._kept(memo, request)
        stored = stored_revisions(request.app)
        if (
            memo is None
            and not request.fresh
            and len(stored) == count
            and all(stored)
            and stored != revisions
            and await self._has_keys(request, repositories, stored, keys)
        ):
            revisions = stored  # after a restart, too, an untouched application keeps its revision
        prepared = prepared_targets(
            request, [msgspec.json.decode(body) for each in rendered for body in each.manifests]
        )
        desired = Desired(revisions, tuple(each.source_type for each in rendered), prepared)
        self._memos[key] = _Memo(
            inputs, tuple(commits), keys, self._reads(request, repositories, commits), desired
        )
        return desired

    async def _follow(
        self, key: AppKey, repository: Repository, source: ApplicationSource, commit: str
    ) -> GroupName:
        """Join the group of a followed revision; the first to see it move wakes those concerned."""
        digest = repository.credential_digest
        name = GroupName(repository.url, digest, source.target_revision, source.tag_prefix)
        before = self._groups.join(key, name, commit)
        if before is None:
            return name
        changed: Sequence[str] | None
        try:
            changed = await self._git.changed_paths(repository, before, commit)
        except SourceError:
            changed = None  # the old commit is gone: anything may have changed
        for member in self._groups.others(key, name):
            memo = self._memos.get(member)
            known = memo.reads if memo is not None else (None,)
            if changed is None or any(reads is None or touches(changed, reads) for reads in known):
                self.on_moved(member)
        return name

    async def _verify(
        self, request: DesiredRequest, repositories: Sequence[Repository], commits: Sequence[str]
    ) -> None:
        """Refuse commits that are not signed as the project demands. Raises DesiredStateError."""
        problems: list[str] = []
        count = len(request.sources)
        for index, source in enumerate(request.sources):
            wanted = request.revisions[index] if index < len(request.revisions) else ""
            try:
                demand = verifying.demanded(request.project, request.settings, source)
                if demand is None:
                    continue
                with waiting_for(lane_of(source)):
                    found = await verifying.unverified(
                        self._git,
                        repositories[index],
                        source,
                        wanted,
                        commits[index],
                        demand,
                        request.settings.gpg_keys,
                    )
            except SourceError as error:
                raise _failure(index, count, error, request.app) from error
            problems += verifying.told(found, source, index, count)
        if problems:
            raise UnverifiedSources(tuple(problems))

    def _reads(
        self, request: DesiredRequest, repositories: Sequence[Repository], commits: Sequence[str]
    ) -> tuple[tuple[str, ...] | None, ...]:
        refs = _references(request.sources, repositories, commits)
        if refs:  # a value file of another source counts, too
            return (None,) * len(request.sources)
        return tuple(
            self._renderer.reads(self.render_request(request, source, repositories[i], commits[i], refs))
            for i, source in enumerate(request.sources)
        )

    def _kept(self, memo: _Memo, request: DesiredRequest) -> Desired:
        if request.fresh:
            memo.desired = msgspec.structs.replace(memo.desired, revisions=memo.commits)
        return memo.desired

    async def render_all(
        self, request: DesiredRequest, repositories: Sequence[Repository], commits: Sequence[str]
    ) -> list[Rendered]:
        """Each source at its commit. Raises DesiredStateError."""
        sources = request.sources
        refs = _references(sources, repositories, commits)
        rendered: list[Rendered] = []
        for index, source in enumerate(sources):
            wanted = self.render_request(request, source, repositories[index], commits[index], refs)
            try:
                with waiting_for(lane_of(source)):
                    rendered.append(await self._renderer.render(wanted))
            except SourceError as error:
                raise _failure(index, len(sources), error, request.app) from error
        return rendered

    async def _has_keys(
        self,
        request: DesiredRequest,
        repositories: Sequence[Repository],
        commits: Sequence[str],
        keys: Sequence[str],
    ) -> bool:
        """Whether the sources at ``commits`` have these content keys (nothing is rendered)."""
        refs = _references(request.sources, repositories, commits)
        try:
            for index, source in enumerate(request.sources):
                planned = self.render_request(request, source, repositories[index], commits[index], refs)
                if await self._renderer.content_key(planned) != keys[index]:
                    return False
        except SourceError:
            return False  # the old commit is gone
        return True

    async def is_unchanged(self, request: DesiredRequest, before: Sequence[str]) -> bool:
        """Whether the sources held at ``before`` (one revision each) what they were last loaded with."""
        memo = self._memos.get(request.app.key)
        if memo is None or len(before) != len(memo.keys) or not all(before):
            return False
        lookup = request.settings.repositories.lookup
        repositories = [lookup(source.repo_url, request.app.spec.project) for source in request.sources]
        return await self._has_keys(request, repositories, before, memo.keys)

    async def resolve(
        self, repository: Repository, source: ApplicationSource, wanted: str, request: DesiredRequest
    ) -> str:
        """The commit or version that ``wanted`` (or the source's revision) means. Raises SourceError."""
        if source.chart:
            return await self._renderer.charts.resolve(
                repository, source.chart, wanted or source.target_revision, fresh=request.fresh
            )
        return await self._git.resolve(
            repository,
            wanted or source.target_revision,
            tag_prefix=source.tag_prefix,
            since=None if request.max_age is None else asyncio.get_running_loop().time() - request.max_age,
        )

    def _inputs(self, request: DesiredRequest) -> tuple[Any, ...]:
        spec = request.app.spec
        return (
            request.sources,
            spec.project,
            spec.destination,
            request.instance,
            request.tracking,
            request.server,
            request.discovery,  # itself: held here, its identity cannot be another's
            request.settings.rendering,
            request.settings.resource_filter,
            verifying.inputs_of(request.project, request.settings),
        )

    def render_request(
        self,
        request: DesiredRequest,
        source: ApplicationSource,
        repository: Repository,
        commit: str,
        refs: dict[str, RefSource],
    ) -> RenderRequest:
        """What the renderer is asked for one source."""
        app = request.app
        access = self._charts.of(request.project, request.settings.repositories)
        return RenderRequest(
            repository=repository,
            source=source,
            revision=commit,
            app_name=request.instance,
            app_namespace=app.metadata.namespace,
            project=app.spec.project or "default",
            destination_namespace=app.spec.destination.namespace,
            kube_version=request.discovery.version,
            api_versions=request.discovery.api_versions,
            settings=request.settings.rendering,
            refs=refs,
            repositories=access.repositories,
            templates=access.templates,
            permits_source=partial(permits_source, request.project),
            access_digest=access.digest,
            no_cache=request.no_cache,
        )


def stored_revisions(app: Application) -> tuple[str, ...]:
    """The revisions of the last comparison, one per source."""
    sync = app.status.sync
    return tuple(sync.revisions or ()) if app.spec.has_multiple_sources else (sync.revision,)


def prepared_targets(request: DesiredRequest, manifests: Iterable[Manifest]) -> PreparedTargets:
    """The targets of what was rendered or sent for an application.

    Raises:
        TargetError: one cannot be prepared.
    """
    is_excluded = request.settings.resource_filter.is_excluded
    return prepare_targets(
        manifests,
        is_namespaced=request.discovery.is_namespaced,
        destination_namespace=request.app.spec.destination.namespace,
        tracking=request.tracking,
        instance=request.instance,
        is_excluded=lambda group, kind: is_excluded(group, kind, request.server),
    )


def touches(changed: Sequence[str], reads: Sequence[str]) -> bool:
    """Whether a changed path is one of ``reads`` or lies below one (``""`` is the root)."""
    exact = set(reads)
    if "" in exact:
        return bool(changed)
    for path in changed:
        prefix = path
        while prefix:
            if prefix in exact:
                return True
            prefix = prefix.rpartition("/")[0]
    return False


def _references(
    sources: Sequence[ApplicationSource], repositories: Sequence[Repository], commits: Sequence[str]
) -> dict[str, RefSource]:
    """The sources that others name as ``$ref``. Raises DesiredStateError (applications.md 3.1)."""
    names = [source.ref for source in sources if source.ref] if len(sources) > 1 else []
    problem = ""
    if (odd := next((name for name in names if not _REF.fullmatch(name)), None)) is not None:
        problem = f"sources.ref {odd} cannot contain any special characters except '_' and '-'"
    elif len(set(names)) < len(names):
        problem = "invalid sources: multiple sources had the same `ref` key"
    if problem:
        error = SourceError("Unknown", f"failed to get ref sources: {problem}")
        raise DesiredStateError(error.message, transient=False) from error
    return {
        source.ref: RefSource(repository, commit)
        for source, repository, commit in zip(sources, repositories, commits, strict=True)
        if source.ref
    }


def _failure(index: int, count: int, error: SourceError, app: Application) -> DesiredStateError:
    hydrator = app.spec.source_hydrator
    waits = ""
    if hydrator is not None and hydrator.hydrate_to is not None and isinstance(error, AppPathMissing):
        branches = f"{hydrator.sync_source.target_branch} from {hydrator.hydrate_to.target_branch}"
        waits = f" - waiting for an external process to update {branches}"
    return DesiredStateError(
        f"failed to generate manifest for source {index + 1} of {count}: "
        f"rpc error: code = {error.code} desc = {error.message}{waits}",
        transient=isinstance(error, TRANSIENT),
        index=index,
    )
