"""Dry sources: where they stand, what they render to, and the commit that comes of it.

The git side of hydration, without any state: ``hydrating`` says when. What is rendered does not depend
on a cluster, since a commit may be promoted to several (``sources.md`` 21.3): neither the version of
Kubernetes nor what it serves is told to the tools.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

import msgspec

from tiphys.compare.tracking import Tracking
from tiphys.hydrator.deciding import DryLook, is_asked
from tiphys.hydrator.destinations import clean
from tiphys.hydrator.files import HydratedPath, changed_files, manifest_files, manifest_text
from tiphys.hydrator.grouping import (
    common_project,
    destination_branch,
    destination_url,
)
from tiphys.hydrator.metadata import DryCommit, dry_commit
from tiphys.hydrator.texts import MESSAGE_KEY, README_KEY, TextProblem, author_of, commit_message
from tiphys.kube.discovery import Discovery
from tiphys.projects.permission import permits_source
from tiphys.reconcile import verifying
from tiphys.reconcile.desired import DesiredRequest, DesiredStateError
from tiphys.reconcile.refresh import ASKED_NOW, CHANGED_NOW
from tiphys.reconcile.services import Services
from tiphys.resources.application import Application
from tiphys.resources.identity import AppKey
from tiphys.resources.project import AppProject
from tiphys.resources.spec import SourceHydrator
from tiphys.settings.repositories import Repository, without_credentials
from tiphys.sources.errors import AccessDenied, SourceError
from tiphys.sources.git.branches import BranchCommit, Content
from tiphys.sources.git.options import GitRequest
from tiphys.sources.git.store import GitStore
from tiphys.sources.paths import ANNOTATION as PATHS_ANNOTATION
from tiphys.sources.paths import is_affected, refresh_paths
from tiphys.telemetry.commit_metrics import CommitMetrics
from tiphys.telemetry.logs import get_logger

log = get_logger(__name__)

_NO_CLUSTER = Discovery((), "", {})
_RENDERS = 8
"""Applications of a group that are rendered at a time."""


class HydrationError(Exception):
    """A group cannot be hydrated; the text is what follows ``Failed to hydrate: ``."""


class Member(msgspec.Struct, frozen=True):
    """An Application of a group, as it was when the work on it began."""

    app: Application
    hydrator: SourceHydrator
    project: AppProject

    @property
    def key(self) -> AppKey:
        return self.app.key


class DrySources:
    """See the module."""

    def __init__(self, services: Services, git: GitStore, metrics: CommitMetrics):
        self._s = services
        self._git = git
        self._metrics = metrics

    async def look(self, member: Member) -> tuple[DryLook, str]:
        """Whether the dry source has a commit that may concern the Application, and which it is at."""
        app = member.app
        before = app.status.source_hydrator.last_compared_dry_revision
        if not permits_source(member.project, member.hydrator.dry_source.repo_url):
            return DryLook.UNKNOWN, ""
        try:
            sha = await self.resolve(member, max_age=ASKED_NOW if is_asked(app) else None)
            if not before:
                return DryLook.CHANGED, sha
            if sha == before:
                return DryLook.SAME, sha
        except SourceError as error:
            log.warning("the dry source cannot be looked at: %s", error, extra={"app": str(app.key)})
            return DryLook.UNKNOWN, ""
        return (DryLook.CHANGED if await self._concerns(member, before, sha) else DryLook.SAME), sha

    async def _concerns(self, member: Member, before: str, sha: str) -> bool:
        """Whether what changed between two commits may change what the Application's source renders to,
        by its annotation ``manifest-generate-paths``."""
        annotation = (member.app.metadata.annotations or {}).get(PATHS_ANNOTATION, "")
        paths = refresh_paths(annotation, member.hydrator.dry_source.path)
        if not paths:
            return True
        try:
            changed = await self._git.changed_paths(self._repository(member), before, sha)
        except SourceError:
            return True  # the old commit is gone: anything may have changed
        return is_affected(paths, changed)

    async def resolve(self, member: Member, *, max_age: float | None = CHANGED_NOW) -> str:
        """The commit of the dry revision, by an answer that is at most ``max_age`` seconds old (None:
        as long as its cycle). Raises SourceError."""
        since = None if max_age is None else asyncio.get_running_loop().time() - max_age
        revision = member.hydrator.dry_source.target_revision
        return await self._git.resolve(self._repository(member), revision, since=since)

    async def render_all(
        self, members: Sequence[Member], sha: str, *, no_cache: bool
    ) -> tuple[list[HydratedPath], dict[AppKey, str]]:
        """What each member writes, and the problems of those that cannot be rendered."""
        turns = asyncio.Semaphore(_RENDERS)
        problems: dict[AppKey, str] = {}

        async def one(member: Member) -> HydratedPath | None:
            async with turns:
                try:
                    return await self._render(member, sha, no_cache=no_cache)
                except HydrationError as error:
                    problems[member.key] = str(error)
                    return None

        async with asyncio.TaskGroup() as tasks:
            working = [tasks.create_task(one(member)) for member in members]
        return [path for task in working if (path := task.result()) is not None], problems

    async def _render(self, member: Member, sha: str, *, no_cache: bool) -> HydratedPath:
        app, settings, repository = member.app, self._s.settings, self._repository(member)
        source = member.hydrator.dry_source.as_source()
        tracking = Tracking(settings.tracking_method, settings.instance_label_key, settings.installation_id)
        request = DesiredRequest(
            app=app,
            instance=app.key.instance(settings.control_namespace),
            sources=(source,),
            revisions=(sha,),
            settings=settings,
            tracking=tracking,
            server="",
            discovery=_NO_CLUSTER,
            project=member.project,
            no_cache=no_cache,
        )
        try:
            await self._verify(member, repository, sha)
            (rendered,) = await self._s.desired.render_all(request, [repository], [sha])
        except (DesiredStateError, SourceError) as error:
            why = f'failed to get repo objects for app "{app.key}": {error}'
            raise HydrationError(f"failed to get manifests: {why}") from error
        text = await asyncio.to_thread(manifest_text, rendered.manifests, settings.tracking_method)
        return HydratedPath(clean(member.hydrator.sync_source.path), text, rendered.commands)

    async def _verify(self, member: Member, repository: Repository, sha: str) -> None:
        """The dry commit is signed as the project demands (sources.md 20)."""
        settings, source = self._s.settings, member.hydrator.dry_source.as_source()
        demand = verifying.demanded(member.project, settings, source)
        if demand is None:
            return
        keys = settings.gpg_keys
        problems = await verifying.unverified(self._git, repository, source, sha, sha, demand, keys)
        if problems:
            raise HydrationError(
                f'source integrity verification failed for app "{member.key}" dry revision "{sha}": '
                + "; ".join(problems)
            )

    async def commit(self, members: Sequence[Member], paths: Sequence[HydratedPath], sha: str) -> str:
        """Have the branch hold what was rendered; its head. Raises HydrationError."""
        first = members[0]
        raw, clock = self._s.settings.raw, self._s.clock
        url = destination_url(first.hydrator)
        try:
            metadata = await self._git.metadata(self._repository(first), sha)
        except SourceError as error:
            raise HydrationError(f'failed to get revision metadata for "{sha}": {error}') from error
        commit = dry_commit(sha, metadata)
        project = common_project(member.app for member in members)
        repository = self._s.settings.repositories.lookup_write(url, project)
        if repository.problem:
            raise HydrationError(f"failed to get hydrator credentials: {repository.problem}")
        dry_url = without_credentials(first.hydrator.dry_source.repo_url)
        decide = partial(
            _decide, paths, (dry_url, without_credentials(url)), commit, raw.get(README_KEY, ""), clock
        )
        try:
            message = await asyncio.to_thread(
                commit_message, raw.get(MESSAGE_KEY, ""), dry_url, commit, clock
            )
            return await self._push(
                repository,
                BranchCommit(
                    sync_branch=first.hydrator.sync_source.target_branch,
                    branch=destination_branch(first.hydrator),
                    dry_sha=sha,
                    message=message,
                    author=author_of(raw),
                    reads=manifest_files(paths),
                    decide=decide,
                ),
            )
        except (SourceError, TextProblem) as error:
            cure = ""
            if isinstance(error, AccessDenied) and not repository.has_own_credentials:
                cure = "; a Secret of the type repository-write or repo-write-creds says how to push there"
            raise HydrationError(f"failed to commit hydrated manifests: {error}{cure}") from error

    async def _push(self, repository: Repository, commit: BranchCommit) -> str:
        shown = without_credentials(repository.url)
        started, failed = time.monotonic(), True

        def talked(request: GitRequest) -> None:
            self._metrics.talked(shown, request.kind, request.seconds)

        try:
            with self._metrics.pending(shown):
                head = await self._git.commit(repository, commit, talked)
            failed = False
            return head.sha
        finally:
            self._metrics.committed(shown, time.monotonic() - started, failed=failed)

    def _repository(self, member: Member) -> Repository:
        url = member.hydrator.dry_source.repo_url
        return self._s.settings.repositories.lookup(url, member.app.spec.project)


async def _decide(
    paths: Sequence[HydratedPath],
    urls: tuple[str, str],
    commit: DryCommit,
    readme_template: str,
    clock: Callable[[], datetime],
    present: Content,
) -> Mapping[str, bytes]:
    return await asyncio.to_thread(changed_files, paths, present, urls, commit, readme_template, clock)
