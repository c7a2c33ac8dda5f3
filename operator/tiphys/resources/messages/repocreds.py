"""Messages of the API package ``repocreds``; each message defined once (``wire/`` has the numbers)."""

from tiphys.resources.messages.stored_repositories import RepoCreds
from tiphys.resources.shape import ApiObject


class RepoCredsCreateRequest(ApiObject, frozen=True):
    """Request of ``RepoCredsService.CreateRepositoryCredentials``,
    ``RepoCredsService.CreateWriteRepositoryCredentials``.
    """

    creds: RepoCreds | None = None
    upsert: bool = False


class RepoCredsDeleteRequest(ApiObject, frozen=True):
    """Request of ``RepoCredsService.DeleteRepositoryCredentials``,
    ``RepoCredsService.DeleteWriteRepositoryCredentials``.
    """

    url: str = ""


class RepoCredsQuery(ApiObject, frozen=True):
    """Request of ``RepoCredsService.ListRepositoryCredentials``,
    ``RepoCredsService.ListWriteRepositoryCredentials``.
    """

    url: str = ""


class RepoCredsResponse(ApiObject, frozen=True):
    """Answer of ``RepoCredsService.DeleteRepositoryCredentials``,
    ``RepoCredsService.DeleteWriteRepositoryCredentials``.
    """


class RepoCredsUpdateRequest(ApiObject, frozen=True):
    """Request of ``RepoCredsService.UpdateRepositoryCredentials``,
    ``RepoCredsService.UpdateWriteRepositoryCredentials``.
    """

    creds: RepoCreds | None = None
