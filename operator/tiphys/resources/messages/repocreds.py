"""Messages of the API package ``repocreds``."""

from tiphys.resources.messages.stored_repositories import RepoCreds
from tiphys.resources.shape import ApiObject


class RepoCredsCreateRequest(ApiObject, frozen=True):
    """Credentials of all repositories under a URL, to add."""

    creds: RepoCreds | None = None
    upsert: bool = False
    """Replace what is there."""


class RepoCredsDeleteRequest(ApiObject, frozen=True):
    """Names credentials to remove."""

    url: str = ""
    """The beginning of the repositories' URLs."""


class RepoCredsQuery(ApiObject, frozen=True):
    """Asks for credentials."""

    url: str = ""
    """Not looked at."""


class RepoCredsResponse(ApiObject, frozen=True):
    """Nothing: it is done."""


class RepoCredsUpdateRequest(ApiObject, frozen=True):
    """New content of credentials."""

    creds: RepoCreds | None = None
