"""Changing an Application: Update, UpdateSpec, Patch (api.md 8.2).

Whatever way a change comes, only spec, labels, annotations and finalizers are written; status and
operation belong to the controllers.
"""

import msgspec

from tiphys.kube.errors import Conflict
from tiphys.resources.application import Application
from tiphys.resources.messages.application import (
    ApplicationPatchRequest,
    ApplicationUpdateRequest,
    ApplicationUpdateSpecRequest,
)
from tiphys.resources.spec import ApplicationSpec
from tiphys.server.api.calls import Call
from tiphys.server.api.failures import ApiFailure, Code, unknown
from tiphys.server.api.rpc import Route, rpc
from tiphys.server.guard import Guard
from tiphys.server.services import events
from tiphys.server.services.applications.access import AppAccess, Reached
from tiphys.server.services.applications.patching import patched
from tiphys.server.services.applications.validation import AppValidator
from tiphys.server.services.applications.writing import EXHAUSTED, TRIES, AppWriter, Patch, edit
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
        wanted = request.application
        self._guard.enforce(call, "applications", UPDATE, self._access.object_of(wanted))
        key = self._access.key(wanted.metadata.name, wanted.metadata.namespace)
        reached = await self._access.live(call, UPDATE, key.name, key.namespace, request.project)
        metadata = msgspec.structs.replace(wanted.metadata, namespace=key.namespace)
        wanted = msgspec.structs.replace(wanted, metadata=metadata)
        app = await self._accepted(call, reached, wanted, check_sources=request.validate is not False)
        updated = await self._writer.change(reached.app, lambda current: _whole_edit(current, app))
        return self._told(call, updated)

    @rpc("UpdateSpec", Route("PUT", "/api/v1/applications/{name}/spec", body="spec"))
    async def update_spec(self, call: Call, request: ApplicationUpdateSpecRequest) -> ApplicationSpec:
        """Needs ``update``; answers the spec in normal form."""
        if request.spec is None:
            raise unknown("error updating application spec: spec is nil in request")
        reached = await self._access.live(call, UPDATE, request.name, request.app_namespace, request.project)
        wanted = msgspec.structs.replace(reached.app, spec=request.spec)
        app = await self._accepted(call, reached, wanted, check_sources=request.validate is not False)
        updated = await self._writer.change(reached.app, lambda current: edit(current, spec=app.spec))
        return self._told(call, updated).spec

    @rpc("Patch", Route("PATCH", "/api/v1/applications/{name}", body="*"))
    async def patch(self, call: Call, request: ApplicationPatchRequest) -> Application:
        """Needs ``get`` to learn of it, then ``update``."""
        for _ in range(TRIES):  # somebody else's edit in between is patched, not undone
            place = (request.name, request.app_namespace, request.project)
            reached = await self._access.live(call, "get", *place)
            self._guard.enforce(call, "applications", UPDATE, self._access.object_of(reached.app))
            wanted = patched(reached.app, request.patch or "", request.patch_type or "")
            app = await self._accepted(call, reached, wanted, check_sources=True)
            try:
                updated = await self._writer.once(reached.app, _whole_edit(reached.app, app))
            except Conflict:
                continue
            return self._told(call, updated)
        raise ApiFailure(Code.INTERNAL, EXHAUSTED)

    async def _accepted(
        self, call: Call, reached: Reached, wanted: Application, *, check_sources: bool
    ) -> Application:
        moved = wanted.spec.project_name != reached.app.spec.project_name
        project = self._access.project_of(wanted) if moved else reached.project
        return await self._validator.accepted(
            call, wanted, project, current=reached.app, check_sources=check_sources
        )

    def _told(self, call: Call, updated: Application) -> Application:
        self._audit.application(call, updated, events.UPDATED, "updated application spec")
        return updated


def _whole_edit(current: Application, app: Application) -> Patch:
    """Spec, labels, annotations and finalizers of ``current`` become those of ``app``."""
    metadata = app.metadata
    return edit(
        current,
        spec=app.spec,
        labels=metadata.labels or {},
        annotations=metadata.annotations or {},
        finalizers=tuple(metadata.finalizers or ()),
    )
