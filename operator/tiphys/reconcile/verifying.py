"""Whether the sources of an application are signed as its project demands (``applications.md`` 22).

Only Git sources are verified. The revision as it was asked for counts, so that a signed tag stands
for its commit, also where a sync names the commit that the tag led to.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tiphys.projects.integrity import IntegrityError, Verification, verification_of
from tiphys.resources.messages.revisions import SourceIntegrityCheckResult, SourceIntegrityCheckResultItem
from tiphys.resources.project import AppProject
from tiphys.resources.source import ApplicationSource
from tiphys.settings.model import Settings
from tiphys.settings.repositories import Repository
from tiphys.sources.errors import SourceError
from tiphys.sources.git.store import GitStore
from tiphys.sources.integrity import CHECK, signature_problems


def demanded(project: AppProject, settings: Settings, source: ApplicationSource) -> Verification | None:
    """What is to be verified of a source; None: nothing.

    Raises:
        SourceError: several policies claim its repository.
    """
    if not settings.params.gpg_enabled or source.chart or source.repo_url.startswith("oci://"):
        return None
    try:
        return verification_of(project, source.repo_url)
    except IntegrityError as error:
        raise SourceError("Unknown", str(error)) from error


def inputs_of(project: AppProject, settings: Settings) -> tuple[Any, ...]:
    """What the outcome depends on besides the commits: equal inputs, equal outcome."""
    spec = project.spec
    if spec.source_integrity is None and not spec.signature_keys:
        return ()
    return (
        spec.source_integrity,
        spec.signature_keys,
        dict(settings.gpg_keys),
        settings.params.gpg_enabled,
    )


async def unverified(
    git: GitStore,
    repository: Repository,
    source: ApplicationSource,
    wanted: str,
    commit: str,
    demand: Verification,
    keys: Mapping[str, str],
) -> tuple[str, ...]:
    """The problems of one source at its commit; ``wanted`` is the revision that was asked for, ``""``
    for the source's own.

    Raises:
        SourceError: they cannot be found out.
    """
    asked = wanted or source.target_revision
    if wanted == commit and source.target_revision != commit:
        try:
            now = await git.resolve(repository, source.target_revision, tag_prefix=source.tag_prefix)
        except SourceError:
            now = ""
        asked = source.target_revision if now == commit else commit
    return await signature_problems(
        git, repository, commit, asked, demand, keys, tag_prefix=source.tag_prefix
    )


async def integrity_of(
    git: GitStore,
    project: AppProject,
    settings: Settings,
    repository: Repository,
    source: ApplicationSource,
    commit: str,
) -> SourceIntegrityCheckResult | None:
    """The outcome for one commit as the API tells it; None: nothing is to be verified.

    Raises:
        SourceError: it cannot be found out.
    """
    demand = demanded(project, settings, source)
    if demand is None:
        return None
    full = await git.ensure(repository, commit)
    problems = await unverified(git, repository, source, full, full, demand, settings.gpg_keys)
    return SourceIntegrityCheckResult(checks=(SourceIntegrityCheckResultItem(name=CHECK, problems=problems),))


def told(problems: Sequence[str], source: ApplicationSource, index: int, count: int) -> tuple[str, ...]:
    """The problems as conditions say them; of several sources each is named."""
    place = ""
    if count > 1:
        place = f"source {source.name}: " if source.name else f"source {index + 1} of {count}: "
    return tuple(f"{CHECK}: {place}{problem}" for problem in problems)
