"""Operations that users ask for: Sync, Rollback, TerminateOperation (api.md 8.2).

``ordering`` decides; here the revisions are resolved and the operation is written. It is refused if
another one is there at the moment of the write.
"""

import asyncio
from typing import Any

from tiphys.resources.application import Application, to_json
from tiphys.resources.messages.application import (
    ApplicationRollbackRequest,
    ApplicationSyncRequest,
    OperationTerminateRequest,
    OperationTerminateResponse,
)
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import failed_precondition, invalid_argument
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.guard import Guard
from tiphys.server.services import events
from tiphys.server.services.applications.access import AppAccess
from tiphys.server.services.applications.ordering import (
    Order,
    Resolved,
    SyncRules,
    Wanted,
    admit,
    order,
    order_rollback,
)
from tiphys.server.services.applications.writing import AppWriter
from tiphys.server.services.events import AuditLog
from tiphys.server.state import State
from tiphys.sources.errors import SourceError
from tiphys.sources.git.refs import is_commit

TERMINATING = "Terminating"


class ApplicationOperations:
    """``Sync``, ``Rollback`` and ``TerminateOperation``."""

    package, service = "application", "ApplicationService"

    def __init__(self, state: State, guard: Guard, access: AppAccess, writer: AppWriter, audit: AuditLog):
        self._state = state
        self._guard = guard
        self._access = access
        self._writer = writer
        self._audit = audit

    @rpc("Sync", Route("POST", "/api/v1/applications/{name}/sync", body="*"))
    async def sync(self, call: Call, request: ApplicationSyncRequest) -> Application:
        """Needs ``get`` to learn of it, then ``sync``, and ``override`` for what is not the spec's."""
        reached = await self._access.live(call, "get", request.name, request.app_namespace, request.project)
        app, project = reached.app, reached.project
        named = self._access.object_of(app)
        settings = self._state.settings
        rules = SyncRules(
            override_for_revision=settings.require_override_for_revision_sync,
            replace_allowed=settings.params.server_sync_with_replace_allowed,
        )

        def enforce(action: str) -> None:
            self._guard.enforce(call, "applications", action, named)

        wanted = admit(app, project, request, rules, enforce, self._state.clock())
        try:
            resolved = [await self._resolve(app, each) for each in wanted]
        except SourceError as error:
            raise failed_precondition(f"rpc error: code = {error.code} desc = {error.message}") from error
        ordered = order(app, project, request, rules, resolved, call.identity.username)
        return await self._begin(call, app, ordered)

    @rpc("Rollback", Route("POST", "/api/v1/applications/{name}/rollback", body="*"))
    async def rollback(self, call: Call, request: ApplicationRollbackRequest) -> Application:
        """Needs ``sync``, or ``rollback`` where that is a right of its own."""
        separate = self._state.settings.raw.get("server.rbac.rollback.enforce.enable") == "true"
        action = "rollback" if separate else "sync"
        reached = await self._access.live(call, action, request.name, request.app_namespace, request.project)
        return await self._begin(
            call, reached.app, order_rollback(reached.app, request, call.identity.username)
        )

    @rpc("TerminateOperation", Route("DELETE", "/api/v1/applications/{name}/operation"))
    async def terminate(self, call: Call, request: OperationTerminateRequest) -> OperationTerminateResponse:
        """Needs ``sync``."""
        reached = await self._access.live(call, "sync", request.name, request.app_namespace, request.project)

        def terminating(app: Application) -> dict[str, Any]:
            if app.operation is None or app.status.operation_state is None:
                raise invalid_argument("Unable to terminate operation. No operation is in progress")
            return {"status": {"operationState": {"phase": TERMINATING}}}

        app = await self._writer.change(
            reached.app, terminating, exhausted="Failed to terminate app. Too many conflicts"
        )
        self._audit.application(call, app, events.UPDATED, "terminated running operation")
        return OperationTerminateResponse()

    async def _begin(self, call: Call, app: Application, ordered: Order) -> Application:
        def begin(current: Application) -> dict[str, Any]:
            if current.operation is not None:
                raise failed_precondition("another operation is already in progress")
            body: dict[str, Any] = {"operation": to_json(ordered.operation)}
            if current.status.operation_state is not None:
                body["status"] = {"operationState": None}
            return body

        begun = await self._writer.change(
            app, begin, exhausted="Failed to set operation for app. Too many conflicts"
        )
        self._audit.application(call, begun, events.OPERATION_STARTED, ordered.told)
        return begun

    async def _resolve(self, app: Application, wanted: Wanted) -> Resolved:
        """The commit or version that a revision means now, asked without caches; a full commit of Git
        is believed."""
        source, asked = wanted.source, wanted.revision
        if not source.chart and is_commit(asked):
            return Resolved(asked, asked)
        repository = self._state.settings.repositories.lookup(source.repo_url, app.spec.project)
        if source.chart:
            charts = self._state.renderer.charts
            found = await charts.resolve(repository, source.chart, asked, fresh=True)
        else:
            now = asyncio.get_running_loop().time()
            found = await self._state.git.resolve(repository, asked, tag_prefix=source.tag_prefix, since=now)
        return Resolved(found, f"{asked} ({found})")
