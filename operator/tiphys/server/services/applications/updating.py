"""Changing an Application: Update, UpdateSpec, Patch (api.md 8.2).

Whatever way a change comes, only spec, labels, annotations and finalizers are written; status and
operation belong to the controllers.
"""

import msgspec

from tiphys.resources.application import Application
from tiphys.resources.messages.application import (
    ApplicationPatchRequest,
    ApplicationUpdateRequest,
    ApplicationUpdateSpecRequest,
)
from tiphys.resources.spec import ApplicationSpec
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import unknown
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.guard import Guard
from tiphys.server.services import events
from tiphys.server.services.applications.access import AppAccess
from tiphys.server.services.applications.patching import patched
from tiphys.server.services.applications.validation import AppValidator
from tiphys.server.services.applications.writing import AppWriter, edit
from tiphys.server.services.events import AuditLog

UPDATE = "update"


class ApplicationUpdates:
    """``Update``, ``UpdateSpec`` and ``Patch``."""

    package, service = "application", "ApplicationService"

    def __init__(
        self, guard: Guard, access: AppAccess, validator: AppValidator, writer: AppWriter, audit: AuditLog
    ):
        self._guard = guard
        self._access = access
        self._validator = validator
        self._writer = writer
        self._audit = audit

    @rpc(
        "Update",
        Route("PUT", "/api/v1/applications/{application.metadata.name}", body="application"),
    )
    async def update(self, call: Call, request: ApplicationUpdateRequest) -> Application:
        """Needs ``update`` on what is sent and on what is there."""
        if request.application is None:
            raise unknown("error updating application: application is nil in request")
        app = request.application
        self._guard.enforce(call, "applications", UPDATE, self._access.object_of(app))
        return await self._write(call, app, request.project, check_sources=request.validate is not False)

    @rpc("UpdateSpec", Route("PUT", "/api/v1/applications/{name}/spec", body="spec"))
    async def update_spec(self, call: Call, request: ApplicationUpdateSpecRequest) -> ApplicationSpec:
        """Needs ``update``; answers the spec in normal form."""
        if request.spec is None:
            raise unknown("error updating application spec: spec is nil in request")
        reached = await self._access.live(call, UPDATE, request.name, request.app_namespace, request.project)
        app = msgspec.structs.replace(reached.app, spec=request.spec)
        updated = await self._write(call, app, request.project, check_sources=request.validate is not False)
        return updated.spec

    @rpc("Patch", Route("PATCH", "/api/v1/applications/{name}", body="*"))
    async def patch(self, call: Call, request: ApplicationPatchRequest) -> Application:
        """Needs ``get`` to learn of it, then ``update``."""
        reached = await self._access.live(call, "get", request.name, request.app_namespace, request.project)
        self._guard.enforce(call, "applications", UPDATE, self._access.object_of(reached.app))
        app = patched(reached.app, request.patch or "", request.patch_type or "")
        return await self._write(call, app, request.project, check_sources=True)

    async def _write(
        self, call: Call, wanted: Application, project: str | None, *, check_sources: bool
    ) -> Application:
        metadata = wanted.metadata
        reached = await self._access.live(call, UPDATE, metadata.name, metadata.namespace, project)
        namespaced = msgspec.structs.replace(metadata, namespace=reached.app.metadata.namespace)
        wanted = msgspec.structs.replace(wanted, metadata=namespaced)
        moved = wanted.spec.project_name != reached.app.spec.project_name
        target = self._access.project_of(wanted) if moved else reached.project
        app = await self._validator.accepted(call, wanted, target, check_sources=check_sources)
        updated = await self._writer.change(
            reached.app,
            lambda current: edit(
                current,
                spec=app.spec,
                labels=metadata.labels or {},
                annotations=metadata.annotations or {},
                finalizers=tuple(metadata.finalizers or ()),
            ),
        )
        self._audit.application(call, updated, events.UPDATED, "updated application spec")
        return updated
