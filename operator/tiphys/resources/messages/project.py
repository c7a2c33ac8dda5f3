"""Messages of the API package ``project``; each message defined once (``wire/`` has the numbers)."""

from tiphys.resources.messages.clusters import Cluster
from tiphys.resources.messages.stored_repositories import Repository
from tiphys.resources.project import AppProject, SyncWindow
from tiphys.resources.shape import ApiObject


class DetailedProjectsResponse(ApiObject, frozen=True):
    """Answer of ``ProjectService.GetDetailedProject``."""

    global_projects: tuple[AppProject, ...] = ()
    project: AppProject | None = None
    repositories: tuple[Repository, ...] = ()
    clusters: tuple[Cluster, ...] = ()


class EmptyResponse(ApiObject, frozen=True):
    """Answer of ``ProjectService.DeleteToken``, ``ProjectService.Delete``."""


class GlobalProjectsResponse(ApiObject, frozen=True):
    """Answer of ``ProjectService.GetGlobalProjects``."""

    items: tuple[AppProject, ...] = ()


class ListProjectLinksRequest(ApiObject, frozen=True):
    """Request of ``ProjectService.ListLinks``."""

    name: str = ""


class ProjectCreateRequest(ApiObject, frozen=True):
    """Request of ``ProjectService.Create``."""

    project: AppProject | None = None
    upsert: bool = False


class ProjectQuery(ApiObject, frozen=True):
    """Request of ``ProjectService.List``, ``ProjectService.GetDetailedProject``, ``ProjectService.Get``
    and others.
    """

    name: str = ""


class ProjectTokenCreateRequest(ApiObject, frozen=True):
    """Request of ``ProjectService.CreateToken``."""

    project: str = ""
    description: str = ""
    role: str = ""
    expires_in: int = 0
    id: str = ""


class ProjectTokenDeleteRequest(ApiObject, frozen=True):
    """Request of ``ProjectService.DeleteToken``."""

    project: str = ""
    role: str = ""
    iat: int = 0
    id: str = ""


class ProjectTokenResponse(ApiObject, frozen=True):
    """Answer of ``ProjectService.CreateToken``."""

    token: str = ""


class ProjectUpdateRequest(ApiObject, frozen=True):
    """Request of ``ProjectService.Update``."""

    project: AppProject | None = None


class SyncWindowsQuery(ApiObject, frozen=True):
    """Request of ``ProjectService.GetSyncWindowsState``."""

    name: str = ""


class SyncWindowsResponse(ApiObject, frozen=True):
    """Answer of ``ProjectService.GetSyncWindowsState``."""

    windows: tuple[SyncWindow, ...] = ()
