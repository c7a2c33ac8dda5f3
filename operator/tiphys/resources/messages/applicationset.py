"""Messages of the API package ``applicationset``; each message defined once (``wire/`` has the numbers)."""

from tiphys.resources.application import Application
from tiphys.resources.applicationset import ApplicationSet
from tiphys.resources.shape import ApiObject


class ApplicationSetCreateRequest(ApiObject, frozen=True):
    """Request of ``ApplicationSetService.Create``."""

    applicationset: ApplicationSet | None = None
    upsert: bool = False
    dry_run: bool = False


class ApplicationSetDeleteRequest(ApiObject, frozen=True):
    """Request of ``ApplicationSetService.Delete``."""

    name: str = ""
    appset_namespace: str = ""


class ApplicationSetGenerateRequest(ApiObject, frozen=True):
    """Request of ``ApplicationSetService.Generate``."""

    application_set: ApplicationSet | None = None


class ApplicationSetGenerateResponse(ApiObject, frozen=True):
    """Answer of ``ApplicationSetService.Generate``."""

    applications: tuple[Application, ...] = ()


class ApplicationSetGetQuery(ApiObject, frozen=True):
    """Request of ``ApplicationSetService.Get``, ``ApplicationSetService.ListResourceEvents``."""

    name: str = ""
    appset_namespace: str = ""


class ApplicationSetListQuery(ApiObject, frozen=True):
    """Request of ``ApplicationSetService.List``."""

    projects: tuple[str, ...] = ()
    selector: str = ""
    appset_namespace: str = ""


class ApplicationSetResponse(ApiObject, frozen=True):
    """Answer of ``ApplicationSetService.Delete``."""

    project: str = ""
    applicationset: ApplicationSet | None = None


class ApplicationSetTreeQuery(ApiObject, frozen=True):
    """Request of ``ApplicationSetService.ResourceTree``."""

    name: str = ""
    appset_namespace: str = ""


class ApplicationSetWatchQuery(ApiObject, frozen=True):
    """Request of ``ApplicationSetService.Watch``."""

    name: str = ""
    projects: tuple[str, ...] = ()
    selector: str = ""
    app_set_namespace: str = ""
    resource_version: str = ""
