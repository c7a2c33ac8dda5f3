"""Whether a repository answers us: a real ``ls-remote``, a real index, a real login.

The words are those of the reference's ``TestRepository`` (``sources.md`` 16), which people know from
connection states and refused creations.
"""

import asyncio

from tiphys.settings.repositories import Repository
from tiphys.sources.errors import SourceError
from tiphys.sources.git.store import GitStore
from tiphys.sources.render.charts import ChartStore

_FAILED = "error testing repository connectivity: "


async def check_access(
    git: GitStore, charts: ChartStore, repository: Repository, *, since: float | None = None
) -> None:
    """Reach the repository with exactly these credentials.

    An answer counts whose request began at ``since`` (event-loop time) or later, by default now; with a
    ``since``, the index of charts counts as long as its cycle.

    Raises:
        SourceError: it cannot be reached, refuses us, or is of a kind that is not supported.
    """
    try:
        match repository.type:
            case "git":
                await _check_git(git, repository, since)
            case "helm" if repository.enable_oci:
                await charts.check_registry(repository)
            case "helm":
                await charts.versions(repository, fresh=since is None)
            case "oci":
                raise SourceError(
                    "Unimplemented", "OCI repositories are not supported yet: use Git or a chart repository"
                )
            case other:
                raise SourceError("Unknown", f'unsupported repository type "{other}"')
    except SourceError as error:
        if error.code == "Unimplemented" or repository.type not in ("git", "helm"):
            raise
        raise error.with_prefix(_FAILED) from error


async def _check_git(git: GitStore, repository: Repository, since: float | None) -> None:
    begun = asyncio.get_running_loop().time() if since is None else since
    try:
        await git.resolve(repository, "HEAD", since=begun)
    except SourceError as error:
        raise error.with_prefix("unable to ls-remote HEAD on repository: ") from error
