"""Messages of the API package ``project``."""

from tiphys.resources.messages.clusters import Cluster
from tiphys.resources.messages.stored_repositories import Repository
from tiphys.resources.project import AppProject, SyncWindow
from tiphys.resources.shape import ApiObject


class DetailedProjectsResponse(ApiObject, frozen=True):
    """A project with all that it permits."""

    global_projects: tuple[AppProject, ...] = ()
    """Projects that it inherits from."""
    project: AppProject | None = None
    repositories: tuple[Repository, ...] = ()
    """Its own repositories."""
    clusters: tuple[Cluster, ...] = ()
    """Its own clusters."""


class EmptyResponse(ApiObject, frozen=True):
    """Nothing: it is done."""


class GlobalProjectsResponse(ApiObject, frozen=True):
    """The projects that a project inherits from."""

    items: tuple[AppProject, ...] = ()


class ListProjectLinksRequest(ApiObject, frozen=True):
    """Asks for the links of a project."""

    name: str = ""


class ProjectCreateRequest(ApiObject, frozen=True):
    """A project to create."""

    project: AppProject | None = None
    upsert: bool = False
    """Take the spec over if it exists already."""


class ProjectQuery(ApiObject, frozen=True):
    """Names a project; all when empty."""

    name: str = ""


class ProjectTokenCreateRequest(ApiObject, frozen=True):
    """Asks for a token of a project's role."""

    project: str = ""
    description: str = ""
    role: str = ""
    expires_in: int = 0
    """Seconds; 0 means that it never expires."""
    id: str = ""
    """Name of the token; a random one when empty."""


class ProjectTokenDeleteRequest(ApiObject, frozen=True):
    """Names a token to revoke, by ``id`` or ``iat``."""

    project: str = ""
    role: str = ""
    iat: int = 0
    """When it was issued, in seconds since 1970."""
    id: str = ""


class ProjectTokenResponse(ApiObject, frozen=True):
    """The new token; it is shown only here."""

    token: str = ""


class ProjectUpdateRequest(ApiObject, frozen=True):
    """A project's new spec."""

    project: AppProject | None = None


class SyncWindowsQuery(ApiObject, frozen=True):
    """Asks for the open sync windows of a project."""

    name: str = ""
    """The project."""


class SyncWindowsResponse(ApiObject, frozen=True):
    """The sync windows that are open now."""

    windows: tuple[SyncWindow, ...] = ()
