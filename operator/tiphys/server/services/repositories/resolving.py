"""Which repository a call means, and its RBAC object (api.md 9, "Repository"). Pure."""

from collections.abc import Callable, Iterable
from urllib.parse import unquote

from tiphys.server.api.failures import permission_denied, unknown
from tiphys.settings.repositories import Repository
from tiphys.settings.urls import same_repository, without_password


def rbac_object(project: str, name: str) -> str:
    """``project/name`` of what belongs to a project, else the bare name."""
    return f"{project}/{name}" if project else name


def unescaped_segment(url: str) -> str:
    """A URL that REST took out of the path and left escaped, as it does where it wins over the body.

    In the reference nobody undoes that for ``RepoAccessQuery`` and ``RepoCredsUpdateRequest``, so that
    these calls fail over REST for every URL.
    """
    return url if "/" in url else unquote(url)


def find_visible(
    repositories: Iterable[Repository], permits: Callable[[str], bool], url: str, project: str
) -> Repository:
    """The one repository of this URL that the caller may see; a project must fit if it is given or
    if there are several.

    Raises:
        ApiFailure: ``permission denied`` when there is none, which tells nothing of what exists.
    """
    found = [
        repository
        for repository in repositories
        if is_named(repository, url) and permits(rbac_object(repository.project, repository.url))
    ]
    if not found:
        raise permission_denied()
    if len(found) == 1 and not project:
        return found[0]
    for repository in found:
        if repository.project == project:
            return repository
    shown = without_password(url)
    raise unknown(f'repository not found for url "{shown}" and project "{project}"')


def is_named(repository: Repository, url: str) -> bool:
    """Whether a URL means the repository: its own, or the one that clients see, which holds no
    password."""
    if same_repository(repository.url, url):
        return True
    shown = without_password(repository.url)
    return shown != repository.url and same_repository(shown, url)


def find_exact(repositories: Iterable[Repository], url: str, project: str) -> Repository | None:
    """The stored repository of exactly this project."""
    for repository in repositories:
        if repository.project == project and same_repository(repository.url, url):
            return repository
    return None
