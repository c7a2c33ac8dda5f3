"""Messages of the API package ``applicationset``."""

from tiphys.resources.application import Application
from tiphys.resources.applicationset import ApplicationSet
from tiphys.resources.shape import ApiObject


class ApplicationSetCreateRequest(ApiObject, frozen=True):
    """An ApplicationSet to create."""

    applicationset: ApplicationSet | None = None
    upsert: bool = False
    """Take the spec over if it exists already."""
    dry_run: bool = False
    """Only check it, and answer with the applications in its status."""


class ApplicationSetDeleteRequest(ApiObject, frozen=True):
    """Names an ApplicationSet to delete."""

    name: str = ""
    appset_namespace: str = ""


class ApplicationSetGenerateRequest(ApiObject, frozen=True):
    """Asks which applications a set would generate."""

    application_set: ApplicationSet | None = None


class ApplicationSetGenerateResponse(ApiObject, frozen=True):
    """The applications of the preview."""

    applications: tuple[Application, ...] = ()


class ApplicationSetGetQuery(ApiObject, frozen=True):
    """Names an ApplicationSet."""

    name: str = ""
    appset_namespace: str = ""


class ApplicationSetListQuery(ApiObject, frozen=True):
    """Selects ApplicationSets."""

    projects: tuple[str, ...] = ()
    """Only sets whose template names one of these projects."""
    selector: str = ""
    """A label selector."""
    appset_namespace: str = ""
    """Only sets in this namespace; all permitted ones when empty."""


class ApplicationSetResponse(ApiObject, frozen=True):
    """Nothing of interest: the set is deleted."""

    project: str = ""
    applicationset: ApplicationSet | None = None


class ApplicationSetTreeQuery(ApiObject, frozen=True):
    """Names an ApplicationSet."""

    name: str = ""
    appset_namespace: str = ""


class ApplicationSetWatchQuery(ApiObject, frozen=True):
    """Selects ApplicationSets to watch."""

    name: str = ""
    projects: tuple[str, ...] = ()
    selector: str = ""
    app_set_namespace: str = ""
    resource_version: str = ""
    """No initial events if it is not empty."""
