"""Branches and tags of a repository, for people who choose one."""

from tiphys.resources.messages.repository import Refs
from tiphys.settings.repositories import Repository
from tiphys.settings.urls import normalize_git_url, without_password
from tiphys.sources.errors import SourceError
from tiphys.sources.git.store import GitStore

_BRANCHES = "refs/heads/"
_TAGS = "refs/tags/"


async def list_refs(git: GitStore, repository: Repository) -> Refs:
    """Short names, sorted; as young as the answers that applications follow.

    Raises:
        SourceError: InvalidArgument for what is no URL; what Git says otherwise.
    """
    if not normalize_git_url(repository.url):
        url = without_password(repository.url)
        raise SourceError("InvalidArgument", f'repository URL "{url}" is invalid')
    names = [ref.name for ref in (await git.listing(repository)).refs]
    return Refs(branches=_below(_BRANCHES, names), tags=_below(_TAGS, names))


async def list_oci_tags(repository: Repository) -> Refs:
    """Tags of an OCI repository.

    Raises:
        SourceError: always; OCI artifacts are not read yet.
    """
    raise SourceError(
        "Unimplemented",
        f"tags of {without_password(repository.url)}: OCI repositories are not supported yet",
    )


def _below(prefix: str, names: list[str]) -> tuple[str, ...]:
    return tuple(sorted(name.removeprefix(prefix) for name in names if name.startswith(prefix)))
