"""Sync windows as the API shows them (api.md 8.2 "syncwindows", applications.md 17)."""

from datetime import datetime

from tiphys.projects.windows import WindowError, can_sync, is_active, matching_windows
from tiphys.resources.application import Application
from tiphys.resources.messages.application import (
    ApplicationSyncWindow,
    ApplicationSyncWindowsQuery,
    ApplicationSyncWindowsResponse,
)
from tiphys.resources.project import AppProject, SyncWindow
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import unknown
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.services.applications.access import AppAccess
from tiphys.server.state import State


def windows_of(app: Application, project: AppProject, now: datetime) -> ApplicationSyncWindowsResponse:
    """The windows that concern an Application, those open now, and whether a person may sync it.

    Raises:
        ApiFailure: Unknown, a window cannot be read.
    """
    windows = matching_windows(project, app)
    decision = can_sync(windows, manual=True, now=now)
    if decision.error:
        raise unknown(decision.error)
    try:
        active = [window for window in windows if is_active(window, now)]
    except WindowError as error:
        raise unknown(f"invalid sync windows: {error}") from error
    return ApplicationSyncWindowsResponse(
        active_windows=tuple(map(_shown, active)),
        assigned_windows=tuple(map(_shown, windows)),
        can_sync=decision.allowed,
    )


def _shown(window: SyncWindow) -> ApplicationSyncWindow:
    return ApplicationSyncWindow(
        kind=window.kind,
        schedule=window.schedule,
        duration=window.duration,
        manual_sync=window.manual_sync,
    )


class ApplicationWindows:
    """``GetApplicationSyncWindows``."""

    package, service = "application", "ApplicationService"

    def __init__(self, state: State, access: AppAccess):
        self._state = state
        self._access = access

    @rpc("GetApplicationSyncWindows", Route("GET", "/api/v1/applications/{name}/syncwindows"))
    async def sync_windows(
        self, call: Call, request: ApplicationSyncWindowsQuery
    ) -> ApplicationSyncWindowsResponse:
        """Needs ``get``."""
        reached = await self._access.live(call, "get", request.name, request.app_namespace, request.project)
        return windows_of(reached.app, reached.project, self._state.clock())
