"""Whether an Application may be written as it is, and its normal form (api.md 8.2 "Validation").

In the reference's order, with its texts and codes; except that what the project forbids is said before
a repository is asked anything.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

import msgspec

from tiphys.projects.validate import (
    INVALID_SPEC_ERROR,
    Problem,
    destination_problem,
    normalize_spec,
    validate_application,
)
from tiphys.resources.application import Application
from tiphys.resources.project import AppProject
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import ApiFailure, invalid_argument, unknown
from tiphys.server.guard import Guard
from tiphys.server.services.applications.access import AppAccess
from tiphys.server.services.applications.checking import source_problems
from tiphys.server.state import State
from tiphys.settings.clusters import Cluster, DestinationError

MANAGED_BY_URL = "argocd.argoproj.io/managed-by-url"


class AppValidator:
    """See the module."""

    def __init__(self, state: State, guard: Guard, access: AppAccess):
        self._state = state
        self._guard = guard
        self._access = access

    async def accepted(
        self,
        call: Call,
        app: Application,
        project: AppProject,
        *,
        current: Application | None,
        check_sources: bool,
    ) -> Application:
        """The Application with its spec in normal form.

        Args:
            project: the effective project of the spec.
            current: the Application of this name as it is known now; None: there is none.
            check_sources: ``validate`` of the request: ask the repositories, render.

        Raises:
            ApiFailure: it may not be written.
        """
        name = app.metadata.name
        if not name:
            raise unknown("resource name may not be empty")
        if twice := duplicate_source_name(app):
            raise unknown(f"application {name} has duplicate source name: {twice}")
        if current is not None:
            self.check_move(call, app, current)
        destination = self._destination(app, project)
        problems = validate_application(app, project, destination, self._state.settings)
        if problems or isinstance(destination, DestinationError):
            raise invalid_spec(name, problems)
        if check_sources:
            problems = await source_problems(self._state, app, project, destination)
            if problems:
                raise invalid_spec(name, problems)
        if problem := managed_by_problem((app.metadata.annotations or {}).get(MANAGED_BY_URL, "")):
            raise invalid_spec(name, [(INVALID_SPEC_ERROR, problem)])
        return msgspec.structs.replace(app, spec=normalize_spec(app.spec))

    def check_move(self, call: Call, app: Application, current: Application) -> None:
        """Another project needs ``create`` there and ``update`` on what is there now.

        Raises:
            ApiFailure: a right is missing, or the new project does not admit the Application.
        """
        if current.spec.project_name == app.spec.project_name:
            return
        self._guard.enforce(call, "applications", "create", self._access.object_of(app))
        name = self._access.object_of(current)
        # Whose the Application of this name is, is told to those who know it.
        known = self._guard.allows(call, "applications", "get", name)
        enforce = self._guard.enforce if known else self._guard.enforce_masked
        enforce(call, "applications", "update", name)
        self._access.project_of(app)

    def _destination(self, app: Application, project: AppProject) -> Cluster | DestinationError:
        """The cluster; what is wrong with one that the project does not permit is no matter here.

        Raises:
            ApiFailure: there is no such cluster, and the caller may know that.
        """
        settings = self._state.settings
        try:
            return settings.clusters.resolve(app.spec.destination)
        except DestinationError as error:
            if destination_problem(app, project, error, settings) != error.message:
                return error
            text = f"application destination spec for {app.metadata.name} is invalid: {error.message}"
            raise invalid_argument(text) from error


def duplicate_source_name(app: Application) -> str:
    """The first name that a second source has, too; ``""`` when there is none."""
    seen: set[str] = set()
    for source in app.spec.sources or ():
        if source.name and source.name in seen:
            return source.name
        seen.add(source.name)
    return ""


def managed_by_problem(url: str) -> str:
    """What is wrong with the URL of ``argocd.argoproj.io/managed-by-url``; ``""``: nothing."""
    if not url:
        return ""
    try:
        scheme = urlsplit(url).scheme
    except ValueError as error:
        return f"invalid managed-by URL: failed to parse URL: {error}"
    if scheme not in ("http", "https"):
        return "invalid managed-by URL: URL must include http or https protocol"
    return ""


def invalid_spec(name: str, problems: Iterable[Problem]) -> ApiFailure:
    """The refusal that lists what is wrong."""
    text = ";".join(f"{kind}: {message}" for kind, message in problems)
    return invalid_argument(f"application spec for {name} is invalid: {text}")
